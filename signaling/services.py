"""What every part of signaling works with, made once per application."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from aiohttp import web

from sfu.api import Sfu
from signaling.config import Settings
from signaling.db.database import Database
from signaling.db.deliveries import DeliveryRepository
from signaling.db.repository import Repository
from signaling.gate import Gate
from signaling.jwks import KeySets
from signaling.limits import AddressLimiter
from signaling.livekit.frames import Frames
from signaling.livekit.rpc import RpcCalls
from signaling.livekit.simulate import PreferredProtocols, ResumeFaults
from signaling.livekit.webhooks import Webhooks
from signaling.metrics import Metrics
from signaling.revocations import Revocations
from signaling.rooms import RoomService
from signaling.tokens import TokenService

if TYPE_CHECKING:
    from sfu.ids import ParticipantId
    from signaling.livekit.session import SignalConnection


SIF_TRAILER_BYTES = 16


class Phase(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


@dataclass(slots=True)
class Services:
    settings: Settings
    sfu: Sfu
    tokens: TokenService
    rooms: RoomService
    database: Database
    revocations: Revocations
    key_sets: KeySets
    webhooks: Webhooks
    metrics: Metrics
    token_limiter: AddressLimiter
    lookup_limiter: AddressLimiter
    server_api_limiter: AddressLimiter
    rpc: RpcCalls
    frames: Frames = field(default_factory=Frames)
    resume_faults: ResumeFaults = field(default_factory=ResumeFaults)
    preferred_protocols: PreferredProtocols = field(default_factory=PreferredProtocols)
    phase: Phase = Phase.STARTING
    gate: Gate | None = None
    """In front of the port; None when the application runs under another server."""
    sif_trailer: bytes = field(default_factory=lambda: secrets.token_bytes(SIF_TRAILER_BYTES))
    """Marks frames that a server makes itself, which clients with end-to-end encryption then show as they are. Ting
    makes none, and nobody can guess the mark."""
    connections: set[SignalConnection] = field(default_factory=set)
    connection_of: dict[ParticipantId, SignalConnection] = field(default_factory=dict)


SERVICES: web.AppKey[Services] = web.AppKey("services", Services)


def create_services(settings: Settings, sfu: Sfu) -> Services:
    metrics = Metrics()
    database = Database(settings.resolved_database_url, timeout_s=settings.database_timeout_s)
    repository = Repository(database)
    revocations = Revocations(
        repository,
        metrics,
        limit=settings.max_revocations,
        keep_s=settings.max_token_ttl_s + settings.guest_renewal_s + 2 * settings.token_leeway_s,
    )
    key_sets = KeySets(settings, metrics)
    tokens = TokenService(
        settings.keys,
        leeway_s=settings.token_leeway_s,
        max_ttl_s=settings.max_token_ttl_s,
        max_token_bytes=settings.max_token_bytes,
        max_metadata_bytes=settings.max_metadata_bytes,
        key_sets=key_sets,
    )
    return Services(
        settings=settings,
        sfu=sfu,
        tokens=tokens,
        rooms=RoomService(settings, sfu, tokens, revocations),
        database=database,
        revocations=revocations,
        key_sets=key_sets,
        webhooks=Webhooks(settings, DeliveryRepository(database), tokens, metrics),
        metrics=metrics,
        token_limiter=AddressLimiter(settings.guest_tokens_per_minute, settings.max_tracked_addresses),
        lookup_limiter=AddressLimiter(settings.room_lookups_per_minute, settings.max_tracked_addresses),
        rpc=RpcCalls(
            sfu, settings.rpc_ack_timeout_s, settings.max_rpc_timeout_s, settings.max_rpc_calls_per_participant
        ),
        server_api_limiter=AddressLimiter(settings.server_api_requests_per_minute, settings.max_tracked_addresses),
    )

"""The first half of the composition root: what the application starts and stops. `endpoints.py` is the other one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp.typedefs import Middleware

from sfu.api import Sfu
from signaling.accounts.service import Accounts, create_accounts
from signaling.addresses import ClientAddresses
from signaling.api.sessions import Sessions, origin_of
from signaling.brand.brand import Brand, load_brand
from signaling.cluster.settings import place_of
from signaling.config import Settings
from signaling.connections import Connections
from signaling.db.settings import data_folder
from signaling.db.storage import Storage
from signaling.files.files import Files, create_store
from signaling.gate import Gate
from signaling.jwks import KeySets
from signaling.lasting_parts import LastingParts, create_lasting
from signaling.lifecycle import Lifecycle
from signaling.log.entries import FileFacts
from signaling.metrics import Metrics
from signaling.middleware import answering_errors, fetching_keys
from signaling.revocations import Revocations
from signaling.rooms.calls import RoomService
from signaling.rooms.keys import member_id_of_account
from signaling.tokens import TokenService
from signaling.warm_up import WarmUp, warming_up

if TYPE_CHECKING:
    from signaling.cluster.cluster import Cluster
    from signaling.livekit.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class Services:
    """What the application starts and stops. Endpoints never see it: each is given its own parts (`endpoints.py`)."""

    sfu: Sfu
    metrics: Metrics
    lifecycle: Lifecycle
    gate: Gate
    addresses: ClientAddresses
    storage: Storage
    revocations: Revocations
    key_sets: KeySets
    tokens: TokenService
    rooms: RoomService
    webhooks: Webhooks | None
    """None when the settings name no receiver."""
    connections: Connections
    warm_up: WarmUp
    lasting: LastingParts
    files: Files
    accounts: Accounts | None
    """None when the settings want none."""
    sessions: Sessions
    brand: Brand
    cluster: Cluster | None
    """None for a server by itself."""


def create_services(settings: Settings, sfu: Sfu) -> Services:
    brand = load_brand(settings.brand)
    metrics = Metrics()
    storage = Storage(settings.database, data_folder(settings.database, dev=settings.listener.dev))
    revocations = _create_revocations(settings, storage, metrics)
    key_sets = KeySets(settings.key_sets, metrics)
    tokens = TokenService(
        settings.tokens.keys,
        leeway_s=settings.tokens.token_leeway_s,
        max_ttl_s=settings.tokens.max_token_ttl_s,
        max_token_bytes=settings.tokens.max_token_bytes,
        max_metadata_bytes=settings.tokens.max_metadata_bytes,
        key_sets=key_sets,
    )
    max_participants = settings.sfu.max_participants_per_room
    rooms = RoomService(settings.rooms, sfu, tokens, revocations, metrics, max_participants=max_participants)
    accounts = create_accounts(settings.accounts, storage.accounts, metrics, origin_of(settings.listener.public_url))
    lasting = create_lasting(settings, sfu, storage, tokens, rooms, metrics, accounts)
    if accounts is not None:
        accounts.on_device_ended.append(lambda device: lasting.door.end_device(device.device_id))
        accounts.on_device_ended.append(lambda device: lasting.live.end_device(device.device_id))
        accounts.on_deleted.append(
            lambda account_id: lasting.kept_timelines.forget_everywhere(member_id_of_account(account_id))
        )
    return Services(
        sfu=sfu,
        metrics=metrics,
        lifecycle=Lifecycle(),
        gate=Gate(settings.gate, metrics),
        addresses=ClientAddresses(settings.addresses.trusted_proxies),
        storage=storage,
        revocations=revocations,
        key_sets=key_sets,
        tokens=tokens,
        rooms=rooms,
        webhooks=_create_webhooks(settings, storage, tokens, metrics),
        connections=Connections(),
        warm_up=WarmUp(sfu, revocations),
        lasting=lasting,
        files=_create_files(settings, storage, metrics, lasting),
        accounts=accounts,
        sessions=Sessions(
            accounts, public_url=settings.listener.public_url, tls=settings.listener.tls, site_name=brand.name
        ),
        brand=brand,
        cluster=_create_cluster(settings, sfu, metrics, revocations),
    )


def _create_cluster(settings: Settings, sfu: Sfu, metrics: Metrics, revocations: Revocations) -> Cluster | None:
    if not settings.cluster.cluster:
        return None
    from signaling.cluster.cluster import Cluster  # a server by itself needs nothing of it

    dev = settings.listener.dev
    cluster = Cluster(settings.cluster, place_of(settings.cluster, dev=dev), sfu, revocations, dev=dev)
    cluster.add_metrics(metrics.registry)
    return cluster


def _create_files(settings: Settings, storage: Storage, metrics: Metrics, lasting: LastingParts) -> Files:
    folder = data_folder(settings.database, dev=settings.listener.dev) / "files"
    files = Files(settings.files, create_store(settings.files, folder), storage.files, metrics, folder)
    lasting.rooms.add_deletion_listener(lambda room: files.room_deleted(room.room_key))
    lasting.sweeper.add_file_remover(files.remove)

    async def find(room_key: int, file_id: str) -> FileFacts:
        row = await files.complete_file(room_key, file_id)
        return FileFacts(row.name, row.size_bytes, row.media_type)

    lasting.log.use_files(find, files.remove)
    return files


def _create_revocations(settings: Settings, storage: Storage, metrics: Metrics) -> Revocations:
    longest_s = settings.tokens.max_token_ttl_s + settings.rooms.guest_renewal_s + 2 * settings.tokens.token_leeway_s
    return Revocations(storage, metrics, limit=settings.rooms.max_revocations, keep_s=longest_s)


def _create_webhooks(settings: Settings, storage: Storage, tokens: TokenService, metrics: Metrics) -> Webhooks | None:
    if not settings.webhooks.webhooks:
        return None
    # They need the database from the start, and with it SQLAlchemy; others do not.
    from signaling.db.deliveries import DeliveryRepository
    from signaling.livekit.webhooks import Webhooks

    return Webhooks(
        settings.webhooks,
        DeliveryRepository(storage.database),
        tokens,
        metrics,
        keys=settings.tokens.keys,
        origin=urlsplit(settings.listener.public_url).hostname or "ting",
        config=settings.sfu,
    )


def create_middlewares(services: Services) -> list[Middleware]:
    """The first is the outermost."""
    middlewares = [answering_errors(services.gate, services.metrics), warming_up(services.warm_up)]
    if services.key_sets.configured:
        middlewares.append(fetching_keys(services.tokens))
    return middlewares

"""The composition root: the only place that knows all parts of signaling and hands each what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from sfu.api import Sfu
from signaling.accounts.service import Accounts, create_accounts
from signaling.addresses import ClientAddresses, parse_networks
from signaling.api.account_routes import account_endpoints
from signaling.api.admin import AdminEndpoint
from signaling.api.authority import RequestAuthority
from signaling.api.bots import BotsEndpoint
from signaling.api.breakouts import BreakoutsEndpoint
from signaling.api.files import FilesEndpoint
from signaling.api.health import HealthEndpoint
from signaling.api.lasting_rooms import LastingRoomsEndpoint
from signaling.api.log import LogEndpoint
from signaling.api.metrics import MetricsEndpoint
from signaling.api.moderation import ModerationEndpoint
from signaling.api.openapi import OpenApiEndpoint
from signaling.api.portability import PortabilityEndpoint
from signaling.api.rooms import RoomsEndpoint
from signaling.api.sealed import SealedEndpoint
from signaling.api.server_view import ServerView, view_server
from signaling.api.sessions import Sessions, origin_of
from signaling.api.sync import SyncEndpoint
from signaling.api.titles import PublicTitles
from signaling.api.typed import Api, TypedApi
from signaling.api.web import WebApp
from signaling.brand.brand import Brand, load_brand
from signaling.config import Settings
from signaling.connections import Connections
from signaling.db.settings import data_folder
from signaling.db.storage import Storage
from signaling.files.files import Files, create_store
from signaling.files.links import AtTheDoor, Links
from signaling.gate import Gate
from signaling.jwks import KeySets
from signaling.lasting_parts import LastingParts, create_lasting
from signaling.lifecycle import Lifecycle
from signaling.limits import AddressLimiter
from signaling.livekit.endpoint import SignalEndpoint
from signaling.livekit.frames import Frames
from signaling.livekit.parts import SignalParts
from signaling.livekit.room_service import ServerApi
from signaling.livekit.rpc import RpcCalls
from signaling.livekit.simulate import Simulations
from signaling.livekit.twirp import TwirpEndpoint
from signaling.livekit.welcome import Welcome
from signaling.log.entries import FileFacts
from signaling.log.handing import Handing
from signaling.metrics import Metrics
from signaling.middleware import answering_errors, fetching_keys
from signaling.portability.owners import OwnerArchives
from signaling.portability.signing import Signer
from signaling.revocations import Revocations
from signaling.rooms.calls import RoomService
from signaling.rooms.keys import pepper_of
from signaling.tokens import TokenService
from signaling.turn import has_tls
from signaling.warm_up import WarmUp, warming_up
from signaling.whip.access import Access
from signaling.whip.endpoint import WhipEndpoint
from signaling.whip.events import EventsEndpoint
from signaling.whip.http import Bodies
from signaling.whip.layers import LayerEndpoint
from signaling.whip.resource import SessionResource
from signaling.whip.sessions import SessionRegistry
from signaling.whip.whep import WhepEndpoint

if TYPE_CHECKING:
    from signaling.livekit.webhooks import Webhooks


class Endpoint(Protocol):
    """What answers requests."""

    def add_routes(self, router: web.UrlDispatcher) -> None: ...


@dataclass(frozen=True, slots=True)
class Services:
    """What the application starts and stops. Endpoints never see it: each is given its own parts below."""

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
    )


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
    return [
        answering_errors(services.gate, services.metrics),
        warming_up(services.warm_up),
        fetching_keys(services.tokens, services.key_sets),
    ]


def create_web_app(settings: Settings, services: Services) -> WebApp:
    return WebApp(
        settings.api.web_root,
        services.brand,
        _view(settings, services),
        PublicTitles(
            services.lasting.rooms.public_title,
            services.addresses,
            _limiter(settings, settings.api.room_lookups_per_minute),
            settings.api.preview_wait_s,
        ),
        public_url=settings.listener.public_url,
        tls=settings.listener.tls,
        frame_ancestors=settings.api.frame_ancestors,
    )


def _view(settings: Settings, services: Services) -> ServerView:
    return view_server(
        services.brand,
        guest_rooms=settings.lasting_rooms.guest_rooms,
        accounts=services.accounts is not None,
        default_kind=settings.lasting_rooms.default_kind,
        frame_ancestors=settings.api.frame_ancestors,
    )


def create_endpoints(settings: Settings, services: Services) -> list[Endpoint]:
    """All but the web app, which goes last."""
    rpc = RpcCalls(
        services.sfu,
        settings.server_api.rpc_ack_timeout_s,
        settings.server_api.max_rpc_timeout_s,
        settings.server_api.max_rpc_calls_per_participant,
    )
    return [
        _create_signal(settings, services, rpc),
        _create_server_api(settings, services, rpc),
        *_create_whip(settings, services),
        *_create_rest(settings, services),
    ]


def _limiter(settings: Settings, per_minute: float, burst: float = 0.0) -> AddressLimiter:
    return AddressLimiter(per_minute, settings.addresses.max_tracked_addresses, burst=burst)


def _create_signal(settings: Settings, services: Services, rpc: RpcCalls) -> SignalEndpoint:
    frames = Frames()
    parts = SignalParts(
        settings=settings.signal,
        max_metadata_bytes=settings.tokens.max_metadata_bytes,
        max_tracks=settings.sfu.max_pending_tracks,
        config=settings.sfu,
        rooms=services.rooms,
        door=services.lasting.door,
        sealed_rooms=services.lasting.sealed_rooms,
        chat=services.lasting.chat,
        tokens=services.tokens,
        connections=services.connections,
        metrics=services.metrics,
        frames=frames,
        welcome=Welcome(settings.signal, settings.turn, settings.sfu, services.sfu.node_id, frames),
        rpc=rpc,
        simulations=Simulations(has_tcp=bool(settings.sfu.rtc_tcp_port), has_tls=has_tls(settings.turn)),
    )
    return SignalEndpoint(services.lifecycle, parts)


def _create_server_api(settings: Settings, services: Services, rpc: RpcCalls) -> TwirpEndpoint:
    server_api = ServerApi(
        settings=settings.rooms,
        max_metadata_bytes=settings.tokens.max_metadata_bytes,
        config=settings.sfu,
        sfu=services.sfu,
        rooms=services.rooms,
        sealed_rooms=services.lasting.sealed_rooms,
        rpc=rpc,
    )
    return TwirpEndpoint(
        services.lifecycle,
        settings.gate,
        settings.server_api,
        services.addresses,
        _limiter(settings, settings.server_api.server_api_requests_per_minute),
        services.tokens,
        services.rooms,
        services.metrics,
        server_api,
        services.lasting.door,
        services.lasting.calls,
    )


def _create_whip(settings: Settings, services: Services) -> list[Endpoint]:
    public_url, timeout_s = settings.listener.public_url, settings.gate.request_timeout_s
    registry = SessionRegistry(settings.whip.max_whip_sessions, services.metrics)
    access = Access(
        services.lifecycle,
        services.addresses,
        _limiter(settings, settings.whip.whip_requests_per_minute),
        services.rooms,
        services.lasting.door,
        registry,
        services.metrics,
        grace_s=settings.tokens.max_token_ttl_s,
    )
    resource = SessionResource(access, settings.turn, public_url)
    descriptions = Bodies(settings.whip.max_whip_sdp_bytes, timeout_s)
    documents = Bodies(settings.api.max_body_bytes, timeout_s)
    return [
        WhipEndpoint(services.rooms, access, registry, resource, descriptions),
        WhepEndpoint(services.rooms, access, registry, resource, descriptions),
        LayerEndpoint(access, documents),
        EventsEndpoint(settings.whip, access, registry, documents, public_url),
    ]


def _create_rest(settings: Settings, services: Services) -> list[Endpoint]:
    return [
        HealthEndpoint(services.lifecycle),
        MetricsEndpoint(services.metrics, services.sfu, services.addresses, settings.api.metrics_allow),
        _create_api(settings, services),
    ]


def _create_api(settings: Settings, services: Services) -> TypedApi:
    parts, api = services.lasting, settings.api
    authority = RequestAuthority(
        services.lifecycle,
        services.addresses,
        _limiter(settings, api.api_requests_per_minute),
        services.tokens,
        services.rooms,
        parts.door,
        services.sessions if services.accounts is not None else None,
        bots=parts.bots,
    )
    typed = TypedApi(Api(authority, settings.gate.request_timeout_s))
    lasting, tries = settings.lasting_rooms, _limiter(settings, settings.accounts.sign_in_tries_per_minute)
    archives = _create_archives(settings, services)
    typed.endpoints += [
        RoomsEndpoint(
            services.rooms,
            parts.rooms,
            parts.door,
            parts.knocks,
            services.tokens,
            services.sessions,
            services.addresses,
            api,
            _view(settings, services),
            lookup_limiter=_limiter(settings, api.room_lookups_per_minute),
            token_limiter=_limiter(settings, api.guest_tokens_per_minute),
            password_limiter=_limiter(settings, lasting.password_tries_per_minute),
            public_url=settings.listener.public_url,
        ),
        LastingRoomsEndpoint(
            authority,
            services.sessions,
            services.addresses,
            _limiter(settings, lasting.rooms_per_hour / 60, burst=lasting.rooms_per_hour),
            parts.rooms,
            services.rooms,
            parts.moderation,
            services.storage,
            lasting,
        ),
        *_create_log_api(settings, parts, authority),
        FilesEndpoint(
            settings.files,
            services.files,
            Links(pepper_of(settings.tokens.keys), settings.files.file_link_ttl_s),
            AtTheDoor(parts.door, services.rooms),
            services.addresses,
            _limiter(settings, settings.files.file_creations_per_minute),
        ),
        BotsEndpoint(
            parts.bots,
            services.storage,
            parts.hooks,
            parts.chronicle,
            parts.log,
            parts.reader,
            settings.bots,
            parse_networks(settings.bots.hook_networks),
            settings.gate.request_timeout_s,
        ),
        PortabilityEndpoint(archives, parts.rooms, settings.gate.request_timeout_s),
        *account_endpoints(
            services.accounts, services.sessions, services.addresses, tries, archives, settings.gate.request_timeout_s
        ),
        *_create_admin(services),
        OpenApiEndpoint(lambda: typed.routes, services.brand.name),
    ]
    return typed


def _create_log_api(
    settings: Settings, parts: LastingParts, authority: RequestAuthority
) -> list[ModerationEndpoint | BreakoutsEndpoint | LogEndpoint | SyncEndpoint | SealedEndpoint]:
    """What happens inside a room that lasts."""
    return [
        ModerationEndpoint(parts.moderation, parts.knocks),
        BreakoutsEndpoint(parts.breakouts),
        LogEndpoint(parts.log, parts.reader, parts.live, parts.rooms, settings.room_log),
        SyncEndpoint(
            authority,
            parts.log,
            parts.reader,
            parts.live,
            parts.rooms,
            parts.knocks,
            parts.breakouts,
            parts.presence,
            parts.delivery,
            Handing(settings.room_log),
            settings.room_log,
            settings.sealed,
        ),
        SealedEndpoint(parts.delivery, parts.presence, settings.sealed),
    ]


def _create_admin(services: Services) -> list[AdminEndpoint]:
    if services.accounts is None:
        return []
    parts, storage = services.lasting, services.storage
    return [
        AdminEndpoint(services.accounts, storage, storage, services.sfu, services.rooms, parts.rooms, parts.chronicle)
    ]


def _create_archives(settings: Settings, services: Services) -> OwnerArchives:
    folder, storage = data_folder(settings.database, dev=settings.listener.dev), services.storage
    return OwnerArchives(
        storage,
        storage.files,
        create_store(settings.files, folder / "files"),
        services.lasting.live,
        services.lasting.chronicle,
        Signer(folder, settings.portability.trusted_archive_keys),
        settings.files,
        settings.portability,
        folder,
    )

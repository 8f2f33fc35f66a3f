"""The second half of the composition root: hands each endpoint the parts that it needs, and the web app its own."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from signaling.addresses import parse_networks
from signaling.api.account_routes import account_endpoints
from signaling.api.admin import AdminEndpoint
from signaling.api.admin_nodes import AdminNodesEndpoint
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
from signaling.api.sync import SyncEndpoint
from signaling.api.timelines import TimelinesEndpoint
from signaling.api.titles import PublicTitles
from signaling.api.typed import Api, TypedApi
from signaling.api.web import WebApp
from signaling.config import Settings
from signaling.db.settings import data_folder
from signaling.files.files import create_store
from signaling.files.links import AtTheDoor, Links
from signaling.lasting_parts import LastingParts
from signaling.limits import AddressLimiter
from signaling.livekit.routes import LiveKitHandlers, LiveKitRoutes
from signaling.log.handing import Handing
from signaling.portability.owners import OwnerArchives
from signaling.portability.signing import Signer
from signaling.rooms.keys import pepper_of
from signaling.services import Services
from signaling.whip.access import Access
from signaling.whip.endpoint import WhipEndpoint
from signaling.whip.events import EventsEndpoint
from signaling.whip.http import Bodies
from signaling.whip.layers import LayerEndpoint
from signaling.whip.resource import SessionResource
from signaling.whip.sessions import SessionRegistry
from signaling.whip.whep import WhepEndpoint


class Endpoint(Protocol):
    """What answers requests."""

    def add_routes(self, router: web.UrlDispatcher) -> None: ...


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
    livekit = LiveKitRoutes(lambda: _load_livekit(settings, services))
    services.warm_up.load_protocol = livekit.load
    return [
        livekit,
        *_create_whip(settings, services),
        *_create_rest(settings, services),
    ]


def _load_livekit(settings: Settings, services: Services) -> LiveKitHandlers:
    from signaling.livekit_endpoints import (
        create_handlers,
    )  # with protobuf 8 MiB, which a server without calls can do without

    return create_handlers(settings, services)


def _limiter(settings: Settings, per_minute: float, burst: float = 0.0) -> AddressLimiter:
    return AddressLimiter(per_minute, settings.addresses.max_tracked_addresses, burst=burst)


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
        HealthEndpoint(services.lifecycle, lambda: services.cluster is None or services.cluster.ready),
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
) -> list[ModerationEndpoint | TimelinesEndpoint | BreakoutsEndpoint | LogEndpoint | SyncEndpoint | SealedEndpoint]:
    """What happens inside a room that lasts."""
    return [
        ModerationEndpoint(parts.moderation, parts.knocks),
        TimelinesEndpoint(parts.timelines, parts.kept_timelines),
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


def _create_admin(services: Services) -> list[AdminEndpoint | AdminNodesEndpoint]:
    if services.accounts is None:
        return []
    parts, storage = services.lasting, services.storage
    return [
        AdminEndpoint(services.accounts, storage, storage, services.sfu, services.rooms, parts.rooms, parts.chronicle),
        AdminNodesEndpoint(services.sfu, services.cluster),
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

"""The WHEP endpoint `/whep/{room}[/{identity}[/{source}]]` (draft-ietf-wish-whep-04).

Who posts becomes a participant that everyone sees and that publishes nothing; a second POST of one identity replaces
the first session, so each viewer needs a token of its own. Nothing need be published yet: a session waits, and begins
to send when there is something. An offer that cannot be answered gets an offer of ours instead, with status 406.
"""

from __future__ import annotations

from aiohttp import hdrs, web

from sfu.api import PlaybackWish, SdpError, TrackSource
from sfu.ids import Identity
from signaling.config import Settings
from signaling.services import SERVICES
from signaling.whip import events, layers
from signaling.whip.endpoint import (
    ACCEPT_POST,
    ENDPOINT_METHODS,
    WHIP,
    add_session_routes,
    authorize_room,
    created,
    owned_session,
    patch_ice,
    session_path,
)
from signaling.whip.http import SDP, SDP_FRAGMENT, Problem, answering, check_rate, preflight, read_text
from signaling.whip.sessions import HttpSession, Protocol

_COUNTERED = frozenset({"not_acceptable", "unsupported_codec", "rtcp_mux_required", "inconsistent_extensions"})
"""`SdpError` codes of offers that are well formed and cannot be answered."""
_SOURCES = {source.value: source for source in TrackSource if source is not TrackSource.UNKNOWN}


def add_routes(app: web.Application) -> None:
    """After those of WHIP, whose sessions these share."""
    for path in ("/whep/{room}", "/whep/{room}/{identity}", "/whep/{room}/{identity}/{source}"):
        for method, handler in (
            ("POST", play),
            ("GET", describe_endpoint),
            ("HEAD", describe_endpoint),
            ("OPTIONS", endpoint_options),
        ):
            app.router.add_route(method, path, answering(handler))
    add_session_routes(app, Protocol.WHEP, patch_session)
    layers.add_routes(app)
    events.add_routes(app)


async def play(request: web.Request) -> web.Response:
    services, whip = request.app[SERVICES], request.app[WHIP]
    check_rate(request, whip.limiter)
    grants = authorize_room(request, services)
    if not grants.can_subscribe:
        raise Problem(403, "not_allowed", "The token does not allow to subscribe.")
    wish = _wish(request)
    offer = await read_text(request, SDP, services.settings.max_whip_sdp_bytes, ACCEPT_POST)
    session = whip.registry.reserve(Protocol.WHEP, grants, request.path)
    status = 201
    try:
        participant, description = await services.rooms.play(grants, wish, offer, session.handle_event)
    except SdpError as error:
        if error.code not in _COUNTERED:
            raise
        participant, description = await services.rooms.offer_playback(grants, wish, session.handle_event)
        status = 406
    session.begin(participant)
    response = created(services.settings, session, description, status)
    _add_extensions(response, services.settings, session)
    return response


def _wish(request: web.Request) -> PlaybackWish:
    identity, source = request.match_info.get("identity"), request.match_info.get("source")
    if source is not None and source not in _SOURCES:
        raise Problem(404, "not_found", "There is no such source.")
    return PlaybackWish(
        identity=None if identity is None else Identity(identity), source=None if source is None else _SOURCES[source]
    )


def _add_extensions(response: web.Response, settings: Settings, session: HttpSession) -> None:
    path = session_path(settings, session)
    response.headers.add(hdrs.LINK, f'<{path}/layer>; rel="{layers.RELATION}"')
    names = ",".join(events.EVENTS)
    response.headers.add(hdrs.LINK, f'<{path}/events>; rel="{events.RELATION}"; events="{names}"')


async def describe_endpoint(request: web.Request) -> web.Response:
    """How players find out that this is a WHEP endpoint."""
    return web.Response(headers={hdrs.CONTENT_TYPE: SDP})


async def endpoint_options(request: web.Request) -> web.Response:
    return preflight(ENDPOINT_METHODS, ACCEPT_POST)


async def patch_session(request: web.Request) -> web.Response:
    """The answer to an offer of ours, or ICE as with WHIP."""
    session = owned_session(request)
    limit = request.app[SERVICES].settings.max_whip_sdp_bytes
    if request.content_type == SDP:
        session.session.accept_playback(await read_text(request, SDP, limit, {}))
        return web.Response(status=204)
    text = await read_text(request, SDP_FRAGMENT, limit, {"Accept-Patch": f"{SDP_FRAGMENT}, {SDP}"})
    return patch_ice(request, session, text)

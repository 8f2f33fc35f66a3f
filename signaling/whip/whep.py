"""The WHEP endpoint `/whep/{room}[/{identity}[/{source}]]` (draft-ietf-wish-whep-04).

Who posts becomes a participant that everyone sees and that publishes nothing; a second POST of one identity replaces
the first session, so each viewer needs a token of its own. Nothing need be published yet: a session waits, and begins
to send when there is something. An offer that cannot be answered gets an offer of ours instead, with status 406.
"""

from __future__ import annotations

from aiohttp import hdrs, web

from sfu.api import PlaybackWish, SdpError, TrackSource
from sfu.ids import Identity
from signaling.rooms.calls import RoomService
from signaling.whip import events, layers
from signaling.whip.access import Access
from signaling.whip.http import ACCEPT_POST, ENDPOINT_METHODS, SDP, SDP_FRAGMENT, Bodies, Problem, answering, preflight
from signaling.whip.resource import SessionResource, patch_ice
from signaling.whip.sessions import Protocol, SessionRegistry

_COUNTERED = frozenset({"not_acceptable", "unsupported_codec", "rtcp_mux_required", "inconsistent_extensions"})
"""`SdpError` codes of offers that are well formed and cannot be answered."""
_SOURCES = {source.value: source for source in TrackSource if source is not TrackSource.UNKNOWN}


class WhepEndpoint:
    def __init__(
        self, rooms: RoomService, access: Access, registry: SessionRegistry, resource: SessionResource, bodies: Bodies
    ) -> None:
        self._rooms = rooms
        self._access = access
        self._registry = registry
        self._resource = resource
        self._bodies = bodies

    def add_routes(self, router: web.UrlDispatcher) -> None:
        for path in ("/whep/{room}", "/whep/{room}/{identity}", "/whep/{room}/{identity}/{source}"):
            for method, handler in (
                ("POST", self._play),
                ("GET", _describe_endpoint),
                ("HEAD", _describe_endpoint),
                ("OPTIONS", _endpoint_options),
            ):
                router.add_route(method, path, answering(handler))
        self._resource.add_routes(router, Protocol.WHEP, self._patch_session)

    async def _play(self, request: web.Request) -> web.Response:
        grants = await self._access.authorize_room(request, "WHEP")
        if not grants.can_subscribe:
            raise Problem(403, "not_allowed", "The token does not allow to subscribe.")
        wish = _wish(request)
        offer = await self._bodies.read(request, SDP, ACCEPT_POST)
        session = self._registry.reserve(Protocol.WHEP, grants, request.path)
        status = 201
        try:
            participant, description = await self._rooms.play(grants, wish, offer, session.handle_event)
        except SdpError as error:
            if error.code not in _COUNTERED:
                raise
            participant, description = await self._rooms.offer_playback(grants, wish, session.handle_event)
            status = 406
        session.begin(participant)
        response = self._resource.created(session, description, status)
        _add_extensions(response, self._resource.path(session))
        return response

    async def _patch_session(self, request: web.Request) -> web.Response:
        """The answer to an offer of ours, or ICE as with WHIP."""
        session = self._access.owned_session(request)
        if request.content_type == SDP:
            session.session.accept_playback(await self._bodies.read(request, SDP, {}))
            return web.Response(status=204)
        text = await self._bodies.read(request, SDP_FRAGMENT, {"Accept-Patch": f"{SDP_FRAGMENT}, {SDP}"})
        return patch_ice(request, session, text)


def _wish(request: web.Request) -> PlaybackWish:
    identity, source = request.match_info.get("identity"), request.match_info.get("source")
    if source is not None and source not in _SOURCES:
        raise Problem(404, "not_found", "There is no such source.")
    return PlaybackWish(
        identity=None if identity is None else Identity(identity), source=None if source is None else _SOURCES[source]
    )


def _add_extensions(response: web.Response, path: str) -> None:
    response.headers.add(hdrs.LINK, f'<{path}/layer>; rel="{layers.RELATION}"')
    names = ",".join(events.EVENTS)
    response.headers.add(hdrs.LINK, f'<{path}/events>; rel="{events.RELATION}"; events="{names}"')


async def _describe_endpoint(request: web.Request) -> web.Response:
    """How players find out that this is a WHEP endpoint."""
    return web.Response(headers={hdrs.CONTENT_TYPE: SDP})


async def _endpoint_options(request: web.Request) -> web.Response:
    return preflight(ENDPOINT_METHODS, ACCEPT_POST)

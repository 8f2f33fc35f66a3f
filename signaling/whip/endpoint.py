"""The WHIP endpoint `/whip/{room}` (RFC 9725).

Who posts becomes a participant of kind ingress with a camera and a microphone, as far as the offer has them. One
identity publishes once: a second POST replaces the first session, as a second join does. A session ends with DELETE,
when its media connection is lost, and when the participant is put out.
"""

from __future__ import annotations

from aiohttp import web

from sfu.api import Kind, TrackSource
from signaling.grants import KINDS
from signaling.rooms.calls import RoomService
from signaling.whip.access import Access
from signaling.whip.http import ACCEPT_POST, ENDPOINT_METHODS, SDP, SDP_FRAGMENT, Bodies, Problem, answering, preflight
from signaling.whip.resource import SessionResource, patch_ice
from signaling.whip.sessions import Protocol, SessionRegistry

SOURCES = {Kind.AUDIO: TrackSource.MICROPHONE, Kind.VIDEO: TrackSource.CAMERA}


class WhipEndpoint:
    def __init__(
        self, rooms: RoomService, access: Access, registry: SessionRegistry, resource: SessionResource, bodies: Bodies
    ) -> None:
        self._rooms = rooms
        self._access = access
        self._registry = registry
        self._resource = resource
        self._bodies = bodies

    def add_routes(self, router: web.UrlDispatcher) -> None:
        for method, handler in (
            ("POST", self._publish),
            ("GET", _describe_endpoint),
            ("HEAD", _describe_endpoint),
            ("OPTIONS", _endpoint_options),
        ):
            router.add_route(method, "/whip/{room}", answering(handler))
        self._resource.add_routes(router, Protocol.WHIP, self._patch_session)

    async def _publish(self, request: web.Request) -> web.Response:
        grants = await self._access.authorize_room(request, "WHIP")
        if not grants.can_publish:
            raise Problem(403, "not_allowed", "The token does not allow to publish.")
        offer = await self._bodies.read(request, SDP, ACCEPT_POST)
        session = self._registry.reserve(Protocol.WHIP, grants, request.path)
        participant, answer = await self._rooms.publish(grants, offer, SOURCES, KINDS["ingress"], session.handle_event)
        session.begin(participant)
        return self._resource.created(session, answer)

    async def _patch_session(self, request: web.Request) -> web.Response:
        session = self._access.owned_session(request)
        text = await self._bodies.read(request, SDP_FRAGMENT, {"Accept-Patch": SDP_FRAGMENT})
        return patch_ice(request, session, text)


async def _describe_endpoint(request: web.Request) -> web.Response:
    return web.Response(status=204)


async def _endpoint_options(request: web.Request) -> web.Response:
    return preflight(ENDPOINT_METHODS, ACCEPT_POST)

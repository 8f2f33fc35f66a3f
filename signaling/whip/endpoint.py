"""The WHIP endpoint `/whip/{room}` (RFC 9725) and the session resources of both protocols.

Who posts becomes a participant of kind ingress with a camera and a microphone, as far as the offer has them. One
identity publishes once: a second POST replaces the first session, as a second join does. A session ends with DELETE,
when its media connection is lost, and when the participant is put out.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from sfu.api import Kind, TrackSource
from signaling.config import Settings
from signaling.limits import AddressLimiter
from signaling.services import SERVICES, Services
from signaling.tokens import KINDS, Grants
from signaling.whip.http import (
    SDP,
    SDP_FRAGMENT,
    Handler,
    Problem,
    answering,
    authorize,
    check_rate,
    ice_server_links,
    preflight,
    read_text,
)
from signaling.whip.sessions import HttpSession, Protocol, SessionRegistry

SOURCES = {Kind.AUDIO: TrackSource.MICROPHONE, Kind.VIDEO: TrackSource.CAMERA}
ACCEPT_POST = {"Accept-Post": SDP}
ENDPOINT_METHODS = "POST, GET, HEAD, OPTIONS"
SESSION_METHODS = "PATCH, DELETE, GET, HEAD, OPTIONS"
ANY_ETAG = ("*", '"*"')
"""How clients ask for an ICE restart: as HTTP writes "any" (RFC 9110 §13.1.1), and as examples do."""


@dataclass(slots=True)
class Whip:
    """What the handlers of both protocols share."""

    registry: SessionRegistry
    limiter: AddressLimiter


WHIP: web.AppKey[Whip] = web.AppKey("whip", Whip)


def add_routes(app: web.Application) -> None:
    services = app[SERVICES]
    settings = services.settings
    app[WHIP] = Whip(
        SessionRegistry(settings.max_whip_sessions, services.metrics),
        AddressLimiter(settings.whip_requests_per_minute, settings.max_tracked_addresses),
    )
    for method, handler in (
        ("POST", publish),
        ("GET", describe_endpoint),
        ("HEAD", describe_endpoint),
        ("OPTIONS", endpoint_options),
    ):
        app.router.add_route(method, "/whip/{room}", answering(handler))
    add_session_routes(app, Protocol.WHIP, patch_session)


def add_session_routes(app: web.Application, protocol: Protocol, patch: Handler) -> None:
    path = f"/{protocol}-sessions/{{session}}"
    for method, handler in (
        ("PATCH", patch),
        ("DELETE", delete_session),
        ("GET", describe_session),
        ("HEAD", describe_session),
        ("OPTIONS", session_options),
    ):
        app.router.add_route(method, path, answering(handler))


# --- the endpoint -----------------------------------------------------------------------------------------


async def publish(request: web.Request) -> web.Response:
    services, whip = request.app[SERVICES], request.app[WHIP]
    check_rate(request, whip.limiter)
    grants = authorize_room(request, services)
    if not grants.can_publish:
        raise Problem(403, "not_allowed", "The token does not allow to publish.")
    offer = await read_text(request, SDP, services.settings.max_whip_sdp_bytes, ACCEPT_POST)
    session = whip.registry.reserve(Protocol.WHIP, grants, request.path)
    participant, answer = await services.rooms.publish(grants, offer, SOURCES, KINDS["ingress"], session.handle_event)
    session.begin(participant)
    return created(services.settings, session, answer)


def session_path(settings: Settings, session: HttpSession) -> str:
    """A path alone: clients resolve it against the URL that they used, and OBS takes nothing else."""
    return f"{urlsplit(settings.public_url).path.rstrip('/')}/{session.protocol}-sessions/{session.id}"


def created(settings: Settings, session: HttpSession, description: str, status: int = 201) -> web.Response:
    headers = {hdrs.LOCATION: session_path(settings, session), hdrs.ETAG: session.etag, hdrs.CONTENT_TYPE: SDP}
    response = web.Response(status=status, body=description.encode(), headers=headers)
    for link in ice_server_links(settings, session.session.info.participant_id):
        response.headers.add(hdrs.LINK, link)
    return response


async def describe_endpoint(request: web.Request) -> web.Response:
    return web.Response(status=204)


async def endpoint_options(request: web.Request) -> web.Response:
    return preflight(ENDPOINT_METHODS, ACCEPT_POST)


def authorize_room(request: web.Request, services: Services) -> Grants:
    grants = authorize(request, services)
    if grants.room != request.match_info["room"]:
        raise Problem(403, "not_allowed", "The token is for another room.")
    return grants


# --- the session ------------------------------------------------------------------------------------------


def owned_session(request: web.Request) -> HttpSession:
    """A session may last longer than the token that began it, so an expired one still serves its owner."""
    services, whip = request.app[SERVICES], request.app[WHIP]
    check_rate(request, whip.limiter)
    grants = authorize(request, services, grace_s=services.settings.max_token_ttl_s)
    protocol = Protocol(request.path.partition("-")[0].removeprefix("/"))
    return whip.registry.find(request.match_info["session"], protocol, grants)


async def patch_session(request: web.Request) -> web.Response:
    """Trickled candidates, or an ICE restart when If-Match is "*"."""
    session = owned_session(request)
    settings = request.app[SERVICES].settings
    accept = {"Accept-Patch": SDP_FRAGMENT}
    text = await read_text(request, SDP_FRAGMENT, settings.max_whip_sdp_bytes, accept)
    return patch_ice(request, session, text)


def patch_ice(request: web.Request, session: HttpSession, text: str) -> web.Response:
    condition = request.headers.get(hdrs.IF_MATCH, "").strip()
    if not condition:
        raise Problem(428, "precondition_required", "If-Match is needed.")
    if condition in ANY_ETAG:
        answer = session.session.restart_ice(text)
        session.renew_etag()
        headers = {hdrs.ETAG: session.etag, hdrs.CONTENT_TYPE: SDP_FRAGMENT}
        return web.Response(body=answer.encode(), headers=headers)
    if session.etag not in (tag.strip() for tag in condition.split(",")):
        raise Problem(412, "precondition_failed", "The ICE session is another one now.")
    session.session.handle_fragment(text)
    return web.Response(status=204)


async def delete_session(request: web.Request) -> web.Response:
    owned_session(request).leave()
    return web.Response()


async def describe_session(request: web.Request) -> web.Response:
    owned_session(request)
    return web.Response(status=204)


async def session_options(request: web.Request) -> web.Response:
    return preflight(SESSION_METHODS, {"Accept-Patch": SDP_FRAGMENT})

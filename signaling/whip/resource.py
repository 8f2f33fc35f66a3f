"""The session resource of both protocols: trickled candidates, ICE restarts, the end."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import hdrs, web

from signaling.turn import TurnSettings
from signaling.whip.access import Access
from signaling.whip.http import SDP, SDP_FRAGMENT, Handler, Problem, answering, ice_server_links, preflight
from signaling.whip.sessions import HttpSession, Protocol

SESSION_METHODS = "PATCH, DELETE, GET, HEAD, OPTIONS"
ANY_ETAG = ("*", '"*"')
"""How clients ask for an ICE restart: as HTTP writes "any" (RFC 9110 §13.1.1), and as examples do."""


class SessionResource:
    """`public_url` is under which clients reach this server; empty where it is the one that they use."""

    def __init__(self, access: Access, turn: TurnSettings, public_url: str) -> None:
        self._access = access
        self._turn = turn
        self._prefix = urlsplit(public_url).path.rstrip("/")

    def add_routes(self, router: web.UrlDispatcher, protocol: Protocol, patch: Handler) -> None:
        path = f"/{protocol}-sessions/{{session}}"
        for method, handler in (
            ("PATCH", patch),
            ("DELETE", self._delete),
            ("GET", self._describe),
            ("HEAD", self._describe),
            ("OPTIONS", _options),
        ):
            router.add_route(method, path, answering(handler))

    def path(self, session: HttpSession) -> str:
        """A path alone: clients resolve it against the URL that they used, and OBS takes nothing else."""
        return f"{self._prefix}/{session.protocol}-sessions/{session.id}"

    def created(self, session: HttpSession, description: str, status: int = 201) -> web.Response:
        headers = {hdrs.LOCATION: self.path(session), hdrs.ETAG: session.etag, hdrs.CONTENT_TYPE: SDP}
        response = web.Response(status=status, body=description.encode(), headers=headers)
        for link in ice_server_links(self._turn, session.session.info.participant_id):
            response.headers.add(hdrs.LINK, link)
        return response

    async def _delete(self, request: web.Request) -> web.Response:
        self._access.owned_session(request).leave()
        return web.Response()

    async def _describe(self, request: web.Request) -> web.Response:
        self._access.owned_session(request)
        return web.Response(status=204)


async def _options(request: web.Request) -> web.Response:
    return preflight(SESSION_METHODS, {"Accept-Patch": SDP_FRAGMENT})


def patch_ice(request: web.Request, session: HttpSession, text: str) -> web.Response:
    """Trickled candidates, or an ICE restart when If-Match is "*"."""
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

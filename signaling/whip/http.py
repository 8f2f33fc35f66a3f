"""What WHIP and WHEP share of HTTP: problems (RFC 9457), CORS, bodies with a limit, bearer tokens, Link headers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps

from aiohttp import hdrs, web

from sfu.errors import RequestError, SdpError, SfuError
from signaling import turn

SDP = "application/sdp"
SDP_FRAGMENT = "application/trickle-ice-sdpfrag"
ACCEPT_POST = {"Accept-Post": SDP}
ENDPOINT_METHODS = "POST, GET, HEAD, OPTIONS"
RETRY_AFTER_S = 5
"""After which a client may try again when the server or a room is full, starting or stopping."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_CORS = {
    # The token is in a header that no browser sends by itself, so any page may ask.
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: "Location, ETag, Link, Retry-After, Accept-Post, Accept-Patch",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_TITLES = {
    400: "Bad request", 401: "Unauthorized", 403: "Forbidden", 404: "Not found", 409: "Conflict",
    408: "Request timeout", 412: "Precondition failed", 413: "Content too large", 415: "Unsupported media type",
    422: "Unprocessable content", 428: "Precondition required", 429: "Too many requests", 503: "Service unavailable",
}  # fmt: skip
_SDP_STATUS = {
    "sdp_too_long": 413,
    "not_acceptable": 422,
    "unsupported_codec": 422,
    "rtcp_mux_required": 422,
    "ice_mismatch": 412,
    "rate_limited": 429,
}
"""Codes of `SdpError` that are not 400."""
_REQUEST_STATUS = {
    "not_allowed": 403,
    "left": 404,
    "unknown_room": 404,
    "unknown_preset": 400,
    "not_negotiated": 409,
    "limit_exceeded": 503,
    "unavailable": 503,
}
"""Codes of `RequestError` that are not 403."""


class Problem(Exception):
    """An answer with an error. `code` is stable; the text is for people and holds nothing that the caller sent."""

    def __init__(self, status: int, code: str, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
        if status == 503:
            self.headers.setdefault(hdrs.RETRY_AFTER, str(RETRY_AFTER_S))

    def response(self) -> web.Response:
        body = {"type": "about:blank", "title": _TITLES[self.status], "status": self.status}
        return web.json_response(
            {**body, "detail": str(self), "code": self.code},
            status=self.status,
            headers=self.headers,
            content_type="application/problem+json",
        )


def answering(handler: Handler) -> Handler:
    """The handler with its problems turned into answers, and CORS on every one."""

    @wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            response = await handler(request)
        except Problem as problem:
            response = problem.response()
        except SfuError as error:
            response = problem_of(error).response()
        if not response.prepared:
            response.headers.update(_CORS)
            response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
        return response

    return answer


def problem_of(error: SfuError) -> Problem:
    status = 403
    if isinstance(error, SdpError):
        status = _SDP_STATUS.get(error.code, 400)
    elif isinstance(error, RequestError):
        status = _REQUEST_STATUS.get(error.code, 403)
    return Problem(status, error.code, str(error))


def preflight(methods: str, accept: Mapping[str, str]) -> web.Response:
    """For OPTIONS, which carries no token. `accept` has Accept-Post or Accept-Patch."""
    headers = {
        hdrs.ALLOW: methods,
        hdrs.ACCESS_CONTROL_ALLOW_METHODS: methods,
        hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Content-Type, If-Match",
        hdrs.ACCESS_CONTROL_MAX_AGE: "86400",
        **accept,
    }
    return web.Response(headers=headers)


class Bodies:
    """Reads bodies of at most `max_bytes` that come within `timeout_s`."""

    def __init__(self, max_bytes: int, timeout_s: float) -> None:
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    async def read(self, request: web.Request, content_type: str, accept: Mapping[str, str]) -> str:
        """The body, which must be UTF-8 of that type. `accept` goes out with a 415."""
        if request.content_type != content_type:
            raise Problem(415, "unsupported_media_type", f"The body must be {content_type}.", accept)
        if (request.content_length or 0) > self._max_bytes:
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout_s):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > self._max_bytes:
                        raise self._too_large()
            return body.decode()
        except TimeoutError:
            raise Problem(408, "request_timeout", "The body took too long.") from None
        except UnicodeDecodeError:
            raise Problem(400, "invalid_body", "The body is not UTF-8.") from None

    def _too_large(self) -> Problem:
        # The rest of the body is not read, so the connection cannot be used again.
        text = f"The body is longer than {self._max_bytes} bytes."
        return Problem(413, "body_too_large", text, {hdrs.CONNECTION: "close"})


def ice_server_links(settings: turn.TurnSettings, participant_id: str) -> list[str]:
    """Values of Link headers that name the ICE servers (RFC 9725 §4.6), one per URL. No value holds a comma or a
    semicolon that would not be syntax: OBS splits at both."""
    links = []
    for server in turn.ice_servers(settings, participant_id):
        access = ""
        if server.username:
            access = f'; username="{server.username}"; credential="{server.credential}"; credential-type="password"'
        links += [f'<{url}>; rel="ice-server"{access}' for url in server.urls]
    return links

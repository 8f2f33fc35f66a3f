"""GET /rtc and /rtc/validate: the HTTP side of a LiveKit join. The token is checked before the upgrade."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiohttp import hdrs, web

from sfu.api import ClientDescription
from signaling.errors import TokenError
from signaling.livekit.outbox import CLOSE_TIMEOUT_S
from signaling.livekit.session import SignalConnection
from signaling.rooms import JoinOptions
from signaling.services import SERVICES, Phase, Services
from signaling.tokens import Grants

_MAX_PARAMETER_LENGTH = 64
_PROTOCOL = re.compile(r"[0-9]{1,4}")


def add_routes(app: web.Application) -> None:
    app.router.add_get("/rtc", handle_rtc, allow_head=False)
    app.router.add_get("/rtc/validate", handle_validate, allow_head=False)
    # 404 makes clients of the single-connection dialect fall back to this one.
    app.router.add_get("/rtc/v1", handle_unknown_dialect, allow_head=False)
    app.router.add_get("/rtc/v1/validate", handle_unknown_dialect, allow_head=False)


async def handle_rtc(request: web.Request) -> web.StreamResponse:
    if not _wants_upgrade(request):
        return _plain(404, "not found")
    services = request.app[SERVICES]
    grants = _authorize(request, services)
    if isinstance(grants, web.Response):
        return grants
    settings = services.settings
    ws = web.WebSocketResponse(
        timeout=CLOSE_TIMEOUT_S,
        heartbeat=settings.websocket_heartbeat_s,
        max_msg_size=settings.max_websocket_message_bytes + 1,  # aiohttp refuses what has this size
        compress=False,
    )
    await ws.prepare(request)
    query = request.query
    resume_id = query.get("sid", "") if _is_set(query, "reconnect") else ""
    connection = SignalConnection(services, ws, request.transport, grants, join_options(query), resume_id)
    await connection.run()
    return ws


async def handle_validate(request: web.Request) -> web.Response:
    grants = _authorize(request, request.app[SERVICES])
    return grants if isinstance(grants, web.Response) else _plain(200, "success")


async def handle_unknown_dialect(request: web.Request) -> web.Response:
    return _plain(404, "this dialect is not spoken here")


def _authorize(request: web.Request, services: Services) -> Grants | web.Response:
    """The grants of the request's token, or the answer that refuses it."""
    if services.phase is not Phase.READY:
        return _plain(503, "the server is not ready")
    try:
        return services.rooms.authorize_join(request_token(request))
    except TokenError as error:
        services.metrics.tokens_refused.labels(error.code).inc()
        return _plain(401, str(error))


def request_token(request: web.Request) -> str:
    """From the Authorization header, else from the query, where browsers must put it."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return request.query.get("access_token", "")


def join_options(query: Mapping[str, str]) -> JoinOptions:
    """The client's wishes and its description of itself, cut to a sane length."""
    protocol = query.get("protocol", "")
    adaptive_stream = _is_set(query, "adaptive_stream")
    return JoinOptions(
        auto_subscribe=_is_set(query, "auto_subscribe", default=True),
        adaptive_stream=adaptive_stream,
        allow_pause=_is_set(query, "subscriber_allow_pause", default=adaptive_stream),
        client=ClientDescription(
            sdk=query.get("sdk", "")[:_MAX_PARAMETER_LENGTH],
            version=query.get("version", "")[:_MAX_PARAMETER_LENGTH],
            protocol=int(protocol) if _PROTOCOL.fullmatch(protocol) else 0,
            browser=query.get("browser", "")[:_MAX_PARAMETER_LENGTH],
            browser_version=query.get("browser_version", "")[:_MAX_PARAMETER_LENGTH],
            os=query.get("os", "")[:_MAX_PARAMETER_LENGTH],
            device_model=query.get("device_model", "")[:_MAX_PARAMETER_LENGTH],
        ),
    )


def _is_set(query: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    value = query.get(name)
    return default if value is None or value == "" else value.lower() in ("1", "true")


def _wants_upgrade(request: web.Request) -> bool:
    return request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"


def _plain(status: int, text: str) -> web.Response:
    # Browsers ask /rtc/validate across origins; the answer holds nothing but the verdict.
    return web.Response(status=status, text=text, headers={hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*"})

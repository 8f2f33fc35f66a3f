"""GET /rtc, /rtc/v1 and their /validate: the HTTP side of a LiveKit join. The token is checked before the upgrade."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from aiohttp import hdrs, web

from sfu.api import ClientDescription, RequestError
from signaling.devices import with_user_agent
from signaling.errors import TokenError
from signaling.livekit.join_request import JoinRequestError, Opening, own_state, parse_join_request
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
    app.router.add_get("/rtc/v1", handle_rtc_v1, allow_head=False)
    app.router.add_get("/rtc/v1/validate", handle_validate_v1, allow_head=False)


async def handle_rtc(request: web.Request) -> web.StreamResponse:
    """The dialect with two peer connections ("v0")."""
    return await _serve(request, _read_query)


async def handle_rtc_v1(request: web.Request) -> web.StreamResponse:
    """The dialect with a single peer connection ("v1")."""
    return await _serve(request, _read_join_request)


async def handle_validate(request: web.Request) -> web.Response:
    return _validate(request, _read_query)


async def handle_validate_v1(request: web.Request) -> web.Response:
    return _validate(request, _read_join_request)


_Reader = Callable[[web.Request, Services], Opening]


def _validate(request: web.Request, read: _Reader) -> web.Response:
    admitted = _admit(request, read)
    return admitted if isinstance(admitted, web.Response) else _plain(200, "success")


async def _serve(request: web.Request, read: _Reader) -> web.StreamResponse:
    if not _wants_upgrade(request):
        return _plain(404, "not found")
    admitted = _admit(request, read)
    if isinstance(admitted, web.Response):
        return admitted
    grants, opening = admitted
    client = with_user_agent(opening.options.client, request.headers.get(hdrs.USER_AGENT, ""))
    opening = replace(opening, options=replace(opening.options, client=client))
    services = request.app[SERVICES]
    settings = services.settings
    ws = web.WebSocketResponse(
        timeout=CLOSE_TIMEOUT_S,
        heartbeat=settings.websocket_heartbeat_s,
        max_msg_size=settings.max_websocket_message_bytes + 1,  # aiohttp refuses what has this size
        compress=False,
    )
    await ws.prepare(request)
    connection = SignalConnection(services, ws, request.transport, grants, opening)
    await connection.run()
    return ws


def _admit(request: web.Request, read: _Reader) -> tuple[Grants, Opening] | web.Response:
    """What the request's token grants and what it asks for, or the answer that refuses it."""
    services = request.app[SERVICES]
    if services.phase is not Phase.READY:
        return _plain(503, "the server is not ready")
    try:
        grants = services.rooms.authorize_join(request_token(request))
        services.rooms.require_room(grants)
        opening = read(request, services)
        return own_state(grants, opening, services.settings.max_metadata_bytes), opening
    except RequestError as error:
        # SDKs know the sentence of 404: they give up instead of looking for another dialect.
        return _plain(404 if error.code == "unknown_room" else 400, str(error))
    except TokenError as error:
        services.metrics.tokens_refused.labels(error.code).inc()
        return _plain(401, str(error))
    except JoinRequestError as error:
        services.metrics.violations.labels("join_request").inc()
        return _plain(400, str(error))


def _read_query(request: web.Request, services: Services) -> Opening:
    query = request.query
    return Opening(join_options(query), query.get("sid", "") if _is_set(query, "reconnect") else "")


def _read_join_request(request: web.Request, services: Services) -> Opening:
    """Raises `JoinRequestError`. Without a join request the query says what it does in v0."""
    parameter = request.query.get("join_request", "")
    if parameter:
        return parse_join_request(parameter, services.settings)
    opening = _read_query(request, services)
    return replace(opening, options=replace(opening.options, single_connection=True))


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
        auto_subscribe_data_tracks=_is_set(query, "auto_subscribe_data_track"),
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

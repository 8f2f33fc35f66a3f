"""GET /rtc, /rtc/v1 and their /validate: the HTTP side of a LiveKit join. The token is checked before the upgrade."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from aiohttp import hdrs, web

from sfu.api import ClientDescription, RequestError
from signaling.devices import with_user_agent
from signaling.errors import TokenError
from signaling.grants import Grants
from signaling.lifecycle import Lifecycle
from signaling.livekit.join_request import JoinRequestError, Opening, own_state, parse_join_request
from signaling.livekit.outbox import CLOSE_TIMEOUT_S
from signaling.livekit.parts import SignalParts
from signaling.livekit.session import SignalConnection
from signaling.livekit.wire import Wire
from signaling.requests import request_token
from signaling.rooms.calls import JoinOptions
from signaling.rooms.kinds import require_encryption

_MAX_PARAMETER_LENGTH = 64
_PROTOCOL = re.compile(r"[0-9]{1,4}")


_Reader = Callable[[web.Request], Opening]


class SignalEndpoint:
    def __init__(self, lifecycle: Lifecycle, parts: SignalParts) -> None:
        self._lifecycle = lifecycle
        self._parts = parts
        self._rooms = parts.rooms
        self._metrics = parts.metrics

    async def rtc(self, request: web.Request) -> web.StreamResponse:
        """The dialect with two peer connections ("v0")."""
        return await self._serve(request, _read_query)

    async def rtc_v1(self, request: web.Request) -> web.StreamResponse:
        """The dialect with a single peer connection ("v1")."""
        return await self._serve(request, self._read_join_request)

    async def validate_rtc(self, request: web.Request) -> web.Response:
        return await self._validate(request, _read_query)

    async def validate_rtc_v1(self, request: web.Request) -> web.Response:
        return await self._validate(request, self._read_join_request)

    async def _validate(self, request: web.Request, read: _Reader) -> web.Response:
        admitted = await self._admit(request, read)
        return admitted if isinstance(admitted, web.Response) else _plain(200, "success")

    async def _serve(self, request: web.Request, read: _Reader) -> web.StreamResponse:
        if not _wants_upgrade(request):
            return _plain(404, "not found")
        admitted = await self._admit(request, read)
        if isinstance(admitted, web.Response):
            return admitted
        grants, opening = admitted
        client = with_user_agent(opening.options.client, request.headers.get(hdrs.USER_AGENT, ""))
        if client is not opening.options.client:
            opening = replace(opening, options=replace(opening.options, client=client))
        settings = self._parts.settings
        ws = web.WebSocketResponse(
            timeout=CLOSE_TIMEOUT_S,
            max_msg_size=settings.max_websocket_message_bytes + 1,  # aiohttp refuses what has this size
            compress=False,
        )
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        wire = Wire(transport, asyncio.get_running_loop())
        try:
            await ws.prepare(request)
        except web.HTTPException:
            wire.leave(transport)
            raise
        await SignalConnection(self._parts, ws, transport, wire, grants, opening).run()
        return ws

    async def _admit(self, request: web.Request, read: _Reader) -> tuple[Grants, Opening] | web.Response:
        """What the request's token grants and what it asks for, or the answer that refuses it."""
        if not self._lifecycle.ready:
            return _plain(503, "the server is not ready")
        try:
            grants = await self._parts.door.check(self._rooms.authorize_join(request_token(request)))
            require_encryption(grants)
            self._rooms.require_room(grants)
            opening = read(request)
            return own_state(grants, opening, self._parts.max_metadata_bytes), opening
        except RequestError as error:
            # SDKs know the sentence of 404: they give up instead of looking for another dialect.
            return _plain(404 if error.code == "unknown_room" else 400, str(error))
        except TokenError as error:
            self._metrics.tokens_refused.labels(error.code).inc()
            return _plain(401, str(error))
        except JoinRequestError as error:
            self._metrics.violations.labels("join_request").inc()
            return _plain(400, str(error))

    def _read_join_request(self, request: web.Request) -> Opening:
        """Raises `JoinRequestError`. Without a join request the query says what it does in v0."""
        parameter = request.query.get("join_request", "")
        if parameter:
            return parse_join_request(parameter, self._parts.settings, self._parts.max_tracks)
        opening = _read_query(request)
        return replace(opening, options=replace(opening.options, single_connection=True))


def _read_query(request: web.Request) -> Opening:
    query = request.query
    return Opening(join_options(query), query.get("sid", "") if _is_set(query, "reconnect") else "")


def join_options(query: Mapping[str, str]) -> JoinOptions:
    """The client's wishes and its description of itself, cut to a sane length."""
    protocol = query.get("protocol", "")
    return JoinOptions(
        auto_subscribe=_is_set(query, "auto_subscribe", default=True),
        auto_subscribe_data_tracks=_is_set(query, "auto_subscribe_data_track"),
        adaptive_stream=_is_set(query, "adaptive_stream"),
        # A picture that stands still beats sound that breaks: who does not say that it must not be gets that.
        allow_pause=_is_set(query, "subscriber_allow_pause", default=True),
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

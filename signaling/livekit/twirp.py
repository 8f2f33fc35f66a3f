"""POST /twirp/livekit.RoomService/{method}: LiveKit's server API over Twirp (protocol v7).

A request is a protobuf message, binary or in its JSON form, with a bearer token; the answer has the encoding of the
request. Every error is JSON: `{"code", "msg"}`, with the HTTP status that belongs to the code. The methods themselves
are in `room_service`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import hdrs, web
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from sfu.errors import RequestError
from signaling import strict_json
from signaling.addresses import ClientAddresses
from signaling.errors import ApiError, DatabaseError, TokenError
from signaling.gate import GateSettings
from signaling.grants import Grants
from signaling.lifecycle import Lifecycle
from signaling.limits import AddressLimiter
from signaling.livekit import room_service
from signaling.livekit.room_service import ServerApi
from signaling.livekit.settings import ServerApiSettings
from signaling.livekit.twirp_errors import STATUS, TwirpError, from_request_error
from signaling.livekit.undone import refuse_undone
from signaling.log.chronicle import CallChronicle
from signaling.metrics import Metrics
from signaling.requests import bearer_token
from signaling.rooms.calls import RoomService
from signaling.rooms.door import Door
from signaling.tokens import TokenService

_log = logging.getLogger("ting.twirp")

SERVICE = "livekit.RoomService"
ABSENT_SERVICES = frozenset(
    f"livekit.{name}"
    for name in ("AgentDispatchService", "Connector", "Egress", "Ingress", "PhoneNumberService", "SIP")
)
"""Of the same protocol. LiveKit's SDKs have clients for them, which want to know why there is no answer."""
_PROTOBUF, _JSON = "application/protobuf", "application/json"
_CORS = {
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "POST, OPTIONS",
    # The wildcard does not cover Authorization (Fetch §3.3.5).
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, *",
    hdrs.ACCESS_CONTROL_MAX_AGE: "86400",
}


class TwirpEndpoint:
    def __init__(
        self,
        lifecycle: Lifecycle,
        gate: GateSettings,
        settings: ServerApiSettings,
        addresses: ClientAddresses,
        limiter: AddressLimiter,
        tokens: TokenService,
        rooms: RoomService,
        metrics: Metrics,
        server_api: ServerApi,
        door: Door,
        chronicle: CallChronicle,
    ) -> None:
        self._lifecycle = lifecycle
        self._body_timeout_s = gate.request_timeout_s
        self._max_body_bytes = settings.max_server_api_body_bytes
        self._addresses = addresses
        self._limiter = limiter
        self._tokens = tokens
        self._rooms = rooms
        self._metrics = metrics
        self._server_api = server_api
        self._door = door
        self._chronicle = chronicle

    async def handle(self, request: web.Request) -> web.Response:
        if request.method == hdrs.METH_OPTIONS:
            return web.Response(status=HTTPStatus.NO_CONTENT, headers=_CORS)
        try:
            response = await self._answer(request)
        except TwirpError as error:
            response = _error_response(error)
        except RequestError as error:
            response = _error_response(from_request_error(error))
        except ConnectionResetError:
            raise
        except Exception:
            _log.exception("a server request failed")
            response = _error_response(TwirpError("internal", "something went wrong here"))
        response.headers.update(_CORS)
        return response

    async def _answer(self, request: web.Request) -> web.Response:
        method = _method(request)
        if not self._lifecycle.ready:
            raise TwirpError("unavailable", "the server is starting or stopping")
        wait_s = self._limiter.take(self._addresses.of(request))
        if wait_s:
            raise TwirpError("resource_exhausted", "too many requests", retry_after_s=wait_s)
        grants = await self._authenticate(request)
        body = await self._read(request)
        message = method.request()
        if request.content_type == _JSON:
            _parse_json(body, message)
            refuse_undone(message)
            answer = await self._carry_out(method, grants, message)
            text = json_format.MessageToJson(
                answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=None
            )
            return web.Response(body=text.encode(), content_type=_JSON)
        try:
            message.ParseFromString(body)
        except DecodeError:
            raise TwirpError("malformed", "the protobuf request could not be decoded") from None
        refuse_undone(message)
        answer = await self._carry_out(method, grants, message)
        return web.Response(body=answer.SerializeToString(), content_type=_PROTOBUF)

    async def _carry_out(self, method: room_service.Method, grants: Grants, message: Message) -> Message:
        """In a room that lasts, what was done stands in its log."""
        answer = await method.handle(self._server_api, grants, message)
        if method.act:
            room, who = getattr(message, "room", ""), getattr(message, "identity", "")
            try:
                await self._chronicle.note_server_act(room, grants.identity, grants.name, method.act, who)
            except (ApiError, DatabaseError):
                _log.error("an act of the server API could not be written down")
        return answer

    async def _authenticate(self, request: web.Request) -> Grants:
        try:
            token = bearer_token(request)
            if token is None:
                raise TokenError("malformed", "invalid authorization header. Must start with Bearer")
            grants = self._tokens.verify(token)
            if self._rooms.is_revoked(grants):
                raise TokenError("revoked", "the participant was removed from the room")
            if grants.door:
                grants = await self._door.check(grants)
        except TokenError as error:
            self._metrics.tokens_refused.labels(error.code).inc()
            raise TwirpError("unauthenticated", str(error)) from None
        return grants

    async def _read(self, request: web.Request) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(self._body_timeout_s):
                while chunk := await request.content.readany():
                    body += chunk
                    if len(body) > self._max_body_bytes:
                        raise TwirpError("malformed", "the request body is too large")
        except TimeoutError:
            raise TwirpError("deadline_exceeded", "the request body took too long") from None
        return bytes(body)


def _method(request: web.Request) -> room_service.Method:
    service, _, name = request.match_info["path"].partition("/")
    if service in ABSENT_SERVICES:
        raise TwirpError("unimplemented", f"{service} is not part of this server")
    method = room_service.METHODS.get(name) if service == SERVICE else None
    if method is None:
        raise _bad_route(request, f'no handler for path "{_printable(request.path)}"')
    if request.method != hdrs.METH_POST:
        raise _bad_route(request, f'unsupported method "{request.method}" (only POST is allowed)')
    if request.content_type not in (_PROTOBUF, _JSON):
        raise _bad_route(request, f'unexpected Content-Type: "{_printable(request.content_type)}"')
    return method


def _bad_route(request: web.Request, text: str) -> TwirpError:
    return TwirpError("bad_route", text, meta={"twirp_invalid_route": f"{request.method} {_printable(request.path)}"})


def _parse_json(body: bytes, message: Message) -> None:
    try:
        value = strict_json.loads(body or b"{}")
        if not isinstance(value, dict):
            raise ValueError
        json_format.ParseDict(value, message, ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError, TypeError):
        raise TwirpError("malformed", "the json request could not be decoded") from None


def _error_response(error: TwirpError) -> web.Response:
    body: dict[str, str | Mapping[str, str]] = {"code": error.code, "msg": str(error)}
    if error.meta:
        body["meta"] = error.meta
    # Without a charset: a client that finds one does not read the code of an error.
    response = web.Response(body=json.dumps(body).encode(), status=STATUS[error.code], content_type=_JSON)
    if error.retry_after_s is not None:
        response.headers[hdrs.RETRY_AFTER] = str(error.retry_after_s)
    return response


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:100])

"""RPC from the server to a participant: PerformRpc of the server API, over the data packets that SDKs know.

The request goes out under a made-up identity, which is the call's id; the participant acknowledges it and answers to
that identity. Codes and texts of errors are those of the SDKs.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError
from livekit.protocol import models

from sfu.api import DataKind, RequestError, Sfu
from sfu.ids import Identity, ParticipantId, RoomName

MAX_METHOD_BYTES = 64
MAX_PAYLOAD_BYTES = 15_360
"""Both are what SDKs accept."""
MAX_ERROR_TEXT = 256
DEFAULT_TIMEOUT_MS = 10_000
_VERSION = 1

CONNECTION_TIMEOUT, RESPONSE_TIMEOUT, RECIPIENT_DISCONNECTED, RESPONSE_TOO_LARGE = 1501, 1502, 1503, 1504
REQUEST_TOO_LARGE = 1402
_TEXTS: Mapping[int, str] = {
    CONNECTION_TIMEOUT: "Connection timeout",
    RESPONSE_TIMEOUT: "Response timeout",
    RECIPIENT_DISCONNECTED: "Recipient disconnected",
    RESPONSE_TOO_LARGE: "Response payload too large",
    REQUEST_TOO_LARGE: "Request payload too large",
}


class RpcError(Exception):
    """`code` as in the SDKs: 1400 to 1599 are built in, others are the application's."""

    def __init__(self, code: int, message: str = "", data: str = "") -> None:
        self.code = code
        self.message = message or _TEXTS.get(code, "")
        self.data = data
        super().__init__(f"RpcError {code}: {self.message}" + (f": {data}" if data else ""))


@dataclass(slots=True)
class _Call:
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)
    """Also set by the answer."""
    answer: str | RpcError | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    def settle(self, answer: str | RpcError) -> None:
        self.answer = answer
        self.acknowledged.set()
        self.answered.set()


class RpcCalls:
    """All calls under way. `ack_timeout_s` is how long a participant may take to say that it heard."""

    def __init__(self, sfu: Sfu, ack_timeout_s: float, max_timeout_s: float, max_calls_per_participant: int) -> None:
        self._sfu = sfu
        self._ack_timeout_s = ack_timeout_s
        self._max_timeout_s = max_timeout_s
        self._max_calls = max_calls_per_participant
        self._calls: dict[ParticipantId, dict[str, _Call]] = {}

    async def perform(self, room: RoomName, identity: Identity, method: str, payload: str, timeout_ms: int = 0) -> str:
        """The answer. Raises `RpcError`; `RequestError` unknown_room, unknown_participant, invalid_request or
        limit_exceeded."""
        if not 0 < len(method.encode()) <= MAX_METHOD_BYTES:
            raise RequestError(f"a method has 1 to {MAX_METHOD_BYTES} bytes", code="invalid_request")
        if len(payload.encode()) > MAX_PAYLOAD_BYTES:
            raise RpcError(REQUEST_TOO_LARGE)
        if self._sfu.find_room(room) is None:
            raise RequestError("no such room", code="unknown_room")
        session = self._sfu.find_participant(room, identity)
        if session is None:
            raise RequestError("no such participant", code="unknown_participant")
        participant_id = session.info.participant_id
        calls = self._calls.setdefault(participant_id, {})
        if len(calls) >= self._max_calls:
            raise RequestError("too many calls of this participant are under way", code="limit_exceeded")
        call_id, call = str(uuid.uuid4()), _Call()
        calls[call_id] = call
        timeout_ms = min(timeout_ms or DEFAULT_TIMEOUT_MS, round(self._max_timeout_s * 1000))
        try:
            self._sfu.send_data(
                room, DataKind.RELIABLE, _request(call_id, identity, method, payload, timeout_ms), [identity]
            )
            return await self._wait(call, timeout_ms / 1000)
        finally:
            calls.pop(call_id, None)
            if not calls:
                self._calls.pop(participant_id, None)

    async def _wait(self, call: _Call, timeout_s: float) -> str:
        late = CONNECTION_TIMEOUT if self._ack_timeout_s < timeout_s else RESPONSE_TIMEOUT
        try:
            async with asyncio.timeout(timeout_s):
                async with asyncio.timeout(self._ack_timeout_s):
                    await call.acknowledged.wait()
                late = RESPONSE_TIMEOUT
                await call.answered.wait()
        except TimeoutError:
            raise RpcError(late) from None
        assert call.answer is not None
        if isinstance(call.answer, RpcError):
            raise call.answer
        return call.answer

    def handle_data(self, participant_id: ParticipantId, payload: bytes) -> bool:
        """Whether the data packet was the participant's part of a call of ours; then it is for nobody else."""
        calls = self._calls.get(participant_id)
        if calls is None:
            return False
        try:
            packet = models.DataPacket.FromString(payload)
        except DecodeError:
            return False
        if packet.HasField("rpc_ack") and packet.rpc_ack.request_id in calls:
            calls[packet.rpc_ack.request_id].acknowledged.set()
            return True
        if packet.HasField("rpc_response") and packet.rpc_response.request_id in calls:
            calls[packet.rpc_response.request_id].settle(_answer(packet.rpc_response))
            return True
        return False

    def handle_left(self, participant_id: ParticipantId) -> None:
        for call in self._calls.get(participant_id, {}).values():
            call.settle(RpcError(RECIPIENT_DISCONNECTED))


def _request(call_id: str, identity: Identity, method: str, payload: str, timeout_ms: int) -> bytes:
    request = models.RpcRequest(
        id=call_id, method=method, payload=payload, response_timeout_ms=timeout_ms, version=_VERSION
    )
    return models.DataPacket(
        kind=models.DataPacket.RELIABLE,
        participant_identity=call_id,
        destination_identities=[identity],
        rpc_request=request,
    ).SerializeToString()


def _answer(response: models.RpcResponse) -> str | RpcError:
    if response.HasField("error"):
        error = response.error
        data = error.data if len(error.data) <= MAX_PAYLOAD_BYTES else ""
        return RpcError(error.code, error.message[:MAX_ERROR_TEXT], data)
    if len(response.payload.encode()) > MAX_PAYLOAD_BYTES:
        return RpcError(RESPONSE_TOO_LARGE)
    return response.payload

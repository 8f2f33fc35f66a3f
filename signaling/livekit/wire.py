"""What a signal connection's socket brings, before aiohttp sees it: pings are answered at once, all else goes on.

A ping by the ordinary way wakes two tasks, sets a timer and goes through a parser, a queue and the dispatcher; with
many idle clients that is most of what the interpreter does. So each connection has a `Wire` between its transport and
aiohttp's protocol (both sides public asyncio). It knows where frames begin (RFC 6455 §5.2) and takes those out that
are nothing but a ping, as long as all that came before has been dealt with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from signaling.livekit.pings import MAX_PING_BYTES, PING_FIRST

_FINAL_BINARY, _MASKED = 0x82, 0x80
_FINAL, _OPCODE, _CONTROL, _LENGTH = 0x80, 0x0F, 0x08, 0x7F
_HEAD_BYTES, _MASK_BYTES, _MAX_HEAD_BYTES = 2, 4, 14
_LONG = {126: 2, 127: 8}
"""Bytes of a longer length, which stands behind the first two bytes."""

OnPing = Callable[[bytes], bool]
"""Gets the payload of what may be a ping; False when it is something else, or has to wait for its turn."""


class Wire(asyncio.Protocol):
    """Install it before the handshake is answered: a client sends frames only after that."""

    __slots__ = ("_fragmented", "_head", "_inner", "_loop", "_rest", "heard_at_s", "messages", "on_ping")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = cast(asyncio.Protocol, transport.get_protocol())
        self._loop = loop
        self._head = b""
        """Of the frame that is coming, as far as it is there; empty between two frames."""
        self._rest = 0
        """Bytes of its payload that are not there yet."""
        self._fragmented = False
        self.messages = 0
        """Whole messages that went on to aiohttp."""
        self.heard_at_s = loop.time()
        """When the last frame was complete. A drip of bytes is no sign of life."""
        self.on_ping: OnPing | None = None
        transport.set_protocol(self)

    def leave(self, transport: asyncio.Transport) -> None:
        """The handshake was refused, and HTTP goes on: the next request shall find things as they were."""
        transport.set_protocol(self._inner)

    def data_received(self, data: bytes) -> None:
        at = 0 if self._head or self._fragmented or self.on_ping is None else self._take_pings(data)
        if at < len(data):
            rest = data[at:] if at else data
            self._follow(rest)
            self._inner.data_received(rest)

    def _take_pings(self, data: bytes) -> int:
        """Where the first frame begins that is no ping."""
        at, end = 0, len(data)
        while at + _HEAD_BYTES + _MASK_BYTES < end and data[at] == _FINAL_BINARY:
            size = data[at + 1] - _MASKED
            begin = at + _HEAD_BYTES + _MASK_BYTES
            if not 0 < size <= MAX_PING_BYTES or begin + size > end or data[begin] ^ data[at + 2] not in PING_FIRST:
                break
            if self.on_ping is None or not self.on_ping(_unmasked(data, begin, size)):
                break
            at = begin + size
        if at:
            self.heard_at_s = self._loop.time()
        return at

    def _follow(self, data: bytes) -> None:
        """Keep track of where frames begin."""
        at, end = 0, len(data)
        while at < end:
            if not self._rest:
                head = self._head + data[at : at + _MAX_HEAD_BYTES - len(self._head)]
                needed = _head_bytes(head)
                if len(head) < needed:
                    self._head = head
                    return
                at += needed - len(self._head)
                self._head, self._rest = head[:needed], _payload_bytes(head)
            taken = min(self._rest, end - at)
            self._rest -= taken
            at += taken
            if not self._rest:
                self._end_frame()

    def _end_frame(self) -> None:
        first, self._head = self._head[0], b""
        is_final = first >= _FINAL
        if not first & _CONTROL:
            self._fragmented = not is_final
            self.messages += is_final
        if is_final:
            self.heard_at_s = self._loop.time()

    # --- all that aiohttp has to hear of the transport --------------------------------------------------------

    def connection_lost(self, error: Exception | None) -> None:
        self.on_ping = None
        self._inner.connection_lost(error)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


def _unmasked(data: bytes, begin: int, size: int) -> bytes:
    """The payload at `begin`, whose masking key stands in front of it (RFC 6455 §5.3)."""
    key = data[begin - _MASK_BYTES : begin] * (size // _MASK_BYTES + 1)
    return (int.from_bytes(data[begin : begin + size]) ^ int.from_bytes(key[:size])).to_bytes(size)


def _head_bytes(head: bytes) -> int:
    """Of the whole head; too few when not even the first two bytes of it are there."""
    if len(head) < _HEAD_BYTES:
        return _HEAD_BYTES
    return _HEAD_BYTES + _LONG.get(head[1] & _LENGTH, 0) + (_MASK_BYTES if head[1] & _MASKED else 0)


def _payload_bytes(head: bytes) -> int:
    length = head[1] & _LENGTH
    return int.from_bytes(head[2 : 2 + _LONG[length]]) if length in _LONG else length

"""The way out of one signal connection: straight to the socket, or a bounded queue and the one task that writes.

Whoever puts a message in never waits. What the socket takes at once needs no task. A reader that is too slow fills the
queue, and then loses its connection.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque

from aiohttp import WSCloseCode, web

CLOSE_TIMEOUT_S = 2.0
"""How long a client may take to receive what is queued and the close frame."""
_MAX_UNSENT_BYTES = 32 * 1024
"""What may wait in the socket's own buffer: half of what makes a writer wait."""
_PING_FRAME = b"\x89\x00"
_TEXT, _BINARY = 0x81, 0x82
"""First bytes of whole frames."""


class Outbox:
    def __init__(
        self, ws: web.WebSocketResponse, transport: asyncio.Transport, max_messages: int, max_bytes: int
    ) -> None:
        self._ws = ws
        self._transport = transport
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._queue: deque[bytes | str] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._is_idle = False
        """Nothing waits, and the task waits for something: who comes now is next."""
        self._closing: tuple[int, bytes] | None = None
        self._abort_timer: asyncio.TimerHandle | None = None

    @property
    def is_closing(self) -> bool:
        return self._closing is not None

    def put(self, data: bytes | str) -> bool:
        """Queue one frame. False when the queue is full: then nothing more is sent, and the connection closes."""
        if self._closing is not None:
            return True
        if self._is_idle and self._write(data):
            return True
        size = len(data)
        if len(self._queue) >= self._max_messages or self._queued_bytes + size > self._max_bytes:
            self._queue.clear()
            self.close(WSCloseCode.TRY_AGAIN_LATER, b"too slow")
            return False
        self._queue.append(data)
        self._queued_bytes += size
        self._notify()
        return True

    def _write(self, data: bytes | str) -> bool:
        """Whether the socket, which had sent nearly all that it had, has taken it as a frame (RFC 6455 §5.2)."""
        transport = self._transport
        if self._ws.closed or transport.is_closing() or transport.get_write_buffer_size() > _MAX_UNSENT_BYTES:
            return False
        transport.write(_frame(data))
        return True

    def _notify(self) -> None:
        self._is_idle = False
        self._wake.set()

    def ping(self) -> None:
        """A WebSocket ping; none where the client takes nothing, or there is a goodbye on its way."""
        if self._is_idle and not self._transport.is_closing() and not self._transport.get_write_buffer_size():
            self._transport.write(_PING_FRAME)

    def close(self, code: int, message: bytes = b"") -> None:
        """Close after what is queued; the first call decides. A client that takes too long is cut off."""
        if self._closing is None:
            self._closing = (code, message)
            self._notify()
            self._abort_timer = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self.abort)

    def abort(self) -> None:
        """Cut the TCP connection."""
        self._transport.abort()

    async def run(self) -> None:
        """Write until `close` was called and everything queued is out, or the client is gone."""
        try:
            while await self._send_next():
                pass
        except ConnectionError:
            self.close(WSCloseCode.ABNORMAL_CLOSURE)  # the reader sees that the client is gone, too
        finally:
            self._is_idle = False
            self._queue.clear()

    async def finish(self) -> None:
        """The closing handshake (RFC 6455 §7.1.2), after `run` and when nobody else reads the WebSocket."""
        assert self._closing is not None
        code, message = self._closing
        try:
            await self._ws.close(code=code, message=message)
        except ConnectionError:
            pass
        finally:
            self.stop()

    def stop(self) -> None:
        """Forget the timer; the connection is over."""
        if self._abort_timer is not None:
            self._abort_timer.cancel()

    async def _send_next(self) -> bool:
        while not self._queue:
            if self._closing is not None:
                return False
            self._wake.clear()
            self._is_idle = True
            await self._wake.wait()
        data = self._queue.popleft()
        self._queued_bytes -= len(data)
        if isinstance(data, bytes):
            await self._ws.send_bytes(data)
        else:
            await self._ws.send_str(data)
        return True


def _frame(data: bytes | str) -> bytes:
    opcode, payload = (_BINARY, data) if isinstance(data, bytes) else (_TEXT, data.encode())
    size = len(payload)
    if size < 126:
        return bytes((opcode, size)) + payload
    if size < 65_536:
        return struct.pack("!BBH", opcode, 126, size) + payload
    return struct.pack("!BBQ", opcode, 127, size) + payload

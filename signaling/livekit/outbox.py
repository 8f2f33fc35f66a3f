"""The way out of one signal connection: a bounded queue and the one task that writes.

Whoever puts a message in never waits. A reader that is too slow fills the queue, and then loses its connection.
"""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp import WSCloseCode, web

CLOSE_TIMEOUT_S = 2.0
"""How long a client may take to receive what is queued and the close frame."""


class Outbox:
    def __init__(
        self, ws: web.WebSocketResponse, transport: asyncio.Transport | None, max_messages: int, max_bytes: int
    ) -> None:
        self._ws = ws
        self._transport = transport
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._queue: deque[bytes | str] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._closing: tuple[int, bytes] | None = None
        self._abort_timer: asyncio.TimerHandle | None = None

    @property
    def is_closing(self) -> bool:
        return self._closing is not None

    def put(self, data: bytes | str) -> bool:
        """Queue one frame. False when the queue is full: then nothing more is sent, and the connection closes."""
        if self._closing is not None:
            return True
        size = len(data)
        if len(self._queue) >= self._max_messages or self._queued_bytes + size > self._max_bytes:
            self._queue.clear()
            self.close(WSCloseCode.TRY_AGAIN_LATER, b"too slow")
            return False
        self._queue.append(data)
        self._queued_bytes += size
        self._wake.set()
        return True

    def close(self, code: int, message: bytes = b"") -> None:
        """Close after what is queued; the first call decides. A client that takes too long is cut off."""
        if self._closing is None:
            self._closing = (code, message)
            self._wake.set()
            self._abort_timer = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self.abort)

    def abort(self) -> None:
        """Cut the TCP connection."""
        if self._transport is not None:
            self._transport.abort()

    async def run(self) -> None:
        """Write until `close` was called and everything queued is out, or the client is gone."""
        try:
            while await self._send_next():
                pass
        except ConnectionError:
            self.close(WSCloseCode.ABNORMAL_CLOSURE)  # the reader sees that the client is gone, too
        finally:
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
            await self._wake.wait()
        data = self._queue.popleft()
        self._queued_bytes -= len(data)
        if isinstance(data, bytes):
            await self._ws.send_bytes(data)
        else:
            await self._ws.send_str(data)
        return True

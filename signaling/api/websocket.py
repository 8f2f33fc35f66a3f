"""WebSocket frames, for what is sent to many at once."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import WSMsgType, web


async def send_texts(
    ws: web.WebSocketResponse, transport: asyncio.Transport, texts: list[bytes], timeout_s: float
) -> None:
    """One message for each of `texts`. Who is gone, or reads nothing for `timeout_s`, does not get them."""
    if not ws.closed and not transport.is_closing() and not transport.get_write_buffer_size():
        # As long as the client keeps up, what waits for it goes out in one system call.
        transport.write(b"".join(map(text_frame, texts)))
        return
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(timeout_s):
            for text in texts:
                await ws.send_frame(text, WSMsgType.TEXT)


def text_frame(text: bytes) -> bytes:
    """A whole message of a server: RFC 6455, section 5.2, unmasked and without extensions."""
    size = len(text)
    if size < 126:
        return bytes((0x81, size)) + text
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + text
    return b"\x81\x7f" + size.to_bytes(8, "big") + text

"""What the way out of a signal connection does beside aiohttp, on a real connection."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.test_utils import TestServer

from signaling.livekit.outbox import Outbox

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: ting\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def test_nothing_follows_the_close_frame_of_aiohttp() -> None:
    """It closes by itself what sends too much, for one."""
    put: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def serve(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(timeout=1.0)
        await ws.prepare(request)
        assert request.transport is not None
        outbox = Outbox(ws, request.transport, 10, 1000)
        writing = asyncio.create_task(outbox.run())
        await asyncio.sleep(0)
        outbox.put(b"before")
        closing = asyncio.create_task(ws.close(code=1009))
        await asyncio.sleep(0)
        put.set_result(outbox.put(b"after"))
        await closing
        outbox.close(1009)
        await writing
        outbox.stop()
        return ws

    app = web.Application()
    app.router.add_get("/", serve)
    async with TestServer(app) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        # The server waits for our close frame in vain, then hangs up.
        frames = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    assert put.done()
    assert frames == b"\x82\x06before" + b"\x88\x02" + (1009).to_bytes(2)

"""A WebSocket proxy in front of `/rtc` and `/rtc/v1` that changes what client and server say to each other.

With it a test stands where the network stands: take away candidates, or send media through a relay. And it asks for
what the SDK has no option for.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import aiohttp
import aiohttp.web
from livekit.protocol import rtc


class SignalProxy:
    """`rewrite` gets every description from the server and gives what the client shall see; `edit` may change what the
    client asks."""

    def __init__(
        self,
        target: str,
        rewrite: Callable[[str], str] = lambda sdp: sdp,
        edit: Callable[[rtc.SignalRequest], None] = lambda request: None,
    ) -> None:
        self.url = ""
        self._target = target
        self._rewrite = rewrite
        self._edit = edit
        self._clients: set[aiohttp.web.WebSocketResponse] = set()
        self._mended = asyncio.Event()
        self._mended.set()
        self._runner: aiohttp.web.AppRunner | None = None

    async def start(self) -> SignalProxy:
        app = aiohttp.web.Application()
        for path in ("/rtc", "/rtc/v1"):
            app.router.add_get(path, self._proxy)
        self._runner = aiohttp.web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        site = aiohttp.web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def cut(self) -> None:
        """Break every connection; new ones wait for `mend`."""
        self._mended.clear()
        await asyncio.gather(*(client.close() for client in list(self._clients)))

    def mend(self) -> None:
        self._mended.set()

    async def _proxy(self, request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        headers = {"Authorization": request.headers["Authorization"]} if "Authorization" in request.headers else {}
        await self._mended.wait()
        async with aiohttp.ClientSession(headers=headers) as http:
            try:
                server = await http.ws_connect(f"{self._target}{request.rel_url}", max_msg_size=0)
            except aiohttp.WSServerHandshakeError as error:
                return aiohttp.web.Response(status=error.status)
            client = aiohttp.web.WebSocketResponse(max_msg_size=0)
            try:
                await client.prepare(request)
            except ConnectionError:
                # The client is gone, as a test may want; nothing is left to answer to.
                await server.close()
                return client
            self._clients.add(client)
            up = asyncio.create_task(self._pump(client, server, self._change_request))
            down = asyncio.create_task(self._pump(server, client, self._change_response))
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            self._clients.discard(client)
            await asyncio.gather(client.close(), server.close())
            await asyncio.gather(up, down)
            return client

    def _change_request(self, data: bytes) -> bytes:
        request = rtc.SignalRequest.FromString(data)
        self._edit(request)
        return request.SerializeToString()

    def _change_response(self, data: bytes) -> bytes | None:
        response = rtc.SignalResponse.FromString(data)
        kind = response.WhichOneof("message")
        if kind == "trickle":
            return self._change_candidate(response)
        if kind not in ("offer", "answer"):
            return data
        description = getattr(response, kind)
        description.sdp = self._rewrite(description.sdp)
        return response.SerializeToString()

    def _change_candidate(self, response: rtc.SignalResponse) -> bytes | None:
        """One that comes by itself is as good as a line of a description."""
        candidate = json.loads(response.trickle.candidateInit)
        line = self._rewrite(f"a={candidate['candidate']}")
        if not line:
            return None
        candidate["candidate"] = line.removeprefix("a=")
        response.trickle.candidateInit = json.dumps(candidate)
        return response.SerializeToString()

    @staticmethod
    async def _pump(source: object, sink: object, change: Callable[[bytes], bytes | None]) -> None:
        async for message in source:  # type: ignore[attr-defined]
            if message.type is aiohttp.WSMsgType.BINARY and not sink.closed:  # type: ignore[attr-defined]
                changed = change(message.data)
                if changed is not None:
                    await sink.send_bytes(changed)  # type: ignore[attr-defined]


def without_udp(sdp: str) -> str:
    """The description as it is where UDP does not get through: no UDP candidates."""
    lines = sdp.split("\r\n")
    return "\r\n".join(
        line for line in lines if not (line.startswith("a=candidate:") and line.split(" ")[2].lower() == "udp")
    )

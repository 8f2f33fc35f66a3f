"""A real server on loopback around a fake SFU, and a client that speaks the LiveKit protocol over a WebSocket."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import hypothesis
from aiohttp import web
from google.protobuf import json_format
from livekit.protocol import rtc

from signaling.app import SERVICES, create_app, create_listener
from signaling.config import Settings, load_settings
from signaling.grants import Grants
from signaling.listener import Listener
from signaling.rooms.calls import RoomService
from signaling.services import Services
from signaling.tokens import TokenService
from tests.signaling.fake_sfu import FakeSfu

KEY = "testkey"
SECRET = "a-secret-for-tests-of-more-than-32-bytes"
DEADLINE_S = 20.0

relaxed = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
"""For machines that are busy with other things."""


def make_settings(**changes: Any) -> Settings:
    # A client of these tests that does not read for a while sends no pongs either.
    changes = {"seal_silent_s": 60.0, **changes}
    flags = {name: value if isinstance(value, bool) else str(value) for name, value in changes.items()}
    return load_settings({"port": "0", "rtc_tcp_port": "0", **flags}, {"TING_KEYS": f"{KEY}: {SECRET}"})


class Server:
    def __init__(self, listener: Listener, app: web.Application, sfu: FakeSfu) -> None:
        self.listener = listener
        self.app = app
        self.services: Services = app[SERVICES]
        self.sfu = sfu
        self.url = listener.url
        self.ws_url = "ws" + listener.url.removeprefix("http")
        self.http = aiohttp.ClientSession()

    @property
    def rooms(self) -> RoomService:
        return self.services.rooms

    @property
    def tokens(self) -> TokenService:
        return self.services.tokens

    def token(self, identity: str = "alice", room: str = "lobby", **grants: Any) -> str:
        return self.tokens.issue(Grants(identity=identity, room=room, room_join=True, **grants), 600)

    async def connect(
        self, token: str | None = None, *, text: bool = False, header: bool = False, **parameters: str
    ) -> Client:
        token = self.token() if token is None else token
        query = {"auto_subscribe": "1", "protocol": "17", "sdk": "js", "version": "2.23.0", **parameters}
        headers = {"Authorization": f"Bearer {token}"} if header else {}
        if not header:
            query["access_token"] = token
        ws = await self.http.ws_connect(
            f"{self.ws_url}/rtc", params=query, headers=headers, max_msg_size=0, autoping=True
        )
        return Client(ws, text)

    async def join(self, identity: str = "alice", room: str = "lobby", **options: Any) -> Client:
        """Connect and take in the join response and the first offer."""
        grants = options.pop("grants", {})
        client = await self.connect(self.token(identity, room, **grants), **options)
        client.join_response = (await client.expect("join")).join
        await client.expect("offer")
        return client

    def value(self, name: str, **labels: str) -> float:
        return self.services.metrics.registry.get_sample_value(name, labels) or 0.0


class Client:
    def __init__(self, ws: aiohttp.ClientWebSocketResponse, text: bool) -> None:
        self.ws = ws
        self.text = text
        self.join_response = rtc.JoinResponse()

    @property
    def sid(self) -> str:
        return self.join_response.participant.sid

    async def send(self, **message: Any) -> None:
        request = rtc.SignalRequest(**message)
        if self.text:
            await self.ws.send_str(json_format.MessageToJson(request))
        else:
            await self.ws.send_bytes(request.SerializeToString())

    async def receive(self) -> rtc.SignalResponse:
        message = await self.ws.receive(timeout=DEADLINE_S)
        if message.type is aiohttp.WSMsgType.BINARY:
            return rtc.SignalResponse.FromString(message.data)
        if message.type is aiohttp.WSMsgType.TEXT:
            return json_format.Parse(message.data, rtc.SignalResponse())
        raise AssertionError(f"no message but {message.type!r} {message.data!r} {self.ws.close_code}")

    async def expect(self, name: str) -> rtc.SignalResponse:
        """The next message, which must be of this kind."""
        response = await self.receive()
        assert response.WhichOneof("message") == name, response
        return response

    async def wait_for(self, name: str) -> rtc.SignalResponse:
        """The next message of this kind; others before it are skipped."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                response = await self.receive()
                if response.WhichOneof("message") == name:
                    return response

    async def closed(self) -> int:
        """Take in everything up to the close frame; its code."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                message = await self.ws.receive()
                if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                    return self.ws.close_code or 0

    async def ping(self) -> None:
        """A round trip through the server's dispatcher."""
        stamp = time.monotonic_ns()
        await self.send(ping_req=rtc.Ping(timestamp=stamp))
        while (await self.wait_for("pong_resp")).pong_resp.last_ping_timestamp != stamp:
            pass


@asynccontextmanager
async def running(sfu: FakeSfu | None = None, **changes: Any) -> AsyncIterator[Server]:
    data = tempfile.TemporaryDirectory(prefix="ting-")
    settings = make_settings(**{"data_dir": data.name, **changes})
    sfu = sfu or FakeSfu()
    app = create_app(settings, sfu)
    listener = create_listener(app, settings)
    await listener.start()
    server = Server(listener, app, sfu)
    try:
        yield server
    finally:
        await server.http.close()
        await listener.stop()
        data.cleanup()


async def eventually(condition: Callable[[], object], what: str = "the condition") -> None:
    """Wait until the condition holds, by looking each time the loop has been around."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true"
        await asyncio.sleep(0.005)


class Bystander:
    """A call in another room that must not notice anything: it pings all the time."""

    def __init__(self) -> None:
        self.round_trips_s: list[float] = []


@asynccontextmanager
async def bystander(server: Server) -> AsyncIterator[Bystander]:
    """Fails when a ping of the bystander is not answered in time, or never got through while the block ran."""
    watch = Bystander()
    client = await server.join("bystander", "quiet-room")
    await client.ping()

    async def ping_on() -> None:
        while True:
            begin = time.monotonic()
            await client.ping()
            watch.round_trips_s.append(time.monotonic() - begin)
            await asyncio.sleep(0.02)

    pinging = asyncio.create_task(ping_on())
    try:
        yield watch
        seen = len(watch.round_trips_s)
        await eventually(lambda: pinging.done() or len(watch.round_trips_s) > seen, "a pong after the attack")
        if pinging.done():
            pinging.result()
        assert max(watch.round_trips_s) < 1.0, "the bystander had to wait"
    finally:
        pinging.cancel()
        await asyncio.gather(pinging, return_exceptions=True)

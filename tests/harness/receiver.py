"""A receiver of webhooks on loopback: keeps what came, answers as it is told."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from livekit import api
from livekit.protocol.webhook import WebhookEvent

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: str
    at_s: float


class Receiver:
    """`answers` are used up one per request; after them every request gets 200."""

    def __init__(self, key: str, secret: str) -> None:
        self.requests: list[Received] = []
        self.answers: deque[Answer] = deque()
        self.default: Answer = status(200)
        self.port = 0
        self._verifier = api.WebhookReceiver(api.TokenVerifier(key, secret))
        self._runner: web.ServerRunner | None = None

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def verified(self, path: str = "/hook") -> list[WebhookEvent]:
        """What came to this path, read and its signature checked by the `livekit-api` package."""
        return [
            self._verifier.receive(one.body, one.headers["Authorization"])
            for one in self.requests
            if one.path == path and one.method == "POST"
        ]

    def names(self, path: str = "/hook") -> list[str]:
        return [event.event for event in self.verified(path)]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = (await request.read()).decode()
        self.requests.append(Received(request.method, request.path, dict(request.headers), body, time.monotonic()))
        answer = self.answers.popleft() if self.answers else self.default
        return await answer(request)  # type: ignore[arg-type]


def status(code: int, **headers: str) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


async def never(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)


@asynccontextmanager
async def receiving(key: str, secret: str) -> AsyncIterator[Receiver]:
    receiver = Receiver(key, secret)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()


def targets(*tables: dict[str, Any]) -> str:
    """For the setting `webhooks` as text."""
    return json.dumps(tables)

"""The paths of LiveKit's protocol. What answers there is loaded, with all of the protocol's messages, with the first
request or warm-up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Handler


class SignalHandlers(Protocol):
    """Of endpoint.py."""

    async def rtc(self, request: web.Request) -> web.StreamResponse: ...
    async def validate_rtc(self, request: web.Request) -> web.Response: ...
    async def rtc_v1(self, request: web.Request) -> web.StreamResponse: ...
    async def validate_rtc_v1(self, request: web.Request) -> web.Response: ...


class ServerApiHandler(Protocol):
    """Of twirp.py."""

    async def handle(self, request: web.Request) -> web.Response: ...


@dataclass(frozen=True, slots=True)
class LiveKitHandlers:
    signal: SignalHandlers
    server_api: ServerApiHandler


class LiveKitRoutes:
    """`create` loads and makes them. It runs once, in a worker thread, or again after it failed; whoever comes
    meanwhile waits for the same."""

    def __init__(self, create: Callable[[], LiveKitHandlers]) -> None:
        self._create = create
        self._created: asyncio.Task[LiveKitHandlers] | None = None

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/rtc", self._late(lambda these: these.signal.rtc), allow_head=False)
        router.add_get("/rtc/validate", self._late(lambda these: these.signal.validate_rtc), allow_head=False)
        router.add_get("/rtc/v1", self._late(lambda these: these.signal.rtc_v1), allow_head=False)
        router.add_get("/rtc/v1/validate", self._late(lambda these: these.signal.validate_rtc_v1), allow_head=False)
        # Clients that put a URL with a final slash before the path send two slashes.
        router.add_route("*", "/{slashes:/*}twirp/{path:.*}", self._late(lambda these: these.server_api.handle))

    async def load(self) -> LiveKitHandlers:
        if self._created is None or (self._created.done() and self._created.exception() is not None):
            self._created = asyncio.create_task(asyncio.to_thread(self._create))
        return self._created.result() if self._created.done() else await asyncio.shield(self._created)

    def _late(self, of: Callable[[LiveKitHandlers], Callable[[web.Request], Awaitable[web.StreamResponse]]]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await of(await self.load())(request)

        return handle

"""What only calls need is loaded when the first one is in sight, in a worker thread: a server that nobody uses stays
small, and nobody's call waits for another one's import."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sfu.api import Sfu
from signaling.errors import ApiError, DatabaseError
from signaling.requests import request_token
from signaling.revocations import Revocations

_log = logging.getLogger("ting")
_IDLE_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""What is asked of a server that nobody uses."""
RETRY_AFTER_S = 5


class WarmUp:
    """`load_protocol` loads what answers LiveKit's clients; `on_loaded` is called when everything is there."""

    def __init__(self, sfu: Sfu, revocations: Revocations) -> None:
        self._sfu = sfu
        self._revocations = revocations
        self._tokens: asyncio.Task[None] | None = None
        self._calls: asyncio.Task[None] | None = None
        self._closed = False
        self.load_protocol: Callable[[], Awaitable[object]] = _nothing
        self.on_loaded: Callable[[], None] = lambda: None

    @property
    def begun(self) -> bool:
        return self._tokens is not None

    def begin(self) -> None:
        """Once, or again what failed: the database was not there, or something could not be loaded."""
        if self._tokens is None or _has_failed(self._tokens):
            if self._closed:
                raise ApiError("unavailable", "The server is stopping.", retry_after_s=RETRY_AFTER_S)
            self._tokens = asyncio.create_task(self._load())
            self._tokens.add_done_callback(self._go_on)
        elif self._calls is not None and _has_failed(self._calls):
            self._go_on(self._tokens)

    async def tokens_ready(self) -> None:
        """Returns when tokens can be checked, also for who was put out before. Raises `DatabaseError`."""
        self.begin()
        assert self._tokens is not None
        if not self._tokens.done():
            await asyncio.shield(self._tokens)

    async def close(self) -> None:
        """Nothing is begun any more. A database that is being opened is waited for, `database_timeout_s` at most."""
        self._closed = True
        if self._calls is not None:
            self._calls.cancel()
        if self._tokens is not None:
            await asyncio.wait({self._tokens})

    async def _load(self) -> None:
        await asyncio.to_thread(importlib.import_module, "signaling.signatures")
        await self._revocations.start()

    def _go_on(self, loaded: asyncio.Task[None]) -> None:
        if self._closed or loaded.cancelled():
            return
        if (error := loaded.exception()) is not None:
            _log.error("tokens cannot be checked: %s", error if isinstance(error, DatabaseError) else repr(error))
        else:
            self._calls = asyncio.create_task(self._prepare())
            self._calls.add_done_callback(_report)

    async def _prepare(self) -> None:
        await self.load_protocol()
        await self._sfu.prepare()
        self.on_loaded()


def _has_failed(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def _report(prepared: asyncio.Task[None]) -> None:
    if _has_failed(prepared):
        _log.error("what calls need cannot be loaded: %r", prepared.exception())


async def _nothing() -> None:
    pass


def warming_up(warm_up: WarmUp) -> Middleware:
    """A page is answered at once, since its call is still to come; whoever brings or wants a token waits."""

    @web.middleware
    async def begin(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _IDLE_PATHS:
            return await handler(request)
        warm_up.begin()
        if request.method == "POST" or request_token(request):
            try:
                await warm_up.tokens_ready()
            except DatabaseError:
                raise ApiError("unavailable", "The database cannot be reached.", retry_after_s=RETRY_AFTER_S) from None
        return await handler(request)

    return begin

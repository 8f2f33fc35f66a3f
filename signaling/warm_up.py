"""What only calls need is loaded when the first one is in sight, in a worker thread: a server that nobody uses stays
small, and nobody's call waits for another one's import."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable
from types import ModuleType

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sfu.api import Sfu
from signaling.requests import request_token

_log = logging.getLogger("ting")
_IDLE_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""What is asked of a server that nobody uses."""


class WarmUp:
    """Begins with the first `begin`, once. `on_loaded` is called when everything is there."""

    def __init__(self, sfu: Sfu) -> None:
        self._sfu = sfu
        self._tokens: asyncio.Task[ModuleType] | None = None
        self._calls: asyncio.Task[None] | None = None
        self.on_loaded: Callable[[], None] = lambda: None

    def begin(self) -> asyncio.Task[ModuleType]:
        """Done when tokens can be checked without a pause; what calls need comes after that."""
        if self._tokens is None:
            loading = asyncio.to_thread(importlib.import_module, "signaling.signatures")
            self._tokens = asyncio.create_task(loading)
            self._calls = asyncio.create_task(self._prepare(self._tokens))
        return self._tokens

    async def close(self) -> None:
        if self._calls is not None:
            self._calls.cancel()
            await asyncio.gather(self._calls, return_exceptions=True)

    async def _prepare(self, tokens: asyncio.Task[ModuleType]) -> None:
        try:
            await asyncio.shield(tokens)
            await self._sfu.prepare()
        except Exception:
            _log.exception("what calls need could not be loaded")
        self.on_loaded()


def warming_up(warm_up: WarmUp) -> Middleware:
    """A page is answered at once, since its call is still to come; whoever brings or wants a token waits."""

    @web.middleware
    async def begin(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in _IDLE_PATHS:
            loading = warm_up.begin()
            if not loading.done() and (request.method == "POST" or request_token(request)):
                await asyncio.shield(loading)
        return await handler(request)

    return begin

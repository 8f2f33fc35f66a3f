"""/healthz: the process answers. /readyz: it takes calls; 503 while it starts or stops."""

from __future__ import annotations

from aiohttp import web

from signaling.lifecycle import Lifecycle


class HealthEndpoint:
    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/healthz", _healthz)
        router.add_get("/readyz", self._readyz)

    async def _readyz(self, request: web.Request) -> web.Response:
        status = 200 if self._lifecycle.ready else 503
        return web.Response(status=status, text=f"{self._lifecycle.phase.value}\n")


async def _healthz(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")

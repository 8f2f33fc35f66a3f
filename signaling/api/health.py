"""/healthz: the process answers. /readyz: it takes calls; 503 while it starts or stops, and until a node of a cluster
has come into its registry."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from signaling.lifecycle import NOT_IN_CLUSTER, Lifecycle


class HealthEndpoint:
    def __init__(self, lifecycle: Lifecycle, is_in_cluster: Callable[[], bool]) -> None:
        self._lifecycle = lifecycle
        self._is_in_cluster = is_in_cluster

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/healthz", _healthz)
        router.add_get("/readyz", self._readyz)

    async def _readyz(self, request: web.Request) -> web.Response:
        if self._lifecycle.ready and not self._is_in_cluster():
            return web.Response(status=503, text=f"{NOT_IN_CLUSTER}\n")
        status = 200 if self._lifecycle.ready else 503
        return web.Response(status=status, text=f"{self._lifecycle.phase.value}\n")


async def _healthz(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")

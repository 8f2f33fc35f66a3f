"""/healthz: the process answers. /readyz: it takes calls; 503 while it starts or stops."""

from __future__ import annotations

from aiohttp import web

from signaling.services import SERVICES, Phase


def add_routes(app: web.Application) -> None:
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)


async def healthz(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    phase = request.app[SERVICES].phase
    return web.Response(status=200 if phase is Phase.READY else 503, text=f"{phase.value}\n")

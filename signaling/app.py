"""The aiohttp application: what `ting serve` runs and what tests run.

`create_app` hangs the parts of `services` into it. The application starts the SFU when it starts and, when it stops,
tells every call to leave. `create_listener` makes what opens the port, with the gate in front.
"""

from __future__ import annotations

from aiohttp import web

from sfu.api import Sfu
from signaling.config import Settings
from signaling.endpoints import create_endpoints, create_web_app
from signaling.lifecycle import Phase
from signaling.listener import Listener
from signaling.services import Services, create_middlewares, create_services

SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
"""For the start and the stop, and for tests; what answers requests was given its own parts."""
_SHUTDOWN_TIMEOUT_S: web.AppKey[float] = web.AppKey("shutdown_timeout_s", float)
_MAX_LINE_BYTES = 16_384
"""Request line and each header field, beside what travels in the request line: token and join request."""


def create_app(settings: Settings, sfu: Sfu) -> web.Application:
    """The application around an SFU that is not started yet."""
    services = create_services(settings, sfu)
    app = web.Application(middlewares=create_middlewares(services), client_max_size=settings.api.max_body_bytes)
    app[SERVICES] = services
    web_app = create_web_app(settings, services)
    for endpoint in (*create_endpoints(settings, services), web_app):
        endpoint.add_routes(app.router)
    app.on_response_prepare.append(web_app.add_security_headers)
    app.on_response_prepare.append(services.sessions.add_cookies)
    app[_SHUTDOWN_TIMEOUT_S] = settings.listener.shutdown_timeout_s
    app.on_startup.append(_start)
    app.on_shutdown.append(_shut_down)
    app.on_cleanup.append(_release)
    return app


def create_listener(app: web.Application, settings: Settings) -> Listener:
    services = app[SERVICES]
    return Listener(
        app,
        settings.listener,
        services.gate,
        services.lifecycle,
        max_line_bytes=_MAX_LINE_BYTES + settings.tokens.max_token_bytes + settings.signal.max_join_request_url_bytes,
        handshake_timeout_s=settings.gate.request_timeout_s,
        access_log=settings.logs.access_log,
    )


async def _start(app: web.Application) -> None:
    services = app[SERVICES]
    await services.key_sets.start()
    if await services.storage.start():
        await services.revocations.start()
    services.sfu.add_listener(services.metrics.handle)
    services.sfu.add_listener(services.lasting.calls.handle)
    services.sfu.add_listener(services.lasting.spotlights.handle)
    services.sfu.add_listener(services.lasting.breakouts.handle)
    if services.webhooks is not None:
        await services.webhooks.start()
        services.sfu.add_listener(services.webhooks.handle)
    await services.files.start()
    await services.sfu.start()
    if services.cluster is not None:
        await services.cluster.start()
    services.lasting.sweeper.start()
    await services.lasting.hooks.start()
    services.lifecycle.phase = Phase.READY


async def _shut_down(app: web.Application) -> None:
    """End every session with server_shutdown, give the goodbyes time to leave, cut what is left."""
    services = app[SERVICES]
    services.lifecycle.phase = Phase.DRAINING
    if services.cluster is not None:
        services.cluster.drain()
    await services.warm_up.close()
    services.lasting.live.shut_down()
    await services.lasting.breakouts.stop()
    await services.sfu.close()
    await services.connections.shut_down(app[_SHUTDOWN_TIMEOUT_S])


async def _release(app: web.Application) -> None:
    """Also after a start that failed half-way."""
    services = app[SERVICES]
    if services.cluster is not None:
        await services.cluster.close()
    await services.key_sets.close()
    if services.webhooks is not None:
        await services.webhooks.close()
    await services.lasting.hooks.close()
    await services.lasting.sweeper.close()
    await services.lasting.chat.close()
    await services.lasting.calls.close()
    await services.lasting.log.close()
    if services.accounts is not None:
        await services.accounts.close()
    await services.files.close()
    await services.revocations.close()
    await services.storage.close()

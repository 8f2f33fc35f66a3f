"""The aiohttp application: what `ting serve` runs and what tests run.

`create_app` wires services and routes. The application starts the SFU when it starts and, when it stops, tells every
call to leave. `listen` opens the port with the gate in front.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable

from aiohttp import WSCloseCode, hdrs, web

from sfu.api import BindError, Sfu
from signaling import logs
from signaling.api import health, metrics, rooms
from signaling.api import web as web_app
from signaling.config import Settings
from signaling.errors import ApiError
from signaling.gate import Gate
from signaling.livekit import endpoint, twirp
from signaling.services import SERVICES, Phase, create_services
from signaling.whip import endpoint as whip
from signaling.whip import whep

_log = logging.getLogger("ting")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_KEEPALIVE_S = 75.0
"""How long an idle HTTP connection stays open after a request."""
_MAX_LINE_BYTES = 16_384
"""Request line and each header field, beside what travels in the request line: token and join request."""
_CLIENT_GONE = 499
"""For the log and the metrics only; no client ever gets it."""


def create_app(settings: Settings, sfu: Sfu) -> web.Application:
    """The application around an SFU that is not started yet."""
    app = web.Application(middlewares=[_answer_errors, _fetch_keys], client_max_size=settings.max_body_bytes)
    app[SERVICES] = create_services(settings, sfu)
    endpoint.add_routes(app)
    twirp.add_routes(app)
    whip.add_routes(app)
    whep.add_routes(app)
    health.add_routes(app)
    metrics.add_routes(app)
    rooms.add_routes(app)
    web_app.add_routes(app)
    app.on_response_prepare.append(web_app.add_security_headers)
    app.on_startup.append(_start)
    app.on_shutdown.append(_shut_down)
    app.on_cleanup.append(_release)
    return app


async def _start(app: web.Application) -> None:
    services = app[SERVICES]
    await services.key_sets.start()
    await services.database.open()
    await services.revocations.start()
    await services.webhooks.start()
    services.sfu.add_listener(services.metrics.handle)
    if services.webhooks.configured:
        services.sfu.add_listener(services.webhooks.handle)
    await services.sfu.start()
    services.phase = Phase.READY


def begin_drain(app: web.Application) -> None:
    """Take nobody new from now on; /readyz says so."""
    app[SERVICES].phase = Phase.DRAINING


async def _shut_down(app: web.Application) -> None:
    """End every session with server_shutdown, give the goodbyes time to leave, cut what is left."""
    services = app[SERVICES]
    begin_drain(app)
    await services.sfu.close()
    connections = list(services.connections)
    for connection in connections:
        connection.close(WSCloseCode.GOING_AWAY, "shutdown")
    try:
        async with asyncio.timeout(services.settings.shutdown_timeout_s):
            await asyncio.gather(*(connection.wait_done() for connection in connections))
    except TimeoutError:
        for connection in list(services.connections):
            connection.abort()


async def _release(app: web.Application) -> None:
    """Also after a start that failed half-way."""
    services = app[SERVICES]
    await services.key_sets.close()
    await services.webhooks.close()
    await services.revocations.close()
    await services.database.close()


@web.middleware
async def _answer_errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Errors as JSON under /api, as plain text elsewhere; nothing of an internal error goes out."""
    services = request.app[SERVICES]
    if services.gate is not None:
        services.gate.admit(request)
    try:
        response = await handler(request)
    except ApiError as error:
        response = _error_response(request, error)
    except web.HTTPRequestEntityTooLarge:
        response = _error_response(request, ApiError("body_too_large", "The body is too large."))
    except web.HTTPNotFound:
        response = _error_response(request, ApiError("not_found", "There is nothing here."))
    except web.HTTPMethodNotAllowed as error:
        response = _error_response(request, ApiError("method_not_allowed", "This method is not for this address."))
        response.headers[hdrs.ALLOW] = ",".join(sorted(error.allowed_methods))
    except web.HTTPException:
        raise
    except ConnectionResetError:
        # The client hung up before its answer; aiohttp notices that when it tries to send this one.
        response = web.Response(status=_CLIENT_GONE)
    except Exception:
        _log.exception("a request failed")
        response = _error_response(request, ApiError("internal", "Something went wrong here."))
    services.metrics.requests.labels(logs.route_of(request), str(response.status)).inc()
    return response


@web.middleware
async def _fetch_keys(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """A token may name a key that its issuer has just made."""
    services = request.app[SERVICES]
    if services.key_sets.configured and (token := endpoint.request_token(request)):
        await services.tokens.prepare(token)
    return await handler(request)


def _error_response(request: web.Request, error: ApiError) -> web.Response:
    if request.path.startswith("/api/"):
        response = web.json_response(error.body(), status=error.status, headers={hdrs.CACHE_CONTROL: "no-store"})
    else:
        response = web.Response(status=error.status, text=f"{error}\n")
    if error.retry_after_s is not None:
        response.headers[hdrs.RETRY_AFTER] = str(error.retry_after_s)
    return response


class Listener:
    """A running application on its port. `url` is where it is reached."""

    def __init__(self, app: web.Application, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        max_line_bytes = _MAX_LINE_BYTES + settings.max_token_bytes + settings.max_join_request_url_bytes
        self._runner = web.AppRunner(
            app,
            access_log_class=logs.AccessLogger,
            access_log=logging.getLogger("ting.http") if settings.access_log else None,
            handle_signals=False,
            shutdown_timeout=1.0,
            keepalive_timeout=_KEEPALIVE_S,
            max_line_size=max_line_bytes,
            max_field_size=max_line_bytes,
        )
        self._server: asyncio.Server | None = None
        self.url = ""

    async def start(self) -> None:
        """Open the database, start the SFU and open the port. Raises `DatabaseError` or `BindError`."""
        settings, services = self._settings, self._app[SERVICES]
        try:
            await self._runner.setup()
            assert self._runner.server is not None
            gate = services.gate = Gate(
                self._runner.server,
                services.metrics,
                settings.max_pending_connections_per_ip,
                settings.request_timeout_s,
                settings.max_burst_connections_per_ip,
                settings.burst_request_timeout_s,
            )
            self._server = await asyncio.get_running_loop().create_server(
                gate.protocol_factory,
                settings.host,
                settings.port,
                ssl=tls_context(settings),
                ssl_handshake_timeout=settings.request_timeout_s if settings.tls else None,
                backlog=1024,
            )
        except OSError as error:
            await self.stop()
            reason = error.strerror or str(error)
            raise BindError(f"cannot listen on {settings.host} port {settings.port}: {reason}") from None
        except BaseException:
            await self.stop()
            raise
        port = self._server.sockets[0].getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.url = f"{'https' if settings.tls else 'http'}://{host}:{port}"

    async def stop(self) -> None:
        """Refuse newcomers, tell every call to leave, release the ports."""
        begin_drain(self._app)
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()
        gate = self._app[SERVICES].gate
        if gate is not None:
            gate.close()


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """TLS 1.2 or newer. Raises `OSError` or `ssl.SSLError` when the files do not fit."""
    if not settings.tls:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context

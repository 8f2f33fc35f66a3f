"""The port: a running application behind its gate, over HTTP or HTTPS."""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass

from aiohttp import web

from sfu.api import BindError
from signaling.gate import Gate
from signaling.lifecycle import Lifecycle, Phase
from signaling.logs import AccessLogger

_KEEPALIVE_S = 75.0
"""How long an idle HTTP connection stays open after a request."""


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    dev: bool = False
    """Development: adds the API key devkey with the secret `secret`, and offers loopback candidates. Loopback only."""
    host: str = "127.0.0.1"
    """Address to listen on for HTTP and WebSocket. 0.0.0.0 or :: means every interface."""
    port: int = 7880
    """TCP port for HTTP and WebSocket; 0 takes any free one."""
    public_url: str = ""
    """URL under which clients reach this server, when it differs from the one in the browser. Empty: the same."""
    tls_cert: str = ""
    """PEM file with the certificate chain. Set with tls_key, the server speaks HTTPS."""
    tls_key: str = ""
    """PEM file with the private key."""
    shutdown_timeout_s: float = 4.0
    """How long a stop waits for connections to take their goodbye."""

    @property
    def tls(self) -> bool:
        return bool(self.tls_cert)


class Listener:
    """`max_line_bytes` is for the request line and for each header field; `handshake_timeout_s` is that of TLS.
    `url` is where the running application is reached."""

    def __init__(
        self,
        app: web.Application,
        settings: ListenerSettings,
        gate: Gate,
        lifecycle: Lifecycle,
        *,
        max_line_bytes: int,
        handshake_timeout_s: float,
        access_log: bool,
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._lifecycle = lifecycle
        self._handshake_timeout_s = handshake_timeout_s
        self._runner = web.AppRunner(
            app,
            access_log_class=AccessLogger,
            access_log=logging.getLogger("ting.http") if access_log else None,
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
        settings = self._settings
        try:
            await self._runner.setup()
            assert self._runner.server is not None
            self._server = await asyncio.get_running_loop().create_server(
                self._gate.guard(self._runner.server),
                settings.host,
                settings.port,
                ssl=tls_context(settings),
                ssl_handshake_timeout=self._handshake_timeout_s if settings.tls else None,
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
        self._lifecycle.phase = Phase.DRAINING
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()
        self._gate.close()


def tls_context(settings: ListenerSettings) -> ssl.SSLContext | None:
    """TLS 1.2 or newer. Raises `OSError` or `ssl.SSLError` when the files do not fit."""
    if not settings.tls:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context

"""The door in front of HTTP: connections that never get as far as a request.

The token is checked with the request, so whoever has not sent one yet is unauthenticated. Such a connection has
`request_timeout_s` to send its first complete request, and one address may have `max_pending_connections_per_ip` of
them. A classroom or a backend behind one address joins all at once, its requests right behind its connections: up to
`max_burst_connections_per_ip` are taken too, but have `burst_request_timeout_s` only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from aiohttp import web

from signaling.limits import limit_key
from signaling.metrics import Metrics


@dataclass(frozen=True, slots=True)
class GateSettings:
    max_pending_connections_per_ip: int = 20
    """Connections of one address that have not sent a complete request yet."""
    max_burst_connections_per_ip: int = 1000
    """The same for many that come at once, as those of a classroom or a backend do."""
    burst_request_timeout_s: float = 4.0
    """Those beyond max_pending_connections_per_ip must send their request within this time."""
    request_timeout_s: float = 10.0
    """From the connection to its first complete request, and for the body of each; a slower client is refused."""


class Gate:
    """`guard` makes what goes to `loop.create_server`; `admit` is told of each request."""

    def __init__(self, settings: GateSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._pending: dict[str, set[asyncio.Transport]] = {}
        self._timers: dict[asyncio.Protocol, tuple[asyncio.TimerHandle, str, asyncio.Transport]] = {}

    def guard(self, server: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """A factory of protocols in front of those that `server` makes."""
        return lambda: _Newcomer(self, server)

    def admit(self, request: web.BaseRequest) -> None:
        """A complete request head has arrived on its connection."""
        entry = self._timers.pop(request.protocol, None)
        if entry is not None:
            timer, key, transport = entry
            timer.cancel()
            self._forget(key, transport)

    def enter(self, transport: asyncio.Transport, server: Callable[[], asyncio.Protocol]) -> None:
        settings = self._settings
        peer = transport.get_extra_info("peername")
        key = limit_key(peer[0]) if isinstance(peer, tuple) else ""
        waiting = self._pending.setdefault(key, set())
        for other in [other for other in waiting if other.is_closing()]:
            waiting.discard(other)
        few = len(waiting) < settings.max_pending_connections_per_ip
        timeout_s = settings.request_timeout_s if few else settings.burst_request_timeout_s
        if not few and len(waiting) >= settings.max_burst_connections_per_ip:
            self._metrics.connections_refused.labels("too_many").inc()
            transport.abort()
            return
        handler = server()
        waiting.add(transport)
        timer = asyncio.get_running_loop().call_later(timeout_s, self._expire, handler)
        self._timers[handler] = (timer, key, transport)
        transport.set_protocol(handler)
        handler.connection_made(transport)

    def close(self) -> None:
        for timer, _, _ in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._pending.clear()

    def _expire(self, handler: asyncio.Protocol) -> None:
        _, key, transport = self._timers.pop(handler)
        self._forget(key, transport)
        if not transport.is_closing():
            self._metrics.connections_refused.labels("too_slow").inc()
            transport.abort()

    def _forget(self, key: str, transport: asyncio.Transport) -> None:
        waiting = self._pending.get(key)
        if waiting is not None:
            waiting.discard(transport)
            if not waiting:
                del self._pending[key]


class _Newcomer(asyncio.Protocol):
    """Lives only until the gate has decided."""

    def __init__(self, gate: Gate, server: Callable[[], asyncio.Protocol]) -> None:
        self._gate = gate
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an isinstance check: uvloop's transports do not derive from asyncio.Transport.
        self._gate.enter(cast(asyncio.Transport, transport), self._server)

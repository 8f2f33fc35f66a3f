"""The door in front of HTTP: connections that never get as far as a request.

The token is checked with the request, so whoever has not sent one yet is unauthenticated. Such a connection has
`timeout_s` to send its first complete request, and one address may have `max_per_address` of them. A classroom or a
backend behind one address joins all at once, its requests right behind its connections: up to `max_burst_per_address`
are taken too, but have `burst_timeout_s` only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from aiohttp import web

from signaling.limits import limit_key
from signaling.metrics import Metrics


class Gate:
    """`protocol_factory` goes to `loop.create_server`; `admit` is told of each request."""

    def __init__(
        self,
        server: Callable[[], asyncio.Protocol],
        metrics: Metrics,
        max_per_address: int,
        timeout_s: float,
        max_burst_per_address: int,
        burst_timeout_s: float,
    ) -> None:
        self._server = server
        self._metrics = metrics
        self._max_per_address = max_per_address
        self._timeout_s = timeout_s
        self._max_burst_per_address = max_burst_per_address
        self._burst_timeout_s = burst_timeout_s
        self._pending: dict[str, set[asyncio.Transport]] = {}
        self._timers: dict[asyncio.Protocol, tuple[asyncio.TimerHandle, str, asyncio.Transport]] = {}

    def protocol_factory(self) -> asyncio.Protocol:
        return _Newcomer(self)

    def admit(self, request: web.BaseRequest) -> None:
        """A complete request head has arrived on its connection."""
        entry = self._timers.pop(request.protocol, None)
        if entry is not None:
            timer, key, transport = entry
            timer.cancel()
            self._forget(key, transport)

    def enter(self, transport: asyncio.Transport) -> None:
        peer = transport.get_extra_info("peername")
        key = limit_key(peer[0]) if isinstance(peer, tuple) else ""
        waiting = self._pending.setdefault(key, set())
        for other in [other for other in waiting if other.is_closing()]:
            waiting.discard(other)
        timeout_s = self._timeout_s if len(waiting) < self._max_per_address else self._burst_timeout_s
        if len(waiting) >= max(self._max_per_address, self._max_burst_per_address):
            self._metrics.connections_refused.labels("too_many").inc()
            transport.abort()
            return
        handler = self._server()
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

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an isinstance check: uvloop's transports do not derive from asyncio.Transport.
        self._gate.enter(cast(asyncio.Transport, transport))

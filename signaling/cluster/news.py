"""What one node has decided and all must hold to at once: who was put out.

The kick itself, of whoever is in the call, and the end of reading a room's log go over the nodes' own connections. What
is told here keeps a person out: its tokens are no longer good. The hint holds all that is needed; a node that could not
hear it, for the bus was away, asks the database until it is back, and once more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import msgspec

from sfu.bus.api import Bus
from sfu.bus.records import VERSION, decode, encode
from signaling.errors import DatabaseError
from signaling.revocations import Revocations

REVOKED = "revoked"
_ASK_INTERVAL_S = 0.5


class Revoked(msgspec.Struct, frozen=True):
    """Tokens of an identity that are no longer good."""

    room: str
    identity: str
    at_s: float
    """Unix time in seconds; tokens issued until then are meant."""
    v: int = VERSION


class ClusterNews:
    def __init__(self, bus: Bus, revocations: Revocations) -> None:
        self._bus = bus
        self._revocations = revocations
        self._missed = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._revocations.on_added = self._tell_revoked
        self._bus.listen(REVOKED, self._hear_revoked)
        self._bus.on_available(lambda _: self._missed.set())
        self._asking = asyncio.create_task(self._ask_on(self._revocations.reload))

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    def _tell_revoked(self, room: str, identity: str, at_s: float) -> None:
        self._bus.emit(REVOKED, encode(Revoked(room, identity, at_s)))

    def _hear_revoked(self, payload: bytes) -> None:
        news = decode(Revoked, payload)
        if news is not None:
            self._revocations.learn(news.room, news.identity, news.at_s)

    async def _ask_on(self, ask: Callable[[], Awaitable[None]]) -> None:
        while True:
            if self._bus.available:
                await self._missed.wait()
            self._missed.clear()
            with contextlib.suppress(DatabaseError):
                await ask()
            if not self._bus.available:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ASK_INTERVAL_S):
                        await self._missed.wait()

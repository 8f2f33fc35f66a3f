"""What one node has decided and all must hold to at once: who was put out.

The kick itself, of whoever is in the call, goes over the SFU's own connections. What is told here keeps a person out:
its tokens are no longer good, and the room's log is no longer read to it, wherever it is connected. The hint holds all
that is needed; a node that could not hear it, for the bus was away, asks the database until it is back, and once more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import msgspec

from sfu.bus.api import Bus
from sfu.bus.records import VERSION, decode, encode
from signaling.errors import DatabaseError
from signaling.log.live import Live
from signaling.revocations import Revocations

REVOKED = "revoked"
PUT_OUT = "put_out"
_ASK_INTERVAL_S = 0.5


class Revoked(msgspec.Struct, frozen=True):
    """Tokens of an identity that are no longer good."""

    room: str
    identity: str
    at_s: float
    """Unix time in seconds; tokens issued until then are meant."""
    v: int = VERSION


class PutOut(msgspec.Struct, frozen=True):
    """A member that may no longer be in a room that lasts."""

    room_key: int
    member_id: str
    code: str
    v: int = VERSION


class ClusterNews:
    def __init__(self, bus: Bus, revocations: Revocations, live: Live) -> None:
        self._bus = bus
        self._revocations = revocations
        self._live = live
        self._missed = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._revocations.on_added = self._tell_revoked
        self._bus.listen(REVOKED, self._hear_revoked)
        self._bus.listen(PUT_OUT, self._hear_put_out)
        self._bus.on_available(lambda _: self._missed.set())
        self._asking = asyncio.create_task(self._ask_on(self._revocations.reload))

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    def put_out(self, room_key: int, member_id: str, code: str) -> None:
        """As `EvictionListener`: here it was done already."""
        self._bus.emit(PUT_OUT, encode(PutOut(room_key, member_id, code)))

    def _tell_revoked(self, room: str, identity: str, at_s: float) -> None:
        self._bus.emit(REVOKED, encode(Revoked(room, identity, at_s)))

    def _hear_revoked(self, payload: bytes) -> None:
        news = decode(Revoked, payload)
        if news is not None:
            self._revocations.learn(news.room, news.identity, news.at_s)

    def _hear_put_out(self, payload: bytes) -> None:
        news = decode(PutOut, payload)
        if news is not None:
            self._live.end_member(news.room_key, news.member_id, news.code)

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

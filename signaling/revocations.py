"""Kicks that stay in force: kept in memory for the check at each join, and in the database for after a restart.

A kick is in force at once, whether or not the database can be reached. Writing goes on in the background and is
repeated until it works; `stored` waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from signaling.errors import DatabaseError
from signaling.metrics import Metrics

_log = logging.getLogger("ting.rooms")
RETRY_S = 5.0
PRUNE_INTERVAL_S = 3600.0
STORED_TIMEOUT_S = 2.0
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class RevocationRow:
    room: str
    identity: str
    revoked_at_ms: int


class RevocationStore(Protocol):
    """Where kicks survive a restart. Every method may raise `DatabaseError`."""

    async def save_revocations(self, rows: Sequence[RevocationRow]) -> None:
        """Insert, or move to the new time when there is one for this room and identity."""

    async def load_revocations(self, limit: int) -> list[RevocationRow]:
        """The newest `limit`, oldest of them first."""
        ...

    async def delete_revocations(self, before_ms: int) -> None:
        """Those from before; in milliseconds of Unix time."""


class Revocations:
    """`keep_s` is how long a revocation matters: longer than any token that it could concern can live. Beyond `limit`
    the oldest are forgotten. `clock` gives Unix time in seconds."""

    def __init__(
        self,
        store: RevocationStore,
        metrics: Metrics,
        *,
        limit: int,
        keep_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._limit = limit
        self._keep_s = keep_s
        self._clock = clock
        self._revoked_at: OrderedDict[_Key, float] = OrderedDict()
        self._unwritten: OrderedDict[_Key, float] = OrderedDict()
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._writer: asyncio.Task[None] | None = None
        self.on_added: Callable[[str, str, float], None] | None = None
        """Called with room, identity and Unix time of each kick of this process: other processes must know."""

    async def start(self) -> None:
        """Load what was revoked before, once. Raises `DatabaseError`, and may be called again then."""
        if self._writer is not None:
            return
        await self._store.delete_revocations(self._oldest_ms())
        await self.reload()
        self._writer = asyncio.create_task(self._write_on())

    async def reload(self) -> None:
        """Learn what other processes have written. Raises `DatabaseError`."""
        for row in await self._store.load_revocations(self._limit):
            self.learn(row.room, row.identity, row.revoked_at_ms / 1000)

    def learn(self, room: str, identity: str, at: float) -> None:
        """What another process has decided, and writes down; `at` is Unix time in seconds."""
        self._note(self._revoked_at, (room, identity), min(at, self._clock() + self._keep_s))

    async def close(self) -> None:
        """Write what is left, if the database lets us, and stop."""
        if self._writer is None:
            return
        await self.stored()
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)
        self._writer = None

    def add(self, room: str, identity: str, revoked_at: float | None = None) -> None:
        """From now on tokens that were issued until `revoked_at` (Unix time in seconds; None means now) are refused.
        It takes nothing back that is in force, and reaches no further ahead than tokens live."""
        key, now = (room, identity), self._clock()
        wanted = now if revoked_at is None else min(revoked_at, now + self._keep_s)
        at = max(wanted, self._revoked_at.get(key, 0.0))
        for entries in (self._revoked_at, self._unwritten):
            self._note(entries, key, at)
        self._idle.clear()
        self._changed.set()
        if self.on_added is not None:
            self.on_added(room, identity, at)

    def _note(self, entries: OrderedDict[_Key, float], key: _Key, at: float) -> None:
        entries[key] = max(at, entries.get(key, 0.0))
        entries.move_to_end(key)
        while len(entries) > self._limit:
            entries.popitem(last=False)

    def revoked_at(self, room: str, identity: str) -> float | None:
        """Unix time in seconds, or None."""
        return self._revoked_at.get((room, identity))

    @property
    def is_idle(self) -> bool:
        """Whether everything is in the database."""
        return self._idle.is_set()

    async def stored(self) -> bool:
        """Wait until everything is in the database, but not for ever. Whether it is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STORED_TIMEOUT_S):
                await self._idle.wait()
        return self.is_idle

    def _oldest_ms(self) -> int:
        return round((self._clock() - self._keep_s) * 1000)

    async def _write_on(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PRUNE_INTERVAL_S):
                    await self._changed.wait()
            self._changed.clear()
            batch, self._unwritten = self._unwritten, OrderedDict()
            try:
                if batch:
                    await self._store.save_revocations(
                        [RevocationRow(*key, round(at * 1000)) for key, at in batch.items()]
                    )
                else:
                    await self._prune()
            except DatabaseError as error:
                self._metrics.database_errors.labels("revocations").inc()
                _log.error("revocations could not be stored: %s", error)
                self._unwritten = batch | self._unwritten
                self._changed.set()
                await asyncio.sleep(RETRY_S)
            if not self._unwritten:
                self._idle.set()

    async def _prune(self) -> None:
        await self._store.delete_revocations(self._oldest_ms())
        oldest = self._oldest_ms() / 1000
        while self._revoked_at and next(iter(self._revoked_at.values())) < oldest:
            self._revoked_at.popitem(last=False)

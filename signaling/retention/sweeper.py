"""Makes what is over go: out of the log, off the screens, out of the files of the database.

It sleeps until the next deadline that it knows of. Time is the server's; what a client's clock says ends nothing early.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable

from signaling.errors import DatabaseError
from signaling.log.entries import Entry, Verb
from signaling.log.live import Live
from signaling.metrics import Metrics
from signaling.retention.settings import RetentionSettings
from signaling.retention.store import Gone, RetentionStores
from signaling.rooms.policy import Policy, RetentionFrom

_log = logging.getLogger("ting.retention")
FileRemover = Callable[[str], Awaitable[None]]


class Sweeper:
    """`clock` gives Unix time in seconds."""

    def __init__(
        self,
        stores: RetentionStores,
        live: Live,
        metrics: Metrics,
        settings: RetentionSettings,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._live = live
        self._metrics = metrics
        self._settings = settings
        self._clock = clock
        self._next_s = 0.0
        """Unix time of the next look."""
        self._sooner = asyncio.Event()
        self._unscrubbed_since_s: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._file_removers: list[FileRemover] = []

    def add_file_remover(self, remover: FileRemover) -> None:
        """Called with the id of each file whose entry went."""
        self._file_removers.append(remover)

    def start(self) -> None:
        """With rooms that last, and again with the first of them."""
        if self._task is None and self._stores.has_data:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def handle_entry(self, _room_key: int, entry: Entry) -> None:
        """A new entry of any log. What was removed or replaced is to go from the files as well."""
        if entry.verb in (Verb.DELETE, Verb.EDIT):
            self.note_removal()
        if entry.expires_at_ms is not None:
            self._look_at(entry.expires_at_ms / 1000)

    def note_removal(self) -> None:
        """Something was removed, or will be in a moment, and is to go from the files as well."""
        if self._unscrubbed_since_s is None:
            self._unscrubbed_since_s = self._clock()
        self._look_at(self._clock() + self._settings.retention_scrub_s / 4)

    async def handle_policy(self, room_key: int, policy: Policy) -> None:
        """A room's policy is another one now. Raises `DatabaseError`."""
        store = await self._stores.retention()
        await store.apply(room_key, policy)
        await self.handle_read(room_key, policy)
        self._look_at(0.0)

    async def handle_read(self, room_key: int, policy: Policy) -> None:
        """A member has read on. Raises `DatabaseError`."""
        if policy.retention_s is not None and policy.retention_from is RetentionFrom.READING:
            store = await self._stores.retention()
            first_ms = await store.apply_reading(room_key, policy.retention_s, self._now_ms())
            if first_ms is not None:
                self._look_at(first_ms / 1000)

    def _look_at(self, at_s: float) -> None:
        self.start()
        if at_s < self._next_s:
            self._next_s = at_s
            self._sooner.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._sweep()
            except DatabaseError as error:
                self._metrics.database_errors.labels("retention").inc()
                _log.error("what is over could not be removed: %s", error)
                self._next_s = self._clock() + self._settings.retention_check_s
            except Exception:
                _log.exception("what is over could not be removed")
                self._next_s = self._clock() + self._settings.retention_check_s
            await self._sleep()

    async def _sleep(self) -> None:
        self._sooner.clear()
        with contextlib.suppress(TimeoutError):
            while (left_s := self._next_s - self._clock()) > 0:
                async with asyncio.timeout(left_s):
                    await self._sooner.wait()
                self._sooner.clear()

    async def _sweep(self) -> None:
        settings, store = self._settings, await self._stores.retention()
        self._next_s = self._clock() + settings.retention_check_s
        while gone := await store.take(self._now_ms(), settings.max_retention_batch):
            self._tell(gone)
            self._metrics.entries_expired.inc(len(gone))
            if self._unscrubbed_since_s is None:
                self._unscrubbed_since_s = self._clock()
            for entry in gone:
                for remove in self._file_removers if entry.file_id else ():
                    await remove(entry.file_id)
        if await store.forget_epochs(self._now_ms()) and self._unscrubbed_since_s is None:
            self._unscrubbed_since_s = self._clock()
        await self._scrub()
        deadline_ms = await store.next_deadline()
        if deadline_ms is not None:
            self._look_at(deadline_ms / 1000)

    async def _scrub(self) -> None:
        if self._unscrubbed_since_s is None:
            return
        store = await self._stores.retention()
        earliest_s = self._unscrubbed_since_s + self._settings.retention_scrub_s / 2
        if store.rewrites and self._clock() < earliest_s:
            self._look_at(earliest_s)
            return
        # What is removed meanwhile is for the next time.
        since_s, self._unscrubbed_since_s = self._unscrubbed_since_s, None
        done = False
        try:
            done = await store.scrub()
        finally:
            if not done:
                self._unscrubbed_since_s = since_s
        if done:
            return
        if self._clock() - since_s > self._settings.retention_scrub_s:
            _log.warning("removed entries are still in the files of the database: somebody reads it all the time")
        self._look_at(self._clock() + 1.0)

    def _tell(self, gone: list[Gone]) -> None:
        by_room: defaultdict[int, list[int]] = defaultdict(list)
        for entry in gone:
            by_room[entry.room_key].append(entry.seq)
        for room_key, seqs in by_room.items():
            self._live.tell(room_key, {"type": "gone", "seqs": seqs})

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)

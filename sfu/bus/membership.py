"""Which nodes there are, by their heartbeats in the registry.

A node writes its record three times in `ttl_s`. Whoever sees a record unchanged for `ttl_s`, by its own clock, takes it
away by compare-and-set; nobody compares the clocks of two machines. A node knows by itself when that may have happened:
`ttl_s` after it began the last heartbeat that succeeded. While the bus is away nobody can be taken away, so the last
known peers stay, and everybody has a whole `ttl_s` anew when it comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from sfu.bus.api import Bus, BusError, BusUnavailable, Conflict, Entry, Subscription
from sfu.bus.records import NODES, NodeRecord, decode, encode
from sfu.bus.views import Listeners, Registration, finish

_log = logging.getLogger("ting.bus")
BEATS_PER_TTL = 3
_SAFETY = 0.95
"""Clocks do not run equally fast: a node gives up a little before the others may take over."""


class NameTaken(BusError):
    code = "name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"node_name: another node named {name} is running in this cluster; give this one another name")


@dataclass(slots=True)
class _Known:
    record: NodeRecord
    revision: int
    heard_at_s: float


class Membership:
    """`describe` gives what changes from heartbeat to heartbeat, as fields of `NodeRecord`; `clock` is in seconds."""

    def __init__(
        self,
        bus: Bus,
        record: NodeRecord,
        *,
        ttl_s: float,
        describe: Callable[[], Mapping[str, object]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._record = record
        self._key = NODES + record.name
        self._ttl_s = ttl_s
        self._describe = describe
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._revision = 0
        """Of our own record; 0 while we are not in the registry."""
        self._valid_until_s = 0.0
        self._looked_at_s = clock()
        self._caught_up = False
        self._changes: Listeners[None] = Listeners()
        self._refusals: Listeners[NameTaken] = Listeners()
        self._subscriptions: list[Subscription] = []
        self._task: asyncio.Task[None] | None = None
        self._beat_now = asyncio.Event()
        self._beating = asyncio.Lock()
        self.heartbeats_failed = 0

    @property
    def record(self) -> NodeRecord:
        """Our own, as it was last written."""
        return self._record

    @property
    def session(self) -> str:
        """Of our own record; empty while we are not in the registry."""
        return self._record.session if self._revision else ""

    @property
    def valid(self) -> bool:
        """Whether no other node may have taken us for gone."""
        return bool(self._revision) and self._clock() < self._valid_until_s

    def peers(self) -> dict[str, NodeRecord]:
        """The other nodes by name, as last heard."""
        return {name: known.record for name, known in self._known.items() if name != self._record.name}

    def nodes(self) -> dict[str, NodeRecord]:
        """All of them, this one too."""
        return {**self.peers(), self._record.name: self._record}

    def on_change(self, callback: Callable[[None], None]) -> Registration:
        """Called when a peer came, went, or said something new of itself."""
        return self._changes.add(callback)

    def on_refused(self, callback: Callable[[NameTaken], None]) -> Registration:
        """Called when it turns out after the start that another node has our name: this one must end."""
        return self._refusals.add(callback)

    async def start(self) -> None:
        """Come into the registry. Raises `NameTaken`. While the bus is away the node comes in later by itself."""
        self._subscriptions = [
            self._bus.watch(NODES, self._told, self._all_told),
            self._bus.on_available(self._available_changed),
        ]
        with contextlib.suppress(BusUnavailable):
            await self.beat()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Leave the registry, so that nobody has to wait for us."""
        task, self._task = self._task, None
        await finish(task)
        for subscription in self._subscriptions:
            subscription.close()
        revision, self._revision = self._revision, 0
        if revision:
            with contextlib.suppress(BusError):
                await self._leave(revision)

    async def _leave(self, revision: int) -> None:
        try:
            await self._bus.delete(self._key, revision)
        except Conflict:
            # A heartbeat was on its way when we stopped.
            entry = await self._bus.get(self._key)
            there = decode(NodeRecord, entry.value) if entry is not None else None
            if entry is not None and there is not None and there.session == self._record.session:
                await self._bus.delete(self._key, entry.revision)

    def announce(self, **changes: object) -> None:
        """Say something new of this node at once, such as `draining=True`."""
        self._record = msgspec.structs.replace(self._record, **changes)
        self._beat_now.set()

    async def beat(self) -> None:
        """One heartbeat. Raises `NameTaken`, `BusUnavailable`."""
        async with self._beating:
            self._record = msgspec.structs.replace(self._record, **self._describe())
            if self._revision:
                await self._renew()
            else:
                await self._enter()

    async def _renew(self) -> None:
        began_at_s = self._clock()
        try:
            revision = await self._bus.update(self._key, encode(self._record), self._revision)
        except Conflict:
            entry = await self._bus.get(self._key)
            there = decode(NodeRecord, entry.value) if entry is not None else None
            if entry is not None and there is not None and there.session == self._record.session:
                # A heartbeat that was thought lost has arrived.
                self._revision = entry.revision
                return
            _log.warning("this node was taken for gone; it comes back as a new one")
            self._revision = 0
            await self._enter()
            return
        self._revision, self._valid_until_s = revision, began_at_s + self._ttl_s * _SAFETY

    async def _enter(self) -> None:
        record = msgspec.structs.replace(self._record, session=secrets.token_hex(8))
        began_at_s = self._clock()
        try:
            revision = await self._bus.create(self._key, encode(record))
        except Conflict:
            began_at_s, revision = await self._take_over(record)
        self._record, self._revision = record, revision
        self._valid_until_s = began_at_s + self._ttl_s * _SAFETY

    async def _take_over(self, record: NodeRecord) -> tuple[float, int]:
        """Somebody of our name is there: perhaps what is left of the process before us, which is then quiet."""
        entry = await self._bus.get(self._key)
        first_seen_at_s = self._clock()
        there = decode(NodeRecord, entry.value) if entry is not None else None
        while entry is not None and (there is None or there.instance != record.instance):
            if self._clock() - first_seen_at_s > self._ttl_s:
                break
            await asyncio.sleep(self._ttl_s / BEATS_PER_TTL / 2)
            again = await self._bus.get(self._key)
            if again is not None and again.revision != entry.revision:
                raise NameTaken(record.name)
            entry = again
        began_at_s = self._clock()
        try:
            if entry is None:
                return began_at_s, await self._bus.create(self._key, encode(record))
            return began_at_s, await self._bus.update(self._key, encode(record), entry.revision)
        except Conflict:
            raise NameTaken(record.name) from None

    async def look(self) -> None:
        """Take away who has not been heard of for too long. Raises `BusUnavailable`."""
        now_s = self._clock()
        if now_s - self._looked_at_s > self._ttl_s / 2:
            # We slept, and could not hear anybody.
            self._hear_all(now_s)
        self._looked_at_s = now_s
        if not self._caught_up or not self._bus.available:
            return
        for name, known in list(self._known.items()):
            if name != self._record.name and now_s - known.heard_at_s > self._ttl_s:
                _log.warning("node %s has not been heard of for %.1f s", name, now_s - known.heard_at_s)
                with contextlib.suppress(Conflict):
                    await self._bus.delete(NODES + name, known.revision)

    async def _run(self) -> None:
        interval_s = self._ttl_s / BEATS_PER_TTL
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval_s):
                    await self._beat_now.wait()
            self._beat_now.clear()
            try:
                if not await self.step():
                    await asyncio.sleep(interval_s / 4)
            except NameTaken as error:
                self._refusals.tell(error)
                return

    async def step(self) -> bool:
        """What is done again and again; whether the bus was there. Raises `NameTaken`."""
        try:
            await self.beat()
            await self.look()
        except BusUnavailable:
            self.heartbeats_failed += 1
            return False
        return True

    def _told(self, key: str, entry: Entry | None) -> None:
        name = key.removeprefix(NODES)
        record = decode(NodeRecord, entry.value) if entry is not None else None
        before = self._known.pop(name, None)
        if entry is not None and record is not None:
            self._known[name] = _Known(record, entry.revision, self._clock())
        if name != self._record.name and record != (before.record if before is not None else None):
            self._changes.tell(None)

    def _all_told(self) -> None:
        self._caught_up = True
        self._hear_all(self._clock())

    def _available_changed(self, available: bool) -> None:
        if available:
            self._hear_all(self._clock())
            self._beat_now.set()
        else:
            self._caught_up = False

    def _hear_all(self, now_s: float) -> None:
        self._looked_at_s = now_s
        for known in self._known.values():
            known.heard_at_s = now_s

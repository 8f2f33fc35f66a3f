"""Leases: at most one node holds a key, and each time another one does, the key's epoch is higher.

A lease lives as long as its holder's session in the registry (`membership`), so that thousands of them cost no
heartbeat of their own. Compare-and-set on the lease's entry alone decides who gets it. Epochs begin at the Unix time in
milliseconds, so that they grow even when the store has lost everything; a holder that comes with an older one must be
refused by whoever it asks.

A node that cannot reach the store knows after `ttl_s` that it may have been replaced (`UNSURE`). It was not, when its
session is still there once the store answers; else the lease is lost for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from enum import StrEnum

from sfu.bus.api import RETENTION_S, Bus, BusError, BusUnavailable, Conflict, Entry, Subscription
from sfu.bus.membership import Membership
from sfu.bus.records import LEASES, LeaseRecord, decode, encode
from sfu.bus.views import Listeners, Registration, finish

_REWRITE_S = RETENTION_S / 4


class LeaseHeld(BusError):
    """Another node has it."""

    code = "lease_held"

    def __init__(self, key: str, holder: LeaseRecord) -> None:
        super().__init__(f"{key} is held by {holder.node}")
        self.holder = holder


class LeaseState(StrEnum):
    HELD = "held"
    UNSURE = "unsure"
    """The store is away for so long that another node may hold it by now."""
    LOST = "lost"
    """For good: given back, or another node may take it."""


class Lease:
    """Made by `Leases.acquire`."""

    def __init__(self, key: str, epoch: int, session: str, membership: Membership) -> None:
        self.key = key
        self.epoch = epoch
        self._session = session
        self._membership = membership
        self._ended = False
        self._told = LeaseState.HELD
        self._changes: Listeners[Lease] = Listeners()

    @property
    def state(self) -> LeaseState:
        if self._ended or self._membership.session != self._session:
            return LeaseState.LOST
        return LeaseState.HELD if self._membership.valid else LeaseState.UNSURE

    @property
    def held(self) -> bool:
        """Whether certainly no other node holds it at this moment."""
        return self.state is LeaseState.HELD

    def on_change(self, callback: Callable[[Lease], None]) -> Registration:
        """Called when `state` has changed; soon after it did."""
        return self._changes.add(callback)

    def end(self) -> None:
        self._ended = True
        self.look()

    def look(self) -> None:
        """Tell of a change, if there is one."""
        state = self.state
        if state is not self._told:
            self._told = state
            self._changes.tell(self)


class Leases:
    """`clock` gives monotonic seconds, `unix_s` Unix time in seconds."""

    def __init__(
        self,
        bus: Bus,
        membership: Membership,
        *,
        clock: Callable[[], float] = time.monotonic,
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        self._bus = bus
        self._membership = membership
        self._clock = clock
        self._unix_s = unix_s
        self._leases: dict[str, Lease] = {}
        self._revisions: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._quiet_until_s = 0.0
        """After the store was away it may be another one, and whoever held something may not know yet."""
        self._subscriptions: list[Subscription] = []
        self._rewriter: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._subscriptions = [
            self._membership.on_valid(self._validity_changed),
            self._bus.on_available(self._available_changed),
        ]
        self._rewriter = asyncio.create_task(self._rewrite_on())

    async def close(self) -> None:
        """Give back all that is held."""
        await finish(self._rewriter)
        for lease in list(self._leases.values()):
            await self.release(lease)
        for subscription in self._subscriptions:
            subscription.close()

    def held(self) -> list[Lease]:
        """Those that are held or may be."""
        return [lease for lease in self._leases.values() if lease.state is not LeaseState.LOST]

    async def holder(self, key: str) -> LeaseRecord | None:
        """Who held it last, and perhaps still does; None when nobody does. Raises `BusUnavailable`."""
        record = _record(await self._bus.get(LEASES + key))
        return record if record is not None and record.node else None

    async def acquire(self, key: str, *, at_least: int = 0) -> Lease:
        """Hold it: ours already, or with an epoch higher than any before and not below `at_least`. Soon after the store
        was away this takes up to `ttl_s`. Raises `LeaseHeld`, `BusUnavailable`."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                return await self._acquire(key, at_least)
        finally:
            if not lock.locked() and key not in self._leases:
                self._locks.pop(key, None)

    async def _acquire(self, key: str, at_least: int) -> Lease:
        there = self._leases.get(key)
        if there is not None and there.held and there.epoch >= at_least:
            return there
        await self._quiet()
        if not self._membership.valid:
            raise BusUnavailable("this node is not in the registry")
        session = self._membership.session
        entry = await self._bus.get(LEASES + key)
        before = _record(entry)
        if entry is not None and before is not None and before.session == session and before.epoch >= at_least:
            return self._keep(key, before.epoch, session, entry.revision)
        if before is not None and before.node and before.session != session:
            await self._check_free(key, before)
        epoch = max(round(self._unix_s() * 1000), at_least, before.epoch + 1 if before is not None else 0)
        record = LeaseRecord(node=self._membership.record.name, session=session, epoch=epoch)
        try:
            if entry is None:
                revision = await self._bus.create(LEASES + key, encode(record))
            else:
                revision = await self._bus.update(LEASES + key, encode(record), entry.revision)
        except Conflict:
            winner = await self.holder(key)
            if winner is None:
                raise BusUnavailable(f"{key} changes hands") from None
            raise LeaseHeld(key, winner) from None
        lease = self._keep(key, epoch, session, revision)
        if not lease.held:
            raise BusUnavailable("it took too long")
        return lease

    async def _quiet(self) -> None:
        wait_s = self._quiet_until_s - self._clock()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def _check_free(self, key: str, before: LeaseRecord) -> None:
        if await self._membership.is_alive(before.node, before.session):
            raise LeaseHeld(key, before)

    def _keep(self, key: str, epoch: int, session: str, revision: int) -> Lease:
        old = self._leases.pop(key, None)
        if old is not None:
            old.end()
        self._revisions[key] = revision
        lease = self._leases[key] = Lease(key, epoch, session, self._membership)
        return lease

    async def release(self, lease: Lease) -> None:
        """Give it back; its epoch stays on record. Does not raise."""
        if self._leases.get(lease.key) is lease:
            del self._leases[lease.key]
            self._locks.pop(lease.key, None)
            revision = self._revisions.pop(lease.key)
            if lease.state is not LeaseState.LOST:
                with contextlib.suppress(BusError):
                    free = LeaseRecord(node="", session="", epoch=lease.epoch)
                    await self._bus.update(LEASES + lease.key, encode(free), revision)
        lease.end()

    def _validity_changed(self, _valid: bool) -> None:
        for lease in list(self._leases.values()):
            lease.look()
            if lease.state is LeaseState.LOST:
                del self._leases[lease.key]
                del self._revisions[lease.key]

    def _available_changed(self, available: bool) -> None:
        if available:
            self._quiet_until_s = self._clock() + self._membership.ttl_s

    async def _rewrite_on(self) -> None:
        """The store forgets what nobody writes."""
        while True:
            await asyncio.sleep(_REWRITE_S)
            await self.rewrite()

    async def rewrite(self) -> None:
        for lease in self.held():
            record = LeaseRecord(self._membership.record.name, self._membership.session, lease.epoch)
            try:
                revision = await self._bus.update(LEASES + lease.key, encode(record), self._revisions[lease.key])
            except Conflict:
                lease.end()
            except BusUnavailable:
                continue
            else:
                if self._leases.get(lease.key) is lease:
                    self._revisions[lease.key] = revision


def _record(entry: Entry | None) -> LeaseRecord | None:
    return decode(LeaseRecord, entry.value) if entry is not None else None

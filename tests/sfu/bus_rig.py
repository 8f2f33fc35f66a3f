"""The two implementations of the bus, behind one handle for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

import pytest

from sfu.bus.api import Bus
from sfu.bus.memory import MemoryBus, MemoryStore
from sfu.bus.settings import ClusterSettings
from tests.harness.nats import find_servers, running_nats
from tests.harness.waiting import eventually

KINDS = ("memory", "debian", "newest")


class Rig(Protocol):
    """A store, and buses on it."""

    def bus(self, name: str) -> Bus:
        """Not opened yet."""
        ...

    def go_away(self) -> None: ...

    def come_back(self) -> None: ...

    def lose_everything(self) -> None:
        """Away and back, with nothing in it."""
        ...


class MemoryRig:
    def __init__(self) -> None:
        self.store = MemoryStore()

    def bus(self, name: str) -> MemoryBus:
        return MemoryBus(self.store)

    def go_away(self) -> None:
        self.store.away = True

    def come_back(self) -> None:
        self.store.away = False

    def lose_everything(self) -> None:
        self.go_away()
        self.store.forget()
        self.come_back()


@contextmanager
def rig_of(kind: str) -> Iterator[Rig]:
    if kind == "memory":
        yield MemoryRig()
        return
    binary = find_servers().get(kind)
    if binary is None:
        pytest.skip(f"no NATS server: {kind}")
    from sfu.bus.nats import NatsBus

    with running_nats(binary) as server:

        class NatsRig:
            def bus(self, name: str) -> Bus:
                return NatsBus(ClusterSettings(cluster=server.url), name)

            def go_away(self) -> None:
                server.stop()

            def come_back(self) -> None:
                server.start()

            def lose_everything(self) -> None:
                server.stop()
                server.forget()
                server.start()

        yield NatsRig()


@asynccontextmanager
async def opened(*buses: Bus) -> AsyncIterator[None]:
    for bus in buses:
        await bus.open()
        assert bus.available, bus.problem
    try:
        yield
    finally:
        for bus in buses:
            await bus.close()


async def until_available(bus: Bus, *, available: bool = True) -> None:
    await eventually(lambda: bus.available is available, f"the bus is {'back' if available else 'away'}")

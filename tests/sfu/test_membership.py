"""Which nodes there are: with a clock of the test's own, and over real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from sfu.bus.api import Bus
from sfu.bus.membership import Membership, NameTaken
from sfu.bus.memory import MemoryBus, MemoryStore
from sfu.bus.records import NODES, NodeRecord, decode, encode
from tests.harness.waiting import eventually
from tests.sfu.bus_rig import KINDS, Rig, opened, rig_of, until_available

TTL_S = 3.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def record(name: str, **more: Any) -> NodeRecord:
    return NodeRecord(name=name, instance=f"{name}-1", address="127.0.0.1", port=7883, version="0.1.0", **more)


class Node:
    """A node whose time is in the test's hands: it beats and looks when it is told to."""

    def __init__(self, store: MemoryStore, name: str, clock: Clock, **more: Any) -> None:
        self.bus = MemoryBus(store)
        self.members = Membership(self.bus, record(name, **more), ttl_s=TTL_S, clock=clock)
        self.changes = 0
        self.members.on_change(self._changed)

    def _changed(self, _: None) -> None:
        self.changes += 1

    async def start(self) -> None:
        await self.bus.open()
        await self.members.start()
        assert self.members._task is not None
        self.members._task.cancel()

    async def step(self) -> None:
        """What it does each second."""
        await self.members.step()
        await settle()

    async def close(self) -> None:
        await self.members.close()
        await self.bus.close()


async def settle() -> None:
    """Let the memory bus deliver what is under way."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[None]:
    for node in nodes:
        await node.start()
    await settle()
    try:
        yield
    finally:
        for node in nodes:
            await node.close()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def pass_s(clock: Clock, seconds: float, *nodes: Node) -> None:
    """Time goes on in steps of a second; these nodes live, the others hang."""
    until_s = clock.now_s + seconds
    while clock.now_s < until_s - 1e-9:
        clock.now_s = min(until_s, clock.now_s + 1.0)
        for node in nodes:
            await node.step()


async def test_nodes_find_each_other_and_hear_of_changes(store: MemoryStore, clock: Clock) -> None:
    a, b = Node(store, "a", clock), Node(store, "b", clock)
    async with running(a, b):
        assert set(a.members.peers()) == {"b"}
        assert set(b.members.nodes()) == {"a", "b"}
        changes = a.changes
        await pass_s(clock, 5, a, b)
        assert a.changes == changes, "a heartbeat that says nothing new is no change"
        b.members.announce(draining=True)
        await pass_s(clock, 1, a, b)
        assert a.members.peers()["b"].draining
        assert a.changes == changes + 1
    assert not store.entries.keys() & {NODES + "a", NODES + "b"}, "who leaves is gone at once"


async def test_a_node_that_is_quiet_for_its_time_is_gone(store: MemoryStore, clock: Clock) -> None:
    a, b = Node(store, "a", clock), Node(store, "b", clock)
    async with running(a, b):
        await pass_s(clock, TTL_S, a)
        assert set(a.members.peers()) == {"b"}
        await pass_s(clock, 1, a)
        assert a.members.peers() == {}
        session = b.members.session
        await b.step()
        assert set(a.members.peers()) == {"b"}, "it comes back"
        assert b.members.session != session, "as somebody new"


async def test_while_the_bus_is_away_the_last_known_peers_stay(store: MemoryStore, clock: Clock) -> None:
    a, b, c = (Node(store, name, clock) for name in "abc")
    async with running(a, b, c):
        store.away = True
        await pass_s(clock, 300, a, b, c)
        assert set(a.members.peers()) == {"b", "c"}
        store.away = False
        await settle()
        # a is first, and the others have as long as ever.
        await pass_s(clock, TTL_S - 0.5, a)
        await b.step()
        await pass_s(clock, 1.0, a)
        assert set(a.members.peers()) == {"b"}, "c has not come back"


async def test_a_node_that_slept_takes_nobody_for_gone(store: MemoryStore, clock: Clock) -> None:
    a, b = Node(store, "a", clock), Node(store, "b", clock)
    async with running(a, b):
        clock.now_s += 60
        await a.members.look()
        await settle()
        assert set(a.members.peers()) == {"b"}


async def test_a_second_node_of_the_same_name_is_refused(store: MemoryStore, clock: Clock) -> None:
    first, second = Node(store, "a", clock), MemoryBus(store)
    other = Membership(second, msgspec.structs.replace(record("a"), instance="a-2"), ttl_s=0.3)
    async with running(first):
        await second.open()
        starting = asyncio.create_task(other.start())
        await settle()
        await first.step()
        with pytest.raises(NameTaken, match=r"^node_name: another node named a "):
            await starting
        assert first.members.valid
        await second.close()


async def test_what_is_left_of_a_process_that_died_is_taken_over(store: MemoryStore) -> None:
    bus, again = MemoryBus(store), MemoryBus(store)
    await bus.open()
    await bus.create(NODES + "a", encode(record("a", session="old")))
    await again.open()
    other = Membership(again, msgspec.structs.replace(record("a"), instance="a-2"), ttl_s=0.3)
    await other.start()
    assert other.valid
    await other.close()


async def test_what_a_newer_program_writes_is_read(store: MemoryStore, clock: Clock) -> None:
    class NextRecord(NodeRecord, frozen=True):
        region: str = "north"
        weights: dict[str, float] = msgspec.field(default_factory=lambda: {"video": 1.0})

    class Leaner(msgspec.Struct, frozen=True):
        """What a program might write that had fewer fields."""

        name: str
        instance: str
        address: str
        port: int
        version: str

    newer = NextRecord(name="n", instance="n-1", address="h", port=1, version="9.9", load=0.5)
    there = decode(NodeRecord, msgspec.msgpack.encode(newer))
    assert there == NodeRecord(name="n", instance="n-1", address="h", port=1, version="9.9", load=0.5)
    leaner = decode(NodeRecord, msgspec.msgpack.encode(Leaner("o", "o-1", "h", 1, "0.0")))
    assert leaner is not None
    assert leaner.session == ""
    # And the other way about: the newer one reads what we write.
    assert msgspec.msgpack.decode(encode(record("a")), type=NextRecord).region == "north"
    a, bus = Node(store, "a", clock), MemoryBus(store)
    async with running(a):
        await bus.open()
        await bus.create(NODES + "n", msgspec.msgpack.encode(newer))
        await bus.create(NODES + "other", msgspec.msgpack.encode(msgspec.structs.replace(newer, v=2)))
        await bus.create(NODES + "junk", b"\xc1")
        await settle()
        assert a.members.peers() == {"n": there}, "another version and junk are left alone"
        await bus.close()


@pytest.fixture(params=[kind for kind in KINDS if kind != "memory"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with rig_of(request.param) as made:
        yield made


def member(bus: Bus, name: str, instance: str = "1") -> Membership:
    return Membership(bus, msgspec.structs.replace(record(name), instance=instance), ttl_s=TTL_S)


async def test_over_a_real_server(rig: Rig) -> None:
    a, b, second = rig.bus("a"), rig.bus("b"), rig.bus("second")
    async with opened(a, b, second):
        first, other = member(a, "a"), member(b, "b")
        await first.start()
        await other.start()
        await eventually(lambda: set(first.peers()) == {"b"} and set(other.peers()) == {"a"}, "they see each other")
        with pytest.raises(NameTaken):
            await member(second, "a", "2").start()
        session = first.session
        rig.go_away()
        await until_available(b, available=False)
        rig.come_back()
        await eventually(lambda: first.valid and other.valid and b.available, "both are back")
        assert first.session == session, "a restart of the server takes nothing away"
        await first.close()
        await eventually(lambda: other.peers() == {}, "it has left")
        await other.close()


async def test_over_a_real_server_who_is_quiet_is_gone(rig: Rig) -> None:
    a, b = rig.bus("a"), rig.bus("b")
    async with opened(a, b):
        first, other = member(a, "a"), member(b, "b")
        await first.start()
        await other.start()
        await eventually(lambda: "a" in other.peers(), "they see each other")
        assert first._task is not None
        first._task.cancel()
        await eventually(lambda: other.peers() == {}, "it is taken for gone")
        assert not first.valid
        await other.close()

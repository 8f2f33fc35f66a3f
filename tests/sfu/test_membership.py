"""Which nodes there are, and who holds what: with a clock of the test's own, and over real servers."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from sfu.bus.api import Bus, BusUnavailable
from sfu.bus.leases import Lease, LeaseHeld, Leases, LeaseState
from sfu.bus.membership import Membership, NameTaken
from sfu.bus.memory import MemoryBus, MemoryStore
from sfu.bus.records import LEASES, NODES, LeaseRecord, NodeRecord, decode, encode
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
        self.unix_s = 1_000_000.0
        self.members = Membership(self.bus, record(name, **more), ttl_s=TTL_S, clock=clock)
        self.leases = Leases(self.bus, self.members, clock=clock, unix_s=lambda: self.unix_s)
        self.changes = 0
        self.members.on_change(self._changed)

    def _changed(self, _: None) -> None:
        self.changes += 1

    async def start(self) -> None:
        await self.bus.open()
        await self.members.start()
        assert self.members._task is not None
        self.members._task.cancel()
        self.leases.start()

    async def step(self) -> None:
        """What it does each second."""
        await self.members.step()
        await settle()

    async def close(self) -> None:
        await self.leases.close()
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


async def test_of_two_who_want_it_one_holds_it(store: MemoryStore, clock: Clock) -> None:
    a, b = Node(store, "a", clock), Node(store, "b", clock)
    async with running(a, b):
        results = await asyncio.gather(
            *(node.leases.acquire("room") for node in (a, b) for _ in range(3)), return_exceptions=True
        )
        held = [result for result in results if isinstance(result, Lease)]
        refused = [result for result in results if isinstance(result, LeaseHeld)]
        assert len(held) == len(refused) == 3
        assert len({id(lease) for lease in held}) == 1, "a second wish of the holder gives the same lease"
        winner = next(node for node in (a, b) if node.leases.held())
        assert refused[0].holder.node == winner.members.record.name
        assert await a.leases.holder("room") == refused[0].holder


async def test_the_next_holder_has_a_higher_epoch(store: MemoryStore, clock: Clock) -> None:
    a, b = Node(store, "a", clock), Node(store, "b", clock)
    a.unix_s += 3600  # a clock that is an hour ahead
    async with running(a, b):
        epochs = []
        for node in (a, b, a, b, b):
            lease = await node.leases.acquire("room")
            epochs.append(lease.epoch)
            await node.leases.release(lease)
            assert lease.state is LeaseState.LOST
            assert await a.leases.holder("room") is None
        assert epochs == sorted(set(epochs))
        assert (await a.leases.acquire("room", at_least=epochs[-1] + 1000)).epoch == epochs[-1] + 1000


async def test_a_holder_that_hangs_knows_before_another_can_have_it(store: MemoryStore, clock: Clock) -> None:
    a, b = Node(store, "a", clock), Node(store, "b", clock)
    async with running(a, b):
        lease = await a.leases.acquire("room")
        told: list[LeaseState] = []
        lease.on_change(lambda changed: told.append(changed.state))
        await pass_s(clock, TTL_S - 0.5, b)
        with pytest.raises(LeaseHeld):
            await b.leases.acquire("room")
        assert lease.held
        await pass_s(clock, 0.5, b)
        assert lease.state is LeaseState.UNSURE
        await pass_s(clock, 1, b)
        taken = await b.leases.acquire("room")
        assert taken.held
        assert taken.epoch > lease.epoch
        await a.step()
        assert told[-1] is LeaseState.LOST
        assert not a.leases.held()
        with pytest.raises(LeaseHeld):
            await a.leases.acquire("room")


async def test_a_holder_without_the_bus_is_unsure_and_then_holds_it_again(store: MemoryStore, clock: Clock) -> None:
    a, b = Node(store, "a", clock), Node(store, "b", clock)
    async with running(a, b):
        lease = await a.leases.acquire("room")
        told: list[LeaseState] = []
        lease.on_change(lambda changed: told.append(changed.state))
        store.away = True
        await pass_s(clock, 300, a, b)
        assert told == [LeaseState.UNSURE]
        with pytest.raises(BusUnavailable):
            await b.leases.acquire("other")
        store.away = False
        await settle()
        await a.step()
        assert told == [LeaseState.UNSURE, LeaseState.HELD]
        await pass_s(clock, TTL_S + 1, a, b)
        with pytest.raises(LeaseHeld):
            await b.leases.acquire("room")
        assert await a.leases.acquire("room") is lease


async def test_one_side_of_a_partition_loses_what_the_other_takes(store: MemoryStore, clock: Clock) -> None:
    a, b = Node(store, "a", clock), Node(store, "b", clock)
    async with running(a, b):
        lease = await a.leases.acquire("room")
        a.bus.cut_off = True
        await pass_s(clock, TTL_S + 1, a, b)
        assert lease.state is LeaseState.UNSURE
        taken = await b.leases.acquire("room")
        a.bus.cut_off = False
        await settle()
        await a.step()
        assert lease.state is LeaseState.LOST
        assert taken.held
        assert taken.epoch > lease.epoch


async def test_a_store_that_lost_everything_ends_all_leases(store: MemoryStore, clock: Clock) -> None:
    a, b = Node(store, "a", clock), Node(store, "b", clock)
    async with running(a, b):
        lease = await a.leases.acquire("room")
        store.away = True
        store.forget()
        store.away = False
        await settle()
        await pass_s(clock, TTL_S, a, b)
        assert lease.state is LeaseState.LOST
        assert (await b.leases.acquire("room", at_least=lease.epoch + 1)).epoch > lease.epoch


async def test_what_is_held_for_long_is_written_anew(store: MemoryStore, clock: Clock) -> None:
    a, b = Node(store, "a", clock), Node(store, "b", clock)
    async with running(a, b):
        lease = await a.leases.acquire("room")
        revision = store.entries[LEASES + "room"].revision
        await a.leases.rewrite()
        assert store.entries[LEASES + "room"].revision > revision
        await a.leases.release(lease)
        assert (await b.leases.acquire("room")).held


@pytest.mark.parametrize("seed", range(20))
async def test_never_two_holders(store: MemoryStore, clock: Clock, seed: int) -> None:
    """Nodes that hang, are cut off, give back and take, in any order; the store goes away and comes back."""
    chance = random.Random(seed)
    nodes = [Node(store, name, clock) for name in "abc"]
    holders: list[Lease] = []
    async with running(*nodes):
        hanging: set[Node] = set()
        for _ in range(1000):
            clock.now_s += chance.choice((0.1, 0.3, 0.5))
            node, what = chance.choice(nodes), chance.random()
            if what < 0.05:
                hanging ^= {node}
            elif what < 0.08:
                node.bus.cut_off = not node.bus.cut_off
            elif what < 0.09:
                store.away = not store.away
            elif what < 0.11 and node.leases.held():
                await node.leases.release(node.leases.held()[0])
            for node in nodes:
                if node in hanging:
                    continue
                if chance.random() < 0.7:
                    await node.step()
                if node.leases._quiet_until_s <= clock.now_s:
                    node.unix_s = 1e6 + chance.uniform(-50, 50)
                    with contextlib.suppress(LeaseHeld, BusUnavailable):
                        holders.append(await node.leases.acquire("room"))
            assert len({lease.epoch for lease in holders if lease.held}) <= 1
            assert sum(any(lease.held for lease in one.leases.held()) for one in nodes) <= 1
        epochs = list(dict.fromkeys(lease.epoch for lease in holders))
        assert epochs == sorted(epochs)
        assert epochs
        store.away = False
        for node in nodes:
            node.bus.cut_off = False


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
        holder, waiter = Leases(a, first), Leases(b, other)
        holder.start()
        waiter.start()
        lease = await holder.acquire("Raum 1/größer")
        with pytest.raises(LeaseHeld):
            await waiter.acquire("Raum 1/größer")
        rig.go_away()
        await until_available(b, available=False)
        rig.come_back()
        await eventually(lambda: first.valid and other.valid and b.available, "both are back")
        assert lease.held, "a restart of the server takes nothing away"
        await holder.close()
        await first.close()
        await eventually(lambda: other.peers() == {}, "it has left")
        taken = await waiter.acquire("Raum 1/größer")
        assert taken.epoch > lease.epoch
        await waiter.close()
        await other.close()


async def test_over_a_real_server_a_dead_holder_is_replaced(rig: Rig) -> None:
    a, b = rig.bus("a"), rig.bus("b")
    async with opened(a, b):
        first, other = member(a, "a"), member(b, "b")
        await first.start()
        await other.start()
        holder, waiter = Leases(a, first), Leases(b, other)
        lease = await holder.acquire("room")
        await eventually(lambda: "a" in other.peers(), "they see each other")
        assert first._task is not None
        first._task.cancel()
        await eventually(lambda: other.peers() == {}, "it is taken for gone")
        assert not lease.held
        assert (await waiter.acquire("room")).epoch > lease.epoch
        await other.close()


def test_records_are_small() -> None:
    assert len(encode(LeaseRecord("node", "0123456789abcdef", 1_800_000_000_000))) < 80

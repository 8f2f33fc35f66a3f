"""What an operator orders reaches the process that was meant, also when it was deaf for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sfu.bus.memory import MemoryBus, MemoryStore
from sfu.bus.records import NODES, ORDERS, NodeRecord, Order, decode, encode
from signaling.cluster.registry import Registry
from tests.harness.waiting import eventually

THREE = NodeRecord("three", "first", "127.0.0.1", 7900, "1")


@pytest.fixture
async def node() -> AsyncIterator[MemoryBus]:
    bus = MemoryBus(MemoryStore())
    await bus.open()
    await bus.create(NODES + THREE.name, encode(THREE))
    yield bus
    await bus.close()


@pytest.fixture
async def registry(node: MemoryBus) -> AsyncIterator[Registry]:
    bus = MemoryBus(node._store)
    await bus.open()
    registry = Registry(bus)
    assert await registry.caught_up(5.0)
    yield registry
    await bus.close()


async def test_an_order_that_was_lost_is_said_again_until_it_is_obeyed(
    node: MemoryBus, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Order | None] = []
    node.listen(ORDERS, lambda payload: heard.append(decode(Order, payload)))
    monkeypatch.setattr("signaling.cluster.registry.AGAIN_S", 0.01)
    order = asyncio.create_task(registry.order("evict", THREE, 30.0))
    await eventually(lambda: len(heard) >= 2, "the order to be said again")
    entry = await node.get(NODES + THREE.name)
    assert entry is not None
    await node.delete(entry.key, entry.revision)
    assert await order
    assert set(heard) == {Order("evict", "three", "first")}


async def test_who_does_not_obey_is_told_of(registry: Registry) -> None:
    assert not await registry.order("evict", THREE, 0.01)


async def test_a_later_process_of_that_name_counts_as_gone(node: MemoryBus, registry: Registry) -> None:
    entry = await node.get(NODES + THREE.name)
    assert entry is not None
    later = NodeRecord("three", "second", "127.0.0.1", 7900, "1")
    await node.update(entry.key, encode(later), entry.revision)
    await eventually(lambda: registry.find("three") == later, "the later process to be known")
    assert await registry.order("evict", THREE, 5.0)


@pytest.mark.parametrize(
    ("order", "meant"),
    [
        (Order("evict", "three", "first"), True),
        (Order("evict", "three"), True),
        (Order("evict", "three", "second"), False),
        (Order("evict", "two", "first"), False),
    ],
)
def test_an_order_means_one_process(order: Order, meant: bool) -> None:
    assert order.means(THREE) is meant

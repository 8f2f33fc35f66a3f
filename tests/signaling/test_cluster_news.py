"""Who was put out on one node is out on all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from sfu.bus.memory import MemoryBus, MemoryStore
from signaling.cluster.news import REVOKED, ClusterNews
from signaling.metrics import Metrics
from signaling.revocations import RevocationRow, Revocations
from tests.harness.waiting import eventually


class Table:
    """The database that the nodes share."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], RevocationRow] = {}
        self.loads = 0

    async def save_revocations(self, rows: Sequence[RevocationRow]) -> None:
        self.rows.update({(row.room, row.identity): row for row in rows})

    async def load_revocations(self, limit: int) -> list[RevocationRow]:
        self.loads += 1
        return list(self.rows.values())[-limit:]

    async def delete_revocations(self, before_ms: int) -> None:
        pass


class Node:
    def __init__(self, store: MemoryStore, table: Table) -> None:
        self.bus = MemoryBus(store)
        self.revocations = Revocations(table, Metrics(), limit=100, keep_s=3600.0, clock=lambda: 5000.0)
        self.news = ClusterNews(self.bus, self.revocations)

    async def start(self) -> None:
        await self.bus.open()
        await self.revocations.start()
        self.news.start()

    async def close(self) -> None:
        await self.news.close()
        await self.revocations.close()
        await self.bus.close()


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def nodes(store: MemoryStore, table: Table) -> AsyncIterator[tuple[Node, Node]]:
    both = Node(store, table), Node(store, table)
    for node in both:
        await node.start()
    yield both
    for node in both:
        await node.close()


async def test_a_kick_is_in_force_on_the_others_at_once(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    here.revocations.add("hall", "mallory")
    await eventually(lambda: there.revocations.revoked_at("hall", "mallory") == 5000.0, "the other node knows")
    assert there.revocations.is_idle, "who has decided it writes it down"
    assert there.revocations.revoked_at("hall", "bob") is None


async def test_what_was_told_takes_nothing_back_and_does_not_reach_ahead(nodes: tuple[Node, Node]) -> None:
    revocations = nodes[0].revocations
    revocations.learn("hall", "mallory", 4000.0)
    revocations.learn("hall", "mallory", 3000.0)
    assert revocations.revoked_at("hall", "mallory") == 4000.0
    revocations.learn("hall", "mallory", 1e12)
    assert revocations.revoked_at("hall", "mallory") == 5000.0 + 3600.0


async def test_while_the_bus_is_away_the_database_is_asked(
    nodes: tuple[Node, Node], store: MemoryStore, table: Table
) -> None:
    here, there = nodes
    store.away = True
    here.revocations.add("hall", "mallory")
    await eventually(lambda: there.revocations.revoked_at("hall", "mallory") == 5000.0, "the other node has read it")
    store.away = False
    loads = table.loads
    await eventually(lambda: table.loads >= loads + 2, "each looks once more, for what it may have missed")
    here.revocations.add("hall", "eve")
    await eventually(lambda: there.revocations.revoked_at("hall", "eve") == 5000.0, "hints arrive again")


async def test_junk_is_no_news(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    for payload in (b"", b"\xc1", b"\x93\x01\x02\x03", b"\x81\xa1v\x02"):
        here.bus.emit(REVOKED, payload)
    here.revocations.add("hall", "mallory")
    await eventually(lambda: there.revocations.revoked_at("hall", "mallory") is not None, "what follows is heard")

"""Hints that only nodes of the cluster can give."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sfu.bus.memory import MemoryBus, MemoryStore
from sfu.bus.signed import MAX_AGE_S, SignedBus
from tests.harness.waiting import eventually

SECRET = "a secret for tests that is long enough"


class Rig:
    def __init__(self) -> None:
        store = MemoryStore()
        self.plain = MemoryBus(store)
        self.now_s = 1_800_000_000.0
        self.here = SignedBus(MemoryBus(store), SECRET, clock=lambda: self.now_s)
        self.there = SignedBus(MemoryBus(store), SECRET, clock=lambda: self.now_s)
        self.other = SignedBus(MemoryBus(store), "another secret that is long enough, too", clock=lambda: self.now_s)
        self.heard: list[bytes] = []

    def all(self) -> list[SignedBus | MemoryBus]:
        return [self.plain, self.here, self.there, self.other]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    for bus in rig.all():
        await bus.open()
    rig.there.listen("orders", rig.heard.append)
    yield rig
    for bus in rig.all():
        await bus.close()


async def test_a_hint_of_the_cluster_is_heard_as_it_was_given(rig: Rig) -> None:
    assert rig.here.emit("orders", b"drain")
    assert rig.here.emit("orders", b"")
    await eventually(lambda: rig.heard == [b"drain", b""], "both")


async def test_what_others_write_is_not_heard(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    copies: list[bytes] = []
    rig.plain.listen("orders", copies.append)
    rig.here.emit("orders", b"first")
    await eventually(lambda: copies and rig.heard == [b"first"], "the first")
    good = copies[0]
    rig.other.emit("orders", b"evict")
    for bad in (b"", b"evict", good[:-1], good[:20], good[:40] + b"other", bytes(8) + good[8:], bytes(200)):
        rig.plain.emit("orders", bad)
    # One that was meant for something else, and one that was kept.
    elsewhere: list[bytes] = []
    rig.there.listen("revoked", elsewhere.append)
    rig.plain.emit("revoked", good)
    rig.now_s += MAX_AGE_S + 1
    rig.plain.emit("orders", good)
    rig.here.emit("orders", b"last")
    await eventually(lambda: rig.heard == [b"first", b"last"], "the last, and nothing between")
    assert elsewhere == []
    assert "not from a node of this cluster" in caplog.text
    assert "too old" in caplog.text
    assert SECRET not in caplog.text

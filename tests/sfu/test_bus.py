"""The contract of the bus, with each of its implementations."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.bus.api import MAX_KEY_BYTES, MAX_VALUE_BYTES, Bus, BusUnavailable, Conflict, Entry
from sfu.bus.views import finish
from tests.harness.waiting import eventually
from tests.sfu.bus_rig import KINDS, MemoryRig, Rig, opened, rig_of, until_available


@pytest.fixture(params=KINDS)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with rig_of(request.param) as made:
        yield made


class Seen:
    """What a watcher was told, and what is there according to it."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bytes | None]] = []
        self.state: dict[str, bytes] = {}
        self.caught_up = 0

    def handle(self, key: str, entry: Entry | None) -> None:
        self.told.append((key, None if entry is None else entry.value))
        if entry is None:
            del self.state[key]
        else:
            self.state[key] = entry.value

    def catch_up(self) -> None:
        self.caught_up += 1


def watching(bus: Bus, prefix: str) -> Seen:
    seen = Seen()
    bus.watch(prefix, seen.handle, seen.catch_up)
    return seen


async def test_a_write_names_the_revision_that_it_replaces(rig: Rig) -> None:
    a, b = rig.bus("a"), rig.bus("b")
    async with opened(a, b):
        first = await a.create("nodes/a", b"1")
        assert await b.get("nodes/a") == Entry("nodes/a", b"1", first)
        second = await b.update("nodes/a", b"2", first)
        assert second > first
        with pytest.raises(Conflict):
            await a.update("nodes/a", b"3", first)
        with pytest.raises(Conflict):
            await a.delete("nodes/a", first)
        with pytest.raises(Conflict):
            await a.create("nodes/a", b"3")
        assert await a.get("nodes/a") == Entry("nodes/a", b"2", second)


async def test_what_was_deleted_is_gone_and_can_be_created_again(rig: Rig) -> None:
    bus = rig.bus("a")
    async with opened(bus):
        first = await bus.create("rooms/x", b"1")
        await bus.delete("rooms/x", first)
        assert await bus.get("rooms/x") is None
        for revision in (first, 0):
            with pytest.raises(Conflict):
                await bus.update("rooms/x", b"2", revision)
            with pytest.raises(Conflict):
                await bus.delete("rooms/x", revision)
        assert await bus.create("rooms/x", b"3") > first
        with pytest.raises(Conflict):
            await bus.create("rooms/x", b"4")


async def test_of_many_writers_at_once_one_wins(rig: Rig) -> None:
    buses = [rig.bus(name) for name in "abcd"]
    async with opened(*buses):
        revision = await buses[0].create("rooms/y", b"0")
        for write in (
            lambda bus: bus.create("rooms/x", b"1"),
            lambda bus: bus.update("rooms/y", b"1", revision),
        ):
            results = await asyncio.gather(*(write(bus) for bus in buses for _ in range(5)), return_exceptions=True)
            assert sum(isinstance(result, int) for result in results) == 1
            assert sum(isinstance(result, Conflict) for result in results) == len(results) - 1


async def test_a_watcher_hears_what_is_there_then_each_change(rig: Rig) -> None:
    a, b = rig.bus("a"), rig.bus("b")
    async with opened(a, b):
        await a.create("nodes/a", b"a1")
        gone = await a.create("nodes/gone", b"x")
        await a.delete("nodes/gone", gone)
        await a.create("rooms/a", b"not ours")
        await a.create("nodes", b"not ours either")
        seen = watching(b, "nodes/")
        await eventually(lambda: seen.caught_up == 1, "all that was there is told")
        assert seen.told == [("nodes/a", b"a1")]
        revision = await a.create("nodes/b/c", b"b1")
        revision = await b.update("nodes/b/c", b"b2", revision)
        await a.delete("nodes/b/c", revision)
        await a.create("nodes/end", b"")
        await eventually(lambda: "nodes/end" in seen.state, "every change is told")
        assert seen.state == {"nodes/a": b"a1", "nodes/end": b""}
        changes = iter([("nodes/b/c", b"b1"), ("nodes/b/c", b"b2"), ("nodes/b/c", None), ("nodes/end", b"")])
        assert all(told in changes for told in seen.told[1:]), "in their order, and nothing else"
        assert seen.caught_up == 1


async def test_a_watcher_of_nothing_has_caught_up_at_once(rig: Rig) -> None:
    bus = rig.bus("a")
    async with opened(bus):
        seen = watching(bus, "nodes/")
        await eventually(lambda: seen.caught_up == 1, "there is nothing to wait for")
        await bus.create("nodes/a", b"1")
        await eventually(lambda: seen.told == [("nodes/a", b"1")], "the change is told")


async def test_after_its_end_a_watcher_hears_nothing(rig: Rig) -> None:
    a, b = rig.bus("a"), rig.bus("b")
    async with opened(a, b):
        silent = Seen()
        ended = b.watch("nodes/", silent.handle)
        other = watching(b, "nodes/")
        await eventually(lambda: other.caught_up == 1, "the watch runs")
        ended.close()
        ended.close()
        await a.create("nodes/a", b"1")
        await eventually(lambda: other.state == {"nodes/a": b"1"}, "the other one hears it")
        assert silent.told == []


async def test_a_handler_that_fails_is_called_again(rig: Rig) -> None:
    bus = rig.bus("a")
    keys: list[str] = []

    def fail(key: str, entry: Entry | None) -> None:
        keys.append(key)
        raise RuntimeError("of the test")

    async with opened(bus):
        bus.watch("nodes/", fail)
        await bus.create("nodes/a", b"1")
        await bus.create("nodes/b", b"1")
        await eventually(lambda: keys == ["nodes/a", "nodes/b"], "both are told")


async def test_hints_reach_the_other_nodes_that_listen(rig: Rig) -> None:
    a, b, c = rig.bus("a"), rig.bus("b"), rig.bus("c")
    heard: list[tuple[str, bytes]] = []
    async with opened(a, b, c):
        for name, bus in (("a", a), ("b", b), ("c", c)):
            bus.listen("log", lambda payload, name=name: heard.append((name, payload)))
        ended = b.listen("log", lambda payload: heard.append(("ended", payload)))
        ended.close()
        c.listen("other", lambda payload: heard.append(("other", payload)))
        assert a.emit("log", b"1")
        assert a.emit("other", b"2")
        await eventually(lambda: len(heard) == 3, "each has heard its own")
        assert sorted(heard) == [("b", b"1"), ("c", b"1"), ("other", b"2")]


async def test_while_the_store_is_away_everything_says_so_and_then_goes_on(rig: Rig) -> None:
    a, b = rig.bus("a"), rig.bus("b")
    changes: list[bool] = []
    async with opened(a, b):
        a.on_available(changes.append)
        revision = await a.create("nodes/a", b"1")
        gone = await a.create("nodes/gone", b"1")
        seen = watching(a, "nodes/")
        await eventually(lambda: seen.caught_up == 1, "the watch runs")
        rig.go_away()
        await until_available(a, available=False)
        assert a.problem
        for call in (a.get("nodes/a"), a.create("nodes/b", b""), a.update("nodes/a", b"", revision)):
            with pytest.raises(BusUnavailable):
                await call
        assert not a.emit("log", b"lost")
        late = watching(a, "nodes/")
        rig.come_back()
        await until_available(a)
        await until_available(b)
        assert not a.problem
        assert changes == [False, True]
        await eventually(lambda: seen.caught_up == 2 and late.caught_up == 1, "the watches are back")
        assert len(seen.told) == 2, "nothing is told twice"
        await b.update("nodes/a", b"2", revision)
        await b.delete("nodes/gone", gone)
        await b.create("nodes/b", b"3")
        for watcher in (seen, late):
            await eventually(lambda w=watcher: w.state == {"nodes/a": b"2", "nodes/b": b"3"}, "changes are told")
        heard: list[bytes] = []
        b.listen("log", heard.append)
        assert a.emit("log", b"found")
        await eventually(lambda: heard == [b"found"], "hints arrive again")


async def test_what_changed_while_one_was_away_is_told_then() -> None:
    rig = MemoryRig()
    a, b = rig.bus("a"), rig.bus("b")
    async with opened(a, b):
        kept = await a.create("nodes/kept", b"1")
        gone = await a.create("nodes/gone", b"1")
        seen = watching(b, "nodes/")
        await eventually(lambda: seen.caught_up == 1, "the watch runs")
        b.cut_off = True
        await a.update("nodes/kept", b"2", kept)
        await a.delete("nodes/gone", gone)
        b.cut_off = False
        await eventually(lambda: seen.caught_up == 2, "it has caught up")
        assert seen.told[2:] == [("nodes/kept", b"2"), ("nodes/gone", None)]


async def test_a_store_that_lost_everything_is_told_as_empty(rig: Rig) -> None:
    bus = rig.bus("a")
    async with opened(bus):
        revision = await bus.create("nodes/a", b"1")
        seen = watching(bus, "nodes/")
        await eventually(lambda: seen.caught_up == 1, "the watch runs")
        rig.lose_everything()
        await eventually(lambda: seen.state == {}, "its watchers hear that nothing is left")
        await until_available(bus)
        with pytest.raises(Conflict):
            await bus.update("nodes/a", b"2", revision)
        await bus.create("nodes/a", b"3")
        await eventually(lambda: seen.state == {"nodes/a": b"3"}, "and what comes then")


async def test_opening_without_the_store_does_not_fail(rig: Rig) -> None:
    rig.go_away()
    bus = rig.bus("a")
    await bus.open()
    try:
        assert not bus.available
        assert bus.problem
        seen = watching(bus, "nodes/")
        with pytest.raises(BusUnavailable):
            await bus.create("nodes/a", b"1")
        rig.come_back()
        await until_available(bus)
        await bus.create("nodes/a", b"1")
        await eventually(lambda: seen.state == {"nodes/a": b"1"}, "a watch from before works")
    finally:
        await bus.close()


AWKWARD = (
    "rooms/Größe 100 % = viel.",
    "rooms/a.b>c*d",
    "rooms/会议室 一",
    "rooms/\x00\r\n",
    "rooms/=41",
    "rooms/A/b/c",
)


async def test_any_text_can_be_a_key(rig: Rig) -> None:
    bus = rig.bus("a")
    async with opened(bus):
        seen = watching(bus, "rooms/")
        for number, key in enumerate(AWKWARD):
            await bus.create(key, str(number).encode())
        await eventually(lambda: len(seen.state) == len(AWKWARD), "all are told")
        assert seen.state == {key: str(number).encode() for number, key in enumerate(AWKWARD)}
        assert await bus.get("rooms/A") is None


async def test_keys_and_values_have_limits(rig: Rig) -> None:
    bus = rig.bus("a")
    async with opened(bus):
        longest = "rooms/" + "\x00" * (MAX_KEY_BYTES - 6)
        await bus.create(longest, bytes(MAX_VALUE_BYTES))
        there = await bus.get(longest)
        assert there is not None
        assert len(there.value) == MAX_VALUE_BYTES
        for key in (longest + "a", "", "rooms/", "/a", "a//b"):
            with pytest.raises(ValueError, match="no key of the bus"):
                await bus.create(key, b"")
        with pytest.raises(ValueError, match="no key of the bus"):
            bus.watch("rooms", lambda _key, _entry: None)
        with pytest.raises(ValueError, match="too many"):
            await bus.create("rooms/big", bytes(MAX_VALUE_BYTES + 1))
        with pytest.raises(ValueError, match="too many"):
            bus.emit("log", bytes(MAX_VALUE_BYTES + 1))


async def test_a_thousand_changes_are_told_in_order(rig: Rig) -> None:
    a, b = rig.bus("a"), rig.bus("b")
    async with opened(a, b):
        seen = watching(b, "nodes/")
        revision = await a.create("nodes/a", b"0")
        for number in range(1, 1000):
            revision = await a.update("nodes/a", str(number).encode(), revision)
        await eventually(lambda: seen.state.get("nodes/a") == b"999", "the last one is told")
        numbers = [int(value or b"") for _, value in seen.told]
        assert numbers == sorted(numbers)


async def test_a_watcher_catches_up_while_everything_changes(rig: Rig) -> None:
    """As where many nodes beat: the store is never idle, and what it tells is replaced meanwhile."""
    a, b = rig.bus("a"), rig.bus("b")
    async with opened(a, b):
        revisions = {f"nodes/{number}": await a.create(f"nodes/{number}", b"0") for number in range(20)}

        async def beat() -> None:
            while True:
                for key, revision in revisions.items():
                    revisions[key] = await a.update(key, b"1", revision)

        beating = asyncio.create_task(beat())
        try:
            for _ in range(20):
                seen = watching(b, "nodes/")
                await eventually(lambda seen=seen: seen.caught_up == 1, "it has caught up")
                assert seen.state.keys() == revisions.keys()
        finally:
            await finish(beating)


@given(st.lists(st.text(st.characters(exclude_characters="/", codec="utf-8"), min_size=1, max_size=40), min_size=1))
def test_keys_survive_the_way_through_subjects(parts: list[str]) -> None:
    from sfu.bus.nats_names import decode_key, encode_key

    key = "/".join(parts)
    encoded = encode_key(key)
    assert decode_key(encoded) == key
    assert set(encoded) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-=.")

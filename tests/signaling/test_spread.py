"""Followers of a room on several nodes: what is said on one is heard on all, entries in the order of the log."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from sfu.ids import Identity, RoomName
from signaling.errors import ApiError
from signaling.log import spread
from signaling.log.entries import Entry, Verb
from signaling.log.live import Listener
from signaling.log.spread import SpreadLive
from signaling.rooms.breakouts import How
from signaling.rooms.homes import Homes
from signaling.rooms.knocks import Answer, Knock
from signaling.rooms.policy import Kind, Policy
from signaling.rooms.roles import Actor, Role
from signaling.rooms.settings import LastingRoomSettings
from signaling.rooms.spread import SpreadHomes, SpreadKnocks
from signaling.rooms.spread_breakouts import SpreadBreakouts
from signaling.rooms.spread_doors import SpreadAdmissions, SpreadSealedRooms
from tests.harness.waiting import eventually

ROOM = 7


class Wire:
    """Stands for the SFUs of several nodes and the connections between them: what is sent arrives in order, later."""

    def __init__(self) -> None:
        self.listeners: dict[str, dict[str, Any]] = {}
        """By node and topic."""
        self.up: set[frozenset[str]] = set()
        self.held = False
        self._late: list[tuple[str, str, str, bytes]] = []

    def end(self, name: str) -> Any:
        """What stands for the SFU of a node."""
        return _End(self, name)

    def node(self, name: str) -> SpreadLive:
        return SpreadLive(self.end(name))

    def connect(self, one: str, other: str) -> None:
        self.up.add(frozenset((one, other)))
        for near, far in ((one, other), (other, one)):
            for listener in self.listeners[near].values():
                listener.handle_node_up(far)

    def cut(self, one: str, other: str) -> None:
        self.up.discard(frozenset((one, other)))
        for near, far in ((one, other), (other, one)):
            for listener in self.listeners[near].values():
                listener.handle_node_down(far)

    def send(self, sender: str, receiver: str, topic: str, payload: bytes) -> None:
        if self.held:
            self._late.append((sender, receiver, topic, payload))
            return
        asyncio.get_running_loop().call_soon(self._deliver, sender, receiver, topic, payload)

    def release(self) -> None:
        self.held = False
        for late in self._late:
            self._deliver(*late)
        self._late.clear()

    def _deliver(self, sender: str, receiver: str, topic: str, payload: bytes) -> None:
        if frozenset((sender, receiver)) in self.up:
            self.listeners[receiver][topic].handle_node_message(sender, payload)


class _End:
    def __init__(self, wire: Wire, name: str) -> None:
        self._wire, self._name = wire, name

    def listen_to_nodes(self, topic: str, listener: Any) -> None:
        self._wire.listeners.setdefault(self._name, {})[topic] = listener

    def send_to_nodes(self, topic: str, payload: bytes, node: str = "") -> None:
        for other in self._wire.listeners:
            if other != self._name and (not node or other == node):
                self._wire.send(self._name, other, topic, payload)


class Follower:
    """Somebody who has a room open, and what they have heard."""

    def __init__(self, live: SpreadLive, member_id: str, role: Role = Role.MEMBER, device: str = "") -> None:
        self.live = live
        self.listener = Listener(ROOM, member_id, member_id, role, "", max_queue=100, device=device)
        self.heard: list[dict[str, Any]] = []
        live.add(self.listener)
        self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        while news := await self.listener.next():
            self.heard += [json.loads(one.text("den")) for one in news]

    def seqs(self) -> list[int]:
        return [one["seq"] for one in self.heard if one["type"] == "entry"]

    def leave(self) -> None:
        self._task.cancel()
        self.live.remove(self.listener)


def entry(seq: int, sender: str = "ada", recipient: str = "") -> Entry:
    return Entry(seq, Verb.MESSAGE, sender, sender, f"client {seq}", 1000 + seq, {"text": f"no {seq}"}, None, recipient)


@pytest.fixture
def wire() -> Wire:
    return Wire()


async def two(wire: Wire) -> tuple[SpreadLive, SpreadLive]:
    one, other = wire.node("one"), wire.node("two")
    wire.connect("one", "two")
    return one, other


async def test_entries_reach_followers_on_both_nodes_once_and_in_order(wire: Wire) -> None:
    one, other = await two(wire)
    ada, bob = Follower(one, "ada"), Follower(other, "bob")
    await eventually(lambda: len(one.of(ROOM)) == len(other.of(ROOM)) == 2, "both on both")
    one.publish(ROOM, entry(1))
    await eventually(lambda: bob.seqs() == [1], "the first")
    wire.held = True
    one.publish(ROOM, entry(2))
    other.publish(ROOM, entry(3, sender="bob"))
    other.publish(ROOM, entry(4, sender="bob"))
    await asyncio.sleep(0)
    assert bob.seqs() == [1]  # 3 and 4 wait for 2, which is on its way
    wire.release()
    for follower in (ada, bob):
        await eventually(lambda follower=follower: follower.seqs() == [1, 2, 3, 4], "all four")  # type: ignore[misc]
    assert [one.get("client_id") for one in bob.heard] == [None, None, "client 3", "client 4"]


async def test_what_is_for_one_person_reaches_nobody_else(wire: Wire) -> None:
    one, other = await two(wire)
    bob, cat = Follower(other, "bob"), Follower(other, "cat", Role.MODERATOR)
    await eventually(lambda: len(one.of(ROOM)) == 2, "both on the other node")
    one.publish(ROOM, entry(1, recipient="bob"))
    one.tell(ROOM, {"type": "knock"}, to=lambda listener: listener.role.reaches(Role.MODERATOR))
    one.tell(ROOM, {"type": "typing"})
    await eventually(lambda: len(bob.heard) == len(cat.heard) == 2, "two for each")
    assert [message["type"] for message in bob.heard] == ["entry", "typing"]
    assert [message["type"] for message in cat.heard] == ["knock", "typing"]


async def test_a_member_who_may_no_longer_be_there_is_ended_on_every_node(wire: Wire) -> None:
    one, other = await two(wire)
    bob = Follower(other, "bob")
    await eventually(lambda: one.count("bob") == 1, "bob on the other node")
    one.end_member(ROOM, "bob", "forbidden")
    await eventually(lambda: bob.listener.ended == "forbidden", "the end")


async def test_watchers_see_those_of_all_nodes(wire: Wire) -> None:
    one, other = wire.node("one"), wire.node("two")
    there: set[str] = set()
    one.add_watcher(lambda listener, is_there: (there.add if is_there else there.discard)(listener.device))
    early = Follower(other, "bob", device="early")
    wire.connect("one", "two")
    late = Follower(other, "cat", device="late")
    await eventually(lambda: there == {"early", "late"}, "both devices")
    late.leave()
    await eventually(lambda: there == {"early"}, "one device")
    wire.cut("one", "two")
    assert there == set()
    early.leave()


async def test_what_was_missed_is_asked_for_anew(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "MAX_GAP_S", 0.05)
    one, other = await two(wire)
    bob = Follower(other, "bob")
    await eventually(lambda: len(one.of(ROOM)) == 1, "bob on the other node")
    one.publish(ROOM, entry(1))
    await eventually(lambda: bob.seqs() == [1], "the first")
    other.publish(ROOM, entry(3))
    await eventually(lambda: bob.listener.overflowed, "a start over")
    assert bob.seqs() == [1]
    cat = Follower(other, "cat")
    wire.cut("one", "two")
    assert cat.listener.overflowed
    dan = Follower(other, "dan")
    wire.connect("one", "two")
    assert dan.listener.overflowed


async def test_a_node_that_stops_ends_its_own_only(wire: Wire) -> None:
    one, other = await two(wire)
    ada, bob = Follower(one, "ada"), Follower(other, "bob")
    await eventually(lambda: len(one.of(ROOM)) == 2, "both")
    one.shut_down()
    assert ada.listener.ended == "unavailable"
    await asyncio.sleep(0)
    assert bob.listener.ended is None


class Doors:
    """The doors of one node, on a clock of their own."""

    def __init__(self, wire: Wire, name: str) -> None:
        self.now_s = 0.0
        self.news: list[int] = []
        end = wire.end(name)
        self.homes = SpreadHomes(end)
        self.knocks = SpreadKnocks(end, max_per_room=5, absence_s=60.0, denial_s=300.0, clock=lambda: self.now_s)
        self.knocks.add_listener(self.news.append)

    def knock(self, member_id: str) -> Knock:
        return self.knocks.knock(ROOM, member_id, f"{member_id}~1", member_id, "hello", "198.51.100.7")

    def names(self) -> list[str]:
        return [one["name"] for one in self.knocks.view(ROOM)]


async def two_doors(wire: Wire) -> tuple[Doors, Doors]:
    one, other = Doors(wire, "one"), Doors(wire, "two")
    wire.connect("one", "two")
    return one, other


async def test_who_knocks_on_one_node_is_let_in_on_another(wire: Wire) -> None:
    one, other = await two_doors(wire)
    knock = one.knock("guest")
    waiting = asyncio.create_task(one.knocks.wait(knock, 20.0))
    await eventually(lambda: other.names() == ["guest"], "the guest at the other door")
    assert other.news == [ROOM]
    seen = other.knocks.find(ROOM, knock.knock_id)
    assert (seen.note, seen.identity, seen.address) == ("hello", "guest~1", "198.51.100.7")
    assert other.knocks.answer(seen, Answer.ADMITTED)
    assert await waiting is Answer.ADMITTED
    assert one.names() == other.names() == []
    one.knocks.withdraw(knock)
    await asyncio.sleep(0)
    with pytest.raises(ApiError):
        other.knocks.find(ROOM, knock.knock_id)


async def test_who_was_denied_on_one_node_is_denied_on_all(wire: Wire) -> None:
    one, other = await two_doors(wire)
    knock = one.knock("guest")
    await eventually(lambda: other.names() == ["guest"], "the guest at the other door")
    one.knocks.answer(knock, Answer.DENIED)
    await eventually(lambda: other.names() == [], "nobody")
    with pytest.raises(ApiError, match="not let in"):
        other.knock("guest")


async def test_a_guest_is_there_as_long_as_its_page_asks_on_any_node(wire: Wire) -> None:
    one, other = await two_doors(wire)
    knock = one.knock("guest")
    await eventually(lambda: other.names() == ["guest"], "the guest at the other door")
    assert other.knock("guest").knock_id == knock.knock_id
    waiting = asyncio.create_task(other.knocks.wait(other.knocks.find(ROOM, knock.knock_id), 20.0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    one.now_s += 100.0
    assert one.names() == ["guest"]  # A request of theirs waits on the other node.
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0)
    one.now_s += 100.0
    assert one.names() == []
    await eventually(lambda: other.names() == [], "nobody")


async def test_those_at_the_door_of_a_node_that_is_lost_are_gone_and_come_back(wire: Wire) -> None:
    one, other = await two_doors(wire)
    one.knock("guest")
    await eventually(lambda: other.names() == ["guest"], "the guest at the other door")
    wire.cut("one", "two")
    assert other.names() == []
    wire.connect("one", "two")
    await eventually(lambda: other.names() == ["guest"], "the guest again")


async def test_breakout_rooms_have_their_home_on_every_node(wire: Wire) -> None:
    one, other = Doors(wire, "one"), Doors(wire, "two")
    one.homes.add(RoomName("breakout-1"), RoomName("den"))
    wire.connect("one", "two")
    await eventually(lambda: other.homes.is_breakout("breakout-1"), "the first")
    one.homes.add(RoomName("breakout-2"), RoomName("den"))
    await eventually(lambda: other.homes.home_of("breakout-2") == "den", "the second")
    wire.cut("one", "two")
    assert other.homes.rooms_of(RoomName("den")) == ["den", "breakout-1", "breakout-2"]
    wire.connect("one", "two")
    one.homes.remove(RoomName("breakout-1"))
    await eventually(lambda: not other.homes.is_breakout("breakout-1"), "one of them")


class SharedCall:
    """A call over nodes, as all their SFUs see it: who is in which room, and on which node."""

    def __init__(self) -> None:
        self.rooms: dict[str, dict[str, str]] = {"den": {}}
        self.moved: list[tuple[str, str, str]] = []
        self.held: dict[str, bool] = {}


class CallEnd(_End):
    """The SFU of one node in it."""

    def __init__(self, wire: Wire, name: str, call: SharedCall) -> None:
        super().__init__(wire, name)
        self._call = call

    def find_room(self, room: str) -> object | None:
        return self._call.rooms.get(room)

    def participants(self, room: str) -> list[Any]:
        people = self._call.rooms.get(room, {})
        return [SimpleNamespace(identity=one, participant_id=one, name=one, attributes={}) for one in people]

    def find_session(self, room: str, participant_id: str) -> object | None:
        return True if self._call.rooms.get(room, {}).get(participant_id) == self._name else None

    def move_participant(self, room: str, identity: str, destination: str, *, create: bool) -> None:
        assert create
        assert self._call.rooms[room][identity] == self._name, "moved by the node that it is on"
        self._call.rooms.setdefault(destination, {})[identity] = self._call.rooms[room].pop(identity)
        self._call.moved.append((self._name, identity, destination))

    def hold_room(self, room: str, held: bool) -> None:
        self._call.held[f"{self._name} {room}"] = held

    def end_room(self, room: str) -> bool:
        return self._call.rooms.pop(room, None) is not None


class Acts:
    def __init__(self) -> None:
        self.noted: list[str] = []

    async def note_act(self, room_key: int, by: str, name: str, act: str, body: dict[str, Any]) -> None:
        self.noted.append(act)


class BreakoutNode:
    def __init__(self, wire: Wire, name: str, call: SharedCall) -> None:
        self.now_s, self.news, self.acts = 0.0, [], Acts()
        end = CallEnd(wire, name, call)
        self.breakouts = SpreadBreakouts(
            name,
            end,
            SpreadHomes(end),  # type: ignore[arg-type]
            lambda room_key, news: self.news.append(news),
            self.acts,
            LastingRoomSettings(),
            clock=lambda: self.now_s,
        )

    def view(self) -> list[int]:
        return [len(room["people"]) for room in self.breakouts.view(RoomName("den")).get("rooms", [])]


HOST = Actor(ROOM, RoomName("den"), Identity("host~1"), "Host", Role.OWNER)


async def test_each_node_moves_its_own_wherever_hosts_ask(wire: Wire) -> None:
    call = SharedCall()
    call.rooms["den"] = {"ada": "one", "bob": "two", "cat": "two"}
    one, other = BreakoutNode(wire, "one", call), BreakoutNode(wire, "two", call)
    wire.connect("one", "two")
    await one.breakouts.open(HOST, 2, How.HAND, {"ada": 1, "bob": 1, "cat": 2}, ends_in_s=60.0)
    for node in (one, other):
        await eventually(lambda node=node: node.view() == [0, 2, 1], "everybody in their room")  # type: ignore[misc]
    assert {(node, who) for node, who, _ in call.moved} == {("one", "ada"), ("two", "bob"), ("two", "cat")}
    assert call.held == {"one den": True, "two den": True}
    # The next request of a host comes to the other node.
    other.breakouts.move(HOST, "ada", 2)
    await eventually(lambda: one.view() == [0, 1, 2], "ada in the other room")
    for node in (one, other):
        assert node.breakouts.view(RoomName("den"))["ends_in_ms"] == 60_000
        await eventually(lambda node=node: node.news and node.news[-1]["open"], "news for those here")  # type: ignore[misc]
    # A third node comes, and knows it all.
    third = BreakoutNode(wire, "three", call)
    wire.connect("one", "three")
    wire.connect("two", "three")
    await eventually(lambda: third.view() == [0, 1, 2], "the rooms on the third")
    # What is over is ended once.
    for node in (one, other, third):
        node.now_s = 61.0
    await eventually(lambda: set(call.rooms) == {"den"} and len(call.rooms["den"]) == 3, "everybody back")
    assert [node.acts.noted for node in (one, other, third)] == [["open_breakouts", "close_breakouts"], [], []]
    for node in (one, other, third):
        await eventually(lambda node=node: not node.breakouts.view(RoomName("den"))["open"], "no rooms")  # type: ignore[misc]
        await node.breakouts.stop()


async def test_breakout_rooms_outlive_the_node_on_which_they_were_made(wire: Wire) -> None:
    call = SharedCall()
    call.rooms["den"] = {"bob": "two"}
    one, other = BreakoutNode(wire, "one", call), BreakoutNode(wire, "two", call)
    wire.connect("one", "two")
    await one.breakouts.open(HOST, 1, How.HAND, {"bob": 1}, ends_in_s=60.0)
    await eventually(lambda: other.view() == [0, 1], "bob in the room")
    wire.cut("one", "two")
    other.now_s = 61.0
    await eventually(lambda: call.rooms["den"] == {"bob": "two"}, "bob back")
    assert other.acts.noted == ["close_breakouts"]
    for node in (one, other):
        await node.breakouts.stop()


async def test_whom_one_door_let_in_all_know_with_their_addresses() -> None:
    wire = Wire()
    a, b = SpreadAdmissions(wire.end("a")), SpreadAdmissions(wire.end("b"))
    a.add(ROOM, "early", ["h1"])
    wire.connect("a", "b")
    await eventually(lambda: b.addresses_of(ROOM, "early") == ("h1",), "what was before")
    b.add(ROOM, "early", ["h2"])
    b.add(ROOM + 1, "other", [])
    await eventually(lambda: (ROOM + 1, "other") in a, "what came later")
    assert a.addresses_of(ROOM, "early") == ("h1", "h2")
    a.forget(ROOM, "early")
    assert (ROOM, "early") not in a
    await eventually(lambda: (ROOM, "early") not in b, "somebody put out on the other node")
    b.add(ROOM, "late", ["h3"])
    b.forget(ROOM)
    wire.cut("a", "b")
    wire.connect("a", "b")
    await eventually(lambda: (ROOM + 1, "other") in a and not a.addresses_of(ROOM, "late"), "only who is still in")
    assert (ROOM, "early") not in a
    many = [f"m{number}" for number in range(1200)]
    for name in many:
        a.add(ROOM, name, [name])
    c = SpreadAdmissions(wire.end("c"))
    wire.connect("a", "c")
    await eventually(lambda: all((ROOM, name) in c for name in many), "all of many")


class Kinds:
    """Stands for the database: a room, as it is now."""

    has_data = True

    def __init__(self) -> None:
        self.room = SimpleNamespace(name="den", room_key=ROOM, policy=Policy(kind=Kind.SEALED))

    async def rooms(self) -> Any:
        return self

    async def find_room(self, name: str) -> Any:
        return self.room if name == "den" else None


async def test_a_room_that_is_opened_on_one_node_is_open_on_all() -> None:
    wire, stores = Wire(), Kinds()
    a, b, c = (SpreadSealedRooms(stores, Homes(), wire.end(name)) for name in "abc")  # type: ignore[arg-type]
    for one in (a, b, c):
        assert await one.look(RoomName("den"))
    wire.connect("a", "b")
    stores.room.policy = Policy(kind=Kind.OPEN)
    await a.handle_policy(ROOM, stores.room.policy)
    assert "den" not in a
    await eventually(lambda: "den" not in b, "open on the second")
    assert "den" in c, "which has not heard of it"
    wire.connect("a", "c")
    await eventually(lambda: "den" not in c, "open on the third")


async def test_a_room_stays_sealed_when_a_node_comes_back() -> None:
    wire, stores = Wire(), Kinds()
    a, _other = (SpreadSealedRooms(stores, Homes(), wire.end(name)) for name in "ab")  # type: ignore[arg-type]
    assert await a.look(RoomName("den"))
    wire.connect("a", "b")
    await asyncio.gather(*a._looks)
    assert "den" in a

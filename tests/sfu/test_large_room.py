"""A large room: who only watches comes and goes in batches, who publishes is told of at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sfu.api import JoinRequest, Kind, ParticipantState, ParticipantsUpdated, SessionEvent, TrackSource
from sfu.ids import Identity, RoomName
from sfu.node import Node
from tests.harness.raw_caller import RawCaller
from tests.harness.waiting import eventually

Start = Callable[..., Awaitable[Node]]


class Watcher:
    """A session without media that keeps what it hears of others."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.states: dict[str, ParticipantState] = {}

    async def join(self, node: Node, identity: str, room: str = "hall") -> Watcher:
        self.session = await node.join(JoinRequest(RoomName(room), Identity(identity)), self.hear)
        self.session.start()
        return self

    def hear(self, event: SessionEvent) -> None:
        if isinstance(event, ParticipantsUpdated):
            self.batches.append([info.identity for info in event.participants])
            self.states.update({info.identity: info.state for info in event.participants})


async def test_joins_of_a_large_room_come_in_one_message(start_node: Start) -> None:
    node = await start_node(large_room_participants=2, large_room_update_interval_s=0.2)
    first = await Watcher().join(node, "first")
    await Watcher().join(node, "second")
    assert first.batches == [["second"]]
    late = [await Watcher().join(node, f"late{index}") for index in range(5)]
    late[0].session.leave()
    assert first.batches == [["second"]]
    await eventually(lambda: len(first.batches) == 2, "the batch")
    assert sorted(first.batches[1]) == [f"late{index}" for index in range(5)]
    assert first.states["late0"] is ParticipantState.DISCONNECTED
    assert first.states["late4"] is ParticipantState.JOINED
    # Those who are still there have heard of one another, too.
    assert late[1].states.keys() >= {"late2", "late3", "late4"}


async def test_a_publisher_is_announced_at_once_and_leaves_no_stale_news(start_node: Start) -> None:
    node = await start_node(large_room_participants=1, large_room_update_interval_s=0.2)
    first = await Watcher().join(node, "first")
    caller = await RawCaller(node).join("hall", "speaker")
    await caller.announce("camera", Kind.VIDEO, TrackSource.CAMERA)
    caller.publisher.addTransceiver("video", direction="sendonly")
    await caller.negotiate()
    await eventually(lambda: ["speaker"] in first.batches, "the announcement")
    info = next(info for info in node.participants(RoomName("hall")) if info.identity == "speaker")
    assert info.is_publisher
    await caller.close()


async def test_a_room_that_ends_takes_its_waiting_news_along(start_node: Start) -> None:
    node = await start_node(large_room_participants=1, large_room_update_interval_s=0.05)
    first = await Watcher().join(node, "first")
    await Watcher().join(node, "second")
    await Watcher().join(node, "third")
    assert node.end_room(RoomName("hall"))
    before = len(first.batches)
    # A batch of a room that began its wait later has come: that of the ended room would have come before.
    other = await Watcher().join(node, "other", "parlour")
    await Watcher().join(node, "guest", "parlour")
    await eventually(lambda: ["guest"] in other.batches, "the other room's batch")
    assert len(first.batches) == before

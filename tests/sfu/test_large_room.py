"""A large room: who only watches comes and goes in batches, who publishes is told of at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sfu.api import (
    JoinRequest,
    Kind,
    ParticipantState,
    ParticipantsUpdated,
    Permissions,
    RoomUpdated,
    SessionEvent,
    TrackSource,
)
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
        self.counts: list[int] = []

    async def join(self, node: Node, identity: str, room: str = "hall", **more: object) -> Watcher:
        request = JoinRequest(RoomName(room), Identity(identity), **more)  # type: ignore[arg-type]
        self.session = await node.join(request, self.hear)
        self.session.start()
        return self

    def hear(self, event: SessionEvent) -> None:
        if isinstance(event, ParticipantsUpdated):
            self.batches.append([info.identity for info in event.participants])
            self.states.update({info.identity: info.state for info in event.participants})
        elif isinstance(event, RoomUpdated):
            self.counts.append(event.room.num_participants)


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


async def test_an_audience_is_counted_and_listed_but_announced_to_nobody(start_node: Start) -> None:
    node = await start_node(audience_from=2, room_update_interval_s=0.1)
    listens = Permissions(can_publish=False)
    host = await Watcher().join(node, "host")
    early = await Watcher().join(node, "early", permissions=listens)
    assert host.batches == [["early"]]
    crowd = [await Watcher().join(node, f"late{index}", permissions=listens) for index in range(4)]
    speaker = await Watcher().join(node, "speaker")
    # Nobody hears of the crowd, and who comes is not shown it.
    assert host.batches == [["early"], ["speaker"]]
    assert {info.identity for info in crowd[3].session.others()} == {"host", "early", "speaker"}
    assert {info.identity for info in speaker.session.others()} == {"host", "early"}
    # They are counted, and listed for those who ask.
    await eventually(lambda: host.counts and host.counts[-1] == 7, "the head count")
    assert len(node.participants(RoomName("hall"))) == 7
    # One who may speak now is announced, and from then on like all others.
    crowd[0].session.set_permissions(Permissions())
    assert host.batches[-1] == ["late0"]
    assert "late0" in {info.identity for info in crowd[1].session.others()}
    crowd[0].session.leave()
    assert host.states["late0"] is ParticipantState.DISCONNECTED
    # Whoever was told of before the room was large is told of to the end; the audience goes as it came.
    told = len(host.batches)
    crowd[1].session.leave()
    assert len(host.batches) == told
    early.session.leave()
    assert host.states["early"] is ParticipantState.DISCONNECTED
    await eventually(lambda: host.counts[-1] == 4, "the head count")

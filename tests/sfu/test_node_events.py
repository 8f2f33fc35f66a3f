"""What the node tells its listeners: the life of rooms, participants and publications, in order."""

from __future__ import annotations

import logging

import pytest
from aiortc.mediastreams import AudioStreamTrack

from sfu.api import (
    JoinRequest,
    LeaveReason,
    NodeEvent,
    ParticipantAborted,
    ParticipantJoined,
    ParticipantLeft,
    PublicationEnded,
    PublicationStarted,
    RoomFinished,
    RoomStarted,
    TrackSource,
)
from sfu.ids import Identity, RoomName
from tests.harness.raw_caller import RawCaller, all_joined
from tests.harness.waiting import eventually
from tests.sfu.test_node import ROOM, close_all


def names(events: list[NodeEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


async def test_a_call_from_the_first_to_the_last_event(start_node) -> None:
    node = await start_node(departure_timeout_s=0.0)
    events: list[NodeEvent] = []
    node.add_listener(events.append)
    (ada,) = await all_joined(node, ROOM, ["ada"])
    await eventually(lambda: len(events) == 2, "ada is there")
    publication = await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    await eventually(lambda: len(events) == 3, "the publication")
    await eventually(lambda: ada.publisher.connectionState == "connected", "media flows")
    ada.session.leave()
    await eventually(lambda: len(events) == 6, "the room's end")
    started, joined, published, unpublished, left, finished = events
    assert names(events) == [
        "RoomStarted", "ParticipantJoined", "PublicationStarted", "PublicationEnded", "ParticipantLeft", "RoomFinished",
    ]  # fmt: skip
    assert isinstance(started, RoomStarted)
    assert isinstance(joined, ParticipantJoined)
    assert isinstance(published, PublicationStarted)
    assert isinstance(unpublished, PublicationEnded)
    assert isinstance(left, ParticipantLeft)
    assert isinstance(finished, RoomFinished)
    assert started.room.name == ROOM
    assert {event.room.room_id for event in events} == {started.room.room_id}
    assert joined.room.num_participants == 1
    assert joined.participant.identity == "ada"
    assert published.publication.track_id == unpublished.publication.track_id == publication.track_id
    assert left.participant.leave_reason is LeaveReason.CLIENT_INITIATED
    assert left.room.num_participants == finished.room.num_participants == 0
    await close_all(ada)


async def test_who_never_connected_has_aborted(start_node) -> None:
    node = await start_node()
    events: list[NodeEvent] = []
    node.add_listener(events.append)
    session = await node.join(JoinRequest(ROOM, Identity("eve")), lambda _event: None)
    session.start()
    session.leave()
    assert names(events) == ["RoomStarted", "ParticipantAborted"]
    assert isinstance(events[-1], ParticipantAborted)
    assert events[-1].participant.identity == "eve"


async def test_rooms_that_are_ended_and_nodes_that_close_finish_their_rooms_once(start_node) -> None:
    node = await start_node()
    events: list[NodeEvent] = []
    node.add_listener(events.append)
    ada, bob = await all_joined(node, ROOM, ["ada", "bob"])
    other = await RawCaller(node).join(RoomName("attic"), "cleo")
    await eventually(lambda: names(events).count("ParticipantJoined") == 3, "all are there")
    node.end_room(ROOM)
    assert names(events)[-3:] == ["ParticipantLeft", "ParticipantLeft", "RoomFinished"]
    await node.close()
    assert names(events)[-2:] == ["ParticipantLeft", "RoomFinished"]
    await node.close()
    assert names(events).count("RoomFinished") == 2
    await close_all(ada, bob, other)


async def test_a_listener_that_fails_disturbs_nobody(start_node, caplog: pytest.LogCaptureFixture) -> None:
    node = await start_node()
    events: list[NodeEvent] = []

    def fail(_event: NodeEvent) -> None:
        raise ValueError("broken")

    node.add_listener(fail)
    node.add_listener(events.append)
    with caplog.at_level(logging.ERROR, "sfu"):
        ada, bob = await all_joined(node, ROOM, ["ada", "bob"])
        await eventually(lambda: names(events).count("ParticipantJoined") == 2, "both are there")
    assert "a listener failed on RoomStarted" in caplog.text
    await close_all(ada, bob)

"""What of a room and of its participants changes while the call runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from sfu.api import (
    ConnectionQualitiesChanged,
    DataKind,
    JoinRequest,
    LeaveReason,
    ParticipantChanges,
    ParticipantsUpdated,
    Permissions,
    RequestError,
    RoomOptions,
    RoomUpdated,
    SessionEnded,
    SessionEvent,
    TrackSource,
    TrackUnpublished,
)
from sfu.ids import Identity, RoomName, TrackId
from tests.harness.raw_caller import RawCaller, all_joined
from tests.harness.waiting import eventually

ROOM = RoomName("den")
EVERYTHING = Permissions()


async def close_all(*callers: RawCaller) -> None:
    for caller in callers:
        await caller.close()


async def test_everyone_hears_what_changed_and_so_does_the_participant(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await all_joined(node, ROOM, ["ada", "bob"])
    ada.session.update(ParticipantChanges(name="Ada", attributes={"hand": "up", "pet": "cat"}))
    for caller in (ada, bob):
        told = await caller.event(ParticipantsUpdated, lambda e: e.participants[0].name == "Ada")
        assert told.participants[0].attributes == {"hand": "up", "pet": "cat"}
    ada.session.update(ParticipantChanges(metadata="m", attributes={"hand": "", "none": ""}))
    told = await bob.event(ParticipantsUpdated, lambda e: e.participants[0].metadata == "m")
    assert (told.participants[0].name, told.participants[0].attributes) == ("Ada", {"pet": "cat"})

    version = ada.session.info.version
    ada.session.update(ParticipantChanges(name="Ada", attributes={"pet": "cat"}))
    assert ada.session.info.version == version, "nothing changed"
    await close_all(ada, bob)


async def test_revoked_rights_end_what_was_allowed(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await all_joined(node, ROOM, ["ada", "bob"])
    sound = await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    image = await ada.publish(VideoStreamTrack(), TrackSource.CAMERA)
    await eventually(lambda: node.metrics()["ting_subscriptions"] == 2, "both subscribed")

    ada.session.set_permissions(replace(EVERYTHING, can_publish_sources=frozenset({TrackSource.MICROPHONE})))
    assert await ada.event(TrackUnpublished) == TrackUnpublished(image.track_id)
    assert [track.track_id for track in ada.session.info.tracks] == [sound.track_id]
    assert node.metrics()["ting_subscriptions"] == 1

    bob.session.set_permissions(replace(EVERYTHING, can_subscribe=False, can_publish_data=False))
    assert node.metrics()["ting_subscriptions"] == 0
    with pytest.raises(RequestError) as refused:
        bob.session.send_data(DataKind.LOSSY, b"x")
    assert refused.value.code == "not_allowed"
    bob.session.set_permissions(EVERYTHING)
    for caller in (ada, bob):
        told = await caller.event(
            ParticipantsUpdated,
            lambda e: e.participants[0].identity == "bob" and e.participants[0].permissions == EVERYTHING,
        )
        assert told.participants[0].version == bob.session.info.version
    await close_all(ada, bob)


async def test_who_may_subscribe_at_last_gets_what_is_there(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    (ada,) = await all_joined(node, ROOM, ["ada"])
    await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    bob = await RawCaller(node).join(ROOM, "bob", permissions=Permissions(can_subscribe=False))
    await bob.until(lambda: len(bob.channels) == 3)
    bob.session.set_permissions(EVERYTHING)
    await bob.until(lambda: len(bob.tracks) == 1)
    await bob.tracks[0].recv()
    await close_all(ada, bob)


async def test_a_track_says_something_new_of_itself(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await all_joined(node, ROOM, ["ada", "bob"])
    sound = await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    image = await ada.publish(VideoStreamTrack(), TrackSource.CAMERA)
    ada.session.update_audio_features(sound.track_id, [3, 4])
    ada.session.update_video_size(image.track_id, 640, 360)
    for caller in (ada, bob):
        told = await caller.event(
            ParticipantsUpdated, lambda e: [t.width for t in e.participants[0].tracks] == [0, 640]
        )
        assert told.participants[0].tracks[0].audio_features == (3, 4)
    for attempt in (
        lambda: ada.session.update_audio_features(image.track_id, [1]),
        lambda: ada.session.update_video_size(TrackId("TR_none"), 1, 1),
        lambda: bob.session.update_video_size(image.track_id, 1, 1),
    ):
        with pytest.raises(RequestError) as refused:
            attempt()
        assert refused.value.code == "unknown_track"
    await close_all(ada, bob)


async def test_a_room_is_created_with_its_own_limits(start_node: Callable[..., Any]) -> None:
    node = await start_node(max_participants_per_room=3)
    info = node.create_room(ROOM, RoomOptions("welcome", 40, 50, 1))
    assert (info.metadata, info.empty_timeout_s, info.departure_timeout_s, info.max_participants) == (
        "welcome", 40, 50, 1,
    )  # fmt: skip
    assert node.create_room(ROOM, RoomOptions(max_participants=99)).max_participants == 3, "the server's own limit"
    assert node.create_room(RoomName("open"), RoomOptions()).max_participants == 0, "no limit but the server's"
    assert node.create_room(ROOM, RoomOptions(max_participants=1)).room_id == info.room_id
    (ada,) = await all_joined(node, ROOM, ["ada"])
    request = JoinRequest(ROOM, Identity("bob"))
    with pytest.raises(RequestError) as refused:
        await node.join(request, lambda _event: None)
    assert refused.value.code == "limit_exceeded"
    helper = await RawCaller(node).join(ROOM, "agent", kind=4)
    assert (node.find_room(ROOM).num_participants, len(node.participants(ROOM))) == (1, 2)
    await close_all(ada, helper)


async def test_a_room_that_must_not_be_created_is_not(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    with pytest.raises(RequestError) as refused:
        await node.join(JoinRequest(ROOM, Identity("bob"), create_room=False), lambda _event: None)
    assert refused.value.code == "unknown_room"
    assert node.rooms() == []


async def test_empty_and_departure_timeout(start_node: Callable[..., Any]) -> None:
    """The first counts until somebody joins, the second from the moment when the last one leaves."""
    node = await start_node(empty_timeout_s=0.0, departure_timeout_s=3600.0)
    node.create_room(RoomName("unused"), RoomOptions())
    node.create_room(RoomName("patient"), RoomOptions(empty_timeout_s=3600))
    (ada,) = await all_joined(node, ROOM, ["ada"])
    helper = await RawCaller(node).join(ROOM, "agent", kind=4)
    await eventually(lambda: not node.find_room(RoomName("unused")), "the unused room forgotten")
    ada.session.leave()
    node.create_room(ROOM, RoomOptions(departure_timeout_s=1))
    assert (await helper.event(SessionEnded)).reason is LeaveReason.ROOM_CLOSED
    assert [info.name for info in node.rooms()] == ["patient"]
    await close_all(ada, helper)


async def test_room_metadata_and_head_count_are_told(start_node: Callable[..., Any]) -> None:
    node = await start_node(room_update_interval_s=0.1)
    (ada,) = await all_joined(node, ROOM, ["ada"])
    assert node.update_room_metadata(ROOM, "topic").metadata == "topic"
    assert (await ada.event(RoomUpdated)).room.metadata == "topic"
    (bob,) = await all_joined(node, ROOM, ["bob"])
    await ada.event(RoomUpdated, lambda e: e.room.num_participants == 2)
    with pytest.raises(RequestError) as refused:
        node.update_room_metadata(RoomName("none"), "x")
    assert refused.value.code == "unknown_room"
    await close_all(ada, bob)


async def test_data_of_the_server(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await all_joined(node, ROOM, ["ada", "bob"])
    node.send_data(ROOM, DataKind.RELIABLE, b"to all")
    node.send_data(ROOM, DataKind.RELIABLE, b"to bob", [Identity("bob"), Identity("nobody")])
    await bob.until(lambda: len(bob.messages) == 2)
    await ada.until(lambda: len(ada.messages) == 1)
    assert [message for _, message in bob.messages] == [b"to all", b"to bob"]
    assert ada.messages == [("_reliable", b"to all")]
    with pytest.raises(RequestError):
        node.send_data(RoomName("none"), DataKind.RELIABLE, b"x")
    await close_all(ada, bob)


async def test_who_resumes_is_told_again_how_good_the_connections_are(start_node: Callable[..., Any]) -> None:
    """What was told while the client was away may be lost."""
    node = await start_node(connection_quality_interval_s=0.1)
    (ada,) = await all_joined(node, ROOM, ["ada"])
    first = await ada.event(ConnectionQualitiesChanged)
    later: list[SessionEvent] = []
    ada.session.resume(later.append)
    await eventually(lambda: [e for e in later if isinstance(e, ConnectionQualitiesChanged)] == [first], "the same")
    await close_all(ada)

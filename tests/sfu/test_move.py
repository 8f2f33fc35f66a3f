"""Participants that go on in another room, and those that are shown in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiortc.mediastreams import AudioStreamTrack

from sfu.api import (
    LeaveReason,
    ParticipantChanges,
    ParticipantState,
    ParticipantsUpdated,
    RequestError,
    RoomMoved,
    RoomOptions,
    SessionEnded,
    TrackSource,
)
from sfu.ids import Identity, RoomName
from tests.harness.raw_caller import RawCaller, all_joined
from tests.harness.waiting import eventually
from tests.sfu.test_state import close_all

DEN, ATTIC = RoomName("den"), RoomName("attic")
ADA = Identity("ada")


def is_gone(identity: str) -> Callable[[ParticipantsUpdated], bool]:
    return lambda event: any(
        info.identity == identity and info.state is ParticipantState.DISCONNECTED for info in event.participants
    )


async def active(*callers: RawCaller) -> None:
    for caller in callers:
        await eventually(lambda caller=caller: caller.session.info.state is ParticipantState.ACTIVE, "an active caller")


async def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(RequestError) as refused:
        action()
    return refused.value.code


async def test_who_is_moved_keeps_its_publications_and_gets_the_new_room(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await all_joined(node, DEN, ["ada", "bob"])
    (cleo,) = await all_joined(node, ATTIC, ["cleo"])
    sound = await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    await cleo.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    await bob.until(lambda: len(bob.tracks) == 1)
    await active(ada)
    before = ada.session.info.participant_id

    node.move_participant(DEN, ADA, ATTIC, create=False)
    moved = await ada.event(RoomMoved)
    assert (moved.room.name, moved.former_id, [info.identity for info in moved.others]) == (ATTIC, before, ["cleo"])
    assert moved.participant.participant_id != before
    assert [track.track_id for track in ada.session.info.tracks] == [sound.track_id]
    assert (await bob.event(ParticipantsUpdated, is_gone("ada"))).participants[0].leave_reason is LeaveReason.MIGRATION
    assert await ada.event(ParticipantsUpdated, is_gone("bob"))
    await cleo.until(lambda: len(cleo.tracks) == 1)
    await cleo.tracks[0].recv()
    await ada.until(lambda: len(ada.tracks) == 1)
    await ada.tracks[0].recv()
    assert [info.identity for info in node.participants(DEN)] == ["bob"]
    assert node.find_session(ATTIC, moved.participant.participant_id) is ada.session
    assert ada.session.former_ids == {before}
    await close_all(ada, bob, cleo)


async def test_a_move_that_cannot_be_changes_nothing(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await all_joined(node, DEN, ["ada", "bob"])
    node.create_room(ATTIC, RoomOptions(max_participants=1))
    (cleo,) = await all_joined(node, ATTIC, ["cleo"])
    await active(ada, bob)
    move = node.move_participant
    assert await refusal(lambda: move(DEN, ADA, ATTIC, create=True)) == "limit_exceeded"
    assert await refusal(lambda: move(DEN, ADA, RoomName("none"), create=False)) == "unknown_room"
    assert await refusal(lambda: move(DEN, ADA, DEN, create=True)) == "invalid_request"
    assert await refusal(lambda: move(DEN, Identity("none"), ATTIC, create=True)) == "unknown_participant"
    ada.session.signal_lost()
    assert await refusal(lambda: move(DEN, ADA, RoomName("new"), create=True)) == "not_connected"
    assert [info.identity for info in node.participants(DEN)] == ["ada", "bob"]
    await close_all(ada, bob, cleo)


async def test_who_is_moved_takes_the_place_of_its_namesake(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    (ada,) = await all_joined(node, DEN, ["ada"])
    (older,) = await all_joined(node, ATTIC, ["ada"])
    await active(ada)
    node.move_participant(DEN, ADA, ATTIC, create=False)
    assert (await older.event(SessionEnded)).reason is LeaveReason.DUPLICATE_IDENTITY
    assert [info.participant_id for info in node.participants(ATTIC)] == [ada.session.info.participant_id]
    await close_all(ada, older)


async def test_a_forwarded_participant_is_seen_and_heard(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    (ada,) = await all_joined(node, DEN, ["ada"])
    (cleo,) = await all_joined(node, ATTIC, ["cleo"])
    await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    await cleo.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    node.forward_participant(DEN, ADA, ATTIC, create=False)
    told = await cleo.event(ParticipantsUpdated, lambda e: e.participants[0].identity == "ada")
    assert (told.participants[0].kind_details, len(told.participants[0].tracks)) == ((1,), 1)
    await cleo.until(lambda: len(cleo.tracks) == 1)
    await cleo.tracks[0].recv()
    assert [info.identity for info in node.participants(ATTIC)] == ["cleo", "ada"]

    # Who comes later sees it, too; what it changes and publishes is seen; it sees nothing of that room.
    (dora,) = await all_joined(node, ATTIC, ["dora"])
    await dora.until(lambda: len(dora.tracks) == 2)
    ada.session.update(ParticipantChanges(name="Ada"))
    await dora.event(ParticipantsUpdated, lambda e: e.participants[0].name == "Ada")
    await ada.publish(AudioStreamTrack(), TrackSource.SCREEN_SHARE_AUDIO)
    await dora.until(lambda: len(dora.tracks) == 3)
    assert ada.tracks == []
    assert await refusal(lambda: node.forward_participant(DEN, ADA, ATTIC, create=False)) == "duplicate"

    node.remove_participant(ATTIC, ADA)
    await dora.event(ParticipantsUpdated, is_gone("ada"))
    assert ada.session.info.state is ParticipantState.ACTIVE
    assert [info.identity for info in node.participants(ATTIC)] == ["cleo", "dora"]
    await close_all(ada, cleo, dora)


@pytest.mark.parametrize("end", ["it leaves", "it joins there", "it is moved there", "the room ends"])
async def test_forwarding_ends(start_node: Callable[..., Any], end: str) -> None:
    node = await start_node()
    (ada,) = await all_joined(node, DEN, ["ada"])
    (cleo,) = await all_joined(node, ATTIC, ["cleo"])
    await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    await active(ada)
    node.forward_participant(DEN, ADA, ATTIC, create=False)
    await eventually(lambda: node.metrics()["ting_subscriptions"] == 1, "cleo subscribed")
    await eventually(lambda: ada.publisher.connectionState == "connected", "ada publishing")
    others = []
    if end == "it leaves":
        ada.session.leave()
    elif end == "it joins there":
        others.append(await RawCaller(node).join(ATTIC, "ada"))
    elif end == "it is moved there":
        node.move_participant(DEN, ADA, ATTIC, create=False)
    else:
        node.end_room(ATTIC)
        assert (await cleo.event(SessionEnded)).reason is LeaveReason.ROOM_DELETED
    if end != "the room ends":
        await cleo.event(ParticipantsUpdated, is_gone("ada"))
    if end in ("it leaves", "it joins there", "the room ends"):
        assert node.metrics()["ting_subscriptions"] == 0
    infos = [info for info in node.participants(ATTIC) if info.kind_details]
    assert infos == []
    await close_all(ada, cleo, *others)


async def test_a_held_room_waits_for_its_people(start_node: Callable[..., Any]) -> None:
    node = await start_node(departure_timeout_s=0.0)
    (ada,) = await all_joined(node, DEN, ["ada"])
    await active(ada)
    node.hold_room(DEN, True)
    node.hold_room(RoomName("nowhere"), True)
    node.move_participant(DEN, ADA, ATTIC, create=True)
    node._directory.look_after()
    assert node.find_room(DEN) is not None
    node.move_participant(ATTIC, ADA, DEN, create=False)
    node.hold_room(DEN, False)
    node._directory.look_after()
    assert [info.name for info in node.rooms()] == [DEN]
    await close_all(ada)

    def is_closed() -> bool:
        node._directory.look_after()
        return node.rooms() == []

    await eventually(is_closed, "the room that nobody holds is closed")

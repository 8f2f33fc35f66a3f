"""The SFU through its own API, with aiortc's peer connections as clients: real ICE, DTLS, SRTP and SCTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from sfu.api import (
    DataKind,
    DataReceived,
    JoinRequest,
    Kind,
    LeaveReason,
    ParticipantState,
    ParticipantsUpdated,
    Permissions,
    RequestError,
    SdpError,
    SessionEnded,
    SubscriberOffer,
    TrackMuted,
    TrackSource,
    TrackSubscribed,
)
from sfu.ids import Identity, RoomName, TrackId
from tests.harness.raw_caller import RawCaller, all_joined
from tests.harness.waiting import eventually

ROOM = RoomName("den")


async def close_all(*callers: RawCaller) -> None:
    await asyncio.gather(*(caller.close() for caller in callers))


async def test_audio_and_video_reach_the_other(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await all_joined(node, ROOM, ["ada", "bob"])
    audio = await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    video = await ada.publish(VideoStreamTrack(), TrackSource.CAMERA)
    await bob.until(lambda: len(bob.tracks) == 2)
    for track in bob.tracks:
        first, second = await track.recv(), await track.recv()
        assert second.pts > first.pts
    seen = await bob.event(ParticipantsUpdated, lambda event: len(event.participants[0].tracks) == 2)
    assert {track.track_id for track in seen.participants[0].tracks} == {audio.track_id, video.track_id}
    assert {track.kind for track in seen.participants[0].tracks} == {Kind.AUDIO, Kind.VIDEO}
    assert (await ada.event(TrackSubscribed)).track_id in {audio.track_id, video.track_id}
    assert f"|{audio.track_id} {audio.track_id}" in bob.offers[-1]
    await close_all(ada, bob)


async def test_a_late_joiner_receives_what_is_there(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    (ada,) = await all_joined(node, ROOM, ["ada"])
    await ada.publish(VideoStreamTrack(), TrackSource.CAMERA)
    bob = await RawCaller(node).join(ROOM, "bob")
    await bob.until(lambda: len(bob.tracks) == 1)
    await bob.tracks[0].recv()
    assert [info.identity for info in bob.session.others()] == ["ada"]
    await close_all(ada, bob)


async def test_states_go_from_joined_to_active_to_disconnected(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await all_joined(node, ROOM, ["ada", "bob"])

    def of_bob(state: ParticipantState) -> Callable[[ParticipantsUpdated], bool]:
        return lambda event: any(i.identity == "bob" and i.state is state for i in event.participants)

    await ada.event(ParticipantsUpdated, of_bob(ParticipantState.JOINED))
    await ada.event(ParticipantsUpdated, of_bob(ParticipantState.ACTIVE))
    bob.session.leave()
    gone = await ada.event(ParticipantsUpdated, of_bob(ParticipantState.DISCONNECTED))
    assert gone.participants[0].leave_reason is LeaveReason.CLIENT_INITIATED
    versions = [
        info.version
        for event in ada.events
        if isinstance(event, ParticipantsUpdated)
        for info in event.participants
        if info.identity == "bob"
    ]
    assert versions == sorted(set(versions))
    with pytest.raises(RequestError, match="left"):
        bob.session.send_data(DataKind.LOSSY, b"late")
    await close_all(ada, bob)


async def test_data_goes_to_the_room_or_to_the_named(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob, cleo = await all_joined(node, ROOM, ["ada", "bob", "cleo"])
    ada.session.send_data(DataKind.RELIABLE, b"to all")
    ada.session.send_data(DataKind.LOSSY, b"to cleo", [Identity("cleo")])
    await cleo.until(lambda: len(cleo.messages) == 2)
    await bob.until(lambda: len(bob.messages) == 1)
    assert sorted(cleo.messages) == [("_lossy", b"to cleo"), ("_reliable", b"to all")]
    assert bob.messages == [("_reliable", b"to all")]
    assert ada.messages == []
    await close_all(ada, bob, cleo)


async def test_data_of_the_client_arrives_at_its_own_sink(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    (ada,) = await all_joined(node, ROOM, ["ada"])
    await ada.open_publisher_data()
    ada.publisher_channels["_reliable"].send(b"hello")
    assert (await ada.event(DataReceived)) == DataReceived(DataKind.RELIABLE, b"hello")
    ada.publisher_channels["_lossy"].send(b"there")
    assert (await ada.event(DataReceived, lambda e: e.payload == b"there")).kind is DataKind.LOSSY
    await close_all(ada)


async def test_mute_by_the_publisher_and_by_the_server_stops_packets(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await all_joined(node, ROOM, ["ada", "bob"])
    publication = await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    await bob.until(lambda: len(bob.tracks) == 1)
    await bob.tracks[0].recv()
    ada.session.set_track_muted(publication.track_id, True)
    await bob.event(ParticipantsUpdated, lambda e: bool(e.participants[0].tracks) and e.participants[0].tracks[0].muted)
    assert node.metrics()['ting_engine_drops_total{reason="muted"}'] >= 0
    ada.session.set_track_muted(publication.track_id, False)
    node.mute_track(ROOM, Identity("ada"), publication.track_id, True)
    assert await ada.event(TrackMuted) == TrackMuted(publication.track_id, True)

    # The client goes on sending; the engine does not go on forwarding.
    sent = node.metrics()["ting_rtp_packets_sent_total"]
    await eventually(lambda: node.metrics()['ting_engine_drops_total{reason="muted"}'] >= 3, "muted packets dropped")
    assert node.metrics()["ting_rtp_packets_sent_total"] - sent <= 1
    with pytest.raises(RequestError):
        node.mute_track(ROOM, Identity("ada"), TrackId("TR_none"), True)
    await close_all(ada, bob)


async def test_without_auto_subscribe_nothing_comes_until_asked(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    (ada,) = await all_joined(node, ROOM, ["ada"])
    publication = await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    bob = await RawCaller(node).join(ROOM, "bob", auto_subscribe=False)
    await bob.until(lambda: len(bob.channels) == 3)
    assert "m=audio" not in bob.offers[-1]
    bob.session.update_subscription([publication.track_id], True)
    await bob.until(lambda: len(bob.tracks) == 1)
    await bob.tracks[0].recv()
    bob.session.update_subscription([publication.track_id], False)
    await bob.until(lambda: "m=audio 0" in bob.offers[-1])
    with pytest.raises(RequestError, match="no such track"):
        bob.session.update_subscription([TrackId("TR_none")], True)
    with pytest.raises(RequestError, match="no such track"):
        ada.session.update_subscription([publication.track_id], True)
    await close_all(ada, bob)


async def test_the_newer_of_two_with_one_identity_wins(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    (old,) = await all_joined(node, ROOM, ["ada"])
    new = await RawCaller(node).join(ROOM, "ada")
    assert await old.event(SessionEnded) == SessionEnded(LeaveReason.DUPLICATE_IDENTITY)
    assert [info.participant_id for info in node.participants(ROOM)] == [new.session.info.participant_id]
    await close_all(old, new)


async def test_kick_and_room_end(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob, cleo = await all_joined(node, ROOM, ["ada", "bob", "cleo"])
    node.remove_participant(ROOM, Identity("ada"))
    assert (await ada.event(SessionEnded)).reason is LeaveReason.PARTICIPANT_REMOVED
    assert node.end_room(ROOM)
    for one in (bob, cleo):
        assert (await one.event(SessionEnded)).reason is LeaveReason.ROOM_DELETED
    # Of those who left with them they have not heard: it is the room that is gone.
    gone = {
        info.identity
        for one in (bob, cleo)
        for event in one.events
        if isinstance(event, ParticipantsUpdated)
        for info in event.participants
        if info.state is ParticipantState.DISCONNECTED
    }
    assert gone == {"ada"}
    assert not node.end_room(ROOM)
    with pytest.raises(RequestError):
        node.remove_participant(ROOM, Identity("ada"))
    await close_all(ada, bob, cleo)


async def test_a_lost_signal_is_resumed_with_media_untouched(start_node: Callable[..., Any]) -> None:
    node = await start_node(resume_timeout_s=30.0)
    ada, bob = await all_joined(node, ROOM, ["ada", "bob"])
    await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    await bob.until(lambda: len(bob.tracks) == 1)
    before = bob.session.info.participant_id
    bob.session.signal_lost()
    await bob.tracks[0].recv()
    ufrags = {line for line in bob.offers[-1].splitlines() if line.startswith("a=ice-ufrag")}
    bob.session.resume(bob.sink)
    offer = await bob.event(SubscriberOffer, lambda e: not ufrags & set(e.sdp.splitlines()))
    assert offer.sdp
    await bob.tracks[0].recv()
    assert node.find_session(ROOM, before) is bob.session
    await close_all(ada, bob)


async def test_a_lost_signal_ends_the_participant_after_the_resume_timeout(start_node: Callable[..., Any]) -> None:
    node = await start_node(resume_timeout_s=0.1)
    ada, bob = await all_joined(node, ROOM, ["ada", "bob"])
    bob.session.signal_lost()
    gone = await ada.event(ParticipantsUpdated, lambda e: e.participants[0].state is ParticipantState.DISCONNECTED)
    assert gone.participants[0].leave_reason is LeaveReason.SIGNAL_CLOSE
    await close_all(ada, bob)


async def test_an_offer_that_nobody_answers_ends_the_session(start_node: Callable[..., Any]) -> None:
    node = await start_node(answer_timeout_s=0.1)
    ada = RawCaller(node)
    ada.answering = False
    await ada.join(ROOM, "ada")
    assert (await ada.event(SessionEnded)).reason is LeaveReason.STATE_MISMATCH
    await close_all(ada)


async def test_permissions(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    (ada,) = await all_joined(node, ROOM, ["ada"])
    await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    allowed = Permissions(
        can_subscribe=False, can_publish_data=False, can_publish_sources=frozenset({TrackSource.MICROPHONE})
    )
    eve = await RawCaller(node).join(ROOM, "eve", permissions=allowed)
    await eve.until(lambda: len(eve.channels) == 3)
    assert "m=audio" not in eve.offers[-1]
    for attempt in (
        lambda: eve.session.update_subscription([ada.session.info.tracks[0].track_id], True),
        lambda: eve.session.send_data(DataKind.LOSSY, b"x"),
    ):
        with pytest.raises(RequestError) as refused:
            attempt()
        assert refused.value.code == "not_allowed"
    with pytest.raises(RequestError) as refused:
        await eve.announce("camera", Kind.VIDEO, TrackSource.CAMERA)
    assert refused.value.code == "not_allowed"
    assert (await eve.announce("mic", Kind.AUDIO, TrackSource.MICROPHONE)).track_id
    await close_all(ada, eve)


async def test_media_that_nobody_announced_is_not_forwarded(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await all_joined(node, ROOM, ["ada", "bob"])
    ada.publisher.addTrack(AudioStreamTrack())
    await ada.negotiate()

    await eventually(lambda: node.metrics()['ting_engine_drops_total{reason="unknown_ssrc"}'] >= 3, "packets dropped")
    assert node.metrics()["ting_rtp_packets_sent_total"] == 0
    assert bob.tracks == []
    await close_all(ada, bob)


async def test_limits(start_node: Callable[..., Any]) -> None:
    node = await start_node(max_rooms=1, max_participants_per_room=2, max_pending_tracks=2, max_negotiations_per_s=1.0)
    ada, bob = await all_joined(node, ROOM, ["ada", "bob"])
    for request in (JoinRequest(ROOM, Identity("cleo")), JoinRequest(RoomName("attic"), Identity("cleo"))):
        with pytest.raises(RequestError) as refused:
            await node.join(request, lambda _event: None)
        assert refused.value.code == "limit_exceeded"
    await ada.announce("1", Kind.AUDIO, TrackSource.MICROPHONE)
    await ada.announce("2", Kind.AUDIO, TrackSource.MICROPHONE)
    with pytest.raises(RequestError) as refused:
        await ada.announce("3", Kind.AUDIO, TrackSource.MICROPHONE)
    assert refused.value.code == "try_later"
    assert (await ada.announce("1", Kind.AUDIO, TrackSource.MICROPHONE)).track_id
    for _ in range(2):
        with pytest.raises(SdpError):
            await bob.session.handle_offer("nonsense")
    with pytest.raises(SdpError) as limited:
        await bob.session.handle_offer("nonsense")
    assert limited.value.code == "rate_limited"
    await close_all(ada, bob)


async def test_an_empty_room_is_forgotten(start_node: Callable[..., Any]) -> None:
    node = await start_node(departure_timeout_s=0.0)
    (ada,) = await all_joined(node, ROOM, ["ada"])
    ada.session.leave()

    await eventually(lambda: not node.rooms(), "the room forgotten")
    await close_all(ada)


async def test_a_bad_answer_is_refused_and_a_stale_one_ignored(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada = RawCaller(node)
    ada.answering = False
    await ada.join(ROOM, "ada")
    with pytest.raises(SdpError):
        ada.session.handle_answer("v=0", 1)
    ada.session.handle_answer("v=0", 77)
    assert node.metrics()['ting_control_events_total{event="stale_answers"}'] == 1
    await close_all(ada)


async def test_closing_the_node_tells_everyone(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await all_joined(node, ROOM, ["ada", "bob"])
    await node.close()
    for caller in (ada, bob):
        assert (await caller.event(SessionEnded)).reason is LeaveReason.SERVER_SHUTDOWN
    with pytest.raises(RequestError):
        await node.join(JoinRequest(ROOM, Identity("late")), lambda _event: None)
    await close_all(ada, bob)

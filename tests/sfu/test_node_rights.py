"""Who may receive what: rights that publishers give, permissions that change, data tracks and blobs, on a real node."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sfu.api import (
    AddTrackRequest,
    DataTrackHandles,
    DataTrackRequest,
    DataTrackSource,
    DataTrackUnpublished,
    Kind,
    ParticipantsUpdated,
    Permissions,
    RequestError,
    SubscriptionAllowed,
    SubscriptionRights,
    TrackGrant,
    TrackPublished,
    TrackSource,
)
from sfu.control.data.data_tracks import DataPublisher, DataSubscription
from sfu.ids import Identity, TrackId
from tests.harness.raw_caller import RawCaller, all_joined
from tests.sfu.test_node import close_all

StartNode = Callable[..., Any]
START, FINAL, SINGLE, BETWEEN = 2, 1, 3, 0


def packet(handle: int, frame: int = 1, marker: int = SINGLE, payload: bytes = b"x", version: int = 0) -> bytes:
    return struct.pack("!BBHHHL", version << 5 | marker << 3, 0, handle, frame, frame, 90_000) + payload


def frames(caller: RawCaller) -> list[bytes]:
    return [payload for label, payload in caller.messages if label == "_data_track"]


def events(caller: RawCaller, kind: type[Any]) -> list[Any]:
    return [event for event in caller.events if isinstance(event, kind)]


def refusal(call: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(RequestError) as refused:
        call(*arguments)
    return refused.value.code


async def publishing(start_node: StartNode, **config: object) -> tuple[Any, RawCaller, RawCaller, DataPublisher]:
    """Alice publishes data track 7, and bob has subscribed to it."""
    node = await start_node(**config)
    alice, bob = await all_joined(node, "den", ["alice", "bob"])
    info = alice.session.publish_data_track(DataTrackRequest(7, "pose", 1, b"encoding", b"schema"))
    bob.session.update_data_subscription(info.track_id, True)
    return node, alice, bob, node.find_session("den", alice.session.info.participant_id).participant.data_publisher


def counted(node: Any, event: str) -> float:
    return node.metrics().get(f'ting_control_events_total{{event="{event}"}}', 0)  # type: ignore[no-any-return]


# --- media -----------------------------------------------------------------------------------------------------


async def published(caller: RawCaller, cid: str) -> TrackId:
    track = await caller.announce(cid, Kind.AUDIO, TrackSource.MICROPHONE)
    caller.publisher.addTransceiver("audio", direction="sendonly")
    await caller.negotiate()
    return track.track_id


async def test_rights_decide_at_once_and_subscribers_are_told(start_node: StartNode) -> None:
    node = await start_node()
    alice, bob, carol = await all_joined(node, "den", ["alice", "bob", "carol"])
    track_id = await published(alice, "mic")
    me = alice.session.info.participant_id
    taken = node.find_session("den", bob.session.info.participant_id).participant.subscriber.subscriptions
    assert track_id in taken
    grant = TrackGrant(participant_id=carol.session.info.participant_id, all_tracks=True)
    alice.session.set_subscription_rights(SubscriptionRights(False, [grant]))
    assert events(bob, SubscriptionAllowed) == [SubscriptionAllowed(me, track_id, False)]
    assert events(carol, SubscriptionAllowed) == []
    assert track_id not in taken
    # Asking is answered, each time.
    bob.session.update_subscription([track_id], True)
    assert events(bob, SubscriptionAllowed) == [SubscriptionAllowed(me, track_id, False)] * 2
    assert track_id not in taken
    # After a resume the client is told again.
    bob.session.signal_lost()
    bob.session.resume(bob.sink)
    assert events(bob, SubscriptionAllowed) == [SubscriptionAllowed(me, track_id, False)] * 3
    grant = TrackGrant(identity="bob", track_ids=frozenset([track_id]))
    alice.session.set_subscription_rights(SubscriptionRights(False, [grant]))
    assert events(bob, SubscriptionAllowed)[3:] == [SubscriptionAllowed(me, track_id, True)]
    assert events(carol, SubscriptionAllowed) == [SubscriptionAllowed(me, track_id, False)]
    assert track_id in taken
    await close_all(alice, bob, carol)


async def test_what_a_client_refused_stays_refused_when_its_rights_come_back(start_node: StartNode) -> None:
    node = await start_node()
    alice, bob = await all_joined(node, "den", ["alice", "bob"])
    track_id = await published(alice, "mic")
    taken = node.find_session("den", bob.session.info.participant_id).participant.subscriber.subscriptions
    bob.session.set_permissions(Permissions(can_subscribe=False))
    assert not taken
    assert refusal(bob.session.update_subscription, [track_id], True) == "not_allowed"
    bob.session.set_permissions(Permissions())
    assert list(taken) == [track_id]
    bob.session.update_subscription([track_id], False)
    for rights in (SubscriptionRights(False), SubscriptionRights()):
        alice.session.set_subscription_rights(rights)
        assert not taken
    assert events(bob, SubscriptionAllowed) == []
    assert refusal(bob.session.update_subscription, [TrackId("TR_none"), track_id], True) == "unknown_track"
    assert list(taken) == [track_id]
    await close_all(alice, bob)


# --- data tracks -----------------------------------------------------------------------------------------------


async def test_packets_arrive_with_the_subscribers_own_handle(start_node: StartNode) -> None:
    _, alice, bob, publisher = await publishing(start_node)
    (info,) = alice.session.info.data_tracks
    assert (info.handle, info.name, info.encryption) == (7, "pose", 1)
    assert (info.frame_encoding, info.schema) == (b"encoding", b"schema")
    assert events(bob, ParticipantsUpdated)[-1].participants[0].data_tracks == (info,)
    source = DataTrackSource(Identity("alice"), alice.session.info.participant_id, info.track_id)
    assert events(bob, DataTrackHandles) == [DataTrackHandles({1: source})]
    publisher.handle_packet(packet(7, payload=bytes(range(256))))
    await bob.until(lambda: bool(frames(bob)))
    assert frames(bob) == [packet(1, payload=bytes(range(256)))]
    # Asked again, after a resume, and after a pause it is the same handle.
    bob.session.update_data_subscription(info.track_id, True)
    bob.session.signal_lost()
    bob.session.resume(bob.sink)
    bob.session.update_data_subscription(info.track_id, False)
    bob.session.update_data_subscription(info.track_id, True)
    assert events(bob, DataTrackHandles) == [DataTrackHandles({1: source})] * 4
    await close_all(alice, bob)


async def test_data_tracks_that_cannot_be(start_node: StartNode) -> None:
    _, alice, bob, _ = await publishing(start_node, max_data_tracks_per_participant=2)
    session = alice.session
    for request, code in (
        (DataTrackRequest(0, "x"), "invalid_handle"),
        (DataTrackRequest(65_536, "x"), "invalid_handle"),
        (DataTrackRequest(8, ""), "invalid_name"),
        (DataTrackRequest(8, "x" * 257), "invalid_name"),
        (DataTrackRequest(7, "x"), "duplicate_handle"),
        (DataTrackRequest(8, "pose"), "duplicate_name"),
    ):
        assert refusal(session.publish_data_track, request) == code
    session.publish_data_track(DataTrackRequest(65_535, "x"))
    assert refusal(session.publish_data_track, DataTrackRequest(9, "y")) == "limit_exceeded"
    assert refusal(session.unpublish_data_track, 9) == "unknown_track"
    assert refusal(bob.session.update_data_subscription, TrackId("DTR_none"), True) == "unknown_track"
    own = session.info.data_tracks[0].track_id
    assert refusal(session.update_data_subscription, own, True) == "unknown_track"
    bob.session.update_data_subscription(TrackId("DTR_none"), False)
    await close_all(alice, bob)


async def test_packets_that_are_not_sound_or_too_many_go_nowhere(start_node: StartNode) -> None:
    node, alice, bob, publisher = await publishing(start_node, max_data_track_packets_per_s=10)
    for bad in (b"", packet(7)[:11], packet(7, version=1)):
        publisher.handle_packet(bad)
    publisher.handle_packet(packet(8))
    assert counted(node, "data_track_malformed") == 3
    assert counted(node, "data_track_unknown_handle") == 1
    for _ in range(10):
        publisher.handle_packet(packet(7))
    assert counted(node, "data_track_rate_limited") >= 3
    await bob.until(lambda: bool(frames(bob)))
    await close_all(alice, bob)


async def test_bytes_per_second_are_limited(start_node: StartNode) -> None:
    node, alice, bob, publisher = await publishing(start_node, max_data_track_bytes_per_s=1000)
    publisher.handle_packet(packet(7, payload=bytes(900)))
    publisher.handle_packet(packet(7, payload=bytes(900)))
    assert counted(node, "data_track_rate_limited") == 1
    await close_all(alice, bob)


async def test_a_slow_receiver_misses_frames_and_stays(start_node: StartNode) -> None:
    node, alice, bob, publisher = await publishing(start_node, max_data_track_buffered_bytes=10_000)
    for number in range(10):
        publisher.handle_packet(packet(7, frame=number, payload=bytes(3000)))
    assert counted(node, "data_dropped_track") >= 5
    await bob.until(lambda: bool(frames(bob)))
    assert not bob.session.participant.ended  # type: ignore[attr-defined]
    await close_all(alice, bob)


async def test_an_end_of_rights_ends_the_flow(start_node: StartNode) -> None:
    _, alice, bob, publisher = await publishing(start_node)
    (track,) = publisher.tracks
    alice.session.set_subscription_rights(SubscriptionRights(False))
    assert not track.wanted
    assert refusal(bob.session.update_data_subscription, track.info.track_id, True) == "not_allowed"
    alice.session.set_subscription_rights(SubscriptionRights())
    assert track.wanted
    bob.session.set_permissions(Permissions(can_subscribe=False))
    assert not track.wanted
    bob.session.set_permissions(Permissions())
    assert track.wanted
    alice.session.set_permissions(Permissions(can_publish_data=False))
    assert [event.info.handle for event in events(alice, DataTrackUnpublished)] == [7]
    assert events(bob, ParticipantsUpdated)[-1].participants[0].data_tracks == ()
    assert refusal(alice.session.publish_data_track, DataTrackRequest(7, "pose")) == "not_allowed"
    await close_all(alice, bob)


async def test_automatic_subscription_and_the_end_of_a_publisher(start_node: StartNode) -> None:
    node = await start_node()
    (alice,) = await all_joined(node, "den", ["alice"])
    first = alice.session.publish_data_track(DataTrackRequest(1, "first"))
    bob = await RawCaller(node).join("den", "bob", auto_subscribe_data_tracks=True)
    second = alice.session.publish_data_track(DataTrackRequest(2, "second"))
    told = [source.track_id for event in events(bob, DataTrackHandles) for source in event.sources.values()]
    assert told == [first.track_id, second.track_id]
    alice.session.leave()
    assert refusal(bob.session.update_data_subscription, first.track_id, True) == "unknown_track"
    assert not node.find_session("den", bob.session.info.participant_id).participant.data_subscriber._subscriptions
    await close_all(alice, bob)


def test_a_lower_frame_rate_takes_whole_frames() -> None:
    sent: list[bytes] = []

    def send(_kind: object, payload: bytes) -> bool:
        sent.append(payload)
        return True

    subscription = DataSubscription(None, send, 5)  # type: ignore[arg-type]
    subscription.limit(10)
    for number in range(300):
        for marker in (START, BETWEEN, FINAL):
            subscription.forward(packet(7, frame=number, marker=marker), number / 30)
    numbers = [int.from_bytes(payload[6:8]) for payload in sent]
    assert 95 <= len(set(numbers)) <= 105
    assert all(numbers.count(number) == 3 for number in set(numbers))
    subscription.limit(0)
    sent.clear()
    subscription.forward(packet(7, marker=BETWEEN), 11.0)
    assert sent == [packet(5, marker=BETWEEN)]


# --- blobs -----------------------------------------------------------------------------------------------------


async def test_blobs_are_there_for_everyone_until_their_owner_leaves(start_node: StartNode) -> None:
    node = await start_node(max_data_blob_bytes=100, max_data_blobs_per_participant=2, max_data_blob_bytes_per_room=250)
    alice, bob = await all_joined(node, "den", ["alice", "bob"])
    alice.session.store_blob(b"key", b"old")
    alice.session.store_blob(b"key", b"new")
    assert bob.session.find_blob(Identity("alice"), b"key") == b"new"
    assert refusal(bob.session.find_blob, Identity("alice"), b"other") == "unknown_blob"
    assert refusal(bob.session.find_blob, Identity("nobody"), b"key") == "unknown_participant"
    assert refusal(alice.session.store_blob, b"big", bytes(101)) == "limit_exceeded"
    assert refusal(alice.session.store_blob, bytes(513), b"x") == "invalid_request"
    alice.session.store_blob(b"2nd", bytes(100))
    assert refusal(alice.session.store_blob, b"3rd", b"x") == "limit_exceeded"
    bob.session.store_blob(b"key", bytes(100))
    assert refusal(bob.session.store_blob, b"2nd", bytes(100)) == "limit_exceeded"
    alice.session.leave()
    assert refusal(bob.session.find_blob, Identity("alice"), b"key") == "unknown_participant"
    bob.session.store_blob(b"2nd", bytes(100))
    bob.session.set_permissions(replace(bob.session.info.permissions, can_publish_data=False))
    assert refusal(bob.session.store_blob, b"2nd", b"x") == "not_allowed"
    await close_all(alice, bob)


async def test_backup_codec_has_the_kind_and_the_source_of_its_video(start_node: StartNode) -> None:
    """Go's SDK leaves both out of the request for a backup codec."""
    node = await start_node()
    (alice,) = await all_joined(node, "den", ["alice"])
    camera = await alice.announce("camera", Kind.VIDEO, TrackSource.CAMERA)
    microphone = await alice.announce("mic", Kind.AUDIO, TrackSource.MICROPHONE)
    for kind in ("video", "audio"):
        alice.publisher.addTransceiver(kind, direction="sendonly")
    await alice.negotiate()
    alice.session.set_permissions(
        Permissions(can_publish_sources=frozenset({TrackSource.CAMERA, TrackSource.MICROPHONE}))
    )
    backup = AddTrackRequest(cid="h264", kind=Kind.AUDIO, source=TrackSource.UNKNOWN, track_id=camera.track_id)
    assert refusal(alice.session.add_track, replace(backup, track_id=microphone.track_id)) == "unknown_track"
    alice.session.add_track(backup)
    told = events(alice, TrackPublished)[-1]
    assert (told.cid, told.publication.track_id, told.publication.source) == (
        "h264", camera.track_id, TrackSource.CAMERA,
    )  # fmt: skip

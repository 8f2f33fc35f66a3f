"""A video in two codecs: who gets which, and what happens when the second one never comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from sfu.api import Kind, LayersWanted, PublicationInfo, SubscriptionRefused, TrackSource
from sfu.ids import RoomName
from tests.harness.raw_caller import RawCaller, all_joined
from tests.harness.waiting import eventually

ROOM = RoomName("den")
PREFER_REGRESSION, SIMULCAST, REGRESSION = 0, 1, 2


async def publish_vp8(caller: RawCaller, policy: int) -> PublicationInfo:
    track = VideoStreamTrack()
    publication = await caller.announce(
        track.id,
        Kind.VIDEO,
        TrackSource.CAMERA,
        mime_type="video/vp8",
        backup_mime_type="video/h264",
        backup_codec_policy=policy,
    )
    caller.publisher.addTrack(track)
    await caller.negotiate()
    return publication


async def publish_backup(caller: RawCaller, publication: PublicationInfo) -> None:
    track = VideoStreamTrack()
    await caller.announce(track.id, Kind.VIDEO, TrackSource.CAMERA, track_id=publication.track_id)
    caller.publisher.addTrack(track)
    await caller.negotiate()


def codec_of(node: Any, caller: RawCaller, publication: PublicationInfo) -> str | None:
    session = node.find_session(ROOM, caller.session.info.participant_id)
    encoding = session.participant.subscriber.subscriptions[publication.track_id].encoding
    return encoding.name if encoding is not None else None


def packets_to(node: Any, caller: RawCaller, publication: PublicationInfo) -> int:
    session = node.find_session(ROOM, caller.session.info.participant_id)
    handle = session.participant.subscriber.subscriptions[publication.track_id].handle
    stats = node._runtime.commands.stats().subscriptions
    return sum(one.packets_sent for one in stats if one.subscription == handle)


@pytest.mark.parametrize(
    ("policy", "large_room", "codec_of_the_rest"),
    [
        (SIMULCAST, 3, "vp8"),
        (REGRESSION, 99, "h264"),
        (PREFER_REGRESSION, 3, "h264"),
        (PREFER_REGRESSION, 4, "vp8"),
    ],
)
async def test_who_gets_the_backup_codec(
    start_node: Callable[..., Any], policy: int, large_room: int, codec_of_the_rest: str
) -> None:
    """One of three cannot receive the first codec."""
    node = await start_node(codec_regression_participants=large_room)
    ada, bob = await all_joined(node, ROOM, ["ada", "bob"])
    cleo = await RawCaller(node).join(ROOM, "cleo", broken_codecs=frozenset({"vp8"}))
    publication = await publish_vp8(ada, policy)
    await bob.until(lambda: len(bob.tracks) == 1)
    await ada.event(LayersWanted, lambda event: event.codecs.get("h264", -1) >= 0)
    assert (codec_of(node, bob, publication), codec_of(node, cleo, publication)) == ("vp8", None)

    await publish_backup(ada, publication)
    await eventually(lambda: codec_of(node, cleo, publication) == "h264", "the backup codec")
    await eventually(lambda: packets_to(node, cleo, publication) > 10, "its packets")
    await eventually(lambda: codec_of(node, bob, publication) == codec_of_the_rest, "a codec for the rest")
    for caller in (ada, bob, cleo):
        await caller.close()


async def test_who_waits_in_vain_for_the_backup_codec_is_told_once_and_gets_it_late(
    start_node: Callable[..., Any],
) -> None:
    node = await start_node(backup_codec_timeout_s=0.2)
    (ada,) = await all_joined(node, ROOM, ["ada"])
    bob = await RawCaller(node).join(ROOM, "bob", broken_codecs=frozenset({"vp8"}))
    publication = await publish_vp8(ada, SIMULCAST)
    assert (await bob.event(SubscriptionRefused)).track_id == publication.track_id

    # A negotiation for something else says nothing new of it.
    await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    await eventually(lambda: node.metrics()["ting_subscriptions"] == 1, "the sound")
    assert sum(isinstance(event, SubscriptionRefused) for event in bob.events) == 1

    await publish_backup(ada, publication)
    await eventually(lambda: codec_of(node, bob, publication) == "h264", "the backup codec")
    assert sum(isinstance(event, SubscriptionRefused) for event in bob.events) == 1
    for caller in (ada, bob):
        await caller.close()

"""RTP in from one transport, out to others."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sfu.engine.api import Extension, LayerChanged, OutboundPayload, SrtpProfile, StreamStarted
from sfu.engine.reference import rtcp
from tests.engine.harness import (
    AUDIO_TYPE,
    MS,
    OUT_AUDIO_TYPE,
    OUT_VIDEO_TYPE,
    RED_TYPE,
    Bystanders,
    Net,
    Source,
    Vp8Source,
    assert_contiguous,
)


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_audio_reaches_every_subscriber_with_its_own_numbers(net: Net, profile: SrtpProfile) -> None:
    publisher = net.peer(profile=profile)
    subscribers = [net.peer(profile=profile) for _ in range(3)]
    track = publisher.publish_audio()
    for index, subscriber in enumerate(subscribers):
        subscriber.subscribe(track, ssrc=5000 + index * 10, mid=str(index))
    source = Source(publisher, 2000, AUDIO_TYPE)
    sent = [source.send(bytes([n]) * 60, step=960, marker=n == 0).payload for n in range(20)]
    for index, subscriber in enumerate(subscribers):
        assert [packet.payload for packet in subscriber.rtp] == sent
        assert {packet.ssrc for packet in subscriber.rtp} == {5000 + index * 10}
        assert {packet.payload_type for packet in subscriber.rtp} == {OUT_AUDIO_TYPE}
        assert {packet.extensions[9] for packet in subscriber.rtp} == {str(index).encode()}
        assert [packet.marker for packet in subscriber.rtp] == [True] + [False] * 19
        assert_contiguous(subscriber.rtp)
        stamps = [packet.timestamp for packet in subscriber.rtp]
        assert {(after - before) & 0xFFFFFFFF for before, after in pairwise(stamps)} == {960}
    assert len({subscriber.rtp[0].seq for subscriber in subscribers}) == 3
    assert net.drops == {}


def test_first_packet_and_layer_are_announced(net: Net) -> None:
    publisher, subscriber = net.peer(), net.peer()
    track = publisher.publish_video()
    subscription = subscriber.subscribe(track)
    Vp8Source(publisher, 1000).frame(key=True)
    assert net.events == [StreamStarted(track, 0, 1000, 96), LayerChanged(subscription, 0, 0)]


def test_video_begins_at_a_keyframe(net: Net) -> None:
    publisher, subscriber = net.peer(), net.peer()
    subscriber.subscribe(publisher.publish_video())
    source = Vp8Source(publisher, 1000)
    source.frame()
    source.frame()
    assert subscriber.rtp == []
    source.frame(key=True, packets=3)
    source.frame(packets=2)
    assert len(subscriber.rtp) == 5
    assert_contiguous(subscriber.rtp)
    assert {packet.payload_type for packet in subscriber.rtp} == {OUT_VIDEO_TYPE}


def test_nothing_leaves_while_paused_and_resume_waits_for_a_keyframe(net: Net) -> None:
    publisher, subscriber = net.peer(), net.peer()
    track = publisher.publish_video()
    subscription = subscriber.subscribe(track, start=False)
    source = Vp8Source(publisher, 1000)
    source.frame(key=True)
    assert subscriber.rtp == []
    net.engine.set_subscription_paused(subscription, False)
    source.frame()
    assert subscriber.rtp == []
    source.frame(key=True)
    assert len(subscriber.rtp) == 1
    net.engine.set_subscription_paused(subscription, True)
    for _ in range(5):
        source.frame()
    assert len(subscriber.rtp) == 1
    net.engine.set_subscription_paused(subscription, False)
    source.frame()
    source.frame(key=True)
    source.frame()
    assert len(subscriber.rtp) == 3
    assert_contiguous(subscriber.rtp)


def test_header_extensions_leave_with_the_subscribers_ids(net: Net) -> None:
    publisher, subscriber = net.peer(), net.peer()
    track = publisher.publish_audio()
    subscriber.subscribe(
        track,
        extensions={
            Extension.MID: 3,
            Extension.AUDIO_LEVEL: 8,
            Extension.ABS_SEND_TIME: 7,
            Extension.TRANSPORT_CC: 2,
        },
    )
    source = Source(publisher, 2000, AUDIO_TYPE, extensions={1: b"\x85", 2: b"abc", 3: b"\0\x09", 4: b"ignored"})
    for _ in range(3):
        source.send(b"x" * 50, step=960)
        net.advance(20 * MS)
    numbers = [int.from_bytes(packet.extensions[2], "big") for packet in subscriber.rtp]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    sent_at = [int.from_bytes(packet.extensions[7], "big") for packet in subscriber.rtp]
    for before, after in pairwise(sent_at):
        assert abs((after - before) / (1 << 18) - 0.02) < 0.001
    for packet in subscriber.rtp:
        assert packet.extensions[3] == b"7"
        assert packet.extensions[8] == b"\x85"
        assert set(packet.extensions) == {2, 3, 7, 8}


@pytest.mark.parametrize("mid", ["7", "a-mid-that-is-longer-than-sixteen-bytes"])
@pytest.mark.parametrize(
    "ids",
    [
        {},
        {Extension.MID: 9},
        {Extension.MID: 9, Extension.TRANSPORT_CC: 5},
        {Extension.TRANSPORT_CC: 5},
        {Extension.ABS_SEND_TIME: 6},
        {Extension.MID: 15, Extension.TRANSPORT_CC: 200, Extension.AUDIO_LEVEL: 14},
        {Extension.AUDIO_LEVEL: 1, Extension.MID: 2},
        {Extension.DEPENDENCY_DESCRIPTOR: 12, Extension.MID: 3, Extension.TRANSPORT_CC: 1},
    ],
)
def test_any_set_of_extensions(net: Net, ids: dict[Extension, int], mid: str) -> None:
    """One-byte and two-byte form, with and without each element; also in a resend."""
    publisher, subscriber = net.peer(), net.peer()
    track = publisher.publish_audio(extensions={Extension.AUDIO_LEVEL: 1, Extension.DEPENDENCY_DESCRIPTOR: 8})
    subscriber.subscribe(track, extensions=ids, mid=mid, payloads={AUDIO_TYPE: OutboundPayload(100, 101)})
    values = {1: b"\x30", 8: bytes(range(40))}
    source = Source(publisher, 2000, AUDIO_TYPE, extensions=values)
    source.send(b"first" * 5, step=960)
    source.send(b"second" * 5, step=960)
    subscriber.send_rtcp(rtcp.build_nack(1, 5000, [subscriber.rtp[0].seq]))
    assert [packet.payload for packet in subscriber.rtp[:2]] == [b"first" * 5, b"second" * 5]
    assert subscriber.rtp[2].payload[2:] == b"first" * 5
    for packet in subscriber.rtp:
        assert set(packet.extensions) == set(ids.values())
        assert packet.extensions.get(ids.get(Extension.MID, 0), mid.encode()) == mid.encode()
        assert packet.extensions.get(ids.get(Extension.AUDIO_LEVEL, 0), values[1]) == values[1]
        assert packet.extensions.get(ids.get(Extension.DEPENDENCY_DESCRIPTOR, 0), values[8]) == values[8]


def test_payload_type_may_change_to_one_that_a_subscriber_has_not(net: Net) -> None:
    publisher, subscriber = net.peer(), net.peer()
    subscriber.subscribe(publisher.publish_audio(), payloads={AUDIO_TYPE: OutboundPayload(100)})
    source = Source(publisher, 2000, AUDIO_TYPE)
    for payload_type in (AUDIO_TYPE, RED_TYPE, RED_TYPE, AUDIO_TYPE):
        source.payload_type = payload_type
        source.send(bytes((AUDIO_TYPE,)) + b"x" * 20, step=960)
    assert len(subscriber.rtp) == 2
    assert_contiguous(subscriber.rtp)
    assert net.drops == {"no_payload_for_subscriber": 2}


def test_bystanders_hear_each_other(net: Net) -> None:
    Bystanders(net).talk(10)

"""Authentic bad input: every length of every kind of packet, and floods that a participant of the call can send."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from sfu.engine.api import (
    KEYFRAME_INTERVAL_NS,
    Codec,
    Extension,
    InboundLayer,
    InboundPayload,
    Kind,
    TrackConfig,
    TransportConfig,
)
from sfu.engine.reference import rtcp
from sfu.engine.reference.congestion.estimate import START_NS
from sfu.engine.reference.rtp import RtpPacket
from tests.engine.harness import (
    AUDIO_TYPE,
    EXTENSIONS,
    MS,
    RTX_TYPE,
    SECOND,
    VIDEO_TYPE,
    Bystanders,
    Net,
    Source,
    Vp8Source,
    assert_contiguous,
)

LENGTHS = range(65)
HEADS = {
    Codec.VP8: (b"\x10\x00\x00\x00\x9d\x01\x2a", b"\x90\xe0\x81\x00\x05\x20\x00\x00\x00\x9d\x01\x2a", b"\xff" * 5),
    Codec.VP9: (b"\x8c\x81\x00", b"\xaa\x81\x00\x00\x05\xf8", b"\xfe\xff\xff\xff\xff\xff\xff"),
    Codec.H264: (b"\x67\x42", b"\x65\x88", b"\x78\x00\x02\x67\x42", b"\x7c\x85\x88", b"\x78\xff\xff"),
    Codec.AV1: (b"\x18\x08\x00", b"\x08\x80\x80\x80", b"\x80\x30", b"\xf8\xff"),
    Codec.RED: (b"\x6f", b"\xef\x00\x00\x01\x6f", b"\xef\xff\xff\xff\x6f", b"\xef" * 8),
    Codec.OPUS: (b"", b"\xff"),
    Codec.OTHER: (b"", b"\xff"),
}
"""What payloads of each codec may begin with: true beginnings, and lies about what follows."""


@pytest.fixture
def bystanders(net: Net) -> Iterator[Bystanders]:
    call = Bystanders(net)
    call.talk(3)
    yield call
    call.talk(3)


def payloads(codec: Codec) -> Iterator[bytes]:
    chaos = random.Random(str(codec))
    for size in LENGTHS:
        for head in (b"", *HEADS[codec]):
            for tail in (bytes(size), b"\xff" * size, chaos.randbytes(size)):
                yield (head + tail)[:size]


@pytest.mark.parametrize("codec", list(HEADS))
@pytest.mark.parametrize("rtx", [False, True])
def test_every_length_of_every_payload(net: Net, bystanders: Bystanders, codec: Codec, rtx: bool) -> None:
    """As media and as retransmissions of what was lost: numbers stay whole, no payload leaves longer than it came, and
    whoever begins with the cache gets the same."""
    publisher, subscriber, late = net.peer(), net.peer(), net.peer()
    track = publisher.publish_video(
        payloads=(InboundPayload(VIDEO_TYPE, codec, 90_000, RTX_TYPE),), keyframe_cache_bytes=1 << 20
    )
    subscriber.subscribe(track)
    source = Source(publisher, 1000)
    source.send(b"\x67\x42" if codec is Codec.H264 else HEADS[codec][0] + bytes(40), step=3000)
    net.advance(START_NS, 10 * MS)
    source.timestamp += 3000
    for number, payload in enumerate(payloads(codec)):
        source.timestamp += 3000 * (number % 2)
        made = source.make(payload, marker=number % 3 == 0)
        if rtx:
            # Something behind the gap, then what fills it.
            source.send(b"\x41\x9a" + bytes(20))
            original = made.seq.to_bytes(2, "big") + payload
            made = RtpPacket(RTX_TYPE, made.marker, number & 0xFFFF, made.timestamp, 1001, payload=original)
        publisher.send(made)
        if number % 500 == 0:
            net.advance(10 * MS)
    late.subscribe(track)
    net.advance(10 * SECOND, 100 * MS)
    longest = max(len(packet.payload) for packet in source.sent)
    for peer in (subscriber, late):
        media = [packet for packet in peer.rtp if packet.ssrc == 5000]
        numbers = [packet.seq for packet in media]
        assert len(set(numbers)) == len(numbers)
        assert all(len(packet.payload) <= longest for packet in media)
        if media:
            assert {(number - numbers[0]) & 0xFFFF for number in numbers} == set(range(len(numbers)))


@pytest.mark.parametrize("extension", list(Extension))
@pytest.mark.parametrize("kind", ["audio", "video"])
def test_every_length_of_every_extension(net: Net, bystanders: Bystanders, extension: Extension, kind: str) -> None:
    ids = {**EXTENSIONS, Extension.DEPENDENCY_DESCRIPTOR: 12, Extension.PLAYOUT_DELAY: 6}
    ids |= {Extension.ABS_CAPTURE_TIME: 7, Extension.VIDEO_ORIENTATION: 13}
    publisher, subscriber = net.peer(), net.peer()
    if kind == "audio":
        track = publisher.publish_audio(extensions=ids)
        source = Source(publisher, 2000, AUDIO_TYPE)
    else:
        track = publisher.publish_video(Codec.AV1, extensions=ids)
        source = Source(publisher, 1000)
    subscriber.subscribe(track, extensions=ids)
    chaos = random.Random(str(extension))
    for size in LENGTHS:
        for value in (bytes(size), b"\xff" * size, chaos.randbytes(size)):
            source.extensions = {ids[extension]: value}
            source.send(b"\x18\x08\x00" + bytes(20), marker=True, step=3000)
            net.advance(1 * MS, 1 * MS)
    net.engine.audio_levels()
    net.advance(2 * SECOND, 100 * MS)
    if subscriber.rtp:
        assert_contiguous(subscriber.rtp)
    # One that is sound still passes.
    source.extensions = {}
    source.send(b"\x18\x08\x00" + bytes(20), marker=True, step=3000)
    assert subscriber.rtp[-1].payload == source.sent[-1].payload


@pytest.mark.parametrize("packet_type", range(200, 208))
def test_every_length_of_every_rtcp_kind(net: Net, bystanders: Bystanders, packet_type: int) -> None:
    """Of both sides, with each count that means something, about SSRCs that are there and that are not."""
    publisher, subscriber = net.peer(), net.peer()
    subscriber.subscribe(publisher.publish_video())
    source = Vp8Source(publisher, 1000)
    source.frame(key=True)
    chaos = random.Random(packet_type)
    # A header alone is no RTCP packet: libsrtp would not encrypt it.
    for size in LENGTHS[4:]:
        for count in (0, 1, 2, 4, 15, 31):
            for ssrc in (5000, 1000, 99):
                body = (ssrc.to_bytes(4, "big") * 2 + chaos.randbytes(64))[:size]
                words = size // 4
                for lie in (words, words + 1, 0xFFFF):
                    data = bytes((0x80 | count, packet_type)) + lie.to_bytes(2, "big") + body
                    publisher.send_rtcp(data)
                    subscriber.send_rtcp(data)
    net.advance(SECOND, 100 * MS)
    assert all(0 <= one.fraction_lost <= 1 for one in net.engine.stats().subscriptions)
    source.frame()
    assert subscriber.rtp[-1].payload[6:] == source.sent[-1].payload[6:]


def test_bad_tags_of_srtcp(net: Net, bystanders: Bystanders) -> None:
    """A flipped bit anywhere behind the header: nothing is asked of anyone."""
    publisher, subscriber = net.peer(), net.peer()
    subscriber.subscribe(publisher.publish_video())
    Vp8Source(publisher, 1000).frame(key=True)
    data = subscriber._outgoing.protect_rtcp(rtcp.build_pli(1, 5000))
    for bit in range(8 * (len(data) - 8)):
        forged = bytearray(data)
        forged[8 + bit // 8] ^= 1 << bit % 8
        subscriber.send_raw(bytes(forged))
    assert net.engine.stats().subscriptions[-1].plis_received == 0
    assert sum(net.drops.values()) == 8 * (len(data) - 8)
    subscriber.send_raw(data)
    assert net.engine.stats().subscriptions[-1].plis_received == 1


@pytest.mark.parametrize("number", [EXTENSIONS[Extension.RID], EXTENSIONS[Extension.REPAIRED_RID]])
def test_flood_of_ssrcs_by_rid(net: Net, bystanders: Bystanders, number: int) -> None:
    """2,000 authentic SSRCs that each claim to be one layer, as media or as its retransmission."""
    publisher = net.peer(config=TransportConfig(max_ssrcs=16))
    publisher.publish_video(layers=(InboundLayer(rid="l"), InboundLayer(rid="h")), mid="1")
    payload_type = VIDEO_TYPE if number == EXTENSIONS[Extension.RID] else RTX_TYPE
    for ssrc in range(10_000, 12_000):
        extensions = {EXTENSIONS[Extension.MID]: b"1", number: b"h"}
        publisher.send(RtpPacket(payload_type, False, 1, 0, ssrc, extensions=extensions, payload=b"\x10" + bytes(20)))
    assert net.drops["ssrc_limit"] == 2_000 - 16
    net.advance(SECOND)
    assert len(net.engine.stats().tracks[-1].layers) == 2


@pytest.mark.parametrize("rtx", [True, False])
def test_nack_storm_of_many(net: Net, bystanders: Bystanders, rtx: bool) -> None:
    """Twenty viewers ask for everything, sent or not, again and again: each has its own budget, and none gets more."""
    publisher = net.peer()
    track = publisher.publish_video()
    viewers = [net.peer() for _ in range(20)]
    for viewer in viewers:
        viewer.subscribe(track, rtx_ssrc=5001 if rtx else None)
    source = Vp8Source(publisher, 1000)
    source.frame(key=True)
    for _ in range(20):
        for _ in range(4):
            source.frame()
        for viewer in viewers:
            newest = viewer.rtp[-1].seq if viewer.rtp[-1].ssrc == 5000 else 0
            seqs = [(newest - back) & 0xFFFF for back in range(255, -256, -1)]
            viewer.send_rtcp(rtcp.build_nack(1, 5000, seqs))
        bystanders.talk()
        net.advance(10 * MS)
    stats = net.engine.stats().subscriptions[1:]
    sent_bytes = sum(len(packet.payload) for packet in source.sent)
    for viewer, one in zip(viewers, stats, strict=True):
        assert one.nacks_received == 20
        assert one.nack_misses > 0
        resent = sum(len(packet.payload) for packet in viewer.rtp if packet.ssrc == 5001)
        assert resent <= 12_500 * 1.5 + sent_bytes / 5
        assert one.retransmitted_packets_sent * 36 <= 12_500 * 1.5 + sent_bytes / 5
        assert viewer.repeats == (0 if rtx else one.retransmitted_packets_sent)
    # 511 numbers in each of 20 NACKs within 0.2 s are more than ten thousand a second with a burst of one.
    assert net.drops["nack_limited"] > 0


def test_pausing_and_resuming_all_the_time_buys_no_more_than_two_replays_a_second(
    net: Net, bystanders: Bystanders
) -> None:
    publisher, subscriber = net.peer(), net.peer()
    track = publisher.publish_video(keyframe_cache_bytes=1 << 20, pli=False)
    subscription = subscriber.subscribe(track)
    source = Vp8Source(publisher, 1000)
    source.frame(key=True, packets=50)
    rounds = 200
    for _ in range(rounds):
        net.engine.set_subscription_paused(subscription, True)
        net.engine.set_subscription_paused(subscription, False)
        net.advance(10 * MS)
    replays = rounds * 10 * MS // KEYFRAME_INTERVAL_NS + 1
    assert 50 * (replays - 1) <= len(subscriber.rtp) <= 50 * (replays + 1)
    assert_contiguous(subscriber.rtp)
    # Who is in earnest still gets it.
    before = len(subscriber.rtp)
    net.advance(KEYFRAME_INTERVAL_NS)
    source.frame(packets=2)
    assert len(subscriber.rtp) >= before + 2


def test_flood_of_keyframes_leaves_one_in_the_cache(net: Net, bystanders: Bystanders) -> None:
    publisher, late = net.peer(), net.peer()
    track = publisher.publish_video(keyframe_cache_bytes=1 << 20)
    source = Vp8Source(publisher, 1000)
    for _ in range(3_000):
        source.frame(key=True, step=1)
    late.subscribe(track)
    net.advance(SECOND)
    assert len(late.rtp) == 1


def test_reconfiguration_storm(net: Net, bystanders: Bystanders) -> None:
    """Caches, streams and subscriptions under configurations that change with every packet."""
    publisher, subscriber = net.peer(), net.peer()
    track = publisher.publish_video(keyframe_cache_bytes=1 << 20)
    subscriber.subscribe(track)
    source = Vp8Source(publisher, 1000)
    chaos = random.Random(8)
    for n in range(500):
        source.frame(key=n % 7 == 0)
        config = TrackConfig(
            kind=Kind.VIDEO,
            payloads=(InboundPayload(VIDEO_TYPE, chaos.choice((Codec.VP8, Codec.VP9, Codec.OTHER)), 90_000, RTX_TYPE),),
            layers=(InboundLayer(ssrc=1000, rtx_ssrc=1001), InboundLayer(ssrc=3000))[: chaos.choice((1, 2))],
            extensions=EXTENSIONS if chaos.random() < 0.5 else {},
            nack=chaos.random() < 0.5,
            pli=chaos.random() < 0.5,
            keyframe_cache_bytes=chaos.choice((0, 100, 1 << 20)),
        )
        net.engine.set_track_config(track, config)
        net.advance(10 * MS)
    assert_contiguous(subscriber.rtp)

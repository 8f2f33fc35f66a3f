"""Bad inputs of the threat list for RTP and RTCP, each beside a call that must go on."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from sfu.engine.api import Codec, InboundLayer, SrtpProfile, TransportConfig
from sfu.engine.reference import rtcp
from sfu.engine.reference.rtp import RtpPacket, build_header
from tests.engine.harness import (
    AUDIO_TYPE,
    MS,
    RTX_TYPE,
    SECOND,
    VIDEO_TYPE,
    Bystanders,
    Net,
    Peer,
    Source,
    Vp8Source,
    assert_contiguous,
)


@pytest.fixture
def bystanders(net: Net) -> Iterator[Bystanders]:
    call = Bystanders(net)
    call.talk(3)
    yield call
    call.talk(3)


def patterns(size: int) -> list[bytes]:
    chaos = random.Random(size)
    return [bytes(size), b"\xff" * size, chaos.randbytes(size)]


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_every_length_from_0_to_64(net: Net, bystanders: Bystanders, profile: SrtpProfile) -> None:
    """RT1, ST1: from known and unknown paths, behind every kind of first bytes."""
    victim, subscriber = net.peer(profile=profile), net.peer(profile=profile)
    subscriber.subscribe(victim.publish_audio())
    ssrc = (2000).to_bytes(4, "big")
    heads = [
        b"",
        b"\x00\x01",
        b"\x16\xfe",
        b"\x80\x6f",
        b"\x90\xef",
        b"\xbf\x6f",
        b"\x80\xc8",
        b"\x81\xc9",
        b"\x8f\xce",
    ]
    heads += [b"\x80\x6f\x00\x01" + bytes(4) + ssrc, b"\x90\x6f\x00\x01" + bytes(4) + ssrc, b"\x80\xc9\0\1" + ssrc]
    stranger = net.new_path()
    sent_before = net.engine.stats().packets_sent
    for size in range(65):
        for head in heads:
            for tail in patterns(size):
                data = (head + tail)[:size]
                net.deliver(victim.path, data)
                net.deliver(stranger, data)
    assert net.engine.stats().packets_sent == sent_before
    assert subscriber.rtp == []
    source = Source(victim, 2000, AUDIO_TYPE)
    source.send(b"still here" * 4)
    assert len(subscriber.rtp) == 1


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_every_truncation_of_a_true_packet(net: Net, bystanders: Bystanders, profile: SrtpProfile) -> None:
    victim, subscriber = net.peer(profile=profile), net.peer(profile=profile)
    subscriber.subscribe(victim.publish_audio())
    source = Source(victim, 2000, AUDIO_TYPE, extensions={1: b"\x10", 3: b"\0\1"})
    data = victim.protect(source.make(b"x" * 40))
    for size in range(len(data)):
        victim.send_raw(data[:size])
    assert subscriber.rtp == []
    victim.send_raw(data)
    assert len(subscriber.rtp) == 1


def test_bad_tags_do_no_harm(net: Net, bystanders: Bystanders) -> None:
    """RT2: and the packet that they imitate still gets through."""
    victim, subscriber = net.peer(), net.peer()
    subscriber.subscribe(victim.publish_audio())
    source = Source(victim, 2000, AUDIO_TYPE)
    data = victim.protect(source.make(b"x" * 40))
    for bit in range(8 * (len(data) - 12)):
        forged = bytearray(data)
        forged[12 + bit // 8] ^= 1 << bit % 8
        victim.send_raw(bytes(forged))
    assert net.drops == {"auth_failed": 8 * (len(data) - 12)}
    victim.send_raw(data)
    assert len(subscriber.rtp) == 1


def test_replays_are_forwarded_once(net: Net, bystanders: Bystanders) -> None:
    """RT3: at once, a second later, and over a wrap of the sequence number."""
    victim, subscriber = net.peer(), net.peer()
    subscriber.subscribe(victim.publish_audio())
    source = Source(victim, 2000, AUDIO_TYPE, seq=65_000)
    sent = []
    for _ in range(1_500):
        data = victim.protect(source.make(b"x" * 20, step=960))
        sent.append(data)
        victim.send_raw(data)
        victim.send_raw(data)
    net.advance(SECOND)
    for data in sent:
        victim.send_raw(data)
    assert len(subscriber.rtp) == 1_500
    drops = net.drops
    assert drops["replayed"] == 1_500 + 1_024
    assert drops["too_old"] == 1_500 - 1_024


def test_rtcp_replay_and_plain_text(net: Net, bystanders: Bystanders) -> None:
    """RC7."""
    publisher, subscriber = net.peer(), net.peer()
    subscriber.subscribe(publisher.publish_video())
    Vp8Source(publisher, 1000).frame(key=True)
    pli = rtcp.build_pli(1, 5000)
    data = subscriber._outgoing.protect_rtcp(pli)
    subscriber.send_raw(data)
    subscriber.send_raw(data)
    subscriber.send_raw(pli + bytes(40))
    subscriber.send_raw(pli)
    assert net.engine.stats().subscriptions[-1].plis_received == 1
    assert net.drops == {"replayed": 1, "malformed": 2}


def raw_packet(peer: Peer, header: bytes, payload: bytes) -> bytes:
    """Protect bytes as they are: lies that a well-behaved serializer cannot tell."""
    return peer._outgoing.protect(header + payload)


def test_lying_headers_and_padding(net: Net, bystanders: Bystanders) -> None:
    """RT5: CSRC count, extension length, element lengths, padding, each in an authentic packet where that can be."""
    victim, subscriber = net.peer(), net.peer()
    subscriber.subscribe(victim.publish_audio())
    plain = build_header(AUDIO_TYPE, False, 0, 0, 2000)

    def header(first: int, seq: int, rest: bytes = b"") -> bytes:
        return bytes((first,)) + plain[1:2] + seq.to_bytes(2, "big") + plain[4:] + rest

    seq = 10
    for padding in (0, 21, 200, 255):
        victim.send_raw(raw_packet(victim, header(0xA0, seq), b"x" * 19 + bytes((padding,))))
        seq += 1
    victim.send_raw(raw_packet(victim, header(0xA0, seq), b"x" * 19 + bytes((20,))))
    for block in (b"\x1f", b"\xff\0\0\0", b"\x0f\1\1\1", b"\x3f" + bytes(3)):
        seq += 1
        block = block.ljust(4, b"\0")
        victim.send_raw(raw_packet(victim, header(0x90, seq, b"\xbe\xde\0\1" + block), b"y" * 20))
    for block in (b"\x01\xff\0\0", b"\x05\x03\0\0", b"\0\0\0\x07"):
        seq += 1
        victim.send_raw(raw_packet(victim, header(0x90, seq, b"\x10\x00\0\1" + block), b"y" * 20))
    for first, rest in ((0x8F, b""), (0x90, b"\xbe\xde\xff\xff"), (0x90, b"\xbe"), (0x9F, bytes(61))):
        victim.send_raw(header(first, seq, rest) + bytes(16))
    drops = net.drops
    assert drops["malformed"] >= 8
    assert drops["padding_only"] == 1
    source = Source(victim, 2000, AUDIO_TYPE, seq=100)
    source.send(b"z" * 20)
    assert subscriber.rtp[-1].payload == b"z" * 20


def test_flood_of_new_ssrcs_is_capped(net: Net, bystanders: Bystanders) -> None:
    """RT6: 2,000 authentic SSRCs, all with a MID that the transport has."""
    config = TransportConfig(max_ssrcs=16)
    victim, subscriber = net.peer(config=config), net.peer()
    subscriber.subscribe(victim.publish_audio(ssrc=None, mid="1"))
    for ssrc in range(10_000, 12_000):
        victim.send(RtpPacket(AUDIO_TYPE, False, 1, 0, ssrc, extensions={4: b"1"}, payload=b"x" * 20))
    assert net.drops == {"ssrc_limit": 2_000 - 16}
    assert len(subscriber.rtp) == 16
    assert_contiguous(subscriber.rtp)


def test_flood_of_unknown_ssrcs_binds_nothing(net: Net, bystanders: Bystanders) -> None:
    victim = net.peer()
    victim.publish_audio(mid="1")
    for ssrc in range(10_000, 12_000):
        victim.send(RtpPacket(AUDIO_TYPE, False, 1, 0, ssrc, payload=b"x" * 20))
    assert net.drops == {"unknown_ssrc": 2_000}


def test_ssrc_of_another_participant(net: Net, bystanders: Bystanders) -> None:
    """RT6: an SSRC means something on its own transport only."""
    intruder = net.peer()
    intruder.publish_audio(ssrc=2000)
    before = len(bystanders.subscriber.rtp)
    Source(intruder, 77_000, AUDIO_TYPE, seq=9_000).send(b"not me" * 5)
    intruder.send_rtcp(rtcp.build_sr(rtcp.SenderReport(77_000, 1, 1, 1, 1)), rtcp.build_pli(1, 77_500))
    intruder.send_rtcp(rtcp.build_nack(1, 77_500, [1, 2, 3]))
    assert net.drops == {"unknown_ssrc": 1}
    assert len(bystanders.subscriber.rtp) == before
    assert net.engine.stats().subscriptions[0].nacks_received == 0


def test_rtx_that_lies(net: Net, bystanders: Bystanders) -> None:
    """RT7: unknown OSN, RTX of RTX, short payloads."""
    victim, subscriber = net.peer(), net.peer()
    subscriber.subscribe(victim.publish_video())
    source = Vp8Source(victim, 1000)
    source.frame(key=True)
    chaos = random.Random(1)
    for seq in range(500):
        payload = chaos.randbytes(chaos.randrange(40))
        victim.send(RtpPacket(RTX_TYPE, False, seq, 0, 1001, payload=payload or b"\0"))
    for packet in subscriber.rtp:
        assert packet.ssrc == 5000
    assert len({packet.seq for packet in subscriber.rtp}) == len(subscriber.rtp)
    net.advance(2 * SECOND)


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.VP9, Codec.H264, Codec.AV1, Codec.RED, Codec.OPUS, Codec.OTHER])
def test_payloads_of_noise(net: Net, bystanders: Bystanders, codec: Codec) -> None:
    """RT8: every codec's parser gets noise in authentic packets; what comes out has numbers of its own."""
    from sfu.engine.api import InboundPayload

    victim, subscriber = net.peer(), net.peer()
    subscription = subscriber.subscribe(
        victim.publish_video(payloads=(InboundPayload(VIDEO_TYPE, codec, 90_000, RTX_TYPE),))
    )
    chaos = random.Random(str(codec))
    source = Source(victim, 1000, VIDEO_TYPE)
    for n in range(1_500):
        if n % 50 == 0:
            net.engine.set_target_layer(subscription, chaos.randrange(4), chaos.randrange(4))
        source.send(chaos.randbytes(chaos.randrange(1, 40)), marker=n % 3 == 0, step=chaos.randrange(3000))
    assert len({packet.seq for packet in subscriber.rtp}) == len(subscriber.rtp)
    if len(subscriber.rtp) > 1:
        assert_contiguous(subscriber.rtp)


def test_rtcp_of_noise(net: Net, bystanders: Bystanders) -> None:
    """RC1: compounds whose lengths and counts lie, authenticated."""
    publisher, subscriber = net.peer(), net.peer()
    subscriber.subscribe(publisher.publish_video())
    source = Vp8Source(publisher, 1000)
    source.frame(key=True)
    chaos = random.Random(3)
    for _ in range(1_500):
        body = bytearray(chaos.randbytes(4 * chaos.randrange(1, 30)))
        head = bytes((0x80 | chaos.randrange(32), chaos.randrange(200, 208)))
        length = len(body) // 4 if chaos.random() < 0.7 else chaos.randrange(65_536)
        if len(body) >= 8:
            body[4:8] = (5000).to_bytes(4, "big")
        for peer in (publisher, subscriber):
            peer.send_rtcp(head + length.to_bytes(2, "big") + bytes(body))
    net.advance(SECOND)
    stats = net.engine.stats()
    assert all(0 <= one.fraction_lost <= 1 for one in stats.subscriptions)
    source.frame()
    assert subscriber.rtp[-1].payload[6:] == source.sent[-1].payload[6:]


def test_compounds_of_a_thousand_parts(net: Net, bystanders: Bystanders) -> None:
    subscriber = net.peer()
    subscriber.send_rtcp(*[bytes((0x80, 203, 0, 0))] * 300)
    assert net.drops == {"malformed": 1}


def test_receiver_reports_that_lie(net: Net, bystanders: Bystanders) -> None:
    """RC5: loss of 0 and 255, times that never were."""
    publisher, subscriber = net.peer(), net.peer()
    subscriber.subscribe(publisher.publish_audio())
    source = Source(publisher, 2000, AUDIO_TYPE)
    source.send(b"x" * 20)
    publisher.send_rtcp(rtcp.build_sr(rtcp.SenderReport(2000, 1 << 62, 1, 1, 1)))
    net.advance(2 * SECOND)
    report = subscriber.take_rtcp(rtcp.SenderReport)[0]
    assert isinstance(report, rtcp.SenderReport)
    lies = [(0, 0, 0), (255, 1, 0xFFFFFFFF), (255, rtcp.ntp_short(report.ntp), 0xFFFFFFFF), (3, 0xFFFFFFFF, 1)]
    for fraction, lsr, dlsr in lies:
        block = rtcp.ReportBlock(5000, fraction, -0x800000, 0xFFFFFFFF, 0xFFFFFFFF, lsr, dlsr)
        subscriber.send_rtcp(rtcp.build_rr(1, [block] * 31))
        stats = net.engine.stats().subscriptions[-1]
        assert 0 <= stats.fraction_lost < 1
        assert stats.rtt_ms is None


def test_nack_storm_costs_the_stormer_only(net: Net, bystanders: Bystanders) -> None:
    """RC2: the whole cache, 100 times a second; see the feedback tests for the share of the bitrate."""
    publisher, subscriber = net.peer(), net.peer()
    subscriber.subscribe(publisher.publish_video())
    source = Vp8Source(publisher, 1000)
    source.frame(key=True)
    for _ in range(50):
        for _ in range(5):
            source.frame()
        newest = subscriber.rtp[-1].seq
        subscriber.send_rtcp(rtcp.build_nack(1, 5000, [(newest - back) & 0xFFFF for back in range(511, -1, -1)]))
        bystanders.talk()
        net.advance(10 * MS)
    media = [packet for packet in subscriber.rtp if packet.ssrc == 5000]
    assert_contiguous(media)
    resent = [packet for packet in subscriber.rtp if packet.ssrc == 5001]
    assert sum(len(packet.payload) for packet in resent) <= 12_500 * 1.5 + sum(len(one.payload) for one in media) / 5


def test_keyframe_flood(net: Net, bystanders: Bystanders) -> None:
    """RC3: 50 viewers, 1,000 PLIs a second each: the publisher gets one per 500 ms."""
    publisher = net.peer()
    track = publisher.publish_video()
    viewers = [net.peer() for _ in range(50)]
    for viewer in viewers:
        viewer.subscribe(track)
    source = Vp8Source(publisher, 1000)
    source.frame(key=True)
    net.advance(SECOND)
    publisher.take_rtcp()
    for _ in range(100):
        for viewer in viewers:
            viewer.send_rtcp(*[rtcp.build_pli(1, 5000)] * 10)
        net.advance(10 * MS)
    assert len(publisher.take_rtcp(rtcp.Pli)) <= 3


def test_tiny_packets_at_twice_the_allowed_rate(net: Net, bystanders: Bystanders) -> None:
    """RT9: 20,000 packets in a second against a limit of 10,000."""
    publisher, subscriber = net.peer(config=TransportConfig(max_packets_per_s=5_000)), net.peer()
    subscriber.subscribe(publisher.publish_audio())
    source = Source(publisher, 2000, AUDIO_TYPE)
    for _ in range(100):
        for _ in range(100):
            source.send(b"x")
        net.advance(5 * MS, 5 * MS)
        bystanders.talk()
    assert 5_000 <= len(subscriber.rtp) <= 5_000 * 1.5 + 100
    assert net.drops["policed"] == 10_000 - len(subscriber.rtp)


def test_publishing_while_muted_or_after_removal(net: Net, bystanders: Bystanders) -> None:
    """RT10: nothing passes from the very next packet on."""
    publisher, subscriber = net.peer(), net.peer()
    track = publisher.publish_audio()
    subscriber.subscribe(track)
    source = Source(publisher, 2000, AUDIO_TYPE)
    source.send(b"x" * 20)
    net.engine.set_track_muted(track, True)
    for _ in range(100):
        source.send(b"x" * 20)
    net.engine.remove_track(track)
    for _ in range(100):
        source.send(b"x" * 20)
    assert len(subscriber.rtp) == 1
    assert net.drops == {"muted": 100, "unknown_ssrc": 100}


def test_transport_feedback_that_lies(net: Net, bystanders: Bystanders) -> None:
    """RC4: reserved statuses, runs of 8191, numbers never sent."""
    publisher, subscriber = net.peer(), net.peer()
    subscriber.subscribe(publisher.publish_audio())
    chaos = random.Random(5)
    for _ in range(300):
        body = (
            bytes(8) + chaos.randbytes(8) + bytes((0x3F, 0xFF, 0x60, 0x01)) + chaos.randbytes(4 * chaos.randrange(20))
        )
        subscriber.send_rtcp(bytes((0x8F, 205)) + (len(body) // 4).to_bytes(2, "big") + body)
    Source(publisher, 2000, AUDIO_TYPE).send(b"x" * 20)
    assert len(subscriber.rtp) == 1


def test_two_layers_that_claim_one_ssrc(net: Net, bystanders: Bystanders) -> None:
    """SD5."""
    publisher, subscriber = net.peer(), net.peer()
    layers = (InboundLayer(ssrc=100), InboundLayer(ssrc=100), InboundLayer(ssrc=100))
    subscriber.subscribe(publisher.publish_video(layers=layers))
    source = Vp8Source(publisher, 100)
    for n in range(20):
        source.frame(key=n % 5 == 0)
        net.advance(200 * MS)
    assert_contiguous(subscriber.rtp)

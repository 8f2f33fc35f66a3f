"""Sequence spaces, duplicates, padding, RTX unwrap: what a subscriber's numbers look like."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from sfu.engine.api import InboundLayer
from sfu.engine.reference.rtp import RtpPacket
from tests.engine.harness import (
    AUDIO_TYPE,
    MS,
    RTX_TYPE,
    SECOND,
    VIDEO_TYPE,
    Net,
    Peer,
    Source,
    Vp8Source,
    assert_contiguous,
    parse_vp8,
)

STARTS = (0, 1, 2, 100, 32_760, 32_767, 32_768, 65_520, 65_530, 65_534, 65_535)


def offsets(packets: Sequence[RtpPacket], first: int) -> list[int]:
    """Sequence numbers relative to `first`."""
    return [((packet.seq - first + 0x8000) & 0xFFFF) - 0x8000 for packet in packets]


def audio_call(net: Net, seq: int) -> tuple[Source, Peer]:
    publisher, subscriber = net.peer(), net.peer()
    subscriber.subscribe(publisher.publish_audio())
    return Source(publisher, 2000, AUDIO_TYPE, seq=seq), subscriber


@pytest.mark.parametrize("start", STARTS)
def test_losses_and_late_packets_keep_their_place(net: Net, start: int) -> None:
    source, subscriber = audio_call(net, start)
    packets = [source.make(bytes([n]) * 20, step=960) for n in range(40)]
    order = [0, 1, 3, 2, 4, 7, 8, 5, 9, 12, 11, 10, *range(13, 40)]  # 6 is lost
    for index in order:
        source.peer.send(packets[index])
    first = subscriber.rtp[0].seq
    assert offsets(subscriber.rtp, first) == order
    assert [packet.payload[0] for packet in subscriber.rtp] == order


@pytest.mark.parametrize("start", STARTS)
def test_withheld_padding_leaves_no_hole(net: Net, start: int) -> None:
    source, subscriber = audio_call(net, start)
    for n in range(40):
        source.send(b"" if n % 3 == 1 else bytes([n]) * 20, step=960, padding=10 if n % 3 == 1 else 0)
    assert [packet.payload[0] for packet in subscriber.rtp] == [n for n in range(40) if n % 3 != 1]
    assert_contiguous(subscriber.rtp)
    assert net.drops == {"padding_only": 13}


@pytest.mark.parametrize("start", STARTS)
def test_withheld_late_packet_is_replaced_by_padding(net: Net, start: int) -> None:
    source, subscriber = audio_call(net, start)
    packets = [source.make(b"x" * 20, step=960) for _ in range(3)]
    late = source.make(b"", step=960, padding=5)
    after = [source.make(b"y" * 20, step=960) for _ in range(3)]
    for packet in [*packets, after[0], late, after[1], after[2]]:
        source.peer.send(packet)
    first = subscriber.rtp[0].seq
    assert offsets(subscriber.rtp, first) == [0, 1, 2, 4, 3, 5, 6]
    filler = subscriber.rtp[4]
    assert filler.payload == b""
    assert filler.padding_bytes > 0


@pytest.mark.parametrize("start", STARTS)
def test_reordering_across_withheld_packets(net: Net, start: int) -> None:
    """Temporal layer 1 is not wanted: its packets leave no hole, and a late packet still finds its place."""
    publisher, subscriber = net.peer(), net.peer()
    subscription = subscriber.subscribe(publisher.publish_video())
    net.engine.set_target_layer(subscription, 0, 0)
    source = Vp8Source(publisher, 1000, seq=start)
    frames = [source.make_frame(key=n == 0, temporal=n % 2)[0] for n in range(20)]
    late = frames[6]
    for index, frame in enumerate(frames):
        if index != 6:
            publisher.send(frame)
        if index == 13:
            publisher.send(late)
    first = subscriber.rtp[0].seq
    expected = [0, 1, 2, 4, 5, 6, 3, 7, 8, 9]
    assert offsets(subscriber.rtp, first) == expected
    pictures = [parse_vp8(packet.payload).picture_id for packet in subscriber.rtp]
    assert [picture - pictures[0] for picture in pictures] == expected


@pytest.mark.parametrize("start", [0, 40_000, 65_000])
def test_long_run_wraps_several_times(net: Net, start: int) -> None:
    source, subscriber = audio_call(net, start)
    for burst in range(0, 140_000, 500):
        # Jumps just below the limit of a gap make three wraps quick.
        source.skip(499)
        source.send(burst.to_bytes(4, "big"), step=960)
    assert len(subscriber.rtp) == 280
    assert {(after.seq - before.seq) & 0xFFFF for before, after in pairwise(subscriber.rtp)} == {500}


@pytest.mark.parametrize("jump", [513, 5_000, 0x7FFE])
def test_jump_of_the_sequence_starts_anew_without_a_hole(net: Net, jump: int) -> None:
    publisher, subscriber = net.peer(), net.peer()
    subscriber.subscribe(publisher.publish_video())
    source = Vp8Source(publisher, 1000)
    source.frame(key=True)
    source.frame()
    publisher.take_rtcp()
    net.advance(SECOND)
    source.skip(jump)
    source.frame()
    assert len(subscriber.rtp) == 2
    assert [type(packet).__name__ for packet in publisher.take_rtcp()].count("Pli") == 1
    source.frame(key=True)
    source.frame()
    assert len(subscriber.rtp) == 4
    assert_contiguous(subscriber.rtp)
    stamps = [packet.timestamp for packet in subscriber.rtp]
    assert 85_000 <= (stamps[2] - stamps[1]) & 0xFFFFFFFF <= 100_000


@pytest.mark.parametrize("jump", [0x7FFF, 0x8000])
def test_jump_backwards_is_old(net: Net, jump: int) -> None:
    source, subscriber = audio_call(net, 100)
    source.send(b"a" * 20)
    source.skip(jump)
    source.send(b"b" * 20)
    assert len(subscriber.rtp) == 1


def test_duplicates_are_forwarded_once(net: Net) -> None:
    source, subscriber = audio_call(net, 65_535)
    packets = [source.peer.protect(source.make(b"x" * 20, step=960)) for _ in range(5)]
    for data in [*packets, *packets]:
        source.peer.send_raw(data)
    assert len(subscriber.rtp) == 5
    assert net.drops == {"replayed": 5}


def test_packet_left_of_the_window_is_too_old(net: Net) -> None:
    source, subscriber = audio_call(net, 65_000)
    held = source.peer.protect(source.make(b"old" * 10))
    for _ in range(1_030):
        source.send(b"x" * 20, step=960)
    source.peer.send_raw(held)
    assert len(subscriber.rtp) == 1_030
    assert net.drops == {"too_old": 1}


@pytest.mark.parametrize("padding", [1, 7, 255])
def test_padding_is_stripped(net: Net, padding: int) -> None:
    source, subscriber = audio_call(net, 1)
    source.send(b"sound" * 4, padding=padding)
    assert [(packet.payload, packet.padding_bytes) for packet in subscriber.rtp] == [(b"sound" * 4, 0)]


class TestRtx:
    """RFC 4588 from the publisher."""

    @pytest.mark.parametrize("start", STARTS)
    def test_unwrapped_packet_takes_its_place(self, net: Net, start: int) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_video())
        source = Vp8Source(publisher, 1000, seq=start)
        frames = [source.make_frame(key=n == 0)[0] for n in range(6)]
        for n in (0, 1, 2, 4, 5):
            publisher.send(frames[n])
        publisher.send(source.make_rtx(frames[3], 9))
        assert offsets(subscriber.rtp, subscriber.rtp[0].seq) == [0, 1, 2, 4, 5, 3]
        assert subscriber.rtp[-1].payload[6:] == frames[3].payload[6:]
        # Again, by RTX and as the original: both are duplicates.
        publisher.send(source.make_rtx(frames[3], 10))
        publisher.send(frames[3])
        assert len(subscriber.rtp) == 6
        assert net.drops == {"duplicate": 2}

    @pytest.mark.parametrize("payload", [b"", b"\x01"])
    def test_rtx_without_an_original_is_padding(self, net: Net, payload: bytes) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_video())
        source = Vp8Source(publisher, 1000)
        source.frame(key=True)
        publisher.send(RtpPacket(RTX_TYPE, False, 5, 0, 1001, payload=payload, padding_bytes=20))
        assert net.drops == {"padding_only": 1}
        source.frame()
        assert_contiguous(subscriber.rtp)

    def test_rtx_whose_padding_lies(self, net: Net) -> None:
        publisher = net.peer()
        publisher.publish_video()
        packet = RtpPacket(RTX_TYPE, False, 5, 0, 1001, payload=b"\0\x05abc\xff")
        publisher.send_raw(publisher.protect_with_padding_bit(packet))
        assert net.drops == {"malformed": 1}

    def test_rtx_before_any_media_is_dropped(self, net: Net) -> None:
        publisher = net.peer()
        publisher.publish_video()
        publisher.send(RtpPacket(RTX_TYPE, False, 5, 0, 1001, payload=b"\0\x05abc"))
        assert net.drops == {"unknown_ssrc": 1}

    @pytest.mark.parametrize(("ssrc", "payload_type"), [(1001, VIDEO_TYPE), (1000, RTX_TYPE)])
    def test_payload_type_must_fit_the_stream(self, net: Net, ssrc: int, payload_type: int) -> None:
        publisher = net.peer()
        publisher.publish_video()
        publisher.send(RtpPacket(payload_type, False, 5, 0, ssrc, payload=b"\0\x05abc"))
        assert net.drops == {"unknown_payload_type": 1}


class TestBinding:
    """Which stream a packet belongs to (RFC 8843 §9.2, RFC 8852)."""

    LAYERS = (InboundLayer(rid="q"), InboundLayer(rid="h"), InboundLayer(rid="f"))

    def ids(self, mid: bytes, rid: bytes = b"", repaired: bytes = b"") -> dict[int, bytes]:
        values = {4: mid, 10: rid, 11: repaired}
        return {key: value for key, value in values.items() if value}

    def test_by_mid_and_rid(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        publisher.publish_video(layers=(InboundLayer(rid="q"),), mid="0")
        track = publisher.publish_video(layers=self.LAYERS, mid="1")
        subscriber.subscribe(track)
        source = Vp8Source(publisher, 4242, extensions=self.ids(b"1", b"h"))
        source.frame(key=True)
        source.extensions = {}
        source.frame()
        assert len(subscriber.rtp) == 2
        layers = [track.layers for track in net.engine.stats().tracks]
        assert [layer.packets_received for layer in layers[1]] == [0, 2, 0]
        assert [layer.ssrc for layer in layers[1]] == [None, 4242, None]

    def test_rtx_by_mid_and_repaired_rid(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_video(layers=self.LAYERS, mid="1"))
        source = Vp8Source(publisher, 4242, extensions=self.ids(b"1", b"q"))
        frames = [source.make_frame(key=n == 0)[0] for n in range(3)]
        publisher.send(frames[0])
        publisher.send(frames[2])
        rtx = RtpPacket(
            RTX_TYPE,
            frames[1].marker,
            77,
            frames[1].timestamp,
            999,
            extensions=self.ids(b"1", repaired=b"q"),
            payload=frames[1].seq.to_bytes(2, "big") + frames[1].payload,
        )
        publisher.send(rtx)
        assert offsets(subscriber.rtp, subscriber.rtp[0].seq) == [0, 2, 1]

    def test_by_mid_alone_when_there_is_one_layer(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_audio(ssrc=None, mid="audio"))
        Source(publisher, 31337, AUDIO_TYPE, extensions={4: b"audio"}).send(b"x" * 20)
        assert len(subscriber.rtp) == 1

    def test_by_payload_type_when_no_mid_was_negotiated(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        track = publisher.publish_audio(ssrc=None, extensions={})
        publisher.publish_video(layers=(InboundLayer(),), extensions={})
        subscriber.subscribe(track)
        Source(publisher, 31337, AUDIO_TYPE).send(b"x" * 20)
        assert len(subscriber.rtp) == 1

    def test_payload_type_of_two_tracks_binds_nothing(self, net: Net) -> None:
        publisher = net.peer()
        publisher.publish_audio(ssrc=None, extensions={})
        publisher.publish_audio(ssrc=None, extensions={})
        Source(publisher, 31337, AUDIO_TYPE).send(b"x" * 20)
        assert net.drops == {"unknown_ssrc": 1}

    @pytest.mark.parametrize("extensions", [{}, {4: b"2"}, {4: b"1"}, {4: b"1", 10: b"x"}, {4: b"", 10: b"q"}])
    def test_mid_or_rid_that_do_not_match_bind_nothing(self, net: Net, extensions: dict[int, bytes]) -> None:
        publisher = net.peer()
        publisher.publish_video(layers=self.LAYERS, mid="1")
        values = {key: value for key, value in extensions.items() if value}
        Vp8Source(publisher, 4242, extensions=values).frame(key=True)
        assert net.drops == {"unknown_ssrc": 1}

    def test_forged_packet_with_a_true_mid_binds_nothing(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_audio(ssrc=None, mid="1"))
        source = Source(publisher, 4242, AUDIO_TYPE, extensions={4: b"1"})
        forged = bytearray(publisher.protect(source.make(b"x" * 20)))
        forged[-1] ^= 1
        publisher.send_raw(bytes(forged))
        source.extensions = {}
        source.send(b"x" * 20)
        assert net.drops == {"auth_failed": 1, "unknown_ssrc": 1}

    def test_new_ssrc_of_a_layer_takes_over_and_numbers_go_on(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_video(layers=(InboundLayer(),), mid="1"))
        old = Vp8Source(publisher, 4242, extensions={4: b"1"})
        old.frame(key=True)
        old.frame()
        net.advance(100 * MS)
        new = Vp8Source(publisher, 5353, extensions={4: b"1"}, seq=30_000, timestamp=1, picture_id=3, tl0picidx=9)
        new.frame()
        new.frame(key=True)
        new.frame()
        old.frame()
        assert len(subscriber.rtp) == 4
        assert_contiguous(subscriber.rtp)
        assert net.drops == {"unknown_ssrc": 1}

    def test_undeclared_payload_type(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_video())
        source = Vp8Source(publisher, 1000)
        source.frame(key=True)
        source.payload_type = 99
        source.frame()
        assert net.drops == {"unknown_payload_type": 1}
        assert len(subscriber.rtp) == 1

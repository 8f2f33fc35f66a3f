"""What is missing of a publisher: how soon it is asked for, how often, and what is not asked for at all."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sfu.engine.reference import rtcp
from sfu.engine.reference.rtp import RtpPacket
from sfu.ids import TrackHandle
from tests.engine.harness import MS, SECOND, Net, Vp8Source


@pytest.fixture
def track(net: Net) -> TrackHandle:
    return net.peer().publish_video()


@pytest.fixture
def source(net: Net, track: TrackHandle) -> Vp8Source:
    source = Vp8Source(next(iter(net.peers.values())), 1000, seq=65_400)
    source.frame(key=True)
    return source


def asked(source: Vp8Source) -> list[int]:
    return [seq for one in source.peer.take_rtcp(rtcp.Nack) if isinstance(one, rtcp.Nack) for seq in one.seqs]


def lose(source: Vp8Source) -> RtpPacket:
    """A picture of one packet that does not arrive."""
    return source.make_frame()[0]


def lose_and_answer(net: Net, source: Vp8Source, took_ns: int) -> None:
    """A packet is lost, asked for, and resent after that time."""
    lost = lose(source)
    source.frame()
    source.frame()
    assert asked(source) == [lost.seq]
    net.advance(took_ns, 1 * MS)
    source.peer.send(lost)
    source.peer.take_rtcp()


class TestOrder:
    """How long a packet is waited for that may only have been overtaken."""

    def test_a_line_that_keeps_the_order_is_asked_with_the_first_packet_after_a_gap(
        self, net: Net, source: Vp8Source
    ) -> None:
        lost = lose(source)
        source.frame()
        assert asked(source) == []
        source.peer.send(lost)
        for _ in range(20):
            lose_and_answer(net, source, 40 * MS)
        lost = lose(source)
        source.frame()
        assert asked(source) == [lost.seq]

    @pytest.mark.parametrize(("overtaken_ms", "waits_ms"), [(16, 20), (60, 75), (150, 100)])
    def test_a_line_that_overtakes_is_waited_for_as_long_and_a_quarter(
        self, net: Net, source: Vp8Source, overtaken_ms: int, waits_ms: int
    ) -> None:
        """Whatever follows meanwhile proves nothing. No longer than 100 ms."""
        lose_and_answer(net, source, 400 * MS)
        late = lose(source)
        source.frame()
        net.advance(overtaken_ms * MS, 1 * MS)
        source.peer.send(late)
        asked(source)
        lost = lose(source)
        for _ in range(3):
            source.frame()
        net.advance((waits_ms - 1) * MS, 1 * MS)
        assert asked(source) == []
        net.advance(1 * MS)
        assert asked(source) == [lost.seq]

    def test_and_for_less_long_once_it_keeps_the_order_again(self, net: Net, source: Vp8Source) -> None:
        late = lose(source)
        source.frame()
        net.advance(9 * MS, 1 * MS)
        source.peer.send(late)
        asked(source)
        for _ in range(30):
            lost = lose(source)
            source.frame()
            source.frame()
            net.advance(12 * MS, 1 * MS)
            assert asked(source) == [lost.seq]
            net.advance(40 * MS, 1 * MS)
            source.peer.send(lost)
            asked(source)
        lost = lose(source)
        source.frame()
        assert asked(source) == [lost.seq]

    def test_what_comes_as_rtx_was_not_overtaken(self, net: Net, source: Vp8Source) -> None:
        """The first request was lost, so that the round trip seems to be 140 ms."""
        lost = lose(source)
        source.frame()
        source.frame()
        net.advance(140 * MS, 1 * MS)
        assert asked(source) == [lost.seq] * 2
        source.peer.send(source.make_rtx(lost, 0))
        for number in range(1, 6):
            lost = lose(source)
            source.frame()
            source.frame()
            assert asked(source) == [lost.seq]
            net.advance(40 * MS, 1 * MS)
            source.peer.send(source.make_rtx(lost, number))
            asked(source)


class TestRoundTrip:
    def test_an_answer_to_a_later_request_is_no_long_round_trip(self, net: Net, source: Vp8Source) -> None:
        lose_and_answer(net, source, 80 * MS)
        for _ in range(20):
            lost = lose(source)
            source.frame()
            source.frame()
            net.advance(95 * MS, 1 * MS)
            assert asked(source) == [lost.seq] * 2
            net.advance(80 * MS, 1 * MS)
            source.peer.send(lost)
        lost = lose(source)
        source.frame()
        source.frame()
        net.advance(94 * MS, 1 * MS)
        assert asked(source) == [lost.seq]
        net.advance(1 * MS)
        assert asked(source) == [lost.seq]

    def test_a_round_trip_that_has_become_longer_is_learnt(self, net: Net, source: Vp8Source) -> None:
        """Though each answer comes shortly after the next request."""
        lose_and_answer(net, source, 40 * MS)
        for _ in range(40):
            lost = lose(source)
            source.frame()
            source.frame()
            net.advance(70 * MS, 1 * MS)
            source.peer.send(lost)
            asked(source)
        lost = lose(source)
        source.frame()
        source.frame()
        net.advance(70 * MS, 1 * MS)
        assert asked(source) == [lost.seq]


class TestPadding:
    """Senders without RTX pad in the numbers of their media (libwebrtc, between pictures) and never resend that."""

    def test_padding_that_is_lost_takes_no_keyframe_and_leaves_no_gap(
        self, net: Net, track: TrackHandle, source: Vp8Source
    ) -> None:
        viewer = net.peer()
        viewer.subscribe(track)
        source.frame(key=True)
        source.skip_padding(5)
        source.frame(packets=2)
        source.frame()
        source.peer.take_rtcp()
        net.advance(2 * SECOND)
        assert source.peer.take_rtcp(rtcp.Nack, rtcp.Pli) == []
        seqs = [packet.seq for packet in viewer.rtp]
        assert [(after - before) & 0xFFFF for before, after in pairwise(seqs)] == [1] * 3

    def test_padding_is_known_once_the_end_of_the_picture_before_it_is_there(self, net: Net, source: Vp8Source) -> None:
        made = source.make_frame(packets=2)
        source.peer.send(made[0])
        source.skip_padding(3)
        source.frame()
        source.frame()
        assert asked(source) == [made[1].seq] + [made[1].seq + one & 0xFFFF for one in (1, 2, 3)]
        source.peer.send(made[1])
        net.advance(2 * SECOND)
        assert source.peer.take_rtcp(rtcp.Nack, rtcp.Pli) == []

    def test_a_picture_that_is_missing_is_no_padding(self, net: Net, source: Vp8Source) -> None:
        source.skip_padding(1)
        lost = lose(source)
        source.skip_padding(1)
        source.frame()
        source.frame()
        assert lost.seq in asked(source)

    def test_padding_that_comes_after_all_is_dropped(self, net: Net, track: TrackHandle, source: Vp8Source) -> None:
        """Its number has been filled, and must never go out with anything else."""
        viewer = net.peer()
        viewer.subscribe(track)
        source.frame(key=True)
        late = source.make(b"", padding=20)
        source.send(b"", padding=20)
        source.frame()
        before = len(viewer.rtp)
        source.peer.send(late)
        assert len(viewer.rtp) == before
        assert net.drops["duplicate"] == 1

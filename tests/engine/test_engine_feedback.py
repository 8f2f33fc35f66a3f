"""NACK and RTX in both directions, transport-cc feedback, reports, REMB."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest

from sfu.engine.api import Extension, OutboundPayload, RembReceived
from sfu.engine.reference import rtcp
from sfu.engine.reference.congestion.estimate import START_NS
from sfu.engine.reference.rtp import RtpPacket
from sfu.ids import TrackHandle
from tests.engine.harness import (
    AUDIO_TYPE,
    MS,
    OUT_RTX_TYPE,
    OUT_VIDEO_TYPE,
    RTX_TYPE,
    SECOND,
    VIDEO_TYPE,
    Net,
    Peer,
    Source,
    Vp8Source,
)


def nacked(packets: Iterable[rtcp.RtcpPacket]) -> list[int]:
    return [seq for packet in packets if isinstance(packet, rtcp.Nack) for seq in packet.seqs]


class TestNackToPublisher:
    @pytest.fixture
    def track(self, net: Net) -> TrackHandle:
        return net.peer().publish_video()

    @pytest.fixture
    def source(self, net: Net, track: TrackHandle) -> Vp8Source:
        publisher = next(iter(net.peers.values()))
        source = Vp8Source(publisher, 1000, seq=65_530)
        source.frame(key=True)
        return source

    def test_asked_on_the_second_packet_after_a_gap(self, net: Net, source: Vp8Source) -> None:
        source.skip(3)
        source.frame()
        assert nacked(source.peer.rtcp) == []
        source.frame()
        nacks = source.peer.take_rtcp(rtcp.Nack)
        assert nacked(nacks) == [65_531, 65_532, 65_533]
        assert [nack.media_ssrc for nack in nacks if isinstance(nack, rtcp.Nack)] == [1000]

    def test_asked_after_10_ms_without_another_packet(self, net: Net, source: Vp8Source) -> None:
        source.skip(1)
        source.frame()
        net.advance(9 * MS, 1 * MS)
        assert nacked(source.peer.rtcp) == []
        net.advance(1 * MS)
        assert nacked(source.peer.rtcp) == [65_531]

    def test_reordered_packets_are_not_asked_for(self, net: Net, source: Vp8Source) -> None:
        late, early = source.make_frame()[0], source.make_frame()[0]
        source.peer.send(early)
        source.peer.send(late)
        source.frame()
        net.advance(SECOND)
        assert nacked(source.peer.rtcp) == []

    def test_repeated_ten_times_then_given_up(self, net: Net, source: Vp8Source) -> None:
        source.skip(1)
        source.frame()
        source.frame()
        times = []
        for _ in range(1_500):
            if nacked(source.peer.take_rtcp(rtcp.Nack)):
                times.append(net.now_ns)
            net.advance(1 * MS)
        assert len(times) == 10
        assert {after - before for before, after in pairwise(times)} == {100 * MS}
        assert net.engine.stats().tracks[0].layers[0].nacks_sent == 10

    def test_short_round_trips_repeat_every_20_ms(self, net: Net, source: Vp8Source) -> None:
        missing = source.make_frame()[0]
        source.frame()
        source.frame()
        net.advance(5 * MS)
        source.peer.send(missing)
        source.peer.take_rtcp()
        source.skip(1)
        source.frame()
        source.frame()
        times = []
        for _ in range(1_500):
            if nacked(source.peer.take_rtcp(rtcp.Nack)):
                times.append(net.now_ns)
            net.advance(1 * MS)
        assert {after - before for before, after in pairwise(times)} == {20 * MS}
        assert len(times) == 10

    def test_repeats_wait_for_the_round_trip_once_it_is_known(self, net: Net, source: Vp8Source) -> None:
        missing = source.make_frame()[0]
        source.frame()
        source.frame()
        net.advance(250 * MS)
        source.peer.send(missing)
        source.peer.take_rtcp()
        source.skip(1)
        source.frame()
        source.frame()
        times = []
        for _ in range(1_500):
            if nacked(source.peer.take_rtcp(rtcp.Nack)):
                times.append(net.now_ns)
            net.advance(1 * MS)
        # The round trip, an eighth of it and 5 ms.
        assert {after - before for before, after in pairwise(times)} == {287 * MS}
        assert len(times) == 4

    def test_given_up_after_a_second_at_long_round_trips(self, net: Net, source: Vp8Source) -> None:
        missing = source.make_frame()[0]
        source.frame()
        source.frame()
        net.advance(400 * MS)
        source.peer.send(missing)
        source.peer.take_rtcp()
        source.skip(1)
        source.frame()
        source.frame()
        net.advance(3 * SECOND)
        assert len(nacked(source.peer.take_rtcp(rtcp.Nack))) == 3  # at 0, 460 and 920 ms

    @pytest.mark.parametrize(("rtt_ms", "useless_ms"), [(None, 400), (40, 400), (150, 700)])
    def test_what_is_missing_for_too_long_takes_a_keyframe(
        self, net: Net, track: TrackHandle, source: Vp8Source, rtt_ms: int | None, useless_ms: int
    ) -> None:
        """One request, and none of what is missing before the keyframe any more."""
        net.peer().subscribe(track)
        source.frame(key=True)
        if rtt_ms is not None:
            missing = source.make_frame()[0]
            source.frame()
            source.frame()
            net.advance(rtt_ms * MS)
            source.peer.send(missing)
        net.advance(SECOND)
        source.skip(1)
        source.frame()
        source.frame()
        source.peer.take_rtcp()
        net.advance((useless_ms - 10) * MS)
        assert source.peer.take_rtcp(rtcp.Pli) == []
        net.advance(20 * MS)
        assert len(source.peer.take_rtcp(rtcp.Pli)) == 1
        source.frame(key=True)
        source.peer.take_rtcp()
        net.advance(2 * SECOND)
        assert source.peer.take_rtcp(rtcp.Pli, rtcp.Nack) == []

    def test_what_nobody_receives_takes_no_keyframe(self, net: Net, source: Vp8Source) -> None:
        source.frame(key=True)
        source.skip(1)
        source.frame()
        source.frame()
        net.advance(2 * SECOND)
        assert source.peer.take_rtcp(rtcp.Pli) == []

    def test_at_most_256_are_missing(self, net: Net, source: Vp8Source) -> None:
        source.skip(500)
        source.frame()
        source.frame()
        asked = nacked(source.peer.take_rtcp(rtcp.Nack))
        newest = (source.seq - 3) & 0xFFFF
        assert len(asked) == 256
        assert asked[-1] == newest

    def test_arrival_ends_the_asking(self, net: Net, source: Vp8Source) -> None:
        missing = source.make_frame()[0]
        source.frame()
        source.frame()
        rtx = RtpPacket(
            RTX_TYPE, True, 1, missing.timestamp, 1001, payload=missing.seq.to_bytes(2, "big") + missing.payload
        )
        source.peer.send(rtx)
        source.peer.take_rtcp()
        net.advance(SECOND)
        assert nacked(source.peer.rtcp) == []

    def test_audio_and_tracks_without_nack_are_not_asked(self, net: Net) -> None:
        publisher = net.peer()
        publisher.publish_audio(nack=True)
        publisher.publish_video(nack=False)
        for source in (Source(publisher, 2000, AUDIO_TYPE), Source(publisher, 1000, VIDEO_TYPE)):
            for _ in range(4):
                source.send(b"\x10" + b"x" * 20)
                source.skip(1)
        net.advance(SECOND)
        assert nacked(publisher.rtcp) == []

    def test_muted_track_is_not_asked(self, net: Net, source: Vp8Source) -> None:
        net.engine.set_track_muted(net.engine.stats().tracks[0].track, True)
        source.skip(5)
        source.frame()
        source.frame()
        net.advance(SECOND)
        assert nacked(source.peer.rtcp) == []


class TestResend:
    """NACKs of a subscriber."""

    def call(self, net: Net, **overrides: object) -> tuple[Vp8Source, Peer]:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_video(), **overrides)
        source = Vp8Source(publisher, 1000, seq=65_533)
        source.frame(key=True)
        return source, subscriber

    def ask(self, subscriber: Peer, *seqs: int) -> None:
        subscriber.send_rtcp(rtcp.build_nack(1, 5000, seqs))

    def test_rtx_has_its_own_ssrc_numbers_and_the_original_number(self, net: Net) -> None:
        source, subscriber = self.call(net)
        for _ in range(5):
            source.frame(packets=2)
        media = subscriber.take_rtp()
        self.ask(subscriber, media[2].seq, media[3].seq, media[7].seq)
        resent = subscriber.take_rtp()
        assert [packet.ssrc for packet in resent] == [5001] * 3
        assert [packet.payload_type for packet in resent] == [OUT_RTX_TYPE] * 3
        for packet, original in zip(resent, (media[2], media[3], media[7]), strict=True):
            assert packet.payload == original.seq.to_bytes(2, "big") + original.payload
            assert packet.timestamp == original.timestamp
            assert packet.marker == original.marker
            assert packet.extensions[9] == b"7"
        assert [(after.seq - before.seq) & 0xFFFF for before, after in pairwise(resent)] == [1, 1]
        numbers = [int.from_bytes(packet.extensions[5], "big") for packet in [*media, *resent]]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        stats = net.engine.stats().subscriptions[0]
        assert (stats.nacks_received, stats.nack_misses, stats.retransmitted_packets_sent) == (1, 0, 3)

    @pytest.mark.parametrize(
        "overrides", [{"rtx_ssrc": None}, {"payloads": {VIDEO_TYPE: OutboundPayload(OUT_VIDEO_TYPE)}}]
    )
    def test_without_rtx_the_same_datagram_goes_again(self, net: Net, overrides: dict[str, object]) -> None:
        source, subscriber = self.call(net, **overrides)
        source.frame()
        net.advance(50 * MS)
        wanted = subscriber.take_rtp()[1]
        original = subscriber.datagrams[1]
        self.ask(subscriber, wanted.seq)
        assert subscriber.datagrams[-1] == original
        assert subscriber.repeats == 1

    def test_rewritten_payloads_are_resent_as_they_were(self, net: Net) -> None:
        source, subscriber = self.call(net)
        subscription = net.engine.stats().subscriptions[0].subscription
        net.engine.set_target_layer(subscription, 0, 0)
        for n in range(8):
            source.frame(temporal=n % 2)
        media = subscriber.take_rtp()
        self.ask(subscriber, *[packet.seq for packet in media[1:]])
        assert [packet.payload[2:] for packet in subscriber.take_rtp()] == [packet.payload for packet in media[1:]]

    def test_once_per_20_ms_and_ten_times(self, net: Net) -> None:
        source, subscriber = self.call(net)
        source.frame()
        wanted = subscriber.take_rtp()[1].seq
        times = []
        for _ in range(400):
            self.ask(subscriber, wanted)
            if subscriber.take_rtp():
                times.append(net.now_ns)
            net.advance(1 * MS)
        assert len(times) == 10
        assert {after - before for before, after in pairwise(times)} == {20 * MS}
        assert net.drops["nack_limited"] == 390

    def test_once_per_round_trip(self, net: Net) -> None:
        source, subscriber = self.call(net)
        source.peer.send_rtcp(rtcp.build_sr(rtcp.SenderReport(1000, 1 << 62, source.timestamp, 1, 1)))
        while not (reports := subscriber.take_rtcp(rtcp.SenderReport)):
            net.advance(10 * MS)
        report = reports[0]
        assert isinstance(report, rtcp.SenderReport)
        net.advance(150 * MS)
        block = rtcp.ReportBlock(5000, 64, 0, 0, 0, rtcp.ntp_short(report.ntp), rtcp.ns_to_short(50 * MS))
        subscriber.send_rtcp(rtcp.build_rr(1, [block]))
        stats = net.engine.stats().subscriptions[0]
        assert stats.rtt_ms == pytest.approx(100, abs=0.1)
        assert stats.fraction_lost == 0.25
        source.frame()
        wanted = subscriber.take_rtp()[-1].seq
        times = []
        for _ in range(400):
            self.ask(subscriber, wanted)
            if subscriber.take_rtp():
                times.append(net.now_ns)
            net.advance(1 * MS)
        assert all(100 * MS <= after - before <= 101 * MS for before, after in pairwise(times))
        assert len(times) == 4

    def test_cache_is_bounded(self, net: Net) -> None:
        source, subscriber = self.call(net, cache_packets=16)
        for _ in range(40):
            source.frame()
        media = subscriber.take_rtp()
        self.ask(subscriber, *[packet.seq for packet in media[-17:]])
        assert len(subscriber.take_rtp()) == 16
        assert net.engine.stats().subscriptions[0].nack_misses == 1

    def test_numbers_never_sent_are_misses(self, net: Net) -> None:
        _source, subscriber = self.call(net)
        self.ask(subscriber, (subscriber.take_rtp()[0].seq + 9) & 0xFFFF)
        assert subscriber.take_rtp() == []
        assert net.engine.stats().subscriptions[0].nack_misses == 1

    def test_numbers_beyond_10_000_a_second_are_not_looked_up(self, net: Net) -> None:
        _source, subscriber = self.call(net)
        seqs = [(subscriber.rtp[0].seq + n) & 0xFFFF for n in range(1, 1_001)]
        for _ in range(15):
            self.ask(subscriber, *seqs)
        assert net.engine.stats().subscriptions[0].nack_misses == 10_000
        assert net.drops == {"nack_limited": 5_000}
        net.advance(SECOND)
        self.ask(subscriber, subscriber.rtp[0].seq)
        assert len(subscriber.rtp) == 2

    def test_without_nack_nothing_is_kept(self, net: Net) -> None:
        _source, subscriber = self.call(net, nack=False)
        self.ask(subscriber, subscriber.take_rtp()[0].seq)
        assert subscriber.take_rtp() == []

    def test_storm_stays_within_a_fifth_of_the_bitrate(self, net: Net) -> None:
        """RC2 of the threat list: NACKs for the whole cache, 100 times a second."""
        source, subscriber = self.call(net)
        padding = bytes(1_000)
        sent = resent = 0
        net.advance(START_NS, 10 * MS)
        for _ in range(500):
            for _ in range(3):
                packet = source.make_frame()[0]
                packet.payload += padding
                source.peer.send(packet)
            sent += sum(len(packet.payload) for packet in subscriber.rtp)
            recent = [packet.seq for packet in subscriber.take_rtp()]
            seqs = [(recent[-1] - back) & 0xFFFF for back in range(500, -1, -1)]
            self.ask(subscriber, *seqs)
            resent += sum(len(packet.payload) for packet in subscriber.take_rtp())
            net.advance(10 * MS)
        assert resent <= sent / 5 + 100_000 / 8 + sent / 5 / 5
        assert resent >= sent / 10
        assert net.drops["nack_limited"] > 10_000


class TestTransportFeedback:
    """draft-holmer-rmcat-transport-wide-cc-extensions-01."""

    def call(self, net: Net) -> Source:
        publisher = net.peer()
        publisher.publish_audio()
        return Source(publisher, 2000, AUDIO_TYPE)

    def send(self, source: Source, number: int) -> None:
        source.extensions = {3: (number & 0xFFFF).to_bytes(2, "big")}
        source.send(b"x" * 20, step=960)

    def reports(self, peer: Peer) -> list[rtcp.TransportFeedback]:
        return [one for one in peer.take_rtcp(rtcp.TransportFeedback) if isinstance(one, rtcp.TransportFeedback)]

    @pytest.mark.parametrize("start", [0, 100, 65_500, 65_535])
    def test_every_packet_is_reported_once_with_its_arrival(self, net: Net, start: int) -> None:
        source = self.call(net)
        arrivals = {}
        for n in range(100):
            arrivals[(start + n) & 0xFFFF] = net.now_ns
            self.send(source, start + n)
            net.advance((n % 7) * MS, 1 * MS)
        net.advance(200 * MS)
        reports = self.reports(source.peer)
        received = dict(pair for report in reports for pair in report.received)
        assert set(received) == set(arrivals)
        assert sum(report.status_count for report in reports) == 100
        first = start & 0xFFFF
        for number, arrival_ns in arrivals.items():
            measured = received[number] - received[first]
            assert abs(measured - (arrival_ns - arrivals[first])) <= 250_000
        counts = [report.feedback_count for report in reports]
        assert counts == [n & 0xFF for n in range(len(counts))]
        assert {report.media_ssrc for report in reports} == {2000}

    def test_every_50_to_100_ms(self, net: Net) -> None:
        source = self.call(net)
        times = []
        for n in range(200):
            self.send(source, n)
            net.advance(10 * MS)
            if self.reports(source.peer):
                times.append(net.now_ns)
        assert len(times) > 15
        assert all(50 * MS <= after - before <= 100 * MS for before, after in pairwise(times))

    def test_losses_are_reported_and_late_packets_again(self, net: Net) -> None:
        source = self.call(net)
        for number in (0, 1, 4, 5):
            self.send(source, number)
        net.advance(100 * MS)
        (report,) = self.reports(source.peer)
        assert (report.base_seq, report.status_count) == (0, 6)
        assert [number for number, _ in report.received] == [0, 1, 4, 5]
        # 6 and 7 are lost: seen only because the next report begins where the last one ended.
        for number in (8, 2):
            self.send(source, number)
        net.advance(100 * MS)
        reports = self.reports(source.peer)
        assert [number for report in reports for number, _ in report.received] == [2, 8]
        assert (reports[-1].base_seq, reports[-1].status_count) == (6, 3)

    def test_rtx_padding_counts(self, net: Net) -> None:
        publisher = net.peer()
        publisher.publish_video()
        for n in range(3):
            publisher.send(
                RtpPacket(RTX_TYPE, False, n, 0, 1001, extensions={3: n.to_bytes(2, "big")}, padding_bytes=200)
            )
        net.advance(100 * MS)
        (report,) = self.reports(publisher)
        assert [number for number, _ in report.received] == [0, 1, 2]

    def test_none_without_the_extension(self, net: Net) -> None:
        source = self.call(net)
        source.send(b"x" * 20)
        net.advance(SECOND)
        assert self.reports(source.peer) == []

    def test_forged_packets_are_not_reported(self, net: Net) -> None:
        source = self.call(net)
        source.extensions = {3: b"\0\1"}
        data = bytearray(source.peer.protect(source.make(b"x" * 20)))
        data[-1] ^= 1
        source.peer.send_raw(bytes(data))
        net.advance(SECOND)
        assert self.reports(source.peer) == []


class TestReceiverReports:
    def blocks(self, peer: Peer) -> list[rtcp.ReportBlock]:
        reports = peer.take_rtcp(rtcp.ReceiverReport)
        return [block for report in reports if isinstance(report, rtcp.ReceiverReport) for block in report.reports]

    def test_loss_and_highest_number(self, net: Net) -> None:
        publisher = net.peer()
        publisher.publish_audio()
        source = Source(publisher, 2000, AUDIO_TYPE, seq=65_500)
        net.advance(2 * SECOND)
        for n in range(100):
            if n % 4 == 3:
                source.skip(1)
            else:
                source.send(b"x" * 20, step=960)
        net.advance(SECOND)
        (block,) = self.blocks(publisher)
        assert block.ssrc == 2000
        assert block.packets_lost == 24
        assert block.fraction_lost == 24 * 256 // 99
        assert block.highest_seq == 65_500 + 98
        net.advance(SECOND)
        (block,) = self.blocks(publisher)
        assert (block.fraction_lost, block.packets_lost) == (0, 24)
        assert net.engine.stats().tracks[0].layers[0].packets_lost == 24

    def test_jitter_follows_rfc_3550(self, net: Net) -> None:
        publisher = net.peer()
        publisher.publish_audio()
        source = Source(publisher, 2000, AUDIO_TYPE)
        jitter = 0.0
        for n in range(200):
            net.advance((25 if n % 2 else 15) * MS, 5 * MS)
            source.send(b"x" * 20, step=960)
            if n:
                jitter += (5 * 48 - jitter) / 16
        (layer,) = net.engine.stats().tracks[0].layers
        assert layer.jitter_ms == pytest.approx(jitter / 48, abs=0.1)

    def test_last_sender_report_and_delay(self, net: Net) -> None:
        publisher = net.peer()
        publisher.publish_audio()
        source = Source(publisher, 2000, AUDIO_TYPE)
        source.send(b"x" * 20)
        net.advance(2 * SECOND)
        self.blocks(publisher)
        ntp = 0x1234_5678_9ABC_DEF0
        publisher.send_rtcp(rtcp.build_sr(rtcp.SenderReport(2000, ntp, 1, 1, 1)))
        sent_at = net.now_ns
        while not (blocks := self.blocks(publisher)):
            net.advance(10 * MS)
        assert blocks[0].lsr == 0x5678_9ABC
        assert blocks[0].dlsr == pytest.approx((net.now_ns - sent_at) * 65536 / SECOND, abs=1)

    def test_every_second(self, net: Net) -> None:
        publisher = net.peer()
        publisher.publish_audio()
        Source(publisher, 2000, AUDIO_TYPE).send(b"x" * 20)
        net.advance(10 * SECOND)
        assert 9 <= len(self.blocks(publisher)) <= 10


class TestSenderReports:
    def reports(self, peer: Peer) -> list[rtcp.SenderReport]:
        return [one for one in peer.take_rtcp(rtcp.SenderReport) if isinstance(one, rtcp.SenderReport)]

    def test_translated_into_the_subscribers_space(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_audio(), cname="PA_publisher")
        source = Source(publisher, 2000, AUDIO_TYPE)
        source.send(b"x" * 20)
        net.advance(2 * SECOND)
        assert self.reports(subscriber) == []
        ntp = 3_900_000_000 << 32
        publisher.send_rtcp(rtcp.build_sr(rtcp.SenderReport(2000, ntp, source.timestamp + 480, 1, 1)))
        offset = subscriber.rtp[0].timestamp - source.sent[0].timestamp
        sent_at = net.now_ns
        for _ in range(3):
            while not (reports := self.reports(subscriber)):
                net.advance(10 * MS)
            (report,) = reports
            passed_ns = net.now_ns - sent_at
            assert report.ssrc == 5000
            assert rtcp.ntp_diff_ns(report.ntp, ntp) == pytest.approx(passed_ns, abs=2)
            expected = source.timestamp + 480 + offset + passed_ns * 48 // MS
            assert abs((report.rtp_timestamp - expected + 5) & 0xFFFFFFFF) <= 10
            assert (report.packet_count, report.octet_count) == (1, 20)
        names = [chunk for one in subscriber.take_rtcp(rtcp.Sdes) if isinstance(one, rtcp.Sdes) for chunk in one.chunks]
        assert {(chunk.ssrc, chunk.cname) for chunk in names} == {(5000, "PA_publisher")}

    def test_many_subscriptions_share_datagrams(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        sources = []
        for n in range(60):
            track = publisher.publish_audio(ssrc=3000 + n)
            subscriber.subscribe(track, ssrc=10_000 + 2 * n, mid=str(n))
            sources.append(Source(publisher, 3000 + n, AUDIO_TYPE))
        for source in sources:
            source.send(b"x" * 20)
            publisher.send_rtcp(rtcp.build_sr(rtcp.SenderReport(source.ssrc, 1 << 60, 1, 1, 1)))
        subscriber.datagrams.clear()
        net.advance(SECOND + 20 * MS)
        reports = self.reports(subscriber)
        assert sorted({report.ssrc for report in reports}) == [10_000 + 2 * n for n in range(60)]
        assert len(subscriber.take_rtcp(rtcp.Sdes)) < 10
        assert len(subscriber.datagrams) < 10
        assert max(len(data) for data in subscriber.datagrams) <= 1_200


class TestRemb:
    def build(self, mantissa: int, exponent: int, *ssrcs: int, count: int | None = None) -> bytes:
        numbers = b"".join(ssrc.to_bytes(4, "big") for ssrc in ssrcs)
        head = bytes((len(ssrcs) if count is None else count,)) + (exponent << 18 | mantissa).to_bytes(3, "big")
        body = bytes(8) + b"REMB" + head + numbers
        return bytes((0x8F, 206)) + (len(body) // 4).to_bytes(2, "big") + body

    def test_becomes_an_event_and_a_figure(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_video())
        subscriber.send_rtcp(self.build(150_000, 3, 5000))
        assert net.take_events(RembReceived) == [RembReceived(subscriber.transport, 1_200_000)]
        assert net.engine.stats().transports[1].remb_bps == 1_200_000

    @pytest.mark.parametrize(
        ("exponent", "ssrcs", "count"), [(63, (5000,), None), (0, (5000,), 200), (0, (9999,), None)]
    )
    def test_lies_are_ignored(self, net: Net, exponent: int, ssrcs: tuple[int, ...], count: int | None) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_video())
        subscriber.send_rtcp(self.build(0x3FFFF, exponent, *ssrcs, count=count))
        assert net.take_events(RembReceived) == []


def test_abs_send_time_of_a_resend_is_its_own(net: Net) -> None:
    publisher, subscriber = net.peer(), net.peer()
    subscriber.subscribe(publisher.publish_video(), extensions={Extension.ABS_SEND_TIME: 3})
    Vp8Source(publisher, 1000).frame(key=True)
    net.advance(500 * MS)
    subscriber.send_rtcp(rtcp.build_nack(1, 5000, [subscriber.rtp[0].seq]))
    first, second = (int.from_bytes(packet.extensions[3], "big") for packet in subscriber.rtp)
    assert ((second - first) & 0xFFFFFF) / (1 << 18) == pytest.approx(0.5, abs=0.001)

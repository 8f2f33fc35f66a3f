"""Simulcast, temporal and spatial layers, timestamps and picture ids over switches, keyframe requests."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from itertools import pairwise

import pytest

from sfu.engine.api import Codec, Extension, InboundLayer, LayerChanged, OutboundPayload
from sfu.engine.reference import rtcp
from sfu.engine.reference.rtp import RtpPacket
from sfu.ids import SubscriptionHandle, TrackHandle
from tests.engine import dd_writer
from tests.engine.harness import (
    EXTENSIONS,
    MS,
    OUT_VIDEO_TYPE,
    SECOND,
    VIDEO_TYPE,
    Net,
    Peer,
    Source,
    Vp8Source,
    assert_contiguous,
    parse_vp8,
)

SIMULCAST = (InboundLayer(ssrc=100), InboundLayer(ssrc=200), InboundLayer(ssrc=300))
NTP_START = 3_900_000_000 << 32


@dataclass
class Call:
    """A simulcast publisher and one subscriber. Layers have timestamps and picture ids of their own."""

    net: Net
    publisher: Peer
    subscriber: Peer
    track: TrackHandle
    subscription: SubscriptionHandle
    layers: list[Vp8Source]

    def frames(self, count: int = 1, *, key: int | None = None, layers: tuple[int, ...] = (0, 1, 2)) -> None:
        """`count` pictures at 30 fps on these layers; the first is a keyframe on layer `key`, which is sent first."""
        for n in range(count):
            for layer in sorted(layers, key=lambda layer: layer != key):
                self.layers[layer].frame(key=n == 0 and layer == key)
            self.net.advance(33 * MS, 11 * MS)

    def target(self, spatial: int, temporal: int = 255) -> None:
        self.net.engine.set_target_layer(self.subscription, spatial, temporal)

    def changes(self) -> list[tuple[int | None, int | None]]:
        events = self.net.take_events(LayerChanged)
        return [(event.spatial, event.temporal) for event in events if isinstance(event, LayerChanged)]

    def plis(self) -> list[int]:
        """Media SSRCs of the PLIs that the publisher got."""
        return [pli.media_ssrc for pli in self.publisher.take_rtcp(rtcp.Pli) if isinstance(pli, rtcp.Pli)]


@pytest.fixture
def call(net: Net) -> Call:
    publisher, subscriber = net.peer(), net.peer()
    track = publisher.publish_video(layers=SIMULCAST)
    subscription = subscriber.subscribe(track)
    layers = [
        Vp8Source(
            publisher, layer.ssrc or 0, seq=1_000 * n, timestamp=4_000_000_000 * n % (1 << 32), picture_id=3_000 * n,
            tl0picidx=60 * n,
        )
        for n, layer in enumerate(SIMULCAST, start=1)
    ]  # fmt: skip
    return Call(net, publisher, subscriber, track, subscription, layers)


class TestSimulcast:
    def test_layers_need_a_keyframe_to_switch(self, call: Call) -> None:
        call.target(0)
        call.frames(1, key=0)
        call.frames(3)
        assert call.changes() == [(0, 0)]
        call.target(2)
        call.frames(3)
        assert call.changes() == []
        call.frames(1, key=2)
        assert call.changes() == [(2, 0)]
        call.target(1)
        call.frames(2)
        assert call.changes() == []
        call.frames(1, key=1)
        assert call.changes() == [(1, 0)]
        call.frames(5)
        assert len(call.subscriber.rtp) == 1 + 3 + 3 + 1 + 2 + 1 + 5
        assert_contiguous(call.subscriber.rtp)
        assert {packet.ssrc for packet in call.subscriber.rtp} == {5000}

    def test_picture_ids_and_tl0picidx_are_contiguous_over_switches(self, call: Call) -> None:
        for target in (0, 2, 1, 0, 2):
            call.target(target)
            call.frames(1, key=target)
            call.frames(4)
        numbers = [parse_vp8(packet.payload) for packet in call.subscriber.rtp]
        assert len(numbers) == 25
        for before, after in itertools.pairwise(numbers):
            assert after.picture_id == (before.picture_id + 1) % (1 << 15)
            assert after.tl0picidx == (before.tl0picidx + 1) % 256

    @pytest.mark.parametrize("bits", [7, 15])
    def test_picture_ids_wrap(self, call: Call, bits: int) -> None:
        for layer in call.layers:
            layer.picture_bits = bits
            layer.picture_id = (1 << bits) - 3 - layer.ssrc // 100
            layer.tl0picidx = 254
        for target in (0, 1, 0):
            call.target(target)
            call.frames(1, key=target)
            call.frames(6)
        numbers = [parse_vp8(packet.payload) for packet in call.subscriber.rtp]
        assert len(numbers) == 21
        for before, after in itertools.pairwise(numbers):
            assert after.picture_id == (before.picture_id + 1) % (1 << bits)
            assert after.tl0picidx == (before.tl0picidx + 1) % 256

    def test_timestamps_go_on_by_the_time_passed(self, call: Call) -> None:
        call.target(0)
        call.frames(1, key=0)
        call.frames(4)
        call.target(2)
        call.frames(1, key=2)
        call.frames(4)
        stamps = [packet.timestamp for packet in call.subscriber.rtp]
        steps = [(after - before) & 0xFFFFFFFF for before, after in itertools.pairwise(stamps)]
        assert steps[:4] == [3000] * 4
        assert steps[5:] == [3000] * 4
        assert steps[4] == 33 * 90

    def test_timestamps_are_mapped_by_sender_reports(self, call: Call) -> None:
        """Layer 2 is captured 7 ms after layer 0; its packets arrive together with those of layer 0."""
        call.target(0)
        call.frames(1, key=0)
        for layer, late_ticks in ((0, 0), (2, 630)):
            source = call.layers[layer]
            report = rtcp.SenderReport(source.ssrc, NTP_START, (source.timestamp - late_ticks) & 0xFFFFFFFF, 1, 1)
            call.publisher.send_rtcp(rtcp.build_sr(report))
        call.frames(3)
        before = call.subscriber.rtp[-1].timestamp
        call.target(2)
        call.frames(1, key=2)
        assert (call.subscriber.rtp[-1].timestamp - before) & 0xFFFFFFFF == 3000 + 630
        before = call.subscriber.rtp[-1].timestamp
        call.target(0)
        call.frames(1, key=0)
        assert (call.subscriber.rtp[-1].timestamp - before) & 0xFFFFFFFF == 3000 - 630

    def test_sender_reports_that_lie_do_not_move_the_timestamps_far(self, call: Call) -> None:
        call.target(0)
        call.frames(1, key=0)
        for layer, ntp in ((0, NTP_START), (2, NTP_START + (5_000 << 32))):
            source = call.layers[layer]
            call.publisher.send_rtcp(rtcp.build_sr(rtcp.SenderReport(source.ssrc, ntp, source.timestamp, 1, 1)))
        before = call.subscriber.rtp[-1].timestamp
        call.target(2)
        call.frames(1, key=2)
        assert 0 < (call.subscriber.rtp[-1].timestamp - before) & 0xFFFFFFFF < 2 * 90_000

    def test_silent_layer_is_left_for_an_active_one(self, call: Call) -> None:
        call.frames(1, key=2)
        call.frames(2)
        assert call.changes() == [(2, 0)]
        call.plis()
        # Layer 2 stops. Within 2 s nothing changes, then the next best is asked for a keyframe.
        call.frames(57, layers=(0, 1))
        assert 200 not in call.plis()
        call.frames(5, layers=(0, 1))
        assert 200 in call.plis()
        call.frames(1, key=1, layers=(0, 1))
        assert call.changes() == [(1, 0)]
        # And back, once it is there again.
        call.frames(1, layers=(0, 1, 2))
        call.net.advance(500 * MS)
        assert 300 in call.plis()
        call.frames(1, key=2)
        assert call.changes() == [(2, 0)]
        assert_contiguous(call.subscriber.rtp)

    def test_lowest_layer_serves_when_all_active_ones_are_above_the_target(self, call: Call) -> None:
        call.target(0)
        call.frames(1, key=1, layers=(1, 2))
        assert call.changes() == [(1, 0)]

    def test_a_late_packet_of_the_old_layer_does_not_come_out(self, call: Call) -> None:
        call.target(0)
        call.frames(1, key=0)
        late = call.layers[0].make_frame()[0]
        call.frames(2)
        call.target(2)
        call.frames(1, key=2)
        before = len(call.subscriber.rtp)
        call.publisher.send(late)
        assert len(call.subscriber.rtp) == before

    def test_pause_keeps_numbers_contiguous_over_another_layer(self, call: Call) -> None:
        call.target(2)
        call.frames(1, key=2)
        call.net.engine.set_subscription_paused(call.subscription, True)
        assert call.net.engine.stats().subscriptions[0].spatial is None
        call.frames(10)
        call.target(1)
        call.net.engine.set_subscription_paused(call.subscription, False)
        call.frames(1, key=1)
        call.frames(2)
        assert call.changes() == [(2, 0), (None, None), (1, 0)]
        assert_contiguous(call.subscriber.rtp)
        assert len(call.subscriber.rtp) == 4


class TestKeyframeRequests:
    def test_repeated_every_500_ms_until_the_keyframe(self, call: Call) -> None:
        call.frames(1)
        assert 300 in call.plis()
        asked_at_ms = []
        started_ns = call.net.now_ns
        for _ in range(180):
            call.net.advance(10 * MS)
            asked_at_ms += [(call.net.now_ns - started_ns) // MS for ssrc in call.plis() if ssrc == 300]
        assert len(asked_at_ms) == 3
        assert all(500 <= after - before <= 510 for before, after in pairwise(asked_at_ms))
        call.frames(1, key=2)
        call.frames(40)
        assert call.plis() == []

    def test_plis_and_firs_of_subscribers_are_throttled(self, call: Call) -> None:
        call.frames(1, key=2)
        call.net.advance(SECOND)
        call.plis()
        others = [call.net.peer() for _ in range(5)]
        for index, other in enumerate(others):
            other.subscribe(call.track, ssrc=6000 + index * 2)
        for _ in range(90):
            call.subscriber.send_rtcp(rtcp.build_pli(1, 5000))
            for index, other in enumerate(others):
                other.send_rtcp(build_fir(1, 6000 + index * 2))
            call.net.advance(10 * MS)
        assert call.plis() == [300, 300]
        stats = call.net.engine.stats()
        assert stats.tracks[0].layers[2].plis_sent >= 2
        assert stats.subscriptions[0].plis_received == 90

    def test_keyframe_answers_what_a_subscriber_asked_for(self, call: Call) -> None:
        call.frames(1, key=2)
        call.net.advance(SECOND)
        call.plis()
        call.subscriber.send_rtcp(rtcp.build_pli(1, 5000))
        assert call.plis() == [300]
        call.frames(1, key=2)
        call.frames(40)
        assert call.plis() == []

    def test_layer_that_has_stopped_is_not_asked(self, call: Call) -> None:
        call.frames(1, key=2)
        call.frames(70, layers=(0, 1))
        call.plis()
        call.net.engine.request_keyframe(call.track, 2)
        call.frames(40, layers=(0, 1))
        assert 300 not in call.plis()

    def test_request_keyframe_by_command(self, call: Call) -> None:
        call.frames(1, key=2)
        call.net.advance(SECOND)
        call.plis()
        call.net.engine.request_keyframe(call.track, 1)
        call.net.advance(10 * MS)
        assert call.plis() == [200]

    def test_audio_and_muted_tracks_are_not_asked(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_audio(), ssrc=6000)
        video = publisher.publish_video()
        subscriber.subscribe(video, ssrc=7000)
        net.engine.set_track_muted(video, True)
        net.advance(SECOND)
        subscriber.send_rtcp(rtcp.build_pli(1, 6000), rtcp.build_pli(1, 7000))
        net.advance(SECOND)
        assert publisher.take_rtcp(rtcp.Pli) == []


def build_fir(sender_ssrc: int, media_ssrc: int) -> bytes:
    body = sender_ssrc.to_bytes(4, "big") + bytes(4) + media_ssrc.to_bytes(4, "big") + bytes(4)
    return bytes((0x84, 206)) + (len(body) // 4).to_bytes(2, "big") + body


class TestTemporalLayers:
    """VP8 with three temporal layers: 0 2 1 2."""

    PATTERN = (0, 2, 1, 2)

    def run(self, source: Vp8Source, count: int, *, sync: bool = False, key: bool = False) -> None:
        for n in range(count):
            temporal = self.PATTERN[n % 4]
            source.frame(key=key and n == 0, temporal=temporal, sync=sync and n % 4 in (1, 2))

    def temporals(self, subscriber: Peer) -> list[int]:
        return [parse_vp8(packet.payload).temporal for packet in subscriber.take_rtp()]

    def test_layers_above_the_target_are_withheld(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscription = subscriber.subscribe(publisher.publish_video())
        source = Vp8Source(publisher, 1000)
        net.engine.set_target_layer(subscription, 0, 1)
        self.run(source, 8, key=True)
        packets = list(subscriber.rtp)
        assert_contiguous(packets)
        pictures = [parse_vp8(packet.payload).picture_id for packet in packets]
        assert pictures == list(range(pictures[0], pictures[0] + 4))
        assert self.temporals(subscriber) == [0, 1, 0, 1]
        net.engine.set_target_layer(subscription, 0, 0)
        self.run(source, 8)
        assert self.temporals(subscriber) == [0, 0]

    def test_the_way_up_begins_at_a_sync_frame(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscription = subscriber.subscribe(publisher.publish_video())
        source = Vp8Source(publisher, 1000)
        net.engine.set_target_layer(subscription, 0, 0)
        self.run(source, 4, key=True)
        assert self.temporals(subscriber) == [0]
        net.engine.set_target_layer(subscription, 0, 2)
        self.run(source, 4)
        assert self.temporals(subscriber) == [0]
        self.run(source, 4, sync=True)
        assert self.temporals(subscriber) == [0, 2, 1, 2]
        self.run(source, 4)
        assert self.temporals(subscriber) == [0, 2, 1, 2]
        changes = [event for event in net.events if isinstance(event, LayerChanged)]
        assert [change.temporal for change in changes] == [0, 2]

    def test_a_straggler_from_before_the_way_up_does_not_come_out_alone(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscription = subscriber.subscribe(publisher.publish_video())
        source = Vp8Source(publisher, 1000)
        net.engine.set_target_layer(subscription, 0, 0)
        source.frame(key=True)
        first, straggler = source.make_frame(temporal=2, packets=2)
        publisher.send(first)
        source.frame()
        net.engine.set_target_layer(subscription, 0, 2)
        source.frame(temporal=2, sync=True)
        publisher.send(straggler)
        source.frame()
        pictures = [packet for packet in subscriber.take_rtp() if packet.payload]
        assert [parse_vp8(packet.payload).temporal for packet in pictures] == [0, 0, 2, 0]

    def test_a_keyframe_lets_everything_through(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscription = subscriber.subscribe(publisher.publish_video())
        source = Vp8Source(publisher, 1000)
        net.engine.set_target_layer(subscription, 0, 0)
        self.run(source, 4, key=True)
        net.engine.set_target_layer(subscription, 0, 255)
        subscriber.take_rtp()
        self.run(source, 4, key=True)
        assert self.temporals(subscriber) == [0, 2, 1, 2]

    def test_a_frame_is_never_cut(self, net: Net) -> None:
        """The target falls in the middle of a frame of the layer that is no longer wanted."""
        publisher, subscriber = net.peer(), net.peer()
        subscription = subscriber.subscribe(publisher.publish_video())
        source = Vp8Source(publisher, 1000)
        source.frame(key=True)
        packets = source.make_frame(temporal=2, packets=4)
        publisher.send(packets[0])
        net.engine.set_target_layer(subscription, 0, 0)
        for packet in packets[1:]:
            publisher.send(packet)
        assert len(subscriber.rtp) == 5
        source.frame(temporal=0)
        source.frame(temporal=2)
        assert len(subscriber.rtp) == 6


def vp9_payload(
    *, spatial: int, temporal: int = 0, first: bool = True, last: bool = True, key: bool = False, up: bool = False,
    picture_id: int = 1, tl0picidx: int = 1,
) -> bytes:  # fmt: skip
    """VP9 non-flexible mode with layer indices (RFC 9628 §4.2)."""
    head = 0x80 | 0x20 | (0 if key else 0x40) | (0x08 if first else 0) | (0x04 if last else 0)
    layers = temporal << 5 | (0x10 if up else 0) | spatial << 1 | (1 if key and spatial else 0)
    return bytes((head, 0x80 | picture_id >> 8, picture_id & 0xFF, layers, tl0picidx)) + bytes(30)


class TestSvc:
    """VP9 with three spatial layers in one stream."""

    @dataclass
    class SvcCall:
        net: Net
        source: Source
        subscriber: Peer
        subscription: SubscriptionHandle
        picture_id: int = 40

        def picture(self, *, key: bool = False, layers: int = 3, temporal: int = 0, up: bool = False) -> None:
            """Each spatial layer in two packets; the marker on the very last."""
            self.picture_id += 1
            for spatial in range(layers):
                for part in range(2):
                    payload = vp9_payload(
                        spatial=spatial, temporal=temporal, first=part == 0, last=part == 1, key=key, up=up,
                        picture_id=self.picture_id, tl0picidx=self.picture_id & 0xFF,
                    )  # fmt: skip
                    step = 3000 if spatial == part == 0 else 0
                    self.source.send(payload, marker=spatial == layers - 1 and part == 1, step=step)

        def take(self) -> list[tuple[int, bool]]:
            """(spatial layer, marker) of what arrived."""
            return [(packet.payload[3] >> 1 & 7, packet.marker) for packet in self.subscriber.take_rtp()]

    @pytest.fixture
    def svc(self, net: Net) -> SvcCall:
        publisher, subscriber = net.peer(), net.peer()
        subscription = subscriber.subscribe(publisher.publish_video(Codec.VP9))
        return self.SvcCall(net, Source(publisher, 1000), subscriber, subscription)

    def test_layers_above_the_target_are_withheld_and_the_marker_moves(self, svc: SvcCall) -> None:
        svc.net.engine.set_target_layer(svc.subscription, 1, 255)
        svc.picture(key=True)
        svc.picture()
        packets = list(svc.subscriber.rtp)
        assert_contiguous(packets)
        assert svc.take() == [(0, False), (0, False), (1, False), (1, True)] * 2
        assert svc.net.engine.stats().subscriptions[0].spatial == 1

    def test_down_at_a_picture_up_at_a_keyframe(self, svc: SvcCall) -> None:
        svc.picture(key=True)
        svc.picture()
        assert len(svc.take()) == 12
        svc.net.engine.set_target_layer(svc.subscription, 0, 255)
        svc.picture()
        assert svc.take() == [(0, False), (0, True)]
        svc.net.engine.set_target_layer(svc.subscription, 2, 255)
        svc.net.advance(SECOND)
        assert svc.source.peer.take_rtcp(rtcp.Pli)
        svc.picture()
        assert svc.take() == [(0, False), (0, True)]
        svc.picture(key=True)
        svc.picture()
        assert svc.take() == [(0, False), (0, False), (1, False), (1, False), (2, False), (2, True)] * 2

    def test_marker_stays_where_the_publisher_sends_fewer_layers(self, svc: SvcCall) -> None:
        svc.picture(key=True)
        svc.net.engine.set_target_layer(svc.subscription, 1, 255)
        svc.picture()
        svc.take()
        svc.picture(layers=1)
        assert svc.take() == [(0, False), (0, True)]

    def test_temporal_layer_up_at_the_u_bit(self, svc: SvcCall) -> None:
        svc.net.engine.set_target_layer(svc.subscription, 2, 0)
        svc.picture(key=True)
        svc.picture(temporal=1)
        assert len(svc.take()) == 6
        svc.net.engine.set_target_layer(svc.subscription, 2, 1)
        svc.picture()
        svc.picture(temporal=1)
        assert len(svc.take()) == 6
        svc.picture(temporal=1, up=True)
        assert len(svc.take()) == 6

    def test_picture_ids_go_on_after_a_pause(self, svc: SvcCall) -> None:
        svc.picture(key=True)
        svc.picture()
        last = svc.subscriber.rtp[-1].payload
        svc.net.engine.set_subscription_paused(svc.subscription, True)
        for _ in range(5):
            svc.picture()
        svc.net.engine.set_subscription_paused(svc.subscription, False)
        svc.picture(key=True)
        first = svc.subscriber.rtp[12].payload
        assert int.from_bytes(first[1:3], "big") == int.from_bytes(last[1:3], "big") + 1


class TestNumbersOverSwitches:
    """Simulcast of codecs whose references count in numbers that the engine must carry on."""

    LAYERS = (InboundLayer(ssrc=100), InboundLayer(ssrc=200))
    DESCRIPTOR_IN, DESCRIPTOR_OUT = 12, 8

    def publish(self, net: Net, codec: Codec) -> tuple[Peer, Peer, SubscriptionHandle]:
        publisher, subscriber = net.peer(), net.peer()
        extensions = {**EXTENSIONS, Extension.DEPENDENCY_DESCRIPTOR: self.DESCRIPTOR_IN}
        track = publisher.publish_video(codec, layers=self.LAYERS, extensions=extensions)
        outgoing = {Extension.MID: 9, Extension.DEPENDENCY_DESCRIPTOR: self.DESCRIPTOR_OUT, Extension.ABS_SEND_TIME: 6}
        return publisher, subscriber, subscriber.subscribe(track, extensions=outgoing)

    def av1(self, source: Source, number: int, *, key: bool = False, packets: int = 2) -> None:
        for index in range(packets):
            start, end = index == 0, index == packets - 1
            frame = dd_writer.Frame(0 if key else 1, number & 0xFFFF, start=start, end=end)
            source.extensions = {self.DESCRIPTOR_IN: dd_writer.write(frame, dd_writer.L1T3, attach=key and start)}
            source.send(bytes((0x10, 0x30)) + bytes(20), marker=end, step=3000 if start else 0)

    def test_av1_frame_numbers_go_on_and_the_structure_comes_along(self, net: Net) -> None:
        publisher, subscriber, subscription = self.publish(net, Codec.AV1)
        low, high = Source(publisher, 100), Source(publisher, 200)
        net.engine.set_target_layer(subscription, 0, 255)
        # Near the end of 16 bits here, a quite different number there.
        for n in range(6):
            self.av1(low, 65_530 + n, key=n == 0)
            self.av1(high, 9_000 + n, key=n == 0)
        net.engine.set_target_layer(subscription, 1, 255)
        for n in range(6):
            self.av1(high, 9_100 + n, key=n == 0)
            self.av1(low, 65_536 + n)
        net.engine.set_target_layer(subscription, 0, 255)
        for n in range(6):
            self.av1(low, 300 + n, key=n == 0)
        assert_contiguous(subscriber.rtp)
        descriptors = [packet.extensions[self.DESCRIPTOR_OUT] for packet in subscriber.rtp]
        numbers = [int.from_bytes(value[1:3], "big") for value in descriptors]
        assert numbers == [(65_530 + n // 2) & 0xFFFF for n in range(36)]
        structures = [index for index, value in enumerate(descriptors) if len(value) > 3]
        assert structures == [0, 12, 24]
        # But for its number, each descriptor is what it was.
        sent = [packet.extensions[self.DESCRIPTOR_IN] for packet in (*low.sent[:12], *high.sent[12:], *low.sent[-12:])]
        assert [value[:1] + value[3:] for value in descriptors] == [value[:1] + value[3:] for value in sent]

    def test_av1_resends_carry_the_number_that_was_sent(self, net: Net) -> None:
        publisher, subscriber, subscription = self.publish(net, Codec.AV1)
        low, high = Source(publisher, 100), Source(publisher, 200)
        net.engine.set_target_layer(subscription, 0, 255)
        self.av1(low, 10, key=True)
        self.av1(high, 5_000, key=True)
        net.engine.set_target_layer(subscription, 1, 255)
        self.av1(high, 5_001, key=True)
        wanted = subscriber.take_rtp()[2]
        subscriber.send_rtcp(rtcp.build_nack(1, 5000, [wanted.seq]))
        (resent,) = subscriber.rtp
        assert resent.ssrc == 5001
        assert resent.extensions[self.DESCRIPTOR_OUT] == wanted.extensions[self.DESCRIPTOR_OUT]
        assert int.from_bytes(wanted.extensions[self.DESCRIPTOR_OUT][1:3], "big") == 11

    def test_av1_gap_of_withheld_frames_stays(self, net: Net) -> None:
        """Frame differences count in numbers of the publisher: what is left out must keep its number."""
        publisher, subscriber, _ = self.publish(net, Codec.AV1)
        source = Source(publisher, 100)
        for number in (5, 9, 13):
            self.av1(source, number, key=number == 5)
        numbers = [int.from_bytes(packet.extensions[self.DESCRIPTOR_OUT][1:3], "big") for packet in subscriber.rtp]
        assert numbers == [5, 5, 9, 9, 13, 13]

    def test_vp9_picture_ids_and_tl0picidx(self, net: Net) -> None:
        publisher, subscriber, subscription = self.publish(net, Codec.VP9)
        low, high = Source(publisher, 100), Source(publisher, 200)

        def send(source: Source, number: int, *, key: bool = False) -> None:
            payload = vp9_payload(spatial=0, key=key, picture_id=number & 0x7FFF, tl0picidx=number & 0xFF)
            source.send(payload, marker=True, step=3000)

        net.engine.set_target_layer(subscription, 0, 255)
        for n in range(6):
            send(low, 32_765 + n, key=n == 0)
            send(high, 77 + n, key=n == 0)
        net.engine.set_target_layer(subscription, 1, 255)
        for n in range(6):
            send(high, 83 + n, key=n == 0)
        pictures = [int.from_bytes(packet.payload[1:3], "big") & 0x7FFF for packet in subscriber.rtp]
        assert pictures == [(32_765 + n) & 0x7FFF for n in range(12)]
        assert [packet.payload[4] for packet in subscriber.rtp] == [(32_765 + n) & 0xFF for n in range(12)]


def test_payload_type_that_a_subscriber_has_not_is_withheld(net: Net) -> None:
    publisher, subscriber = net.peer(), net.peer()
    track = publisher.publish_video()
    subscriber.subscribe(track, payloads={45: OutboundPayload(OUT_VIDEO_TYPE)})
    Vp8Source(publisher, 1000).frame(key=True)
    assert subscriber.rtp == []
    assert net.drops == {"no_payload_for_subscriber": 1}


def test_keyframe_whose_first_packet_comes_late_is_not_begun_in_the_middle(net: Net) -> None:
    publisher, subscriber = net.peer(), net.peer()
    subscriber.subscribe(publisher.publish_video())
    source = Vp8Source(publisher, 1000)
    source.frame()
    key: list[RtpPacket] = source.make_frame(key=True, packets=3)
    for index in (1, 0, 2):
        publisher.send(key[index])
    assert subscriber.rtp == []
    source.frame(key=True, packets=2)
    assert len(subscriber.rtp) == 2
    assert subscriber.rtp[0].payload[0] & 0x10
    assert subscriber.rtp[0].payload_type != VIDEO_TYPE

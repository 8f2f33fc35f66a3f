"""The keyframe cache: subscriptions that begin between keyframes, and publishers that take no PLI."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sfu.engine.api import (
    KEYFRAME_CACHE_NS,
    KEYFRAME_CACHE_PACKETS,
    REPLAY_ALONE_NS,
    REPLAY_SPEED,
    Codec,
    Extension,
    InboundLayer,
    InboundPayload,
    Kind,
    LayerChanged,
    TrackConfig,
)
from sfu.engine.reference import rtcp
from sfu.engine.reference.congestion.estimate import START_NS
from sfu.engine.reference.rtp import RtpPacket
from sfu.errors import EngineError
from sfu.ids import TrackHandle
from tests.engine.harness import (
    EXTENSIONS,
    MS,
    OUT_RTX_TYPE,
    RTX_TYPE,
    SECOND,
    VIDEO_TYPE,
    Net,
    Peer,
    Source,
    Vp8Source,
    assert_contiguous,
    make_keys,
    parse_vp8,
)
from tests.engine.test_engine_layers import vp9_payload

CACHE_BYTES = 512 * 1024
FRAME_NS = 100 * MS
FRAME_STEP = 9_000


class Call:
    """A publisher at ten pictures a second, and viewers who come when they like."""

    def __init__(self, net: Net, *, cache_bytes: int = CACHE_BYTES, pli: bool = True, nack: bool = True) -> None:
        self.net = net
        self.publisher = net.peer()
        self.track = self.publisher.publish_video(keyframe_cache_bytes=cache_bytes, pli=pli, nack=nack)
        self.source = Vp8Source(self.publisher, 1000, seq=65_500)
        self.viewers = 0

    def pictures(self, count: int, *, key: bool = False, packets: int = 2) -> None:
        for n in range(count):
            self.source.frame(key=key and n == 0, packets=packets, step=FRAME_STEP)
            self.net.advance(FRAME_NS)

    def viewer(self, **overrides: object) -> Peer:
        peer = self.net.peer()
        self.viewers += 1
        peer.subscribe(self.track, 5000 + 10 * self.viewers, **overrides)
        return peer

    def plis(self) -> int:
        return len(self.publisher.take_rtcp(rtcp.Pli))

    def configure(self, **changes: object) -> None:
        """What `Peer.publish_video` publishes, with a cache and these changes."""
        fields: dict[str, object] = {
            "kind": Kind.VIDEO,
            "payloads": (InboundPayload(VIDEO_TYPE, Codec.VP8, 90_000, RTX_TYPE),),
            "layers": (InboundLayer(ssrc=1000, rtx_ssrc=1001),),
            "extensions": EXTENSIONS,
            "nack": True,
            "keyframe_cache_bytes": CACHE_BYTES,
        }
        self.net.engine.set_track_config(self.track, TrackConfig(**{**fields, **changes}))  # type: ignore[arg-type]


def assert_same_pictures(got: list[RtpPacket], sent: list[RtpPacket]) -> None:
    """In number, in content, and with the distances of their timestamps."""
    assert_contiguous(got)
    assert [packet.payload[6:] for packet in got] == [packet.payload[6:] for packet in sent]
    assert [packet.marker for packet in got] == [packet.marker for packet in sent]
    for ours, theirs in zip(pairwise(got), pairwise(sent), strict=True):
        assert (ours[1].timestamp - ours[0].timestamp) & 0xFFFF_FFFF == (
            theirs[1].timestamp - theirs[0].timestamp
        ) & 0xFFFF_FFFF


def assert_pictures_contiguous(packets: list[RtpPacket]) -> None:
    numbers = [parse_vp8(packet.payload).picture_id for packet in packets if packet.payload[0] & 0x10]
    assert numbers == [(numbers[0] + index) & 0x7FFF for index in range(len(numbers))]


class TestReplay:
    def test_late_viewer_gets_everything_since_the_keyframe_then_goes_on_live(self, net: Net) -> None:
        call = Call(net, pli=False)
        call.pictures(30)
        call.source.sent.clear()
        call.pictures(50, key=True)
        viewer = call.viewer()
        assert viewer.rtp == []
        net.advance(10 * MS)
        # The first picture at once.
        assert len(viewer.rtp) == 2
        call.pictures(20)
        assert_same_pictures(viewer.rtp, call.source.sent)
        assert_pictures_contiguous(viewer.rtp)
        assert call.plis() == 0
        assert net.drops == {}

    def test_it_is_paced_and_catches_up(self, net: Net) -> None:
        call = Call(net, pli=False)
        call.pictures(40, key=True)
        viewer = call.viewer()
        began_at_ns = net.now_ns + 10 * MS
        span_ns = 40 * FRAME_NS
        caught_up_ns = span_ns * REPLAY_SPEED // (REPLAY_SPEED - 1) // REPLAY_SPEED
        for _ in range(10):
            call.pictures(1)
        late_by = [
            at_ns - began_at_ns - index // 2 * FRAME_NS // REPLAY_SPEED
            for index, at_ns in enumerate(viewer.received_at_ns[:80])
        ]
        assert all(-10 * MS <= one <= 10 * MS for one in late_by), late_by
        assert viewer.received_at_ns[79] - began_at_ns <= caught_up_ns
        assert len(viewer.rtp) == 100
        # Live from there on: what is sent arrives at that very moment.
        call.source.frame()
        assert viewer.received_at_ns[-1] == net.now_ns

    def test_abs_send_time_and_transport_cc_are_those_of_the_replay(self, net: Net) -> None:
        call = Call(net, pli=False)
        call.pictures(10, key=True)
        first = call.viewer()
        net.advance(30 * MS)
        second = call.viewer()
        call.pictures(10)
        for viewer in (first, second):
            times = [int.from_bytes(packet.extensions[6], "big") for packet in viewer.rtp]
            expected = [(at_ns << 18) // SECOND & 0xFFFFFF for at_ns in viewer.received_at_ns]
            assert times == expected
            numbers = [int.from_bytes(packet.extensions[5], "big") for packet in viewer.rtp]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))

    def test_first_picture_leaves_whole_however_slowly_it_came(self, net: Net) -> None:
        call = Call(net, pli=False)
        for packet in call.source.make_frame(key=True, packets=6):
            call.publisher.send(packet)
            net.advance(50 * MS)
        call.pictures(2)
        viewer = call.viewer()
        net.advance(10 * MS)
        assert len(viewer.rtp) == 6
        net.advance(SECOND)
        assert_same_pictures(viewer.rtp, call.source.sent)

    def test_straggler_from_before_the_keyframe_is_not_of_its_pictures(self, net: Net) -> None:
        call = Call(net, pli=False)
        (straggler,) = call.source.make_frame()
        call.pictures(3, key=True)
        call.publisher.send(straggler)
        viewer = call.viewer()
        net.advance(SECOND)
        assert len(viewer.rtp) == 6
        assert net.drops == {}

    def test_restart_of_the_sequence_in_a_replay_ends_it(self, net: Net) -> None:
        call = Call(net, pli=False)
        call.pictures(50, key=True)
        viewer = call.viewer()
        net.advance(50 * MS)
        before = len(viewer.rtp)
        assert 2 <= before < 100
        call.source.skip(600)
        call.pictures(10)
        assert len(viewer.rtp) == before
        call.pictures(1, key=True)
        assert len(viewer.rtp) == before + 2

    @pytest.mark.parametrize("rtx", [True, False])
    def test_replayed_packets_are_resent_like_others(self, net: Net, rtx: bool) -> None:
        call = Call(net, pli=False)
        call.pictures(10, key=True)
        viewer = call.viewer(rtx_ssrc=5555 if rtx else None)
        net.advance(500 * MS)
        got = viewer.take_rtp()
        wanted = got[3]
        viewer.send_rtcp(rtcp.build_nack(1, wanted.ssrc, [wanted.seq]))
        if rtx:
            (resent,) = viewer.rtp
            assert resent.payload_type == OUT_RTX_TYPE
            assert resent.payload == wanted.seq.to_bytes(2, "big") + wanted.payload
            assert resent.timestamp == wanted.timestamp
        else:
            # To the byte what it was, send time included.
            assert viewer.repeats == 1
        assert net.engine.stats().subscriptions[0].nack_misses == 0

    def test_what_was_late_or_malformed_keeps_its_place(self, net: Net) -> None:
        """A replay hands on what live viewers got: in their order, with their gaps and without what they never saw."""
        call = Call(net, pli=False)
        live = call.viewer()
        call.pictures(2, key=True)
        early, late = call.source.make_frame(packets=2, step=FRAME_STEP)
        call.publisher.send(late)
        call.source.send(b"", padding=20)
        call.source.send(b"\x90")
        call.publisher.send(early)
        call.source.skip()
        call.pictures(2)
        viewer = call.viewer()
        net.advance(SECOND)
        call.pictures(1)
        for one in (live, viewer):
            assert [packet.payload[6:] for packet in one.rtp] == [packet.payload[6:] for packet in live.rtp]
        steps = [[(b.seq - a.seq) & 0xFFFF for a, b in pairwise(one.rtp)] for one in (live, viewer)]
        assert steps[0] == steps[1]

    def test_layers_are_withheld_in_a_replay_too(self, net: Net) -> None:
        call = Call(net, pli=False)
        call.source.frame(key=True)
        for n in range(12):
            call.source.frame(temporal=(2, 1, 2, 0)[n % 4], step=FRAME_STEP)
            net.advance(FRAME_NS)
        viewer = net.peer()
        subscription = viewer.subscribe(call.track, start=False)
        net.engine.set_target_layer(subscription, 0, 0)
        net.engine.set_subscription_paused(subscription, False)
        net.advance(SECOND)
        assert [parse_vp8(packet.payload).temporal for packet in viewer.rtp] == [0] * 4
        assert_contiguous(viewer.rtp)
        assert_pictures_contiguous(viewer.rtp)

    def test_h264_begins_with_its_parameter_sets(self, net: Net) -> None:
        publisher, viewer = net.peer(), net.peer()
        track = publisher.publish_video(Codec.H264, keyframe_cache_bytes=CACHE_BYTES, pli=False)
        source = Source(publisher, 1000)
        keyframe = (b"\x67\x42", b"\x68\xce", b"\x65\x88" + bytes(20))
        source.send(keyframe[0], step=3000)
        source.send(keyframe[1])
        viewer.subscribe(track)
        net.advance(10 * MS)
        # The IDR picture of the very keyframe that the replay has begun with does not begin it again.
        source.send(keyframe[2], marker=True)
        source.send(b"\x41\x9a" + bytes(20), marker=True, step=3000)
        net.advance(SECOND)
        assert [packet.payload[:2] for packet in viewer.rtp] == [b"\x67\x42", b"\x68\xce", b"\x65\x88", b"\x41\x9a"]

    def test_vp9_picture_numbers_go_on_after_a_pause(self, net: Net) -> None:
        publisher, viewer = net.peer(), net.peer()
        track = publisher.publish_video(Codec.VP9, keyframe_cache_bytes=CACHE_BYTES, pli=False)
        subscription = viewer.subscribe(track)
        source = Source(publisher, 1000)
        for n in range(10):
            source.send(vp9_payload(spatial=0, key=n == 0, picture_id=n + 1, tl0picidx=250 + n & 0xFF), step=3000)
            net.advance(33 * MS)
        net.engine.set_subscription_paused(subscription, True)
        net.engine.set_subscription_paused(subscription, False)
        net.advance(SECOND)
        pictures = [int.from_bytes(packet.payload[1:3], "big") & 0x7FFF for packet in viewer.rtp]
        assert pictures == list(range(1, 21))
        assert [packet.payload[4] for packet in viewer.rtp] == [(250 + n) & 0xFF for n in range(20)]
        assert_contiguous(viewer.rtp)
        assert all((b.timestamp - a.timestamp) & 0xFFFF_FFFF < 90_000 for a, b in pairwise(viewer.rtp))

    def test_resume_begins_with_the_cached_keyframe_and_time_does_not_go_back(self, net: Net) -> None:
        call = Call(net, pli=False)
        viewer = net.peer()
        subscription = viewer.subscribe(call.track)
        call.pictures(20, key=True)
        net.engine.set_subscription_paused(subscription, True)
        call.pictures(10)
        assert len(viewer.rtp) == 40
        net.engine.set_subscription_paused(subscription, False)
        call.pictures(10)
        assert_contiguous(viewer.rtp)
        assert_pictures_contiguous(viewer.rtp)
        assert len(viewer.rtp) == 40 + 80
        assert all((b.timestamp - a.timestamp) & 0xFFFF_FFFF < 1 << 31 for a, b in pairwise(viewer.rtp))

    def test_subscription_that_is_paused_or_removed_in_a_replay_stops_at_once(self, net: Net) -> None:
        call = Call(net, pli=False)
        call.pictures(80, key=True)
        viewer, other = net.peer(), net.peer()
        subscription = viewer.subscribe(call.track)
        removed = other.subscribe(call.track)
        net.advance(50 * MS)
        counts = len(viewer.rtp), len(other.rtp)
        assert 2 <= counts[0] < 160
        net.engine.set_subscription_paused(subscription, True)
        net.engine.remove_subscription(removed)
        call.pictures(2)
        assert (len(viewer.rtp), len(other.rtp)) == counts
        net.engine.set_subscription_paused(subscription, False)
        call.pictures(40)
        assert len(viewer.rtp) == counts[0] + 2 * (82 + 40)
        assert_contiguous(viewer.rtp)

    def test_keyframe_ends_the_replay(self, net: Net) -> None:
        call = Call(net, pli=False)
        call.pictures(100, key=True)
        viewer = call.viewer()
        net.advance(100 * MS)
        before = len(viewer.rtp)
        assert 2 <= before < 40
        call.pictures(10, key=True)
        assert len(viewer.rtp) == before + 20
        assert_contiguous(viewer.rtp)
        assert_pictures_contiguous(viewer.rtp)
        # The clock of what is played jumps over what was left out, not more than the time that passed.
        assert (viewer.rtp[before].timestamp - viewer.rtp[before - 1].timestamp) & 0xFFFF_FFFF <= 2 * FRAME_STEP

    def test_keys_of_either_side_change_in_a_replay(self, net: Net) -> None:
        call = Call(net, pli=False)
        call.pictures(50, key=True)
        viewer = call.viewer()
        net.advance(100 * MS)
        viewer.use_keys(make_keys("others"))
        net.engine.set_srtp(viewer.transport, viewer.keys)
        net.advance(2 * SECOND)
        assert len(viewer.rtp) == 100
        # New keys of the publisher begin its sequence anew: what was cached is of the old one.
        call.publisher.use_keys(make_keys("publisher's others"))
        net.engine.set_srtp(call.publisher.transport, call.publisher.keys)
        late = call.viewer()
        net.advance(SECOND)
        assert late.rtp == []
        call.pictures(2, key=True)
        assert len(late.rtp) == 4


class TestBounds:
    def assert_void(self, call: Call) -> None:
        viewer = call.viewer()
        call.pictures(2)
        assert viewer.rtp == []
        call.pictures(1, key=True)
        assert len(viewer.rtp) == 2

    def test_off_by_default(self, net: Net) -> None:
        call = Call(net, cache_bytes=0)
        call.pictures(5, key=True)
        self.assert_void(call)

    def test_bytes(self, net: Net) -> None:
        payload_bytes = 36
        call = Call(net, cache_bytes=10 * payload_bytes)
        call.pictures(10, key=True, packets=1)
        viewer = call.viewer()
        net.advance(SECOND)
        assert len(viewer.rtp) == 10
        call.pictures(1, packets=1)
        self.assert_void(call)
        call.pictures(1, packets=1)
        viewer = call.viewer()
        net.advance(SECOND)
        assert len(viewer.rtp) == 3

    def test_packets(self, net: Net) -> None:
        call = Call(net)
        call.source.frame(key=True)
        for _ in range(KEYFRAME_CACHE_PACKETS - 1):
            call.source.frame()
        viewer = call.viewer()
        net.advance(START_NS + 20 * MS, 10 * MS)
        assert len(viewer.rtp) == KEYFRAME_CACHE_PACKETS
        call.source.frame()
        self.assert_void(call)

    def test_packets_that_nobody_gets_count_as_well(self, net: Net) -> None:
        call = Call(net)
        call.source.frame(key=True)
        for _ in range(KEYFRAME_CACHE_PACKETS):
            call.source.send(b"", padding=10)
        self.assert_void(call)

    def test_age(self, net: Net) -> None:
        call = Call(net, pli=False)
        call.pictures(KEYFRAME_CACHE_NS // FRAME_NS + 1, key=True)
        viewer = call.viewer()
        net.advance(10 * MS)
        assert len(viewer.rtp) == 2
        call.pictures(1)
        # Void now, but who has begun gets the rest of what was there.
        self.assert_void(call)
        assert len(viewer.rtp) < 2 * (KEYFRAME_CACHE_NS // FRAME_NS + 2)
        call.pictures(30)
        assert_contiguous(viewer.rtp)

    def test_who_has_begun_gets_the_rest_when_the_cache_becomes_void(self, net: Net) -> None:
        call = Call(net, cache_bytes=100 * 36, pli=False)
        call.pictures(50, key=True)
        viewer = call.viewer()
        net.advance(10 * MS)
        call.pictures(20)
        assert_same_pictures(viewer.rtp, call.source.sent)

    def test_configuration(self, net: Net) -> None:
        call = Call(net)
        call.pictures(5, key=True)
        call.configure()
        viewer = call.viewer()
        net.advance(SECOND)
        assert len(viewer.rtp) == 10
        call.configure(keyframe_cache_bytes=100)
        call.configure()
        self.assert_void(call)
        call.configure(extensions={**EXTENSIONS, Extension.VIDEO_ORIENTATION: 13})
        self.assert_void(call)
        with pytest.raises(EngineError):
            call.configure(keyframe_cache_bytes=-1)

    def test_nothing_from_before_a_mute_is_shown_after_it(self, net: Net) -> None:
        call = Call(net, pli=False)
        call.pictures(20, key=True)
        running = call.viewer()
        net.advance(50 * MS)
        before = len(running.rtp)
        net.engine.set_track_muted(call.track, True)
        call.pictures(1)
        net.engine.set_track_muted(call.track, False)
        self.assert_void(call)
        assert len(running.rtp) == before + 2

    def test_restart_of_the_sequence(self, net: Net) -> None:
        call = Call(net, pli=False)
        call.pictures(5, key=True)
        call.source.skip(600)
        self.assert_void(call)

    def test_audio_has_none(self, net: Net) -> None:
        publisher, viewer = net.peer(), net.peer()
        track = publisher.publish_audio(keyframe_cache_bytes=CACHE_BYTES)
        source = Source(publisher, 2000, 111)
        source.send(b"hello")
        viewer.subscribe(track)
        net.advance(SECOND)
        assert viewer.rtp == []


class TestRequests:
    def test_publisher_that_takes_no_pli_never_gets_one(self, net: Net) -> None:
        call = Call(net, pli=False, cache_bytes=0)
        viewer = call.viewer()
        call.pictures(10)
        viewer.send_rtcp(rtcp.build_pli(1, 5010))
        net.engine.request_keyframe(call.track, 0)
        call.source.skip(600)
        call.pictures(10)
        assert call.plis() == 0
        assert net.engine.stats().tracks[0].layers[0].plis_sent == 0

    def test_requests_that_wait_end_when_pli_is_taken_back(self, net: Net) -> None:
        call = Call(net, cache_bytes=0)
        call.viewer()
        call.pictures(10)
        assert call.plis() > 0
        call.configure(pli=False, keyframe_cache_bytes=0)
        call.pictures(10)
        assert call.plis() == 0

    def test_young_keyframe_is_enough(self, net: Net) -> None:
        call = Call(net)
        call.pictures(REPLAY_ALONE_NS // FRAME_NS, key=True)
        call.plis()
        viewer = call.viewer()
        call.pictures(10)
        assert len(viewer.rtp) == 40
        assert call.plis() == 0

    def test_old_keyframe_is_shown_and_a_new_one_asked_for(self, net: Net) -> None:
        call = Call(net)
        call.pictures(50, key=True)
        call.plis()
        viewer = call.viewer()
        net.advance(20 * MS)
        assert len(viewer.rtp) >= 2
        assert call.plis() == 1
        # It answers; nothing is asked for any more.
        call.pictures(20, key=True)
        assert call.plis() == 0
        assert_contiguous(viewer.rtp)

    def test_request_ends_with_the_replay(self, net: Net) -> None:
        """The publisher does not answer: the viewer is live all the same and needs nothing more."""
        call = Call(net)
        call.pictures(50, key=True)
        viewer = call.viewer()
        call.pictures(10)
        assert len(viewer.rtp) == 120
        call.plis()
        call.pictures(20)
        assert call.plis() == 0

    def test_cache_that_becomes_void_before_the_replay_begins(self, net: Net) -> None:
        call = Call(net, cache_bytes=10 * 36)
        call.pictures(5, key=True)
        call.plis()
        viewer = call.viewer()
        call.source.frame(packets=2)
        net.advance(20 * MS)
        assert viewer.rtp == []
        assert call.plis() == 1


class TestSimulcast:
    LAYERS = (InboundLayer(ssrc=100), InboundLayer(ssrc=200))

    def publish(self, net: Net, *, pli: bool) -> tuple[Peer, TrackHandle, list[Vp8Source]]:
        publisher = net.peer()
        track = publisher.publish_video(layers=self.LAYERS, keyframe_cache_bytes=CACHE_BYTES, pli=pli)
        return (
            publisher,
            track,
            [
                Vp8Source(publisher, 100, seq=10, timestamp=7, picture_id=1_000),
                Vp8Source(publisher, 200, seq=40_000, timestamp=1 << 31, picture_id=20_000),
            ],
        )

    def pictures(self, net: Net, layers: list[Vp8Source], count: int, *, key: bool = False) -> None:
        for n in range(count):
            for layer in layers:
                layer.frame(key=key and n == 0, step=FRAME_STEP)
            net.advance(FRAME_NS)

    def test_each_layer_has_its_own(self, net: Net) -> None:
        _, track, layers = self.publish(net, pli=False)
        self.pictures(net, layers, 20, key=True)
        for target, source in enumerate(layers):
            viewer = net.peer()
            subscription = viewer.subscribe(track, start=False)
            net.engine.set_target_layer(subscription, target, 255)
            net.engine.set_subscription_paused(subscription, False)
            net.advance(SECOND)
            assert_same_pictures(viewer.rtp, source.sent)
            events = [event for event in net.take_events(LayerChanged) if isinstance(event, LayerChanged)]
            assert [event.spatial for event in events] == [target]
            net.engine.remove_subscription(subscription)

    def test_switch_to_a_layer_whose_keyframe_is_young(self, net: Net) -> None:
        publisher, track, layers = self.publish(net, pli=True)
        viewer = net.peer()
        subscription = viewer.subscribe(track)
        net.engine.set_target_layer(subscription, 0, 255)
        self.pictures(net, layers, 8, key=True)
        publisher.take_rtcp(rtcp.Pli)
        net.engine.set_target_layer(subscription, 1, 255)
        self.pictures(net, layers, 8)
        assert net.engine.stats().subscriptions[0].spatial == 1
        assert publisher.take_rtcp(rtcp.Pli) == []
        # One more of the old layer before the next tick.
        assert len(viewer.rtp) == 9 + 16
        assert_contiguous(viewer.rtp)
        assert_pictures_contiguous(viewer.rtp)
        assert all((b.timestamp - a.timestamp) & 0xFFFF_FFFF < 1 << 31 for a, b in pairwise(viewer.rtp))

    def test_switch_does_not_show_the_past(self, net: Net) -> None:
        """The keyframe of the other layer is old: the viewer stays where it is until there is another."""
        publisher, track, layers = self.publish(net, pli=True)
        viewer = net.peer()
        subscription = viewer.subscribe(track)
        net.engine.set_target_layer(subscription, 0, 255)
        self.pictures(net, layers, 30, key=True)
        publisher.take_rtcp(rtcp.Pli)
        net.engine.set_target_layer(subscription, 1, 255)
        self.pictures(net, layers, 5)
        assert net.engine.stats().subscriptions[0].spatial == 0
        assert len(viewer.rtp) == 35
        assert publisher.take_rtcp(rtcp.Pli)
        self.pictures(net, layers, 2, key=True)
        assert net.engine.stats().subscriptions[0].spatial == 1

    def test_layer_that_stops_is_replaced_from_the_cache_of_the_other(self, net: Net) -> None:
        _, track, layers = self.publish(net, pli=False)
        viewer = net.peer()
        viewer.subscribe(track)
        self.pictures(net, layers, 10, key=True)
        assert net.engine.stats().subscriptions[0].spatial == 1
        self.pictures(net, layers[:1], 30)
        assert net.engine.stats().subscriptions[0].spatial == 0
        # The first one was of the lower layer, when no other was known.
        assert len(viewer.rtp) == 1 + 10 + 40
        assert_contiguous(viewer.rtp)

    def test_target_moves_in_a_replay(self, net: Net) -> None:
        _, track, layers = self.publish(net, pli=False)
        self.pictures(net, layers, 30, key=True)
        viewer = net.peer()
        subscription = viewer.subscribe(track)
        net.advance(50 * MS)
        net.engine.set_target_layer(subscription, 0, 255)
        self.pictures(net, layers, 10)
        # The replay goes on, and the layer below waits for its keyframe.
        assert net.engine.stats().subscriptions[0].spatial == 1
        assert len(viewer.rtp) == 40
        self.pictures(net, layers, 1, key=True)
        assert net.engine.stats().subscriptions[0].spatial == 0
        assert_contiguous(viewer.rtp)

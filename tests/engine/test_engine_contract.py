"""Commands, paths, keys, muting, levels, figures, misuse, removal, determinism."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from sfu.engine import create_engine, create_runtime, engine_name
from sfu.engine.api import (
    DROP_REASONS,
    MAX_PATHS,
    AudioLevel,
    Codec,
    DtlsReceived,
    InboundLayer,
    InboundPayload,
    Kind,
    LayerChanged,
    OutboundPayload,
    PacketEngine,
    SrtpKeys,
    SrtpProfile,
    StreamStarted,
    StunReceived,
    SubscriptionConfig,
    TrackConfig,
    TransportConfig,
)
from sfu.engine.reference import rtcp
from sfu.engine.reference.congestion.estimate import START_NS
from sfu.errors import EngineError
from sfu.ids import SubscriptionHandle, TrackHandle, TransportHandle
from tests.engine.harness import (
    AUDIO_TYPE,
    EXTENSIONS,
    MS,
    OUT_AUDIO_TYPE,
    SECOND,
    VIDEO_TYPE,
    Net,
    Source,
    Vp8Source,
    assert_contiguous,
    make_keys,
)


class TestDemux:
    """RFC 7983."""

    def test_stun_is_handed_up_from_any_path(self, net: Net) -> None:
        path = net.new_path()
        for first in range(4):
            net.deliver(path, bytes([first]) + b"x" * 19)
        assert net.events == [StunReceived(path, bytes([first]) + b"x" * 19) for first in range(4)]

    def test_dtls_is_handed_up_from_allowed_paths_only(self, net: Net) -> None:
        peer = net.peer(connect=False)
        net.deliver(peer.path, bytes([22]) * 30)
        assert net.drops == {"unknown_path": 1}
        net.engine.allow_path(peer.transport, peer.path)
        net.deliver(peer.path, bytes([22]) * 30)
        assert net.events == [DtlsReceived(peer.transport, peer.path, bytes([22]) * 30)]

    def test_everything_else_is_dropped(self, net: Net) -> None:
        peer = net.peer()
        others = [*range(4, 20), *range(64, 128), *range(192, 256)]
        for first in others:
            net.deliver(peer.path, bytes([first]) + bytes(40))
        net.deliver(peer.path, b"")
        assert net.drops == {"not_rtc": len(others) + 1}
        assert net.events == []

    def test_size_is_limited(self, net: Net) -> None:
        peer = net.peer()
        net.deliver(peer.path, bytes(1501))
        assert net.drops == {"too_long": 1}
        net.deliver(peer.path, bytes(1500))
        assert len(net.events) == 1

    def test_media_before_the_keys_is_dropped(self, net: Net) -> None:
        peer = net.peer(connect=False)
        peer.publish_audio()
        net.engine.allow_path(peer.transport, peer.path)
        Source(peer, 2000, AUDIO_TYPE).send(b"x" * 20)
        peer.send_rtcp(rtcp.build_pli(1, 2))
        assert net.drops == {"no_keys": 2}


class TestPaths:
    def test_output_waits_for_keys_and_path(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer(connect=False)
        subscriber.subscribe(publisher.publish_audio())
        source = Source(publisher, 2000, AUDIO_TYPE)
        source.send(b"a" * 20)
        net.engine.set_srtp(subscriber.transport, subscriber.keys)
        source.send(b"b" * 20)
        net.engine.allow_path(subscriber.transport, subscriber.path)
        source.send(b"c" * 20)
        net.advance(SECOND)
        assert subscriber.datagrams == []
        net.engine.set_path(subscriber.transport, subscriber.path)
        source.send(b"d" * 20)
        assert [packet.payload[:1] for packet in subscriber.rtp] == [b"d"]

    def test_output_moves_with_set_path_and_input_counts_from_both(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_audio())
        source = Source(publisher, 2000, AUDIO_TYPE)
        source.send(b"a" * 20)
        moved = net.new_path()
        net.peers[moved] = subscriber
        del net.peers[subscriber.path]
        net.engine.set_path(subscriber.transport, moved)
        source.send(b"b" * 20)
        assert len(subscriber.rtp) == 2
        assert net.astray == []
        assert_contiguous(subscriber.rtp)
        publisher_moved = net.new_path()
        net.engine.allow_path(publisher.transport, publisher_moved)
        net.deliver(publisher_moved, publisher.protect(source.make(b"c" * 20)))
        source.send(b"d" * 20)
        assert len(subscriber.rtp) == 4

    def test_oldest_path_that_is_not_current_is_forgotten(self, net: Net) -> None:
        peer = net.peer()
        peer.publish_audio()
        paths = [net.new_path() for _ in range(MAX_PATHS)]
        for path in paths:
            net.engine.allow_path(peer.transport, path)
        source = Source(peer, 2000, AUDIO_TYPE)
        for path in [peer.path, *paths]:
            net.deliver(path, peer.protect(source.make(b"x" * 20)))
        assert net.drops == {"unknown_path": 1}
        net.deliver(paths[0], bytes([22]))
        assert net.drops == {"unknown_path": 2}
        net.deliver(peer.path, bytes([22]))
        assert net.drops == {"unknown_path": 2}

    def test_path_bound_elsewhere_moves(self, net: Net) -> None:
        first, second = net.peer(), net.peer()
        net.engine.allow_path(second.transport, first.path)
        net.deliver(first.path, bytes([22]))
        assert net.take_events(DtlsReceived) == [DtlsReceived(second.transport, first.path, bytes([22]))]

    def test_forgotten_path_gets_nothing(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_audio())
        source = Source(publisher, 2000, AUDIO_TYPE)
        source.send(b"a" * 20)
        net.engine.forget_path(subscriber.path)
        source.send(b"b" * 20)
        net.deliver(subscriber.path, bytes([22]))
        assert len(subscriber.rtp) == 1
        assert net.drops == {"unknown_path": 1}
        net.engine.forget_path(net.new_path())


class TestKeys:
    @pytest.mark.parametrize("profile", list(SrtpProfile))
    def test_new_keys_replace_the_old(self, net: Net, profile: SrtpProfile) -> None:
        publisher, subscriber = net.peer(profile=profile), net.peer(profile=profile)
        subscriber.subscribe(publisher.publish_video())
        source = Vp8Source(publisher, 1000, seq=65_530)
        source.frame(key=True)
        for _ in range(20):
            source.frame()
        for peer in (publisher, subscriber):
            peer.use_keys(make_keys(f"again {peer.transport}", profile))
            net.engine.set_srtp(peer.transport, peer.keys)
        source.frame(key=True)
        source.frame()
        assert len(subscriber.rtp) == 23
        assert_contiguous(subscriber.rtp)

    @pytest.mark.parametrize("overrides", [{}, {"rtx_ssrc": None}])
    def test_rollovers_count_from_zero_under_new_keys(self, net: Net, overrides: dict[str, object]) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_video(), **overrides)
        source = Vp8Source(publisher, 1000)
        source.frame(key=True)
        net.advance(START_NS, 10 * MS)
        for _ in range(200):  # more than one wrap of the numbers sent
            source.skip(499)
            source.frame()
        subscriber.use_keys(make_keys("again"))
        net.engine.set_srtp(subscriber.transport, subscriber.keys)
        source.frame()
        source.frame()
        assert_contiguous(subscriber.rtp[-3:])
        subscriber.send_rtcp(rtcp.build_nack(1, 5000, [packet.seq for packet in subscriber.rtp[-3:]]))
        assert len(subscriber.rtp) + subscriber.repeats >= 205

    def test_old_keys_open_nothing(self, net: Net) -> None:
        publisher = net.peer()
        publisher.publish_audio()
        net.engine.set_srtp(publisher.transport, make_keys("others"))
        Source(publisher, 2000, AUDIO_TYPE).send(b"x" * 20)
        assert net.drops == {"auth_failed": 1}

    def test_the_same_keys_again_do_not_open_the_replay_window(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_audio())
        source = Source(publisher, 2000, AUDIO_TYPE)
        data = publisher.protect(source.make(b"x" * 20))
        publisher.send_raw(data)
        net.engine.set_srtp(publisher.transport, publisher.keys)
        publisher.send_raw(data)
        assert net.drops == {"replayed": 1}

    def test_replay_of_a_removed_track_stays_a_replay(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        track = publisher.publish_audio()
        source = Source(publisher, 2000, AUDIO_TYPE)
        data = publisher.protect(source.make(b"x" * 20))
        publisher.send_raw(data)
        net.engine.remove_track(track)
        subscriber.subscribe(publisher.publish_audio())
        publisher.send_raw(data)
        assert subscriber.rtp == []
        assert net.drops == {"replayed": 1}

    def test_ssrc_used_again_goes_on_counting(self, net: Net) -> None:
        """Equal SSRC, number and key with other content would repeat a nonce."""
        publisher, subscriber = net.peer(), net.peer()
        track = publisher.publish_audio()
        source = Source(publisher, 2000, AUDIO_TYPE)
        for _ in range(5):
            subscription = subscriber.subscribe(track)
            for _ in range(3):
                source.send(b"x" * 20, step=960)
                net.advance(20 * MS)
            net.engine.remove_subscription(subscription)
        assert len(subscriber.rtp) == 15
        assert_contiguous(subscriber.rtp)
        steps = {(after.timestamp - before.timestamp) & 0xFFFFFFFF for before, after in pairwise(subscriber.rtp)}
        assert steps == {960}

    def test_memory_of_old_ssrcs_is_bounded(self, net: Net) -> None:
        """Tracks and subscriptions come and go for hours, each with SSRCs of its own."""
        publisher, subscriber = net.peer(config=TransportConfig(max_ssrcs=4)), net.peer()
        for ssrc in range(5_000):
            track = publisher.publish_audio(ssrc=ssrc)
            subscription = subscriber.subscribe(track, ssrc=10_000 + 2 * ssrc)
            if ssrc % 50 == 0:
                Source(publisher, ssrc, AUDIO_TYPE).send(b"x" * 20)
            net.engine.remove_subscription(subscription)
            net.engine.remove_track(track)
        assert len(subscriber.rtp) == 100
        assert net.drops == {}

    @pytest.mark.parametrize("profile", list(SrtpProfile))
    @pytest.mark.parametrize("field", ["rx_key", "rx_salt", "tx_key", "tx_salt"])
    def test_keys_of_the_wrong_length(self, net: Net, profile: SrtpProfile, field: str) -> None:
        peer = net.peer(profile=profile)
        keys = make_keys("bad", profile)
        with pytest.raises(EngineError):
            net.engine.set_srtp(peer.transport, replace(keys, **{field: getattr(keys, field) + b"x"}))
        with pytest.raises(EngineError):
            net.engine.set_srtp(peer.transport, replace(keys, **{field: b""}))
        # The old ones still work.
        peer.publish_audio()
        Source(peer, 2000, AUDIO_TYPE).send(b"x" * 20)
        assert net.drops == {}


class TestMute:
    def test_audio_stops_at_once_and_resumes_without_a_hole(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        track = publisher.publish_audio()
        subscription = subscriber.subscribe(track)
        source = Source(publisher, 2000, AUDIO_TYPE)
        source.send(b"a" * 20, step=960)
        net.engine.set_track_muted(track, True)
        for _ in range(5):
            net.advance(20 * MS)
            source.send(b"b" * 20, step=960)
        assert len(subscriber.rtp) == 1
        assert net.drops == {"muted": 5}
        net.engine.set_track_muted(track, False)
        net.advance(20 * MS)
        source.send(b"c" * 20, step=960)
        assert [packet.payload[:1] for packet in subscriber.rtp] == [b"a", b"c"]
        assert_contiguous(subscriber.rtp)
        assert (subscriber.rtp[1].timestamp - subscriber.rtp[0].timestamp) & 0xFFFFFFFF == 6 * 960
        changes = [event for event in net.events if isinstance(event, LayerChanged)]
        assert changes == [
            LayerChanged(subscription, 0, 0),
            LayerChanged(subscription, None, None),
            LayerChanged(subscription, 0, 0),
        ]

    def test_video_resumes_at_a_keyframe_and_asks_for_it(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        track = publisher.publish_video()
        subscriber.subscribe(track)
        source = Vp8Source(publisher, 1000)
        source.frame(key=True)
        net.engine.set_track_muted(track, True)
        source.frame()
        net.advance(SECOND)
        publisher.take_rtcp()
        net.engine.set_track_muted(track, False)
        source.frame()
        assert [type(packet) for packet in publisher.take_rtcp()] == [rtcp.Pli]
        assert len(subscriber.rtp) == 1
        source.frame(key=True)
        assert len(subscriber.rtp) == 2
        assert_contiguous(subscriber.rtp)

    def test_muted_audio_has_no_level(self, net: Net) -> None:
        publisher = net.peer()
        track = publisher.publish_audio()
        net.engine.set_track_muted(track, True)
        Source(publisher, 2000, AUDIO_TYPE, extensions={1: b"\x01"}).send(b"x" * 20)
        assert net.engine.audio_levels() == []


class TestAudioLevels:
    def send(self, net: Net, levels: list[int], ssrc: int = 2000) -> TrackHandle:
        publisher = net.peer()
        track = publisher.publish_audio(ssrc=ssrc)
        source = Source(publisher, ssrc, AUDIO_TYPE)
        for level in levels:
            source.extensions = {1: bytes([0x80 | level])}
            source.send(b"x" * 20, step=960)
        return track

    def test_steady_tone(self, net: Net) -> None:
        track = self.send(net, [30] * 10)
        assert net.engine.audio_levels() == [AudioLevel(track, 30, 200)]
        assert net.engine.audio_levels() == []

    def test_loud_packets_weigh_more_and_quiet_ones_do_not_count(self, net: Net) -> None:
        track = self.send(net, [20, 20, 40, 40, 90, 127])
        ((heard, level, active_ms),) = net.engine.audio_levels()
        assert (heard, active_ms) == (track, 80)
        assert 20 < level < 30

    @pytest.mark.parametrize(("level", "active_ms"), [(45, 20), (46, 0), (127, 0), (0, 20)])
    def test_speech_begins_at_45(self, net: Net, level: int, active_ms: int) -> None:
        track = self.send(net, [level])
        assert net.engine.audio_levels() == [AudioLevel(track, level if active_ms else 127, active_ms)]

    def test_only_tracks_that_were_heard(self, net: Net) -> None:
        self.send(net, [])
        loud = self.send(net, [10], ssrc=3000)
        assert [level.track for level in net.engine.audio_levels()] == [loud]


class TestConfigure:
    def test_streams_that_stay_keep_their_state(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        track = publisher.publish_video(layers=(InboundLayer(rid="q"), InboundLayer(rid="f")), mid="1")
        subscription = subscriber.subscribe(track)
        source = Vp8Source(publisher, 4242, extensions={4: b"1", 10: b"f"})
        source.frame(key=True)
        source.extensions = {}
        config = TrackConfig(
            Kind.VIDEO,
            (InboundPayload(VIDEO_TYPE, Codec.VP8, 90_000),),
            (InboundLayer(rid="f"),),
            mid="1",
            extensions={},
        )
        net.engine.set_track_config(track, config)
        source.frame()
        assert len(subscriber.rtp) == 2
        assert_contiguous(subscriber.rtp)
        assert net.engine.stats().subscriptions[0].subscription == subscription
        assert [layer.packets_received for layer in net.engine.stats().tracks[0].layers] == [2]

    def test_streams_that_go_are_forgotten(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        track = publisher.publish_video(layers=(InboundLayer(ssrc=100),))
        subscription = subscriber.subscribe(track)
        Vp8Source(publisher, 100).frame(key=True)
        config = TrackConfig(
            Kind.VIDEO,
            (InboundPayload(VIDEO_TYPE, Codec.VP8, 90_000),),
            (InboundLayer(ssrc=200),),
            extensions=EXTENSIONS,
        )
        net.take_events(StreamStarted, LayerChanged)
        net.engine.set_track_config(track, config)
        assert net.take_events(LayerChanged) == []
        Vp8Source(publisher, 100, seq=200).frame(key=True)
        Vp8Source(publisher, 200).frame(key=True)
        assert net.drops == {"unknown_ssrc": 1}
        assert net.take_events(LayerChanged) == [
            LayerChanged(subscription, None, None),
            LayerChanged(subscription, 0, 0),
        ]
        assert_contiguous(subscriber.rtp)


class TestPolicing:
    def test_packets_per_second(self, net: Net) -> None:
        publisher, subscriber = net.peer(config=TransportConfig(max_packets_per_s=100)), net.peer()
        subscriber.subscribe(publisher.publish_audio())
        source = Source(publisher, 2000, AUDIO_TYPE)
        for _ in range(300):
            source.send(b"x" * 20)
        assert len(subscriber.rtp) == 100
        net.advance(500 * MS)
        for _ in range(300):
            source.send(b"x" * 20)
        assert len(subscriber.rtp) == 150
        assert net.drops == {"policed": 450}

    def test_forged_packets_do_not_use_up_the_bucket(self, net: Net) -> None:
        publisher, subscriber = net.peer(config=TransportConfig(max_packets_per_s=10)), net.peer()
        subscriber.subscribe(publisher.publish_audio())
        source = Source(publisher, 2000, AUDIO_TYPE)
        good = publisher.protect(source.make(b"x" * 20))
        for _ in range(1_000):
            publisher.send_raw(good[:-1] + bytes([good[-1] ^ 1]))
        publisher.send_raw(good)
        assert len(subscriber.rtp) == 1
        assert net.drops == {"auth_failed": 1_000}

    @pytest.mark.parametrize("on_track", [False, True])
    def test_twice_the_granted_bitrate(self, net: Net, on_track: bool) -> None:
        granted = 1_000_000
        config = TransportConfig() if on_track else TransportConfig(max_bitrate_bps=granted)
        publisher, subscriber = net.peer(config=config), net.peer()
        track = publisher.publish_audio(max_bitrate_bps=granted if on_track else 0)
        subscriber.subscribe(track)
        source = Source(publisher, 2000, AUDIO_TYPE)
        received = 0
        for _ in range(500):
            for _ in range(5):
                source.send(b"x" * 500)  # 2 Mbit/s in 10 ms steps
            net.advance(10 * MS)
            received += sum(len(packet.payload) * 8 for packet in subscriber.take_rtp())
        assert received <= 6 * granted
        assert received >= 5 * granted * 0.9


class TestMisuse:
    TRACK = TrackConfig(Kind.AUDIO, (InboundPayload(AUDIO_TYPE, Codec.OPUS, 48_000),), (InboundLayer(ssrc=1),))
    SUBSCRIPTION = SubscriptionConfig(5, "0", "cname", {AUDIO_TYPE: OutboundPayload(OUT_AUDIO_TYPE)})

    @pytest.mark.parametrize(
        "call",
        [
            lambda engine, keys: engine.set_srtp(TransportHandle(9), keys),
            lambda engine, keys: engine.allow_path(TransportHandle(9), Net(engine).new_path()),
            lambda engine, keys: engine.set_path(TransportHandle(9), Net(engine).new_path()),
            lambda engine, keys: engine.remove_transport(TransportHandle(9)),
            lambda engine, keys: engine.add_track(TransportHandle(9), TestMisuse.TRACK),
            lambda engine, keys: engine.set_track_config(TrackHandle(9), TestMisuse.TRACK),
            lambda engine, keys: engine.set_track_muted(TrackHandle(9), True),
            lambda engine, keys: engine.remove_track(TrackHandle(9)),
            lambda engine, keys: engine.request_keyframe(TrackHandle(9), 0),
            lambda engine, keys: engine.request_keyframe(TrackHandle(1), 1),
            lambda engine, keys: engine.request_keyframe(TrackHandle(1), -1),
            lambda engine, keys: engine.add_subscription(TransportHandle(9), TrackHandle(1), TestMisuse.SUBSCRIPTION),
            lambda engine, keys: engine.add_subscription(TransportHandle(1), TrackHandle(9), TestMisuse.SUBSCRIPTION),
            lambda engine, keys: engine.set_target_layer(SubscriptionHandle(9), 0, 0),
            lambda engine, keys: engine.set_target_layer(SubscriptionHandle(1), -1, 0),
            lambda engine, keys: engine.set_subscription_paused(SubscriptionHandle(9), True),
            lambda engine, keys: engine.remove_subscription(SubscriptionHandle(9)),
        ],
    )
    def test_unknown_handles(self, engine: PacketEngine, call: Callable[[PacketEngine, SrtpKeys], None]) -> None:
        transport = engine.add_transport(TransportConfig())
        track = engine.add_track(transport, self.TRACK)
        engine.add_subscription(transport, track, self.SUBSCRIPTION)
        before = engine.stats()
        with pytest.raises(EngineError):
            call(engine, make_keys("x"))
        assert engine.stats() == before

    @pytest.mark.parametrize(
        "config",
        [
            replace(TRACK, layers=()),
            replace(TRACK, payloads=()),
            replace(TRACK, payloads=(InboundPayload(128, Codec.OPUS, 48_000),)),
            replace(TRACK, payloads=(InboundPayload(96, Codec.VP8, 90_000, 96),)),
            replace(TRACK, payloads=(InboundPayload(96, Codec.VP8, 0),)),
            replace(TRACK, layers=(InboundLayer(ssrc=1 << 32),)),
        ],
    )
    def test_track_that_cannot_be(self, engine: PacketEngine, config: TrackConfig) -> None:
        transport = engine.add_transport(TransportConfig())
        with pytest.raises(EngineError):
            engine.add_track(transport, config)
        assert engine.stats().tracks == []

    @pytest.mark.parametrize(
        "config",
        [
            replace(SUBSCRIPTION, ssrc=-1),
            replace(SUBSCRIPTION, rtx_ssrc=5),
            replace(SUBSCRIPTION, cache_packets=-1),
            replace(SUBSCRIPTION, payloads={AUDIO_TYPE: OutboundPayload(200)}),
            replace(SUBSCRIPTION, cname="x" * 256),
        ],
    )
    def test_subscription_that_cannot_be(self, engine: PacketEngine, config: SubscriptionConfig) -> None:
        transport = engine.add_transport(TransportConfig())
        track = engine.add_track(transport, self.TRACK)
        with pytest.raises(EngineError):
            engine.add_subscription(transport, track, config)

    def test_ssrc_of_another_subscription_of_the_transport(self, engine: PacketEngine) -> None:
        transport = engine.add_transport(TransportConfig())
        track = engine.add_track(transport, self.TRACK)
        engine.add_subscription(transport, track, self.SUBSCRIPTION)
        with pytest.raises(EngineError):
            engine.add_subscription(transport, track, self.SUBSCRIPTION)
        with pytest.raises(EngineError):
            engine.add_subscription(transport, track, replace(self.SUBSCRIPTION, ssrc=6, rtx_ssrc=5))

    def test_handles_are_never_reused(self, engine: PacketEngine) -> None:
        handles = []
        for _ in range(3):
            handles.append(engine.add_transport(TransportConfig()))
            engine.remove_transport(handles[-1])
        assert handles == [1, 2, 3]


class TestFactory:
    def test_every_kind_that_is_built(self, engine_kind: str) -> None:
        assert engine_name(engine_kind) == engine_kind
        assert engine_name("auto") in ("reference", "rust")
        for kind in ("auto", engine_kind):
            assert create_engine(kind, seed=1).stats().transports == []
            assert create_runtime(kind, seed=1).name == engine_name(kind)

    @pytest.mark.parametrize("kind", ["", "Reference", "fast"])
    def test_engines_that_are_not_there(self, kind: str) -> None:
        with pytest.raises(EngineError):
            create_engine(kind, seed=1)
        with pytest.raises(EngineError):
            create_runtime(kind, seed=1)


class TestFigures:
    def test_drops_have_every_reason(self, engine: PacketEngine) -> None:
        assert tuple(engine.stats().drops) == DROP_REASONS
        assert set(engine.stats().drops.values()) == {0}

    def test_counters(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        track = publisher.publish_audio()
        subscription = subscriber.subscribe(track)
        source = Source(publisher, 2000, AUDIO_TYPE)
        sent_bytes = 0
        for _ in range(10):
            data = publisher.protect(source.make(b"x" * 100, step=960))
            sent_bytes += len(data)
            publisher.send_raw(data)
        stats = net.engine.stats()
        assert (stats.packets_received, stats.bytes_received) == (10, sent_bytes)
        assert (stats.packets_sent, stats.bytes_sent) == (10, sum(map(len, subscriber.datagrams)))
        (layer,) = stats.tracks[0].layers
        assert (layer.packets_received, layer.bytes_received, layer.keyframes_received) == (10, 1_000, 10)
        assert (stats.subscriptions[0].subscription, stats.subscriptions[0].bytes_sent) == (subscription, 1_000)
        assert [one.packets_received for one in stats.transports] == [10, 0]
        assert [one.packets_sent for one in stats.transports] == [0, 10]
        net.engine.remove_transport(publisher.transport)
        net.engine.remove_transport(subscriber.transport)
        after = net.engine.stats()
        assert (after.packets_received, after.packets_sent) == (10, 10)
        assert (after.bytes_received, after.bytes_sent) == (stats.bytes_received, stats.bytes_sent)

    def test_bitrate_of_a_layer(self, net: Net) -> None:
        publisher = net.peer()
        publisher.publish_audio()
        source = Source(publisher, 2000, AUDIO_TYPE)
        for _ in range(300):
            source.send(b"x" * 125, step=480)
            net.advance(10 * MS)
        (layer,) = net.engine.stats().tracks[0].layers
        assert layer.bitrate_bps == pytest.approx(100_000, rel=0.03)
        net.advance(3 * SECOND)
        (layer,) = net.engine.stats().tracks[0].layers
        assert layer.bitrate_bps == 0

    def test_the_first_bitrate_counts_from_the_first_packet(self, net: Net) -> None:
        """However long the engine has run, and never from a moment in which only a keyframe came."""
        publisher = net.peer()
        publisher.publish_audio()
        net.advance(2_350 * MS, 10 * MS)
        source = Source(publisher, 2000, AUDIO_TYPE)
        seen = []
        for _ in range(200):
            source.send(b"x" * 125, step=480)
            net.advance(10 * MS)
            seen.append(net.engine.stats().tracks[0].layers[0].bitrate_bps)
        measured = [bitrate_bps for bitrate_bps in seen if bitrate_bps]
        assert seen[:79] == [0] * 79
        assert len(measured) > 20
        assert measured == [pytest.approx(100_000, rel=0.03)] * len(measured)


def test_removal_leaves_nothing(net: Net) -> None:
    publisher, subscriber = net.peer(), net.peer()
    video, audio = publisher.publish_video(), publisher.publish_audio()
    subscriber.subscribe(video)
    subscriber.subscribe(audio, ssrc=6000)
    Vp8Source(publisher, 1000).frame(key=True)
    net.engine.remove_track(video)
    assert [one.track for one in net.engine.stats().tracks] == [audio]
    assert len(net.engine.stats().subscriptions) == 1
    net.engine.remove_transport(publisher.transport)
    stats = net.engine.stats()
    assert (stats.tracks, stats.subscriptions) == ([], [])
    net.advance(SECOND)
    net.deliver(publisher.path, bytes([22]))
    assert net.drops == {"unknown_path": 1}
    net.engine.remove_transport(subscriber.transport)
    assert net.engine.next_timeout_ns() is None
    for handle in (publisher.transport, subscriber.transport):
        with pytest.raises(EngineError):
            net.engine.remove_transport(handle)


def test_subscriber_that_goes_leaves_the_publisher_alone(net: Net) -> None:
    publisher, gone, stays = net.peer(), net.peer(), net.peer()
    track = publisher.publish_audio()
    gone.subscribe(track)
    subscription = stays.subscribe(track)
    net.engine.remove_transport(gone.transport)
    assert [one.subscription for one in net.engine.stats().subscriptions] == [subscription]
    Source(publisher, 2000, AUDIO_TYPE).send(b"x" * 20)
    assert (len(gone.rtp), len(stays.rtp)) == (0, 1)


def test_calls_that_end_leave_no_objects(net: Net) -> None:
    def call() -> None:
        publisher, subscriber = net.peer(), net.peer()
        layers = (InboundLayer(rid="q"), InboundLayer(rid="f"))
        video = publisher.publish_video(layers=layers, mid="1", keyframe_cache_bytes=1 << 20)
        subscriber.subscribe(video)
        source = Vp8Source(publisher, 4242, extensions={4: b"1", 10: b"f"})
        source.frame(key=True)
        for _ in range(20):
            source.frame()
            net.advance(30 * MS)
        # One that is in the middle of its replay when all ends.
        subscriber.subscribe(video, ssrc=6000)
        net.advance(10 * MS)
        net.engine.remove_transport(publisher.transport)
        net.engine.remove_transport(subscriber.transport)
        net.peers.clear()
        net.events.clear()

    def count_objects() -> int:
        gc.collect()
        return len(gc.get_objects())

    call()
    before = count_objects()
    for _ in range(10):
        call()
    assert count_objects() - before < 50


def test_equal_seeds_and_calls_give_equal_bytes(engine_kind: str) -> None:
    def run(seed: int) -> list[list[bytes]]:
        net = Net(create_engine(engine_kind, seed=seed))
        publisher, subscribers = net.peer(), [net.peer() for _ in range(3)]
        video, audio = publisher.publish_video(), publisher.publish_audio()
        for index, subscriber in enumerate(subscribers):
            subscriber.subscribe(video, ssrc=5000 + index * 10)
            subscriber.subscribe(audio, ssrc=6000 + index * 10)
        frames = Vp8Source(publisher, 1000, extensions={3: b"\0\1"})
        sounds = Source(publisher, 2000, AUDIO_TYPE, extensions={1: b"\x10"})
        for n in range(50):
            frames.frame(key=n % 20 == 0, packets=3)
            sounds.send(bytes([n]) * 30, step=960)
            if n % 7 == 0:
                frames.skip(2)
                publisher.send_rtcp(rtcp.build_sr(rtcp.SenderReport(1000, n << 40, frames.timestamp, n, n)))
            net.advance(30 * MS)
            for subscriber in subscribers:
                subscriber.send_rtcp(rtcp.build_nack(1, subscriber.rtp[-2].ssrc, [subscriber.rtp[-2].seq]))
        return [peer.datagrams for peer in (publisher, *subscribers)]

    first, second = run(3), run(3)
    assert first == second
    assert sum(map(len, first)) > 600
    assert run(4) != first

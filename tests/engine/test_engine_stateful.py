"""Random interleavings of commands, packets, losses and timeouts.

Whatever happens: nothing raises, everything that leaves authenticates with the keys of its transport (`Peer.receive`
fails otherwise), no sequence number of an SSRC is used for two different packets, and state stays bounded.
"""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfu.engine import create_engine
from sfu.engine.api import Codec, EngineStats, InboundLayer, InboundPayload, PacketEngine, TransportConfig
from sfu.engine.reference import rtcp
from sfu.engine.reference.rtp import RtpPacket
from sfu.ids import SubscriptionHandle, TrackHandle
from tests.engine.harness import AUDIO_TYPE, MS, RTX_TYPE, VIDEO_TYPE, Net, Peer, Source, Vp8Source, make_keys

ACTIONS = (
    "frame", "frame", "frame", "frame", "frame", "audio", "audio", "audio", "lose", "late", "late", "padding", "rtx",
    "noise", "nack", "nack", "pli", "report", "tick", "tick", "tick", "wait", "target", "pause", "mute", "subscribe",
    "unsubscribe", "rekey", "move", "replay",
)  # fmt: skip


class World:
    """Two publishers (simulcast VP8 and audio each), up to six subscriptions, and an action for each name."""

    def __init__(self, engine: PacketEngine, seed: int) -> None:
        self.chaos = random.Random(seed)
        self.net = Net(engine)
        config = TransportConfig(max_ssrcs=16)
        self.publishers = [self.net.peer(config=config) for _ in range(2)]
        self.subscribers = [self.net.peer(config=config) for _ in range(3)]
        self.video: list[TrackHandle] = []
        self.layers: list[list[Vp8Source]] = []
        self.audio: list[Source] = []
        self.tracks: list[TrackHandle] = []
        layers = (InboundLayer(ssrc=100, rtx_ssrc=101), InboundLayer(ssrc=200, rtx_ssrc=201))
        for peer in self.publishers:
            self.tracks += [peer.publish_video(layers=layers, keyframe_cache_bytes=20_000), peer.publish_audio()]
            starts = (0, 30_000, 65_500)
            self.layers.append([Vp8Source(peer, ssrc, seq=self.chaos.choice(starts)) for ssrc in (100, 200)])
            self.audio.append(Source(peer, 2000, AUDIO_TYPE, seq=65_530, extensions={1: b"\x20"}))
        self.subscriptions: dict[SubscriptionHandle, tuple[Peer, int]] = {}
        self.held: list[tuple[Peer, bytes]] = []
        self.sent: list[tuple[Peer, bytes]] = []
        self.next_ssrc = 5000
        self.rekeys = 0
        self.rtx_seq = 65_500

    def act(self, name: str) -> None:
        getattr(self, f"do_{name}")()

    def source(self) -> Vp8Source:
        return self.chaos.choice(self.chaos.choice(self.layers))

    def deliver(self, peer: Peer, packet: RtpPacket) -> None:
        self.deliver_raw(peer, peer.protect(packet))

    def deliver_raw(self, peer: Peer, data: bytes) -> None:
        self.sent = [*self.sent[-50:], (peer, data)]
        peer.send_raw(data)

    def do_frame(self) -> None:
        source = self.source()
        key, temporal = self.chaos.random() < 0.2, self.chaos.randrange(3)
        made = source.make_frame(key=key, temporal=temporal, sync=True, packets=self.chaos.randrange(1, 4))
        for packet in made:
            roll = self.chaos.random()
            if roll < 0.1:
                self.held.append((source.peer, source.peer.protect(packet)))
            elif roll > 0.03:
                self.deliver(source.peer, packet)

    def do_audio(self) -> None:
        source = self.chaos.choice(self.audio)
        self.deliver(source.peer, source.make(self.chaos.randbytes(30), step=960))

    def do_lose(self) -> None:
        self.source().skip(self.chaos.choice((1, 2, 5, 600)))

    def do_late(self) -> None:
        if self.held:
            self.deliver_raw(*self.held.pop(self.chaos.randrange(len(self.held))))

    def do_padding(self) -> None:
        source = self.source()
        self.deliver(source.peer, source.make(b"", padding=self.chaos.randrange(1, 255)))

    def do_rtx(self) -> None:
        source = self.source()
        if source.sent:
            original = self.chaos.choice(source.sent[-20:])
            payload = original.seq.to_bytes(2, "big") + original.payload
            self.rtx_seq += 1
            ssrc, seq = source.ssrc + 1, self.rtx_seq & 0xFFFF
            self.deliver(
                source.peer, RtpPacket(RTX_TYPE, original.marker, seq, original.timestamp, ssrc, payload=payload)
            )

    def do_noise(self) -> None:
        peer = self.chaos.choice(self.publishers + self.subscribers)
        peer.send_raw(self.chaos.randbytes(self.chaos.randrange(80)))

    def do_nack(self) -> None:
        peer = self.chaos.choice(self.subscribers)
        media = [packet for packet in peer.rtp[-40:] if packet.ssrc % 2 == 0]
        if media:
            packet = self.chaos.choice(media)
            peer.send_rtcp(rtcp.build_nack(1, packet.ssrc, [packet.seq, (packet.seq + 3) & 0xFFFF]))

    def do_pli(self) -> None:
        if self.subscriptions:
            peer, ssrc = self.chaos.choice(list(self.subscriptions.values()))
            peer.send_rtcp(rtcp.build_pli(1, ssrc))

    def do_report(self) -> None:
        source = self.source()
        report = rtcp.SenderReport(source.ssrc, self.net.now_ns << 2, source.timestamp, 1, 1)
        source.peer.send_rtcp(rtcp.build_sr(report))

    def do_tick(self) -> None:
        self.net.advance(10 * MS)

    def do_wait(self) -> None:
        self.net.advance(2_500 * MS, 100 * MS)

    def do_target(self) -> None:
        if self.subscriptions:
            handle = self.chaos.choice(list(self.subscriptions))
            self.net.engine.set_target_layer(handle, self.chaos.randrange(3), self.chaos.randrange(3))

    def do_pause(self) -> None:
        if self.subscriptions:
            handle = self.chaos.choice(list(self.subscriptions))
            self.net.engine.set_subscription_paused(handle, self.chaos.random() < 0.3)

    def do_mute(self) -> None:
        self.net.engine.set_track_muted(self.chaos.choice(self.tracks), self.chaos.random() < 0.3)

    def do_subscribe(self) -> None:
        if len(self.subscriptions) < 6:
            peer = self.chaos.choice(self.subscribers)
            self.next_ssrc += 2
            handle = peer.subscribe(self.chaos.choice(self.tracks), ssrc=self.next_ssrc, cache_packets=32)
            self.subscriptions[handle] = (peer, self.next_ssrc)

    def do_unsubscribe(self) -> None:
        if self.subscriptions:
            handle = self.chaos.choice(list(self.subscriptions))
            del self.subscriptions[handle]
            self.net.engine.remove_subscription(handle)

    def do_rekey(self) -> None:
        peer = self.chaos.choice(self.publishers + self.subscribers)
        self.rekeys += 1
        self.check_numbers(peer)
        peer.take_rtp()
        peer.use_keys(make_keys(f"rekey {self.rekeys}"))
        self.net.engine.set_srtp(peer.transport, peer.keys)

    def do_move(self) -> None:
        peer = self.chaos.choice(self.publishers + self.subscribers)
        peer.path = self.net.new_path()
        self.net.peers[peer.path] = peer
        self.net.engine.set_path(peer.transport, peer.path)

    def do_replay(self) -> None:
        if self.sent:
            peer, data = self.chaos.choice(self.sent)
            peer.send_raw(data)

    @staticmethod
    def check_numbers(peer: Peer) -> None:
        numbers = [(packet.ssrc, packet.seq) for packet in peer.rtp]
        assert len(set(numbers)) == len(numbers)

    def check(self) -> EngineStats:
        stats = self.net.engine.stats()
        for peer in self.subscribers:
            self.check_numbers(peer)
        assert len(stats.subscriptions) == len(self.subscriptions)
        assert all(sum(layer.ssrc is not None for layer in track.layers) <= 16 for track in stats.tracks)
        assert self.net.astray == []
        return stats


@given(st.integers(0, 2**32), st.lists(st.sampled_from(ACTIONS), min_size=50, max_size=250))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_lives(engine_kind: str, seed: int, actions: list[str]) -> None:
    world = World(create_engine(engine_kind, seed=seed), seed)
    for _ in range(3):
        world.do_subscribe()
    for name in actions:
        world.act(name)
    world.check()
    for publisher in world.publishers:
        world.net.engine.remove_transport(publisher.transport)
    world.net.advance(100 * MS)
    assert world.net.engine.stats().subscriptions == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_long_life(engine_kind: str, seed: int) -> None:
    world = World(create_engine(engine_kind, seed=seed), seed)
    for _ in range(15_000):
        world.act(world.chaos.choice(ACTIONS))
        if len(world.net.peers) > 200:
            known = {peer.path for peer in world.publishers + world.subscribers}
            world.net.peers = {path: peer for path, peer in world.net.peers.items() if path in known}
    stats = world.check()
    assert stats.packets_sent > 1_000


@given(
    st.sampled_from([Codec.VP8, Codec.VP9, Codec.H264, Codec.AV1, Codec.RED]),
    st.lists(st.binary(min_size=0, max_size=48), min_size=1, max_size=60),
)
@settings(max_examples=60, deadline=None)
def test_any_payload_of_any_codec(engine_kind: str, codec: Codec, payloads: list[bytes]) -> None:
    net = Net(create_engine(engine_kind, seed=1))
    publisher, subscriber = net.peer(), net.peer()
    track = publisher.publish_video(payloads=(InboundPayload(VIDEO_TYPE, codec, 90_000, RTX_TYPE),))
    subscriber.subscribe(track)
    source = Source(publisher, 1000, VIDEO_TYPE, seq=65_520)
    for payload in payloads:
        source.send(payload, step=3000)
    World.check_numbers(subscriber)
    seqs = [packet.seq for packet in subscriber.rtp]
    assert all((after - before) & 0xFFFF == 1 for before, after in itertools.pairwise(seqs))

"""Transports that go on in another group: nobody on the wire notices, in whichever engine's part they are then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sfu.engine import create_engine, engine_name
from sfu.engine.api import EngineStats, PacketEngine, TransportConfig
from sfu.engine.reference import rtcp
from sfu.errors import EngineError
from sfu.ids import TrackHandle, TransportHandle
from tests.engine.harness import AUDIO_TYPE, MS, SECOND, Net, Source, Vp8Source, assert_contiguous, seqs_of

OLD, NEW = TransportConfig(group=1), TransportConfig(group=2)


@pytest.fixture(params=["reference", "rust", "rust, in three parts"])
def engine(request: pytest.FixtureRequest) -> PacketEngine:
    kind, _, parts = request.param.partition(",")
    try:
        engine_name(kind)
    except EngineError:
        pytest.skip("the Rust engine is not built")
    if not parts:
        return create_engine(kind, seed=7)
    from sfu.engine.native import load

    engine: PacketEngine = load().PacketEngine(7, 3)
    return engine


class Call:
    """A publisher of video and sound and its viewer in the old group; others in the new one, so that the
    tables of its engine are not empty."""

    def __init__(self, net: Net) -> None:
        self.net, self.engine = net, net.engine
        self.old_mate, self.publisher, self.viewer = (net.peer(config=OLD) for _ in range(3))
        self.others = [net.peer(config=NEW) for _ in range(3)]
        for peer in self.others[1:]:
            peer.subscribe(self.others[0].publish_audio() if peer is self.others[1] else self.other_track())
        self.track = self.publisher.publish_video(keyframe_cache_bytes=50_000)
        self.sound = self.publisher.publish_audio()
        self.subscription = self.viewer.subscribe(self.track)
        self.viewer.subscribe(self.sound, ssrc=6000)
        self.source = Vp8Source(self.publisher, 1000, seq=65_530)
        self.voice = Source(self.publisher, 2000, AUDIO_TYPE, seq=65_534)

    def other_track(self) -> TrackHandle:
        return self.engine.stats().tracks[0].track

    def talk(self, frames: int = 8) -> None:
        for _ in range(frames):
            self.source.frame()
            self.voice.send(b"sound", step=960)
            self.net.advance(20 * MS)

    def move(self) -> None:
        self.engine.set_group([self.publisher.transport, self.viewer.transport], 2)

    def join(self) -> None:
        """Who shares no subscription comes along."""
        self.engine.join_groups(1, 2)


def without_rates(stats: EngineStats) -> EngineStats:
    tracks = [replace(one, layers=[replace(layer, bitrate_bps=0) for layer in one.layers]) for one in stats.tracks]
    return replace(stats, tracks=tracks)


@pytest.mark.parametrize("change", [Call.move, Call.join])
def test_media_flows_on(net: Net, change: Callable[[Call], None]) -> None:
    call = Call(net)
    call.source.frame(key=True)
    call.talk()
    before = call.engine.stats()
    change(call)
    assert without_rates(call.engine.stats()) == without_rates(before)
    call.talk()
    received = call.viewer.take_rtp()
    for ssrc in (5000, 6000):
        media = [packet for packet in received if packet.ssrc == ssrc]
        assert len(media) == (17 if ssrc == 5000 else 16)
        assert_contiguous(media)
    # What was sent before is still held, the pace of what is lost still known.
    first = next(packet for packet in received if packet.ssrc == 5000)
    call.viewer.send_rtcp(rtcp.build_nack(1, 5000, [first.seq]))
    [resent] = call.viewer.take_rtp()
    assert (resent.ssrc, resent.payload[:2]) == (5001, first.seq.to_bytes(2, "big"))
    after = call.engine.stats()
    assert after.packets_received > before.packets_received
    [sent] = [one for one in after.subscriptions if one.subscription == call.subscription]
    assert (sent.packets_sent, sent.retransmitted_packets_sent, sent.nack_misses) == (17, 1, 0)
    assert {reason: count for reason, count in net.drops.items() if count} == {}


def test_the_keyframe_cache_comes_along_and_the_new_group_can_subscribe(net: Net) -> None:
    call = Call(net)
    call.source.frame(key=True)
    call.talk(3)
    call.move()
    late = call.others[2]
    late.subscribe(call.track, ssrc=7000)
    net.advance(100 * MS)
    video = [packet for packet in late.take_rtp() if packet.ssrc == 7000]
    assert len(video) == 4
    assert_contiguous(video)
    call.talk(2)
    video += [packet for packet in late.take_rtp() if packet.ssrc == 7000]
    assert seqs_of(video)[-1] - seqs_of(video)[0] == 5
    with pytest.raises(EngineError) as caught:
        call.old_mate.subscribe(call.track)
    assert caught.value.code == "other_group"


def test_a_loss_from_before_is_asked_for_afterwards(net: Net) -> None:
    call = Call(net)
    call.source.frame(key=True)
    call.source.skip()
    call.source.frame()
    call.move()
    call.publisher.take_rtcp()
    net.advance(20 * MS)
    [nack] = call.publisher.take_rtcp(rtcp.Nack)
    assert list(nack.seqs) == [65_531]


def test_there_and_back_again_and_everything_can_end(net: Net) -> None:
    call = Call(net)
    call.source.frame(key=True)
    handles = [call.publisher.transport, call.viewer.transport]
    for group in (2, 3, 4, 1, 2):
        call.engine.set_group(handles, group)
        call.talk(2)
    assert_contiguous([packet for packet in call.viewer.take_rtp() if packet.ssrc == 5000])
    call.engine.remove_subscription(call.subscription)
    call.engine.remove_track(call.sound)
    call.engine.set_group(handles[:1], 1)
    call.engine.remove_transport(handles[1])
    call.engine.remove_transport(handles[0])
    ends: list[Callable[[], Any]] = [
        lambda: call.engine.remove_transport(handles[0]),
        lambda: call.engine.set_track_muted(call.track, True),
        lambda: call.engine.set_subscription_paused(call.subscription, True),
    ]
    for end, what in zip(ends, ("transport", "track", "subscription"), strict=True):
        with pytest.raises(EngineError) as caught:
            end()
        assert caught.value.code == f"unknown_{what}"
    call.source.frame()
    assert net.drops == {"unknown_path": 1}
    net.advance(SECOND)


def test_what_cannot_be_is_refused_and_changes_nothing(net: Net) -> None:
    call = Call(net)
    engine, one, two = call.engine, call.publisher.transport, call.viewer.transport
    calls: list[tuple[Callable[[], None], str]] = [
        (lambda: engine.set_group([one], 2), "still_subscribed"),
        (lambda: engine.set_group([two], 2), "still_subscribed"),
        (lambda: engine.set_group([one, two, call.others[0].transport], 3), "invalid_config"),
        (lambda: engine.set_group([one, two, TransportHandle(99)], 3), "unknown_transport"),
        (lambda: engine.set_group([one, two], -1), "invalid_config"),
        (lambda: engine.join_groups(1, -1), "invalid_config"),
    ]
    for refused, code in calls:
        with pytest.raises(EngineError) as caught:
            refused()
        assert caught.value.code == code
    engine.set_group([], 2)
    engine.join_groups(77, 2)
    call.source.frame(key=True)
    assert len(call.viewer.take_rtp()) == 1
    call.old_mate.subscribe(call.track)


def test_a_path_goes_to_whoever_gets_it_after_a_move(net: Net) -> None:
    call = Call(net)
    call.move()
    path = call.publisher.path
    call.engine.set_path(call.old_mate.transport, path)
    call.source.frame(key=True)
    assert call.viewer.take_rtp() == []
    call.engine.forget_path(path)
    call.source.frame(key=True)
    assert net.drops.get("unknown_path") == 1


def test_a_subscription_of_a_moved_transport_obeys(net: Net) -> None:
    call = Call(net)
    call.source.frame(key=True)
    call.move()
    call.viewer.take_rtp()
    call.engine.set_subscription_paused(call.subscription, True)
    call.talk(2)
    assert {packet.ssrc for packet in call.viewer.take_rtp()} == {6000}

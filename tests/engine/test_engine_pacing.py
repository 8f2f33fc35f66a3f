"""Video towards a line that has shown a limit: spread, behind sound and resends, and left out by layers and frames."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from sfu.engine import create_engine
from sfu.engine.api import OVERHEAD_BYTES, TICK_NS, PacketEngine
from sfu.engine.reference import rtcp
from sfu.engine.reference.congestion.estimate import START_NS
from sfu.engine.reference.rtp import RtpPacket
from tests.engine.harness import MS, OUT_RTX_TYPE, parse_vp8
from tests.engine.line import Line
from tests.engine.test_engine_congestion import Call
from tests.engine.twin import TwinEngine

KEYFRAME_PACKETS, PACKET_BYTES = 40, 1_000
FRAME_MS = 30


class Show(Call):
    """A call whose keyframes are large, and come when they are asked for. The line was narrow for a second."""

    is_judged = True
    """Whether the picture is paused where the estimate has no room for it."""
    delta_packets = 1
    temporal_layers = 1

    def __init__(self, engine: PacketEngine, bps: int, *, seed: int = 1) -> None:
        super().__init__(engine, Line(lambda now_ms: 200_000 if 500 <= now_ms < 1_500 else bps), seed=seed)
        self.wants_keyframe = True
        self.frames = 0
        self.left: list[tuple[int, RtpPacket]] = []
        self.resent_ms: list[int] = []

    def send_picture(self) -> None:
        is_key, self.wants_keyframe = self.wants_keyframe, False
        self.frames = 0 if is_key else self.frames + 1
        temporal = self.frames % 2 if self.temporal_layers == 2 else 0
        packets = KEYFRAME_PACKETS if is_key else self.delta_packets
        step = 90 * FRAME_MS
        for packet in self.camera.make_frame(
            key=is_key, temporal=temporal, sync=temporal > 0, packets=packets, step=step
        ):
            packet.payload += bytes(PACKET_BYTES - len(packet.payload))
            self.camera.peer.send(packet)

    def step(self) -> None:
        super().step()
        asked = self.camera.peer.take_rtcp(rtcp.Pli)
        self.wants_keyframe = self.wants_keyframe or bool(asked)

    def carry(self) -> None:
        self.left += [(self.now_ms, one) for one in self.subscriber.rtp if one.ssrc == 5000]
        self.resent_ms += [
            self.now_ms for one in self.subscriber.rtp if one.payload_type == OUT_RTX_TYPE and not one.padding_bytes
        ]
        super().carry()

    def judge(self, bitrate_bps: int) -> None:
        if self.is_judged:
            super().judge(bitrate_bps)

    def until_limited(self) -> int:
        """Run until there is an estimate and the picture is there again; returns the estimate."""
        self.run(4_000)
        estimate_bps = self.stats().estimate_bps
        assert estimate_bps is not None
        return estimate_bps

    def bytes_left(self, begin_ms: int, end_ms: int) -> int:
        return sum(len(one.payload) + OVERHEAD_BYTES for at_ms, one in self.left if begin_ms <= at_ms < end_ms)


class Mute(Show):
    """Whose subscriber numbers what it gets and never says so."""

    def report(self) -> None:
        self.flight.clear()


def assert_unbroken(packets: list[RtpPacket]) -> None:
    """Numbers without a gap, in order."""
    seqs = [one.seq for one in packets]
    assert seqs == [(seqs[0] + index) & 0xFFFF for index in range(len(seqs))]


def assert_sound_is_whole(show: Show, wait_ms: int = 200) -> None:
    """Each packet leaves as it comes, is not lost, and waits for a fifth of a second at most on the way."""
    first_ms = show.sound_ms[0][0]
    assert [at_ms for at_ms, _ in show.sound_ms] == list(range(first_ms, show.now_ms + 1, 20))
    assert all(took_ms is not None and took_ms <= 40 + wait_ms for _, took_ms in show.sound_ms)


def test_a_keyframe_is_spread_and_sound_leaves_at_once(engine_kind: str) -> None:
    show = Show(create_engine(engine_kind, seed=1), 1_000_000)
    show.until_limited()
    begin_ms, show.wants_keyframe = show.now_ms, True
    show.left.clear()
    show.sound_ms.clear()
    show.run(begin_ms + 1_000)
    estimate_bps = max(bps for _, bps in show.told)
    for at_ms in range(begin_ms, begin_ms + 900, 10):
        allowed = 25 * estimate_bps * (100 + 2 * TICK_NS // MS) // 80_000 + PACKET_BYTES + OVERHEAD_BYTES
        assert show.bytes_left(at_ms, at_ms + 100) <= allowed
    assert show.bytes_left(begin_ms, begin_ms + 50) < KEYFRAME_PACKETS * PACKET_BYTES // 2
    # The estimate is a little more than the line takes at that moment.
    assert_sound_is_whole(show, 220)
    packets = [one for _, one in show.left]
    assert len({one.timestamp for one in packets}) >= 30
    assert_unbroken(packets)
    assert show.net.drops == {}


def test_before_the_first_feedback_video_leaves_slowly_and_sound_at_once(engine_kind: str) -> None:
    """What a narrow queue can hold, then no more than it may take, until the line is known or half a second is over."""
    show = Show(create_engine(engine_kind, seed=1), 10_000_000)
    show.run(79)
    assert 20_000 <= show.bytes_left(0, 31) <= 2_500_000 // 8 * 9 // 100
    assert show.bytes_left(0, 80) <= 2_500_000 // 8 * 14 // 100
    assert_sound_is_whole(show)
    show.run(300)
    assert len([one for _, one in show.left]) >= KEYFRAME_PACKETS
    assert_unbroken([one for _, one in show.left])


def test_who_never_gives_feedback_waits_for_half_a_second_at_most(engine_kind: str) -> None:
    show = Mute(create_engine(engine_kind, seed=1), 10_000_000)
    show.run(START_NS // MS + 60)
    assert show.stats().acknowledged_bps == 0
    begin_ms, show.wants_keyframe = show.now_ms, True
    show.left.clear()
    show.run(begin_ms + FRAME_MS)
    assert len({at_ms for at_ms, _ in show.left}) == 1
    assert len(show.left) == KEYFRAME_PACKETS


def test_without_an_estimate_nothing_is_held(engine_kind: str) -> None:
    show = Show(create_engine(engine_kind, seed=1), 10_000_000)
    show.run(300)
    assert show.stats().estimate_bps is None
    show.left.clear()
    show.wants_keyframe = True
    show.run(330)
    assert [at_ms for at_ms, _ in show.left] == [330] * KEYFRAME_PACKETS


def test_resends_leave_before_video_that_waits(engine_kind: str) -> None:
    show = Show(create_engine(engine_kind, seed=1), 1_000_000)
    show.until_limited()
    show.wants_keyframe = True
    show.run(show.now_ms + FRAME_MS + 20)
    newest = show.left[-1][1].seq
    show.subscriber.send_rtcp(rtcp.build_nack(1, 5000, [newest - 1, newest]))
    before = len(show.left)
    show.step()
    assert show.resent_ms == [show.now_ms] * 2
    show.run(show.now_ms + 500)
    assert len(show.left) > before
    assert_unbroken([one for _, one in show.left])


def test_what_waits_when_the_track_is_muted_never_leaves(engine_kind: str) -> None:
    show = Show(create_engine(engine_kind, seed=1), 1_000_000)
    show.until_limited()
    show.wants_keyframe = True
    show.run(show.now_ms + FRAME_MS + 10)
    show.net.engine.set_track_muted(show.video, True)
    show.left.clear()
    show.run(show.now_ms + 1_000)
    assert show.left == []
    show.net.engine.set_track_muted(show.video, False)
    show.run(show.now_ms + 1_000)
    assert len(show.left) > KEYFRAME_PACKETS


def test_a_newer_keyframe_takes_the_place_of_what_waits(engine_kind: str) -> None:
    show = Show(create_engine(engine_kind, seed=1), 1_000_000)
    show.until_limited()
    show.left.clear()
    for _ in range(4):
        show.wants_keyframe = True
        show.run(show.now_ms + 2 * FRAME_MS)
    show.run(show.now_ms + 1_000)
    assert show.net.drops["pacer_full"] > KEYFRAME_PACKETS
    packets = [one for _, one in show.left]
    assert_unbroken(packets)
    whole = {one.timestamp for one in packets if one.marker}
    assert len({one.timestamp for one in packets} - whole) <= 3


def test_the_upper_temporal_layer_goes_first(engine_kind: str) -> None:
    """A picture that would take 1.5 times the line, half of it in its upper layer: all frames of the lower one."""
    show = Show(create_engine(engine_kind, seed=1), 400_000)
    show.is_judged = False
    show.temporal_layers = 2
    show.delta_packets = 2
    show.run(9_000)
    show.left.clear()
    show.sound_ms.clear()
    show.run(12_000)
    packets = [one for _, one in show.left]
    assert_unbroken(packets)
    temporal = Counter(parse_vp8(one.payload).temporal for one in packets)
    assert temporal[0] > 4 * temporal[1]
    assert_sound_is_whole(show)


def test_much_too_much_is_bounded_and_whole_frames_are_left_out(engine_kind: str) -> None:
    """Five Mbit/s, never paused, at a tenth of it: complete frames of now, and sound as ever."""
    show = Show(create_engine(engine_kind, seed=1), 500_000)
    show.is_judged = False
    show.delta_packets = 20
    show.run(8_000)
    show.left.clear()
    show.sound_ms.clear()
    show.run(14_000)
    packets = [one for _, one in show.left]
    assert_unbroken(packets)
    assert show.net.drops["pacer_full"] > 100
    whole = {one.timestamp for one in packets if one.marker}
    assert whole
    assert_sound_is_whole(show)


@pytest.mark.usefixtures("both_engines")
@pytest.mark.parametrize("seed", range(6))
def test_both_engines_hold_and_leave_out_alike(seed: int) -> None:
    """With commands of every kind between: equal bytes, events and figures at every call."""
    chance = random.Random(seed)
    show = Show(TwinEngine(seed=seed), chance.choice((150_000, 400_000, 1_000_000)), seed=seed)
    show.is_judged = chance.random() < 0.5
    show.temporal_layers = chance.choice((1, 2))
    show.delta_packets = chance.choice((1, 3, 12))
    engine = show.net.engine
    for _ in range(700):
        show.step()
        act = chance.random()
        if act < 0.02:
            show.wants_keyframe = True
        elif act < 0.03:
            engine.set_track_muted(show.video, chance.random() < 0.3)
        elif act < 0.04:
            engine.set_subscription_paused(show.picture, chance.random() < 0.3)
        elif act < 0.05:
            engine.set_target_layer(show.picture, 0, chance.randrange(3))
        elif act < 0.07:
            show.camera.skip(chance.randrange(1, 4))
        elif act < 0.08 and show.left:
            newest = show.left[-1][1].seq
            show.subscriber.send_rtcp(rtcp.build_nack(1, 5000, [newest - index & 0xFFFF for index in range(5)]))
        if show.now_ms % 500 == 0:
            show.stats()
    show.net.engine.set_track_muted(show.video, False)
    show.run(show.now_ms + 1_000)

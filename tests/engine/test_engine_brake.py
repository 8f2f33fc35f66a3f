"""A publisher whose line becomes narrow is told at once to send less, and asked for nothing until the queue is gone."""

from __future__ import annotations

import heapq
import random

import pytest

from sfu.engine import create_engine
from sfu.engine.api import OVERHEAD_BYTES, Extension, PacketEngine, UplinkNarrowed
from sfu.engine.reference import rtcp
from sfu.engine.reference.congestion.brake import FREE_BPS, MAX_HELD_NS, MIN_BPS
from sfu.engine.reference.rtp import RtpPacket
from tests.engine.harness import AUDIO_TYPE, EXTENSIONS, MS, SECOND, Net, Source, Vp8Source
from tests.engine.line import Line
from tests.engine.twin import TwinEngine

STEP_MS = 10
FRAMES_PER_S = 12
VIDEO_BPS = 500_000
SOUND_BPS = 50 * 8 * (80 + OVERHEAD_BYTES)
WIDE_BPS = 10_000_000
SEND_TIME, NUMBER = EXTENSIONS[Extension.ABS_SEND_TIME], EXTENSIONS[Extension.TRANSPORT_CC]


class Uplink:
    """A publisher of sound and a picture behind a line, who does what REMB says as soon as it is there, and nothing by
    itself."""

    obeys = True
    clock_offset_ns = 0

    def __init__(self, engine: PacketEngine, line: Line, *, seed: int = 1) -> None:
        self.net, self.line, self.chance = Net(engine), line, random.Random(seed)
        self.peer, viewer = self.net.peer(), self.net.peer()
        self.viewer = viewer
        viewer.subscribe(self.peer.publish_video(), ssrc=5000)
        viewer.subscribe(self.peer.publish_audio(), ssrc=6000, rtx_ssrc=None)
        self.camera, self.microphone = Vp8Source(self.peer, 1000), Source(self.peer, 2000, AUDIO_TYPE)
        self.now_ms = self.shown = self.number = self.sent = 0
        self.flight: list[tuple[int, int, bytes]] = []
        self.feedback: list[tuple[int, rtcp.RtcpPacket]] = []
        self.limit_bps = FREE_BPS
        self.told: list[tuple[int, int]] = []
        """(when it left the server, bits per second)."""
        self.asked: list[tuple[int, type]] = []
        self.sound_ms: list[tuple[int, int | None]] = []

    def run(self, until_ms: int) -> None:
        while self.now_ms < until_ms:
            self.step()

    def step(self) -> None:
        self.now_ms += STEP_MS
        self.arrive()
        self.net.advance(STEP_MS * MS, STEP_MS * MS)
        self.hear()
        if self.now_ms % 20 == 0:
            self.sound_ms.append((self.now_ms, self.send(self.microphone.make(bytes(80), step=960))))
        if self.now_ms * FRAMES_PER_S // 1_000 > self.shown:
            self.shown += 1
            self.send_picture()

    def send_picture(self) -> None:
        rate_bps = min(VIDEO_BPS, self.limit_bps - SOUND_BPS) if self.obeys else VIDEO_BPS
        size = rate_bps // FRAMES_PER_S // 8 // 5
        for packet in self.camera.make_frame(key=self.shown % 40 == 1, packets=5, step=7_500):
            packet.payload += bytes(max(0, size - len(packet.payload) - OVERHEAD_BYTES))
            self.send(packet)

    def send(self, packet: RtpPacket) -> int | None:
        """How many ms it will be on its way; None: lost."""
        now_ns = self.now_ms * MS
        self.number += 1
        ticks = ((now_ns + self.clock_offset_ns) * (1 << 18) // SECOND) & 0xFFFFFF
        packet.extensions = {NUMBER: (self.number & 0xFFFF).to_bytes(2, "big"), SEND_TIME: ticks.to_bytes(3, "big")}
        arrival_ns = self.line.carry(now_ns, len(packet.payload) + OVERHEAD_BYTES, self.chance)
        if arrival_ns is None:
            return None
        heapq.heappush(self.flight, (arrival_ns, self.number, self.peer.protect(packet)))
        return (arrival_ns - now_ns) // MS

    def arrive(self) -> None:
        """What has arrived by now, each at its own time."""
        begin_ns = self.net.now_ns - (self.now_ms - STEP_MS) * MS
        now_ns = self.net.now_ns
        while self.flight and self.flight[0][0] <= self.now_ms * MS:
            arrival_ns, _, data = heapq.heappop(self.flight)
            self.net.now_ns = max(now_ns, begin_ns + arrival_ns)
            self.peer.send_raw(data)
        self.net.now_ns = now_ns

    def hear(self) -> None:
        for packet in self.peer.take_rtcp():
            if isinstance(packet, rtcp.Remb):
                self.told.append((self.now_ms, packet.bitrate_bps))
            self.asked.append((self.now_ms, type(packet)))
            self.feedback.append((self.now_ms + self.line.delay_ms, packet))
        while self.feedback and self.feedback[0][0] <= self.now_ms:
            _, packet = self.feedback.pop(0)
            if isinstance(packet, rtcp.Remb):
                self.limit_bps = packet.bitrate_bps

    def count(self, kind: type, begin_ms: int, end_ms: int) -> int:
        return sum(begin_ms <= at_ms < end_ms and one is kind for at_ms, one in self.asked)


class Settled(Uplink):
    """Whose own estimator has understood a second after the line became narrow."""

    understood_ms = 3_000

    def send_picture(self) -> None:
        before_bps = self.limit_bps
        if self.now_ms >= self.understood_ms:
            self.limit_bps = min(before_bps, 180_000)
        super().send_picture()
        self.limit_bps = before_bps


def narrow_from(begin_ms: int, bps: int = 220_000) -> Line:
    return Line(lambda now_ms: bps if now_ms >= begin_ms else WIDE_BPS)


def late_or_lost(call: Uplink, begin_ms: int, end_ms: int, late_ms: int = 200) -> int:
    return sum(begin_ms <= at_ms < end_ms and (took is None or took > late_ms) for at_ms, took in call.sound_ms)


@pytest.mark.parametrize("phase_ms", [0, 30, 60])
def test_the_first_pictures_on_a_narrow_line_are_enough_to_tell(engine_kind: str, phase_ms: int) -> None:
    begin_ms = 2_000 + phase_ms
    call = Settled(create_engine(engine_kind, seed=1), narrow_from(begin_ms))
    call.run(begin_ms + 6_000)
    first_ms, limit_bps = call.told[0]
    assert begin_ms < first_ms <= begin_ms + 350
    assert 90_000 <= limit_bps <= 220_000
    assert late_or_lost(call, begin_ms + 1_500, begin_ms + 6_000) == 0
    free = [at_ms for at_ms, bps in call.told if bps >= FREE_BPS // 2]
    assert begin_ms < free[0] <= begin_ms + 2_600
    assert call.limit_bps >= FREE_BPS // 2


def test_without_it_sound_is_lost_for_longer(engine_kind: str) -> None:
    """What the test above measures is the order's doing."""
    late = []
    for obeys in (False, True):
        call = Settled(create_engine(engine_kind, seed=1), narrow_from(2_000))
        call.obeys = obeys
        call.run(4_000)
        late.append(late_or_lost(call, 2_000, 4_000))
    assert late[1] * 2 <= late[0]


def test_while_the_queue_drains_a_keyframe_is_asked_for_and_nothing_that_would_come_too_late(engine_kind: str) -> None:
    call = Settled(create_engine(engine_kind, seed=1), narrow_from(2_000))
    call.run(8_000)
    begin_ms = call.told[0][0]
    end_ms = next(at_ms for at_ms, bps in call.told if bps >= FREE_BPS // 2)
    assert call.count(rtcp.Nack, begin_ms + 10, end_ms) == 0
    assert 1 <= call.count(rtcp.Pli, begin_ms, end_ms + 1_900) <= 2


def test_what_the_line_takes_is_told_of_each_order(engine_kind: str) -> None:
    call = Settled(create_engine(engine_kind, seed=1), narrow_from(2_000))
    call.run(1_990)
    assert call.net.take_events(UplinkNarrowed) == []
    call.run(8_000)
    told = [one for one in call.net.take_events(UplinkNarrowed) if isinstance(one, UplinkNarrowed)]
    assert {one.transport for one in told} == {call.peer.transport}
    assert 100_000 <= told[0].bitrate_bps <= 260_000
    # At most every 300 ms of six seconds.
    assert 1 <= len(told) <= 20


def test_a_queue_that_somebody_else_makes_is_not_held_against_the_publisher_for_long(engine_kind: str) -> None:
    """It sends as little as it is told, and the queue stays."""

    class Shared(Line):
        def carry(self, now_ns: int, size: int, chance: random.Random) -> int | None:
            if now_ns >= 2 * SECOND:
                self.free_at_ns = max(self.free_at_ns, now_ns + min(now_ns - 2 * SECOND, 400 * MS))
            return super().carry(now_ns, size, chance)

    call = Uplink(create_engine(engine_kind, seed=1), Shared(lambda _: WIDE_BPS, queue_ms=1_000))
    call.run(12_000)
    held = [at_ms for at_ms, bps in call.told if bps < FREE_BPS // 2]
    assert held
    free_ms = next(at_ms for at_ms, bps in call.told if bps >= FREE_BPS // 2)
    assert free_ms - held[0] <= MAX_HELD_NS // MS + 50
    assert not [at_ms for at_ms in held if at_ms > 9_000]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "trouble", [{"jitter_ms": 80, "loss": 0.01}, {"loss": 0.2}, {"jitter_ms": 30, "delay_ms": 150}]
)
def test_lines_that_lose_and_delay_by_chance_are_left_alone(
    engine_kind: str, trouble: dict[str, float], seed: int
) -> None:
    call = Uplink(create_engine(engine_kind, seed=1), Line(lambda _: WIDE_BPS, **trouble), seed=seed)  # type: ignore[arg-type]
    call.run(10_000)
    assert call.told == []


def test_the_clock_of_send_times_goes_around(engine_kind: str) -> None:
    call = Settled(create_engine(engine_kind, seed=1), narrow_from(2_000))
    call.clock_offset_ns = 62 * SECOND
    call.run(3_000)
    assert 2_000 < call.told[0][0] <= 2_350


@pytest.mark.parametrize("seed", range(4))
def test_send_times_that_lie_cost_only_who_lies(engine_kind: str, seed: int) -> None:
    chance = random.Random(seed)
    call = Uplink(create_engine(engine_kind, seed=1), Line(lambda _: WIDE_BPS))
    for _ in range(1_000):
        call.clock_offset_ns = chance.choice((0, chance.randrange(64 * SECOND), call.clock_offset_ns + 200 * MS))
        call.step()
    assert all(bps >= MIN_BPS * 99 // 100 for _, bps in call.told)
    assert len(call.told) <= 10_000 // 50 + 10
    assert late_or_lost(call, 0, 10_000) == 0


@pytest.mark.usefixtures("both_engines")
@pytest.mark.parametrize("seed", range(6))
def test_both_engines_brake_alike(seed: int) -> None:
    """Lines of every kind, send times that lie now and then: equal bytes and figures at every call."""
    chance = random.Random(seed)
    rates = [chance.choice((60_000, 220_000, 400_000, 900_000, WIDE_BPS)) for _ in range(4)]
    line = Line(
        lambda now_ms: rates[now_ms // 2_000 % len(rates)],
        queue_ms=chance.choice((150, 300, 1_000)),
        delay_ms=chance.choice((1, 40, 200)),
        jitter_ms=chance.choice((0, 0, 80)),
        loss=chance.choice((0.0, 0.0, 0.1)),
    )
    call = (Uplink, Settled)[seed % 2](TwinEngine(seed=seed), line, seed=seed)
    call.obeys = seed % 3 > 0
    for _ in range(800):
        if chance.random() < 0.005:
            call.clock_offset_ns = chance.randrange(64 * SECOND)
        call.step()


@pytest.mark.usefixtures("both_engines")
def test_the_twins_have_braked_and_asked() -> None:
    call = Settled(TwinEngine(seed=1), narrow_from(2_000))
    call.run(6_000)
    assert call.told
    assert call.count(rtcp.Pli, 2_000, 6_000) > 0

"""Estimates from transport-wide feedback, probes, and feedback that lies: a subscriber behind a simulated line."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from sfu.engine import create_engine
from sfu.engine.api import MAX_WANTED_BPS, OVERHEAD_BYTES, EstimateChanged, PacketEngine, TransportStats
from sfu.engine.reference import rtcp
from sfu.engine.reference.rtp import RtpPacket
from sfu.errors import EngineError
from sfu.ids import TransportHandle
from tests.engine.harness import AUDIO_TYPE, MS, OUT_RTX_TYPE, SECOND, Net, Source, Vp8Source
from tests.engine.line import Line
from tests.engine.twin import TwinEngine

TWCC_ID = 5
VIDEO_BPS = 500_000
WANTED_BPS = 620_000
STEP_MS = 10
FEEDBACK_MS = 60
WIDE_BPS = 10_000_000


class Call:
    """A publisher of sound and a picture, and a subscriber behind a line, whose picture is paused while the estimate
    has no room for it, as the control plane does it."""

    has_sound = True
    shape: Mapping[str, object] = MappingProxyType({})
    """What the subscriptions have that others do not."""

    def __init__(self, engine: PacketEngine, line: Line, *, seed: int = 1, cache_bytes: int = 0) -> None:
        self.net = Net(engine)
        self.chance = random.Random(seed)
        self.line = line
        publisher, self.subscriber = self.net.peer(), self.net.peer()
        self.video, audio = (
            publisher.publish_video(nack=False, keyframe_cache_bytes=cache_bytes),
            publisher.publish_audio(),
        )
        self.picture = self.subscriber.subscribe(self.video, ssrc=5000, **self.shape)
        self.subscriber.subscribe(audio, ssrc=6000, rtx_ssrc=None, **self.shape)
        self.camera = Vp8Source(publisher, 1000)
        self.microphone = Source(publisher, 2000, AUDIO_TYPE)
        self.now_ms = 0
        self.flight: list[tuple[int, int]] = []
        self.feedback: list[tuple[int, bytes]] = []
        self.count = 0
        self.told: list[tuple[int, int]] = []
        self.sound_ms: list[tuple[int, int | None]] = []
        self.pictures_ms: list[int] = []
        self.padding = 0

    def run(self, until_ms: int) -> None:
        while self.now_ms < until_ms:
            self.step()

    def step(self) -> None:
        self.now_ms += STEP_MS
        self.net.advance(STEP_MS * MS, STEP_MS * MS)
        if self.has_sound and self.now_ms % 20 == 0:
            self.microphone.send(bytes(80), step=960)
        if self.now_ms % 30 == 0:
            self.send_picture()
        self.carry()
        if self.now_ms % FEEDBACK_MS == 0:
            self.report()
        while self.feedback and self.feedback[0][0] <= self.now_ms:
            self.subscriber.send_rtcp(self.feedback.pop(0)[1])
        for event in self.net.take_events(EstimateChanged):
            assert isinstance(event, EstimateChanged)
            self.told.append((self.now_ms, event.bitrate_bps))
            self.judge(event.bitrate_bps)

    def judge(self, bitrate_bps: int) -> None:
        fits = bitrate_bps >= VIDEO_BPS
        self.net.engine.set_subscription_paused(self.picture, not fits)
        self.net.engine.set_wanted_bitrate(self.subscriber.transport, 0 if fits else WANTED_BPS)

    def send_picture(self) -> None:
        """Every tenth is a keyframe."""
        is_key = self.now_ms % 300 == 0
        for packet in self.camera.make_frame(key=is_key, packets=2, step=2700):
            packet.payload += bytes(VIDEO_BPS * 30 // 8_000 // 2 - len(packet.payload) - OVERHEAD_BYTES)
            self.camera.peer.send(packet)

    def carry(self) -> None:
        now_ns = self.now_ms * MS
        for packet in self.subscriber.take_rtp():
            size = len(packet.payload) + packet.padding_bytes + OVERHEAD_BYTES
            arrival_ns = self.line.carry(now_ns, size, self.chance)
            self.padding += packet.payload_type == OUT_RTX_TYPE and packet.padding_bytes > 0
            if packet.ssrc == 5000:
                self.pictures_ms.append(self.now_ms)
            if packet.ssrc == 6000:
                self.sound_ms.append((self.now_ms, None if arrival_ns is None else (arrival_ns - now_ns) // MS))
            if arrival_ns is not None:
                self.depart(packet, arrival_ns)

    def depart(self, packet: RtpPacket, arrival_ns: int) -> None:
        self.flight.append((int.from_bytes(packet.extensions[TWCC_ID], "big"), arrival_ns))

    def report(self) -> None:
        arrived = sorted(one for one in self.flight if one[1] <= self.now_ms * MS)
        self.flight = [one for one in self.flight if one[1] > self.now_ms * MS]
        made = rtcp.build_transport_feedback(1, 5000, self.count, arrived)
        self.count += len(made)
        self.feedback += [(self.now_ms + self.line.delay_ms, one) for one in made]

    def stats(self) -> TransportStats:
        return next(one for one in self.net.engine.stats().transports if one.transport == self.subscriber.transport)


def narrow_between(begin_ms: int, end_ms: int, bps: int = 220_000) -> Line:
    return Line(lambda now_ms: bps if begin_ms <= now_ms < end_ms else WIDE_BPS)


def check_a_good_line(call: Call) -> None:
    call.run(5_000)
    stats = call.stats()
    assert (call.told, stats.estimate_bps, stats.probes_sent, call.padding) == ([], None, 0, 0)
    assert stats.acknowledged_bps > 400_000
    assert stats.feedback_lost > 0


def check_a_line_that_becomes_narrow(call: Call) -> None:
    """After two seconds."""
    call.run(8_000)
    first_ms, bitrate_bps = call.told[0]
    assert 2_000 < first_ms <= 2_600
    assert 100_000 <= bitrate_bps <= 220_000
    assert all(bps <= 240_000 for _, bps in call.told)
    late = [ms for at_ms, ms in call.sound_ms if at_ms >= 3_200 and (ms is None or ms > 200)]
    assert late == []


def test_a_good_line_has_no_estimate_and_is_left_alone(engine_kind: str) -> None:
    check_a_good_line(Call(create_engine(engine_kind, seed=1), Line(lambda _: WIDE_BPS, loss=0.02)))


def test_a_line_that_becomes_narrow_is_told_at_once_and_sound_is_whole_soon(engine_kind: str) -> None:
    call = Call(create_engine(engine_kind, seed=1), narrow_between(2_000, 60_000))
    check_a_line_that_becomes_narrow(call)
    assert sum(ms is None for _, ms in call.sound_ms) <= 12


class Slow(Call):
    """Twelve pictures a second, each of which takes the narrow line longer than until the next one."""

    shown = 0

    def send_picture(self) -> None:
        if self.now_ms * 12 // 1_000 > self.shown:
            self.shown += 1
            for packet in self.camera.make_frame(key=self.shown % 40 == 1, packets=5, step=7_500):
                packet.payload += bytes(VIDEO_BPS // 12 // 40 - len(packet.payload))
                self.camera.peer.send(packet)


@pytest.mark.parametrize("phase_ms", [0, 30, 60])
def test_the_first_picture_on_a_narrow_line_tells(engine_kind: str, phase_ms: int) -> None:
    """Two ways of 40 ms, feedback every 60, and the packets of one picture: with less nobody can know."""
    begin_ms = 2_000 + phase_ms
    call = Slow(create_engine(engine_kind, seed=1), narrow_between(begin_ms, 60_000))
    call.run(begin_ms + 4_000)
    first_ms, bitrate_bps = call.told[0]
    assert begin_ms < first_ms <= begin_ms + 400
    assert 130_000 <= bitrate_bps <= 300_000
    assert len([at_ms for at_ms in call.pictures_ms if at_ms >= begin_ms]) <= 5 * 5
    assert all(bps <= 230_000 for at_ms, bps in call.told if at_ms > begin_ms + 700)


def test_a_keyframe_that_takes_its_time_shows_what_the_line_takes_and_nothing_is_paused(engine_kind: str) -> None:
    call = Call(create_engine(engine_kind, seed=1), Line(lambda _: 900_000))
    call.run(2_000)
    for packet in call.camera.make_frame(key=True, packets=14, step=2700):
        packet.payload += bytes(900 - len(packet.payload))
        call.camera.peer.send(packet)
    call.run(2_300)
    assert [800_000 <= bps <= 900_000 for _, bps in call.told] == [True]


def test_probes_find_a_line_that_is_wide_again(engine_kind: str) -> None:
    call = Call(create_engine(engine_kind, seed=1), narrow_between(2_000, 8_000))
    call.run(8_000)
    before, padding = len(call.told), call.padding
    call.run(10_000)
    assert padding > 0
    assert max(bps for _, bps in call.told[before:]) >= VIDEO_BPS
    call.run(14_000)
    assert call.stats().probes_sent <= 12


def test_a_line_that_nearly_goes_away_keeps_its_sound_and_gets_its_picture_back(engine_kind: str) -> None:
    """2 Mbit/s, then 50 kbit/s, where sound alone would take 60, then 2 Mbit/s again."""
    line = Line(lambda now_ms: 50_000 if 4_000 <= now_ms < 14_000 else 2_000_000)
    call = Slow(create_engine(engine_kind, seed=1), line)
    call.run(24_000)
    heard_ms = sorted(at_ms + took_ms for at_ms, took_ms in call.sound_ms if took_ms is not None)
    gaps_ms = {after: after - before for before, after in itertools.pairwise(heard_ms)}
    # What the picture had put into the queue before anybody could know comes out at 50 kbit/s.
    assert max(gap for at_ms, gap in gaps_ms.items() if at_ms < 5_500) <= 600
    assert max(gap for at_ms, gap in gaps_ms.items() if at_ms >= 5_500) <= 200
    back_ms = next(at_ms for at_ms, bps in call.told if at_ms >= 14_000 and bps >= VIDEO_BPS)
    assert back_ms <= 14_000 + 8_000
    assert [at_ms for at_ms in call.pictures_ms if at_ms > back_ms + 500]


def test_who_resumes_on_a_narrow_line_gets_nothing_of_the_past(engine_kind: str) -> None:
    """However young the cached keyframe is: frames come one at a time, from the next keyframe on."""
    call = Call(create_engine(engine_kind, seed=1), narrow_between(2_000, 4_000), cache_bytes=1 << 20)
    call.run(9_000)
    assert call.told[-1][1] >= VIDEO_BPS
    for pause_ms in range(30, 300, 30):
        call.net.engine.set_subscription_paused(call.picture, True)
        call.run(call.now_ms + pause_ms)
        call.net.engine.set_subscription_paused(call.picture, False)
        call.pictures_ms.clear()
        call.run(call.now_ms - call.now_ms % 300 + 900)
        assert call.pictures_ms[0] % 300 == 0
        assert max(Counter(call.pictures_ms).values()) == 2


@pytest.mark.parametrize("low_bps", [40_000, 220_000])
def test_probes_come_without_anything_else_on_the_line(engine_kind: str, low_bps: int) -> None:
    """A picture without sound: while it is paused, nothing says that the queue has gone."""
    call = Call(create_engine(engine_kind, seed=1), narrow_between(2_000, 8_000, low_bps))
    call.has_sound = False
    call.run(8_000)
    assert call.told
    assert call.told[-1][1] < VIDEO_BPS
    call.run(13_000)
    assert call.told[-1][1] >= VIDEO_BPS


def test_nothing_is_probed_without_a_wish_or_a_stream_that_can(engine_kind: str) -> None:
    for wish in (False, True):
        call = Call(create_engine(engine_kind, seed=1), narrow_between(1_000, 60_000))
        call.run(3_000)
        assert call.told
        if wish:
            call.net.engine.remove_subscription(call.picture)
        call.net.engine.set_wanted_bitrate(call.subscriber.transport, WANTED_BPS if wish else 0)
        call.carry()
        call.padding = 0
        for _ in range(300):
            call.net.advance(STEP_MS * MS, STEP_MS * MS)
        call.carry()
        assert call.padding == 0


def test_nobody_can_want_everything(engine_kind: str) -> None:
    net = Net(create_engine(engine_kind, seed=1))
    peer = net.peer()
    net.engine.set_wanted_bitrate(peer.transport, MAX_WANTED_BPS)
    for bitrate_bps in (-1, MAX_WANTED_BPS + 1):
        with pytest.raises(EngineError) as caught:
            net.engine.set_wanted_bitrate(peer.transport, bitrate_bps)
        assert caught.value.code == "invalid_bitrate"
    with pytest.raises(EngineError) as caught:
        net.engine.set_wanted_bitrate(TransportHandle(99), 1)
    assert caught.value.code == "unknown_transport"


def test_numbers_that_were_never_sent_say_nothing(engine_kind: str) -> None:
    call = Call(create_engine(engine_kind, seed=1), Line(lambda _: WIDE_BPS))
    call.run(300)
    before = call.stats()
    arrivals = [(30_000 + index, index * SECOND) for index in range(200)]
    for one in rtcp.build_transport_feedback(1, 5000, 0, arrivals):
        call.subscriber.send_rtcp(one)
    call.net.advance(100 * MS)
    assert (call.stats().acknowledged_bps, call.stats().feedback_lost) == (before.acknowledged_bps, 0)


def test_feedback_of_before_is_no_news(engine_kind: str) -> None:
    call = Call(create_engine(engine_kind, seed=1), Line(lambda _: WIDE_BPS))
    call.run(1_000)
    one = rtcp.build_transport_feedback(1, 5000, 0, [(seq, SECOND) for seq in range(1, 60)])[0]
    before = call.stats()
    for _ in range(100):
        call.subscriber.send_rtcp(one)
    assert call.stats().acknowledged_bps == before.acknowledged_bps


@pytest.mark.parametrize("seed", range(4))
def test_lies_and_floods_are_bounded(engine_kind: str, seed: int) -> None:
    """Ten thousand a second for a second, with times from anywhere: a few events, no more than was asked for."""
    chance = random.Random(seed)
    call = Call(create_engine(engine_kind, seed=1), narrow_between(500, 60_000))
    call.run(1_500)
    told, sent = len(call.told), call.stats().packets_sent
    for _ in range(100):
        call.step()
        newest = max(call.flight, default=(1, 0))[0]
        for _ in range(100):
            first = max(1, newest - chance.randrange(80))
            time_ns = chance.choice((0, chance.randrange(1 << 50), call.now_ms * MS))
            arrivals = [(first + index, time_ns + index * chance.choice((0, 1, 30)) * MS) for index in range(20)]
            call.subscriber.send_rtcp(*rtcp.build_transport_feedback(1, 5000, 0, arrivals))
    assert call.net.drops["feedback_limited"] > 9_000
    assert len(call.told) - told <= 21
    assert call.stats().packets_sent - sent < 1_000
    estimate_bps = call.stats().estimate_bps
    assert estimate_bps is not None
    assert 30_000 <= estimate_bps <= 3 * WANTED_BPS


def test_who_claims_that_everything_arrived_gets_what_is_wanted_and_no_more(engine_kind: str) -> None:
    """On a line that stays narrow: probes end, and who else is in the call gets all of it."""
    call = Call(create_engine(engine_kind, seed=1), narrow_between(500, 60_000))
    other = call.net.peer()
    other.subscribe(call.video, ssrc=7000)
    call.run(1_500)
    call.line = Line(lambda _: 1_000 * WIDE_BPS, queue_ms=10_000)
    other.take_rtp()
    frames_sent = len(call.camera.sent)
    call.run(6_000)
    probes, packets = call.stats().probes_sent, call.stats().packets_sent
    call.run(9_000)
    stats = call.stats()
    assert stats.probes_sent == probes
    assert stats.estimate_bps is not None
    assert stats.estimate_bps <= 2 * WANTED_BPS
    assert stats.packets_sent - packets <= 3 * (50 + 2 * 34 + 40)
    assert len(other.take_rtp()) == len(call.camera.sent) - frames_sent


@pytest.mark.usefixtures("both_engines")
@pytest.mark.parametrize("seed", range(8))
def test_both_engines_estimate_and_probe_alike(seed: int) -> None:
    """Lines of every kind, and now and then feedback that lies: equal bytes, events and figures at every call."""
    chance = random.Random(seed)
    rates = [chance.choice((60_000, 220_000, 500_000, 900_000, WIDE_BPS)) for _ in range(4)]
    line = Line(
        lambda now_ms: rates[now_ms // 1_500 % len(rates)],
        queue_ms=chance.choice((40, 150, 300, 1_000)),
        delay_ms=chance.choice((1, 40, 200)),
        jitter_ms=chance.choice((0, 0, 30, 80)),
        loss=chance.choice((0.0, 0.0, 0.1, 0.3)),
    )
    call = Call(TwinEngine(seed=seed), line, seed=seed)
    for _ in range(600):
        call.step()
        if chance.random() < 0.01:
            first, time_ns = chance.randrange(1, 1 << 15), chance.choice((0, call.now_ms * MS, 1 << 49))
            arrivals = [(first + index, time_ns + index * MS) for index in range(chance.randrange(1, 300))]
            call.subscriber.send_rtcp(*rtcp.build_transport_feedback(1, 5000, 0, arrivals))
        if call.now_ms % 500 == 0:
            call.stats()


@pytest.mark.usefixtures("both_engines")
def test_the_twins_have_probed() -> None:
    call = Call(TwinEngine(seed=1), narrow_between(500, 3_000))
    call.run(6_000)
    assert call.stats().probes_sent >= 2
    assert call.padding > 0
    assert max(bps for _, bps in call.told) >= VIDEO_BPS

"""Estimates from feedback by RTP numbers (RFC 8888): the same subscriber behind a line, who gives no other."""

from __future__ import annotations

import random
from types import MappingProxyType

import pytest

from sfu.engine import create_engine
from sfu.engine.api import Extension
from sfu.engine.reference.rtp import RtpPacket
from tests.engine import rtcp_wire
from tests.engine.harness import MS, SECOND
from tests.engine.line import Line
from tests.engine.test_engine_congestion import (
    VIDEO_BPS,
    WANTED_BPS,
    WIDE_BPS,
    Call,
    check_a_good_line,
    check_a_line_that_becomes_narrow,
    narrow_between,
)
from tests.engine.twin import TwinEngine

OVERLAP = 8
"""Packets that a report has in common with the one before: receivers tell them again."""


class CcfbCall(Call):
    shape = MappingProxyType({"ccfb": True, "extensions": {Extension.MID: 9}})

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.sent: dict[int, tuple[int, int, int]] = {}
        self.departed = 0
        self.reported: list[int] = []

    def depart(self, packet: RtpPacket, arrival_ns: int) -> None:
        assert set(packet.extensions) == {9}
        self.departed += 1
        self.sent[self.departed] = (packet.ssrc, packet.seq, arrival_ns)
        self.flight.append((self.departed, arrival_ns))

    def report(self) -> None:
        now_ns = self.now_ms * MS
        arrived = [number for number, arrival_ns in self.flight if arrival_ns <= now_ns]
        self.flight = [one for one in self.flight if one[1] > now_ns]
        told = sorted({*self.reported, *arrived})
        self.reported = told[-OVERLAP:]
        if arrived:
            one = rtcp_wire.ccfb(1, now_ns, [self.sent[number] for number in told])
            self.feedback.append((self.now_ms + self.line.delay_ms, one))


def test_a_good_line_has_no_estimate_and_is_left_alone(engine_kind: str) -> None:
    check_a_good_line(CcfbCall(create_engine(engine_kind, seed=1), Line(lambda _: WIDE_BPS, loss=0.02)))


def test_a_line_that_becomes_narrow_is_told_at_once_and_sound_is_whole_soon(engine_kind: str) -> None:
    check_a_line_that_becomes_narrow(CcfbCall(create_engine(engine_kind, seed=1), narrow_between(2_000, 60_000)))


def test_probes_find_a_line_that_is_wide_again(engine_kind: str) -> None:
    call = CcfbCall(create_engine(engine_kind, seed=1), narrow_between(2_000, 8_000))
    call.run(8_000)
    before, padding = len(call.told), call.padding
    call.run(10_000)
    assert padding > 0
    assert max(bps for _, bps in call.told[before:]) >= VIDEO_BPS
    call.run(14_000)
    assert call.stats().probes_sent <= 12


def test_resends_and_padding_are_reported_on_as_well(engine_kind: str) -> None:
    call = CcfbCall(create_engine(engine_kind, seed=1), narrow_between(2_000, 5_000))
    call.run(9_000)
    assert {ssrc for ssrc, _, _ in call.sent.values()} == {5000, 5001, 6000}
    assert call.stats().feedback_lost <= 60


def test_numbers_that_were_never_sent_and_streams_of_others_say_nothing(engine_kind: str) -> None:
    call = CcfbCall(create_engine(engine_kind, seed=1), Line(lambda _: WIDE_BPS))
    call.run(300)
    before = call.stats()
    _, seq, _ = call.sent[call.departed]
    never = [(5000, (seq + 2_000 + index) & 0x7FFF, index * MS) for index in range(200)]
    others = [(ssrc, seq + index, index * MS) for ssrc in (1000, 2000, 9999) for index in range(50)]
    call.subscriber.send_rtcp(rtcp_wire.ccfb(1, SECOND, never + others))
    call.net.advance(100 * MS)
    assert (call.stats().acknowledged_bps, call.stats().feedback_lost) == (before.acknowledged_bps, 0)


def test_who_knows_no_times_is_heard_and_judged_by_nothing(engine_kind: str) -> None:
    """Each packet has arrived, its time is later than the report's: nothing is lost, and there is no estimate."""
    call = CcfbCall(create_engine(engine_kind, seed=1), Line(lambda _: 200_000))
    for _ in range(300):
        call.step()
        call.feedback.clear()
        late = [(ssrc, seq, 2 * SECOND) for ssrc, seq, _ in list(call.sent.values())[-20:]]
        if late:
            call.subscriber.send_rtcp(rtcp_wire.ccfb(1, SECOND, late))
    stats = call.stats()
    assert (call.told, stats.estimate_bps, stats.acknowledged_bps) == ([], None, 0)


def test_what_arrived_at_a_time_that_nobody_knows_is_not_lost(engine_kind: str) -> None:
    """A report has the time of its last packet only; between the first and that one lies more than late packets may."""
    call = CcfbCall(create_engine(engine_kind, seed=1), Line(lambda _: WIDE_BPS))
    call.run(1_000)
    before = call.departed
    for _ in range(60):
        call.feedback.clear()
        call.step()
    arrived = [call.sent[number] for number in range(before - 60, call.departed + 1)]
    assert call.departed - before > 30
    now_ns = call.now_ms * MS
    lost = call.stats().feedback_lost
    said = [(ssrc, seq, now_ns + SECOND) for ssrc, seq, _ in arrived[:-1]] + [(*arrived[-1][:2], now_ns)]
    call.subscriber.send_rtcp(rtcp_wire.ccfb(1, now_ns, said))
    call.net.advance(100 * MS)
    assert call.stats().feedback_lost == lost


def test_who_does_not_have_it_is_not_judged_by_it(engine_kind: str) -> None:
    """Feedback by RTP numbers of packets that carry transport-wide ones is of nothing."""
    call = Call(create_engine(engine_kind, seed=1), Line(lambda _: WIDE_BPS))
    sent: list[RtpPacket] = []
    call.depart = lambda packet, _: sent.append(packet)  # type: ignore[method-assign]
    for _ in range(30):
        call.step()
        call.feedback.clear()
        call.subscriber.send_rtcp(
            rtcp_wire.ccfb(1, SECOND, [(5000, packet.seq, SECOND) for packet in sent if packet.ssrc == 5000])
        )
    assert call.stats().acknowledged_bps == 0


@pytest.mark.parametrize("seed", range(4))
def test_lies_and_floods_are_bounded(engine_kind: str, seed: int) -> None:
    """Ten thousand a second for a second, with times from anywhere: a few events, no more than was asked for."""
    chance = random.Random(seed)
    call = CcfbCall(create_engine(engine_kind, seed=1), narrow_between(500, 60_000))
    call.run(1_500)
    told, sent = len(call.told), call.stats().packets_sent
    for _ in range(100):
        call.step()
        recent = list(call.sent.values())[-80:]
        for _ in range(100):
            now_ns = chance.choice((0, chance.randrange(1 << 50), call.now_ms * MS))
            step_ns = chance.choice((0, 1, 30)) * MS
            lies = [(ssrc, seq, now_ns - 20 * step_ns + index * step_ns) for index, (ssrc, seq, _) in enumerate(recent)]
            call.subscriber.send_rtcp(rtcp_wire.ccfb(1, now_ns, lies[: chance.randrange(1, 20)]))
    assert call.net.drops["feedback_limited"] > 9_000
    assert len(call.told) - told <= 21
    assert call.stats().packets_sent - sent < 1_000
    estimate_bps = call.stats().estimate_bps
    assert estimate_bps is not None
    assert 30_000 <= estimate_bps <= 3 * WANTED_BPS


def test_reports_as_long_as_a_datagram_cost_what_they_weigh(engine_kind: str) -> None:
    """Two hundred a second of 600 packets each: of what was sent, and again, and of what was not."""
    call = CcfbCall(create_engine(engine_kind, seed=1), Line(lambda _: WIDE_BPS))
    call.run(1_000)
    _, seq, _ = next(one for one in reversed(call.sent.values()) if one[0] == 5000)
    said = [(5000, seq - 100 + index, SECOND) for index in range(600)]
    acknowledged = call.stats().acknowledged_bps
    for _ in range(200):
        call.subscriber.send_rtcp(rtcp_wire.ccfb(1, SECOND, said))
    assert call.stats().acknowledged_bps <= acknowledged
    call.run(2_000)
    assert call.stats().acknowledged_bps > 300_000


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
    call = CcfbCall(TwinEngine(seed=seed), line, seed=seed)
    for _ in range(600):
        call.step()
        if chance.random() < 0.02 and call.sent:
            body = bytearray(rtcp_wire.ccfb(1, call.now_ms * MS, list(call.sent.values())[-chance.randrange(1, 60) :]))
            for _ in range(chance.randrange(4)):
                body[chance.randrange(4, len(body))] = chance.randrange(256)
            call.subscriber.send_rtcp(bytes(body))
        if call.now_ms % 500 == 0:
            call.stats()

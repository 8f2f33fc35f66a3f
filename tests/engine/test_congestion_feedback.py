"""Feedback by RTP numbers (RFC 8888): what is read is what was written, and lies stay bounded."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.engine.reference import rtcp
from sfu.engine.reference.congestion.history import MAX_SENT
from sfu.engine.reference.congestion.rtp_numbers import RtpNumbers
from sfu.engine.reference.congestion_feedback import (
    MAX_REPORTS,
    REPORT_WRAP_NS,
    CongestionFeedback,
    parse_congestion_feedback,
)
from tests.engine import rtcp_wire

MS = 1_000_000
SECOND = 1_000 * MS
TICK_NS = SECOND // 1_024 + 1
"""The step of an offset, and what the step of the report's time adds."""


def parse(packet: bytes) -> CongestionFeedback:
    (feedback,) = rtcp.parse_compound(packet) or [None]
    assert isinstance(feedback, CongestionFeedback)
    return feedback


def test_streams_losses_and_the_wrap() -> None:
    metrics = struct.pack("!IHHHHHxx", 7, 0xFFFF, 3, 0x8000, 0x0000, 0xE400)
    feedback = parse(rtcp_wire.packet(11, 205, struct.pack("!I", 1) + metrics + struct.pack("!I", 5 << 16)))
    assert feedback == CongestionFeedback(1, [(7, 0xFFFF, 5 * SECOND), (7, 1, 4 * SECOND)])


@pytest.mark.parametrize(("offset", "arrival_ns"), [(0x1FFD, -7_997_070_313), (0x1FFE, None), (0x1FFF, None)])
def test_the_oldest_and_the_unknown(offset: int, arrival_ns: int | None) -> None:
    body = struct.pack("!IIHHHxxI", 1, 7, 0, 1, 0x8000 | offset, 0)
    assert parse(rtcp_wire.packet(11, 205, body)).received == [(7, 0, arrival_ns)]


def test_a_block_reports_on_a_quarter_of_the_numbers_at_most() -> None:
    for count in (MAX_REPORTS, MAX_REPORTS + 2):
        body = struct.pack("!IIHH", 1, 7, 0xF000, count) + bytes((0x80, 0)) * count + bytes(4)
        feedback = parse_congestion_feedback(body)
        assert (feedback is None) is (count > MAX_REPORTS)
        if feedback is not None:
            assert [seq for _, seq, _ in feedback.received] == [(0xF000 + index) & 0xFFFF for index in range(count)]


arrivals = st.dictionaries(
    st.tuples(st.integers(0, 3), st.integers(1_000, 1_080)), st.integers(0, 7_900 * MS), max_size=90
)


@given(st.integers(8 * SECOND, 3 * REPORT_WRAP_NS), arrivals)
def test_round_trip(now_ns: int, ages_ns: dict[tuple[int, int], int]) -> None:
    written = sorted((ssrc, seq, now_ns - age_ns) for (ssrc, seq), age_ns in ages_ns.items())
    read = parse(rtcp_wire.ccfb(9, now_ns, written))
    assert [(ssrc, seq) for ssrc, seq, _ in read.received] == [(ssrc, seq) for ssrc, seq, _ in written]
    for (_, _, read_ns), (_, _, at_ns) in zip(read.received, written, strict=True):
        assert read_ns is not None
        assert -TICK_NS <= (read_ns - at_ns + REPORT_WRAP_NS // 2) % REPORT_WRAP_NS - REPORT_WRAP_NS // 2 <= TICK_NS


@given(st.binary(max_size=300))
def test_any_bytes(body: bytes) -> None:
    feedback = parse_congestion_feedback(body)
    if feedback is not None:
        assert len(feedback.received) <= len(body) // 2
        assert all(at_ns is None or -8 * SECOND <= at_ns < REPORT_WRAP_NS for _, _, at_ns in feedback.received)


@pytest.mark.parametrize("size", range(8))
def test_short_bodies(size: int) -> None:
    assert parse_congestion_feedback(bytes(size)) is None


# --- to transport-wide numbers ------------------------------------------------------------------------------------


def test_numbers_come_back_in_the_order_of_sending() -> None:
    numbers = RtpNumbers()
    for index in range(6):
        numbers.add(7 + index % 2, 50 + index, 0xFFFD + index & 0xFFFF)
    said = [(7, 50, 1), (7, 52, None), (7, 54, 3), (8, 51, 4), (8, 53, 5), (8, 54, 6), (9, 50, 7)]
    timed, untimed = numbers.resolve(2, said)
    assert timed == [(0xFFFD, 1), (0xFFFE, 4), (0, 5), (1, 3)]
    assert untimed == [0xFFFF]


def test_what_was_sent_long_ago_is_forgotten() -> None:
    numbers = RtpNumbers()
    for index in range(MAX_SENT + 1):
        numbers.add(7, index, index)
    assert numbers.resolve(MAX_SENT, [(7, 0, 1), (7, 1, 2)]) == ([(1, 2)], [])
    # A number that is used again stands for the newer packet, also once the older one is forgotten.
    numbers.add(7, 5, MAX_SENT + 1)
    for index in range(10):
        numbers.add(8, index, MAX_SENT + 2 + index)
    assert numbers.resolve(MAX_SENT + 11, [(7, 5, 3)]) == ([(MAX_SENT + 1, 3)], [])

"""Transport-wide feedback: what is built says exactly what arrived, and lies stay bounded."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.engine.reference import rtcp
from sfu.engine.reference.seqnum import SeqExtender
from sfu.engine.reference.transport_feedback import (
    DELTA_NS,
    MAX_RECEIVED,
    MAX_STATUSES,
    REFERENCE_NS,
    TransportFeedback,
    build_transport_feedback,
    parse_transport_feedback,
)

MS = 1_000_000
Arrivals = list[tuple[int, int]]


def parse(packets: list[bytes]) -> list[TransportFeedback]:
    parsed = []
    for packet in packets:
        assert len(packet) % 4 == 0
        assert len(packet) <= 1200
        (feedback,) = rtcp.parse_compound(packet) or [None]
        assert isinstance(feedback, TransportFeedback)
        parsed.append(feedback)
    return parsed


def build(arrivals: Arrivals, base: int | None = None, count: int = 0) -> list[TransportFeedback]:
    return parse(build_transport_feedback(1, 2, count, arrivals, base))


def check(arrivals: Arrivals, feedbacks: list[TransportFeedback]) -> None:
    """Every arrival is reported once, in order, at its time in steps of 250 us."""
    extender = SeqExtender()
    extender.commit(arrivals[0][0])
    reported = [(extender.update(seq), at_ns) for feedback in feedbacks for seq, at_ns in feedback.received]
    assert reported == [(seq, at_ns // DELTA_NS * DELTA_NS) for seq, at_ns in arrivals]


def chunks(packet: bytes, count: int) -> list[int]:
    return list(struct.unpack_from(f"!{count}H", packet, 20))


def test_nothing_arrived() -> None:
    assert build_transport_feedback(1, 2, 3, []) == []
    assert build_transport_feedback(1, 2, 3, [], 7) == []


def test_a_run_of_twenty() -> None:
    arrivals = [(0x1FFF8 + index, 640 * MS + index * MS) for index in range(20)]
    (packet,) = build_transport_feedback(1, 2, 255, arrivals)
    (feedback,) = parse([packet])
    assert (feedback.sender_ssrc, feedback.media_ssrc, feedback.feedback_count) == (1, 2, 255)
    assert (feedback.base_seq, feedback.status_count) == (0xFFF8, 20)
    assert chunks(packet, 1) == [0x2000 | 20]
    assert packet[22:42] == bytes([0] + [4] * 19)
    check(arrivals, [feedback])


def test_losses_make_a_one_bit_vector() -> None:
    arrivals = [(index, index * MS) for index in range(14) if index not in (3, 4, 12)]
    (packet,) = build_transport_feedback(1, 2, 0, arrivals)
    assert chunks(packet, 1) == [0x8000 | 0b11100111111101]
    check(arrivals, parse([packet]))


def test_large_and_negative_deltas_make_a_two_bit_vector() -> None:
    arrivals = [(0, 200 * MS), (1, 100 * MS), (3, 300 * MS)]
    (packet,) = build_transport_feedback(1, 2, 0, arrivals)
    assert chunks(packet, 1) == [0xC000 | 0b01_10_00_10 << 6]
    check(arrivals, parse([packet]))


def test_leading_losses_are_reported() -> None:
    (feedback,) = build([(110, 5 * MS)], base=100)
    assert (feedback.base_seq, feedback.status_count) == (100, 11)
    assert feedback.received == [(110, 5 * MS)]


def test_a_gap_beyond_the_cap_is_left_out() -> None:
    arrivals = [(100, MS), (101 + MAX_STATUSES - 1, 2 * MS), (30_000, 3 * MS)]
    feedbacks = build(arrivals, base=90, count=254)
    assert [(feedback.base_seq, feedback.status_count) for feedback in feedbacks] == [
        (90, 11),
        (101, MAX_STATUSES),
        (30_000, 1),
    ]
    assert [feedback.feedback_count for feedback in feedbacks] == [254, 255, 0]
    check(arrivals, feedbacks)


def test_a_pause_beyond_the_largest_delta_starts_a_new_packet() -> None:
    arrivals = [(1, 0), (2, 8191 * MS), (3, 8191 * MS + 8192 * MS), (4, 60_000 * MS)]
    feedbacks = build(arrivals)
    assert len(feedbacks) == 3
    check(arrivals, feedbacks)


def test_a_burst_is_split() -> None:
    arrivals = [(index, index * DELTA_NS) for index in range(3 * MAX_RECEIVED + 1)]
    feedbacks = build(arrivals)
    assert [len(feedback.received) for feedback in feedbacks] == [MAX_RECEIVED] * 3 + [1]
    check(arrivals, feedbacks)


def test_reference_time_wraps() -> None:
    wrap_ns = (1 << 24) * REFERENCE_NS
    (feedback,) = build([(1, wrap_ns + 64 * MS), (2, wrap_ns + 65 * MS)])
    assert feedback.received == [(1, 64 * MS), (2, 65 * MS)]
    (feedback,) = build([(1, wrap_ns - 1)])
    assert feedback.received == [(1, -DELTA_NS)]


@given(
    st.integers(0, 1 << 20),
    st.integers(0, 10**15),
    st.lists(
        st.tuples(
            st.one_of(st.just(1), st.integers(1, 40), st.integers(1, 5000)),
            st.one_of(st.integers(0, 60 * MS), st.integers(-20 * MS, 70 * MS), st.integers(-9000 * MS, 20_000 * MS)),
        ),
        max_size=60,
    ),
    st.integers(0, 3000),
)
def test_round_trip(start: int, start_ns: int, steps: Arrivals, lead: int) -> None:
    arrivals = [(start + lead, start_ns)]
    for step, wait_ns in steps:
        arrivals.append((arrivals[-1][0] + step, max(0, arrivals[-1][1] + wait_ns)))
    feedbacks = build(arrivals, base=start)
    if lead < MAX_STATUSES:
        assert feedbacks[0].base_seq == start & 0xFFFF
    wrap_ns = (1 << 24) * REFERENCE_NS
    seqs = [seq for feedback in feedbacks for seq, _ in feedback.received]
    assert seqs == [seq & 0xFFFF for seq, _ in arrivals]
    times = [at_ns for feedback in feedbacks for _, at_ns in feedback.received]
    for reported_ns, (_, at_ns) in zip(times, arrivals, strict=True):
        assert (reported_ns - at_ns // DELTA_NS * DELTA_NS) % wrap_ns == 0


@given(st.lists(st.integers(0, 2), min_size=1, max_size=300))
def test_every_pattern_of_statuses(pattern: list[int]) -> None:
    """0 lost, 1 small delta, 2 large delta: whatever the chunks, the same comes back."""
    now_ns = 100 * MS
    arrivals = []
    for index, status in enumerate(pattern):
        now_ns += {0: 0, 1: MS, 2: 70 * MS}[status]
        if status:
            arrivals.append((index, now_ns))
    if not arrivals:
        return
    feedbacks = build(arrivals, base=0)
    check(arrivals, feedbacks)
    assert feedbacks[0].base_seq == 0


@given(st.binary(max_size=300))
def test_any_bytes(body: bytes) -> None:
    feedback = parse_transport_feedback(body)
    if feedback is not None:
        assert len(feedback.received) <= min(feedback.status_count, len(body))


@given(
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFF),
    st.lists(st.integers(0, 0xFFFF), max_size=40),
)
def test_any_chunks_stay_bounded(base: int, count: int, reference: int, words: list[int]) -> None:
    body = struct.pack("!IIHHI", 1, 2, base, count, reference << 8) + struct.pack(f"!{len(words)}H", *words)
    feedback = parse_transport_feedback(body)
    if feedback is not None:
        assert len(feedback.received) <= len(body)
        limit_ns = (1 << 23) * REFERENCE_NS + len(body) * 0x8000 * DELTA_NS
        assert all(abs(at_ns) <= limit_ns for _, at_ns in feedback.received)


@pytest.mark.parametrize("size", range(16))
def test_short_bodies(size: int) -> None:
    assert parse_transport_feedback(bytes(size)) is None

"""Sequence extension and the replay window, from every interesting start (RFC 3711 §3.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.engine.reference.seqnum import (
    EXT_SEQ_START,
    OK,
    REPLAYED,
    TOO_OLD,
    ReplayWindow,
    SeqExtender,
    timestamp_diff,
)

STARTS = (0, 1, 2, 0x7FFE, 0x7FFF, 0x8000, 0x8001, 0xFFFD, 0xFFFE, 0xFFFF)


@pytest.mark.parametrize(
    ("a", "b", "difference"),
    [
        (0, 0, 0),
        (1, 0, 1),
        (0, 1, -1),
        (0, 0xFFFF, 1),
        (0xFFFF, 0, -1),
        (0x7FFF, 0, 0x7FFF),
        (0x8000, 0, -0x8000),
        (0, 0x8000, -0x8000),
        (0x8001, 0, -0x7FFF),
    ],
)
def test_timestamp_diff(a: int, b: int, difference: int) -> None:
    assert timestamp_diff(a << 16, b << 16) == difference << 16


@pytest.mark.parametrize("start", STARTS)
def test_three_wraps_without_loss(start: int) -> None:
    extender = SeqExtender()
    for step in range(0, 3 * 0x10000, 977):
        assert extender.update((start + step) & 0xFFFF) == EXT_SEQ_START + start + step


@pytest.mark.parametrize("start", STARTS)
def test_reordering_around_the_first_packet_never_goes_negative(start: int) -> None:
    extender = SeqExtender()
    first = extender.update(start)
    assert extender.update((start - 5) & 0xFFFF) == first - 5
    assert extender.update((start - 0x7FFF) & 0xFFFF) == first - 0x7FFF
    assert first - 0x7FFF > 0
    assert extender.highest == first


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    ("jump", "moved"), [(0x7FFF, 0x7FFF), (0x8000, -0x8000), (0x8001, -0x7FFF), (-0x7FFF, -0x7FFF), (-0x8000, -0x8000)]
)
def test_jumps_around_half_the_circle(start: int, jump: int, moved: int) -> None:
    extender = SeqExtender()
    first = extender.update(start)
    assert extender.extend((start + jump) & 0xFFFF) == first + moved
    assert extender.highest == first, "extend only guesses"


@given(st.integers(0, 0xFFFF), st.lists(st.integers(-200, 300), max_size=100))
def test_extension_follows_any_walk_of_small_steps(start: int, steps: list[int]) -> None:
    extender = SeqExtender()
    true_seq = EXT_SEQ_START + start
    highest = true_seq
    assert extender.update(start) == true_seq
    for step in steps:
        true_seq = max(true_seq + step, highest - 0x7000, 0)
        highest = max(highest, true_seq)
        assert extender.update(true_seq & 0xFFFF) == true_seq
    assert extender.highest == highest


def test_window_edges() -> None:
    window = ReplayWindow(1024)
    assert window.check(70_000) == OK
    assert window.check(70_000) == OK, "check remembers nothing"
    window.commit(70_000)
    assert window.check(70_000) == REPLAYED
    assert window.check(70_000 - 1023) == OK
    assert window.check(70_000 - 1024) == TOO_OLD
    window.commit(70_000 - 1023)
    assert window.check(70_000 - 1023) == REPLAYED
    window.commit(70_001)
    assert window.check(70_000 - 1023) == TOO_OLD
    assert window.check(70_000) == REPLAYED
    window.commit(70_001 + 1023)
    assert window.check(70_001) == REPLAYED
    assert window.check(70_002) == OK
    window.commit(90_000)
    assert window.check(89_999) == OK
    assert window.check(71_000) == TOO_OLD


def test_index_zero_counts() -> None:
    window = ReplayWindow(64)
    assert window.check(0) == OK
    window.commit(0)
    assert window.check(0) == REPLAYED
    window.commit(1)
    assert window.check(0) == REPLAYED


@given(st.integers(0, 1 << 40), st.lists(st.integers(-80, 100), max_size=200), st.integers(1, 70))
def test_window_equals_a_set(start: int, steps: list[int], size: int) -> None:
    window = ReplayWindow(size)
    seen: set[int] = set()
    index = start
    for step in steps:
        index = max(0, index + step)
        expected = REPLAYED if index in seen else OK
        if seen and index <= max(seen) - size:
            expected = TOO_OLD
        assert window.check(index) == expected
        window.commit(index)
        if expected == OK:
            seen.add(index)


def test_memory_of_the_window_is_bounded() -> None:
    window = ReplayWindow(1024)
    for index in range(0, 100_000, 3):
        window.commit(index)
        assert window._mask.bit_length() <= 1024

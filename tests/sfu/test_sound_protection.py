"""How much earlier sound goes with each packet: as much as the line loses, and has room for."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from sfu.control.adapt.figures import Flow
from sfu.control.adapt.sound import (
    CALM_S,
    FRAMES_BPS,
    IN_RUNS,
    LEARNING_S,
    RUNS,
    SHARE,
    Protection,
    Runs,
    SoundProtection,
    Subscriber,
    affordable,
)
from sfu.ids import SubscriptionHandle, TransportHandle
from sfu.sdp.model import Redundancy


@pytest.mark.parametrize(("loss", "frames"), [(0.003, 1), (0.02, 1), (0.03, 2), (0.1, 3), (0.5, 3), (1.0, 3)])
def test_what_is_lost_says_how_much_is_needed_at_once(loss: float, frames: int) -> None:
    assert Protection(100.0).update(100.0, loss) == (frames, 1)


def test_a_line_that_loses_nothing_gets_plain_sound_once_that_is_known() -> None:
    line = Protection(100.0)
    assert line.update(100.0, 0.0) is None
    assert line.update(100.0 + LEARNING_S - 0.1, 0.0) is None
    assert line.update(100.0 + LEARNING_S, 0.001) == (0, 1)


def test_less_is_sent_only_after_a_calm_while_and_step_by_step() -> None:
    line = Protection(0.0)
    frames = [
        line.update(now_s, loss)
        for now_s, loss in (
            (0.0, 0.1), (5.0, 0.05), (10.0, 0.0), (CALM_S - 0.1, 0.0), (CALM_S, 0.0), (CALM_S + 5, 0.0),
            (CALM_S + 6, 0.2),
        )
    ]  # fmt: skip
    assert [one and one.frames for one in frames] == [3, 3, 3, 3, 2, 0, 3]


def test_what_is_lost_in_a_row_is_sent_again_later() -> None:
    line = Protection(0.0)
    assert line.update(0.0, 0.05) == (2, 1)
    assert line.update(1.0, 0.05, in_runs=True) == IN_RUNS
    assert IN_RUNS.step > 1
    assert line.update(2.0, 0.2) == IN_RUNS
    assert line.update(3.0, 0.0, in_runs=True) == IN_RUNS
    assert line.update(1.0 + CALM_S, 0.05) == (3, 1)
    assert line.update(2.0 + CALM_S, 0.05) == (2, 1)


def test_losses_by_chance_are_no_runs() -> None:
    by_chance, in_a_row = Runs(), Runs()
    assert not by_chance.update(0.0, 200, 140)
    assert not in_a_row.update(0.0, 8 * (RUNS - 1), RUNS - 1)
    assert in_a_row.update(1.0, 8, 1)
    assert in_a_row.update(CALM_S - 0.1, 0, 0)
    assert not in_a_row.update(CALM_S, 0, 0)
    for second in range(1000):
        in_a_row.update(CALM_S + second, 3, 1)
    assert len(in_a_row._seen) <= CALM_S


def test_a_line_remembers_a_bounded_while() -> None:
    line = Protection(0.0)
    for second in range(1000):
        line.update(float(second), 0.5 if second % 2 else 0.0)
    assert len(line._needed) <= 3


def test_all_sound_takes_a_part_of_the_line_at_most() -> None:
    assert affordable(None, 3) == math.inf
    assert affordable(SHARE * FRAMES_BPS, 1) == 0
    assert affordable(SHARE * 3 * FRAMES_BPS, 1) == 2
    assert affordable(SHARE * 3 * FRAMES_BPS, 2) == 0
    assert affordable(1, 1) == 0


class Sound:
    """A subscription as protection sees it."""

    def __init__(self, handle: int | None, *, can_add_redundancy: bool = True) -> None:
        self.handle = None if handle is None else SubscriptionHandle(handle)
        self.can_add_redundancy = can_add_redundancy
        self.redundancy: Redundancy | None = None

    def set_redundancy(self, engine: Any, redundancy: Redundancy | None) -> None:
        self.redundancy = redundancy


def run(
    protection: SoundProtection,
    lines: list[Any],
    now_s: float,
    *,
    loss: float,
    packets: int = 50,
    lost: dict[int, tuple[int, int]] | None = None,
) -> None:
    """`lost` by line: packets and runs."""
    flow = Flow(packets, 40_000, loss, 0.0, None)
    figures: Any = SimpleNamespace(
        flow=lambda one: None if one.handle is None else flow, lost_on=lambda line: (lost or {}).get(line, (0, 0))
    )
    subscribers = [Subscriber(bps, sounds, TransportHandle(number)) for number, (bps, sounds) in enumerate(lines)]
    protection.run(subscribers, figures, now_s)


def frames_of(*sounds: Sound) -> list[int | None]:
    return [one.redundancy and one.redundancy.frames for one in sounds]


def test_each_line_is_protected_by_itself() -> None:
    protection = SoundProtection(SimpleNamespace())  # type: ignore[arg-type]
    wide, narrow, unready, unable = Sound(1), Sound(2), Sound(None), Sound(3, can_add_redundancy=False)
    lines: list[Any] = [(None, [wide, unready, unable]), (2 * SHARE * FRAMES_BPS, [narrow])]
    run(protection, lines, 0.0, loss=0.1)
    assert frames_of(wide, narrow, unready, unable) == [3, 1, None, None]
    # Silence says nothing of the line.
    run(protection, lines, CALM_S + 1, loss=0.0, packets=0)
    assert frames_of(wide) == [3]
    run(protection, lines, CALM_S + 2, loss=0.0)
    assert frames_of(wide, narrow) == [0, 0]
    run(protection, [], CALM_S + 3, loss=0.0)
    assert (protection._sounds, protection._lines) == ({}, {})


def test_runs_on_one_line_are_none_on_another() -> None:
    protection = SoundProtection(SimpleNamespace())  # type: ignore[arg-type]
    first, second = Sound(1), Sound(2)
    lines: list[Any] = [(None, [first]), (None, [second])]
    run(protection, lines, 0.0, loss=0.05, lost={0: (8 * RUNS, RUNS), 1: (8 * RUNS, 7 * RUNS)})
    assert (first.redundancy, second.redundancy) == (IN_RUNS, (2, 1))


def test_a_line_that_is_full_loses_in_runs_and_gets_no_more_for_it() -> None:
    protection = SoundProtection(SimpleNamespace())  # type: ignore[arg-type]
    known, unknown = Sound(1), Sound(2)
    lines: list[Any] = [(1_500_000, [known]), (None, [unknown])]
    run(protection, lines, 0.0, loss=0.01, lost={0: (8 * RUNS, RUNS), 1: (8 * RUNS, RUNS)})
    assert (known.redundancy, unknown.redundancy) == ((1, 1), IN_RUNS)

"""How much earlier sound goes with each packet: as much as the line loses, and has room for."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from sfu.control.adapt.figures import Flow
from sfu.control.adapt.sound import CALM_S, FRAMES_BPS, LEARNING_S, SHARE, Protection, SoundProtection, affordable
from sfu.ids import SubscriptionHandle


@pytest.mark.parametrize(("loss", "frames"), [(0.003, 1), (0.02, 1), (0.03, 2), (0.1, 3), (0.5, 3), (1.0, 3)])
def test_what_is_lost_says_how_much_is_needed_at_once(loss: float, frames: int) -> None:
    assert Protection(100.0).update(100.0, loss) == frames


def test_a_line_that_loses_nothing_gets_plain_sound_once_that_is_known() -> None:
    line = Protection(100.0)
    assert line.update(100.0, 0.0) is None
    assert line.update(100.0 + LEARNING_S - 0.1, 0.0) is None
    assert line.update(100.0 + LEARNING_S, 0.001) == 0


def test_less_is_sent_only_after_a_calm_while_and_step_by_step() -> None:
    line = Protection(0.0)
    assert line.update(0.0, 0.1) == 3
    assert line.update(5.0, 0.05) == 3
    assert line.update(10.0, 0.0) == 3
    assert line.update(CALM_S - 0.1, 0.0) == 3
    assert line.update(CALM_S, 0.0) == 2
    assert line.update(CALM_S + 5, 0.0) == 0
    assert line.update(CALM_S + 6, 0.2) == 3


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
        self.redundancy: int | None = None

    def set_redundancy(self, engine: Any, frames: int | None) -> None:
        self.redundancy = frames


def run(protection: SoundProtection, lines: list[Any], now_s: float, *, loss: float, packets: int = 50) -> None:
    flow = Flow(packets, 40_000, loss, 0.0, None)
    figures: Any = SimpleNamespace(flow=lambda one: None if one.handle is None else flow)
    protection.run(lines, figures, now_s)


def test_each_line_is_protected_by_itself() -> None:
    protection = SoundProtection(SimpleNamespace())  # type: ignore[arg-type]
    wide, narrow, unready, unable = Sound(1), Sound(2), Sound(None), Sound(3, can_add_redundancy=False)
    lines: list[Any] = [(None, [wide, unready, unable]), (2 * SHARE * FRAMES_BPS, [narrow])]
    run(protection, lines, 0.0, loss=0.1)
    assert [one.redundancy for one in (wide, narrow, unready, unable)] == [3, 1, None, None]
    # Silence says nothing of the line.
    run(protection, lines, CALM_S + 1, loss=0.0, packets=0)
    assert wide.redundancy == 3
    run(protection, lines, CALM_S + 2, loss=0.0)
    assert (wide.redundancy, narrow.redundancy) == (0, 0)
    run(protection, [], CALM_S + 3, loss=0.0)
    assert protection._lines == {}

"""Connection quality from what a connection loses, how long it takes and what it cannot carry. Pure functions."""

from __future__ import annotations

from sfu.api import ConnectionGrade

POINTS_PER_PERCENT_LOST = 5.0
FREE_DELAY_MS = 150.0
"""Delay that nobody minds (ITU-T G.114: below 150 ms one way)."""
POINTS_PER_DELAY_MS = 0.2
POINTS_PER_MISSING_LAYER = 25.0
POINTS_PAUSED = 60.0
EXCELLENT_POINTS, GOOD_POINTS = 80.0, 50.0
BEST = 100.0
RECOVERY = 0.5
"""Share of the way to better points that one interval goes; to worse ones it goes all the way."""


def points(
    loss: float, *, rtt_ms: float = 0.0, jitter_ms: float = 0.0, missing_layers: int = 0, paused: bool = False
) -> float:
    """0 (unusable) to 100 for one stream. `loss` is a share of 1. The jitter buffer adds about twice the jitter."""
    delay_ms = rtt_ms / 2 + 2 * jitter_ms
    penalty = POINTS_PER_PERCENT_LOST * 100 * loss
    penalty += POINTS_PER_DELAY_MS * max(0.0, delay_ms - FREE_DELAY_MS)
    penalty += POINTS_PER_MISSING_LAYER * max(0, missing_layers)
    penalty += POINTS_PAUSED if paused else 0.0
    return max(0.0, BEST - penalty)


def smoothed(before: float, now: float) -> float:
    return now if now <= before else before + RECOVERY * (now - before)


def grade(points: float) -> ConnectionGrade:
    if points >= EXCELLENT_POINTS:
        return ConnectionGrade.EXCELLENT
    return ConnectionGrade.GOOD if points >= GOOD_POINTS else ConnectionGrade.POOR


def mean_opinion_score(points: float) -> float:
    """1 to 5 (ITU-T P.800)."""
    return 1.0 + 4.0 * points / BEST

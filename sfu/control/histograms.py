"""Participants' lines, counted over all of them: how many took, lost and lasted how much, and nobody's name."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from sfu.api import LineFigures

ESTIMATES_BPS = (50e3, 100e3, 200e3, 400e3, 800e3, 1.5e6, 3e6, 6e6, 12e6)
LOSSES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
DELAYS_MS = (10.0, 25.0, 50.0, 100.0, 200.0, 400.0, 800.0)


class Histogram:
    def __init__(self, name: str, limits: Sequence[float]) -> None:
        self._name = name
        self._limits = limits
        self._counts = [0] * (len(limits) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._limits, value)] += 1
        self._sum += value

    def series(self) -> Mapping[str, float]:
        """As Prometheus has it: each bucket holds those below it, too."""
        below, said = 0, {}
        for limit, count in zip((*self._limits, "+Inf"), self._counts, strict=True):
            below += count
            said[f'{self._name}_bucket{{le="{limit}"}}'] = float(below)
        return {**said, f"{self._name}_sum": self._sum}


class LineHistograms:
    """One observation of each participant every `connection_quality_interval_s`."""

    def __init__(self) -> None:
        self._estimate = Histogram("ting_line_estimate_bps", ESTIMATES_BPS)
        self._sent_loss = Histogram("ting_line_sent_loss_ratio", LOSSES)
        self._received_loss = Histogram("ting_line_received_loss_ratio", LOSSES)
        self._rtt = Histogram("ting_line_rtt_ms", DELAYS_MS)

    def observe(self, line: LineFigures) -> None:
        """What is known of it."""
        if line.estimate_bps is not None:
            self._estimate.observe(line.estimate_bps)
        if line.sent_bps:
            self._sent_loss.observe(line.sent_loss)
        if line.received_bps:
            self._received_loss.observe(line.received_loss)
        if line.rtt_ms is not None:
            self._rtt.observe(line.rtt_ms)

    def series(self) -> Mapping[str, float]:
        parts = (self._estimate, self._sent_loss, self._received_loss, self._rtt)
        return {key: value for part in parts for key, value in part.series().items()}

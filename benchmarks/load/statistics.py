"""Percentiles of samples and of the generator's histogram."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile; None without values. `share` 0 to 1."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Latencies:
    """Counts by lower bound in microseconds, as `LoadGenerator.take_latencies` gives them."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, buckets: Iterable[tuple[int, int]]) -> None:
        for bound, count in buckets:
            self._counts[bound] += count

    @property
    def count(self) -> int:
        return self._counts.total()

    def percentile_ms(self, share: float) -> float | None:
        rank = max(1, math.ceil(share * self.count))
        seen = 0
        for bound in sorted(self._counts):
            seen += self._counts[bound]
            if seen >= rank:
                return bound / 1000
        return None

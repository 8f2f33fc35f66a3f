"""How much video a line takes that the engine measures. Pure: time and figures are arguments."""

from __future__ import annotations

import math

VIDEO_OVERHEAD = 1.07
"""What video takes on the line for each byte of payload, headers included."""
NEAR_LIMIT = 1.5
"""Share of the limit that is sent above which figures are looked at."""
SPARE = 1.05
"""What is probed for beyond what is needed, so that a measurement that is a little low will do."""

TRY_S = 1.0
"""So long a better layer is tried for at a time."""
TRY_AGAIN_S, TRY_AGAIN_MAX_S = 1.0, 4.0
"""Between two such times: the first, and after ever more in vain. What is tried fills the line for a moment, and
everything else waits behind it; but of two who share a line, who has less must try to get more."""
GROWN = 1.5
"""A line that takes so much more than when better was tried last is another one."""
PATIENCE_S = 1.0
"""So long an estimate may lie a little below what is sent before a video is paused for it: a queue is gone sooner."""


class MeasuredLine:
    """A `Line` of which the engine knows what it takes, from transport-wide feedback. The engine probes for more by
    itself, as long as more is wanted."""

    def __init__(self) -> None:
        self.wanted_bps = 0
        self.estimate_bps: int | None = None
        self._other_bps = 0.0
        self._over_since_s: float | None = None
        self.needs_more = False
        """Something that is wanted is not sent."""
        self._try_at_s, self._try_until_s, self._again_s = -math.inf, -math.inf, TRY_AGAIN_S
        self._tried_bps = 0

    @property
    def limit_bps(self) -> float | None:
        """What is left for the payload of video."""
        if self.estimate_bps is None:
            return None
        return max(0.0, (self.estimate_bps - self._other_bps) / VIDEO_OVERHEAD)

    def handle_estimate(self, bitrate_bps: int) -> bool:
        """The engine's. Whether it fell, as the first one does."""
        before_bps, self.estimate_bps = self.estimate_bps, bitrate_bps
        return before_bps is None or bitrate_bps < before_bps

    def handle_remb(self, now_s: float, bitrate_bps: int) -> None:
        """Who sends transport-wide feedback sends no REMB, or none that says more."""

    def measured(self) -> MeasuredLine:
        return self

    def set_other(self, other_bps: float) -> None:
        self._other_bps = other_bps

    def is_suspicious(self, sent_bps: float) -> bool:
        limit_bps = self.limit_bps
        return limit_bps is not None and (self.needs_more or limit_bps < NEAR_LIMIT * sent_bps)

    def update(self, now_s: float, sent_bps: float, loss: float) -> bool:
        """Never lower by itself: `handle_estimate` is."""
        return False

    def may_wait(self, now_s: float, *, is_over: bool) -> bool:
        if not is_over:
            self._over_since_s = None
            return False
        if self._over_since_s is None:
            self._over_since_s = now_s
        return now_s - self._over_since_s < PATIENCE_S

    def may_try(self, now_s: float) -> bool:
        return self.limit_bps is not None

    def try_more(self, now_s: float, needed_bps: float | None, *, is_paused: bool = False) -> None:
        self.needs_more = needed_bps is not None
        if needed_bps is None:
            self.wanted_bps = 0
            return
        if is_paused or (self.estimate_bps or 0) >= GROWN * self._tried_bps:
            self._again_s = TRY_AGAIN_S
            self._try_at_s = now_s
        if now_s >= self._try_at_s:
            self._tried_bps = self.estimate_bps or 0
            self._try_until_s = now_s + TRY_S
            self._try_at_s = self._try_until_s + self._again_s
            self._again_s = min(2 * self._again_s, TRY_AGAIN_MAX_S)
        is_tried = now_s < self._try_until_s
        self.wanted_bps = int(SPARE * (VIDEO_OVERHEAD * needed_bps + self._other_bps)) if is_tried else 0

"""How much video a subscriber's downlink takes. Pure: time and figures are arguments.

The estimate is the receiver's own (REMB, draft-alvestrand-rmcat-remb-03). libwebrtc raises it by about 8 % a second and
never above 1.5 times what arrives, so a low estimate alone says nothing: it may only lag behind. It lowers it at once
when delay grows, to 0.85 of what arrived. Its first one comes after five seconds and is what one of them brought, which
with a bursty video may be half of the mean. So a downlink counts as congested when the estimate has fallen well below
what is sent, has fallen a little twice in short order, or when much is lost beside a low estimate. Since an estimate
cannot rise above what is tried, more is tried after a while without congestion, and after ever longer ones when that
failed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sfu.control.adapt.measured_line import MeasuredLine
from sfu.ids import TrackHandle

FELL = 0.97
"""An estimate below this share of the one before has fallen; libwebrtc reports such a one at once."""
FAR_BELOW = 0.7
"""A fallen estimate below this share of what is sent is congestion by itself."""
LOSS = 0.1
"""This much loss is congestion where the estimate is below what is sent."""
MEMORY_S = 4.0
"""How long a fall counts towards a second one."""
SETTLE_S = 1.5
"""After a cut the queue on the way needs this long to drain."""
JUDGED_S = 6.0
"""Congestion within this time after a try is the fault of the try."""
MARGIN = 0.85
"""Share of what gets through that is used afterwards."""
KEPT = 0.8
"""Share of a layer's bitrate that still counts a second later, whatever it sends then."""


class Downlink:
    """A `Line` of which nothing is known but REMB, losses, and what video is sent."""

    wanted_bps = 0
    """The engine probes only what it measures."""

    def __init__(self, probe_interval_s: float, max_probe_interval_s: float) -> None:
        self.limit_bps: float | None = None
        self.estimate_bps: int | None = None
        self._base_s = probe_interval_s
        self._max_s = max_probe_interval_s
        self._wait_s = probe_interval_s
        self._fallen_at_s: list[float] = []
        self._cut_at_s = -math.inf
        self._tried_at_s = -math.inf
        self._before_try_bps = math.inf
        self._loses_much = False
        self._quiet_since_s = -math.inf

    def handle_remb(self, now_s: float, bitrate_bps: int) -> None:
        before, self.estimate_bps = self.estimate_bps, bitrate_bps
        if before is not None and bitrate_bps < FELL * before:
            self._fallen_at_s.append(now_s)

    def measured(self) -> MeasuredLine:
        return MeasuredLine()

    def set_other(self, other_bps: float) -> None:
        """REMB is compared with what video is sent, and the rest left to its margin."""

    def is_suspicious(self, sent_bps: float) -> bool:
        return self.limit_bps is not None or (self.estimate_bps is not None and self.estimate_bps < sent_bps)

    def update(self, now_s: float, sent_bps: float, loss: float) -> bool:
        self._loses_much = loss >= LOSS
        self._fallen_at_s = [at_s for at_s in self._fallen_at_s if now_s - at_s < MEMORY_S]
        if now_s - self._cut_at_s < SETTLE_S or not self._is_congested(sent_bps, loss):
            return False
        arriving = sent_bps * (1 - loss)
        if self.estimate_bps is not None and self._fallen_at_s:
            # A fallen estimate is 0.85 of what arrived already.
            arriving = min(arriving, self.estimate_bps / MARGIN)
        self.limit_bps = min(MARGIN * arriving, self.limit_bps or math.inf)
        if now_s - self._tried_at_s < JUDGED_S:
            # Losses are reported late, so that too much seems to arrive at first; what was sent before did fit.
            self.limit_bps = min(self.limit_bps, self._before_try_bps)
            self._wait_s = min(2 * self._wait_s, self._max_s)
        else:
            self._wait_s = self._base_s
        self._cut_at_s = self._quiet_since_s = now_s
        self._fallen_at_s.clear()
        return True

    def _is_congested(self, sent_bps: float, loss: float) -> bool:
        estimate = self.estimate_bps
        if estimate is None or estimate >= sent_bps:
            return False
        fallen = len(self._fallen_at_s)
        return loss >= LOSS or fallen > 1 or (fallen == 1 and estimate < FAR_BELOW * sent_bps)

    def may_wait(self, now_s: float, *, is_over: bool) -> bool:
        """Too much has been sent for a while already."""
        return False

    def may_try(self, now_s: float) -> bool:
        """Whether it has been free of congestion for long enough to try more. What is lost meanwhile may be of the
        queue that drains, or of a bad line: that is not waited for as well."""
        wait_s = self._max_s if self._loses_much else self._wait_s
        return self.limit_bps is not None and now_s - self._quiet_since_s >= wait_s

    def try_more(self, now_s: float, needed_bps: float | None, *, is_paused: bool = False) -> None:
        """Allow `needed_bps`; None when everything that is wanted is sent already: then there is no limit any more."""
        self._quiet_since_s = now_s
        if needed_bps is None:
            self.limit_bps = None
            self._wait_s = self._base_s
        else:
            self._before_try_bps = self.limit_bps or math.inf
            self.limit_bps = needed_bps
            self._tried_at_s = now_s


class SteadyBitrates:
    """Bitrates of layers as they count for a share: a rise at once, a decline slowly. An encoder that went over its
    target sends little or nothing in the next second, and that is no room for others."""

    def __init__(self) -> None:
        self._bitrates: dict[TrackHandle, list[float]] = {}
        self._updated_at_s = 0.0

    def update(self, now_s: float, bitrates_now: Mapping[TrackHandle, Sequence[float]]) -> None:
        """Bits per second of the last second of each layer. A track that is not in it is forgotten."""
        before, self._bitrates = self._bitrates, {}
        kept = KEPT ** (now_s - self._updated_at_s)
        self._updated_at_s = now_s
        for track, bitrates in bitrates_now.items():
            earlier = before.get(track, ())
            if len(earlier) != len(bitrates):
                earlier = [0.0] * len(bitrates)
            self._bitrates[track] = [max(new, kept * old) for new, old in zip(bitrates, earlier, strict=True)]

    def of(self, track: TrackHandle) -> Sequence[float]:
        """By layer, lowest first; empty for an unknown track."""
        return self._bitrates.get(track, ())

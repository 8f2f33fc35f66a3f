"""Whether packets wait longer and longer on the way: a queue that grows says that more is sent than the line takes.

Packets are looked at in groups of `GROUP_NS`. Of each group the fastest counts, so that jitter, which delays most but
hardly ever all of them, is no queue. What the fastest of the last while took is the line itself; the rest is queue.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum

GROUP_NS = 50_000_000
BASE_NS = 10_000_000_000
"""The fastest of this long, at least, is the line without a queue."""
SAMPLES = 8
"""Groups whose trend counts."""
MIN_SAMPLES = 4
QUEUE_NS = 20_000_000
"""A queue shorter than this may be chance."""
RISING = 50
"""Queue that grows by so many thousandths of the time that passes."""
CERTAINTY = 16
"""The square of how many times its standard error the growth must be: a line that delays each packet by chance shows
growth over a few groups as well."""
STEEP_QUEUE_NS = 50_000_000
STEEP_NS = 20_000_000
"""A queue that is this long and has grown so much since the group before grows steeply."""
FULL_NS = 60_000_000
"""A queue this long that does not shrink, while packets are lost, is full."""
LINGERING_NS = 60_000_000
LINGERING = 10
"""A queue longer than this for so many groups, and not shrinking, is ours, if it gets shorter when less is sent."""
CERTAIN = 2
"""Groups in a row that must say so."""
MAX_STEP_NS = 10_000_000_000
MAX_DRIFT_NS = 3_600_000_000_000
"""A delay that differs by more from the one before, or from the first, is of another clock: what was known of the line
is void."""


RISE_NS = 90_000_000
"""Packets in a row that took longer and longer, by this much from the first to the last, wait behind each other."""
RISE_STEPS = 3
"""So many at least, and none of them by more than half of it: one that jumps was held up by something else."""
LEVEL_NS = 1_000_000
"""A delay that is shorter by no more than this is as long as the one before."""


class Verdict(IntEnum):
    NORMAL = 0
    HOLD = 1
    """There is a queue, and it does not grow."""
    OVERUSE = 2


class Group:
    """Packets that were sent within `GROUP_NS`, as far as they are known to have arrived."""

    __slots__ = ("first_sent_ns", "is_tried", "last_arrival_ns", "last_sent_ns", "lost", "lost_bytes", "min_delay_ns",
                 "packets", "size")  # fmt: skip

    def __init__(self, sent_at_ns: int, arrival_ns: int) -> None:
        self.first_sent_ns = self.last_sent_ns = sent_at_ns
        self.last_arrival_ns = arrival_ns
        self.min_delay_ns = arrival_ns - sent_at_ns
        self.size = self.packets = self.lost = self.lost_bytes = 0
        self.is_tried = False
        """A probe is in it, or was shortly before."""

    def add(self, sent_at_ns: int, arrival_ns: int, size: int) -> None:
        self.size += size
        self.packets += 1
        if sent_at_ns >= self.first_sent_ns:
            self.last_sent_ns = max(self.last_sent_ns, sent_at_ns)
            self.last_arrival_ns = max(self.last_arrival_ns, arrival_ns)
            self.min_delay_ns = min(self.min_delay_ns, arrival_ns - sent_at_ns)


class DelayTrend:
    __slots__ = (
        "_base_ns",
        "_base_since_ns",
        "_in_a_row",
        "_lingered_ns",
        "_lingers",
        "_next_base_ns",
        "_samples",
        "queue_ns",
    )  # fmt: skip

    def __init__(self) -> None:
        self._base_ns: int | None = None
        self._next_base_ns = 0
        self._base_since_ns = 0
        self._samples: deque[tuple[int, int]] = deque(maxlen=SAMPLES)
        self._in_a_row = 0
        self._lingers = 0
        self._lingered_ns: int | None = None
        """How long the queue was when less was sent because of it the last time."""
        self.queue_ns = 0

    def update(self, group: Group) -> Verdict:
        delay_ns = group.min_delay_ns
        base_ns = self._update_base(group.first_sent_ns, delay_ns)
        self.queue_ns = queue_ns = delay_ns - base_ns
        if group.is_tried:
            self._samples.clear()
            self._in_a_row = 0
            return Verdict.HOLD
        before_ns = self._samples[-1][1] if self._samples else delay_ns
        self._samples.append((group.first_sent_ns, delay_ns))
        slope, is_certain = self._slope()
        is_rising = slope is not None and slope >= RISING and is_certain and queue_ns >= QUEUE_NS
        is_steep = queue_ns >= STEEP_QUEUE_NS and delay_ns - before_ns >= STEEP_NS
        is_full = queue_ns >= FULL_NS and group.lost > 0 and (slope is None or slope > -RISING)
        self._in_a_row = self._in_a_row + 1 if is_rising or is_steep or is_full else 0
        if self._in_a_row >= CERTAIN or self._is_lingering(delay_ns, slope):
            return Verdict.OVERUSE
        if queue_ns < QUEUE_NS:
            self._lingered_ns = None
            return Verdict.NORMAL
        return Verdict.HOLD

    def _is_lingering(self, delay_ns: int, slope: int | None) -> bool:
        """A queue that neither grows nor shrinks."""
        if self.queue_ns < LINGERING_NS or slope is None or slope <= -RISING // 2:
            self._lingers = 0
            return False
        self._lingers += 1
        if self._lingers < LINGERING:
            return False
        self._lingers = 0
        before_ns, self._lingered_ns = self._lingered_ns, self.queue_ns
        if before_ns is not None and self.queue_ns * 10 >= before_ns * 9:
            # Less was sent and it is as long as before: of others, or a longer way.
            self._base_ns = self._next_base_ns = delay_ns
            self._lingered_ns = None
            self.queue_ns = 0
            return False
        return True

    def _update_base(self, now_ns: int, delay_ns: int) -> int:
        if self._base_ns is None:
            self._base_ns = self._next_base_ns = delay_ns
            self._base_since_ns = now_ns
        if now_ns - self._base_since_ns >= BASE_NS:
            self._base_ns, self._next_base_ns = self._next_base_ns, delay_ns
            self._base_since_ns = now_ns
        self._base_ns = min(self._base_ns, delay_ns)
        self._next_base_ns = min(self._next_base_ns, delay_ns)
        return self._base_ns

    def _slope(self) -> tuple[int | None, bool]:
        """Thousandths of the passing time that the delay grows by (least squares), None for too few samples; and
        whether that is more than chance (Student's t)."""
        count = len(self._samples)
        if count < MIN_SAMPLES:
            return None, False
        first_ns, first_delay_ns = self._samples[0]
        sum_x = sum_y = sum_xx = sum_xy = sum_yy = 0
        for sent_ns, delay_ns in self._samples:
            x, y = (sent_ns - first_ns) // 1_000_000, (delay_ns - first_delay_ns) // 1_000
            sum_x += x
            sum_y += y
            sum_xx += x * x
            sum_xy += x * y
            sum_yy += y * y
        spread = count * sum_xx - sum_x * sum_x
        if spread <= 0:
            return None, False
        growth = count * sum_xy - sum_x * sum_y
        unexplained = spread * (count * sum_yy - sum_y * sum_y) - growth * growth
        return growth // spread, growth * growth * (count - 2) >= CERTAINTY * unexplained


class Rise:
    """Packet by packet, while each takes longer than the one before: how fast they come out of the queue in which they
    wait is what the line takes. Known within one picture, long before a trend over groups."""

    __slots__ = ("_began_ns", "_delay_ns", "_first_delay_ns", "_sent_at_ns", "_size", "_steepest_ns", "_steps")

    def __init__(self) -> None:
        self._sent_at_ns = -1
        self._delay_ns = self._first_delay_ns = 0
        self._began_ns: int | None = None
        """When the first of those that waited arrived."""
        self._size = self._steps = self._steepest_ns = 0

    def add(self, sent_at_ns: int, arrival_ns: int, size: int) -> int | None:
        """A packet has arrived. The bitrate at which those that wait come out, once that is certain."""
        if sent_at_ns < self._sent_at_ns:
            return None
        delay_ns = arrival_ns - sent_at_ns
        is_first = self._sent_at_ns < 0
        step_ns, self._delay_ns, self._sent_at_ns = delay_ns - self._delay_ns, delay_ns, sent_at_ns
        if is_first or step_ns < -LEVEL_NS:
            self._first_delay_ns, self._began_ns = delay_ns, None
            self._size = self._steps = self._steepest_ns = 0
            return None
        risen_ns = delay_ns - self._first_delay_ns
        if risen_ns < LEVEL_NS:
            return None
        self._steps += 1
        self._steepest_ns = max(self._steepest_ns, step_ns)
        if self._began_ns is None:
            self._began_ns = arrival_ns
            return None
        self._size += size
        if risen_ns < RISE_NS or self._steps < RISE_STEPS or 2 * self._steepest_ns > risen_ns:
            return None
        return self._size * 8 * 1_000_000_000 // max(1, arrival_ns - self._began_ns)

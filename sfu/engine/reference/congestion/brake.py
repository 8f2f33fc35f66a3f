"""The line of a publisher, seen from where its packets arrive: when they wait longer and longer, it is told at once to
send less, until the queue is gone (REMB, draft-alvestrand-rmcat-remb-03).

Its own estimator hears of the same queue from the transport-wide feedback, but a round trip later, and needs a second
to believe it. By then the queue has run over, and what was lost is sent again into it. So this only bridges the time
until the publisher knows by itself: it never holds for long. Send times are those of abs-send-time, 24 bits of
2^-18 s."""

from __future__ import annotations

from sfu.engine.reference.congestion.delay import GROUP_NS, DelayTrend, Group, Rise, Verdict

METER_NS, METER_SLOTS = 20_000_000, 6
"""Bytes are counted in slots: what arrived in the last of them, while packets wait, is what the line takes."""
KEPT_PERCENT, REST_PERCENT = 60, 90
"""Of what the line takes: while there is a queue, so that it drains, and afterwards."""
DRAINED_NS = 60_000_000
"""A queue shorter than this is gone: a large packet alone takes a narrow line nearly as long."""
CALM_NS = 200_000_000
"""It must have been gone for so long."""
MAX_HELD_NS = 2_500_000_000
"""Whatever makes a queue that is longer there than this, it is not this publisher."""
AGAIN_NS = 300_000_000
"""From one order to a new one."""
REST_NS = 1_000_000_000
"""From the end of one to the next."""
REPEAT_NS = 50_000_000
FREE_REPEAT_NS, FREE_REPEATS = 200_000_000, 5
"""The end is told more than once, as it may get lost."""
FREE_BPS, MIN_BPS = 1_000_000_000, 30_000
QUIET_NS = 20_000_000_000
"""Who sends nothing for so long may have gone around the clock of send times, which has 64 s."""
AFTERWARDS_NS = 2_000_000_000
"""So long after the end keyframes are still asked for more rarely."""
_CLOCK_BITS, _CLOCK_HZ = 24, 1 << 18


class Brake:
    """One per transport that packets with transport-wide numbers arrive on."""

    __slots__ = ("_again_at_ns", "_began_at_ns", "_calm_since_ns", "_clock", "_ended_at_ns", "_free_left", "_group",
                 "_heard_at_ns", "_is_judged", "_is_new", "_limit_bps", "_line_bps", "_meter", "_ordered_sent_ns",
                 "_rise", "_slot", "_told_at_ns", "_trend")  # fmt: skip

    def __init__(self) -> None:
        self._meter = [0] * METER_SLOTS
        self._slot = 0
        self._clock: int | None = None
        """Send time of the newest packet, in ticks since some time."""
        self._heard_at_ns = 0
        self._trend, self._rise = DelayTrend(), Rise()
        self._group: Group | None = None
        self._limit_bps: int | None = None
        self._line_bps = 0
        self._began_at_ns = self._again_at_ns = self._told_at_ns = 0
        self._calm_since_ns: int | None = None
        self._ended_at_ns: int | None = None
        self._free_left = 0
        self._is_new = False
        self._ordered_sent_ns, self._is_judged = 0, False
        """What was sent after the packet that showed the queue has arrived: it tells whether that is still there."""

    @property
    def holds(self) -> bool:
        """Less is asked for than the publisher would send."""
        return self._limit_bps is not None

    @property
    def is_pressing(self) -> bool:
        """What is to be told cannot wait for long."""
        return self.holds or self._is_new or self._free_left > 0

    def is_recent(self, now_ns: int) -> bool:
        """It holds, or did a moment ago: pictures may still wait for their turn at the publisher."""
        return self.holds or (self._ended_at_ns is not None and now_ns - self._ended_at_ns < AFTERWARDS_NS)

    def arrived(self, now_ns: int, size: int, send_time: bytes | None) -> None:
        """A packet of `size` bytes on the line, with its abs-send-time where it has one."""
        self._count(now_ns, size)
        if send_time is None or len(send_time) != 3:
            return
        sent_ns = self._place(now_ns, int.from_bytes(send_time, "big"))
        is_over = self._rise.add(sent_ns, now_ns, size) is not None
        group = self._group
        if group is not None and sent_ns - group.first_sent_ns >= GROUP_NS:
            is_over = self._trend.update(group) is Verdict.OVERUSE or is_over
            self._is_judged = group.first_sent_ns > self._ordered_sent_ns
            group = None
        if group is None:
            group = self._group = Group(sent_ns, now_ns)
        group.add(sent_ns, now_ns, size)
        if is_over and now_ns >= self._again_at_ns:
            self._begin(now_ns, sent_ns)

    def _count(self, now_ns: int, size: int) -> None:
        slot = now_ns // METER_NS
        if slot > self._slot:
            for passed in range(max(self._slot + 1, slot - METER_SLOTS + 1), slot + 1):
                self._meter[passed % METER_SLOTS] = 0
            self._slot = slot
        self._meter[slot % METER_SLOTS] += size

    def _place(self, now_ns: int, ticks: int) -> int:
        """A send time without wrapping, in ns since some time."""
        clock = self._clock
        if clock is None or now_ns - self._heard_at_ns >= QUIET_NS:
            clock = ticks
            self._trend, self._rise, self._group = DelayTrend(), Rise(), None
        half = 1 << (_CLOCK_BITS - 1)
        placed = clock + (ticks - clock + half) % (2 * half) - half
        self._clock = max(clock, placed)
        self._heard_at_ns = now_ns
        return placed * 1_000_000_000 // _CLOCK_HZ

    def _begin(self, now_ns: int, sent_ns: int) -> None:
        self._line_bps = sum(self._meter) * 8 * 1_000_000_000 // (METER_SLOTS * METER_NS)
        if self._limit_bps is None:
            self._began_at_ns = now_ns
        self._limit_bps = max(MIN_BPS, self._line_bps * KEPT_PERCENT // 100)
        self._again_at_ns = now_ns + AGAIN_NS
        self._calm_since_ns = None
        self._told_at_ns = 0
        self._ordered_sent_ns, self._is_judged = sent_ns, False
        self._is_new = True

    def take_news(self) -> int | None:
        """What the line takes, when that has shown since the last time."""
        line_bps, self._is_new = self._line_bps if self._is_new else None, False
        return line_bps

    def run(self, now_ns: int) -> int | None:
        """Once every `TICK_NS`: what to tell the publisher, if anything."""
        if self._limit_bps is None:
            return self._free(now_ns)
        is_drained = self._is_judged and self._trend.queue_ns < DRAINED_NS
        if not is_drained:
            self._calm_since_ns = None
        elif self._calm_since_ns is None:
            self._calm_since_ns = now_ns
        is_calm = self._calm_since_ns is not None and now_ns - self._calm_since_ns >= CALM_NS
        if is_calm or now_ns - self._began_at_ns >= MAX_HELD_NS:
            self._limit_bps = None
            self._ended_at_ns = now_ns
            self._again_at_ns = now_ns + REST_NS
            self._free_left, self._told_at_ns = FREE_REPEATS, 0
            return self._free(now_ns)
        if now_ns - self._told_at_ns < REPEAT_NS:
            return None
        self._told_at_ns = now_ns
        return max(self._limit_bps, self._line_bps * REST_PERCENT // 100) if is_drained else self._limit_bps

    def _free(self, now_ns: int) -> int | None:
        if not self._free_left or now_ns - self._told_at_ns < FREE_REPEAT_NS:
            return None
        self._free_left -= 1
        self._told_at_ns = now_ns
        return FREE_BPS

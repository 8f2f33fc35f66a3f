"""The bitrate that a peer's line takes, from its feedback. None until the line has once shown a limit."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from sfu.engine.api import OVERHEAD_BYTES
from sfu.engine.reference.congestion.delay import GROUP_NS, MAX_DRIFT_NS, MAX_STEP_NS, DelayTrend, Group, Rise, Verdict
from sfu.engine.reference.congestion.history import SentHistory, SentPacket
from sfu.engine.reference.congestion.pacer import START_BPS, Pacer
from sfu.engine.reference.congestion.probe import Probe
from sfu.engine.reference.transport_feedback import REFERENCE_WRAP_NS

WINDOW = 6
"""Groups over which rates are measured."""
CUT_WINDOW = 4
"""The same when the line is too narrow: what was sent before it was is no measure."""
LOSS_WINDOW = 20
MIN_PACKETS = 60
"""Fewer say nothing of the share that is lost."""
LOSS_PERCENT = 40
"""What is lost beyond this is lost for want of room, whatever the delay; less than that may be a line that loses."""
KEPT_PERCENT = 85
"""Share of what gets through that is used afterwards."""
UNSURE_PERCENT = 15
"""While so much is lost, no more is tried."""
FILLED_PERCENT = 104
"""What is sent is at least this share of what gets through where a queue grows because of it."""
RISE_KEPT_PERCENT = 90
"""The same of what comes out of a queue that one picture made: its packets say at what rate."""
NARROWER_PERCENT = 60
"""A line that takes less than this share of the estimate has become narrower."""
START_NS = 500_000_000
"""Who has not given any feedback for so long after the first packet may never give any."""
OUTAGE_NS = 500_000_000
"""Nothing at all arrived of what was sent for so long: the way was gone, and not too narrow."""
CUT_INTERVAL_NS = 300_000_000
"""A cut needs this long to show."""
GROWTH_PERCENT = 8
"""A second, as long as no queue grows."""
NEAR_GROWTH_PERCENT, NEAR_GROWTH_BPS = 4, 40_000
"""At most so much a second near the bitrate at which a queue grew the last time: an equal step for all who share it."""
CALM_QUEUE_NS = 100_000_000
"""With a longer queue nothing is probed."""
DRAIN_QUEUE_NS = 60_000_000
"""With a longer queue video leaves slowly."""
STALE_NS = 1_000_000_000
"""A queue that was seen so long ago is no more: hardly anything has been sent since."""
CALM_AFTER_CUT_NS = 500_000_000
PROBE_AFTER_CUT_NS = 1_000_000_000
TRIED_NS = 200_000_000
"""What is sent so long after a probe may wait in the queue that the probe made."""
MIN_BPS, MAX_BPS = 30_000, 1_000_000_000
GAP_NS = 50_000_000
"""Between two changes that are told."""
_NS_PER_S = 1_000_000_000


class Estimator:
    """One per transport whose packets carry transport-wide numbers."""

    __slots__ = (
        "_acked_bps",
        "_arrival_ns",
        "_cut_at_ns",
        "_delay",
        "_delay_ns",
        "_first_delay_ns",
        "_group",
        "_groups",
        "_history",
        "_judged_at_ns",
        "_lost_percent",
        "_rise",
        "_started_at_ns",
        "_told_at_ns",
        "_told_bps",
        "_top_bps",
        "_tried_until_ns",
        "bitrate_bps",
        "is_starting",
        "loss_runs",
        "pacer",
        "packets_lost",
        "probe",
    )

    def __init__(self, first_seq: int) -> None:
        self.bitrate_bps: int | None = None
        self.is_starting = True
        """Nothing is known of the line yet."""
        self.packets_lost = 0
        self.loss_runs = 0
        self.probe = Probe()
        self.pacer = Pacer()
        self._started_at_ns: int | None = None
        self._history = SentHistory(first_seq)
        self._delay = DelayTrend()
        self._rise = Rise()
        self._groups: deque[Group] = deque(maxlen=LOSS_WINDOW)
        self._group: Group | None = None
        self._arrival_ns: int | None = None
        self._delay_ns = self._first_delay_ns = 0
        self._acked_bps = 0
        self._cut_at_ns: int | None = None
        self._top_bps = 0
        """What got through when a queue grew the last time."""
        self._judged_at_ns = 0
        self._lost_percent = 0
        self._tried_until_ns = 0
        self._told_bps: int | None = None
        self._told_at_ns = 0

    @property
    def acked_bps(self) -> int:
        """What arrived lately, bits per second on the line."""
        return self._acked_bps

    def sent(self, now_ns: int, payload_bytes: int) -> None:
        """A packet leaves with the next transport-wide number."""
        sent = SentPacket(now_ns, payload_bytes + OVERHEAD_BYTES, self.probe.phase)
        self._history.add(sent)
        if self.bitrate_bps is not None:
            self.pacer.sent(now_ns, sent.size, self.bitrate_bps)
        elif self.is_starting:
            self._started_at_ns = self._started_at_ns or now_ns
            self.pacer.sent(now_ns, sent.size, START_BPS)
        if sent.phase:
            self.probe.sent(sent)
            self._tried_until_ns = now_ns + TRIED_NS

    def may_send(self, now_ns: int) -> bool:
        """Whether video may leave now."""
        if self.bitrate_bps is not None:
            return self.pacer.may_send(now_ns)
        return not self.is_starting or self.pacer.may_start(now_ns)

    def handle_feedback(
        self,
        now_ns: int,
        received: Iterable[tuple[int, int]],
        wrap_ns: int = REFERENCE_WRAP_NS,
        untimed: Iterable[int] = (),
    ) -> None:
        """What arrived and when, as `TransportFeedback.received`, on a clock that begins anew every `wrap_ns`. Numbers
        that were not sent say nothing. `untimed` have arrived, nobody knows when: they are not lost, and say nothing
        else."""
        heard_ns = self._history.newest_arrived_ns
        for seq in untimed:
            if self._history.acknowledge(seq) is not None:
                self.is_starting = False
        for seq, arrival_ns in received:
            sent = self._history.acknowledge(seq)
            if sent is not None:
                self.is_starting = False
                self._take(now_ns, sent, self._place(sent.sent_at_ns, arrival_ns, wrap_ns))
        lost = self._history.take_lost()
        self.packets_lost += lost.packets
        self.loss_runs += lost.runs
        if self._group is not None and self._history.newest_arrived_ns - heard_ns < OUTAGE_NS:
            self._group.lost += lost.packets
            self._group.lost_bytes += lost.size

    def _place(self, sent_at_ns: int, arrival_ns: int, wrap_ns: int) -> int:
        """An arrival on the receiver's clock, of which only so much comes."""
        before_ns = self._arrival_ns
        if before_ns is not None:
            placed_ns = before_ns + (arrival_ns - before_ns + wrap_ns // 2) % wrap_ns - wrap_ns // 2
            delay_ns = placed_ns - sent_at_ns
            step_ns, drift_ns = abs(delay_ns - self._delay_ns), abs(delay_ns - self._first_delay_ns)
            if step_ns <= MAX_STEP_NS and drift_ns <= MAX_DRIFT_NS:
                self._arrival_ns, self._delay_ns = placed_ns, delay_ns
                return placed_ns
            self._delay, self._rise = DelayTrend(), Rise()
            self._groups.clear()
            self._group = None
        self._arrival_ns = arrival_ns
        self._delay_ns = self._first_delay_ns = arrival_ns - sent_at_ns
        return arrival_ns

    def _take(self, now_ns: int, sent: SentPacket, arrival_ns: int) -> None:
        if sent.phase and self.probe.is_running:
            self.probe.arrived(sent, arrival_ns)
        group = self._group
        if group is not None and sent.sent_at_ns - group.first_sent_ns >= GROUP_NS:
            self._complete(now_ns, group)
            group = None
        if group is None:
            group = self._group = Group(sent.sent_at_ns, arrival_ns)
            group.is_tried = sent.sent_at_ns < self._tried_until_ns
        group.is_tried = group.is_tried or sent.phase > 0
        group.add(sent.sent_at_ns, arrival_ns, sent.size)
        taken_bps = self._rise.add(sent.sent_at_ns, arrival_ns, sent.size)
        if taken_bps is not None and not group.is_tried:
            self._narrow(now_ns, taken_bps)

    def _narrow(self, now_ns: int, taken_bps: int) -> None:
        """Packets wait behind each other, and come out at `taken_bps`."""
        before_bps = self.bitrate_bps
        if before_bps is not None and taken_bps * 100 >= before_bps * NARROWER_PERCENT:
            return
        self._set(taken_bps * RISE_KEPT_PERCENT // 100)
        self._top_bps = taken_bps
        self._cut_at_ns = now_ns
        self.probe.hold(now_ns + PROBE_AFTER_CUT_NS)

    def _complete(self, now_ns: int, group: Group) -> None:
        self._judged_at_ns = now_ns
        elapsed_ns = min(group.first_sent_ns - self._groups[-1].first_sent_ns, _NS_PER_S) if self._groups else 0
        self._groups.append(group)
        verdict = self._delay.update(group)
        _sent_bps, self._acked_bps = self._rates(WINDOW)
        self._lost_percent = loss_percent = self._loss_percent()
        if verdict is Verdict.OVERUSE or (loss_percent >= LOSS_PERCENT and not group.is_tried):
            self._cut(now_ns)
        elif verdict is Verdict.NORMAL and loss_percent < UNSURE_PERCENT and self.bitrate_bps is not None:
            self._grow(now_ns, self.bitrate_bps, elapsed_ns)

    def _rates(self, window: int) -> tuple[int, int]:
        """Bits per second that were sent and that arrived, over the last groups."""
        groups = [self._groups[index] for index in range(max(0, len(self._groups) - window), len(self._groups))]
        if len(groups) < 2:
            return 0, 0
        size = sum(one.size for one in groups[1:])
        lost = sum(one.lost_bytes for one in groups[1:])
        sent_ns = max(groups[-1].last_sent_ns - groups[0].last_sent_ns, GROUP_NS)
        took_ns = max(groups[-1].last_arrival_ns - groups[0].last_arrival_ns, sent_ns)
        return (size + lost) * 8 * _NS_PER_S // sent_ns, size * 8 * _NS_PER_S // took_ns

    def _loss_percent(self) -> int:
        arrived, lost = sum(one.packets for one in self._groups), sum(one.lost for one in self._groups)
        return 100 * lost // (arrived + lost) if arrived + lost >= MIN_PACKETS else 0

    def _cut(self, now_ns: int) -> None:
        if self._cut_at_ns is not None and now_ns - self._cut_at_ns < CUT_INTERVAL_NS:
            return
        sent_bps, acked_bps = self._rates(CUT_WINDOW)
        target_bps = acked_bps * KEPT_PERCENT // 100
        is_filled = sent_bps * 100 >= acked_bps * FILLED_PERCENT
        before_bps = self.bitrate_bps
        if before_bps is None:
            if not is_filled:
                return
            before_bps = target_bps
        elif not is_filled:
            target_bps = max(target_bps, before_bps * KEPT_PERCENT // 100)
        if is_filled:
            self._top_bps = acked_bps
        self._set(min(before_bps, target_bps))
        self._cut_at_ns = now_ns
        self.probe.hold(now_ns + PROBE_AFTER_CUT_NS)

    def _grow(self, now_ns: int, bitrate_bps: int, elapsed_ns: int) -> None:
        if self._cut_at_ns is not None and now_ns - self._cut_at_ns < CALM_AFTER_CUT_NS:
            return
        acked_bps = self._acked_bps
        if acked_bps > bitrate_bps:
            self._set(acked_bps)
        elif bitrate_bps < acked_bps * 3 // 2:
            growth_bps = bitrate_bps * GROWTH_PERCENT // 100
            if self._top_bps * 8 <= bitrate_bps * 10 <= self._top_bps * 12:
                growth_bps = min(bitrate_bps * NEAR_GROWTH_PERCENT // 100, NEAR_GROWTH_BPS)
            self._set(bitrate_bps + growth_bps * elapsed_ns // _NS_PER_S)

    def _set(self, bitrate_bps: int) -> None:
        self.bitrate_bps = max(MIN_BPS, min(bitrate_bps, MAX_BPS))

    def run(self, now_ns: int) -> int:
        """Once every `TICK_NS`: padding packets to send now."""
        if self._started_at_ns is not None and now_ns - self._started_at_ns >= START_NS:
            self.is_starting = False
        if self.bitrate_bps is None:
            return 0
        if self.probe.is_over(now_ns, self._history.newest_arrived_ns):
            measured_bps = self.probe.finish(now_ns)
            if measured_bps > self.bitrate_bps:
                self._set(measured_bps)
        self.pacer.is_draining = self._has_queue(now_ns, DRAIN_QUEUE_NS)
        is_calm = not self._has_queue(now_ns, CALM_QUEUE_NS)
        return self.probe.run(now_ns, self.bitrate_bps, is_calm=is_calm, lost_percent=self._lost_percent)

    def _has_queue(self, now_ns: int, long_ns: int) -> bool:
        return self._delay.queue_ns >= long_ns and now_ns - self._judged_at_ns < STALE_NS

    def take_change(self, now_ns: int) -> int | None:
        """The estimate, when it is due to be told: it fell, or rose by a thirty-second."""
        now_bps, told_bps = self.bitrate_bps, self._told_bps
        if now_bps is None or now_ns - self._told_at_ns < GAP_NS:
            return None
        if told_bps is not None and told_bps - told_bps // 64 <= now_bps <= told_bps + told_bps // 32:
            return None
        self._told_bps, self._told_at_ns = now_bps, now_ns
        return now_bps

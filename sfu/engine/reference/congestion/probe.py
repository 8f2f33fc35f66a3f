"""Trying whether a line takes more: padding in a short cluster, faster than the estimate, and how fast it arrives.

What is sent in the first `TICK_NS` of a cluster (phase 1) marks where the measurement begins, the rest (phase 2) is
measured. Media that is sent meanwhile belongs to the cluster.
"""

from __future__ import annotations

from sfu.engine.api import OVERHEAD_BYTES, TICK_NS
from sfu.engine.reference.congestion.history import SentPacket

CLUSTER_NS = 5 * TICK_NS
PADDING_BYTES = 255
"""Of one packet; its count has one byte (RFC 3550 §5.1)."""
MAX_PACKETS_PER_TICK = 64
MAX_GROWTH = 3
"""How many times the estimate is tried at once: a cluster must not fill the queue of a line that is narrow."""
RESULT_NS = 1_000_000_000
"""A cluster of which nothing more is heard for so long has failed."""
LATE_NS = 100_000_000
"""What was sent so long before something that has arrived will not arrive any more."""
MAX_LOST_PERCENT = 40
"""So much of a cluster may be lost as the line lost before, and counts as carried."""
WAIT_NS = 1_500_000_000
"""After a cluster that the line did not take."""
_NS_PER_S = 1_000_000_000


class Probe:
    __slots__ = ("_begin_ns", "_end_ns", "_lost_percent", "_marked_ns", "_measured_ns", "_measured_sent_ns", "_open",
                 "_rate_bps", "_sent", "arrived_bytes", "clusters", "is_running", "next_at_ns", "phase", "sent_bytes",
                 "wanted_bps")  # fmt: skip

    def __init__(self) -> None:
        self.wanted_bps = 0
        """What the control plane has use for."""
        self.phase = 0
        """Of packets that are sent now; 0: no cluster is being sent."""
        self.is_running = False
        """A cluster is being sent, or awaited."""
        self.next_at_ns = 0
        self.clusters = 0
        self._begin_ns = self._end_ns = self._rate_bps = self._sent = self._open = 0
        self._lost_percent = 0
        self._marked_ns: int | None = None
        self._measured_ns: int | None = None
        self._measured_sent_ns = 0
        self.sent_bytes = self.arrived_bytes = 0

    def run(self, now_ns: int, estimate_bps: int, *, is_calm: bool, lost_percent: int) -> int:
        """Padding packets to send now. `is_calm`: there is no queue on the way as far as is known; `lost_percent`: what
        the line loses all the same."""
        if not self.is_running:
            if not is_calm or self.wanted_bps <= estimate_bps or now_ns < self.next_at_ns:
                return 0
            self._begin(now_ns, estimate_bps)
            self._lost_percent = min(lost_percent, MAX_LOST_PERCENT)
        if self.phase == 0:
            return 0
        elapsed_ns = now_ns - self._begin_ns
        if elapsed_ns >= CLUSTER_NS:
            self.phase = 0
            self._end_ns = now_ns
            return 0
        if elapsed_ns > 0:
            self.phase = 2
        due = self._rate_bps * (elapsed_ns + TICK_NS) // (8 * _NS_PER_S) - self._sent
        packets = -(-due // (PADDING_BYTES + OVERHEAD_BYTES))
        return max(0, min(packets, MAX_PACKETS_PER_TICK))

    def _begin(self, now_ns: int, estimate_bps: int) -> None:
        self.is_running = True
        self.clusters += 1
        self.phase = 1
        self._begin_ns = now_ns
        self._rate_bps = min(self.wanted_bps * 11 // 10, MAX_GROWTH * estimate_bps)
        self._marked_ns = self._measured_ns = None
        self._sent = self._open = self._measured_sent_ns = 0
        self.sent_bytes = self.arrived_bytes = 0

    def sent(self, sent: SentPacket) -> None:
        """A packet leaves while a cluster is being sent."""
        self._sent += sent.size
        self._open += 1
        if sent.phase == 2:
            self.sent_bytes += sent.size
            self._measured_sent_ns = sent.sent_at_ns

    def arrived(self, sent: SentPacket, arrival_ns: int) -> None:
        """A packet of the cluster has arrived."""
        self._open -= 1
        if sent.phase == 1:
            self._marked_ns = arrival_ns if self._marked_ns is None else max(self._marked_ns, arrival_ns)
        else:
            self.arrived_bytes += sent.size
            self._measured_ns = arrival_ns if self._measured_ns is None else max(self._measured_ns, arrival_ns)

    def is_over(self, now_ns: int, newest_arrived_ns: int) -> bool:
        """Whether everything that will be heard of the cluster has been heard."""
        if not self.is_running or self.phase:
            return False
        return self._open <= 0 or newest_arrived_ns >= self._end_ns + LATE_NS or now_ns >= self._end_ns + RESULT_NS

    def finish(self, now_ns: int) -> int:
        """The bitrate that the line took, 0 when the cluster failed. The next one may be sent at once only after one
        that arrived as fast as it was sent."""
        self.is_running = False
        self.next_at_ns = now_ns + WAIT_NS
        carried_bytes = min(self.sent_bytes, self.arrived_bytes * 100 // (100 - self._lost_percent))
        if self._marked_ns is None or self._measured_ns is None or carried_bytes * 10 < self.sent_bytes * 6:
            return 0
        sent_ns = self._measured_sent_ns - self._begin_ns
        took_ns = max(self._measured_ns - self._marked_ns, sent_ns, TICK_NS)
        measured_bps = carried_bytes * 8 * _NS_PER_S // took_ns
        sent_bps = self.sent_bytes * 8 * _NS_PER_S // max(sent_ns, TICK_NS)
        if measured_bps * 10 >= sent_bps * 9:
            self.next_at_ns = now_ns
            return min(measured_bps, self._rate_bps)
        return measured_bps * 9 // 10

    def hold(self, until_ns: int) -> None:
        """No cluster before then."""
        self.next_at_ns = max(self.next_at_ns, until_ns)

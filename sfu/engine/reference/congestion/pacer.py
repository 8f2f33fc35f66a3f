"""How fast video may leave towards a line that has shown a limit, or of which nothing is known yet, so that it does not
fill the queue in which sound waits.

A keyframe may leave at `BURST_PERCENT` of the estimate as long as the line, if it took `PERCENT` of it, would be busy
with all that was sent for no longer than `AHEAD_NS`; then at `PERCENT`. While there is a queue on the way it is less
than the line takes, so that the queue drains. Everything that leaves counts, and only video is held."""

from __future__ import annotations

from sfu.engine.api import TICK_NS

BURST_PERCENT = 250
PERCENT = 125
"""Above the estimate, which is below what the line takes, so that a picture a little too large shows as a queue there
and not only here."""
DRAINING_PERCENT = 80
AHEAD_NS = 150_000_000
START_BPS, START_AHEAD_NS = 2_000_000, 80_000_000
"""Before anything is known of the line: a picture of 25 kilobytes at once, then at `PERCENT` of this."""
MAX_DEBT_NS = 200_000_000
"""What leaves unasked (sound, resends, probes) holds video back by this much at most."""
_NS_PER_S = 1_000_000_000


class Pacer:
    __slots__ = ("_busy_until_ns", "_free_at_ns", "is_draining")

    def __init__(self) -> None:
        self.is_draining = False
        """There is a queue on the way."""
        self._free_at_ns = 0
        """For the next one of a burst."""
        self._busy_until_ns = 0
        """With all that was sent, on a line that takes `PERCENT` of the estimate."""

    def sent(self, now_ns: int, size: int, estimate_bps: int) -> None:
        """`size` bytes leave."""
        bits_ns = size * 8 * 100 * _NS_PER_S
        share = DRAINING_PERCENT if self.is_draining else PERCENT
        latest_ns = now_ns + MAX_DEBT_NS
        free_at_ns = max(self._free_at_ns, now_ns - TICK_NS) + bits_ns // (BURST_PERCENT * estimate_bps)
        self._free_at_ns = min(free_at_ns, latest_ns)
        busy_until_ns = max(self._busy_until_ns, now_ns) + bits_ns // (share * estimate_bps)
        self._busy_until_ns = min(busy_until_ns, latest_ns)

    def may_start(self, now_ns: int) -> bool:
        """The same before anything is known of the line."""
        return self._busy_until_ns <= now_ns + START_AHEAD_NS

    def may_send(self, now_ns: int) -> bool:
        ahead_ns = TICK_NS if self.is_draining else AHEAD_NS
        return now_ns >= self._free_at_ns and self._busy_until_ns <= now_ns + ahead_ns

"""What every part of the engine shares, below the tables: the way out, the counters, the seed."""

from __future__ import annotations

from collections import deque

from sfu.engine.api import DROP_REASONS, IDLE_TICK_NS, TICK_NS, Event
from sfu.engine.reference.outgoing import Outgoing
from sfu.engine.reference.prng import SplitMix64
from sfu.engine.reference.slots import StreamSlot
from sfu.ids import SubscriptionHandle, TransportHandle


class Core:
    """Output queues, drop counters, and the streams that owe someone a keyframe.

    The queues are bounded by what one call of `handle_*` can make: the caller drains them after each.
    """

    __slots__ = (
        "checks_answered",
        "drops",
        "due_at_ns",
        "events",
        "keyframes_wanted",
        "outgoing",
        "random",
        "replays",
        "ticked_at_ns",
        "working_for",
    )

    def __init__(self, seed: int) -> None:
        self.random = SplitMix64(seed)
        self.outgoing = Outgoing()
        self.events: deque[Event] = deque()
        self.checks_answered = 0
        self.drops = dict.fromkeys(DROP_REASONS, 0)
        self.keyframes_wanted: dict[StreamSlot, bool] = {}
        """True where the keyframe was asked for, and not only waited for."""
        self.replays: dict[SubscriptionHandle, None] = {}
        """Subscriptions that begin, or have begun, with a cached keyframe."""
        self.working_for: TransportHandle | None = None
        """The transport that something is being done for: the one that ends if that fails."""
        self.ticked_at_ns: int | None = None
        """When the clock ran last."""
        self.due_at_ns = 0
        """When it has to run again."""

    def tick(self, now_ns: int) -> None:
        """The clock runs. Whoever still waits for it after that has to say so again."""
        self.ticked_at_ns = now_ns
        self.due_at_ns = now_ns + IDLE_TICK_NS

    def want_clock(self) -> None:
        """Something waits for the clock that cannot wait for long."""
        self.want_clock_by(self._soon_ns())

    def want_clock_by(self, at_ns: int) -> None:
        """Something waits for the clock until then."""
        self.due_at_ns = min(self.due_at_ns, at_ns)

    def _soon_ns(self) -> int:
        return 0 if self.ticked_at_ns is None else self.ticked_at_ns + TICK_NS

    def latest_tick_ns(self) -> int:
        """When the clock has to run at the latest."""
        # What commands have made leaves with the clock, and what these two hold is looked at by each tick.
        is_waiting = self.outgoing or self.events or self.keyframes_wanted or self.replays
        return min(self.due_at_ns, self._soon_ns()) if is_waiting else self.due_at_ns

"""What every part of the engine shares, below the tables: the way out, the counters, the seed."""

from __future__ import annotations

from collections import deque

from sfu.engine.api import DROP_REASONS, Event
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
        "events",
        "keyframes_wanted",
        "outgoing",
        "random",
        "replays",
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

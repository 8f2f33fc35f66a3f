"""What every part of the engine shares: the way out, the counters, the seed."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from sfu.engine.api import DROP_REASONS, Event
from sfu.engine.reference.pacer import Pacer
from sfu.engine.reference.prng import SplitMix64

if TYPE_CHECKING:
    from sfu.engine.reference.forwarder import Forwarder
    from sfu.engine.reference.stream import InboundStream
    from sfu.engine.reference.transport import Transport


class Core:
    """Output queues, drop counters, and the streams that owe someone a keyframe.

    The queues are bounded by what one call of `handle_*` can make: the caller drains them after each.
    """

    __slots__ = ("checks_answered", "drops", "events", "keyframes_wanted", "pacer", "random", "replays", "working_for")

    def __init__(self, seed: int) -> None:
        self.random = SplitMix64(seed)
        self.pacer = Pacer()
        self.events: deque[Event] = deque()
        self.checks_answered = 0
        self.drops = dict.fromkeys(DROP_REASONS, 0)
        self.keyframes_wanted: dict[InboundStream, bool] = {}
        """True where the keyframe was asked for, and not only waited for."""
        self.replays: dict[Forwarder, None] = {}
        """Subscriptions that begin, or have begun, with a cached keyframe."""
        self.working_for: Transport | None = None
        """The transport that something is being done for: the one that ends if that fails."""

"""How much earlier sound goes with each packet (RED, RFC 2198), as the subscriber's line loses. Time is an argument.

A receiver that misses a packet finds its frame in the next ones. With n earlier frames, what a line loses at random is
missed only when n + 1 packets in a row are lost. A line that loses nothing gets sound as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from sfu.control.adapt.figures import Figures
from sfu.control.subscribe.subscription import Subscription
from sfu.engine.api import EngineCommands
from sfu.ids import SubscriptionHandle

FRAMES_FROM_LOSS = ((0.08, 3), (0.025, 2), (0.002, 1))
"""From this share of 1 that is lost on, so many earlier frames."""
CALM_S = 20.0
"""How long a line must have lost less before less goes with the sound."""
LEARNING_S = 8.0
"""What is not known of a line at first: sound goes out as its publisher sends it."""
SHARE = 4
"""All sound with what goes with it takes at most this part of what the line takes."""
FRAMES_BPS = 40_000
"""What sound takes for each frame in a packet, about."""


Subscriber = tuple[int | None, Iterable[Subscription]]
"""What its line takes, if that is known, and what it receives."""


class Protection:
    """Of one subscription of sound."""

    def __init__(self, now_s: float) -> None:
        self._began_s = now_s
        self._needed: list[tuple[float, int]] = []
        """When how many frames were needed, newest last; only what nothing newer exceeds."""

    def update(self, now_s: float, loss: float) -> int | None:
        """Earlier frames that the line needs; None: nothing is known yet. `loss` is a share of 1."""
        needed = next((frames for share, frames in FRAMES_FROM_LOSS if loss >= share), 0)
        recent = [one for one in self._needed if now_s - one[0] < CALM_S and one[1] > needed]
        self._needed = [*recent, (now_s, needed)]
        frames = self._needed[0][1]
        return None if frames == 0 and now_s - self._began_s < LEARNING_S else frames


def affordable(estimate_bps: int | None, sounds: int) -> float:
    """Earlier frames that there is room for on a line with so many subscriptions of sound."""
    if estimate_bps is None or not sounds:
        return math.inf
    return max(0, estimate_bps // SHARE // (FRAMES_BPS * sounds) - 1)


class SoundProtection:
    """Of all subscriptions of a node."""

    def __init__(self, engine: EngineCommands) -> None:
        self._engine = engine
        self._lines: dict[SubscriptionHandle, Protection] = {}

    def run(self, subscribers: Iterable[Subscriber], figures: Figures, now_s: float) -> None:
        """All of them: others are forgotten."""
        before, self._lines = self._lines, {}
        for estimate_bps, subscriptions in subscribers:
            sounds = [one for one in subscriptions if one.can_add_redundancy]
            most = affordable(estimate_bps, len(sounds))
            for one in sounds:
                flow, handle = figures.flow(one), one.handle
                if handle is None or flow is None:
                    continue
                line = self._lines[handle] = before.get(handle) or Protection(now_s)
                frames = line.update(now_s, flow.loss) if flow.packets else one.redundancy
                one.set_redundancy(self._engine, None if frames is None else int(min(frames, most)))

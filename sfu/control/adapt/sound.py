"""How much earlier sound goes with each packet (RED, RFC 2198), as the subscriber's line loses. Time is an argument.

A receiver that misses a packet finds its frame in the next ones. With n earlier frames, what a line loses at random is
missed only when n + 1 packets in a row are lost. Where packets are lost in runs, the earlier frames are further apart:
what comes after a run then has all that was in it, unless it was full. A line that loses nothing gets sound as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from sfu.control.adapt.figures import Figures
from sfu.control.subscribe.subscription import Subscription
from sfu.engine.api import EngineCommands
from sfu.ids import SubscriptionHandle, TransportHandle
from sfu.sdp.model import Redundancy

FRAMES_FROM_LOSS = ((0.08, 3), (0.025, 2), (0.002, 1))
"""From this share of 1 that is lost on, so many earlier frames."""
RUN_PACKETS, RUNS = 3.0, 3
"""So many packets are lost in a row, as a mean of so many runs at least: they are no chance. A line that loses a third
of all packets at random has 1.5."""
IN_RUNS = Redundancy(3, 2)
"""What is sent then, however little is lost."""
CALM_S = 20.0
"""How long a line must have lost less before less goes with the sound."""
LEARNING_S = 8.0
"""What is not known of a line at first: sound goes out as its publisher sends it."""
SHARE = 4
"""All sound with what goes with it takes at most this part of what the line takes."""
FRAMES_BPS = 40_000
"""What sound takes for each frame in a packet, about."""


class Subscriber(NamedTuple):
    estimate_bps: int | None
    """What its line takes, if that is known."""
    subscriptions: Iterable[Subscription]
    downlink: TransportHandle | None


class Runs:
    """How losses on one line come."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int, int]] = []
        """When so many packets were lost in so many runs."""

    def update(self, now_s: float, lost: int, runs: int) -> bool:
        """Whether many are lost in a row, as of late."""
        recent = [one for one in self._seen if now_s - one[0] < CALM_S]
        self._seen = [*recent, (now_s, lost, runs)] if lost else recent
        all_lost, all_runs = sum(one[1] for one in self._seen), sum(one[2] for one in self._seen)
        return all_runs >= RUNS and all_lost >= RUN_PACKETS * all_runs


class Protection:
    """Of one subscription of sound."""

    def __init__(self, now_s: float) -> None:
        self._began_s = now_s
        self._needed: list[tuple[float, Redundancy]] = []
        """When what was needed, newest last; only what nothing newer exceeds."""

    def update(self, now_s: float, loss: float, *, in_runs: bool = False) -> Redundancy | None:
        """What the line needs; None: nothing is known yet. `loss` is a share of 1, `in_runs` how it comes."""
        needed = Redundancy(next((frames for share, frames in FRAMES_FROM_LOSS if loss >= share), 0))
        if in_runs and needed.frames:
            needed = IN_RUNS
        recent = [one for one in self._needed if now_s - one[0] < CALM_S and one[1] > needed]
        self._needed = [*recent, (now_s, needed)]
        most = self._needed[0][1]
        return None if most.frames == 0 and now_s - self._began_s < LEARNING_S else most


def affordable(estimate_bps: int | None, sounds: int) -> float:
    """Earlier frames that there is room for on a line with so many subscriptions of sound."""
    if estimate_bps is None or not sounds:
        return math.inf
    return max(0, estimate_bps // SHARE // (FRAMES_BPS * sounds) - 1)


class SoundProtection:
    """Of all subscriptions of a node."""

    def __init__(self, engine: EngineCommands) -> None:
        self._engine = engine
        self._sounds: dict[SubscriptionHandle, Protection] = {}
        self._lines: dict[TransportHandle, Runs] = {}

    def run(self, subscribers: Iterable[Subscriber], figures: Figures, now_s: float) -> None:
        """All of them: others are forgotten."""
        before, self._sounds = self._sounds, {}
        lines_before, self._lines = self._lines, {}
        for estimate_bps, subscriptions, downlink in subscribers:
            sounds = [one for one in subscriptions if one.can_add_redundancy]
            if not sounds or downlink is None:
                continue
            runs = self._lines[downlink] = lines_before.get(downlink) or Runs()
            # A line that is full loses several in a row, too: more sound would take from it what the pictures need.
            in_runs = runs.update(now_s, *figures.lost_on(downlink)) and estimate_bps is None
            most = affordable(estimate_bps, len(sounds))
            for one in sounds:
                flow, handle = figures.flow(one), one.handle
                if handle is None or flow is None:
                    continue
                sound = self._sounds[handle] = before.get(handle) or Protection(now_s)
                needed = sound.update(now_s, flow.loss, in_runs=in_runs) if flow.packets else one.redundancy
                if needed is not None:
                    needed = needed._replace(frames=int(min(needed.frames, most)))
                one.set_redundancy(self._engine, needed)

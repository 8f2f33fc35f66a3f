"""Which videos go out with repair packets (FlexFEC-03): those to lines that lose and are long. Time is an argument.

What a line loses is asked for and comes a round trip later; a repair packet gives back at once one packet of those that
share it. It takes room whether or not anything is lost, so that a line that loses nothing, or little, gets none; nor
does one that loses several in a row, where it can give back nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from sfu.control.adapt.figures import Figures, Flow
from sfu.control.settings import AdaptSettings
from sfu.control.subscribe.subscription import Subscription
from sfu.engine.api import EngineCommands
from sfu.ids import SubscriptionHandle

CALM_S = 20.0
"""How long a line must have lost less than half of `fec_loss` before there are no more repair packets."""
BURST = 2.0
"""Where as many packets are asked for at once on average, losses come in a row."""
MUCH, MUCH_NO_MORE = 0.15, 0.12
"""From this share on that is lost on average, until it is below the other, more repair packets are worth their room."""
FEW_PACKETS = 3
"""So many share one there."""
NEWEST = 0.3
"""What the newest figures count in averages: those of a small picture say little."""


class Need:
    """Of one subscription of video."""

    def __init__(self, settings: AdaptSettings) -> None:
        self._settings = settings
        self._lost_at_s: float | None = None
        """When it last lost so much; None: it does not need repair packets."""
        self._average: float | None = None
        self._is_much = False
        self._nacks = self._resent = 0.0
        """Of late."""

    def update(self, now_s: float, flow: Flow) -> int:
        """How many packets are to share a repair packet; 0: none is needed."""
        settings = self._settings
        if self._are_in_a_row(flow):
            self._lost_at_s = self._average = None
            return 0
        loss = flow.loss if flow.rtt_ms >= settings.fec_rtt_ms else 0.0
        is_on = self._lost_at_s is not None
        if loss >= settings.fec_loss / (2 if is_on else 1):
            self._lost_at_s = now_s
        elif self._lost_at_s is not None and now_s - self._lost_at_s >= CALM_S:
            self._lost_at_s = None
        before = loss if self._average is None else self._average
        self._average = before + NEWEST * (loss - before)
        self._is_much = self._average >= (MUCH_NO_MORE if self._is_much else MUCH)
        if self._lost_at_s is None:
            return 0
        return min(settings.fec_packets, FEW_PACKETS) if self._is_much else settings.fec_packets

    def _are_in_a_row(self, flow: Flow) -> bool:
        """The losses. They are asked for together then, since the next packet that comes shows them all."""
        self._nacks = (1 - NEWEST) * self._nacks + flow.nacks
        self._resent = (1 - NEWEST) * self._resent + flow.resent
        return 0 < BURST * self._nacks <= self._resent


class VideoFec:
    """Of all subscriptions of a node."""

    def __init__(self, engine: EngineCommands, settings: AdaptSettings) -> None:
        self._engine = engine
        self._settings = settings
        self._needs: dict[SubscriptionHandle, Need] = {}

    def run(self, receivers: Iterable[Iterable[Subscription]], figures: Figures, now_s: float) -> None:
        """What each receives, all of them: others are forgotten."""
        before, self._needs = self._needs, {}
        for one in (subscription for receiver in receivers for subscription in receiver if subscription.takes_fec):
            flow, handle = figures.flow(one), one.handle
            if handle is None or flow is None:
                continue
            need = self._needs[handle] = before.get(handle) or Need(self._settings)
            if flow.packets:
                one.set_fec(self._engine, need.update(now_s, flow))

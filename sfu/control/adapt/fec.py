"""Which videos go out with repair packets (FlexFEC-03): those to lines that lose and are long. Time is an argument.

What a line loses is asked for and comes a round trip later; a repair packet gives back at once one packet of those that
share it. It takes room whether or not anything is lost, so that a line that loses nothing, or little, gets none.
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


class Need:
    """Of one subscription of video."""

    def __init__(self, settings: AdaptSettings) -> None:
        self._settings = settings
        self._lost_at_s: float | None = None
        """When it last lost so much; None: it does not need repair packets."""

    def update(self, now_s: float, flow: Flow) -> bool:
        """Whether its line needs repair packets."""
        loss = flow.loss if flow.rtt_ms >= self._settings.fec_rtt_ms else 0.0
        is_on = self._lost_at_s is not None
        if loss >= self._settings.fec_loss / (2 if is_on else 1):
            self._lost_at_s = now_s
        elif self._lost_at_s is not None and now_s - self._lost_at_s >= CALM_S:
            self._lost_at_s = None
        return self._lost_at_s is not None


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
                one.set_fec(self._engine, self._settings.fec_packets if need.update(now_s, flow) else 0)

"""Dynacast: what anybody wants of a video, so that its publisher need not send the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from sfu.api import VideoLayerInfo

OFF = -1
"""Of a codec: nobody wants any layer of it."""
HIGHEST_QUALITY = 2

Demand = Mapping[str, int]
"""Codec name in lower case to the best quality that somebody wants of it."""


def best_quality(layers: Sequence[VideoLayerInfo], spatial: int) -> int:
    """The quality of the layer that a spatial target names."""
    return layers[spatial].quality if spatial < len(layers) else HIGHEST_QUALITY


class LayerDemand:
    """What the publisher of one video was told. More is told at once; less only when it is still less a while later.

    `measure` looks at every subscription. It is asked rarely: a change of one subscription costs a comparison.
    """

    def __init__(
        self,
        codec: str,
        measure: Callable[[], Demand],
        tell: Callable[[Demand], None],
        loop: asyncio.AbstractEventLoop,
        pause_delay_s: float,
    ) -> None:
        self._measure = measure
        self._tell = tell
        self._loop = loop
        self._pause_delay_s = pause_delay_s
        # A publisher begins with everything on.
        self._told: dict[str, int] = {codec: HIGHEST_QUALITY}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def told(self) -> Demand:
        return self._told

    def note(self, codec: str, quality: int) -> None:
        """One subscription wants this now, and may have wanted something else before."""
        if quality > self._told.get(codec, OFF):
            self._told[codec] = quality
            self._tell(self._told)
            if self._timer is not None:
                # Whoever wanted less before has a full delay to come back, too.
                self._cancel()
                self._wait()
        elif self._timer is None:
            self._wait()

    def refresh(self) -> None:
        """What may be wanted has changed: tell it at once, be it less."""
        self._cancel()
        self._settle()

    def repeat(self) -> None:
        """Tell it once more: the publisher may have missed it."""
        self._tell(self._told)

    def close(self) -> None:
        self._cancel()

    def _wait(self) -> None:
        self._timer = self._loop.call_later(self._pause_delay_s, self._settle)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _settle(self) -> None:
        self._timer = None
        wanted = dict(self._measure())
        if wanted != self._told:
            self._told = wanted
            self._tell(wanted)

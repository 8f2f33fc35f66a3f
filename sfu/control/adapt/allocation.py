"""Which layers share a downlink. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sfu.engine.api import HIGHEST_LAYER

TOLERANCE = 1.15
"""What a subscriber has already may grow this much above the limit before it is taken away."""
PATIENT = 1.25
"""The same for a short while before a video is paused: a queue that grows takes 15 % off an estimate until it is gone,
also where all that is sent fits, and what sound takes weighs the more in what is left."""


@dataclass(frozen=True, slots=True)
class Want:
    """One video that a subscriber wants. `costs_bps` are those of its layers up to the one wanted, lowest first."""

    costs_bps: Sequence[float]
    held: int | None
    """Index of the layer that it has now, None while it is paused."""
    may_pause: bool


@dataclass(frozen=True, slots=True)
class Allocation:
    layers: Sequence[int | None]
    """By want: index into its costs, None to pause it."""
    next_bps: float | None
    """What everything would cost with the next layer that is missing; None when nothing is missing."""


def allocate(wants: Sequence[Want], limit_bps: float, lowest_tolerance: float = TOLERANCE) -> Allocation:
    """Share `limit_bps`. `wants` come in order of priority: everyone gets the lowest layer first, then each as much as
    is left. What cannot be paused keeps its lowest layer beyond the limit; what can, with `lowest_tolerance`."""
    total = 0.0
    layers: list[int | None] = []
    for want in wants:
        cost = _cost(want, 0, lowest_tolerance)
        fits = total + cost <= limit_bps
        layers.append(0 if fits or not want.may_pause else None)
        total += cost if layers[-1] is not None else 0.0
    for index, want in enumerate(wants):
        for layer in range(len(want.costs_bps) - 1, 0, -1):
            more = _cost(want, layer) - _cost(want, 0, lowest_tolerance)
            if layers[index] is not None and total + more <= limit_bps:
                layers[index] = layer
                total += more
                break
    return Allocation(layers, _next_total(wants, layers))


def _cost(want: Want, layer: int, tolerance: float = TOLERANCE) -> float:
    has_it = want.held is not None and layer <= want.held
    return want.costs_bps[layer] / tolerance if has_it else want.costs_bps[layer]


def _next_total(wants: Sequence[Want], layers: Sequence[int | None]) -> float | None:
    total = sum(want.costs_bps[layer] for want, layer in zip(wants, layers, strict=True) if layer is not None)
    for want, layer in zip(wants, layers, strict=True):
        if layer is None:
            return total + want.costs_bps[0]
    for want, layer in zip(wants, layers, strict=True):
        if layer is not None and layer + 1 < len(want.costs_bps):
            return total - want.costs_bps[layer] + want.costs_bps[layer + 1]
    return None


def fit(wants: Sequence[Want], *limits_bps: float | None, lowest_tolerance: float = TOLERANCE) -> Sequence[int | None]:
    """The layers that the least of the limits leaves; `HIGHEST_LAYER` for all when none is known."""
    known = [limit_bps for limit_bps in limits_bps if limit_bps is not None]
    return allocate(wants, min(known), lowest_tolerance).layers if known else [HIGHEST_LAYER] * len(wants)


def pauses(wants: Sequence[Want], layers: Sequence[int | None]) -> bool:
    """Whether somebody loses a video that is shown now."""
    return any(want.held is not None and layer is None for want, layer in zip(wants, layers, strict=True))

"""Which layer a subscriber should get, from what its client asked for.

Policy only: the engine falls back by itself to what really arrives, and `adapt` to what the downlink takes.
"""

from __future__ import annotations

from collections.abc import Sequence

from sfu.api import TrackSettings, VideoLayerInfo
from sfu.engine.api import HIGHEST_LAYER

# Encoders with three temporal layers halve the rate per layer; 30 fps is what cameras give.
_TEMPORAL_FPS = (7.5, 15.0)
_FPS_TOLERANCE = 1.1


def target_layer(layers: Sequence[VideoLayerInfo], settings: TrackSettings) -> tuple[int, int]:
    """(spatial, temporal) for `set_target_layer`. `layers` go from lowest to highest."""
    return _spatial(layers, settings), _temporal(settings.fps)


def _spatial(layers: Sequence[VideoLayerInfo], settings: TrackSettings) -> int:
    if not layers:
        return HIGHEST_LAYER
    if settings.width > 0 and settings.height > 0:
        wanted = settings.width * settings.height
        for index, layer in enumerate(layers):
            if layer.width * layer.height >= wanted:
                return index
        return len(layers) - 1
    if settings.quality is not None:
        fitting = [index for index, layer in enumerate(layers) if layer.quality <= settings.quality]
        return fitting[-1] if fitting else 0
    return HIGHEST_LAYER


def _temporal(fps: int) -> int:
    if fps <= 0:
        return HIGHEST_LAYER
    for layer, rate in enumerate(_TEMPORAL_FPS):
        if fps <= rate * _FPS_TOLERANCE:
            return layer
    return HIGHEST_LAYER

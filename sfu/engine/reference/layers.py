"""Which layer a subscription gets inside of a stream."""

from __future__ import annotations

from typing import NamedTuple

from sfu.engine.api import HIGHEST_LAYER
from sfu.engine.reference.frame_info import FrameInfo

ACTIVE_NS = 2_000_000_000
"""A stream whose last packet is older is not active."""


class Tops(NamedTuple):
    """What the filter must know of a stream: the highest layers seen."""

    spatial: int
    temporal: int


class LayerFilter:
    """Temporal and spatial layers of one stream that one subscription gets.

    `max_temporal` and `max_spatial` are what is let through now; they move towards the targets only where a
    decoder can follow: at a keyframe; down at the start of a picture; up at a switching point.
    """

    __slots__ = (
        "_temporal_before",
        "max_spatial",
        "max_temporal",
        "pending",
        "raised_at",
        "target_spatial",
        "target_temporal",
    )

    def __init__(self) -> None:
        self.target_spatial = HIGHEST_LAYER
        self.target_temporal = HIGHEST_LAYER
        self.max_spatial = HIGHEST_LAYER
        self.max_temporal = HIGHEST_LAYER
        self.pending = False
        """The targets are not reached yet: each packet has to be looked at."""
        self.raised_at = -1
        """Packets older than this one have to be looked at: they are from before the last way up."""
        self._temporal_before = HIGHEST_LAYER

    def set_target(self, spatial: int, temporal: int) -> None:
        self.target_spatial = spatial
        self.target_temporal = temporal
        self.pending = (spatial, temporal) != (self.max_spatial, self.max_temporal)

    def begin(self) -> None:
        """A stream starts at a keyframe: everything wanted can be had."""
        self.max_spatial = self.target_spatial
        self.max_temporal = self.target_temporal
        self.pending = False
        self.raised_at = -1

    def wants_spatial(self, top_spatial: int) -> bool:
        """Whether a spatial layer that is there is wanted and not let through: it needs a keyframe."""
        return self.max_spatial < min(self.target_spatial, top_spatial)

    def passes(self, info: FrameInfo, ext_seq: int, stream: Tops, *, is_newest: bool) -> bool:
        """Whether the packet goes out, after moving the limits where this packet lets them move."""
        if info.starts_frame and is_newest:
            self._move(info, ext_seq, stream)
        if info.temporal > self.max_temporal or info.spatial > self.max_spatial:
            return False
        # A straggler of a frame that was withheld before the way up must not come out alone.
        return ext_seq >= self.raised_at or info.temporal <= self._temporal_before

    def _move(self, info: FrameInfo, ext_seq: int, stream: Tops) -> None:
        if info.is_keyframe:
            self.begin()
            return
        if info.spatial == 0:
            self.max_temporal = min(self.max_temporal, self.target_temporal)
            self.max_spatial = min(self.max_spatial, self.target_spatial)
        if self.max_temporal < info.temporal <= self.target_temporal and info.switching_point:
            self._temporal_before = self.max_temporal
            self.raised_at = ext_seq
            self.max_temporal = info.temporal
        if self.max_spatial + 1 == info.spatial <= self.target_spatial and info.spatial_switching_point:
            self.max_spatial = info.spatial
        # Above the highest layer there is nothing to wait for.
        if self.max_temporal >= stream.temporal and self.target_temporal > self.max_temporal:
            self.max_temporal = self.target_temporal
        if self.max_spatial >= stream.spatial and self.target_spatial > self.max_spatial:
            self.max_spatial = self.target_spatial
        self.pending = (self.max_spatial, self.max_temporal) != (self.target_spatial, self.target_temporal)

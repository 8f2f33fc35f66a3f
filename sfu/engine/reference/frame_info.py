"""The result of `codecs.describe`, and the state that it keeps per inbound stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfu.engine.reference.dependency_descriptor import TemplateStructure


class FrameInfo:
    """What one packet says of its frame. A "frame" is one spatial layer of a "picture" (one timestamp).

    Treat as immutable: instances are shared.
    """

    __slots__ = (
        "active_decode_targets",
        "ends_frame",
        "ends_picture",
        "frame_number",
        "inter_layer_predicted",
        "is_keyframe",
        "keyidx",
        "picture_id",
        "picture_id_bits",
        "spatial",
        "spatial_switching_point",
        "starts_frame",
        "switching_point",
        "temporal",
        "tl0picidx",
    )

    def __init__(
        self,
        *,
        is_keyframe: bool = False,
        starts_frame: bool = False,
        ends_frame: bool = False,
        ends_picture: bool = False,
        spatial: int = 0,
        temporal: int = 0,
        switching_point: bool = False,
        spatial_switching_point: bool = False,
    ) -> None:
        self.is_keyframe = is_keyframe
        """First packet of a keyframe in the lowest spatial layer: a subscription can begin here. H264 may say so
        twice per keyframe (at the SPS and at the IDR slice): count keyframes by timestamp."""
        self.starts_frame = starts_frame
        self.ends_frame = ends_frame
        """Last packet of this spatial layer's frame."""
        self.ends_picture = ends_picture
        """The marker bit: last packet of all layers with this timestamp."""
        self.spatial = spatial
        self.temporal = temporal
        self.switching_point = switching_point
        """Forwarding of this temporal layer may begin with this frame, for who had only lower ones: VP8 Y bit, VP9 U
        bit (senders set it on the frames of the higher layer), AV1 first frame after a switch indication. Always set
        on keyframes and where the stream has no temporal layers. Read it where `starts_frame` is set."""
        self.spatial_switching_point = spatial_switching_point
        """This frame needs no earlier frame of its own spatial layer: forwarding of the layer may begin here, for who
        has the lower ones (VP9: not inter-picture predicted; AV1: needs its own picture only, and a switch
        indication)."""
        self.picture_id: int | None = None
        self.picture_id_bits = 0
        """Width on the wire: 7, 15, or 0 without picture id (VP8, VP9)."""
        self.tl0picidx: int | None = None
        self.keyidx: int | None = None
        self.inter_layer_predicted = False
        """VP9 D bit."""
        self.frame_number: int | None = None
        """16 bits, from the AV1 dependency descriptor."""
        self.active_decode_targets: int | None = None
        """Bitmask, bit i for decode target i, when this packet's dependency descriptor carries one."""


class CodecState:
    """What must be remembered between packets of one inbound stream. Only AV1 with a dependency descriptor needs it."""

    __slots__ = ("raisable", "structure")

    def __init__(self) -> None:
        self.structure: TemplateStructure | None = None
        self.raisable: dict[int, int] = {}
        """Spatial layer to a bitmask of temporal layers whose forwarding may begin with their next frame."""


EVERY_PACKET = FrameInfo(
    is_keyframe=True,
    starts_frame=True,
    ends_frame=True,
    ends_picture=True,
    switching_point=True,
    spatial_switching_point=True,
)

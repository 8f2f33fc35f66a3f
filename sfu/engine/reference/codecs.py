"""What the SFU must know of a payload without decoding it: frames, keyframes, layers.

`describe` is called once per authenticated packet. It returns None for a malformed payload (drop it) and never
raises. Payload formats: VP8 RFC 7741, VP9 RFC 9628, H264 RFC 6184, AV1 and its dependency descriptor "RTP Payload
Format For AV1" (AOMedia). The parsers live in `codecs_vp8`, `codecs_vp9`, `codecs_h264`, `codecs_av1`.
"""

from __future__ import annotations

from sfu.engine.api import Codec
from sfu.engine.reference.codecs_av1 import describe_av1
from sfu.engine.reference.codecs_h264 import describe_h264
from sfu.engine.reference.codecs_vp8 import describe_vp8, rewrite_vp8
from sfu.engine.reference.codecs_vp9 import describe_vp9, rewrite_vp9
from sfu.engine.reference.frame_info import EVERY_PACKET, CodecState, FrameInfo

__all__ = ["CodecState", "FrameInfo", "describe", "rewrite_vp8", "rewrite_vp9"]


def describe(
    codec: Codec, payload: bytes, marker: bool, dd_extension: bytes | None, state: CodecState
) -> FrameInfo | None:
    """What `payload` (padding stripped) says of itself. None when malformed.

    `dd_extension` is the value of the dependency descriptor extension (AV1 only), `state` is one `CodecState` per
    inbound stream. OPUS, RED and OTHER share one constant: every packet is a whole frame and a keyframe.
    """
    if codec is Codec.VP8:
        return describe_vp8(payload, marker)
    if codec is Codec.VP9:
        return describe_vp9(payload, marker)
    if codec is Codec.H264:
        return describe_h264(payload, marker)
    if codec is Codec.AV1:
        return describe_av1(payload, marker, dd_extension, state)
    return EVERY_PACKET

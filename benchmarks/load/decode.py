"""Decodes what one receiver got, to be sure that it was video and not only packets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.load.media import STAMP_BYTES

Frames = Sequence[tuple[bool, int, list[bytes]]]


def decode_sample(codec: str, frames: Frames) -> tuple[int, int]:
    """(pictures decoded, frames that could not be). `frames` are whole and begin at any place."""
    import av
    from aiortc.codecs.h264 import H264PayloadDescriptor
    from aiortc.codecs.vpx import VpxPayloadDescriptor

    decoder: Any = av.CodecContext.create({"vp8": "libvpx", "h264": "h264"}[codec], "r")
    descriptor = VpxPayloadDescriptor if codec == "vp8" else H264PayloadDescriptor
    decoded = errors = 0
    begun = False
    for keyframe, timestamp, payloads in frames:
        begun = begun or keyframe
        if not begun:
            continue
        try:
            data = b"".join(descriptor.parse(payload)[1] for payload in payloads)
            packet = av.Packet(data[:-STAMP_BYTES] if codec == "vp8" else data)
            packet.pts = timestamp
            decoded += len(decoder.decode(packet))
        except (ValueError, av.FFmpegError):
            errors += 1
    return decoded, errors

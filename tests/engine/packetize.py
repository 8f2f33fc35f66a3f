"""Real encoders and straight packetizers for the payload formats that the engine reads.

Each packetizer follows its RFC and nothing of `sfu`: (payload, marker) pairs for one picture.
"""

from __future__ import annotations

import fractions
import functools
from collections.abc import Sequence
from typing import NamedTuple

import av
import numpy as np

Payloads = list[tuple[bytes, bool]]


class Picture(NamedTuple):
    data: bytes
    is_keyframe: bool


ENCODERS = {
    "vp8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "h264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "slices=2:repeat-headers=1"}),
    "av1": ("libsvtav1", {"preset": "12", "svtav1-params": "pred-struct=1:rc=2:lp=1"}),
}


@functools.cache
def encode(name: str, pictures: int = 10, keyframe_every: int = 4) -> tuple[Picture, ...]:
    """`pictures` pictures of a moving gradient with noise, a keyframe at every `keyframe_every`-th."""
    encoder, options = ENCODERS[name]
    codec = av.CodecContext.create(encoder, "w")
    codec.width, codec.height, codec.pix_fmt = 320, 192, "yuv420p"
    codec.bit_rate = 1_500_000
    codec.framerate = fractions.Fraction(30, 1)
    codec.time_base = fractions.Fraction(1, 30)
    codec.gop_size = keyframe_every
    codec.options = options
    noise = np.random.default_rng(1)
    encoded: list[Picture] = []
    for number in range(pictures):
        image = noise.integers(0, 60, (192, 320, 3), dtype=np.uint8)
        image[:, :, 0] += np.roll(np.arange(320, dtype=np.uint8) // 2, 7 * number)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        frame.pts = number
        if number % keyframe_every == 0:
            frame.pict_type = av.video.frame.PictureType.I
        encoded += [Picture(bytes(packet), packet.is_keyframe) for packet in codec.encode(frame)]
    encoded += [Picture(bytes(packet), packet.is_keyframe) for packet in codec.encode(None)]
    return tuple(encoded)


def _marked(payloads: Sequence[bytes]) -> Payloads:
    return [(payload, index == len(payloads) - 1) for index, payload in enumerate(payloads)]


def vp8(picture: Picture, picture_id: int, tl0picidx: int, *, mtu: int = 1100) -> Payloads:
    """RFC 7741 §4.2: X with I (15 bits), L, T and K (TID 0)."""
    extension = bytes((0xF0, 0x80 | picture_id >> 8, picture_id & 0xFF, tl0picidx, 0x05))
    payloads = []
    for start in range(0, len(picture.data), mtu):
        first = 0x80 | (0x10 if start == 0 else 0)
        payloads.append(bytes((first,)) + extension + picture.data[start : start + mtu])
    return _marked(payloads)


def vp9(picture: Picture, picture_id: int, tl0picidx: int, *, mtu: int = 1100) -> Payloads:
    """RFC 9628 §4.2: non-flexible mode, one layer, scalability structure with each keyframe."""
    payloads = []
    for start in range(0, len(picture.data), mtu):
        first = 0x80 | 0x20 | (0 if picture.is_keyframe else 0x40)
        first |= 0x08 if start == 0 else 0
        first |= 0x04 if start + mtu >= len(picture.data) else 0
        structure = b""
        if picture.is_keyframe and start == 0:
            first |= 0x02
            structure = bytes((0x18, 320 >> 8, 320 & 0xFF, 0, 192, 1, 0x04, 1))
        head = bytes((first, 0x80 | picture_id >> 8, picture_id & 0xFF, 0x00, tl0picidx)) + structure
        payloads.append(head + picture.data[start : start + mtu])
    return _marked(payloads)


def split_nal_units(data: bytes) -> list[bytes]:
    """Annex B start codes of three or four bytes."""
    return [unit.rstrip(b"\0") for unit in data.split(b"\0\0\1")[1:]]


def h264(picture: Picture, *, mtu: int = 1100, aggregate: bool = True) -> Payloads:
    """RFC 6184, packetization mode 1: parameter sets in one STAP-A (or alone), long units as FU-A."""
    payloads: list[bytes] = []
    small: list[bytes] = []
    for unit in split_nal_units(picture.data):
        if unit[0] & 0x1F in (6, 7, 8) and aggregate:
            small.append(unit)
            continue
        if small:
            payloads.append(b"\x78" + b"".join(len(part).to_bytes(2, "big") + part for part in small))
            small = []
        if len(unit) <= mtu:
            payloads.append(unit)
            continue
        for start in range(1, len(unit), mtu):
            flags = (0x80 if start == 1 else 0) | (0x40 if start + mtu >= len(unit) else 0)
            header = bytes((unit[0] & 0x60 | 28, flags | unit[0] & 0x1F))
            payloads.append(header + unit[start : start + mtu])
    return _marked(payloads)


def leb128(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def split_obus(data: bytes) -> list[bytes]:
    """OBUs of a temporal unit without size fields, temporal delimiters left out (AV1 RTP §5)."""
    obus = []
    position = 0
    while position < len(data):
        header = data[position]
        body = position + (2 if header & 0x04 else 1)
        size = shift = 0
        while True:
            byte = data[body]
            body += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        obu = bytes((header & ~0x02,)) + (data[position + 1 : position + 2] if header & 0x04 else b"")
        if header >> 3 & 0x0F != 2:
            obus.append(obu + data[body : body + size])
        position = body + size
    return obus


def av1(picture: Picture, *, mtu: int = 1100, counted: bool = True) -> Payloads:
    """AV1 RTP §4.4: elements aggregated up to `mtu`, longer ones cut. `counted` uses W where it fits, else W is 0."""
    packets: list[tuple[bool, list[bytes], bool]] = []
    elements: list[bytes] = []
    room = mtu
    continues = False
    for obu in split_obus(picture.data):
        rest = obu
        while rest:
            if room < 8 or len(elements) == 3:
                packets.append((continues, elements, False))
                elements, room, continues = [], mtu, False
            part, rest = rest[: room - 4], rest[room - 4 :]
            elements.append(part)
            room -= len(part) + 4
            if rest:
                packets.append((continues, elements, True))
                elements, room, continues = [], mtu, True
    packets.append((continues, elements, False))
    payloads = []
    for index, (z, parts, y) in enumerate(packets):
        head = (0x80 if z else 0) | (0x40 if y else 0)
        head |= 0x08 if index == 0 and picture.is_keyframe else 0
        if counted:
            body = b"".join(leb128(len(part)) + part for part in parts[:-1]) + parts[-1]
            head |= len(parts) << 4
        else:
            body = b"".join(leb128(len(part)) + part for part in parts)
        payloads.append(bytes((head,)) + body)
    return _marked(payloads)

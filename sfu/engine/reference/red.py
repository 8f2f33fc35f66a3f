"""Redundant audio data (RFC 2198). Parsers return None for malformed payloads and never raise."""

from __future__ import annotations

from typing import NamedTuple

from sfu.engine.api import MAX_RED_BYTES, MAX_REDUNDANCY, MAX_REDUNDANCY_STEP

MAX_OFFSET = 1 << 14
MAX_BLOCK_BYTES = 1023
MAX_FRAMES = MAX_REDUNDANCY * MAX_REDUNDANCY_STEP
_FAR = 1 << 20
"""Further apart, timestamps are of different times: the clock of the stream has begun anew."""
_HALF = 0x8000_0000
_MASK = 0xFFFF_FFFF


class RedBlock(NamedTuple):
    """One block. `timestamp_offset` is subtracted from the packet's timestamp; 0 for the primary."""

    payload_type: int
    timestamp_offset: int
    data: bytes


def parse(payload: bytes) -> list[RedBlock] | None:
    """The blocks, oldest first, the primary last (RFC 2198 §3)."""
    headers: list[tuple[int, int, int]] = []
    position = 0
    size = len(payload)
    while True:
        if position >= size:
            return None
        byte = payload[position]
        if byte < 0x80:
            break
        if position + 4 > size:
            return None
        word = int.from_bytes(payload[position + 1 : position + 4], "big")
        headers.append((byte & 0x7F, word >> 10, word & 0x3FF))
        position += 4
    primary_type = payload[position]
    position += 1
    blocks = []
    for payload_type, offset, length in headers:
        end = position + length
        if end > size:
            return None
        blocks.append(RedBlock(payload_type, offset, payload[position:end]))
        position = end
    blocks.append(RedBlock(primary_type, 0, payload[position:]))
    return blocks


def primary(payload: bytes) -> bytes | None:
    """The payload of the primary block (the newest frame)."""
    position = 0
    skipped = 0
    size = len(payload)
    while position < size:
        if payload[position] < 0x80:
            start = position + 1 + skipped
            return payload[start:] if start <= size else None
        if position + 4 > size:
            return None
        skipped += (payload[position + 2] & 0x03) << 8 | payload[position + 3]
        position += 4
    return None


class Frame(NamedTuple):
    """An encoded frame of sound, and its RTP timestamp."""

    timestamp: int
    data: bytes


class FrameHistory:
    """The newest frames of a stream that can be redundant blocks, oldest first."""

    __slots__ = ("_frames",)

    def __init__(self) -> None:
        self._frames: list[Frame] = []

    def before(self, timestamp: int) -> tuple[Frame, ...]:
        """Those that a packet of that time can carry."""
        return tuple(one for one in self._frames if 0 < (timestamp - one.timestamp & _MASK) < MAX_OFFSET)

    def add(self, timestamp: int, data: bytes) -> None:
        """A frame of that time which is known already stays."""
        frames = self._frames
        if not 0 < len(data) <= MAX_BLOCK_BYTES:
            return
        if frames and _distance(timestamp, frames[-1].timestamp) >= _FAR:
            frames.clear()
        at = len(frames)
        while at and (frames[at - 1].timestamp - timestamp & _MASK) < _HALF:
            at -= 1
            if frames[at].timestamp == timestamp:
                return
        frames.insert(at, Frame(timestamp, data))
        if len(frames) > MAX_FRAMES:
            del frames[0]


def _distance(one: int, other: int) -> int:
    return min(one - other & _MASK, other - one & _MASK)


def build(frame_type: int, timestamp: int, earlier: tuple[Frame, ...], primary_block: bytes) -> bytes:
    """A payload with as many of the `earlier` frames, oldest first, as there is room for; the newest go first in."""
    size = 1 + len(primary_block)
    first = len(earlier)
    while first and size + 4 + len(earlier[first - 1].data) <= MAX_RED_BYTES:
        first -= 1
        size += 4 + len(earlier[first].data)
    kept = earlier[first:]
    headers = [
        ((0x80 | frame_type) << 24 | (timestamp - one.timestamp & _MASK) << 10 | len(one.data)).to_bytes(4, "big")
        for one in kept
    ]
    return b"".join((*headers, bytes((frame_type,)), *(one.data for one in kept), primary_block))

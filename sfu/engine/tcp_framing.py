"""Framing of datagrams on a TCP connection (RFC 4571 §2): 16 bits of length in front of each."""

from __future__ import annotations

import struct

LENGTH_BYTES = 2
_LENGTH = struct.Struct("!H")


class FramingError(ValueError):
    """The peer claims a frame that is longer than any that we take; the connection has to end."""


class Deframer:
    """Cuts a byte stream into frames. Holds less than one frame of `max_frame_bytes` between calls."""

    def __init__(self, max_frame_bytes: int) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes, in order; empty frames are skipped. Raises `FramingError`."""
        buffer = self._buffer
        buffer += data
        frames: list[bytes] = []
        position = 0
        while len(buffer) - position >= LENGTH_BYTES:
            (length,) = _LENGTH.unpack_from(buffer, position)
            if length > self._max_frame_bytes:
                raise FramingError(f"frame of {length} bytes")
            end = position + LENGTH_BYTES + length
            if end > len(buffer):
                break
            if length:
                frames.append(bytes(buffer[position + LENGTH_BYTES : end]))
            position = end
        del buffer[:position]
        return frames


def frame(data: bytes) -> bytes:
    """`data`, at most 65,535 bytes, with its length in front."""
    return _LENGTH.pack(len(data)) + data

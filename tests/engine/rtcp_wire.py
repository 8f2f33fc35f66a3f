"""RTCP that the engine reads and never writes: builders for tests, byte by byte from the RFCs."""

from __future__ import annotations

import struct
from collections.abc import Sequence


def packet(count: int, packet_type: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, packet_type, len(body) // 4) + body


def fir(sender_ssrc: int, entries: Sequence[tuple[int, int]]) -> bytes:
    """RFC 5104 §4.3.1: entries of (media SSRC, command sequence number)."""
    body = struct.pack("!II", sender_ssrc, 0)
    return packet(4, 206, body + b"".join(struct.pack("!IBxxx", ssrc, number) for ssrc, number in entries))


def remb(sender_ssrc: int, mantissa: int, exponent: int, ssrcs: Sequence[int]) -> bytes:
    """draft-alvestrand-rmcat-remb-03 §2.2: bitrate = mantissa (18 bits) * 2^exponent (6 bits)."""
    head = struct.pack("!II4sI", sender_ssrc, 0, b"REMB", len(ssrcs) << 24 | exponent << 18 | mantissa)
    return packet(15, 206, head + struct.pack(f"!{len(ssrcs)}I", *ssrcs))


def bye(ssrcs: Sequence[int]) -> bytes:
    """RFC 3550 §6.6."""
    return packet(len(ssrcs), 203, struct.pack(f"!{len(ssrcs)}I", *ssrcs))

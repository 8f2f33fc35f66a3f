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


def ccfb(sender_ssrc: int, now_ns: int, arrivals: Sequence[tuple[int, int, int]]) -> bytes:
    """RFC 8888 §3.1: `arrivals` of (ssrc, RTP number, arrival_ns), by stream and there rising in the number, which
    neither wraps nor is further than 16,384 from the first."""
    ticks = now_ns * 65_536 // 1_000_000_000
    body = struct.pack("!I", sender_ssrc)
    for ssrc in dict.fromkeys(ssrc for ssrc, _, _ in arrivals):
        arrived = {seq: at_ns for stream, seq, at_ns in arrivals if stream == ssrc}
        first, last = min(arrived), max(arrived)
        metrics = [_ccfb_metric(now_ns, arrived.get(seq)) for seq in range(first, last + 1)]
        body += struct.pack(f"!IHH{len(metrics)}H", ssrc, first, len(metrics), *metrics)
        body += bytes(-len(body) % 4)
    return packet(11, 205, body + struct.pack("!I", ticks & 0xFFFF_FFFF))


def _ccfb_metric(now_ns: int, arrival_ns: int | None) -> int:
    if arrival_ns is None:
        return 0
    # Later than the report cannot be told (0x1FFF), nor what is longer ago than 8189/1024 s (0x1FFE).
    offset = (now_ns - arrival_ns) * 1_024 // 1_000_000_000
    return 0x8000 | (0x1FFF if offset < 0 else min(offset, 0x1FFE))

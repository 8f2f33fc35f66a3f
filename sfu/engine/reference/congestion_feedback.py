"""Congestion control feedback by RTP numbers (RFC 8888 §3.1), which the libraries call CCFB.

Time on this wire: the report's in 1/65536 s, that of each packet as an offset before it in 1/1024 s. Any clock will
do: only differences matter.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

MAX_REPORTS = 16_384
"""Packets that one block may report on: a quarter of the numbers (RFC 8888 §3.1)."""
REPORT_WRAP_NS = 65_536 * 1_000_000_000
"""The report's time is the middle of an NTP time: 16 bits of seconds."""
TICKS_PER_OFFSET = 64
_NO_TIME = 0x1FFE
"""From here on an offset says only that the packet has arrived: longer ago than can be told, or nobody knows when."""

_SENDER = struct.Struct("!I")
_BLOCK = struct.Struct("!IHH")


@dataclass(frozen=True, slots=True)
class CongestionFeedback:
    """Which packets of which streams arrived, and when.

    `received` lists (ssrc, seq, arrival_ns) of those that did, as the report has them: by stream, and there by number.
    arrival_ns counts from the origin of the receiver's NTP seconds modulo 65536 and may be negative; None when its time
    is not known. What is not listed was lost, or is of no stream that the report is about.
    """

    sender_ssrc: int
    received: Sequence[tuple[int, int, int | None]]


def parse_congestion_feedback(body: bytes) -> CongestionFeedback | None:
    """`body` follows the RTCP header, padding stripped. None when a count lies. Work is bounded by the bytes that are
    there."""
    end = len(body) - 4
    if end < _SENDER.size:
        return None
    report_ticks = int.from_bytes(body[end:], "big")
    received: list[tuple[int, int, int | None]] = []
    position = _SENDER.size
    while position < end:
        if position + _BLOCK.size > end:
            return None
        ssrc, begin_seq, count = _BLOCK.unpack_from(body, position)
        position += _BLOCK.size
        following = position + (2 * count + 3 & ~3)
        if count > MAX_REPORTS or following > end:
            return None
        for index, metric in enumerate(struct.unpack_from(f"!{count}H", body, position)):
            # The first bit says that it has arrived, two are of ECN, which nothing here sets.
            if metric & 0x8000:
                arrival_ns = _arrival_ns(report_ticks, metric & 0x1FFF)
                received.append((ssrc, (begin_seq + index) & 0xFFFF, arrival_ns))
        position = following
    return CongestionFeedback(_SENDER.unpack_from(body)[0], received)


def _arrival_ns(report_ticks: int, offset: int) -> int | None:
    # 1/65536 s are 1953125/128 ns.
    return None if offset >= _NO_TIME else (report_ticks - offset * TICKS_PER_OFFSET) * 1_953_125 >> 7

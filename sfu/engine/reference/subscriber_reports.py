"""Sender reports to one subscriber, and what its receiver reports say (RFC 3550 §6.4.1)."""

from __future__ import annotations

from collections import deque

from sfu.engine.reference.rtcp import ReportBlock, ntp_short

_REMEMBERED = 8
_MAX_RTT_NS = 10_000_000_000
_NS_PER_S = 1_000_000_000


class SubscriberReports:
    """Round trip and loss of one outbound stream. Our NTP times are the publisher's, so the round trip is taken from
    when a report left, not from what stood in it."""

    __slots__ = ("_sent", "fraction_lost", "rtt_ns")

    def __init__(self) -> None:
        self._sent: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self.fraction_lost = 0
        """Of 256."""
        self.rtt_ns: int | None = None

    def sent(self, now_ns: int, ntp: int) -> None:
        """A sender report with this NTP time leaves."""
        self._sent.append((ntp_short(ntp), now_ns))

    def received(self, now_ns: int, block: ReportBlock) -> None:
        """A report block on this stream arrived. Round trips that cannot be are ignored."""
        self.fraction_lost = block.fraction_lost
        if block.lsr == 0:
            return
        for short, sent_at_ns in self._sent:
            if short == block.lsr:
                rtt_ns = now_ns - sent_at_ns - (block.dlsr * _NS_PER_S >> 16)
                if 0 <= rtt_ns <= _MAX_RTT_NS:
                    self.rtt_ns = rtt_ns
                return

"""RTP timestamps of one subscription: continuous, whatever the sources do."""

from __future__ import annotations

from typing import NamedTuple

from sfu.engine.reference.rtcp import ntp_diff_ns
from sfu.engine.reference.seqnum import timestamp_diff
from sfu.engine.reference.slots import StreamSlot
from sfu.engine.reference.stream import SenderReportReceived

_MASK = 0xFFFF_FFFF
_NS_PER_S = 1_000_000_000
MAX_DISAGREEMENT_S = 2
"""Sender reports that put a switch further than this from the time passed are not believed."""


class Source(NamedTuple):
    """What the timeline must know of a source that starts: which stream it is, its clock, its last sender report."""

    stream: StreamSlot
    clock_rate: int
    report: SenderReportReceived | None


class Timeline:
    """The offset from a source's timestamps to those sent, chosen anew when the source changes."""

    __slots__ = ("last", "last_at_ns", "offset", "source")

    def __init__(self, first_timestamp: int) -> None:
        self.offset = 0
        self.last = first_timestamp
        """The newest timestamp sent."""
        self.last_at_ns: int | None = None
        """When it left; None before the first."""
        self.source: StreamSlot | None = None
        """The stream that the offset is for."""

    def begin(self, now_ns: int, source: Source, old_report: SenderReportReceived | None, timestamp: int) -> None:
        """`source` starts with `timestamp`; `old_report` is the last sender report of `self.source`. The same source
        that goes on keeps its offset."""
        if self.last_at_ns is None:
            self.offset = (self.last - timestamp) & _MASK
        elif source.stream != self.source or not self._is_plausible(now_ns, source, timestamp, self.offset):
            self.offset = self._next_offset(now_ns, source, old_report, timestamp)
        self.source = source.stream
        self.advance(now_ns, (timestamp + self.offset) & _MASK)

    def advance(self, now_ns: int, sent: int) -> None:
        """A packet with the timestamp `sent`, higher than all before, leaves now."""
        self.last = sent
        self.last_at_ns = now_ns

    def resume(self, last: int, last_at_ns: int) -> None:
        """Go on after a subscription that had the same SSRC."""
        self.last = last
        self.last_at_ns = last_at_ns

    def forget_source(self, stream: StreamSlot) -> None:
        """The stream is gone or starts its timestamps anew."""
        if self.source == stream:
            self.source = None

    def _elapsed(self, now_ns: int, clock_rate: int) -> int:
        return 0 if self.last_at_ns is None else (now_ns - self.last_at_ns) * clock_rate // _NS_PER_S

    def _is_plausible(self, now_ns: int, source: Source, timestamp: int, offset: int) -> bool:
        step = timestamp_diff((timestamp + offset) & _MASK, self.last)
        slack = MAX_DISAGREEMENT_S * source.clock_rate
        return step > 0 and abs(step - self._elapsed(now_ns, source.clock_rate)) <= slack

    def _next_offset(self, now_ns: int, source: Source, old: SenderReportReceived | None, timestamp: int) -> int:
        new = source.report
        if old is not None and new is not None:
            apart = ntp_diff_ns(new.ntp, old.ntp) * source.clock_rate // _NS_PER_S
            offset = (self.offset + old.rtp_timestamp - new.rtp_timestamp + apart) & _MASK
            if self._is_plausible(now_ns, source, timestamp, offset):
                return offset
        elapsed = max(1, self._elapsed(now_ns, source.clock_rate))
        return (self.last + elapsed - timestamp) & _MASK

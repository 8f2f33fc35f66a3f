"""When packets of a transport arrived, until the publisher has been told (transport-wide congestion control)."""

from __future__ import annotations

from sfu.engine.api import TICK_NS
from sfu.engine.reference.rtcp import build_transport_feedback
from sfu.engine.reference.seqnum import SeqExtender

FEEDBACK_INTERVAL_NS = 50_000_000
MAX_PENDING = 1024
"""Arrivals kept for the next feedback. 20,000 packets a second make as many in one interval."""


class ArrivalRecorder:
    """Collects arrivals and turns them into feedback packets.

    A feedback begins where the last one ended, so that what is missing in between is reported as lost. A packet
    that arrives after its loss was reported is reported again, in a feedback of its own in front.
    """

    __slots__ = ("_extender", "_feedback_count", "_last_feedback_at_ns", "_next_base", "_pending")

    def __init__(self) -> None:
        self._extender = SeqExtender()
        self._pending: dict[int, int] = {}
        self._next_base: int | None = None
        self._feedback_count = 0
        self._last_feedback_at_ns: int | None = None

    def record(self, now_ns: int, seq: int) -> None:
        """A packet with the transport-wide number `seq` has arrived."""
        ext_seq = self._extender.update(seq)
        pending = self._pending
        if ext_seq not in pending and len(pending) < MAX_PENDING:
            pending[ext_seq] = now_ns
        if self._last_feedback_at_ns is None:
            self._last_feedback_at_ns = now_ns

    def wanted_by_ns(self) -> int | None:
        """When the clock has to run for the next feedback at the latest; None when there is nothing to tell."""
        last_ns = self._last_feedback_at_ns
        return last_ns + FEEDBACK_INTERVAL_NS + TICK_NS if self._pending and last_ns is not None else None

    def is_due(self, now_ns: int) -> bool:
        last_ns = self._last_feedback_at_ns
        return bool(self._pending) and last_ns is not None and now_ns - last_ns >= FEEDBACK_INTERVAL_NS

    def build(self, now_ns: int, sender_ssrc: int, media_ssrc: int) -> list[bytes]:
        """The feedback packets for everything recorded since the last time."""
        arrivals = sorted(self._pending.items())
        self._pending.clear()
        self._last_feedback_at_ns = now_ns
        base = self._next_base
        if base is None:
            base = arrivals[0][0]
        late = [arrival for arrival in arrivals if arrival[0] < base]
        current = arrivals[len(late) :]
        packets = build_transport_feedback(sender_ssrc, media_ssrc, self._feedback_count, late) if late else []
        if current:
            packets += build_transport_feedback(
                sender_ssrc, media_ssrc, self._feedback_count + len(packets), current, base
            )
            self._next_base = current[-1][0] + 1
        self._feedback_count += len(packets)
        return packets

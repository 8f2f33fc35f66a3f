"""What was sent to one peer and is not acknowledged yet, by transport-wide number."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

MAX_SENT = 2048
"""Packets that may wait for their feedback: five seconds of a good video. Older ones are forgotten."""
MAX_UNHEARD = 256
"""The same before the first feedback: many peers never give any."""
REORDERED_NS = 100_000_000
"""A packet that was sent so long before one that has arrived is lost; until then it may only be late."""


class SentPacket:
    """`size` is in bytes on the line, 0 once it is acknowledged. `phase`: see `probe`."""

    __slots__ = ("phase", "sent_at_ns", "size")

    def __init__(self, sent_at_ns: int, size: int, phase: int) -> None:
        self.sent_at_ns = sent_at_ns
        self.size = size
        self.phase = phase


class Lost(NamedTuple):
    """Packets that are lost for certain."""

    packets: int
    runs: int
    """How many times one was lost after one that was not."""
    size: int


class SentHistory:
    """Numbers are taken in order, so the oldest one and a queue say it all."""

    __slots__ = ("_first", "_is_losing", "_limit", "_newest_arrived_ns", "_packets")

    def __init__(self, first_seq: int) -> None:
        self._first = first_seq
        self._packets: deque[SentPacket] = deque()
        self._limit = MAX_UNHEARD
        self._newest_arrived_ns = 0
        """When the newest of those that arrived was sent."""
        self._is_losing = False
        """The packet before the oldest is lost."""

    def add(self, sent: SentPacket) -> None:
        """It leaves with the next number."""
        if len(self._packets) == self._limit:
            self._packets.popleft()
            self._first += 1
        self._packets.append(sent)

    def acknowledge(self, seq: int) -> SentPacket | None:
        """The packet with this number (16 bits) has arrived. None when it was never sent, or is known or forgotten."""
        newest = self._first + len(self._packets) - 1
        index = newest - ((newest - seq) & 0xFFFF) - self._first
        if index < 0:
            return None
        sent = self._packets[index]
        if sent.size == 0:
            return None
        arrived = SentPacket(sent.sent_at_ns, sent.size, sent.phase)
        sent.size = 0
        self._limit = MAX_SENT
        self._newest_arrived_ns = max(self._newest_arrived_ns, sent.sent_at_ns)
        return arrived

    def take_lost(self) -> Lost:
        """Since the last call. They are forgotten."""
        packets, count, runs, size = self._packets, 0, 0, 0
        oldest_ns = self._newest_arrived_ns - REORDERED_NS
        while packets and (packets[0].size == 0 or packets[0].sent_at_ns < oldest_ns):
            sent = packets.popleft()
            self._first += 1
            if sent.size:
                count += 1
                runs += not self._is_losing
                size += sent.size
            self._is_losing = sent.size > 0
        return Lost(count, runs, size)

    @property
    def newest_arrived_ns(self) -> int:
        return self._newest_arrived_ns

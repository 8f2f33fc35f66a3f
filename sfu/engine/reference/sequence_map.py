"""From the numbers of a source to the numbers of a subscriber, without gaps where packets were withheld.

The same map serves sequence numbers and picture ids. All numbers are extended: they never wrap.
"""

from __future__ import annotations

from collections import deque

HISTORY = 256
"""Runs of withheld numbers that are remembered, to place what arrives late."""
NO_PLACE = -1


class SequenceMap:
    """An offset that grows by one with each withheld number, and the recent past of that offset.

    The invariant: the last number given out, or reserved for a packet that the network still owes, is
    `highest_in - offset`.
    """

    __slots__ = ("_first_in", "_points", "highest_in", "offset")

    def __init__(self, first_out: int) -> None:
        self._first_in = 0
        self.highest_in = -1
        self.offset = -first_out
        self._points: deque[tuple[int, int]] = deque(maxlen=HISTORY)

    @property
    def highest_out(self) -> int:
        return self.highest_in - self.offset

    def begin(self, in_number: int) -> None:
        """A source starts, or starts again, with `in_number`, which gets the next number out."""
        self.offset = in_number - self.highest_out - 1
        self._first_in = in_number
        self.highest_in = in_number - 1
        self._points.clear()

    def place(self, in_number: int) -> int:
        """The number out of a forwarded packet; `NO_PLACE` when it is older than what the map remembers."""
        if in_number > self.highest_in:
            self.highest_in = in_number
            return in_number - self.offset
        return self._place_late(in_number)

    def withhold(self, in_number: int) -> int:
        """Leave a number out. Returns `NO_PLACE`, or the place that was already reserved for a late one."""
        if in_number <= self.highest_in:
            return self._place_late(in_number)
        points = self._points
        if points and points[-1][0] == in_number:
            points[-1] = (in_number + 1, points[-1][1])
        else:
            points.append((in_number + 1, self.offset))
        self.offset += 1
        self.highest_in = in_number
        return NO_PLACE

    def _place_late(self, in_number: int) -> int:
        if in_number < self._first_in:
            return NO_PLACE
        offset = self.offset
        for start, before in reversed(self._points):
            if in_number >= start:
                return in_number - offset
            offset = before
        if len(self._points) == HISTORY:
            return NO_PLACE
        return in_number - offset

    def rebase(self, floor: int, wrap: int) -> None:
        """Move the numbers out down by a multiple of `wrap`, so that the highest is in the first wrap from `floor` on.
        What was sent before cannot be placed any more."""
        self.offset += (self.highest_out - floor) // wrap * wrap
        self._points.clear()
        self._first_in = self.highest_in + 1

"""Transport-wide numbers of packets that leave without one: their receiver reports on them by SSRC and RTP number."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from sfu.engine.reference.congestion.history import MAX_SENT


class RtpNumbers:
    """Of the newest `MAX_SENT` packets: what was sent before is forgotten by `SentHistory` as well."""

    __slots__ = ("_numbers", "_order")

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int], int] = {}
        self._order: deque[tuple[tuple[int, int], int]] = deque()

    def add(self, ssrc: int, seq: int, number: int) -> None:
        """The packet `seq` (16 bits) of `ssrc` leaves as `number` (16 bits) of its transport."""
        if len(self._order) == MAX_SENT:
            oldest, its_number = self._order.popleft()
            if self._numbers.get(oldest) == its_number:
                del self._numbers[oldest]
        self._numbers[ssrc, seq] = number
        self._order.append(((ssrc, seq), number))

    def resolve(
        self, newest: int, received: Iterable[tuple[int, int, int | None]]
    ) -> tuple[list[tuple[int, int]], list[int]]:
        """What arrived, in the order of sending: (number, arrival_ns) of those whose time is known, and the numbers of
        the others. `newest` is the last number taken. Packets that were never sent, or long ago, are left out."""
        found = []
        for ssrc, seq, arrival_ns in received:
            number = self._numbers.get((ssrc, seq))
            if number is not None:
                found.append(((newest - number) & 0xFFFF, number, arrival_ns))
        found.sort(key=lambda one: -one[0])
        timed = [(number, arrival_ns) for _, number, arrival_ns in found if arrival_ns is not None]
        return timed, [number for _, number, arrival_ns in found if arrival_ns is None]

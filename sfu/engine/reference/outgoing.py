"""The way out: one queue per transport, emptied one after the other.

Packets of one transport leave together, so that whoever owns the socket can hand the kernel a run of them at once
(UDP GSO).
"""

from __future__ import annotations

from collections import deque

from sfu.engine.api import Transmit


class Outgoing:
    """Queues that have something to send, in the order in which they got it."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: deque[deque[Transmit]] = deque()

    def add(self, queue: deque[Transmit]) -> None:
        """`queue` was empty and is about to get a datagram."""
        self._waiting.append(queue)

    def __bool__(self) -> bool:
        """Whether something waits."""
        return bool(self._waiting)

    def poll(self) -> Transmit | None:
        waiting = self._waiting
        if not waiting:
            return None
        queue = waiting[0]
        transmit = queue.popleft()
        if not queue:
            waiting.popleft()
        return transmit

"""Who sends more reliable data than a receiver takes waits for it, as a writer does for its pipe.

Without, the receiver's buffer would fill up, and it would have to go: the way from a sender to the server is often
wider than the one to a receiver. Nobody waits long for a receiver that takes next to nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Protocol

from sfu.control.settings import DataSettings

LOOK_INTERVAL_S = 0.02
PROGRESS_INTERVAL_S = 1.0
LOW_SHARE = 0.5
"""Of the mark from which on one waits: then it goes on."""


class Load(Protocol):
    """One receiver's."""

    def unsent_bytes(self) -> int:
        """Of reliable data."""
        ...


class Receiver:
    """How far behind a receiver is. One that takes less than `min_data_drain_bytes_per_s` is not waited for, until it
    has caught up."""

    def __init__(self, load: Load, config: DataSettings) -> None:
        self._load = load
        self._config = config
        self._delivered_bytes = 0
        self._looked_at_s = -math.inf
        self._drained_then = 0
        self._is_hopeless = False

    def add(self, size: int) -> None:
        """So many bytes more are on their way to it."""
        self._delivered_bytes += size

    def unsent_bytes(self) -> int:
        """Of reliable data."""
        return self._load.unsent_bytes()

    def is_behind(self, unsent: int) -> bool:
        """Whether senders should wait, with so many bytes unsent."""
        if unsent <= self._config.data_wait_from_bytes * LOW_SHARE:
            self._is_hopeless = False
        return unsent > self._config.data_wait_from_bytes and not self._is_hopeless

    def has_caught_up(self, now_s: float) -> bool:
        """Whether who waits for it may go on. Who waits looks every `LOOK_INTERVAL_S`."""
        unsent = self._load.unsent_bytes()
        if unsent <= self._config.data_wait_from_bytes * LOW_SHARE:
            return True
        # Others may begin to wait at any time, after one message each: neither hides what it takes.
        drained = self._delivered_bytes - unsent
        passed_s = now_s - self._looked_at_s
        if passed_s >= PROGRESS_INTERVAL_S:
            is_one_measurement = passed_s < 2 * PROGRESS_INTERVAL_S
            if is_one_measurement:
                self._is_hopeless = drained - self._drained_then < self._config.min_data_drain_bytes_per_s * passed_s
            self._looked_at_s, self._drained_then = now_s, drained
        return self._is_hopeless


class Brake:
    """One sender's. `set_reading` lets its reliable data come, or wait at its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, set_reading: Callable[[bool], None]) -> None:
        self._loop = loop
        self._set_reading = set_reading
        self._behind: list[Receiver] = []
        self._timer: asyncio.TimerHandle | None = None

    def wait_for(self, behind: Sequence[Receiver]) -> None:
        """Something was sent, and these are behind now."""
        if self._behind:
            return
        self._behind = list(behind)
        if self._behind:
            self._set_reading(False)
            self._timer = self._loop.call_later(LOOK_INTERVAL_S, self._look_again)

    def release(self) -> None:
        """The sender waits for nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._behind:
            self._behind = []
            self._set_reading(True)

    def _look_again(self) -> None:
        now_s = self._loop.time()
        self._behind = [receiver for receiver in self._behind if not receiver.has_caught_up(now_s)]
        if self._behind:
            self._timer = self._loop.call_later(LOOK_INTERVAL_S, self._look_again)
        else:
            self._timer = None
            self._set_reading(True)

"""Periodic work that rests while there is nothing to do it for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Timer:
    interval_s: float
    callback: Callable[[], None]
    handle: asyncio.TimerHandle | None = None


class Timers:
    """Everything begins with `wake`. After each run that finds nothing there (`idle`) a timer waits for the next
    `wake`, so that a server without calls costs no CPU."""

    def __init__(self, loop: asyncio.AbstractEventLoop, idle: Callable[[], bool]) -> None:
        self._loop = loop
        self._idle = idle
        self._timers: list[_Timer] = []
        self._closed = False

    def every(self, interval_s: float, callback: Callable[[], None]) -> None:
        self._timers.append(_Timer(interval_s, callback))

    def wake(self) -> None:
        if self._closed:
            return
        for timer in self._timers:
            if timer.handle is None:
                timer.handle = self._loop.call_later(timer.interval_s, self._run, timer)

    def _run(self, timer: _Timer) -> None:
        try:
            timer.callback()
        except Exception:
            logger.exception("periodic work failed: %s", timer.callback.__name__)
        timer.handle = None
        if not self._closed and not self._idle():
            timer.handle = self._loop.call_later(timer.interval_s, self._run, timer)

    def close(self) -> None:
        self._closed = True
        for timer in self._timers:
            if timer.handle is not None:
                timer.handle.cancel()
                timer.handle = None

"""Who has not been heard for too long: one look at all signal connections now and then, no timer for each message."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

_STEPS = 4
"""Looks in the shortest time that is measured."""


class Heard(Protocol):
    """What knows when a connection was heard last, in the time of the event loop."""

    heard_at_s: float


@dataclass(slots=True)
class _Watch:
    ask: Callable[[], None]
    lose: Callable[[], None]
    asked_at_s: float = -math.inf


class SilenceSweep:
    """Asks who has been silent for `ask_s`, and gives up who is silent for half of that after it, or for `lost_s`.
    Without connections nothing runs. A server that was held up itself asks first, and misses somebody later."""

    def __init__(self, ask_s: float, lost_s: float) -> None:
        self._ask_s = ask_s
        self._lost_s = min(lost_s, 1.5 * ask_s)
        self._interval_s = min(self._lost_s, ask_s) / _STEPS
        self._look_after_s = min(ask_s, self._lost_s)
        self._was_late = False
        self._watched: dict[Heard, _Watch] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Heard, ask: Callable[[], None], lose: Callable[[], None]) -> None:
        """From now on. `ask` is to ask it for a sign of life and does not wait."""
        self._watched[connection] = _Watch(ask, lose)
        if self._timer is None:
            self._wait(asyncio.get_running_loop())

    def discard(self, connection: Heard) -> None:
        self._watched.pop(connection, None)

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self._interval_s, self._look, loop, loop.time() + self._interval_s)

    def _look(self, loop: asyncio.AbstractEventLoop, due_s: float) -> None:
        self._timer = None
        now_s = loop.time()
        is_late = now_s - due_s >= self._interval_s
        lost_s = self._lost_s if not is_late or self._was_late else math.inf
        silent_since_s = now_s - self._look_after_s
        for silent in [one for one in self._watched if one.heard_at_s <= silent_since_s]:
            self._judge(silent, now_s, lost_s)
        self._was_late = is_late
        if self._watched:
            self._wait(loop)

    def _judge(self, connection: Heard, now_s: float, lost_s: float) -> None:
        watch = self._watched[connection]
        if now_s - connection.heard_at_s >= lost_s:
            self.discard(connection)
            watch.lose()
        elif watch.asked_at_s < connection.heard_at_s:
            watch.asked_at_s = now_s
            watch.ask()

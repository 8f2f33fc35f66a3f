"""What a watcher has been told, so that it hears each thing once however often the store has to start over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from sfu.bus.api import Entry, Handler

_log = logging.getLogger("ting.bus")
T = TypeVar("T")
_RECANCEL_S = 0.1


class View:
    """Of one watch. `begin` starts a telling of all that is there, `complete` ends it; in between and after it every
    change goes through `put`."""

    def __init__(self, handler: Handler, caught_up: Callable[[], None] | None) -> None:
        self._handler = handler
        self._caught_up = caught_up
        self._known: dict[str, int] = {}
        """Key to revision."""
        self._unseen: set[str] | None = None
        """While all is told: what was known before and has not come again."""

    def begin(self) -> None:
        self._unseen = set(self._known)

    def put(self, key: str, entry: Entry | None) -> None:
        if self._unseen is not None:
            self._unseen.discard(key)
        if entry is None:
            if self._known.pop(key, None) is not None:
                self._tell(key, None)
        elif self._known.get(key) != entry.revision:
            self._known[key] = entry.revision
            self._tell(key, entry)

    def complete(self) -> None:
        if self._unseen is None:
            return
        gone, self._unseen = self._unseen, None
        for key in gone:
            # The store has forgotten it, or was replaced by an empty one.
            del self._known[key]
            self._tell(key, None)
        if self._caught_up is not None:
            guarded(self._caught_up)

    def _tell(self, key: str, entry: Entry | None) -> None:
        guarded(self._handler, key, entry)


def guarded(call: Callable[..., None], *news: object) -> None:
    """What others do with news must not stop the bus."""
    try:
        call(*news)
    except Exception:
        _log.exception("a handler of the bus failed")


async def finish(task: asyncio.Task[None] | None) -> None:
    """Cancel a task that may wait for the bus, until it has ended. In Python 3.11 `asyncio.wait_for`, which NATS's
    client uses, may swallow a cancellation that meets the answer."""
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_RECANCEL_S)


class Listeners(Generic[T]):
    """Callbacks of one event."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[T], None]] = []

    def add(self, callback: Callable[[T], None]) -> Registration:
        self._callbacks.append(callback)
        return Registration(lambda: self._callbacks.remove(callback))

    def tell(self, value: T) -> None:
        for callback in tuple(self._callbacks):
            guarded(callback, value)


class Registration:
    """A `Subscription` that ends by calling something, once."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end: Callable[[], None] | None = end

    def close(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            end()

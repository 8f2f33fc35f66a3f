"""Who hears at once of what happens in a room: open connections, in this process (`spread`: of all nodes).

A listener gets messages in the order of the log. One that is too slow is closed: its client starts over
from the last entry that it has, and nothing waits for it meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from signaling.log.entries import Entry, wire
from signaling.rooms.roles import Role

SHUTTING_DOWN = "unavailable"
"""Why a subscription is over when the server stops."""


class News:
    """A message to many: what is the same for all is encoded once."""

    __slots__ = ("_room", "_text", "message")

    def __init__(self, message: dict[str, Any]) -> None:
        self.message = message
        self._room: str | None = None
        self._text = b""

    def text(self, room: str) -> bytes:
        """In JSON, with the room that it is about."""
        if room != self._room:
            self._room, self._text = room, msgspec.json.encode({**self.message, "room": room})
        return self._text


class Listener:
    """One subscription of one person to one room. `device_id` is the account's device; `device` the one that takes part
    in the encryption of a sealed room, empty elsewhere."""

    def __init__(
        self,
        room_key: int,
        member_id: str,
        identity: str,
        role: Role,
        device_id: str,
        *,
        max_queue: int,
        name: str = "",
        device: str = "",
    ) -> None:
        self.room_key = room_key
        self.member_id = member_id
        self.identity = identity
        self.role = role
        self.device_id = device_id
        self.name = name
        self.device = device
        self.overflowed = False
        self.ended: str | None = None
        """Why it is over: a code of the API."""
        self._max_queue = max_queue
        self._queue: deque[News] = deque()
        self._more = asyncio.Event()

    def offer(self, news: News) -> None:
        if len(self._queue) >= self._max_queue:
            self.overflowed = True
        elif not self.overflowed:
            self._queue.append(news)
        self._more.set()

    def overflow(self) -> None:
        """Something is missing: nothing more is delivered."""
        self.overflowed = True
        self._more.set()

    def end(self, code: str) -> None:
        """What waits is still delivered."""
        if self.ended is None:
            self.ended = code
        self._more.set()

    async def next(self) -> list[News]:
        """All that waits, at least one message; empty when it is over."""
        while not self._queue and self.ended is None and not self.overflowed:
            self._more.clear()
            await self._more.wait()
        taken = list(self._queue)
        self._queue.clear()
        return taken


def offer_entry(entry: Entry, listeners: Iterable[Listener]) -> None:
    news = News({"type": "entry", **wire(entry, own=False)})
    for listener in listeners:
        if entry.sender == listener.member_id:
            listener.offer(News({"type": "entry", **wire(entry, own=True)}))
        elif entry.visible_to(listener.member_id):
            listener.offer(news)


Watcher = Callable[[Listener, bool], None]


class Live:
    def __init__(self) -> None:
        self._listeners: dict[int, set[Listener]] = {}
        self._watchers: list[Watcher] = []

    def add_watcher(self, watcher: Watcher) -> None:
        """Called with each listener that comes (True) or goes (False), whose end counts and not its last delivery; with
        one that goes perhaps twice."""
        self._watchers.append(watcher)

    def add(self, listener: Listener) -> None:
        self._listeners.setdefault(listener.room_key, set()).add(listener)
        self._tell_watchers(listener, True)

    def remove(self, listener: Listener) -> None:
        self._tell_watchers(listener, False)
        listeners = self._listeners.get(listener.room_key)
        if listeners is not None:
            listeners.discard(listener)
            if not listeners:
                del self._listeners[listener.room_key]

    def of(self, room_key: int) -> list[Listener]:
        return list(self._listeners.get(room_key, ()))

    def publish(self, room_key: int, entry: Entry) -> None:
        """To everybody whose business it is."""
        offer_entry(entry, self.of(room_key))

    def tell(self, room_key: int, message: dict[str, Any], *, to: Callable[[Listener], bool] = lambda _: True) -> None:
        """News that is not kept: typing, knocks, a request to unmute."""
        news = News(message)
        for listener in self.of(room_key):
            if to(listener):
                listener.offer(news)

    def count(self, member_id: str) -> int:
        return sum(1 for listeners in self._listeners.values() for one in listeners if one.member_id == member_id)

    def end_member(self, room_key: int, member_id: str, code: str) -> None:
        """Somebody may no longer be there."""
        for listener in self.of(room_key):
            if listener.member_id == member_id:
                self._end(listener, code)

    def end_device(self, device_id: str) -> None:
        """A device of an account was signed out."""
        for room_key in list(self._listeners):
            for listener in self.of(room_key):
                if listener.device_id == device_id:
                    self._end(listener, "unauthorized")

    def end_room(self, room_key: int) -> None:
        """The room is no longer there."""
        for listener in self.of(room_key):
            self._end(listener, "room_not_found")

    def shut_down(self) -> None:
        """Everybody comes back by themselves, when the server does."""
        for room_key in list(self._listeners):
            for listener in self.of(room_key):
                self._end(listener, SHUTTING_DOWN)

    def _end(self, listener: Listener, code: str) -> None:
        listener.end(code)
        self._tell_watchers(listener, False)

    def _tell_watchers(self, listener: Listener, is_there: bool) -> None:
        for watcher in self._watchers:
            watcher(listener, is_there)

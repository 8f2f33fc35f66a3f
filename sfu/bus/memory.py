"""The bus within one process: for tests, and for several nodes that share a process.

Every `MemoryBus` on the same `MemoryStore` is another node. `MemoryStore.away` takes the store away from all of them,
`MemoryBus.cut_off` from one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sfu.bus.api import BusUnavailable, Conflict, Entry, Handler, check_key, check_value
from sfu.bus.views import Listeners, Registration, View, guarded


class MemoryStore:
    """What the server in between would hold."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.buses: list[MemoryBus] = []
        self._revision = 0
        self._away = False

    @property
    def away(self) -> bool:
        return self._away

    @away.setter
    def away(self, value: bool) -> None:
        self._away = value
        for bus in self.buses:
            bus.look_again()

    def forget(self) -> None:
        """As a server that lost its disk: watchers find nothing there."""
        self.entries.clear()
        for bus in self.buses:
            bus.start_over()

    def write(self, key: str, value: bytes | None, expected: int) -> int:
        there = self.entries.get(key)
        if (there.revision if there is not None else 0) != expected:
            raise Conflict(f"{key} has changed")
        self._revision += 1
        if value is None:
            del self.entries[key]
            changed = None
        else:
            changed = self.entries[key] = Entry(key, value, self._revision)
        for bus in self.buses:
            bus.changed(key, changed)
        return self._revision


class MemoryBus:
    """News arrive in the event loop's next round, as from afar, and in order."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._is_open = False
        self._cut_off = False
        self._available = False
        self._watches: dict[View, str] = {}
        self._topics: list[tuple[str, Callable[[bytes], None]]] = []
        self._listeners: Listeners[bool] = Listeners()

    @property
    def available(self) -> bool:
        return self._available

    @property
    def problem(self) -> str:
        return "" if self._available else "away"

    @property
    def cut_off(self) -> bool:
        """Of the two sides of a broken line, this node is on the one without the store."""
        return self._cut_off

    @cut_off.setter
    def cut_off(self, value: bool) -> None:
        self._cut_off = value
        self.look_again()

    def on_available(self, callback: Callable[[bool], None]) -> Registration:
        return self._listeners.add(callback)

    async def open(self) -> None:
        self._is_open = True
        self._store.buses.append(self)
        self.look_again()

    async def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._store.buses.remove(self)
            self.look_again()

    async def get(self, key: str) -> Entry | None:
        check_key(key)
        await self._turn()
        return self._store.entries.get(key)

    async def create(self, key: str, value: bytes) -> int:
        return await self._write(key, value, 0)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        return await self._write(key, value, _written(key, revision))

    async def delete(self, key: str, revision: int) -> None:
        await self._write(key, None, _written(key, revision))

    async def _write(self, key: str, value: bytes | None, expected: int) -> int:
        check_key(key)
        check_value(value or b"")
        await self._turn()
        return self._store.write(key, value, expected)

    async def _turn(self) -> None:
        await asyncio.sleep(0)
        if not self._available:
            raise BusUnavailable("the store is away")

    def watch(self, prefix: str, handler: Handler, caught_up: Callable[[], None] | None = None) -> Registration:
        check_key(prefix, prefix=True)
        view = View(handler, caught_up)
        self._watches[view] = prefix
        if self._available:
            self._soon(view, self._tell_all, view)
        return Registration(lambda: self._forget(view))

    def _forget(self, view: View) -> None:
        self._watches.pop(view, None)

    def emit(self, topic: str, payload: bytes) -> bool:
        check_value(payload)
        if not self._available:
            return False
        for bus in self._store.buses:
            if bus is not self:
                bus.hear(topic, payload)
        return True

    def listen(self, topic: str, handler: Callable[[bytes], None]) -> Registration:
        entry = (topic, handler)
        self._topics.append(entry)
        return Registration(lambda: self._topics.remove(entry))

    def hear(self, topic: str, payload: bytes) -> None:
        if self._available:
            for entry in self._topics:
                if entry[0] == topic:
                    asyncio.get_running_loop().call_soon(self._deliver, entry, payload)

    def changed(self, key: str, entry: Entry | None) -> None:
        if self._available:
            for view, prefix in self._watches.items():
                if key.startswith(prefix):
                    self._soon(view, view.put, key, entry)

    def look_again(self) -> None:
        """Whether the store can be reached, after something has changed."""
        available = self._is_open and not self._cut_off and not self._store.away
        if available == self._available:
            return
        self._available = available
        self._listeners.tell(available)
        if available:
            self.start_over()

    def start_over(self) -> None:
        if self._available:
            for view in self._watches:
                self._soon(view, self._tell_all, view)

    def _deliver(self, entry: tuple[str, Callable[[bytes], None]], payload: bytes) -> None:
        if entry in self._topics:
            guarded(entry[1], payload)

    def _soon(self, view: View, call: Callable[..., None], *arguments: object) -> None:
        def run() -> None:
            if view in self._watches:
                call(*arguments)

        asyncio.get_running_loop().call_soon(run)

    def _tell_all(self, view: View) -> None:
        if not self._available:
            return
        view.begin()
        for key, entry in list(self._store.entries.items()):
            if key.startswith(self._watches[view]):
                view.put(key, entry)
        view.complete()


def _written(key: str, revision: int) -> int:
    """Zero stands for an entry that is not there, which `create` alone may mean."""
    if not revision:
        raise Conflict(f"{key} has changed")
    return revision

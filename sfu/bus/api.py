"""The contract of the bus: a small key-value store with compare-and-set, and hints that may be lost.

The bus is never the record of anything. What it decides, it decides by compare-and-set: a `get` may be stale, so a
value that was read is only good for the revision that the next write names.

Keys are texts whose parts are parted by slashes (`nodes/berlin-1`); values are bytes. Revisions only grow within one
store, across all keys. A store forgets keys that nobody wrote for `RETENTION_S`, without telling anybody.

Handlers and callbacks are called in the event loop's thread, one after another; they must not block. One that raises
is logged and called again for the next news.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sfu.errors import SfuError

MAX_KEY_BYTES = 512
MAX_VALUE_BYTES = 65_536
"""Also of a hint's payload."""
RETENTION_S = 86_400.0
"""Whoever needs an entry for longer writes it anew before."""


class BusError(SfuError):
    """Root of what a bus raises."""

    code = "bus_error"


class BusUnavailable(BusError):
    """No answer. Whether a write has happened is not known."""

    code = "bus_unavailable"


class Conflict(BusError):
    """The entry is not, or no longer, what the writer believed; nothing was written."""

    code = "conflict"


@dataclass(frozen=True, slots=True)
class Entry:
    key: str
    value: bytes
    revision: int


Handler = Callable[[str, Entry | None], None]
"""Called with a key and its entry, or None when there is none any more."""


class Subscription(Protocol):
    def close(self) -> None:
        """Nothing is told any more. May be called again."""


class Bus(Protocol):
    """What one node has of the bus."""

    @property
    def available(self) -> bool:
        """Whether the store has answered lately."""
        ...

    @property
    def problem(self) -> str:
        """Why it is not available, for a person; without secrets. Empty while it is."""
        ...

    def on_available(self, callback: Callable[[bool], None]) -> Subscription:
        """Called at each change of `available`, with its new value."""
        ...

    async def open(self) -> None:
        """Begin to connect, and wait a while for it. Does not raise when the store is away: it goes on trying."""

    async def close(self) -> None:
        """Let go of everything. May be called again."""

    async def get(self, key: str) -> Entry | None:
        """The entry, perhaps an older one than the newest. Raises `BusUnavailable`."""
        ...

    async def create(self, key: str, value: bytes) -> int:
        """Write an entry that is not there; gives its revision. Raises `Conflict` when there is one,
        `BusUnavailable`."""
        ...

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Write an entry whose revision is `revision`; gives its new one. Raises `Conflict`, also when there is none,
        `BusUnavailable`."""
        ...

    async def delete(self, key: str, revision: int) -> None:
        """Take away an entry whose revision is `revision`. Raises `Conflict`, `BusUnavailable`."""

    def watch(self, prefix: str, handler: Handler, caught_up: Callable[[], None] | None = None) -> Subscription:
        """Tell of every entry below `prefix`, which ends with a slash: first those that are there, then each change.
        Of several changes of one key in a row only the last may be told.

        `caught_up` is called when everything that was there has been told; again each time the store has come back and
        what happened meanwhile has been told.
        """
        ...

    def emit(self, topic: str, payload: bytes) -> bool:
        """Tell the other nodes that listen, and not this one. A hint: it may be lost. False: it is lost already."""
        ...

    def listen(self, topic: str, handler: Callable[[bytes], None]) -> Subscription:
        """Hear the hints of other nodes from now on."""
        ...


def check_key(key: str, *, prefix: bool = False) -> None:
    """Raises `ValueError`: a key is a mistake of the program and never of a caller far away."""
    parts = key.removesuffix("/").split("/") if prefix else key.split("/")
    if not all(parts) or len(key.encode()) > MAX_KEY_BYTES or (prefix and not key.endswith("/")):
        raise ValueError(f"no key of the bus: {key[:100]!r}")


def check_value(value: bytes) -> None:
    if len(value) > MAX_VALUE_BYTES:
        raise ValueError(f"{len(value)} bytes are too many for the bus")

"""The Protocol of what retention asks of the database."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from signaling.rooms.policy import Policy


class Erasure(StrEnum):
    """Where nothing is left of what was removed, a few minutes later."""

    FILES = "files"
    """In all files of the database."""
    TABLES = "tables"
    """In those of its tables; its write-ahead log, its archive or a replica may have it for longer."""
    ROWS = "rows"
    """In its rows: the tables are too large to be rewritten, and their files may have it for longer, too."""


@dataclass(frozen=True, slots=True)
class Gone:
    """An entry whose time was over, and which is a tombstone now."""

    room_key: int
    seq: int
    file_id: str
    """Of a file that goes with it; empty: none."""


class RetentionStore(Protocol):
    """Every method may raise `DatabaseError`. Times are Unix time in milliseconds."""

    async def apply(self, room_key: int, policy: Policy) -> None:
        """The deadlines of all entries that are there, as the policy is now."""

    async def apply_reading(self, room_key: int, retention_s: int, now_ms: int) -> int | None:
        """Entries that every member has read begin to end now. When the first of them will; None when there is none."""
        ...

    async def take(self, now_ms: int, limit: int) -> list[Gone]:
        """Turn what is over into tombstones, oldest first, but for rooms that are held."""
        ...

    async def forget_epochs(self, now_ms: int) -> int:
        """Remove the wrapped keys of epochs that ended so long ago that all that was said in them is gone, but for
        rooms that are held; how many."""
        ...

    async def next_deadline(self) -> int | None:
        """When the next entry of a room that is not held ends."""
        ...

    @property
    def rewrites(self) -> bool:
        """Whether `scrub` rewrites whole tables, for which writers wait."""
        ...

    async def scrub(self) -> bool:
        """Leave nothing of what was removed in the database's files. False: a reader was in the way; try again."""
        ...

    async def erasure(self) -> Erasure: ...


class RetentionStores(Protocol):
    async def retention(self) -> RetentionStore:
        """Opens the database, if it is not open. Raises `DatabaseError`."""
        ...

    @property
    def has_data(self) -> bool: ...

"""The Protocol of the store of logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from signaling.errors import ApiError
from signaling.log.entries import Draft, Drawn, Entry


@dataclass(frozen=True, slots=True)
class Written:
    entry: Entry
    repeated: bool
    """Whether it was there already, from an earlier try of the same client."""
    file_id: str = ""
    """Of the file whose entry this one has removed."""


class LogStore(Protocol):
    """Every method may raise `DatabaseError`."""

    async def append(self, drafts: Sequence[Draft], now_ms: int) -> list[Written | ApiError]:
        """All in one transaction, which is durable when this returns: one outcome for each draft, in their order. The
        `seq` of each room follow each other without gaps, also when several processes write."""
        ...

    async def before(
        self, room_key: int, before: int | None, limit: int, member_id: str, floor: int, drawn: Drawn = Drawn.WITH
    ) -> tuple[list[Entry], int]:
        """The newest `limit` entries with `floor` < seq < `before` that the member may see, oldest first, and `newest`
        as it was just before."""
        ...

    async def since(
        self, room_key: int, since: int, limit: int, member_id: str, floor: int, drawn: Drawn = Drawn.WITH
    ) -> tuple[list[Entry], int]:
        """The first `limit` entries after `since` (and `floor`) that the member may see, oldest first, and `newest` as
        it was just before."""
        ...

    async def newest(self, room_key: int) -> int:
        """The `seq` of the newest entry, 0 when there is none."""
        ...

    async def pins(self, room_key: int, limit: int) -> list[Entry]:
        """Pinned entries, newest pin first."""
        ...

    async def unread(self, room_key: int, since: int, member_id: str) -> int:
        """How many messages, files and polls of others came after `since`, counted up to 1000."""
        ...

    async def search(
        self, room_key: int, words: Sequence[str], before: int | None, limit: int, member_id: str, floor: int
    ) -> list[Entry]:
        """Entries that have all of `words`, the last one as the beginning of a word too; newest first."""
        ...


class LogStores(Protocol):
    async def log(self) -> LogStore:
        """Opens the database, if it is not open. Raises `DatabaseError`."""
        ...

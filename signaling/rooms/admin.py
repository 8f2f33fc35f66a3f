"""What an operator sees of all rooms: sums and names, never what was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Totals:
    rooms: int
    entries: int
    files: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class RoomSums:
    members: int
    files: int
    file_bytes: int
    newest_at_ms: int | None
    """When its newest entry was written; Unix time."""


@dataclass(frozen=True, slots=True)
class HookState:
    """A hook whose receiver does not take what it should."""

    room: str
    hook_id: str
    failures: int
    is_gone: bool
    waiting: int
    """Entries that it has not taken."""


class AdminStore(Protocol):
    """Every method may raise `DatabaseError`."""

    async def totals(self) -> Totals: ...

    async def sums(self, room_keys: Sequence[int]) -> dict[int, RoomSums]: ...

    async def hooks(self, limit: int) -> list[HookState]:
        """Those that are behind or gone, the worst first."""
        ...


class AdminStores(Protocol):
    async def admin(self) -> AdminStore:
        """Opens the database, if it is not open. Raises `DatabaseError`."""
        ...

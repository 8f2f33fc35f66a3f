"""What is kept of bots and hooks, and the Protocol of its store."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sfu.ids import RoomName


class Scope(StrEnum):
    READ = "read"
    """Everything that a member may look at."""
    WRITE = "write"
    """Entries, files, marks."""
    MODERATE = "moderate"
    """Everything that a moderator may do."""
    POST = "post"
    """One message a request, by an address that needs no header: an incoming webhook."""


@dataclass(frozen=True, slots=True)
class Bot:
    bot_id: str
    room_key: int
    room: RoomName
    name: str
    scopes: frozenset[Scope]
    created_at_ms: int
    sealed: bool = False
    """Whether its room is sealed: a bot that has no keys cannot write there."""


@dataclass(frozen=True, slots=True)
class Hook:
    """`delivered_seq` is the newest entry that its receiver has taken: the log itself is the queue."""

    hook_id: str
    room_key: int
    room: RoomName
    url: str
    verbs: tuple[str, ...]
    """Empty: all."""
    delivered_seq: int
    failures: int
    is_gone: bool
    """Its receiver answered 410, and is not asked again."""


class BotStore(Protocol):
    """Every method may raise `DatabaseError`."""

    async def add_bot(self, bot: Bot, secret_hash: str, limit: int) -> bool:
        """False when the room has as many as it may have."""
        ...

    async def find_bot(self, secret_hash: str) -> Bot | None: ...

    async def bots(self, room_key: int) -> list[Bot]: ...

    async def remove_bot(self, room_key: int, bot_id: str) -> bool: ...

    async def add_hook(self, hook: Hook, limit: int) -> bool:
        """As `add_bot`."""
        ...

    async def hooks(self, room_key: int | None = None) -> list[Hook]:
        """Of one room, or of all that are not gone."""
        ...

    async def remove_hook(self, room_key: int, hook_id: str) -> bool: ...

    async def note_delivery(self, hook_id: str, *, delivered_seq: int, failures: int, is_gone: bool) -> None: ...


class BotStores(Protocol):
    async def bots(self) -> BotStore:
        """Opens the database, if it is not open. Raises `DatabaseError`."""
        ...

    @property
    def has_data(self) -> bool: ...

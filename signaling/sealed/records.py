"""What is kept of the groups of sealed rooms, and the Protocol of its store. All content is base64url, and opaque."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

NO_EPOCH = -1
"""Before the first commit of a room: there is no group."""


@dataclass(frozen=True, slots=True)
class Group:
    """One MLS group (RFC 9420), as the server knows it."""

    group_id: str
    epoch: int
    group_info: str
    """For external commits (RFC 9420, section 12.4.3.2)."""


NO_GROUP = Group("", NO_EPOCH, "")


@dataclass(frozen=True, slots=True)
class Wrapped:
    """The keys of an epoch, encrypted for those who may read what was said in it."""

    wrap: str
    secrets: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One step of a group, built on `after`; it makes the epoch `epoch` of `group_id`."""

    after_group: str
    after_epoch: int
    group_id: str
    epoch: int
    member_id: str
    device: str
    message: str
    group_info: str
    history: Wrapped | None
    gate_hash: str
    """SHA-256 of what proves that its device holds the room's link, in hex."""


@dataclass(frozen=True, slots=True)
class KeptCommit:
    epoch: int
    """That it has made."""
    member_id: str
    device: str
    message: str


@dataclass(frozen=True, slots=True)
class KeptEpoch:
    n: int
    """1 for the first of a room, going up."""
    group_id: str
    epoch: int
    wrap: str
    secrets: str


class Outcome(Enum):
    DONE = auto()
    REPEATED = auto()
    """It was there already, from an earlier try of the same device."""
    CONFLICT = auto()
    """Another commit was first."""
    NO_ROOM = auto()
    NO_LINK = auto()
    """The gate is another one."""


class SealedStore(Protocol):
    """Every method may raise `DatabaseError`. Times are Unix time in milliseconds."""

    async def group(self, room_key: int) -> Group:
        """`NO_GROUP` when there is none yet."""
        ...

    async def epoch(self, room_key: int) -> tuple[str, int]:
        """Of `group` only its id and epoch, which most ask for."""
        ...

    async def commit(self, room_key: int, commit: Commit, now_ms: int, *, keep: int, keep_epochs: int) -> Outcome:
        """Compare and set, in one transaction that is durable when this returns. `keep` commits are kept, and the keys
        of `keep_epochs` epochs."""
        ...

    async def commits(self, room_key: int, group_id: str, since: int, limit: int) -> list[KeptCommit] | None:
        """The first `limit` after the epoch `since`. None when it is another group, or not all of them are kept."""
        ...

    async def history(self, room_key: int, since: int, limit: int) -> list[KeptEpoch]:
        """The first `limit` with `n` > `since`."""
        ...

    async def forget_gate(self, room_key: int) -> None:
        """The next commit brings another one."""
        ...

    async def backup(self, room_key: int, member_id: str) -> str | None: ...

    async def put_backup(self, room_key: int, member_id: str, blob: str, now_ms: int, limit: int) -> bool:
        """False: as many members as may have one in this room."""
        ...

    async def remove_backup(self, room_key: int, member_id: str) -> None: ...


class SealedStores(Protocol):
    async def sealed(self) -> SealedStore:
        """Opens the database, if it is not open. Raises `DatabaseError`."""
        ...


@dataclass(frozen=True, slots=True)
class Present:
    """A device that has opened the room."""

    device: str
    member_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Join:
    """A device that waits to be added to the group."""

    device: str
    member_id: str
    name: str
    key_package: str
    proof: str

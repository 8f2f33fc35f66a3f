"""The Protocols of what archives are made from and taken into."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from signaling.portability.lines import BanLine, EntryLine, FileLine, MemberLine, RoomLine, SealLine


@dataclass(frozen=True, slots=True)
class Place:
    """Where a room goes."""

    room_key: int
    hidden: bool
    """Under a name that nobody can ask for, until it is whole."""
    stale: tuple[int, ...] = ()
    """Keys of hidden rooms that another archive began and did not end."""


class Snapshot(Protocol):
    """One room as it was at one moment. Each method gives pages; `owner` is the member id for whom they are, None for
    the operator."""

    room: RoomLine

    def members(self, owner: str | None) -> AsyncIterator[Sequence[MemberLine]]: ...

    def bans(self, owner: str | None) -> AsyncIterator[Sequence[BanLine]]: ...

    def entries(self, owner: str | None) -> AsyncIterator[Sequence[EntryLine]]:
        """Bodies are `msgspec.Raw`."""
        ...

    def files(self) -> AsyncIterator[Sequence[FileLine]]:
        """Those that are complete."""
        ...

    def seals(self, owner: str | None) -> AsyncIterator[Sequence[SealLine]]:
        """Of a sealed room."""
        ...

    def belongings(self, member_id: str) -> AsyncIterator[Sequence[MemberLine | EntryLine | FileLine | SealLine]]:
        """What is kept of one member, wrote it, is for it alone, or was sent by it."""
        ...


class ArchiveStore(Protocol):
    """Every method may raise `DatabaseError`."""

    async def room_names(self, member_id: str | None = None) -> list[str]:
        """All, or those that have something of this member."""
        ...

    def snapshot(self, name: str) -> AbstractAsyncContextManager[Snapshot | None]:
        """None when there is no such room."""
        ...

    # --- a room as it was, under its own name ---------------------------------------------------------------

    async def place(self, room: RoomLine, fingerprint: str) -> Place:
        """The room of this name; or a hidden one for it, begun now or by an earlier try with the same fingerprint."""
        ...

    async def put_people(self, room_key: int, lines: Sequence[MemberLine | BanLine]) -> None:
        """Those that are not there yet."""

    async def put_seals(self, room_key: int, lines: Sequence[SealLine]) -> None:
        """Those that are not there yet."""

    async def put_entries(self, place: Place, entries: Sequence[EntryLine]) -> int:
        """Those that are not there yet; how many. Raises `ArchiveError` when others stand in their place, and when a
        room that is not hidden has not all of them."""
        ...

    async def has_file(self, room_key: int, file_id: str) -> bool:
        """Raises `ArchiveError` when it is a file of another room."""
        ...

    async def put_file(self, room_key: int, file: FileLine) -> None: ...

    async def publish(self, room_key: int, room: RoomLine) -> None:
        """Give a hidden room its name. Raises `ArchiveError` when somebody else took it meanwhile."""

    async def file_ids(self, room_key: int) -> list[str]: ...

    async def remove(self, room_key: int) -> None:
        """With the rows of its files, whose bytes are gone already."""

    # --- what was said, into another room --------------------------------------------------------------------

    async def append(self, room_key: int, entries: Sequence[EntryLine], seqs: dict[int, int]) -> list[EntryLine]:
        """Behind what is there, with new numbers: `seqs` maps those of the archive to them, for targets, and is added
        to. What is there already stays as it is. Those that were written, as they are now."""
        ...


class ArchiveStores(Protocol):
    async def archives(self) -> ArchiveStore:
        """Opens the database, if it is not open. Raises `DatabaseError`."""
        ...

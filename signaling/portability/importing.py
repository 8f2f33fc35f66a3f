"""Taking an archive in: rooms as they were, or what was said in one of them into another.

Everything may be repeated: what is there stays and is not doubled, what is missing is added. A room that was not there
has a name under which nobody finds it until it is whole.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import msgspec

from signaling.errors import ArchiveError
from signaling.files.store import FileStore
from signaling.portability import lines
from signaling.portability.archive import Kind
from signaling.portability.export import ROOM_FILE
from signaling.portability.lines import BanLine, EntryLine, FileLine, Line, MemberLine, RoomLine, SealLine
from signaling.portability.reading import Archive
from signaling.portability.store import ArchiveStore, ArchiveStores, Place
from signaling.portability.stored_files import write_file
from signaling.rooms.roles import Role

_BATCH = 500
_T = TypeVar("_T")


@dataclass(slots=True)
class Report:
    rooms: int = 0
    entries: int = 0
    """Written now."""
    repeated: int = 0
    """That were there already."""
    files: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    """What was not taken in, and how often."""

    def leave_out(self, what: str, times: int = 1) -> None:
        self.left_out[what] = self.left_out.get(what, 0) + times


class RoomSource(Protocol):
    """Rooms one after the other, wherever they come from."""

    @property
    def left_out(self) -> Mapping[str, int]:
        """What could not be read, and how often."""
        ...

    def rooms(self) -> Iterator[tuple[str, Iterator[Line]]]:
        """What tells this content of a room from any other (64 characters at most), and its lines, of which the first
        is a `RoomLine`. Raises `ArchiveError`."""
        ...

    def file(self, line: FileLine) -> Iterator[bytes] | None:
        """Of the room that `rooms` gave last; None when it is not there. Raises `ArchiveError` when it is another."""
        ...


class ArchivedRooms:
    """The rooms of a checked archive. Raises `ArchiveError` for one of another kind."""

    def __init__(self, archive: Archive) -> None:
        if archive.manifest.kind is Kind.ACCOUNT:
            raise ArchiveError("this is what belongs to one account, of which no room can be made")
        if archive.manifest.kind is not Kind.ROOMS:
            raise ArchiveError("this is a backup of a whole server, which `ting restore` takes")
        self._archive = archive
        self.left_out: Mapping[str, int] = {}
        self._names = frozenset(archive.names())
        self._folder = ""

    def rooms(self) -> Iterator[tuple[str, Iterator[Line]]]:
        for name in sorted(self._names):
            if name.endswith("/" + ROOM_FILE):
                self._folder = name.removesuffix(ROOM_FILE)
                yield self._archive.sha256(name), lines.read(self._archive.lines(name))

    def file(self, line: FileLine) -> Iterator[bytes] | None:
        name = f"{self._folder}files/{line.file_id}"
        if name not in self._names:
            return None
        if (self._archive.sha256(name), self._archive.size(name)) != (line.sha256, line.size_bytes):
            raise ArchiveError("a file of the archive is not what its line says")
        return self._archive.chunks(name)


class Importer:
    """Rooms as they were, under their own names."""

    def __init__(
        self,
        stores: ArchiveStores,
        files: FileStore,
        *,
        progress: Callable[[Report], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._files = files
        self._progress = progress
        self._clock = clock

    async def take_in(self, source: RoomSource, owner: str = "") -> Report:
        """`owner` is a member who owns each room that is new. Raises `ArchiveError`; what was whole by then stays, and
        a repetition does the rest."""
        store, report = await self._stores.archives(), Report()
        for fingerprint, room in source.rooms():
            await self._take_room(store, source, fingerprint, room, owner, report)
            report.rooms += 1
            self._progress(report)
        for what, times in source.left_out.items():
            report.leave_out(what, times)
        return report

    async def _take_room(
        self, store: ArchiveStore, source: RoomSource, fingerprint: str, room: Iterator[Line], owner: str,
        report: Report,
    ) -> None:  # fmt: skip
        first = await asyncio.to_thread(next, room, None)
        if not isinstance(first, RoomLine):
            raise ArchiveError("a room without its first lines")
        place = await store.place(first, fingerprint)
        for room_key in place.stale:
            await self._remove(store, room_key)
        try:
            await self._fill(store, source, room, place, report)
        except ArchiveError as error:
            if place.hidden:
                # It will not end better next time.
                await self._remove(store, place.room_key)
            raise ArchiveError(f"room {first.name}: {error}") from None
        if place.hidden:
            if owner:
                line = MemberLine(member_id=owner, role=Role.OWNER, name="", added_at_ms=first.created_at_ms)
                await store.put_people(place.room_key, [line])
            await store.publish(place.room_key, first)

    async def _remove(self, store: ArchiveStore, room_key: int) -> None:
        for file_id in await store.file_ids(room_key):
            await self._files.remove(file_id)
        await store.remove(room_key)

    async def _fill(
        self, store: ArchiveStore, source: RoomSource, room: Iterator[Line], place: Place, report: Report
    ) -> None:
        now_ms = round(self._clock() * 1000)
        async with aclosing(in_batches(room)) as batches:
            async for batch in batches:
                people = [line for line in batch if isinstance(line, MemberLine | BanLine)]
                if people and place.hidden:
                    await store.put_people(place.room_key, people)
                entries = [_fresh(line, now_ms) for line in batch if isinstance(line, EntryLine)]
                if entries:
                    written = await store.put_entries(place, entries)
                    report.entries += written
                    report.repeated += len(entries) - written
                for line in batch:
                    if isinstance(line, FileLine) and place.hidden:
                        await self._take_file(store, source, place, line, report)
                seals = [line for line in batch if isinstance(line, SealLine)]
                if seals and place.hidden:
                    await store.put_seals(place.room_key, seals)
                self._progress(report)

    async def _take_file(
        self, store: ArchiveStore, source: RoomSource, place: Place, line: FileLine, report: Report
    ) -> None:
        if await store.has_file(place.room_key, line.file_id):
            return
        content = source.file(line)
        if content is None:
            report.leave_out("files that are not in the archive")
            return
        await write_file(self._files, line.file_id, content)
        await store.put_file(place.room_key, line)
        report.files += 1


def _fresh(line: EntryLine, now_ms: int) -> EntryLine:
    """What is over does not come back."""
    over = line.expires_at_ms is not None and line.expires_at_ms <= now_ms
    return msgspec.structs.replace(line, body=None) if over else line


async def in_batches(values: Iterator[_T]) -> AsyncGenerator[list[_T]]:
    """Read in a thread, so many at a time that nobody waits for it."""
    while batch := await asyncio.to_thread(lambda: list(itertools.islice(values, _BATCH))):
        yield batch

"""Rooms as parts of an archive, one after the other, in memory that does not grow with them.

The lines of a room are first written to an unnamed file on disk: a part says its length before its bytes, and a slow
reader must not keep the database's snapshot open.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import IO

import msgspec

from signaling.errors import ArchiveError
from signaling.log.entries import Verb
from signaling.portability import lines
from signaling.portability.archive import CHUNK, Part
from signaling.portability.lines import EntryLine, FileLine, Scope
from signaling.portability.store import ArchiveStores, Snapshot
from signaling.portability.stored_files import FileSource, is_there, read_file

ROOM_FILE = "room.jsonl"


class Exporter:
    """`folder` is for what waits on disk; it is made when it is needed."""

    def __init__(
        self, stores: ArchiveStores, files: FileSource, folder: Path, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._stores = stores
        self._files = files
        self._folder = folder
        self._clock = clock

    async def parts(
        self, names: Iterable[str] | None = None, owner: str | None = None, expect: Callable[[int], None] | None = None
    ) -> AsyncGenerator[Part]:
        """Of these rooms, or all; `owner` is the member for whom it is, None for the operator. `expect` is told before
        the first part of each room how many bytes its parts have. Raises `ArchiveError` when there is no such room,
        `DatabaseError` and `StoreError`."""
        store = await self._stores.archives()
        wanted = await store.room_names() if names is None else list(names)
        for number, name in enumerate(sorted(wanted), start=1):
            with self._spool() as spool:
                async with store.snapshot(name) as snapshot:
                    if snapshot is None:
                        if names is None:
                            continue
                        raise ArchiveError(f"there is no room {name}")
                    files = await self._write(spool, snapshot, owner)
                if expect is not None:
                    expect(spool.tell() + sum(file.size_bytes for file in files))
                async for part in self._room_parts(number, spool, files):
                    yield part

    async def own_parts(self, member_id: str) -> AsyncGenerator[Part]:
        """What belongs to one member, of every room that has something of it. Raises `DatabaseError`, `StoreError`."""
        store = await self._stores.archives()
        for number, name in enumerate(sorted(await store.room_names(member_id)), start=1):
            with self._spool() as spool:
                async with store.snapshot(name) as snapshot:
                    # It may have gone since.
                    files = [] if snapshot is None else await self._write_own(spool, snapshot, member_id)
                async for part in self._room_parts(number, spool, files):
                    yield part

    async def _room_parts(self, number: int, spool: IO[bytes], files: list[FileLine]) -> AsyncGenerator[Part]:
        yield Part(f"rooms/{number:06}/{ROOM_FILE}", spool.tell(), chunks_of(spool))
        for file in files:
            if await is_there(self._files, file.file_id, file.size_bytes):
                content = read_file(self._files, file.file_id, file.size_bytes)
                yield Part(f"rooms/{number:06}/files/{file.file_id}", file.size_bytes, content)

    async def _write_own(self, spool: IO[bytes], snapshot: Snapshot, member_id: str) -> list[FileLine]:
        spool.write(lines.header(Scope.ACCOUNT))
        spool.write(lines.encode(msgspec.structs.replace(snapshot.room, password_hash="")))
        now_ms = round(self._clock() * 1000)
        files: list[FileLine] = []
        async for page in snapshot.belongings(member_id):
            await _put(
                spool, [_without_what_is_over(line, now_ms) if isinstance(line, EntryLine) else line for line in page]
            )
            files += [line for line in page if isinstance(line, FileLine)]
        return files

    def _spool(self) -> IO[bytes]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self._folder)

    async def _write(self, spool: IO[bytes], snapshot: Snapshot, owner: str | None) -> list[FileLine]:
        """All lines; the files that belong to them."""
        spool.write(lines.header(Scope.OPERATOR if owner is None else Scope.OWNER))
        room = snapshot.room if owner is None else msgspec.structs.replace(snapshot.room, password_hash="")
        spool.write(lines.encode(room))
        async for people in snapshot.members(owner):
            await _put(spool, people)
        async for bans in snapshot.bans(owner):
            await _put(spool, bans)
        now_ms = round(self._clock() * 1000)
        seen: set[str] = set()
        async for entries in snapshot.entries(owner):
            fresh = [_without_what_is_over(entry, now_ms) for entry in entries]
            if owner is not None:
                seen.update(_files_of(fresh))
            await _put(spool, fresh)
        kept: list[FileLine] = []
        async for files in snapshot.files():
            wanted = [file for file in files if owner is None or file.file_id in seen]
            await _put(spool, wanted)
            kept += wanted
        async for seals in snapshot.seals(owner):
            await _put(spool, seals)
        return kept


def _without_what_is_over(entry: EntryLine, now_ms: int) -> EntryLine:
    over = entry.expires_at_ms is not None and entry.expires_at_ms <= now_ms
    return msgspec.structs.replace(entry, body=None) if over else entry


def _files_of(entries: list[EntryLine]) -> set[str]:
    found = [entry for entry in entries if entry.verb is Verb.FILE and entry.body is not None]
    return {msgspec.json.decode(entry.body)["file_id"] for entry in found}


async def _put(spool: IO[bytes], page: Iterable[lines.Line]) -> None:
    await asyncio.to_thread(spool.write, b"".join(lines.encode(line) for line in page))


async def chunks_of(spool: IO[bytes]) -> AsyncIterator[bytes]:
    """From the beginning."""
    spool.seek(0)
    while chunk := await asyncio.to_thread(spool.read, CHUNK):
        yield chunk

"""A whole server in one archive: what the tables held at one moment, and the files that belong to it.

Tables go out row by row instead of as a copy of the database's own files. So a backup of SQLite can be restored into
PostgreSQL and the other way round, writers never wait for it, and what was deleted is not in it, as it would be in the
unused pages of a copied file.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec

from signaling import strict_json
from signaling.errors import ArchiveError
from signaling.files.store import FileStore
from signaling.portability.archive import Kind, Part
from signaling.portability.export import chunks_of
from signaling.portability.reading import Archive
from signaling.portability.stored_files import is_there, read_file, write_file

TABLES = "tables"
ABOUT_VERSION = "tables"
FORMAT = "ting-table"
VERSION = 1
_BATCH = 500
_INT64 = 2**63


class Header(msgspec.Struct, frozen=True):
    format: str
    version: int
    table: str
    columns: list[str]


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: Sequence[str]
    pages: AsyncIterator[Sequence[Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class KeptFile:
    file_id: str
    size_bytes: int


class Dump(Protocol):
    """The database at one moment."""

    def tables(self) -> AsyncIterator[Table]:
        """Each after those that it refers to; its rows by primary key."""
        ...

    def files(self) -> AsyncIterator[Sequence[KeptFile]]:
        """Those that are complete."""
        ...


class Restoring(Protocol):
    """A transaction in which an empty database is filled."""

    @property
    def order(self) -> Sequence[str]:
        """All tables, each after those that it refers to."""
        ...

    async def put(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Raises `ArchiveError` for a column or a value that cannot be."""


class BackupStore(Protocol):
    """Every method may raise `DatabaseError`."""

    @property
    def version(self) -> str:
        """Of the tables."""
        ...

    def dump(self) -> AbstractAsyncContextManager[Dump]: ...

    def restoring(self, version: str, *, replace: bool) -> AbstractAsyncContextManager[Restoring]:
        """With tables as they were in `version`; they are brought up to date at the end. Raises `ArchiveError` when the
        database has something in it, unless it is to be replaced, and for a version that is not known."""
        ...


class Backup:
    """`folder` is for what waits on disk."""

    def __init__(self, store: BackupStore, files: FileStore, folder: Path) -> None:
        self._store = store
        self._files = files
        self._folder = folder

    async def parts(self) -> AsyncGenerator[Part]:
        """Raises `DatabaseError` and `StoreError`."""
        with ExitStack() as stack:
            spools: list[tuple[str, IO[bytes]]] = []
            kept: list[KeptFile] = []
            async with self._store.dump() as dump:
                async for table in dump.tables():
                    spool: IO[bytes] = stack.enter_context(tempfile.TemporaryFile(dir=self._folder))
                    spools.append((table.name, spool))
                    await _write_table(spool, table)
                async for files in dump.files():
                    kept += files
            for name, spool in spools:
                yield Part(f"{TABLES}/{name}.jsonl", spool.tell(), chunks_of(spool))
            for file in kept:
                if await is_there(self._files, file.file_id, file.size_bytes):
                    yield Part(
                        f"files/{file.file_id}", file.size_bytes, read_file(self._files, file.file_id, file.size_bytes)
                    )


async def restore(archive: Archive, store: BackupStore, files: FileStore, *, replace: bool) -> int:
    """How many rows there are now. All of the database or nothing. Raises `ArchiveError`, `DatabaseError`,
    `StoreError`."""
    if archive.manifest.kind is not Kind.BACKUP:
        raise ArchiveError("this is an archive of rooms, which `ting import` takes")
    names, rows = archive.names(), 0
    async with store.dump() as dump:
        before = {file.file_id async for page in dump.files() for file in page}
    async with store.restoring(archive.manifest.about.get(ABOUT_VERSION, ""), replace=replace) as restoring:
        for name in names:
            folder, _, last = name.rpartition("/")
            if folder == "files":
                await write_file(files, last, archive.chunks(name))
        tables = {name for name in names if name.startswith(f"{TABLES}/")}
        for name in (f"{TABLES}/{table}.jsonl" for table in restoring.order):
            if name in tables:
                tables.remove(name)
                rows += await _restore_table(archive, name, restoring)
        if tables:
            raise ArchiveError(f"this version knows nothing of {min(tables)}")
    for file_id in before - {name.removeprefix("files/") for name in names}:
        await files.remove(file_id)
    return rows


async def _restore_table(archive: Archive, name: str, restoring: Restoring) -> int:
    lines, rows = archive.lines(name), 0
    header = await asyncio.to_thread(_read_header, lines, name)
    while batch := await asyncio.to_thread(_read_rows, lines, header):
        await restoring.put(header.table, header.columns, batch)
        rows += len(batch)
    return rows


def _read_header(lines: Iterator[bytes], name: str) -> Header:
    try:
        header = msgspec.convert(strict_json.loads(next(lines, b"")), Header)
    except (ValueError, RecursionError):
        raise ArchiveError(f"{name} does not begin as a table does") from None
    if (header.format, header.version, f"{TABLES}/{header.table}.jsonl") != (FORMAT, VERSION, name):
        raise ArchiveError(f"{name} does not begin as a table does")
    return header


def _read_rows(lines: Iterator[bytes], header: Header) -> list[list[Any]]:
    rows = []
    for line in itertools.islice(lines, _BATCH):
        try:
            row = strict_json.loads(line)
            if not isinstance(row, list) or len(row) != len(header.columns):
                raise ValueError
            rows.append([_decode(value) for value in row])
        except (ValueError, RecursionError):
            raise ArchiveError(f"a row of table {header.table} is not what it should be") from None
    return rows


def _encode(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _decode(value: Any) -> Any:
    """Raises `ValueError`."""
    if isinstance(value, dict) and value.keys() == {"base64"} and isinstance(value["base64"], str):
        return base64.b64decode(value["base64"], validate=True)
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        raise ValueError
    if not isinstance(value, str | int | float | None):
        raise ValueError
    return value


async def _write_table(spool: IO[bytes], table: Table) -> None:
    encoder = msgspec.json.Encoder()
    spool.write(encoder.encode(Header(FORMAT, VERSION, table.name, list(table.columns))) + b"\n")
    async for rows in table.pages:
        text = b"".join(encoder.encode([_encode(value) for value in row]) + b"\n" for row in rows)
        await asyncio.to_thread(spool.write, text)

"""Files in the database, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from signaling.db.database import Database
from signaling.db.files import FileRepository
from signaling.files.records import NewFile, Quotas, StoredFile
from tests.harness.files import Person, error_code, people, serving

LOOSE = Quotas(10**15, 10**15, 10**15, 10**6, 10**6)
HOUR_S = 3600.0


@pytest.fixture
async def rows(url: str) -> AsyncIterator[FileRepository]:
    database = Database(url)
    await database.open()
    yield FileRepository(database)
    await database.close()


def new_file(room_key: int = 1, member_id: str = "ada", size_bytes: int = 10) -> NewFile:
    return NewFile(secrets.token_hex(16), room_key, member_id, "名.txt", "text/plain", "name 5ZCNLnR4dA==", size_bytes)


async def add(rows: FileRepository, new: NewFile, expiry_s: float = HOUR_S) -> StoredFile:
    row = await rows.add_file(new, LOOSE, expiry_s)
    assert isinstance(row, StoredFile)
    return row


async def test_the_life_of_a_file(rows: FileRepository) -> None:
    new = new_file(size_bytes=2**41)
    row = await add(rows, new)
    assert row == await rows.load_file(new.file_id)
    assert (row.name, row.media_type, row.metadata, row.size_bytes) == (new.name, new.media_type, new.metadata, 2**41)
    assert row.expires_at_ms - row.created_at_ms == 3_600_000
    assert (row.complete, row.expired, row.sha256) == (False, False, "")
    assert await rows.prolong_file(new.file_id, 2 * HOUR_S) >= row.expires_at_ms + 3_600_000
    whole = await rows.complete_file(new.file_id, "ab" * 32)
    assert whole is not None
    assert (whole.complete, whole.expired, whole.sha256) == (True, False, "ab" * 32)
    assert await rows.complete_file(new.file_id, "cd" * 32) == whole, "once"
    assert await rows.prolong_file(new.file_id, 1) == 0
    await rows.delete_file(new.file_id)
    assert await rows.load_file(new.file_id) is None
    assert await rows.complete_file(new.file_id, "") is None


async def test_only_unfinished_files_expire(rows: FileRepository) -> None:
    old, older, whole, young = new_file(), new_file(), new_file(), new_file()
    for new, expiry_s in ((old, -1.0), (older, -2.0), (whole, -3.0), (young, HOUR_S)):
        await add(rows, new, expiry_s)
    await rows.complete_file(whole.file_id, "")
    assert await rows.list_expired_files(10) == [older.file_id, old.file_id]
    assert await rows.list_expired_files(1) == [older.file_id]
    loaded = await rows.load_file(old.file_id)
    assert loaded is not None
    assert loaded.expired


async def test_files_of_a_room_and_unknown_ones(rows: FileRepository) -> None:
    here, there = [new_file() for _ in range(3)], new_file(room_key=2)
    for new in (*here, there):
        await add(rows, new)
    assert sorted(await rows.list_room_files(1)) == sorted(new.file_id for new in here)
    many = [secrets.token_hex(16) for _ in range(1200)]
    assert await rows.list_unknown_files([*many, there.file_id]) == many
    assert await rows.list_unknown_files([]) == []


async def test_files_of_a_room_that_is_gone(rows: FileRepository) -> None:
    here, gone = new_file(), new_file(room_key=2)
    async with rows._database.writing() as connection:
        await connection.execute(text("INSERT INTO rooms (name, title, created_at_ms, policy) VALUES ('r', '', 0, '')"))
    await add(rows, here)
    await add(rows, gone)
    await rows.complete_file(gone.file_id, "")
    assert await rows.list_homeless_files(10) == [gone.file_id]


@pytest.mark.parametrize(
    ("quotas", "name"),
    [
        (Quotas(30, 10**6, 10**6, 100, 100), "room"),
        (Quotas(10**6, 20, 10**6, 100, 100), "member"),
        (Quotas(10**6, 10**6, 40, 100, 100), "server"),
        (Quotas(10**6, 10**6, 10**6, 3, 100), "files"),
        (Quotas(10**6, 10**6, 10**6, 100, 2), "uploads"),
    ],
)
async def test_every_quota(rows: FileRepository, quotas: Quotas, name: str) -> None:
    """There are 20 bytes of ada and 10 of bob in the room, and 10 elsewhere: the next byte of ada's is too much."""
    for new in (new_file(), new_file(), new_file(member_id="bob"), new_file(room_key=2)):
        await add(rows, new)
    assert await rows.add_file(new_file(size_bytes=1), quotas, HOUR_S) == name
    assert isinstance(await rows.add_file(new_file(3, "eve", 0), quotas, HOUR_S), StoredFile), (
        "elsewhere, without a byte"
    )


async def test_what_is_complete_is_no_open_upload(rows: FileRepository) -> None:
    new = new_file()
    await add(rows, new)
    await rows.complete_file(new.file_id, "")
    assert isinstance(await rows.add_file(new_file(), Quotas(10**6, 10**6, 10**6, 10, 1), HOUR_S), StoredFile)


async def test_reservations_at_the_same_time_overshoot_by_nothing(url: str, rows: FileRepository) -> None:
    """From two processes' worth of connections."""
    other = Database(url)
    await other.open()
    both = [rows, FileRepository(other)]
    quotas = Quotas(70, 10**6, 10**6, 100, 100)
    made = await asyncio.gather(*(both[n % 2].add_file(new_file(member_id=f"m{n}"), quotas, HOUR_S) for n in range(50)))
    await other.close()
    assert sum(isinstance(row, StoredFile) for row in made) == 7
    assert {row for row in made if not isinstance(row, StoredFile)} == {"room"}


async def test_fifty_creations_at_once_over_http(url: str, tmp_path: Path) -> None:
    limits = {"room_file_bytes": 1000, "member_file_bytes": 1000, "file_creations_per_minute": 1000.0}
    async with serving(tmp_path, url, **limits) as server, people(server, "ada") as [ada]:
        given = {"Tus-Resumable": "1.0.0", "Upload-Length": "90"}
        answers = await asyncio.gather(*(create(ada, given) for _ in range(50)))
        assert sorted(status for status, _ in answers) == [201] * 11 + [413] * 39
        assert {error_code(body) for status, body in answers if status == 413} == {"quota_exceeded"}
        assert len(server.stored()) == await server.count() == 11


async def create(person: Person, given: dict[str, str]) -> tuple[int, bytes]:
    status, _, body = await person.ask("POST", headers=given)
    return status, body

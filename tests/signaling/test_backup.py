"""A backup of a whole server, made under load, restored, and equal."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData, insert, select

from signaling.db.database import Database
from signaling.db.models import Account, Device, EntryRow, Passkey, RoomRow
from signaling.db.schema import make_again
from signaling.db.url import sqlite_url
from signaling.errors import ArchiveError, DatabaseError
from signaling.log.entries import Verb
from signaling.portability.archive import Kind, Seal
from signaling.portability.backup import ABOUT_VERSION, Backup, restore
from signaling.portability.output import write_archive
from signaling.portability.reading import Archive
from signaling.portability.signing import ANY_SIGNER
from signaling.revocations import RevocationRow
from tests.harness.postgres import Postgres
from tests.signaling.portability import NOW_MS, SETTINGS, Ting, draft, files_of, ting


def make_url(kind: str, request: pytest.FixtureRequest, path: Path) -> str:
    if kind == "sqlite":
        return sqlite_url(path)
    server: Postgres = request.getfixturevalue("postgres")
    name = f"db_{secrets.token_hex(4)}"
    server.run(f"CREATE DATABASE {name}")
    return server.url(name)


@pytest.fixture(params=["sqlite", "postgresql"])
async def source(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ting]:
    async with ting(make_url(request.param, request, tmp_path / "a.db"), tmp_path / "a") as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
async def target(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ting]:
    async with ting(make_url(request.param, request, tmp_path / "b.db"), tmp_path / "b") as made:
        yield made


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Ting]:
    async with ting(sqlite_url(tmp_path / "here.db"), tmp_path / "here") as made:
        yield made


async def fill(server: Ting) -> int:
    key = await server.make_room()
    await server.fill(key)
    await server.storage.save_revocations([RevocationRow("hall", "guest_eve", NOW_MS)])
    account = {
        "account_id": "a1", "name": "Ada", "name_key": "ada", "password_hash": "", "is_admin": True,
        "is_disabled": False, "created_at_ms": NOW_MS,
    }  # fmt: skip
    passkey = {
        "passkey_id": "p1", "account_id": "a1", "credential_id": b"\x00\xff", "public_key": b"key", "sign_count": 7,
        "name": "stick", "created_at_ms": NOW_MS, "used_at_ms": 0,
    }  # fmt: skip
    device = {
        "device_id": "d1", "account_id": "a1", "secret_hash": "x", "name": "", "created_at_ms": 1, "seen_at_ms": 1,
        "proved_at_ms": 1,
    }  # fmt: skip
    async with (await server.storage.open()).writing() as connection:
        for model, row in ((Account, account), (Passkey, passkey), (Device, device)):
            await connection.execute(insert(model).values(row))
    return key


async def back_up(server: Ting, path: Path) -> Path:
    store = await server.storage.backups()
    seal = Seal(server.signer, Kind.BACKUP, {ABOUT_VERSION: store.version})
    await write_archive(Backup(store, server.files, server.folder).parts(), seal, path, lambda _: None)
    return path


async def bring_back(server: Ting, path: Path, *, replace: bool = False) -> int:
    archive = Archive.open(path, server.signer, SETTINGS, accept=ANY_SIGNER)
    try:
        return await restore(archive, await server.storage.backups(), server.files, replace=replace)
    finally:
        archive.close()


async def entries_of(database: Database) -> list[tuple[int, str]]:
    async with database.reading() as connection:
        query = select(EntryRow.seq, EntryRow.client_id).order_by(EntryRow.seq)
        return [(row.seq, row.client_id) for row in (await connection.execute(query)).all()]


async def test_a_backup_under_load_is_one_moment_and_comes_back_equal(
    source: Ting, target: Ting, tmp_path: Path
) -> None:
    key = await fill(source)
    acknowledged: list[int] = []
    stop = False
    under_way = asyncio.Event()

    async def write_on() -> None:
        while not stop:
            number = len(acknowledged)
            said = draft(key, Verb.MESSAGE, {"text": f"no {number}"}, f"w{number}")
            acknowledged.extend(await source.write(key, said))
            if number == 20:
                under_way.set()

    writing = asyncio.create_task(write_on())
    await under_way.wait()
    before = acknowledged[-1]
    out = await back_up(source, tmp_path / "backup")
    stop = True
    await writing
    assert await bring_back(target, out) > before
    back = await entries_of(await target.storage.open())
    assert [seq for seq, _ in back] == list(range(1, len(back) + 1))
    assert before <= len(back) <= acknowledged[-1]
    assert back == (await entries_of(await source.storage.open()))[: len(back)]
    again = await back_up(target, tmp_path / "again")
    # Databases sort texts differently, so the order of rows may be another one.
    assert [(n, sorted(t.splitlines())) for n, t in files_of(out) if n[:1] in "tf"] == [
        (n, sorted(t.splitlines())) for n, t in files_of(again) if n[:1] in "tf"
    ]
    assert not (out / "tables/account_devices.jsonl").exists()


async def test_a_restored_server_goes_on(source: Ting, target: Ting, tmp_path: Path) -> None:
    """New rows get numbers behind those that came."""
    await fill(source)
    await bring_back(target, await back_up(source, tmp_path / "backup.tar"))
    room = await (await target.storage.rooms()).find_room("hall")
    assert room is not None
    assert await target.write(room.room_key, draft(room.room_key, Verb.MESSAGE, {"text": "on"}, "on")) == [15]
    other = await target.make_room("other")
    assert other > room.room_key
    await target.fill(other)


async def test_what_is_there_is_given_up_only_when_told(here: Ting, target: Ting, tmp_path: Path) -> None:
    await fill(here)
    out = await back_up(here, tmp_path / "backup.tar")
    key = await target.make_room("mine")
    await target.add_file(key, b"mine")
    with pytest.raises(ArchiveError, match="already"):
        await bring_back(target, out)
    assert await (await target.storage.archives()).room_names() == ["mine"]
    await bring_back(target, out, replace=True)
    assert await (await target.storage.archives()).room_names() == ["hall"]
    kept = {name.rpartition("/")[2] for name, _ in files_of(target.folder / "files")}
    assert kept == {name.rpartition("/")[2] for name, _ in files_of(here.folder / "files")}


async def test_a_backup_of_an_older_version_is_brought_up_to_date(here: Ting, target: Ting, tmp_path: Path) -> None:
    """As 0003 made it: rooms and their log, and nothing of accounts and files."""
    await fill(here)
    out = await back_up(here, tmp_path / "backup")
    older_one = Database(sqlite_url(tmp_path / "older.db"))
    await older_one.open()
    async with older_one.writing() as connection:
        await connection.run_sync(make_again, "0003")
        tables = await connection.run_sync(_columns)
    await older_one.close()
    for path in (out / "tables").iterdir():
        _keep_columns(path, tables.get(path.stem, set()))
    older = await repack(out, here, tmp_path / "older.tar", "0003")
    await bring_back(target, older)
    assert len(await entries_of(await target.storage.open())) == 14
    await target.fill(await target.make_room("other"))


def _columns(connection: Connection) -> dict[str, set[str]]:
    metadata = MetaData()
    metadata.reflect(connection)
    return {name: set(one.c.keys()) for name, one in metadata.tables.items()}


def _keep_columns(path: Path, wanted: set[str]) -> None:
    header, *rows = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [place for place, name in enumerate(header["columns"]) if name in wanted]
    if not kept:
        path.unlink()
        return
    header["columns"] = [header["columns"][place] for place in kept]
    path.write_text("".join(json.dumps(row) + "\n" for row in (header, *([row[p] for p in kept] for row in rows))))


async def repack(folder: Path, server: Ting, path: Path, version: str) -> Path:
    """The files of the folder, signed anew."""
    from signaling.portability.archive import Part

    async def parts():  # type: ignore[no-untyped-def]
        for name, content in files_of(folder):
            if name not in ("manifest.json", "signature.json"):
                yield Part(name, len(content), _once(content))

    async def _once(content: bytes) -> AsyncIterator[bytes]:
        yield content

    await write_archive(parts(), Seal(server.signer, Kind.BACKUP, {ABOUT_VERSION: version}), path, lambda _: None)
    return path


@pytest.mark.parametrize(
    "row",
    [
        "[1]", "{}", "null", '["x","hall","t",1,"{}","",0]', '[1,"hall","t",1e400,"{}","",0]', "[",
        '[1,"ha\\u0000ll","t",1,"{}","",0]', '[1,"\\ud800","t",1,"{}","",0]', f'[{2**70},"hall","t",1,"{{}}","",0]',
        '[1,null,"t",1,"{}","",0]', '[1,["hall"],"t",1,"{}","",0]', '[1,{"base64":"%"},"t",1,"{}","",0]',
    ],
)  # fmt: skip
async def test_rows_that_cannot_be_leave_nothing(here: Ting, target: Ting, tmp_path: Path, row: str) -> None:
    await fill(here)
    out = await back_up(here, tmp_path / "backup")
    rooms = out / "tables/rooms.jsonl"
    rooms.write_text(rooms.read_text().splitlines()[0] + "\n" + row + "\n")
    broken = await repack(out, here, tmp_path / "broken.tar", (await here.storage.backups()).version)
    with pytest.raises((ArchiveError, DatabaseError)):
        await bring_back(target, broken)
    async with (await target.storage.open()).reading() as connection:
        assert (await connection.execute(select(RoomRow.name))).all() == []


async def test_a_backup_of_a_newer_version_is_refused(here: Ting, target: Ting, tmp_path: Path) -> None:
    await fill(here)
    newer = await repack(await back_up(here, tmp_path / "backup"), here, tmp_path / "newer.tar", "9999")
    with pytest.raises(ArchiveError, match="newer version"):
        await bring_back(target, newer)
    await target.make_room()

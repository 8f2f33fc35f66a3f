"""The database, on SQLite and on a real PostgreSQL: migrations, transactions, and every way to fail."""

from __future__ import annotations

import asyncio
import secrets
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from signaling.db.database import Database
from signaling.db.models import Base
from signaling.db.repository import NewDelivery, Repository, RevocationRow
from signaling.db.url import parse_url, sqlite_url
from signaling.errors import DatabaseError
from tests.harness.postgres import Postgres, find_binaries, running_postgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    with running_postgres(binaries) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "folder" / "ting.db")
    server: Postgres = request.getfixturevalue("postgres")
    name = f"db_{secrets.token_hex(4)}"
    server.run(f"CREATE DATABASE {name}")
    return server.url(name)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    await database.open()
    yield database
    await database.close()


async def test_the_migrations_make_what_the_models_say(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return compare_metadata(MigrationContext.configure(connection), Base.metadata)

    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_nodes_that_start_together_migrate_once(url: str) -> None:
    databases = [Database(url) for _ in range(3)]
    await asyncio.gather(*(database.open() for database in databases))
    for database in databases:
        async with database.reading() as connection:
            versions = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all()
        assert versions == ["0001"]
        await database.close()


async def test_a_database_of_a_newer_version_is_refused(url: str) -> None:
    database = Database(url)
    await database.open()
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    with pytest.raises(DatabaseError, match="another version"):
        await database.open()


async def test_a_failed_block_leaves_nothing_behind(database: Database) -> None:
    repository = Repository(database)
    insert = text("INSERT INTO revocations VALUES ('room', 'ada', 1)")

    async def write(*, fail: bool) -> None:
        async with database.writing() as connection:
            await connection.execute(insert)
            if fail:
                raise ValueError("later")
            await connection.execute(insert)

    with pytest.raises(ValueError, match="later"):
        await write(fail=True)
    assert await repository.load_revocations(10) == []
    with pytest.raises(DatabaseError):
        await write(fail=False)
    assert await repository.load_revocations(10) == []


async def test_revocations(database: Database) -> None:
    repository = Repository(database)
    rows = [RevocationRow("room 厅", f"identity {number}", 1000 + number) for number in range(1200)]
    await repository.save_revocations(rows)
    assert await repository.load_revocations(2000) == rows
    assert await repository.load_revocations(2) == rows[-2:]
    await repository.save_revocations([RevocationRow("room 厅", "identity 0", 9000)])
    assert (await repository.load_revocations(1)) == [RevocationRow("room 厅", "identity 0", 9000)]
    await repository.delete_revocations(before_ms=2199)
    assert [row.revoked_at_ms for row in await repository.load_revocations(10)] == [2199, 9000]


async def test_deliveries(database: Database) -> None:
    repository = Repository(database)
    made = [NewDelivery("http://a" if number % 2 else "http://b", "r", bytes([number]), number) for number in range(6)]
    ids = await repository.add_deliveries(made)
    assert ids == sorted(set(ids))
    await repository.save_attempts(ids[1], 3)
    loaded = await repository.load_deliveries("http://a", 2)
    assert [(row.delivery_id, row.event, row.attempts) for row in loaded] == [(ids[1], b"\1", 3), (ids[3], b"\3", 0)]
    await repository.delete_deliveries([ids[1]])
    assert await repository.delete_old_deliveries(before_ms=3) == 2
    assert await repository.count_deliveries() == 3


async def test_writers_take_turns(url: str, database: Database) -> None:
    """Two processes' worth of writers, and nobody fails."""
    other = Database(url)
    await other.open()

    async def write(repository: Repository, number: int) -> None:
        await repository.save_revocations([RevocationRow("room", f"{number}", number)])

    repositories = [Repository(database), Repository(other)]
    await asyncio.gather(*(write(repositories[number % 2], number) for number in range(60)))
    assert len(await repositories[0].load_revocations(100)) == 60
    await other.close()


async def test_sqlite_keeps_what_was_committed(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "ting.db"))
    await database.open()
    async with database.reading() as connection:
        found = [
            (await connection.execute(text(f"PRAGMA {name}"))).scalar() for name in ("journal_mode", "synchronous")
        ]
    assert found == ["wal", 2]
    assert (tmp_path / "ting.db").stat().st_mode & 0o077 == 0
    await database.close()


async def test_a_locked_database_is_an_error_in_time_and_blocks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "ting.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA journal_mode=WAL")
    holder.execute("BEGIN IMMEDIATE")
    database = Database(sqlite_url(path), timeout_s=0.3)
    begin, turns = time.monotonic(), 0
    opening = asyncio.create_task(database.open())
    while not opening.done():
        turns += 1
        await asyncio.sleep(0.005)
    with pytest.raises(DatabaseError, match="locked"):
        await opening
    assert 0.2 < time.monotonic() - begin < 5
    assert turns > 10, "the event loop stood still"
    holder.execute("COMMIT")
    holder.close()
    await database.open()
    await database.close()


async def test_databases_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "garbage.db").write_text("this is no database, but long enough to look at " * 20)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed_port = probe.getsockname()[1]
    for url, words in (
        (sqlite_url(tmp_path / "garbage.db"), "not a database"),
        (sqlite_url(tmp_path / "garbage.db" / "ting.db"), "cannot be opened"),
        (f"postgresql://ada:hunter2@127.0.0.1:{closed_port}/x", "refused"),
    ):
        with pytest.raises(DatabaseError, match=words) as caught:
            await Database(url).open()
        assert len(str(caught.value).splitlines()) == 1
        assert "hunter2" not in str(caught.value)
        assert "127.0.0.1" not in str(caught.value)


async def test_a_server_that_goes_away_and_comes_back(postgres: Postgres) -> None:
    database = Database(postgres.url(), timeout_s=3.0)
    await database.open()
    repository = Repository(database)
    postgres.stop()
    with pytest.raises(DatabaseError):
        await repository.load_revocations(1)
    postgres.start()
    assert await repository.load_revocations(1) == []
    await database.close()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://a/b", "sqlite://", "postgresql://host", "postgresql://h:x/n"])
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match=r"needed|names no database"):
        parse_url(url)

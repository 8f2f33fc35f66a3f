"""The database, on SQLite and on a real PostgreSQL: migrations, transactions, and every way to fail."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from signaling.db import schema
from signaling.db.database import Database
from signaling.db.deliveries import DeliveryRepository, NewDelivery
from signaling.db.models import Base
from signaling.db.repository import Repository
from signaling.db.settings import DatabaseSettings
from signaling.db.sqlite_file import HEAD, look
from signaling.db.storage import Storage
from signaling.db.url import parse_url, sqlite_url
from signaling.errors import DatabaseError
from signaling.revocations import RevocationRow
from tests.harness.postgres import Postgres


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    await database.open()
    yield database
    await database.close()


async def test_the_migrations_make_what_the_models_say(database: Database) -> None:
    """A new database is made from the models; this one is made again from nothing by the migrations."""

    def differences(connection: Connection) -> list[object]:
        return compare_metadata(MigrationContext.configure(connection), Base.metadata)

    async with database.writing() as connection:
        assert await connection.run_sync(differences) == []
        await connection.run_sync(_migrate_to, "base")
        await connection.run_sync(schema.migrate)
        assert await connection.run_sync(differences) == []
    assert ScriptDirectory(str(schema.MIGRATIONS)).get_current_head() == HEAD


async def test_a_database_that_is_up_to_date_is_not_migrated(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(url)
    await database.open()
    await database.close()

    def refuse(_connection: Connection) -> None:
        raise AssertionError("there was nothing to migrate")

    monkeypatch.setattr(schema, "migrate", refuse)
    await database.open()
    await database.close()


async def test_nodes_that_start_together_migrate_once(url: str) -> None:
    databases = [Database(url) for _ in range(3)]
    await asyncio.gather(*(database.open() for database in databases))
    for database in databases:
        async with database.reading() as connection:
            versions = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all()
        assert versions == [HEAD]
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


def new_deliveries(count: int, *rooms: str, url: str = "http://a") -> list[NewDelivery]:
    return [NewDelivery(url, rooms[number % len(rooms)], bytes([number]), number) for number in range(count)]


async def test_deliveries(database: Database) -> None:
    repository = DeliveryRepository(database)
    made = [NewDelivery("http://a" if number % 2 else "http://b", "r", bytes([number]), number) for number in range(6)]
    ids = [number for number in await repository.add(made, "one", 10) if number is not None]
    assert len(ids) == 6
    assert ids == sorted(set(ids))
    await repository.save_attempts("one", ids[1], 3)
    await repository.save_attempts("two", ids[1], 9)
    loaded = await repository.claim("http://a", "two", 10, 20, 2)
    assert [(row.delivery_id, row.event, row.attempts) for row in loaded] == [(ids[1], b"\1", 3), (ids[3], b"\3", 0)]
    await repository.delete("one", [ids[1]])
    assert await repository.count() == 6, "it is not one's any more"
    await repository.delete("two", [ids[1]])
    assert await repository.delete_old(before_ms=3) == 2
    assert await repository.count() == 3


async def test_a_delivery_is_one_owners_until_its_lease_runs_out(database: Database) -> None:
    repository = DeliveryRepository(database)
    ids = await repository.add(new_deliveries(4, "r", "s"), "one", until_ms=100)
    assert await repository.claim("http://a", "two", 99, 199, 10) == []
    assert await repository.renew("one", 150) == set(ids)
    assert await repository.claim("http://a", "two", 149, 249, 10) == []
    assert await repository.claim("http://a", "one", 150, 250, 10) == [], "it has them"
    assert [row.delivery_id for row in await repository.claim("http://a", "two", 150, 250, 10)] == ids
    assert await repository.renew("one", 900) == set()
    assert await repository.claim("http://a", "three", 249, 349, 10) == []
    await repository.release("two")
    assert [row.delivery_id for row in await repository.claim("http://a", "three", 249, 349, 10)] == ids


async def test_a_room_is_never_shared_out(database: Database) -> None:
    repository = DeliveryRepository(database)
    first = await repository.add(new_deliveries(3, "r"), "one", 100)
    behind = [*new_deliveries(1, "r"), *new_deliveries(1, "s"), *new_deliveries(1, "r", url="http://b")]
    waits, *ours = await repository.add(behind, "two", 900)
    assert waits is None
    assert None not in ours, "another room, another URL"
    assert await repository.add(new_deliveries(1, "r"), "one", 100) == [None], "now even one's own wait behind it"
    assert await repository.count(owner="", url="http://a") == 2
    assert await repository.claim("http://a", "two", 99, 199, 10) == []
    taken = await repository.claim("http://a", "two", 100, 200, 2)
    assert [row.delivery_id for row in taken] == first[:2]
    assert await repository.claim("http://a", "three", 100, 200, 10) == [], "two has the beginning of that room"
    rest = await repository.claim("http://a", "two", 100, 200, 10)
    assert [row.delivery_id for row in rest][:1] == first[2:]
    assert len(rest) == 3


async def test_claims_at_the_same_time_take_different_rooms(url: str, database: Database) -> None:
    other = Database(url)
    await other.open()
    repositories = [DeliveryRepository(database), DeliveryRepository(other)]
    ids = await repositories[0].add(new_deliveries(60, *"abcdefghij"), "dead", 1)
    claims = await asyncio.gather(
        *(repositories[number % 2].claim("http://a", f"owner {number}", 1, 100, 7 + number) for number in range(8))
    )
    await other.close()
    rooms = [{row.room for row in rows} for rows in claims]
    assert sum(len(found) for found in rooms) == len(set().union(*rooms)), "no room has two owners"
    taken = [row.delivery_id for rows in claims for row in rows]
    assert taken, "somebody got some"
    assert len(set(taken)) == len(taken)
    assert set(taken) <= set(ids)


async def test_receivers_that_are_gone(database: Database) -> None:
    repository = DeliveryRepository(database)
    for name, at_ms in (("a", 1), ("b", 5), ("a", 9)):
        await repository.save_gone(name, at_ms)
    assert await repository.load_gone(before_ms=5) == {"a", "b"}
    assert await repository.load_gone(before_ms=6) == {"a"}


async def test_what_waited_in_a_database_of_before_leases_is_claimed(url: str) -> None:
    database = Database(url)
    await database.open()
    async with database.writing() as connection:
        await connection.run_sync(_migrate_to, "0001")
        columns = "(url, room, event, created_at_ms, attempts)"
        await connection.execute(text(f"INSERT INTO webhook_deliveries {columns} VALUES ('u', 'r', 'x', 1, 2)"))
    await database.close()
    await database.open()
    [row] = await DeliveryRepository(database).claim("u", "one", 1, 100, 10)
    assert (row.room, row.attempts) == ("r", 2)
    await database.close()


def _migrate_to(connection: Connection, version: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    config.attributes["connection"] = connection
    command.downgrade(config, version)


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


async def test_a_piece_of_work_reads_what_was_written_and_fails_like_the_rest(url: str, database: Database) -> None:
    count = "SELECT count(*) FROM revocations"
    await Repository(database).save_revocations([RevocationRow("lobby", "alice", 1)])
    assert await database.read(lambda connection: connection.execute(text(count)).scalar_one()) == 1
    with pytest.raises(DatabaseError, match="the database failed"):
        await database.read(lambda connection: connection.execute(text("SELECT nonsense")))
    assert await database.read(lambda connection: connection.execute(text(count)).scalar_one()) == 1
    with pytest.raises(DatabaseError, match="not open"):
        await Database(url).read(lambda connection: connection.execute(text(count)))


async def test_readers_do_not_wait_for_the_writer(database: Database) -> None:
    count = "SELECT count(*) FROM revocations"
    async with database.writing() as connection:
        await connection.execute(text("DELETE FROM revocations"))
        assert await database.read(lambda other: other.execute(text(count)).scalar_one()) == 0


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


# --- what a server without calls looks at -----------------------------------------------------------------


async def test_a_file_that_is_new_or_up_to_date_need_not_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "data" / "ting.db"
    assert look(path, 1).can_wait
    assert path.stat().st_mode & 0o777 == 0o600
    database = Database(sqlite_url(path))
    await database.open()
    assert look(path, 1).can_wait
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert not look(path, 1).can_wait
    async with database.writing() as connection:
        await connection.execute(text("DROP TABLE alembic_version"))
    await database.close()
    assert not look(path, 1).can_wait, "it has tables, and who knows which"
    path.write_text("nonsense " * 100)
    assert not look(path, 1).can_wait
    assert not look(path / "below", 1).can_wait


async def test_storage_opens_the_database_when_somebody_needs_it(tmp_path: Path) -> None:
    row = RevocationRow("room", "identity", 1)
    first = Storage(DatabaseSettings(), tmp_path)
    assert not await first.start()
    assert await first.load_revocations(1) == []
    await first.save_revocations([row])
    await first.close()
    second = Storage(DatabaseSettings(), tmp_path)
    assert not await second.start()
    assert await second.load_revocations(1) == [row]
    await second.close()
    taken = Storage(DatabaseSettings(), tmp_path)
    assert taken.database.is_sqlite
    assert await taken.start(), "somebody has it"
    await taken.close()
    named = Storage(DatabaseSettings(database_url=sqlite_url(tmp_path / "other.db")), tmp_path)
    assert await named.start()
    await named.close()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "ting.db").write_text("nonsense " * 100)
    with pytest.raises(DatabaseError, match="not a database"):
        await Storage(DatabaseSettings(), tmp_path / "broken").start()


async def test_transactions_queue_up_for_a_connection_and_none_is_refused(url: str) -> None:
    """More at once than there are connections, for longer than any other wait may take."""
    database = Database(url, timeout_s=1.0)
    await database.open()
    go_on = asyncio.Event()

    async def read(number: int) -> int:
        async with database.reading() as connection:
            await go_on.wait()
            return int((await connection.execute(text(f"SELECT {number}"))).scalar_one())

    reading = [asyncio.create_task(read(number)) for number in range(30)]
    over, waiting = await asyncio.wait(reading, timeout=2.0)
    assert not over
    assert len(waiting) == 30
    go_on.set()
    assert await asyncio.gather(*reading) == list(range(30))
    await database.close()


async def test_work_of_one_piece_queues_up_too(url: str) -> None:
    database = Database(url, timeout_s=1.0)
    await database.open()
    go_on = threading.Event()

    def work(connection: Connection) -> int:
        if database.is_sqlite:  # In a thread of its own; with PostgreSQL this would stop the event loop.
            go_on.wait(10)
        return int(connection.execute(text("SELECT 7")).scalar_one())

    reading = [asyncio.create_task(database.read(work)) for _ in range(30)]
    over, _ = await asyncio.wait(reading, timeout=2.0)
    assert bool(over) is not database.is_sqlite
    go_on.set()
    assert await asyncio.gather(*reading) == [7] * 30
    await database.close()


async def test_a_transaction_queues_up_only_so_long(url: str) -> None:
    database = Database(url, queue_s=0.05)
    await database.open()
    async with contextlib.AsyncExitStack() as all_connections:
        for _ in range(5):
            await all_connections.enter_async_context(database.reading())
        with pytest.raises(DatabaseError, match="queue up"):
            async with database.reading():
                pass
    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
    await database.close()

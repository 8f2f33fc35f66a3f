"""What is removed is gone from the raw files of PostgreSQL: tables, indexes, statistics, write-ahead log."""

from __future__ import annotations

import asyncio
import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from signaling.db.database import Database
from signaling.retention.store import Erasure
from tests.harness.files import PIECE
from tests.harness.postgres import Postgres, find_binaries, running_postgres
from tests.signaling.harness import running
from tests.signaling.rooms import Clock, Person, founder, places_of

TABLES = ["entries", "entry_words"]
DEADLINE_S = 20.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    """As the README asks for it: segments of the write-ahead log are removed, not used again."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    with running_postgres(binaries, wal_recycle="off") as server:
        yield server


def new_database(cluster: Postgres, role: str = "ting") -> str:
    name = f"db_{secrets.token_hex(4)}"
    cluster.run(f"CREATE DATABASE {name} OWNER {role}")
    return name


async def until(condition: Callable[[], object], what: str) -> None:
    """A rewrite takes its time, and reading all files of a server too."""
    deadline = time.monotonic() + DEADLINE_S
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)


async def say_all(person: Person, canary: str) -> list[int]:
    """In every way in which words come into the database, and into the queue of a hook whose receiver is away."""
    await person.good("POST", "hooks", {"url": "http://127.0.0.1:9/"})
    seqs = [(await person.say(f"{canary} {n} " + "x" * 300 * (n % 4)))["seq"] for n in range(20)]
    await person.write("edit", seqs[0], text=f"{canary} edited")
    await person.write("poll", question=f"{canary}?", options=[canary, "no"])
    name = b64encode(f"{canary}.txt".encode()).decode()
    headers = {**PIECE, "Upload-Length": "5", "Upload-Metadata": f"filename {name}"}
    url = f"{person.server.url}/api/v1/rooms/{person.room}/files"
    headers["Authorization"] = f"Bearer {person.token}"
    async with person.server.http.post(url, headers=headers, data=b"bytes") as response:
        assert response.status == 201, await response.text()
        file_id = response.headers["Location"].rsplit("/", 1)[1]
    status, _ = await person.write("file", file_id=file_id, name=f"{canary}.txt")
    assert status == 200
    path = (await person.good("POST", "bots", {"name": "Bot", "scopes": ["post"]}))["post_path"]
    async with person.server.http.post(person.server.url + path, json={"text": f"{canary} from outside"}) as response:
        assert response.status == 200, await response.text()
    return seqs


async def test_the_canary_is_nowhere_in_the_raw_files(cluster: Postgres) -> None:
    """Before, it must be there: the search can find."""
    canary = f"canary{secrets.token_hex(8)}"
    name = new_database(cluster)
    limits = {"entry_burst": 100, "retention_scrub_s": 0.2, "hook_networks": "127.0.0.0/8"}
    async with running(database_url=cluster.url(name), **limits) as server:
        clock = Clock(server)
        ada = await founder(server, policy={"retention_s": 60})
        await say_all(ada, canary)
        # What autovacuum would do some time.
        cluster.run("ANALYZE; CHECKPOINT", name)
        found = places_of(canary, cluster.data)
        assert {place.partition("/")[0] for place in found} == {"base", "pg_wal"}
        clock.advance(61)
        await until(lambda: not places_of(canary, cluster.data), "it is still in a file")
        await ada.say("the room goes on")
        assert not places_of(canary, cluster.data)
        assert (await ada.good("GET", "state"))["erasure"] == Erasure.FILES.value


async def test_what_one_removes_is_gone_from_the_files_too(cluster: Postgres) -> None:
    canary, other = (f"canary{secrets.token_hex(8)}" for _ in range(2))
    async with running(database_url=cluster.url(new_database(cluster)), retention_scrub_s=0.2) as server:
        ada, bob = await founder(server), await founder(server, "Bob")
        seq = (await ada.say(canary))["seq"]
        await bob.say(other)
        assert places_of(other, cluster.data)
        await ada.write("delete", seq)
        await until(lambda: not places_of(canary, cluster.data), "it is still in a file")
        await bob.good("DELETE", "")
        await until(lambda: not places_of(other, cluster.data), "the room is still in a file")


async def test_without_rights_it_goes_from_the_tables_and_the_room_says_so(cluster: Postgres) -> None:
    canary, role = f"canary{secrets.token_hex(8)}", f"plain_{secrets.token_hex(4)}"
    cluster.run(f"CREATE ROLE {role} LOGIN")
    name = new_database(cluster, role)
    async with running(database_url=cluster.url(name, role), retention_scrub_s=0.2) as server:
        ada = await founder(server)
        assert (await ada.good("GET", "state"))["erasure"] == Erasure.TABLES.value
        seq = (await ada.say(canary))["seq"]
        cluster.run("CHECKPOINT", name)
        assert places_of(canary, cluster.data / "base")
        await ada.write("delete", seq)
        await until(lambda: not places_of(canary, cluster.data / "base"), "it is still in a table")
        # The two rights of the README are enough.
        cluster.run(f"GRANT pg_checkpoint TO {role}; GRANT EXECUTE ON FUNCTION pg_switch_wal() TO {role}", name)
        assert (await ada.good("GET", "state"))["erasure"] == Erasure.FILES.value
        await ada.write("delete", (await ada.say("x"))["seq"])
        await until(lambda: not places_of(canary, cluster.data), "it is still in the write-ahead log")


async def test_a_room_says_so_where_the_tables_are_too_large_to_rewrite(cluster: Postgres) -> None:
    url = cluster.url(new_database(cluster))
    async with running(database_url=url, max_rewrite_bytes=1) as server:
        assert (await (await founder(server)).good("GET", "state"))["erasure"] == Erasure.ROWS.value


async def test_a_reader_in_the_way_is_told_of_and_waited_for(cluster: Postgres) -> None:
    database = Database(cluster.url(new_database(cluster)))
    await database.open()
    async with database.writing() as connection:
        await connection.execute(text("INSERT INTO rooms VALUES (1, 'r', 'r', 1, '{}')"))
        await connection.execute(text("INSERT INTO entry_words VALUES (1, 'word', 1)"))
    async with database.snapshot() as reading:
        assert (await reading.execute(text("SELECT count(*) FROM entry_words"))).scalar_one() == 1
        async with database.writing() as connection:
            await connection.execute(text("DELETE FROM entry_words"))
        assert not await database.scrub(TABLES, 10**9, 10.0)
    assert await database.scrub(TABLES, 10**9, 10.0)
    async with database.reading() as connection:
        await connection.execute(text("LOCK TABLE entries IN ACCESS SHARE MODE"))
        assert not await database.scrub(TABLES, 10**9, 10.0), "nobody waits behind a rewrite that waits"
    await database.close()


async def test_what_is_too_much_is_not_rewritten(cluster: Postgres, caplog: pytest.LogCaptureFixture) -> None:
    database = Database(cluster.url(new_database(cluster)))
    await database.open()

    async def place() -> str:
        async with database.reading() as connection:
            return str((await connection.execute(text("SELECT pg_relation_filepath('entries')"))).scalar_one())

    before = await place()
    assert await database.scrub(TABLES, 1, 10.0)
    assert await place() == before
    assert "too many to rewrite" in caplog.text
    assert await database.scrub(TABLES, 10**9, 10.0)
    assert await place() != before
    await database.close()

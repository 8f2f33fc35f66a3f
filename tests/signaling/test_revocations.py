"""A kick that holds: at once, after a restart, and while the database is away."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from signaling import revocations
from signaling.db.database import Database
from signaling.db.repository import Repository
from signaling.db.url import sqlite_url
from signaling.errors import DatabaseError, TokenError
from signaling.metrics import Metrics
from signaling.revocations import Revocations
from tests.signaling.harness import Server, bystander, eventually, running


def refusal(server: Server, token: str) -> str:
    try:
        server.rooms.authorize_join(token)
    except TokenError as error:
        return error.code
    return ""


async def test_a_kick_holds_after_a_restart(tmp_path: Path) -> None:
    async with running(data_dir=tmp_path) as server:
        await server.join("alice")
        token, other_room, other = server.token("alice"), server.token("alice", "attic"), server.token("bob")
        server.rooms.kick("lobby", "alice")
        assert refusal(server, token) == "revoked"
        assert await server.rooms.kicks_stored()
    async with running(data_dir=tmp_path) as server:
        await server.services.warm_up.tokens_ready()
        assert refusal(server, token) == "revoked"
        refused = await server.http.get(f"{server.url}/rtc/validate", params={"access_token": token})
        assert refused.status == 401
        assert [refusal(server, token) for token in (other_room, other)] == ["", ""]


async def test_a_kick_while_the_database_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "RETRY_S", 0.05)
    monkeypatch.setattr(revocations, "STORED_TIMEOUT_S", 0.2)
    async with running(data_dir=tmp_path, database_timeout_s=0.1) as server, bystander(server):
        await server.join("alice")
        token = server.token("alice")
        holder = sqlite3.connect(tmp_path / "ting.db", isolation_level=None, check_same_thread=False)
        # In a thread: while it waits for a writer, that writer needs the loop to go on.
        await asyncio.to_thread(holder.execute, "BEGIN IMMEDIATE")
        server.rooms.kick("lobby", "alice")
        assert refusal(server, token) == "revoked"
        assert not await server.rooms.kicks_stored()
        await eventually(lambda: server.value("ting_database_errors_total", use="revocations") > 0)
        holder.execute("COMMIT")
        holder.close()
        await eventually(lambda: server.services.revocations.is_idle, "the kick stored")
    async with running(data_dir=tmp_path) as server:
        await server.services.warm_up.tokens_ready()
        assert refusal(server, token) == "revoked"


async def test_a_server_without_its_database_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "ting.db").write_text("no database " * 100)
    with pytest.raises(DatabaseError, match="not a database"):
        async with running(data_dir=tmp_path):
            pass


async def test_only_as_many_and_as_old_as_are_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    database = Database(sqlite_url(tmp_path / "ting.db"))
    await database.open()

    async def loaded() -> Revocations:
        made = Revocations(Repository(database), Metrics(), limit=3, keep_s=100.0, clock=lambda: now)
        await made.start()
        return made

    first = await loaded()
    for number in range(5):
        first.add("room", f"{number}")
        now += 1
    assert [first.revoked_at("room", f"{number}") for number in range(5)] == [
        None,
        None,
        *(1_000_002.0 + n for n in range(3)),
    ]
    await first.close()
    now += 97
    second = await loaded()
    assert [second.revoked_at("room", f"{number}") is None for number in range(5)] == [True, True, False, False, False]
    await second.close()
    now += 2
    third = await loaded()
    assert [third.revoked_at("room", f"{number}") is None for number in range(5)] == [True, True, True, True, False]
    await third.close()
    await database.close()

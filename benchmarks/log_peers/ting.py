"""Ting of this tree: `ting serve` with its limits out of the way."""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
import sys
import time
from typing import Any

import aiohttp

from benchmarks.log_peers.links import text_of
from benchmarks.log_peers.server import ON_POSTGRES, ROOT, Crowd, LogServer, Shape, fetch_whole, free_port
from signaling.log.words import words_of
from signaling.version import VERSION

_LIMITS = {
    "TING_ENTRIES_PER_SECOND": "100000", "TING_ENTRY_BURST": "100000", "TING_API_REQUESTS_PER_MINUTE": "1e9",
    "TING_GUEST_TOKENS_PER_MINUTE": "1e9", "TING_ROOMS_PER_HOUR": "1e9", "TING_SYNC_MESSAGES_PER_SECOND": "100000",
    "TING_SYNC_MESSAGE_BURST": "100000", "TING_MAX_PENDING_CONNECTIONS_PER_IP": "2000",
    "TING_MAX_SYNC_CONNECTIONS_PER_PERSON": "100", "TING_MAX_SYNC_QUEUE": "100000",
}  # fmt: skip


class TingServer(LogServer):
    name = "ting"
    protocol = "ting"
    durability = (
        "SQLite in WAL mode with synchronous = FULL; one transaction for what all rooms want to write at a moment"
    )

    @classmethod
    async def version(cls) -> str:
        return f"Ting {VERSION}"

    async def start(self) -> None:
        udp = free_port()
        main = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from signaling.cli import main; sys.exit(main())"
        command = [
            sys.executable, "-c", main, "serve", "--dev", "--port", str(self.port), "--rtc-udp-port", str(udp),
            "--rtc-tcp-port", "0", "--rtc-addresses", "127.0.0.1", "--log-level", "warning",
        ]  # fmt: skip
        await self.run(command, {**_LIMITS, "TING_DATA_DIR": str(self.folder / "data"), **self._database()})

    def _database(self) -> dict[str, str]:
        return {}

    async def gather(self, shape: Shape) -> Crowd:
        people: list[dict[str, Any]] = [{"reads": n not in shape.silent, "rooms": {}} for n in range(shape.people)]
        keys = [secrets.token_urlsafe(32) for _ in people]
        names = []
        async with aiohttp.ClientSession(f"http://127.0.0.1:{self.port}") as session:
            for members in shape.rooms:
                name = (await _post(session, "/api/v1/rooms", {"key": keys[members[0]]}))["name"]
                names.append(name)
                for person in members:
                    body = {"name": f"p{person}", "key": keys[person]}
                    answer = await _post(session, f"/api/v1/rooms/{name}/tokens", body)
                    people[person]["rooms"][name] = answer["token"]
        return Crowd(people, [[person, names[room]] for person, room in shape.writers])

    async def fill(self, crowd: Crowd, entries: int) -> None:
        room = next(iter(crowd.people[0]["rooms"]))
        await asyncio.to_thread(self._insert, room, entries)

    def _insert(self, room: str, entries: int) -> None:
        database = sqlite3.connect(self.folder / "data" / "ting.db", timeout=30)
        with database:
            key, last = database.execute("SELECT room_key, last_seq FROM rooms WHERE name = ?", (room,)).fetchone()
            rows, words = _rows(key, last, entries)
            marks = ", ".join("?" * len(_COLUMNS))
            database.executemany(f"INSERT INTO entries ({', '.join(_COLUMNS)}) VALUES ({marks})", rows)
            database.executemany("INSERT INTO entry_words (room_key, seq, word) VALUES (?, ?, ?)", words)
            database.execute("UPDATE rooms SET last_seq = ? WHERE room_key = ?", (last + entries, key))
        database.close()

    async def first_page_s(self, crowd: Crowd, room: str) -> float:
        token = crowd.people[0]["rooms"][room]
        took_s, answer = await fetch_whole(self.port, f"/api/v1/rooms/{room}/entries?limit=50", token)
        if b'"verb":"message"' not in answer:
            raise RuntimeError(f"not a page: {answer[:500]!r}")
        return took_s


class TingPostgresServer(TingServer):
    name = "ting-postgresql"
    on_postgres = True
    durability = ON_POSTGRES

    def _database(self) -> dict[str, str]:
        assert self.postgres is not None
        return {"TING_DATABASE_URL": self.postgres.url}

    def _insert(self, room: str, entries: int) -> None:
        """The statements of SQLite's, as text for psql."""
        assert self.postgres is not None
        name = room.replace("'", "''")
        key, last = (
            f"(SELECT room_key FROM rooms WHERE name = '{name}')",
            f"(SELECT last_seq FROM rooms WHERE name = '{name}')",
        )
        body = json.dumps({"text": text_of(0)}).replace("'", "''").replace("~0~", "~' || n || '~")
        words = ", ".join(f"('{word}')" for word in words_of(text_of(0), 200) if word != "0")
        self.postgres.run(
            f"INSERT INTO entries ({', '.join(_COLUMNS)}) SELECT {key}, {last} + n, 'message', 'filler', 'filler', "
            f"'f' || n, {round(time.time() * 1000)}, '{body}', '' FROM generate_series(1, {entries}) AS n;\n"
            f"INSERT INTO entry_words (room_key, seq, word) SELECT {key}, {last} + n, w.word "
            f"FROM generate_series(1, {entries}) AS n, (VALUES {words}) AS w (word);\n"
            f"UPDATE rooms SET last_seq = last_seq + {entries} WHERE name = '{name}';\n"
        )


_COLUMNS = ("room_key", "seq", "verb", "sender", "name", "client_id", "at_ms", "body", "recipient")


def _rows(key: int, last: int, entries: int) -> tuple[list[tuple[Any, ...]], list[tuple[int, int, str]]]:
    now_ms = round(time.time() * 1000)
    rows: list[tuple[Any, ...]] = []
    words: list[tuple[int, int, str]] = []
    for seq in range(last + 1, last + entries + 1):
        text = text_of(seq)
        rows.append((key, seq, "message", "filler", "filler", f"f{seq}", now_ms, json.dumps({"text": text}), ""))
        words += [(key, seq, word) for word in words_of(text, 200)]
    return rows, words


async def _post(session: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with session.post(path, json=body) as answer:
        if answer.status != 200 and answer.status != 201:
            raise RuntimeError(f"{path}: {answer.status} {await answer.text()}")
        found: dict[str, Any] = await answer.json()
        return found

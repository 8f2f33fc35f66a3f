"""Prosody of Debian's: rooms (XEP-0045) with their archive (XEP-0313) in SQLite."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections import Counter
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.log_peers.links import XmppLink, text_of
from benchmarks.log_peers.server import Crowd, LogServer, MissingPeerError, Shape, call

_CONFIG = """
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
log = {{ warn = "*console" }}
daemonize = false
modules_enabled = {{ "disco", "roster", "saslauth", "smacks", "ping" }}
modules_disabled = {{ "s2s", "posix" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "insecure"
insecure_open_authentication = "Yes please, I know what I'm doing!"
default_storage = "sql"
sql = {{ driver = "SQLite3", database = "prosody.sqlite" }}
storage_archive_item_limit = 10000000
VirtualHost "localhost"
Component "conference.localhost" "muc"
    modules_enabled = {{ "muc_mam" }}
    muc_room_locking = false
    muc_room_default_persistent = true
    muc_room_default_history_length = 0
    muc_room_cache_size = 1000
    muc_log_by_default = true
    muc_log_expires_after = "never"
    muc_tombstones = false
"""


class ProsodyServer(LogServer):
    """No rate limits (`mod_limits` is not loaded), nobody is asked for a password."""

    name = "prosody"
    protocol = "xmpp"
    durability = (
        "SQLite with synchronous = FULL, SQLite's default, which Prosody 0.12 leaves alone; its database was put into "
        "WAL mode beforehand, for which it has no setting (without, each message costs a rollback journal); one "
        "transaction a message, committed before the room hears of it"
    )

    @classmethod
    async def version(cls) -> str:
        if shutil.which("prosody") is None:
            raise MissingPeerError("Prosody is not installed (apt-get install prosody lua-dbi-sqlite3 lua-event).")
        about = (await call("prosodyctl", "about")).decode()
        return about.splitlines()[0]

    async def start(self) -> None:
        (self.folder / "data").mkdir(exist_ok=True)
        database = self._connect()
        database.execute("PRAGMA journal_mode=WAL")
        database.close()
        path = self.folder / "prosody.cfg.lua"
        path.write_text(_CONFIG.format(folder=self.folder, port=self.port))
        await self.run(["prosody", "-F", "--config", str(path)])

    async def gather(self, shape: Shape) -> Crowd:
        """Rooms are made by whoever enters first."""
        people: list[dict[str, Any]] = [
            {
                "reads": person not in shape.silent,
                "rooms": {f"room{shape.people}x{n}": "" for n in shape.rooms_of(person)},
            }
            for person in range(shape.people)
        ]
        return Crowd(people, [[person, f"room{shape.people}x{room}"] for person, room in shape.writers])

    async def fill(self, crowd: Crowd, entries: int) -> None:
        room = next(iter(crowd.people[0]["rooms"]))
        now = int(time.time())
        rows = []
        for number in range(entries):
            stanza = (
                f"<message id='c{number}' type='groupchat' from='{room}@conference.localhost/p0' xml:lang='en'>"
                f"<body>{escape(text_of(number))}</body></message>"
            )
            rows.append(
                ("conference.localhost", room, "muc_log", f"f{number}", now, "message<groupchat", "xml", stanza)
            )
        with self._connect() as database:
            columns = '"host", "user", "store", "key", "when", "with", "type", "value"'
            database.executemany(f"INSERT INTO prosodyarchive ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        database.close()

    async def first_page_s(self, crowd: Crowd, room: str) -> float:
        """Logging in is part of it, and entering the room: Prosody has no archive for who did not wake the room."""
        hub = _Page()
        link = XmppLink(hub, 0, {"rooms": {room: ""}}, self.port, reads=True)
        start = time.perf_counter()
        await link.open()
        await link.first_page(room)
        took_s = time.perf_counter() - start
        link.close()
        return took_s

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.folder / "data" / "prosody.sqlite", timeout=30)


class _Page:
    def __init__(self) -> None:
        self.complaints: Counter[str] = Counter()

    def saw(self, person: int, numbers: list[int]) -> None: ...

    def acknowledged(self, number: int) -> None: ...

    def failed(self, why: str) -> None:
        self.complaints[why] += 1

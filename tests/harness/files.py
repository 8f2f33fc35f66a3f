"""Files on a real port with a real database, without the rest of Ting: who asks is what the bearer token says."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from sqlalchemy import text

from sfu.ids import Identity, RoomName
from signaling.addresses import ClientAddresses
from signaling.api.files import FilesEndpoint
from signaling.api.typed import Access, Api, Route
from signaling.db.database import Database
from signaling.db.files import FileRepository
from signaling.db.url import sqlite_url
from signaling.errors import ApiError
from signaling.files.files import Files, create_store
from signaling.files.links import Links
from signaling.files.settings import FileSettings
from signaling.files.store import FileStore
from signaling.gate import Gate, GateSettings
from signaling.limits import AddressLimiter
from signaling.metrics import Metrics
from signaling.middleware import answering_errors
from signaling.requests import bearer_token
from signaling.rooms.roles import Actor, Role

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}
SECRET = "a-secret-for-tests-of-more-than-32-bytes"


class Doors:
    """Everybody who is named `NAME:ROLE` in the token is in every room; `gone` are not any more."""

    def __init__(self, database: Database) -> None:
        self.gone: set[str] = set()
        self.rooms: dict[str, int] = {}
        self._database = database

    async def authorize(self, request: web.Request, route: Route) -> Any:
        if route.access is Access.ANYONE:
            return None
        name, _, role = (bearer_token(request) or "").partition(":")
        if not name or name in self.gone:
            raise ApiError("unauthorized", "Who are you?")
        room = RoomName(request.match_info["room"])
        if room not in self.rooms:
            self.rooms[room] = len(self.rooms) + 1
            await self._make_room(room)
        return Actor(self.rooms[room], room, Identity(name), name, Role(role or "guest"), device_id=f"device of {name}")

    async def is_alive(self, room: RoomName, member_id: str, device_id: str, since_s: float) -> bool:
        return member_id not in self.gone

    async def _make_room(self, room: RoomName) -> None:
        """Without one the sweeper takes its files for a deleted room's."""
        insert = text("INSERT INTO rooms (name, title, created_at_ms, policy) VALUES (:name, '', 0, '{}')")
        async with self._database.writing() as connection:
            await connection.execute(insert, {"name": room})


class FilesServer:
    def __init__(self, folder: Path, settings: FileSettings, url: str = "", store: FileStore | None = None) -> None:
        self.folder = folder
        self.settings = settings
        self.metrics = Metrics()
        self.database = Database(url or sqlite_url(folder / "ting.db"))
        self.doors = Doors(self.database)
        self.rows = FileRepository(self.database)
        local = folder / "files"
        self.store = store or create_store(settings, local)
        self.files = Files(settings, self.store, self._open_rows, self.metrics, local)
        self.links = Links(SECRET.encode(), settings.file_link_ttl_s)
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        await self.database.open()
        await self.files.start()
        endpoint = FilesEndpoint(
            self.settings,
            self.files,
            self.links,
            self.doors.is_alive,
            ClientAddresses(()),
            AddressLimiter(self.settings.file_creations_per_minute, 100),
        )
        app = web.Application(
            middlewares=[answering_errors(Gate(GateSettings(), self.metrics), self.metrics)], client_max_size=1000
        )
        Api(self.doors, 10.0).add(app.router, endpoint)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        await self.files.close()
        await self.database.close()

    async def _open_rows(self) -> FileRepository:
        return self.rows

    def room_url(self, room: str = "lobby") -> str:
        return f"{self.url}/api/v1/rooms/{room}/files"

    def stored(self) -> list[Path]:
        """Every file in the folder of the store."""
        return sorted(path for path in (self.folder / "files").rglob("*") if path.is_file())

    def removed(self, why: str) -> float:
        """How many, for this reason."""
        return self.metrics.registry.get_sample_value("ting_files_total", {"result": why}) or 0.0

    async def count(self) -> int:
        """Rows in the database."""
        return sum([len(await self.rows.list_room_files(key)) for key in self.doors.rooms.values()])


class Person:
    """Somebody with an HTTP client."""

    def __init__(self, server: FilesServer, http: aiohttp.ClientSession, name: str, room: str = "lobby") -> None:
        self.server = server
        self.http = http
        self.room = room
        self.headers = {"Authorization": f"Bearer {name}"}

    async def ask(self, method: str, url: str = "", **options: Any) -> tuple[int, Any, bytes]:
        """Status, headers and body. `url`: a path, or an id of a file, or nothing for all files of the room."""
        base = self.server.room_url(self.room)
        full = self.server.url + url if url.startswith("/") else f"{base}/{url}" if url else base
        headers = {**self.headers, **options.pop("headers", {})}
        async with self.http.request(method, full, headers=headers, **options) as response:
            return response.status, response.headers, await response.read()

    async def create(self, size_bytes: int, name: str = "notes.txt", **headers: str) -> str:
        """The id."""
        given = {**TUS, "Upload-Length": str(size_bytes), "Upload-Metadata": metadata(name=name), **headers}
        status, answer, body = await self.ask("POST", headers=given)
        assert status == 201, (status, body)
        return str(answer["Location"]).rpartition("/")[2]

    async def add(self, file_id: str, offset: int, data: Any, **headers: str) -> tuple[int, Any, bytes]:
        return await self.ask("PATCH", file_id, data=data, headers={**PIECE, "Upload-Offset": str(offset), **headers})

    async def send(self, data: bytes, name: str = "notes.txt") -> str:
        """The id of a complete file."""
        file_id = await self.create(len(data), name)
        status, _, body = await self.add(file_id, 0, data)
        assert status == 204, (status, body)
        return file_id

    async def offset(self, file_id: str) -> int:
        status, headers, _ = await self.ask("HEAD", file_id, headers=TUS)
        assert status == 200, status
        return int(headers["Upload-Offset"])


@asynccontextmanager
async def serving(
    folder: Path, url: str = "", store: FileStore | None = None, **changes: Any
) -> AsyncIterator[FilesServer]:
    server = FilesServer(folder, FileSettings(**{"min_free_bytes": 0, **changes}), url, store)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def people(server: FilesServer, *names: str) -> AsyncIterator[list[Person]]:
    async with aiohttp.ClientSession() as http:
        yield [Person(server, http, name) for name in names]


def metadata(**values: str) -> str:
    return ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in values.items())


def checksum(data: bytes, algorithm: str = "sha1") -> str:
    return f"{algorithm} {b64encode(hashlib.new(algorithm, data).digest()).decode()}"


def error_code(body: bytes) -> str:

    return str(json.loads(body)["error"]["code"])

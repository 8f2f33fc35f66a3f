"""People with keys at the door of rooms that last, over real HTTP."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.signaling.harness import DEADLINE_S, Server


@dataclass
class Person:
    """A browser: its key for one room, and the token that it got last."""

    server: Server
    name: str
    room: str = ""
    key: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    token: str = ""
    identity: str = ""
    forwarded_for: str = ""
    """What the proxies before the server say of the address."""

    @property
    def member_id(self) -> str:
        return self.identity.partition("~")[0]

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        """`path` is below the room; an absolute one is taken as it is."""
        url = path if path.startswith("/") else f"/api/v1/rooms/{self.room}/{path}".rstrip("/")
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if self.forwarded_for:
            headers["X-Forwarded-For"] = self.forwarded_for
        kind = {} if body is None else {"json": body}
        async with self.server.http.request(
            method, self.server.url + url, headers=headers, **kind, **options
        ) as response:
            text = await response.text()
            return response.status, await response.json() if text else None

    async def good(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        status, answer = await self.call(method, path, body, **options)
        assert status in (200, 201, 204), answer
        return answer

    async def refused(self, method: str, path: str, body: Any = None, **options: Any) -> str:
        status, answer = await self.call(method, path, body, **options)
        assert status >= 400, answer
        return str(answer["error"]["code"])

    async def make_room(self, **fields: Any) -> dict[str, Any]:
        token, self.token = self.token, ""
        room: dict[str, Any] = await self.good("POST", "/api/v1/rooms", {"key": self.key, **fields})
        self.room, self.token = room["name"], token
        await self.enter()
        return room

    async def enter(self, room: str = "", **fields: Any) -> dict[str, Any]:
        self.room = room or self.room
        answer: dict[str, Any] = await self.good("POST", "tokens", {"name": self.name, "key": self.key, **fields})
        self.token, self.identity = answer["token"], answer["identity"]
        return answer

    async def turned_away(self, room: str = "", **fields: Any) -> str:
        self.room = room or self.room
        return await self.refused("POST", "tokens", {"name": self.name, "key": self.key, **fields})

    async def say(self, text: str, **fields: Any) -> dict[str, Any]:
        body = {"verb": "message", "client_id": secrets.token_hex(8), "body": {"text": text}, **fields}
        entry: dict[str, Any] = await self.good("POST", "entries", body)
        return entry

    async def write(self, verb: str, target: int | None = None, **body: Any) -> tuple[int, Any]:
        draft: dict[str, Any] = {"verb": verb, "client_id": secrets.token_hex(8), "body": body}
        if target is not None:
            draft["target"] = target
        return await self.call("POST", "entries", draft)

    async def entries(self, **query: Any) -> list[dict[str, Any]]:
        page = await self.good("GET", "entries", params=query)
        found: list[dict[str, Any]] = page["entries"]
        return found

    async def acts(self) -> list[tuple[str, str]]:
        return [(e["name"], e["body"]["act"]) for e in await self.entries() if e["verb"] == "moderation"]

    async def sync(self, since: int | None = None, device: str = "", join: dict[str, str] | None = None) -> Sync:
        ws = await self.server.http.ws_connect(self.server.url + "/api/v1/sync")
        sync = Sync(ws, self.room)
        fields: dict[str, Any] = {"device": device} if device else {}
        if since is not None:
            fields["since"] = since
        if join is not None:
            fields["join"] = join
        await sync.send("open", token=self.token, **fields)
        return sync


class Sync:
    def __init__(self, ws: aiohttp.ClientWebSocketResponse, room: str) -> None:
        self.ws = ws
        self.room = room

    async def send(self, kind: str, **fields: Any) -> None:
        await self.ws.send_json({"type": kind, "room": self.room, **fields})

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = await self.ws.receive_json(timeout=DEADLINE_S)
        return message

    async def settle(self) -> list[str]:
        """What kinds of messages come until the server has answered a ping."""
        await self.ws.send_json({"type": "ping"})
        kinds = [(await self.receive())["type"]]
        while kinds[-1] != "pong":
            kinds.append((await self.receive())["type"])
        return kinds

    async def wait_for(self, kind: str) -> dict[str, Any]:
        while (message := await self.receive())["type"] != kind:
            pass
        return message


async def founder(server: Server, name: str = "Ada", **fields: Any) -> Person:
    person = Person(server, name)
    await person.make_room(**fields)
    return person


async def visitor(server: Server, room: str, name: str = "Bob", **fields: Any) -> Person:
    person = Person(server, name)
    await person.enter(room, **fields)
    return person


class Clock:
    """The server's, moved by the test."""

    def __init__(self, server: Server) -> None:
        self._parts = server.services.lasting
        self.ahead_s = 0.0
        real = self._parts.log._clock
        for part in (self._parts.log, self._parts.reader, self._parts.sweeper):
            part._clock = lambda: real() + self.ahead_s

    def advance(self, seconds: float) -> None:
        self.ahead_s += seconds
        self._parts.sweeper._sooner.set()


def places_of(canary: str, folder: Path) -> list[str]:
    """The files below in which it is. Those of a database server come and go meanwhile."""
    found = []
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and canary.encode() in path.read_bytes():
                found.append(str(path.relative_to(folder)))
    return found

"""A crowd for a sealed room: members as the page has them, over the network. Few of them compute; the others take part
in everything and only do not decrypt, since each of them would have a processor of its own.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from sealed.content import derive, proof_of, to_bytes, to_text
from sealed.mls import Changes, Device, Group, KeyPackage, Library, new_device, new_key_package

GATHER_S = 0.2
"""As the page has it: who comes and goes within this time is one commit."""
ABSENT_S = 1.5
"""As the page has it: who is away for so long is gone, and not only loading anew."""
LINK = b"the secret of the link, 32 bytes"


@dataclass
class Traffic:
    """What all of the crowd had of the server."""

    bytes: int = 0
    messages: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    """By error code; each was tried again after the time that the server named."""

    def note(self, kind: str, size: int) -> None:
        self.bytes += size
        self.messages += 1
        self.by_kind[kind] = self.by_kind.get(kind, 0) + size


class _Kind(msgspec.Struct):
    type: str


class _Step(msgspec.Struct):
    epoch: int


class Member:
    """One that computes nothing: it is in the group when the welcome has come."""

    def __init__(self, http: aiohttp.ClientSession, room: str, name: str, library: Library, traffic: Traffic) -> None:
        self.http, self.room, self.name, self.traffic = http, room, name, traffic
        self.library = library
        self.key = secrets.token_urlsafe(32)
        self.token = ""
        self.member_id = ""
        self.device_id = to_text(secrets.token_bytes(16))
        self.epoch = -1
        self.in_group = asyncio.Event()
        self.moved = asyncio.Condition()
        self.is_lost = False
        """The server has closed its connection."""
        self.package: KeyPackage | None = None
        self.device: Device | None = None
        self._present = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self._ws: aiohttp.ClientWebSocketResponse | None = None

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        kind = {} if body is None else {"json": body}
        while True:
            async with self.http.request(method, path, headers=headers, **kind) as answer:
                text = await answer.read()
                self.traffic.note(f"{method} {path.rpartition('/')[2].partition('?')[0]}", len(text))
                if answer.status < 300:
                    return msgspec.json.decode(text) if text else None
                code = msgspec.json.decode(text)["error"]["code"]
                self.traffic.refused[code] = self.traffic.refused.get(code, 0) + 1
                if answer.status not in (429, 503) or "Retry-After" not in answer.headers:
                    raise RuntimeError(f"{method} {path}: {answer.status} {code}")
                wait_s = float(answer.headers["Retry-After"])
            await asyncio.sleep(wait_s)

    async def enter(self) -> None:
        """Through the door, to the list of who is there."""
        body = {"name": self.name, "key": self.key, "sealed": True}
        answer = await self.call("POST", f"/api/v1/rooms/{self.room}/tokens", body)
        self.token, self.member_id = answer["token"], answer["identity"]
        self.device = new_device(self.library, self.member_id, self.device_id)
        self.package = new_key_package(self.library, self.device)
        await self.connect()

    async def connect(self) -> None:
        self._ws = await self.http.ws_connect("/api/v1/sync", max_msg_size=0)
        message = {"type": "open", "room": self.room, "token": self.token, "device": self.device_id}
        await self._ws.send_json(message)
        self._reading = asyncio.create_task(self._read(self._ws))
        await self._present.wait()

    async def join(self) -> None:
        """To the end of what the page does when it comes to a room with people in it."""
        await self.enter()
        await self.call("GET", f"/api/v1/rooms/{self.room}/seal/epoch")
        assert self.package is not None
        proof = proof_of(LINK, self.package.message)
        wish = {"device": self.device_id, "key_package": to_text(self.package.message), "proof": to_text(proof)}
        await self.call("POST", f"/api/v1/rooms/{self.room}/seal/joins", wish)
        await self.in_group.wait()
        await self.call("GET", f"/api/v1/rooms/{self.room}/seal/commits?group={self.group}&since={self.epoch}")
        await self.call("GET", f"/api/v1/rooms/{self.room}/seal/history")

    group = ""

    async def leave(self) -> None:
        assert self._ws is not None
        assert self._reading is not None
        await self._ws.close()
        await self._reading

    def vanish(self) -> None:
        """Silent from now on, without a word: its connection hangs."""
        assert self._reading is not None
        self._reading.cancel()

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ws:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            text = message.data.encode()
            kind = msgspec.json.decode(text, type=_Kind).type
            self.traffic.note(kind, len(text))
            await self.hear(kind, text)
        async with self.moved:
            self.is_lost = True
            self.moved.notify_all()

    async def hear(self, kind: str, text: bytes) -> None:
        if kind == "opened":
            self._present.set()
        elif kind == "seal_welcome" and not self.in_group.is_set():
            news = msgspec.json.decode(text)
            self.group = news["group"]
            await self.welcomed(to_bytes(news["welcome"]))
            self.in_group.set()
            await self.reach(news["epoch"])
        elif kind == "seal_commit" and self.in_group.is_set():
            await self.committed(text)
            await self.reach(msgspec.json.decode(text, type=_Step).epoch)

    async def reach(self, epoch: int) -> None:
        async with self.moved:
            self.epoch = epoch
            self.moved.notify_all()

    async def welcomed(self, welcome: bytes) -> None: ...

    async def committed(self, text: bytes) -> None: ...


class Follower(Member):
    """One that computes: `crypto_s` is what it took, each time."""

    mls: Group

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.crypto_s: list[float] = []

    async def welcomed(self, welcome: bytes) -> None:
        assert self.package is not None
        assert self.device is not None
        began = time.perf_counter()
        self.mls, _ = Group.welcome(self.library, self.device, welcome, [self.package.secret])
        self.crypto_s.append(time.perf_counter() - began)

    async def committed(self, text: bytes) -> None:
        began = time.perf_counter()
        self.mls.process(to_bytes(msgspec.json.decode(text)["commit"]))
        self.crypto_s.append(time.perf_counter() - began)


class Committer(Follower):
    """The first of a room. It lets in who waits, and puts out who is gone, each of them once."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._gone: set[str] = set()
        self._due = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self.commits: list[tuple[int, int, float]] = []
        """Added, removed, seconds of computing."""

    async def found(self) -> None:
        await self.enter()
        assert self.device is not None
        self.mls = Group.create(self.library, self.device, secrets.token_bytes(16), derive(LINK, "ting psk"), b"")
        self.group = to_text(self.mls.state().id)
        await self._post({"group": "", "epoch": -1, "new_group": True, "group_id": self.group, "commit": ""}, b"")
        self.in_group.set()
        self._work = asyncio.create_task(self._commit_what_is_due())

    def stop(self) -> None:
        assert self._work is not None
        self._work.cancel()

    async def _post(self, step: dict[str, Any], welcome: bytes, welcomed: tuple[str, ...] = ()) -> None:
        keys = {part: to_text(secrets.token_bytes(60)) for part in ("wrap", "secrets")}
        body = {
            **step, "device": self.device_id, "gate": "g" * 43, "history": keys,
            "group_info": to_text(self.mls.group_info()),
            "welcome": to_text(welcome), "welcomed": list(welcomed),
        }  # fmt: skip
        self.epoch = (await self.call("POST", f"/api/v1/rooms/{self.room}/seal/commits", body))["epoch"]

    async def hear(self, kind: str, text: bytes) -> None:
        if kind == "seal_changed":
            news = msgspec.json.decode(text)
            if news["left"]:
                asyncio.get_running_loop().call_later(ABSENT_S, self._miss, {one["device"] for one in news["left"]})
            if news["waiting"]:
                self._due.set()
        elif kind != "seal_commit":  # The others follow; its own are its own.
            await super().hear(kind, text)

    def _miss(self, devices: set[str]) -> None:
        self._gone |= devices
        self._due.set()

    async def _commit_what_is_due(self) -> None:
        while True:
            await self._due.wait()
            await asyncio.sleep(GATHER_S)
            self._due.clear()
            wishes = (await self.call("GET", f"/api/v1/rooms/{self.room}/seal/joins"))["joins"]
            gone, self._gone = self._gone, set()
            leaves = [one.leaf for one in self.mls.members() if one.device in gone]
            if not (wishes or leaves):
                continue
            packages = [to_bytes(wish["key_package"]) for wish in wishes]
            for wish, package in zip(wishes, packages, strict=True):
                assert hmac.compare_digest(proof_of(LINK, package), to_bytes(wish["proof"]))
            began = time.perf_counter()
            made = await asyncio.to_thread(self.mls.commit, Changes(adds=packages, removes=leaves))
            self.mls.apply()
            self.commits.append((len(packages), len(leaves), time.perf_counter() - began))
            step = {"group": self.group, "epoch": self.epoch, "commit": to_text(made.message)}
            await self._post(step, made.welcome, tuple(wish["device"] for wish in wishes))

"""What is said in a sealed room is nowhere on the server: not in its memory, its database, its files, its log, what it
tells hooks, nor its metrics. The same said in an open room is, so the search would find it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sealed.media import MediaKeys
from tests.harness.caller import Caller
from tests.harness.canaries import found_in, found_in_files, found_in_memory
from tests.harness.files import PIECE, TUS
from tests.harness.server import ServerProcess
from tests.harness.waiting import eventually

_WHAT = ("chat", "edit", "reaction", "poll", "option", "vote", "hand", "file_name", "file", "private", "ask", "speech")


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Room:
    """A client in one room; sealed, it encrypts before it sends."""

    http: aiohttp.ClientSession
    url: str
    sealed: bool
    canaries: dict[str, str]
    name: str = ""
    token: str = ""
    member_id: str = ""
    _key: bytes = field(default_factory=lambda: AESGCM.generate_key(256))
    _group: str = field(default_factory=lambda: b64(secrets.token_bytes(16)))

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        kind = {} if body is None else {"json": body}
        url = f"{self.url}/api/v1/rooms{path}"
        async with self.http.request(method, url, headers=self._headers if self.token else {}, **kind) as answer:
            text = await answer.text()
            assert answer.status < 300, text
            return json.loads(text) if text else None

    async def make(self, hook: str) -> None:
        key = secrets.token_urlsafe(32)
        kind = "sealed" if self.sealed else "open"
        self.name = (await self.call("POST", "", {"key": key, "policy": {"kind": kind}}))["name"]
        admission = await self.call("POST", f"/{self.name}/tokens", {"name": "Ada", "key": key, "sealed": True})
        self.token, self.member_id = admission["token"], admission["identity"]
        await self.call("POST", f"/{self.name}/hooks", {"url": hook})

    def encrypt(self, data: bytes, bound_to: bytes = b"") -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + AESGCM(self._key).encrypt(nonce, data, bound_to)

    def body_of(self, verb: str, body: dict[str, Any], client_id: str, target: int | None, to: str) -> dict[str, Any]:
        if not self.sealed or verb in ("pin", "delete", "close_poll"):
            return body
        bound_to = json.dumps([self._group, 0, verb, self.member_id, target or 0, to]).encode()
        file = {"file_id": body.pop("file_id")} if verb == "file" else {}
        data = json.dumps({"id": client_id, "body": body}).encode().ljust(512)
        return {**file, "sealed": {"group": self._group, "epoch": 0, "data": b64(self.encrypt(data, bound_to))}}

    async def write(self, verb: str, body: dict[str, Any], target: int | None = None, to: str = "") -> int:
        client_id = secrets.token_hex(8)
        draft: dict[str, Any] = {"verb": verb, "client_id": client_id, "to": to}
        draft["body"] = self.body_of(verb, body, client_id, target, to)
        if target is not None:
            draft["target"] = target
        seq: int = (await self.call("POST", f"/{self.name}/entries", draft))["seq"]
        return seq

    async def send_file(self) -> str:
        data, name = self.canaries["file"].encode() * 2000, self.canaries["file_name"]
        metadata = f"filename {base64.b64encode(f'{name}.pdf'.encode()).decode()}"
        if self.sealed:
            data, metadata = self.encrypt(data), f"filename {base64.b64encode(b'sealed').decode()}"
        headers = {**TUS, **PIECE, **self._headers, "Upload-Length": str(len(data)), "Upload-Metadata": metadata}
        headers.pop("Upload-Offset", None)
        url = f"{self.url}/api/v1/rooms/{self.name}/files"
        async with self.http.post(url, data=data, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return answer.headers["Location"].rpartition("/")[2]

    async def say_everything(self) -> None:
        said = self.canaries
        message = await self.write("message", {"text": said["chat"]})
        slip = await self.write("message", {"text": f"slip {said['chat']}"})
        draft = await self.write("message", {"text": f"draft {said['chat']}"})
        await self.write("edit", {"text": said["edit"]}, draft)
        await self.write("react", {"emoji": said["reaction"]}, message)
        await self.write("pin", {}, message)
        poll = await self.write("poll", {"question": said["poll"], "options": [said["option"], "b"]})
        # What a vote or a hand says is one bit; beside it goes what only a sealed body can carry.
        await self.write("vote", {"choices": [0], **self._beside("vote")}, poll)
        await self.write("hand", {"up": True, **self._beside("hand")})
        await self.write("file", {"file_id": await self.send_file(), "name": f"{said['file_name']}.pdf"})
        await self.write("message", {"text": said["private"]}, to="guest-somebody")
        await self.write("delete", {}, slip)

    async def talk(self) -> None:
        """Two in the call: a caption, as what was said goes in text, comes from one to the other."""
        callers = [Caller(self.url, self.name, "") for _ in range(2)]
        keys = [MediaKeys(caller.room) for caller in callers] if self.sealed else []
        try:
            for number, caller in enumerate(callers):
                token = self.token if number == 0 else await self._visit()
                await caller.join(token=token, encryption=keys[number].options if keys else None)
            identities = [caller.room.local_participant.identity for caller in callers]
            for key in keys:
                await key.set_epoch(0, self._media_key, identities)
            said = self.canaries["speech"].encode()
            await callers[0].wait_for("participant_connected")
            await callers[0].room.local_participant.publish_data(said, topic="captions")
            await callers[1].wait_for("data_received", lambda packet: packet.data == said)
        finally:
            for key in keys:
                key.close()
            for caller in callers:
                await caller.leave()

    async def _visit(self) -> str:
        body = {"name": "Bob", "key": secrets.token_urlsafe(32), "sealed": True}
        async with self.http.post(f"{self.url}/api/v1/rooms/{self.name}/tokens", json=body) as answer:
            token: str = (await answer.json())["token"]
            return token

    async def _media_key(self, identity: str) -> bytes:
        return hashlib.sha256(self._key + identity.encode()).digest()

    def _beside(self, what: str) -> dict[str, str]:
        return {"note": self.canaries[what]} if self.sealed else {}

    async def follow(self) -> None:
        """Somebody else reads it all; in a sealed room members hand each other keys."""
        async with self.http.ws_connect(f"{self.url}/api/v1/sync") as ws:
            device = b64(secrets.token_bytes(16))
            await ws.send_json({"type": "open", "room": self.name, "token": self.token, "since": 0, "device": device})
            ask = {"data": b64(self.encrypt(self.canaries["ask"].encode()))}
            await ws.send_json({"type": "seal_ask", "room": self.name, "ask": ask})
            await ws.send_json({"type": "ping"})
            while (await ws.receive_json())["type"] != "pong":
                pass
        if self.sealed:
            keys = {part: b64(self.encrypt(self.canaries["ask"].encode())) for part in ("wrap", "secrets")}
            commit = {
                "device": device, "gate": "g" * 43, "group": "", "epoch": -1, "new_group": True,
                "group_id": self._group, "group_info": keys["wrap"], "commit": keys["secrets"], "history": keys,
            }  # fmt: skip
            await self.call("POST", f"/{self.name}/seal/commits", commit)
            await self.call("PUT", f"/{self.name}/seal/backup", {"blob": keys["wrap"]})


@contextlib.asynccontextmanager
async def listening(told: list[bytes]) -> AsyncIterator[str]:
    """The address of a hook, whose deliveries are gathered."""

    async def take(request: web.Request) -> web.Response:
        told.append(await request.read())
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await runner.cleanup()


@pytest.mark.integration
@pytest.mark.timeout(300)
async def test_nothing_that_is_said_in_a_sealed_room_is_anywhere_on_the_server(tmp_path: Path) -> None:
    # An emoji has up to 32 bytes.
    stem = f"canary{secrets.token_hex(8)}"
    sealed, plain = ({what: f"{stem}{kind}{what}" for what in _WHAT} for kind in "so")
    told: list[bytes] = []
    environment = {
        "TING_DATA_DIR": str(tmp_path), "TING_HOOK_NETWORKS": "127.0.0.0/8", "TING_LOG_LEVEL": "debug",
        "TING_ENTRY_BURST": "100",
    }  # fmt: skip
    server = ServerProcess(environment=environment)
    await server.start()
    try:
        async with aiohttp.ClientSession() as http, listening(told) as hook:
            rooms = (Room(http, server.url, True, sealed), Room(http, server.url, False, plain))
            for room in rooms:
                await room.make(hook)
                await room.say_everything()
                await room.follow()
            async with http.get(f"{server.url}/metrics") as answer:
                metrics = await answer.read()
            both = sealed | {f"open {name}": canary for name, canary in plain.items()}
            assert found_in(metrics, both) == set()
            found = {"memory": await asyncio.to_thread(found_in_memory, server.pid, both)}
            for room in rooms:
                await room.talk()
            found["memory after calls"] = await asyncio.to_thread(found_in_memory, server.pid, both)
            await eventually(lambda: "open file_name" in found_in(b"".join(told), both), "the last delivery", 30)
    finally:
        await server.stop()
    assert found_in("\n".join(server.log).encode(), both) == set()
    found |= found_in_files([tmp_path], both)
    found["hooks"] = found_in(b"".join(told), both)
    assert {place: names & sealed.keys() for place, names in found.items() if names & sealed.keys()} == {}
    # The search finds what the server does have.
    said = {f"open {name}" for name in _WHAT} - {"open vote", "open hand", "open ask", "open speech"}
    # In memory not each of them: what the server has let go of is written over by and by.
    assert found["memory"] & said
    stored = {name for place, names in found.items() if "memory" not in place and place != "hooks" for name in names}
    assert stored >= said, stored
    assert found["hooks"] >= said - {"open file", "open private"}
    with contextlib.closing(sqlite3.connect(tmp_path / "ting.db")) as database:
        assert database.execute("SELECT count(*) FROM sealed_history").fetchone() == (1,), "the sealed room was in use"

"""A program as a member of a sealed room: signaling/SEALED.md, without a page.

    member = SealedMember(http, "https://ting.example/r/NAME#s=SECRET", "Bot")
    await member.come()
    await member.inside()
    await member.write("message", {"text": "hello"})

It is let in by those who are there, and follows their group. It adds and removes nobody, and has no keys of before it
came: that is `sealed.keeper`.
"""

from __future__ import annotations

import asyncio
import secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from sealed.content import (
    SECRET_BYTES,
    Place,
    SealBroken,
    derive,
    open_body,
    open_file,
    proof_of,
    seal_body,
    seal_file,
    to_bytes,
    to_text,
)
from sealed.mls import Committed, Device, Group, KeyPackage, Library, MlsError, new_device, new_key_package

ASK_AGAIN_S = 20.0
"""A wish to be let in is forgotten by the server after a minute."""
_CODE_BYTES = 36
OnEpoch = Callable[["SealedMember"], Awaitable[None]]


class SealedMember:
    """`on_epoch` is awaited after each change of the group: the place to give media their keys."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        link: str,
        name: str,
        on_epoch: OnEpoch | None = None,
        library: Library | None = None,
    ) -> None:
        """`library` can be one for many members of a thread; it takes a second to load. Raises `ValueError` for a link
        without its secret."""
        parts = urlsplit(link)
        self._http = http
        self._room = parts.path.removeprefix("/r/")
        self._base = f"{parts.scheme}://{parts.netloc}/api/v1"
        self._link = to_bytes(parts.fragment.removeprefix("s="))
        if len(self._link) != SECRET_BYTES:
            raise ValueError("the link has no secret")
        self._gate = to_text(derive(self._link, "ting gate"))
        self._name = name
        self._on_epoch = on_epoch
        self._library = library or Library()
        self._chat_keys: dict[tuple[str, int], bytes] = {}
        self._is_inside = asyncio.Event()
        self.entries: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        """What is written while it is there, opened; what does not open is as it came."""
        self.token = ""
        """Opens the call too."""
        self.identity = ""
        self._group: Group | None = None
        self._packages: list[KeyPackage] = []
        self._step = asyncio.Lock()
        """One change of the group after the other."""

    async def come(self) -> None:
        """Through the door, and to the others; `inside` waits until they have let it in. Raises
        `aiohttp.ClientResponseError`."""
        door = await self._call("POST", "tokens", {"name": self._name, "sealed": True})
        self.token, self.identity = door["token"], door["identity"]
        self._device: Device = new_device(self._library, self.identity, to_text(secrets.token_bytes(16)))
        self._ws = await self._http.ws_connect(f"{self._base}/sync")
        await self._send("open", token=self.token, device=self._device.device)
        self._tasks = [asyncio.create_task(self._read())]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._ws.close()

    async def inside(self) -> None:
        """Until it is in the group."""
        await self._is_inside.wait()

    @property
    def is_inside(self) -> bool:
        return self._group is not None

    # --- of the epoch of now; `RuntimeError` while it is not inside ---------------------------------------------

    @property
    def epoch(self) -> int:
        return self._inside.state().epoch

    @property
    def code(self) -> list[str]:
        """Six times five digits: the same for all."""
        secret = self._exported("ting code", _CODE_BYTES)
        return [f"{int.from_bytes(secret[at : at + 5], 'big') % 100_000:05}" for at in range(0, 30, 5)]

    async def media_key(self, identity: str) -> bytes:
        """As `sealed.media.MediaKeys.set_epoch` wants it."""
        return derive(self._exported("ting media"), f"ting media {identity}")

    def identities(self) -> set[str]:
        """Of all members."""
        return {one.identity for one in self._inside.members()}

    async def write(self, verb: str, body: dict[str, Any], *, target: int = 0, to: str = "") -> None:
        """`target` is the `seq` of the entry that it is about, `to` a member: for nobody else."""
        await self._write(verb, body, {}, target, to)

    async def send_file(self, name: str, content: bytes, kind: str = "application/octet-stream", to: str = "") -> None:
        """The server learns neither name nor `kind` (a media type), and of the size only about how much it is. Raises
        `aiohttp.ClientResponseError`."""
        key = secrets.token_bytes(SECRET_BYTES)
        stored = seal_file(content, key)
        headers = {
            **self._headers, "Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream",
            "Upload-Length": str(len(stored)), "Upload-Metadata": f"name {b64encode(b'sealed').decode()}",
        }  # fmt: skip
        url = f"{self._base}/rooms/{self._room}/files"
        async with self._http.post(url, data=stored, headers=headers, raise_for_status=True) as answer:
            file_id = answer.headers["Location"].rpartition("/")[2]
        body = {"file_id": file_id, "name": name, "size": len(content), "type": kind, "key": to_text(key)}
        await self._write("file", body, {"file_id": file_id, "size": len(stored)}, 0, to)

    async def _write(self, verb: str, body: dict[str, Any], known: dict[str, Any], target: int, to: str) -> None:
        """`known` is for the server, too."""
        state, client_id = self._inside.state(), to_text(secrets.token_bytes(16))
        place = Place(to_text(state.id), state.epoch, verb, self.identity, target, to)
        sealed = seal_body(self._exported("ting chat"), place, client_id, body)
        about = {"target": target} if target else {}
        await self._send("write", verb=verb, client_id=client_id, body={**known, "sealed": sealed}, to=to, **about)

    async def entries_before(self) -> list[dict[str, Any]]:
        """The newest page of the room's log, oldest first, opened as far as the keys for it are here."""
        return [self._opened(entry) for entry in (await self._call("GET", "entries"))["entries"]]

    async def fetch(self, body: dict[str, Any]) -> bytes:
        """The file of an entry. Raises `SealBroken`, `aiohttp.ClientResponseError`."""
        url = f"{self._base}/rooms/{self._room}/files/{body['file_id']}"
        async with self._http.get(url, headers=self._headers, raise_for_status=True) as answer:
            return open_file(await answer.read(), to_bytes(body["key"]), body["size"])

    @property
    def _inside(self) -> Group:
        if self._group is None:
            raise RuntimeError("not in the group now")
        return self._group

    def _exported(self, label: str, size: int = SECRET_BYTES) -> bytes:
        return self._inside.exporter(label, b"", size)

    # --- with the server ----------------------------------------------------------------------------------------

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        url = f"{self._base}/rooms/{self._room}/{path}"
        async with self._http.request(method, url, headers=self._headers, json=body, raise_for_status=True) as answer:
            return await answer.json()

    async def _send(self, kind: str, **fields: Any) -> None:
        await self._ws.send_json({"type": kind, "room": self._room, **fields})

    async def _ask(self) -> None:
        """To be let in, again and again while it is outside."""
        while self._group is None:
            package = new_key_package(self._library, self._device)
            # A welcome for the one before may be on its way.
            self._packages = [*self._packages[-1:], package]
            proof = to_text(proof_of(self._link, package.message))
            wish = {"device": self._device.device, "key_package": to_text(package.message), "proof": proof}
            with suppress(aiohttp.ClientError):
                await self._call("POST", "seal/joins", wish)
            await asyncio.sleep(ASK_AGAIN_S)

    async def _read(self) -> None:
        async for message in self._ws:
            async with self._step:
                await self._hear(message.json())

    async def _hear(self, news: dict[str, Any]) -> None:
        if news["type"] == "seal_present":  # The server knows this device from here on.
            self._come_anew()
        elif news["type"] == "seal_welcome":
            await self._take_welcome(to_bytes(news["welcome"]))
        elif news["type"] == "seal_commit":
            await self._take_commit(news["group"], news["epoch"], to_bytes(news["commit"]))
        elif news["type"] == "entry":
            self.entries.put_nowait(self._opened(news))

    async def _take_welcome(self, message: bytes) -> None:
        if self._group is not None:
            return
        try:
            kept = [package.secret for package in self._packages]
            self._group, _ = Group.welcome(self._library, self._device, message, kept)
        except MlsError:
            return  # It was for somebody else.
        self._packages.clear()
        # A welcome brings its sender's; ours is the one of the link.
        self._group.link = derive(self._link, "ting psk")
        await self._enter_epoch()
        await self._catch_up()

    async def _take_commit(self, group: str, epoch: int, message: bytes) -> None:
        if self._group is None:
            return
        state = self._group.state()
        if group != to_text(state.id):
            self._come_anew()
        elif epoch == state.epoch + 1:
            await self._follow(message)
        elif epoch > state.epoch:
            await self._catch_up()

    async def _catch_up(self) -> None:
        state = self._inside.state()
        missed = await self._call("GET", f"seal/commits?group={to_text(state.id)}&since={state.epoch}&limit=200")
        for one in missed["commits"]:
            if self._group is not None:
                await self._follow(to_bytes(one["commit"]))

    async def _follow(self, message: bytes) -> None:
        try:
            event = self._inside.process(message)
        except MlsError:
            self._come_anew()
            return
        if isinstance(event, Committed) and event.is_removed:
            self._come_anew()
        else:
            await self._enter_epoch()

    def _come_anew(self) -> None:
        self._group = None
        self._is_inside.clear()
        reading, *asking = self._tasks
        for task in asking:
            task.cancel()
        self._tasks = [reading, asyncio.create_task(self._ask())]

    async def _enter_epoch(self) -> None:
        state = self._inside.state()
        self._chat_keys[to_text(state.id), state.epoch] = self._exported("ting chat")
        await self._learn()
        self._is_inside.set()
        if self._on_epoch is not None:
            await self._on_epoch(self)

    async def _learn(self) -> None:
        """What it must know before it counts as inside."""

    def _opened(self, entry: dict[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = entry.get("body") or {}
        sealed: dict[str, Any] = body.get("sealed") or {}
        key = self._chat_keys.get((sealed.get("group", ""), sealed.get("epoch", -1)))
        if key is None:
            return entry
        target, to = entry.get("target") or 0, entry.get("to") or ""
        place = Place(sealed["group"], sealed["epoch"], entry["verb"], entry["from"], target, to)
        try:
            opened = open_body(key, place, sealed["data"])
        except SealBroken:
            return entry
        return {**entry, "body": {**{name: one for name, one in body.items() if name != "sealed"}, **opened}}

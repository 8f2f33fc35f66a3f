"""Clients that do as little as a client can: they look for marks in what arrives and decode nothing else, so that the
generator is never what is measured. Every message holds its number between tildes, `~17~`."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
from abc import ABC, abstractmethod
from typing import Any, Protocol
from xml.sax.saxutils import quoteattr

MARK = re.compile(rb"~(\d+)~")
_TING = re.compile(
    rb'~(\d+)~|"written","room":"[^"]*","client_id":"c(\d+)"|"type":"(opened|refused|closed|error|reset)"'
)
_NEXT_BATCH = re.compile(rb'"next_batch":"([^"]+)"')
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_LONGEST_MARK = 400
_WORDS = "the meeting of tomorrow begins at ten, please bring the plan and the numbers with you"
_KEEP_ALIVE_S = 8.0
_LONG_POLL_MS = 30_000
_TRIES_S = 60.0
FILTER = json.dumps({
    "presence": {"types": []}, "account_data": {"types": []},
    "room": {
        "timeline": {"limit": 2000}, "ephemeral": {"types": []}, "account_data": {"types": []},
        "state": {"lazy_load_members": True},
    },
})  # fmt: skip


def text_of(number: int) -> str:
    return f"~{number}~ {_WORDS}"


class Hub(Protocol):
    """Whom a client tells what it saw."""

    def saw(self, person: int, numbers: list[int]) -> None: ...

    def acknowledged(self, number: int) -> None: ...

    def failed(self, why: str) -> None: ...


class Link(ABC):
    """One person's connection. `rooms` has what opens each room: a token, or nothing."""

    def __init__(self, hub: Hub, number: int, plan: dict[str, Any], port: int, *, reads: bool) -> None:
        self.hub = hub
        self.number = number
        self.secret: str = plan.get("secret", "")
        self.rooms: dict[str, str] = plan["rooms"]
        self.port = port
        self.reads = reads

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    def write(self, room: str, number: int) -> None:
        """Its acknowledgement is told to the hub."""

    def forget(self) -> None:  # noqa: B027  most have nothing of the kind
        """What has not left this client yet is not sent any more."""

    @abstractmethod
    def close(self) -> None: ...


class _Raw(asyncio.Protocol):
    """Bytes go to `take`, which returns how many of them it is done with; the rest comes again with the next."""

    def __init__(self, take: Any) -> None:
        self._take = take
        self._rest = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        self._rest = data[self._take(data) :]


async def _connect(port: int, take: Any) -> _Raw:
    _, raw = await asyncio.get_running_loop().create_connection(lambda: _Raw(take), "127.0.0.1", port)
    return raw


class TingLink(Link):
    """RFC 6455, section 5.2, with a mask of zeros, which changes nothing."""

    async def open(self) -> None:
        self._ready = asyncio.get_running_loop().create_future()
        self._is_open = False
        self._unopened = len(self.rooms)
        self._raw = await _connect(self.port, self._take)
        key = base64.b64encode(b"0123456789abcdef").decode()
        self._raw.transport.write(
            f"GET /api/v1/sync HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await asyncio.wait_for(self._ready, _TRIES_S)
        self._ready = asyncio.get_running_loop().create_future()
        for room, token in self.rooms.items():
            self._send({"type": "open", "room": room, "token": token, "since": 0})
        await asyncio.wait_for(self._ready, _TRIES_S)
        self._keep_alive()

    def write(self, room: str, number: int) -> None:
        body = {"text": text_of(number)}
        self._send({"type": "write", "room": room, "verb": "message", "body": body, "client_id": f"c{number}"})

    def close(self) -> None:
        self._timer.cancel()
        self._raw.transport.close()

    def _keep_alive(self) -> None:
        self._send({"type": "ping"})
        self._timer = asyncio.get_running_loop().call_later(_KEEP_ALIVE_S, self._keep_alive)

    def _send(self, message: dict[str, Any]) -> None:
        text = json.dumps(message).encode()
        size = bytes([0x80 | len(text)]) if len(text) < 126 else bytes([0xFE]) + len(text).to_bytes(2, "big")
        self._raw.transport.write(b"\x81" + size + bytes(4) + text)

    def _take(self, data: bytes) -> int:
        if not self._is_open:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                return 0
            self._is_open = True
            if not data.startswith(b"HTTP/1.1 101"):
                self.hub.failed(data[:100].decode("latin-1"))
            self._ready.set_result(None)
            return end + 4
        numbers, end = [], 0
        for match in _TING.finditer(data):
            end = match.end()
            mark, written, news = match.groups()
            if mark:
                numbers.append(int(mark))
            elif written:
                self.hub.acknowledged(int(written))
            elif news == b"opened":
                self._unopened -= 1
                if self._unopened == 0:
                    self._ready.set_result(None)
            elif self._unopened == 0:
                self.hub.failed(data[match.start() : end + 120].decode("latin-1"))
        if numbers and self.reads:
            self.hub.saw(self.number, numbers)
        return max(end, len(data) - _LONGEST_MARK)


class XmppLink(Link):
    """RFC 6120 without TLS, and XEP-0045. The reflection of one's own message is its acknowledgement."""

    async def open(self) -> None:
        self._wanted: tuple[bytes, asyncio.Future[None]] | None = None
        self._own: set[int] = set()
        self._raw = await _connect(self.port, self._take)
        name = f"p{self.number}"
        login = base64.b64encode(f"\0{name}\0secret".encode()).decode()
        opening = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
        opening += "to='localhost' version='1.0'>"
        await self._ask(opening, b"</stream:features>")
        sasl = "urn:ietf:params:xml:ns:xmpp-sasl"
        await self._ask(f"<auth xmlns='{sasl}' mechanism='PLAIN'>{login}</auth>", b"<success")
        await self._ask(opening, b"</stream:features>")
        bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>bench</resource></bind>"
        await self._ask(f"<iq type='set' id='bind'>{bind}</iq>", b"</bind>")
        for room in self.rooms:
            muc = "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>"
            to = quoteattr(f"{room}@conference.localhost/{name}")
            await self._ask(f"<presence to={to}>{muc}</presence>", b"<subject")

    def write(self, room: str, number: int) -> None:
        self._own.add(number)
        self._raw.transport.write(
            f"<message to='{room}@conference.localhost' type='groupchat' id='c{number}'><body>{text_of(number)}</body>"
            "</message>".encode()
        )

    def close(self) -> None:
        self._raw.transport.close()

    async def first_page(self, room: str) -> None:
        """The newest 50 of XEP-0313."""
        newest = "<set xmlns='http://jabber.org/protocol/rsm'><max>50</max><before/></set>"
        query = f"<query xmlns='urn:xmpp:mam:2'>{newest}</query>"
        await self._ask(f"<iq type='set' id='page' to='{room}@conference.localhost'>{query}</iq>", b"<fin")

    async def _ask(self, text: str, answer: bytes) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wanted = answer, done
        self._raw.transport.write(text.encode())
        await asyncio.wait_for(done, _TRIES_S)

    def _take(self, data: bytes) -> int:
        if self._wanted is not None:
            answer, done = self._wanted
            end = data.find(answer)
            if end < 0:
                return max(0, len(data) - _LONGEST_MARK)
            self._wanted = None
            done.set_result(None)
            return end + len(answer)
        numbers, end = [], 0
        for match in MARK.finditer(data):
            end = match.end()
            numbers.append(int(match[1]))
        if b"<error" in data:
            self.hub.failed(data[data.find(b"<error") :][:120].decode("latin-1"))
        if numbers:
            for number in self._own.intersection(numbers):
                self._own.discard(number)
                self.hub.acknowledged(number)
            if self.reads:
                self.hub.saw(self.number, numbers)
        return max(end, len(data) - _LONGEST_MARK)


class HttpLink:
    """HTTP/1.1, one request at a time."""

    def __init__(self, port: int, secret: str) -> None:
        self._port = port
        self._secret = secret

    async def open(self) -> None:
        self._raw = await _connect(self._port, self._take)

    async def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        """The whole answer, its head too, put together when it came in chunks."""
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._raw.transport.write(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._secret}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        return await self._answer

    def close(self) -> None:
        self._raw.transport.close()

    def _take(self, data: bytes) -> int:
        head = data.find(b"\r\n\r\n")
        if head < 0:
            return 0
        length = _LENGTH.search(data, 0, head)
        if length is not None:
            whole = data if len(data) >= head + 4 + int(length[1]) else None
        else:
            whole = join_chunks(data, head + 4)
        if whole is None:
            return 0
        self._answer.set_result(whole)
        return len(data)


def join_chunks(data: bytes, start: int) -> bytes | None:
    """RFC 9112, section 7.1, from `start` on, after what comes before; None while some is missing."""
    whole = [data[:start]]
    while (end := data.find(b"\r\n", start)) >= 0:
        size = int(data[start:end], 16)
        if not size:
            return b"".join(whole)
        whole.append(data[end + 2 : end + 2 + size])
        start = end + 2 + size + 2
    return None


class MatrixLink(Link):
    """Long polls of `/sync` on one connection; who writes does so on another."""

    async def open(self) -> None:
        self._writer, self._reader = HttpLink(self.port, self.secret), HttpLink(self.port, self.secret)
        self._queue: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        await self._writer.open()
        self._tasks.append(asyncio.create_task(self._write_on()))
        if self.reads:
            await self._reader.open()
            answer = await self._reader.ask(
                "POST", f"/_matrix/client/v3/user/{_user(self.number)}/filter", FILTER.encode()
            )
            found = re.search(rb'"filter_id":"([^"]+)"', answer)
            assert found is not None, answer[:500]
            self._filter = found[1].decode()
            since = await self._poll("&timeout=0")
            self._tasks.append(asyncio.create_task(self._read_on(since)))

    def write(self, room: str, number: int) -> None:
        self._queue.put_nowait((room, number))

    def forget(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._writer.close()
        if self.reads:
            self._reader.close()

    async def _write_on(self) -> None:
        for count in itertools.count():
            room, number = await self._queue.get()
            body = json.dumps({"msgtype": "m.text", "body": text_of(number)}).encode()
            path = f"/_matrix/client/v3/rooms/{room}/send/m.room.message/{number}-{count}"
            answer = await self._writer.ask("PUT", path, body)
            if answer.startswith(b"HTTP/1.1 200"):
                self.hub.acknowledged(number)
            else:
                self.hub.failed(answer[:400].decode("latin-1"))

    async def _read_on(self, since: str) -> None:
        while True:
            since = await self._poll(f"&timeout={_LONG_POLL_MS}&since={since}")

    async def _poll(self, arguments: str) -> str:
        answer = await self._reader.ask("GET", f"/_matrix/client/v3/sync?filter={self._filter}{arguments}")
        found = _NEXT_BATCH.search(answer)
        if found is None:
            self.hub.failed(answer[:400].decode("latin-1"))
            raise ConnectionError("no next_batch")
        if b'"limited":true' in answer and "since" in arguments:
            self.hub.failed("a /sync left messages out")
        numbers = [int(mark) for mark in MARK.findall(answer)]
        if numbers and "since" in arguments:
            self.hub.saw(self.number, numbers)
        return found[1].decode()


def _user(number: int) -> str:
    return f"@p{number}:localhost"


LINKS: dict[str, type[Link]] = {"ting": TingLink, "xmpp": XmppLink, "matrix": MatrixLink}

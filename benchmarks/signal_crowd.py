"""Many participants as far as signalling goes: a WebSocket each, no media. A process of its own.

    python -m benchmarks.signal_crowd URL…

Reads lines from standard input, the tokens of those who join (one a line, an empty line ends them), then what to do as
JSON: `{"rate": 100, "rests_s": [2, 60]}`. After each of the rests it says in one line of JSON when those who joined had
their answers, and what has come until then; at last it waits, connected, for the end of its input.

A member is a socket and a count: nothing is decoded but a frame's length and the number of the field that it sets,
since what is to be measured is the server. Each pings as SDKs do.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import resource
import statistics
import sys
import time
from collections import Counter
from urllib.parse import urlencode, urlsplit

JOIN, UPDATE = 1, 5
"""Fields of SignalResponse."""
PONGS = {18, 20}
_PING = bytes([16 << 3, 0x01]) + b"\1"
"""SignalRequest with `ping = 1`."""
_PING_INTERVAL_S = 5.0
_JOIN_TIMEOUT_S = 60.0
_QUERY = {"protocol": 16, "sdk": "js", "version": "2.15.0", "auto_subscribe": 0}


class Member(asyncio.Protocol):
    def __init__(self, host: str, path: str) -> None:
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
        self._buffer = bytearray()
        self._upgraded = False
        self._transport: asyncio.Transport | None = None
        self._began_at_s = time.perf_counter()
        self.joined: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        """Seconds from the connection to the answer."""
        self.messages: Counter[int] = Counter()
        self.received_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        self._buffer += data
        if not self._upgraded:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head.partition(b"\r\n")[0]:
                self._fail(ConnectionError(head.partition(b"\r\n")[0].decode()))
                return
            self._upgraded, self._buffer = True, rest
        while self._take_frame():
            pass

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(ConnectionError("closed"))

    def _fail(self, error: Exception) -> None:
        if not self.joined.done():
            self.joined.set_exception(error)

    def _take_frame(self) -> bool:
        """Of the server's, so not masked (RFC 6455)."""
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        size, begin = buffer[1] & 127, 2
        if size >= 126:
            begin = 4 if size == 126 else 10
            if len(buffer) < begin:
                return False
            size = int.from_bytes(buffer[2:begin], "big")
        if len(buffer) < begin + size:
            return False
        kind, payload = buffer[0] & 15, bytes(buffer[begin : begin + min(size, 16)])
        del buffer[: begin + size]
        if kind == 9:
            self._send(10, payload[:size])
        elif kind == 2 and size:
            self._count(payload)
        return True

    def _count(self, payload: bytes) -> None:
        tag = payload[0] if payload[0] < 128 else payload[0] & 127 | payload[1] << 7
        if tag >> 3 == JOIN and not self.joined.done():
            self.joined.set_result(time.perf_counter() - self._began_at_s)
        else:
            self.messages[tag >> 3] += 1

    def ping(self) -> None:
        self._send(2, _PING)

    def _send(self, kind: int, payload: bytes) -> None:
        """Masked with zeros, which any mask may be."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(bytes([128 | kind, 128 | len(payload), 0, 0, 0, 0]) + payload)


async def join_all(urls: list[str], tokens: list[str], rate: float) -> list[Member]:
    """At this many a second, one server after the other."""
    loop, members, begin = asyncio.get_running_loop(), [], time.perf_counter()
    servers = [urlsplit(url) for url in urls]
    connecting: set[asyncio.Task[object]] = set()
    for number, (token, server) in enumerate(zip(tokens, itertools.cycle(servers), strict=False)):
        await asyncio.sleep(max(0.0, begin + number / rate - time.perf_counter()))
        path = f"/rtc?{urlencode({'access_token': token, **_QUERY})}"
        member = Member(server.netloc, path)
        members.append(member)
        task = loop.create_task(
            loop.create_connection(lambda member=member: member, server.hostname, server.port)  # type: ignore[misc]
        )
        connecting.add(task)
        task.add_done_callback(connecting.discard)
    return members


def answers(times: list[float], took_s: float) -> dict[str, float]:
    """Of those who joined, whose sorted times are in seconds."""
    if not times:
        return {"joined": 0, "took_s": took_s, "p50_ms": 0.0, "p95_ms": 0.0, "max_ms": 0.0}
    p95_s = times[int(0.95 * (len(times) - 1))]
    figures = {"p50_ms": 1e3 * statistics.median(times), "p95_ms": 1e3 * p95_s, "max_ms": 1e3 * times[-1]}
    return {"joined": len(times), "took_s": took_s, **figures}


def heard(members: list[Member]) -> dict[str, int]:
    """All messages but pongs, those of them that are news of participants, and bytes."""
    told = Counter[int]()
    for member in members:
        told.update(member.messages)
    messages = sum(number for field, number in told.items() if field not in PONGS)
    received = sum(member.received_bytes for member in members)
    return {"messages": messages, "updates": told[UPDATE], "bytes": received}


async def ping_on(members: list[Member]) -> None:
    """Each once in a while, not all at once."""
    while True:
        for member in list(members):
            member.ping()
            await asyncio.sleep(_PING_INTERVAL_S / len(members))


async def run(urls: list[str]) -> None:
    tokens = list(iter(lambda: sys.stdin.readline().strip(), ""))
    order = json.loads(sys.stdin.readline())
    began_at_s = time.perf_counter()
    members = await join_all(urls, tokens, order["rate"])
    pinging = asyncio.create_task(ping_on(members))
    joined = await asyncio.gather(
        *(asyncio.wait_for(member.joined, _JOIN_TIMEOUT_S) for member in members), return_exceptions=True
    )
    took_s = time.perf_counter() - began_at_s
    times = sorted(one for one in joined if isinstance(one, float))
    failures = sorted({str(one) for one in joined if not isinstance(one, float)})[:5]
    for rest_s in order["rests_s"]:
        await asyncio.sleep(rest_s)
        print(json.dumps({**answers(times, took_s), "failures": failures, **heard(members)}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    pinging.cancel()


def main() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(run(sys.argv[1:]))


if __name__ == "__main__":
    main()

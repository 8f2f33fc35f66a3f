"""A line to a server that takes only so much, in user space: for tests that need no more than that of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

QUEUE_S = 0.3
Address = tuple[str, int]


class NarrowLine(asyncio.DatagramProtocol):
    """Clients reach the server's UDP port through `port`. What they send waits for its turn, or is lost when more than
    `QUEUE_S` of it waits already; what the server sends passes."""

    def __init__(self, server_udp_port: int) -> None:
        self.rate_bps: int | None = None
        """Towards the server; None: no limit."""
        self._server: Address = ("127.0.0.1", server_udp_port)
        self._sockets: dict[Address, asyncio.DatagramTransport] = {}
        self._opening: dict[Address, deque[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: deque[tuple[asyncio.DatagramTransport, bytes]] = deque()
        self._waiting_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> NarrowLine:
        loop = asyncio.get_running_loop()
        self._here, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        return self

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for one in (self._here, *self._sockets.values()):
            one.close()

    def rewrite(self, sdp: str) -> str:
        """A description of the server with this line as its only candidate."""
        port = self._here.get_extra_info("sockname")[1]
        lines: list[str] = []
        for line in sdp.split("\r\n"):
            parts = line.split(" ")
            if not line.startswith("a=candidate:"):
                lines.append(line)
            elif parts[2].lower() == "udp" and parts[4] == "127.0.0.1":
                lines.append(" ".join([*parts[:5], str(port), *parts[6:]]))
        return "\r\n".join(lines)

    def datagram_received(self, data: bytes, address: Address) -> None:
        socket = self._sockets.get(address)
        if socket is not None:
            self._send(socket, data)
            return
        waiting = self._opening.get(address)
        if waiting is None:
            waiting = self._opening[address] = deque()
            task = asyncio.create_task(self._open(address))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting.append(data)

    async def _open(self, client: Address) -> None:
        """A socket that the server takes for this client."""
        back: Callable[[bytes], None] = partial(self._here.sendto, addr=client)
        loop = asyncio.get_running_loop()
        socket, _ = await loop.create_datagram_endpoint(lambda: _Far(back), remote_addr=self._server)
        self._sockets[client] = socket
        for data in self._opening.pop(client):
            self._send(socket, data)

    def _send(self, socket: asyncio.DatagramTransport, data: bytes) -> None:
        rate_bps = self.rate_bps
        if rate_bps is None and not self._waiting:
            socket.sendto(data)
        elif rate_bps is None or 8 * self._waiting_bytes < QUEUE_S * rate_bps:
            self._waiting.append((socket, data))
            self._waiting_bytes += len(data)
            if self._timer is None:
                self._wait(asyncio.get_running_loop().time())

    def _wait(self, since_s: float) -> None:
        took_s = 8 * len(self._waiting[0][1]) / self.rate_bps if self.rate_bps is not None else 0.0
        at_s = since_s + took_s
        self._timer = asyncio.get_running_loop().call_at(at_s, self._pass, at_s)

    def _pass(self, at_s: float) -> None:
        socket, data = self._waiting.popleft()
        self._waiting_bytes -= len(data)
        socket.sendto(data)
        self._timer = None
        if self._waiting:
            self._wait(at_s)


class _Far(asyncio.DatagramProtocol):
    def __init__(self, back: Callable[[bytes], None]) -> None:
        self._back = back

    def datagram_received(self, data: bytes, _address: Address) -> None:
        self._back(data)

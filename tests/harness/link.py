"""A bad network between clients and server: a UDP relay with seeded loss, delay and jitter, and a NAT that may rebind.

Clients are led to it by `SignalProxy(server.url, link.rewrite)`: it puts the relay into the server's candidates.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

Address = tuple[str, int]
MAX_QUEUE_S = 0.3


@dataclass(frozen=True, slots=True)
class Conditions:
    """What happens to each datagram, in both directions alike."""

    loss: float = 0.0
    """Share of datagrams that vanish, 0 to 1."""
    delay_s: float = 0.0
    jitter_s: float = 0.0
    """Added to the delay: evenly spread between 0 and this, so datagrams overtake each other."""
    rate_bps: float = 0.0
    """Bits per second of each direction, 0 for any; what waits longer than `MAX_QUEUE_S` is lost."""


class Link:
    def __init__(self, server: Address, conditions: Conditions, seed: int = 1) -> None:
        self.conditions = conditions
        self.lost = 0
        self._server = server
        self._random = random.Random(seed)
        self._free_at_s = {True: 0.0, False: 0.0}
        """When the line of each direction has sent what waits there; True is towards the clients."""
        self._front: asyncio.DatagramTransport
        self._mappings: dict[Address, asyncio.DatagramTransport] = {}
        self._opening: dict[Address, asyncio.Task[None]] = {}

    async def start(self) -> Link:
        loop = asyncio.get_running_loop()
        self._front, _ = await loop.create_datagram_endpoint(lambda: _Front(self), local_addr=("127.0.0.1", 0))
        return self

    async def stop(self) -> None:
        self._front.close()
        await asyncio.gather(*self._opening.values())
        self.rebind()

    def rebind(self) -> None:
        """Forget all mappings, as a NAT that was restarted: the server sees every client at a new port."""
        for transport in self._mappings.values():
            transport.close()
        self._mappings.clear()

    @property
    def address(self) -> Address:
        """Where clients find it."""
        host, port = self._front.get_extra_info("sockname")
        return host, port

    def rewrite(self, sdp: str) -> str:
        """The description with this relay as its only candidate."""
        host, port = self.address
        lines: list[str] = []
        for line in sdp.split("\r\n"):
            if not line.startswith("a=candidate:"):
                lines.append(line)
                continue
            parts = line.split(" ")
            replaced = " ".join([*parts[:4], host, str(port), *parts[6:]])
            if parts[2].lower() == "udp" and lines[-1].split(" ")[4:6] != [host, str(port)]:
                lines.append(replaced)
        return "\r\n".join(lines)

    def from_client(self, data: bytes, client: Address) -> None:
        mapping = self._mappings.get(client)
        if mapping is None:
            if client not in self._opening:
                self._opening[client] = asyncio.create_task(self._open(client))
            return  # Clients repeat their checks.
        self._pass(mapping, data, self._server)

    def from_server(self, data: bytes, client: Address) -> None:
        self._pass(self._front, data, client)

    async def _open(self, client: Address) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Back(self, client), local_addr=("127.0.0.1", 0))
        self._mappings[client] = transport
        del self._opening[client]

    def _pass(self, transport: asyncio.DatagramTransport, data: bytes, target: Address) -> None:
        if self._random.random() < self.conditions.loss:
            self.lost += 1
            return
        delay_s = self.conditions.delay_s + self._random.random() * self.conditions.jitter_s
        if self.conditions.rate_bps:
            queued_s = self._queue(transport is self._front, 8 * len(data))
            if queued_s is None:
                self.lost += 1
                return
            delay_s += queued_s
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, _send, transport, data, target)
        else:
            _send(transport, data, target)

    def _queue(self, to_client: bool, bits: int) -> float | None:
        """How long a datagram waits for its turn and its own time on the line; None when the queue is full."""
        now_s = asyncio.get_running_loop().time()
        begins_s = max(now_s, self._free_at_s[to_client])
        if begins_s - now_s > MAX_QUEUE_S:
            return None
        self._free_at_s[to_client] = begins_s + bits / self.conditions.rate_bps
        return self._free_at_s[to_client] - now_s


def _send(transport: asyncio.DatagramTransport, data: bytes, target: Address) -> None:
    if not transport.is_closing():
        transport.sendto(data, target)


class _Front(asyncio.DatagramProtocol):
    def __init__(self, link: Link) -> None:
        self._link = link

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._link.from_client(data, addr)


class _Back(asyncio.DatagramProtocol):
    def __init__(self, link: Link, client: Address) -> None:
        self._link = link
        self._client = client

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._link.from_server(data, self._client)

"""The network between two nodes, in user space, which a test cuts: nothing passes any more and nobody is told."""

from __future__ import annotations

import asyncio
import contextlib

HERE, THERE = "127.0.0.2", "127.0.0.3"


class Strait:
    """Between the node whose name comes first, which connects, and another one. The far node's `node_address` is
    `HERE`, under which the first meets it; the far node meets the first, whose `node_address` is `THERE`, under that.
    TCP and UDP pass on the ports that the nodes have anyway."""

    def __init__(self, far_tcp_port: int, far_udp_port: int, first_udp_port: int) -> None:
        self._tcp_port = far_tcp_port
        self._udp = {HERE: far_udp_port, THERE: first_udp_port}
        self._sockets: dict[str, asyncio.DatagramTransport] = {}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._transports: set[asyncio.WriteTransport] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.datagrams = 0
        """That passed."""

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await asyncio.start_server(self._accept, HERE, self._tcp_port)
        for host, port in self._udp.items():
            self._sockets[host], _ = await loop.create_datagram_endpoint(
                lambda host=host: _Shore(self, host), local_addr=(host, port)
            )

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self._open.set()
        for transport in self._transports:
            transport.abort()
        await asyncio.gather(*self._tasks)
        for shore in self._sockets.values():
            shore.close()

    def cut(self) -> None:
        """Connections stay, as with a network that has gone; new ones get no answer."""
        self._open.clear()

    def mend(self) -> None:
        """What waited comes late, as TCP sends again; datagrams are lost."""
        self._open.set()

    def pass_on(self, data: bytes, at: str) -> None:
        """What came to one shore leaves from the other, towards the node that is behind it."""
        if self._open.is_set():
            other = THERE if at == HERE else HERE
            self._sockets[other].sendto(data, ("127.0.0.1", self._udp[at]))
            self.datagrams += 1

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._transports.add(writer.transport)
        try:
            await self._open.wait()
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection(
                    "127.0.0.1", self._tcp_port, local_addr=(THERE, 0)
                )
                self._transports.add(far_writer.transport)
                ends = [far_writer.transport, writer.transport]
                await asyncio.gather(self._pump(reader, far_writer, ends), self._pump(far_reader, writer, ends))
                self._transports.discard(far_writer.transport)
        finally:
            writer.transport.abort()
            self._transports.discard(writer.transport)
            self._tasks.discard(task)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: list[asyncio.WriteTransport]
    ) -> None:
        """Until one end has ended; then both do."""
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
            await self._open.wait()
        for end in ends:
            end.abort()


class _Shore(asyncio.DatagramProtocol):
    def __init__(self, strait: Strait, host: str) -> None:
        self._strait = strait
        self._host = host

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._strait.pass_on(data, self._host)

"""A TCP proxy that cuts connections, as trains and telephones do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

_READ_BYTES = 65_536


class Cutter:
    """In front of a port of this machine. After so many bytes towards the server, each time counted from the last cut,
    every connection is cut: `cuts_bytes`, one after the other."""

    def __init__(self, port: int, cuts_bytes: Sequence[int]) -> None:
        self.port = 0
        self.cuts = 0
        self._target = port
        self._left = list(cuts_bytes)
        self._passed_bytes = 0
        self._transports: set[asyncio.WriteTransport] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._cut = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> Cutter:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self._cut_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def reached(self, cuts: int) -> None:
        """Wait until there were so many."""
        while self.cuts < cuts:
            self._cut.clear()
            await self._cut.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()  # the server is just restarting
            return
        ends = {writer.transport, server_writer.transport}
        self._transports |= ends
        up = asyncio.create_task(self._pump(reader, server_writer, counted=True))
        down = asyncio.create_task(self._pump(server_reader, writer, counted=False))
        self._tasks |= {up, down}
        await asyncio.wait({up, down})
        self._tasks -= {up, down}
        self._transports -= ends

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_READ_BYTES):
                if counted and self._left and self._passed_bytes + len(data) >= self._left[0]:
                    writer.write(data[: self._left[0] - self._passed_bytes])
                    await writer.drain()
                    self._left.pop(0)
                    self._passed_bytes = 0
                    self.cuts += 1
                    self._cut.set()
                    self._cut_all()
                    return
                if counted:
                    self._passed_bytes += len(data)
                writer.write(data)
                await writer.drain()
        writer.close()

    def _cut_all(self) -> None:
        for transport in list(self._transports):
            transport.abort()

"""A cluster of real processes: `ting serve` several times, with a NATS server, PostgreSQL, and one address for all."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import tempfile
from pathlib import Path

import aiohttp

from tests.harness.nats import Nats, find_servers
from tests.harness.postgres import find_binaries, running_postgres
from tests.harness.server import ServerProcess, free_ports
from tests.harness.strait import HERE, THERE, Strait
from tests.harness.waiting import DEADLINE_S


class Balancer:
    """What stands before the nodes: each connection goes to the next one that takes it; those of calls are spread by
    themselves, so that who joins one after the other is on one node after the other."""

    def __init__(self, *ports: int) -> None:
        self._ports = ports
        self._turns = {is_call: itertools.cycle(range(len(ports))) for is_call in (False, True)}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._pass(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.read(65_536)
        first = next(self._turns[request.startswith(b"GET /rtc")])
        for number in range(len(self._ports)):
            port = self._ports[(first + number) % len(self._ports)]
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
                far_writer.write(request)
                ways = [asyncio.create_task(_copy(reader, far_writer)), asyncio.create_task(_copy(far_reader, writer))]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    far_writer.transport.abort()
                return


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        await asyncio.sleep(0)


class ClusterProcesses:
    """`nodes` by name; `nats` may be stopped and started; `balancer.url` is what people open."""

    def __init__(self, *names: str, rtc_addresses: str = "127.0.0.1", **environment: str) -> None:
        self._stack = contextlib.ExitStack()
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ting-nats-")))
        self.nats = Nats(next(iter(find_servers().values())), folder)
        binaries = find_binaries()
        assert binaries is not None, "PostgreSQL is needed"
        self.database = self._stack.enter_context(running_postgres(binaries))
        common = {
            "TING_DATABASE_URL": self.database.url(),
            "TING_CLUSTER": self.nats.url,
            "TING_CLUSTER_SECRET": secrets.token_hex(16),
            # Browsers beside them may keep a node from running for longer than ordinary neighbours would wait.
            "TING_NODE_TIMEOUT_S": "10",
            **environment,
        }
        self.nodes = {
            name: ServerProcess(
                rtc_addresses=rtc_addresses,
                environment={**common, "TING_NODE_NAME": name, "TING_NODE_PORT": str(free_ports().tcp)},
            )
            for name in names
        }
        self.balancer = Balancer(*(node.ports.http for node in self.nodes.values()))
        self.strait: Strait | None = None

    def lay_strait(self, first: str, other: str) -> None:
        """Before the start: what goes between these two can be cut. `first` comes first of all by name, so that `other`
        alone is connected to over it."""
        assert first == min(self.nodes)
        near, far = self.nodes[first], self.nodes[other]
        near.environment["TING_NODE_ADDRESS"] = THERE
        far.environment["TING_NODE_ADDRESS"] = HERE
        self.strait = Strait(int(far.environment["TING_NODE_PORT"]), far.ports.udp, near.ports.udp)

    async def start(self) -> None:
        self.nats.start()
        if self.strait is not None:
            await self.strait.start()
        for node in self.nodes.values():
            await node.start()
        await self.connected(*self.nodes)
        await self.balancer.start()

    async def connected(self, *names: str) -> None:
        """These see each other, and nobody else."""
        await self.until(f"ting_node_peers {len(names) - 1:.1f}", *names)

    async def until(self, line: str, *names: str) -> None:
        """Wait until the metrics of these nodes have this line."""
        async with aiohttp.ClientSession() as client, asyncio.timeout(DEADLINE_S * len(names)):
            for name in names:
                while line not in await self._metrics(client, name):  # noqa: ASYNC110 - a server has no event for it
                    await asyncio.sleep(0.05)

    async def _metrics(self, client: aiohttp.ClientSession, name: str) -> list[str]:
        async with client.get(f"{self.nodes[name].url}/metrics") as answer:
            return (await answer.text()).splitlines()

    async def stop(self) -> None:
        await self.balancer.stop()
        if self.strait is not None:
            await self.strait.stop()
        for node in self.nodes.values():
            await node.kill()
        self.nats.stop()
        self._stack.close()

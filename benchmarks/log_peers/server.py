"""A server of lasting chat under test: started on loopback in a folder of its own, filled, restarted, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.log_peers.cpu import cpu_s
from benchmarks.log_peers.links import join_chunks
from benchmarks.log_peers.postgres import Postgres, find_binaries

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".run" / "tools"
START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 15.0
REST_S = 0.5
REST_SHARE = 0.05
"""Of a core: who has timers is never quite still."""
REST_TIMEOUT_S = 60.0
ON_POSTGRES = "PostgreSQL as it comes (fsync and synchronous_commit on)"
SERVER_CPUS, LOAD_CPUS = ({0}, {1}) if (os.cpu_count() or 1) >= 2 else ({0}, {0})


class MissingPeerError(Exception):
    """It cannot be installed here; the sentence says why."""


@dataclass
class Crowd:
    """Who is there: for the load generator's plan."""

    people: list[dict[str, Any]]
    writers: list[list[Any]]
    """Pairs of a person's number and the room."""


@dataclass
class Shape:
    """`rooms[i]` has the numbers of the people in room i."""

    name: str
    rooms: list[list[int]]
    writers: list[tuple[int, int]]
    """Pairs of a person and a room."""
    silent: frozenset[int] = field(default_factory=frozenset)
    """Who writes without listening."""

    @property
    def people(self) -> int:
        return 1 + max(max(room) for room in self.rooms)

    def rooms_of(self, person: int) -> list[int]:
        return [number for number, room in enumerate(self.rooms) if person in room]


def one_room(readers: int, writers: int) -> Shape:
    everybody = list(range(readers + writers))
    late = everybody[readers:]
    return Shape(
        f"one room, {readers} readers, {writers} writers", [everybody], [(n, 0) for n in late], frozenset(late)
    )


def many_rooms(rooms: int, members: int) -> Shape:
    """As many people as rooms, each in `members` of them, each writing to one."""
    there = [[(room + step) % rooms for step in range(members)] for room in range(rooms)]
    return Shape(f"{rooms} rooms of {members}", there, [(n, n) for n in range(rooms)])


class LogServer(ABC):
    name = ""
    protocol = ""
    durability = ""
    """In a sentence, for the report."""
    on_postgres = False

    def __init__(self, folder: Path) -> None:
        """Raises `MissingPeerError` where it needs a PostgreSQL that is not there."""
        self.folder = folder
        self.port = free_port()
        self.postgres: Postgres | None = None
        self._process: asyncio.subprocess.Process | None = None
        if self.on_postgres:
            binaries = find_binaries()
            if binaries is None:
                raise MissingPeerError(f"{self.name}: PostgreSQL is not installed (apt-get install postgresql).")
            self.postgres = Postgres(binaries, folder, free_port(), SERVER_CPUS)
            self.postgres.start()

    @classmethod
    @abstractmethod
    async def version(cls) -> str:
        """Its name and version. Installs it where that is needed. Raises `MissingPeerError`."""

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def gather(self, shape: Shape) -> Crowd:
        """Make the people and rooms."""

    @abstractmethod
    async def fill(self, crowd: Crowd, entries: int) -> None:
        """Put so many messages into the first room while the server is stopped, straight into its database."""

    @abstractmethod
    async def first_page_s(self, crowd: Crowd, room: str) -> float:
        """How long its newest 50 take, from connecting on."""

    def pids(self) -> dict[str, list[int]]:
        assert self._process is not None
        parts = {"server": [self._process.pid]}
        if self.postgres is not None:
            parts["postgresql"] = [self.postgres.pid]
        return parts

    async def run(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        """Start it, and wait for its port."""
        with (self.folder / f"{self.name}.log").open("a") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, cwd=self.folder, env={**os.environ, **(environment or {})},
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=lambda: os.sched_setaffinity(0, SERVER_CPUS),
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                if self._process.returncode is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} did not start:\n{self.log()[-3000:]}") from None
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return

    async def rest(self) -> None:
        """Until it has done nothing for half a second: what it does of its own accord after a start is over."""
        deadline = time.monotonic() + REST_TIMEOUT_S
        before = -1.0
        while (used := sum(cpu_s(pid) for pids in self.pids().values() for pid in pids)) - before > REST_S * REST_SHARE:
            if time.monotonic() > deadline:
                return
            before = used
            await asyncio.sleep(REST_S)

    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text(errors="replace")

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                process.kill()
                await process.wait()

    async def close(self) -> None:
        await self.stop()
        if self.postgres is not None:
            self.postgres.stop()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def call(*command: str | Path, stdin: bytes | None = None, **options: Any) -> bytes:
    """Its output. Raises `RuntimeError` with what it complained of."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*map(str, command), stdin=pipe, stdout=pipe, stderr=pipe, **options)
    out, err = await process.communicate(stdin)
    if process.returncode:
        raise RuntimeError(f"{command[0]} failed: {err.decode(errors='replace')[-2000:]}")
    return out


async def fetch_whole(port: int, path: str, token: str) -> tuple[float, bytes]:
    """Seconds from connecting to the last byte, and the answer; `Connection: close`."""
    start = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer):
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        answer = await reader.read(-1)
    took_s = time.perf_counter() - start
    if b"\r\nTransfer-Encoding: chunked" in answer:
        answer = join_chunks(answer, answer.index(b"\r\n\r\n") + 4) or b""
    return took_s, answer

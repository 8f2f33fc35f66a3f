"""A server under test: started with its own configuration on loopback, pinned to its cores, stopped again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0


class PeerServer(ABC):
    """A subclass knows how its server is installed, started and joined."""

    name = ""

    def __init__(self) -> None:
        self.url = ""
        self.media_address = "127.0.0.1"
        """Where it takes media; signalling is on loopback."""
        self.log: Path | None = None
        self.process: asyncio.subprocess.Process | None = None

    @classmethod
    @abstractmethod
    def version(cls) -> str | None:
        """How the report calls it; None when it is not installed."""

    @abstractmethod
    async def start(self, folder: Path, cpus: set[int]) -> None:
        """Returns when it takes connections. `folder` is empty and its own."""

    @abstractmethod
    def load_arguments(self) -> list[str]:
        """For the load generator."""

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def ended(self) -> int | None:
        """Its exit status when it ended though nobody stopped it."""
        return self.process.returncode if self.process is not None else None

    async def wait_for_port(self, port: int) -> None:
        async with asyncio.timeout(START_TIMEOUT_S):
            while True:
                assert self.process is not None
                if self.process.returncode is not None:
                    text = self.log.read_text() if self.log is not None else ""
                    raise RuntimeError(f"{self.name} ended at once: {text[-2000:]}")
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                return

    async def stop(self) -> None:
        process = self.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def own_address() -> str:
    """An address of this machine that is not loopback, for servers that offer no candidate there. What is sent to it
    never leaves the machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        # Connecting a UDP socket sends nothing; the address is one for documentation (RFC 5737).
        with contextlib.suppress(OSError):
            sock.connect(("198.51.100.1", 9))
        address: str = sock.getsockname()[0]
        return address if address != "0.0.0.0" else "127.0.0.1"


def pin_to(cpus: set[int]) -> Callable[[], None]:
    """For `preexec_fn`."""
    return lambda: os.sched_setaffinity(0, cpus)

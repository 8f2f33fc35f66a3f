"""The servers that `bench_lines` puts bad lines before."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers.livekit import LiveKitServer
from tests.harness.server import ServerProcess, make_token


class LineServer(ABC):
    """One server on loopback with one UDP port for media. `url` and `udp_port` hold once it has started."""

    name = ""
    url = ""
    udp_port = 0

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def stop(self) -> None: ...

    @abstractmethod
    def token(self, room: str, identity: str) -> str:
        """Of somebody who may speak and listen."""


class Ting(LineServer):
    name = "ting"

    def __init__(self) -> None:
        self._server = ServerProcess()
        self.url, self.udp_port = self._server.url, self._server.ports.udp

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()

    def token(self, room: str, identity: str) -> str:
        return make_token(room, identity)


class LiveKit(LineServer):
    name = "livekit"

    def __init__(self) -> None:
        self._server = LiveKitServer(is_lite=True)
        self._folder = tempfile.TemporaryDirectory(prefix="livekit-")

    async def start(self) -> None:
        await self._server.start(Path(self._folder.name), os.sched_getaffinity(0))
        self.url, self.udp_port = self._server.url, self._server.udp_port

    async def stop(self) -> None:
        await self._server.stop()
        self._folder.cleanup()

    def token(self, room: str, identity: str) -> str:
        return self._server.token(room, identity)


SERVERS: dict[str, Callable[[], LineServer]] = {"ting": Ting, "livekit": LiveKit}


def installed() -> list[str]:
    return [name for name in SERVERS if name != LiveKit.name or LiveKitServer.version() is not None]

"""A bad line in a process of its own (`sfu/rust/line`), between clients and one UDP port of a server."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "sfu" / "rust"
PROGRAM = FOLDER / "target" / "release" / "ting-line"


def build() -> None:
    """Nothing happens when it is there and up to date. Raises `CalledProcessError`."""
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--quiet", "--package", "ting-line"], cwd=FOLDER, check=True
    )


class LineProcess:
    def __init__(self, server_udp_port: int, seed: int) -> None:
        self._arguments = (f"127.0.0.1:{server_udp_port}", str(seed))
        self._process: asyncio.subprocess.Process | None = None
        self.port = 0

    async def start(self) -> LineProcess:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(PROGRAM, *self._arguments, stdin=pipe, stdout=pipe)
        assert self._process.stdout is not None
        self.port = int((await self._process.stdout.readline()).split()[1])
        return self

    def set(self, direction: str, conditions: str) -> None:
        """`direction` "up" or "down" (towards the clients); `conditions` as in `ting-line`."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{direction} {conditions}\n".encode())

    async def stop(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert await self._process.wait() == 0

    def rewrite(self, sdp: str) -> str:
        """A description of the server with this line as its only candidate."""
        lines: list[str] = []
        for line in sdp.split("\r\n"):
            parts = line.split(" ")
            if not line.startswith("a=candidate:"):
                lines.append(line)
            elif parts[2].lower() == "udp" and parts[4] == "127.0.0.1":
                lines.append(" ".join([*parts[:5], str(self.port), *parts[6:]]))
        return "\r\n".join(lines)

"""GStreamer as a WHIP publisher and a WHEP player, in a process of the system's Python (`gstreamer_peer.py`)."""

from __future__ import annotations

import asyncio
import functools
import subprocess
from pathlib import Path

import numpy as np

from tests.harness import pattern

PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("gstreamer_peer.py")
SIZE = (320, 180)
TIMEOUT_S = 15.0


@functools.cache
def is_installed() -> bool:
    """Debian packages are named in scripts/bootstrap.py."""
    if not Path(PYTHON).exists():
        return False
    done = subprocess.run([PYTHON, str(SCRIPT), "check"], capture_output=True, check=False)
    return done.returncode == 0


class GstreamerPeer:
    """`role` is "publish" or "play"."""

    def __init__(self, role: str, url: str, token: str) -> None:
        self._arguments = (role, url, token)
        self._process: asyncio.subprocess.Process

    async def start(self) -> GstreamerPeer:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            PYTHON, str(SCRIPT), *self._arguments, stdin=pipe, stdout=pipe, stderr=pipe, limit=1 << 20
        )
        return self

    async def marks(self, count: int) -> list[pattern.Mark]:
        """The patterns of the next pictures that a player shows, as many as that can be read."""
        assert self._process.stdout is not None
        width, height = SIZE
        seen: list[pattern.Mark] = []
        async with asyncio.timeout(TIMEOUT_S):
            while len(seen) < count:
                picture = await self._process.stdout.readexactly(width * height)
                mark = pattern.read(np.frombuffer(picture, dtype=np.uint8).reshape(height, width))
                if mark is not None:
                    seen.append(mark)
        return seen

    async def stop(self) -> None:
        """It must end its session and itself without a complaint."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        _, errors = await asyncio.wait_for(self._process.communicate(), TIMEOUT_S)
        assert self._process.returncode == 0, errors.decode()

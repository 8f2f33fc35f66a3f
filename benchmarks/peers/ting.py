"""Ting itself: `ting serve --dev` of this tree, on one engine."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from benchmarks.peers.server import PeerServer, free_port, pin_to
from signaling.version import VERSION

ROOT = Path(__file__).resolve().parents[2]


class TingServer(PeerServer):
    """`engine` rust or reference; `settings` are environment variables as `ting --help` tells them."""

    name = "ting"

    def __init__(self, engine: str = "rust", **settings: str) -> None:
        super().__init__()
        self._engine, self._settings = engine, settings

    @classmethod
    def version(cls) -> str | None:
        return f"Ting {VERSION}"

    async def start(self, folder: Path, cpus: set[int]) -> None:
        http, udp = free_port(), free_port()
        self.url = f"http://127.0.0.1:{http}"
        self.log = folder / "ting.log"
        # More than the default of 200 in a room, as the other servers have no such limit.
        limits = {"TING_MAX_PENDING_CONNECTIONS_PER_IP": "2000", "TING_MAX_PARTICIPANTS_PER_ROOM": "2000"}
        environment = {**os.environ, **limits, **self._settings}
        with self.log.open("w") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
                "from signaling.cli import main; sys.exit(main())",
                "serve", "--dev", "--port", str(http), "--rtc-udp-port", str(udp), "--rtc-tcp-port", "0",
                "--rtc-addresses", "127.0.0.1", "--engine", self._engine, "--log-level", "warning",
                cwd=folder, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=pin_to(cpus),
            )  # fmt: skip
        await self.wait_for_port(http)

    def load_arguments(self) -> list[str]:
        return ["--url", self.url, "--dev"]

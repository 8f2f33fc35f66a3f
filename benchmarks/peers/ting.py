"""Ting itself: `ting serve --dev` of this tree, or of an earlier commit, on one engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from benchmarks.peers.server import PeerServer, free_port, pin_to
from signaling.version import VERSION

ROOT = Path(__file__).resolve().parents[2]


class TingServer(PeerServer):
    """`engine` rust or reference; `settings` are environment variables as `ting --help` tells them."""

    name = "ting"
    root = ROOT
    python = Path(sys.executable)

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
                str(self.python), "-c", f"import sys; sys.path.insert(0, {str(self.root)!r}); "
                "from signaling.cli import main; sys.exit(main())",
                "serve", "--dev", "--port", str(http), "--rtc-udp-port", str(udp), "--rtc-tcp-port", "0",
                "--rtc-addresses", self.media_address, "--engine", self._engine, "--log-level", "warning",
                cwd=folder, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=pin_to(cpus),
            )  # fmt: skip
        await self.wait_for_port(http)

    def load_arguments(self) -> list[str]:
        return ["--url", self.url, "--dev"]


def commit_before() -> str:
    """The build that rows are to be compared with, by scenarios.toml."""
    document = tomllib.loads((ROOT / "benchmarks" / "scenarios.toml").read_text())
    return str(document["before"])


def build_before() -> None:
    """As far as it can be had: then `EarlierTing.version` says so."""
    with contextlib.suppress(subprocess.CalledProcessError):
        EarlierTing(commit_before()).build()


class EarlierTing(TingServer):
    """A build of an earlier commit: its own worktree in `.run/before`, with its own packages and engine."""

    def __init__(self, commit: str) -> None:
        super().__init__()
        self.commit = commit
        self.root = ROOT / ".run" / "before" / commit
        self.python = self.root / ".venv" / "bin" / "python"

    def version(self) -> str | None:  # type: ignore[override]
        return f"Ting before, as of commit {self.commit}" if self._is_built() else None

    def build(self) -> None:
        """Some minutes the first time. Raises `subprocess.CalledProcessError` where it cannot be had or built."""
        if not self.root.exists():
            git = ["git", "-C", str(ROOT), "worktree", "add", "--detach", "--quiet", str(self.root), self.commit]
            subprocess.run(git, check=True)
        if not self._is_built():
            subprocess.run(["python3", "scripts/bootstrap.py"], cwd=self.root, check=True)

    def _is_built(self) -> bool:
        asked = "import sys; from sfu.engine import engine_name; sys.exit(engine_name('auto') != 'rust')"
        if not self.python.exists():
            return False
        return subprocess.run([str(self.python), "-c", asked], cwd=self.root, check=False).returncode == 0

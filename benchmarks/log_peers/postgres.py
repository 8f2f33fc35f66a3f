"""PostgreSQL of the system's in a folder of its own, on loopback, with every commit written through to the disk."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 20.0


def find_binaries() -> Path | None:
    """Debian's newest, or what is in PATH."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda f: float(f.parent.name), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).parent if found else None


class Postgres:
    """Left as it comes but for where it listens: `fsync`, `synchronous_commit` and `full_page_writes` are on."""

    def __init__(self, binaries: Path, folder: Path, port: int, cpus: set[int]) -> None:
        self._binaries, self._folder, self.port, self._cpus = binaries, folder / "postgresql", port, cpus
        self._process: subprocess.Popen[bytes] | None = None
        self._folder.mkdir()
        # PostgreSQL refuses to run as root.
        account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        self._user: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid} if account else {}
        if account is not None:
            os.chown(self._folder, account.pw_uid, account.pw_gid)
        # Synapse takes no other collation.
        made: list[str | Path] = [
            binaries / "initdb",
            "-D",
            self._folder / "data",
            "-A",
            "trust",
            "-U",
            "bench",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        subprocess.run(made, cwd=self._folder, check=True, capture_output=True, **self._user)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        return f"postgresql://bench@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        command: list[str | Path] = [
            self._binaries / "postgres", "-D", self._folder / "data", "-h", "127.0.0.1", "-p", str(self.port),
            "-c", "unix_socket_directories=",
        ]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdout=log, stderr=log,
                preexec_fn=lambda: os.sched_setaffinity(0, self._cpus), **self._user,
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT_S
        ready: list[str | Path] = [self._binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "log").read_text())
            time.sleep(0.05)

    def run(self, statements: str) -> None:
        command: list[str | Path] = [self._binaries / "psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.url]
        subprocess.run(command, input=statements.encode(), check=True, capture_output=True)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
            self._process = None

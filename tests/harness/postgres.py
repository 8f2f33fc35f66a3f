"""A PostgreSQL of the test's own: Debian's server in a temporary directory, on a loopback port, without root.

Its own superuser is `ting`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 20.0


def find_binaries() -> Path | None:
    """Where Debian puts initdb and postgres, the newest version first; or what is in PATH."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda f: float(f.parent.name), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).parent if found else None


class Postgres:
    def __init__(self, binaries: Path, folder: Path, options: Mapping[str, str]) -> None:
        self._binaries = binaries
        self._folder = folder
        self._options = {"unix_socket_directories": "", "fsync": "off", **options}
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        # PostgreSQL refuses to run as root.
        account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        self._user: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid} if account else {}
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
        command = [binaries / "initdb", "-D", folder / "data", "-A", "trust", "-U", "ting", "--no-sync"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, **self._user)

    @property
    def data(self) -> Path:
        """Its files, which change while one looks."""
        return self._folder / "data"

    def url(self, database: str = "postgres", role: str = "ting") -> str:
        return f"postgresql://{role}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        command = [
            self._binaries / "postgres", "-D", self._folder / "data", "-h", "127.0.0.1", "-p", str(self.port),
            *(part for name, value in self._options.items() for part in ("-c", f"{name}={value}")),
        ]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log, **self._user)
        deadline = time.monotonic() + START_TIMEOUT_S
        ready = [self._binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        """At once, as in a crash."""
        if self._process is not None:
            self._process.send_signal(3)
            self._process.wait()
            self._process = None

    def run(self, statement: str, database: str = "postgres") -> None:
        command = [self._binaries / "psql", "-q", "-d", self.url(database), "-c", statement]
        subprocess.run(command, check=True, capture_output=True)


@contextmanager
def running_postgres(binaries: Path, **options: str) -> Iterator[Postgres]:
    """`options` are settings of postgresql.conf."""
    folder = tempfile.mkdtemp(prefix="ting-pg-")
    server = None
    try:
        server = Postgres(binaries, Path(folder), options)
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)

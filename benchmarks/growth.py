"""What participants add to the server's resident memory once it has loaded what its first call needs.

    python -m benchmarks.growth [--before]

`--before` also measures the build that scenarios.toml names. It is the peak of each load
test, less what there was before.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.load import process
from benchmarks.peers.ting import ROOT, EarlierTing, TingServer, build_before, commit_before

SHAPES: Sequence[tuple[str, int, str]] = (
    ("first call", 2, "--publishers 1 --subscribers 1 --audio 120@50"),
    ("meeting 8×8", 8, "--publishers 8 --subscribers 0 --publishers-receive --video 720p --audio"),
    ("viewers of 1→200", 201, "--publishers 1 --subscribers 200 --video 720p --ramp 50"),
)
INTERVAL_S = 0.3
SETTLE_S = 3.0


async def measure(server: TingServer, cpus: Sequence[int]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="ting-growth-"))
    try:
        await server.start(folder, {cpus[0]})
        await asyncio.sleep(SETTLE_S)
        sys.stdout.write(f"{server.version()}\nidle {resident_mib(server):.1f} MiB\n")
        for name, people, options in SHAPES:
            before = resident_mib(server)
            peak = await peak_mib(server, options, cpus[-1])
            each_kib = 1024 * (peak - before) / people
            sys.stdout.write(f"{name}: {before:.1f} to {peak:.1f} MiB, {each_kib:,.0f} KiB for each of {people}\n")
            await asyncio.sleep(SETTLE_S)
    finally:
        await server.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def peak_mib(server: TingServer, options: str, cpu: int) -> float:
    words = [*server.load_arguments(), "--duration", "8s", "--quiet", *options.split()]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.peers", "livekit", *words, cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
    )  # fmt: skip
    peak = 0.0
    ended = asyncio.create_task(child.wait())
    while not ended.done():
        peak = max(peak, resident_mib(server))
        await asyncio.wait({ended}, timeout=INTERVAL_S)
    if child.returncode:
        raise RuntimeError(f"the load test ended with status {child.returncode}")
    return peak


def resident_mib(server: TingServer) -> float:
    return process.resident_bytes(process.tree([server.pid])) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", action="store_true")
    servers = [TingServer()]
    if parser.parse_args().before:
        build_before()
        servers.append(EarlierTing(commit_before()))
    cpus = sorted(os.sched_getaffinity(0))
    for server in servers:
        asyncio.run(measure(server, cpus))


if __name__ == "__main__":
    main()

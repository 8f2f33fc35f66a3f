"""Lasting chat side by side: Ting and Synapse on SQLite and on PostgreSQL, Prosody.

    make bench-log                                        # half an hour on 2 idle cores
    make bench-log BENCH_FLAGS="--quick --only ting"      # under 3 minutes

Every server writes every message through to the disk before it acknowledges it. It has one core to itself and the load
generator another. Figures go to benchmarks/results_log.json, and as tables to standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.log_peers.load_process import LoadProcess, measure_call
from benchmarks.log_peers.prosody import ProsodyServer
from benchmarks.log_peers.report import tables
from benchmarks.log_peers.server import LogServer, MissingPeerError, Shape, many_rooms, one_room
from benchmarks.log_peers.synapse import SynapsePostgresServer, SynapseServer
from benchmarks.log_peers.ting import TingPostgresServer, TingServer

RESULTS = Path(__file__).with_name("results_log.json")
SERVERS: tuple[type[LogServer], ...] = (
    TingServer, TingPostgresServer, SynapseServer, SynapsePostgresServer, ProsodyServer,
)  # fmt: skip
RATE = 200.0
CALL_RATE = 1000.0


@dataclass(frozen=True)
class Size:
    """How much of everything; `--quick` is for seeing that it works."""

    repeats: int = 3
    write_s: float = 5.0
    paced_s: float = 8.0
    drain_s: float = 15.0
    rooms: int = 200
    entries: int = 100_000
    call_s: float = 15.0


QUICK = Size(repeats=1, write_s=3.0, paced_s=3.0, drain_s=5.0, rooms=20, entries=100_000, call_s=5.0)


async def measure(make: type[LogServer], size: Size) -> dict[str, Any]:
    """All figures of one server."""
    found: dict[str, Any] = {"server": make.name, "version": await make.version(), "durability": make.durability}
    with tempfile.TemporaryDirectory(prefix="bench-log-") as folder:
        os.chmod(folder, 0o755)  # PostgreSQL's account goes through it
        server = make(Path(folder))
        try:
            await server.start()
            found["shapes"] = {}
            for shape in (one_room(50, 5), many_rooms(size.rooms, 10)):
                found["shapes"][shape.name] = await _measure_shape(server, shape, size)
            found["first_page_ms"] = await _measure_first_page(server, size)
            if isinstance(server, TingServer):
                found["call"] = await measure_call(server, CALL_RATE, size.call_s)
        finally:
            await server.close()
    return found


async def _measure_shape(server: LogServer, shape: Shape, size: Size) -> dict[str, Any]:
    _say(f"{server.name}: {shape.name}: people and rooms")
    crowd = await server.gather(shape)
    runs: dict[str, list[dict[str, Any]]] = {"flat_out": [], "paced": []}
    async with LoadProcess(server, crowd) as load:
        await load.run(seconds=1.0, rate=0.0, drain_s=size.drain_s)  # caches, prepared statements
        for _ in range(size.repeats):
            runs["flat_out"].append(await load.run(seconds=size.write_s, rate=0.0, drain_s=size.drain_s))
            runs["paced"].append(await load.run(seconds=size.paced_s, rate=RATE, drain_s=size.drain_s))
            _say(f"  {json.dumps([runs[kind][-1] for kind in runs])}")
    return runs


async def _measure_first_page(server: LogServer, size: Size) -> dict[str, list[float]]:
    """Of a server that has shown another room since it started and is at rest again, so that only this room is cold;
    and of one that nobody has asked for anything yet."""
    _say(f"{server.name}: first page of {size.entries:,} entries")
    crowd = await server.gather(many_rooms(2, 2))
    async with LoadProcess(server, crowd) as load:  # whoever is there must have entered once
        await load.run(seconds=0.5, rate=0.0, drain_s=5.0)
    await server.stop()
    await server.fill(crowd, size.entries)
    long, short = crowd.people[0]["rooms"]
    took: dict[str, list[float]] = {"room_cold": [], "process_cold": []}
    for _ in range(size.repeats):
        for kind, found in took.items():
            await server.start()
            if kind == "room_cold":
                await server.first_page_s(crowd, short)
                await server.rest()
            found.append(1000 * await server.first_page_s(crowd, long))
            await server.stop()
    await server.start()
    _say(f"  {took} ms")
    return took


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


async def run(arguments: argparse.Namespace) -> None:
    size = QUICK if arguments.quick else Size(repeats=arguments.repeats)
    servers = [make for make in SERVERS if not arguments.only or make.name in arguments.only]
    results, left_out = [], []
    for make in servers:
        try:
            results.append(await measure(make, size))
        except MissingPeerError as error:
            left_out.append(str(error))
            _say(str(error))
        except (RuntimeError, OSError, TimeoutError, ValueError) as error:  # the others' figures are still worth having
            left_out.append(f"{make.name} failed: {error!r}")
            _say(left_out[-1])
    report = {
        "machine": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "size": vars(size), "servers": results, "left_out": left_out,
    }  # fmt: skip
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")
    print(tables(report))


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the servers, too
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one repeat, 20 rooms instead of 200")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=[make.name for make in SERVERS], help="servers")
    parser.add_argument("--output", type=Path, default=RESULTS)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()

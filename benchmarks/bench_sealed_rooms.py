"""How a sealed room fills and how soon somebody who left is out of its keys, with real MLS and a real server.

    python -m benchmarks.bench_sealed_rooms [MEMBERS ...] [--database-url URL] [--leaves 5]      50 200 500

All members come at once, each from the door to the end of its history: token, connection, key package, welcome, what it
missed. One member of the crowd commits as the page does, three others follow with MLS; the rest take part in everything
on the network and only decrypt nothing, since each would have a processor of its own. Then members leave, some by
closing and some by falling silent, and the time is taken until every other member has the epoch without them.

Prints tables for README.md. CPU time is that of the server's process (not of a PostgreSQL).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.load.process import CpuMeter, resident_bytes
from benchmarks.sealed_crowd import Committer, Follower, Member, Traffic
from sealed.mls import Library
from tests.harness.server import free_ports

ROOT = Path(__file__).resolve().parents[1]
_SERVE = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from signaling.cli import main; sys.exit(main())"
_LIMITS = {  # That are for one address: here all have the same.
    "TING_API_REQUESTS_PER_MINUTE": "1e9", "TING_GUEST_TOKENS_PER_MINUTE": "1e9", "TING_ROOMS_PER_HOUR": "1e9",
    "TING_MAX_PENDING_CONNECTIONS_PER_IP": "5000",
}  # fmt: skip
_FOLLOWERS = 3
_PATIENCE_S = 240.0


@dataclass
class Figures:
    members: int
    joined_s: float = 0.0
    cpu_ms_per_join: float = 0.0
    received_kb_per_join: float = 0.0
    commits: int = 0
    rss_mib: float = 0.0
    refused: str = "0"
    lost: int = 0
    leave_s: tuple[float, ...] = ()
    vanish_s: tuple[float, ...] = ()
    cpu_ms_per_leave: float = 0.0


@asynccontextmanager
async def serving(database_url: str) -> AsyncIterator[tuple[str, int]]:
    """Address and process of a `ting serve`."""
    ports = free_ports()
    flags = ["--port", str(ports.http), "--rtc-udp-port", str(ports.udp), "--rtc-tcp-port", "0"]
    with tempfile.TemporaryDirectory(prefix="ting-") as data:
        database = {"TING_DATABASE_URL": database_url} if database_url else {}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _SERVE, "serve", "--dev", *flags, "--rtc-addresses", "127.0.0.1",
            "--log-level", "warning",
            env={**os.environ, **_LIMITS, **database, "TING_DATA_DIR": data}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        while b"ready" not in (line := await process.stdout.readline()):
            if not line:
                raise RuntimeError("ting serve did not start")
        drain = asyncio.create_task(process.stdout.read())
        try:
            yield f"http://127.0.0.1:{ports.http}", process.pid
        finally:
            process.terminate()
            await process.wait()
            await drain


async def measure(members: int, database_url: str, leaves: int, library: Library) -> Figures:
    async with serving(database_url) as (url, pid):
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        async with aiohttp.ClientSession(url, connector=connector, timeout=timeout) as http:
            async with asyncio.timeout(_PATIENCE_S):
                return await _measure(http, CpuMeter([pid]), pid, members, leaves, library)


async def _measure(
    http: aiohttp.ClientSession, cpu: CpuMeter, pid: int, members: int, leaves: int, library: Library
) -> Figures:
    traffic, figures = Traffic(), Figures(members)
    key = secrets.token_urlsafe(32)
    async with http.post("/api/v1/rooms", json={"key": key, "policy": {"kind": "sealed"}}) as answer:
        room = (await answer.json())["name"]
    first = Committer(http, room, "first", library, Traffic())
    first.key = key
    await first.found()
    crowd = [
        (Follower if number < _FOLLOWERS else Member)(http, room, f"m{number}", library, traffic)
        for number in range(members - 1)
    ]
    before_s, began = cpu.read(), time.monotonic()
    await asyncio.gather(*(one.join() for one in crowd))
    figures.joined_s = time.monotonic() - began
    figures.cpu_ms_per_join = 1000 * (cpu.read() - before_s) / len(crowd)
    figures.received_kb_per_join = traffic.bytes / len(crowd) / 1000
    figures.commits = len(first.commits)
    figures.rss_mib = resident_bytes([pid]) / 2**20
    figures.refused = ", ".join(f"{code} {count}" for code, count in sorted(traffic.refused.items())) or "0"
    print(f"# {members}: {dict(sorted(traffic.by_kind.items(), key=lambda one: -one[1]))}", file=sys.stderr)
    print(f"# commits (added, removed, s): {first.commits}", file=sys.stderr)
    await _leave(crowd, first, figures, cpu, leaves)
    first.stop()
    await asyncio.gather(*(one.leave() for one in (first, *crowd)))
    return figures


async def _leave(crowd: list[Member], first: Committer, figures: Figures, cpu: CpuMeter, leaves: int) -> None:
    """One after the other, the last that came first."""
    before_s = cpu.read()
    for vanishes in (False, True):
        took = []
        for _ in range(leaves):
            one = crowd.pop()
            began, epoch = time.monotonic(), first.epoch
            if vanishes:
                one.vanish()
            else:
                await one.leave()
            await asyncio.gather(*(_reached(other, epoch + 1) for other in crowd))
            took.append(time.monotonic() - began)
        if vanishes:
            figures.vanish_s = tuple(took)
        else:
            figures.leave_s = tuple(took)
            figures.cpu_ms_per_leave = 1000 * (cpu.read() - before_s) / max(1, leaves)
    figures.lost = sum(one.is_lost for one in crowd)
    states = {one.mls.authenticator() for one in (first, *crowd) if isinstance(one, Follower) and not one.is_lost}
    if len(states) != 1:
        raise RuntimeError("the members do not agree")


async def _reached(member: Member, epoch: int) -> None:
    async with member.moved:
        await member.moved.wait_for(lambda: member.epoch >= epoch or member.is_lost)


def _seconds(times: tuple[float, ...]) -> str:
    return f"{statistics.median(times):.1f} ({min(times):.1f}–{max(times):.1f})" if times else "–"


def show(found: list[Figures], load: str) -> None:
    rows = [
        ("members", [str(one.members) for one in found]),
        ("all in the group after, s", [f"{one.joined_s:.1f}" for one in found]),
        ("joins per s", [f"{(one.members - 1) / one.joined_s:.0f}" for one in found]),
        ("server CPU per join, ms", [f"{one.cpu_ms_per_join:.1f}" for one in found]),
        ("sent to each by then, kB", [f"{one.received_kb_per_join:.0f}" for one in found]),
        ("commits", [str(one.commits) for one in found]),
        ("server memory, MiB", [f"{one.rss_mib:.0f}" for one in found]),
        ("refused and tried again", [one.refused for one in found]),
        ("leave: all have the next epoch after, s", [_seconds(one.leave_s) for one in found]),
        ("fell silent: the same, s", [_seconds(one.vanish_s) for one in found]),
        ("connections lost meanwhile", [str(one.lost) for one in found]),
        ("server CPU per leave, ms", [f"{one.cpu_ms_per_leave:.0f}" for one in found]),
    ]
    print(f"Load before: {load}\n")
    for number, (name, cells) in enumerate(rows):
        print(f"| {name} | {' | '.join(cells)} |")
        if number == 0:
            print("|" + "---|" * (len(cells) + 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("members", nargs="*", type=int, default=[50, 200, 500])
    parser.add_argument("--database-url", default="")
    parser.add_argument("--leaves", type=int, default=5, help="of each kind")
    options = parser.parse_args()
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    library = Library()
    found = [
        asyncio.run(measure(members, options.database_url, options.leaves, library)) for members in options.members
    ]
    show(found, f"{load}; after: {' '.join(f'{one:.1f}' for one in os.getloadavg())}")


if __name__ == "__main__":
    main()

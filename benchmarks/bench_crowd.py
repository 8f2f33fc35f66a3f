"""Thousands in one room over several real nodes (NATS, PostgreSQL): joins, CPU, memory, messages, sound meanwhile.

    python -m benchmarks.bench_crowd [--people 10000] [--rate 200] [--nodes 3] [--rest 60]
    python -m benchmarks.bench_crowd --scaling [--people 1000] [--rate 60]

Signalling is real, a WebSocket for everybody, spread over the nodes (`signal_crowd`); three may publish. Media is that
of one who publishes a melody on the first node and one who hears it on the last. When all are there, every node is
asked how many it sees; then everybody rests, and what a member is told in that time is counted. `--scaling` does it
with one, two and three nodes, `--people` and `--rate` for each of them. All processes share the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import resource
import secrets
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from livekit import api

from benchmarks.bench_signalling import PUBLISHERS, ROOM, TING_LIMITS, Crowd, crowd, melody
from benchmarks.peers.ting import TingServer
from tests.harness.nats import find_servers, running_nats
from tests.harness.postgres import find_binaries, running_postgres
from tests.harness.server import API_KEY, API_SECRET, free_ports, make_token

CONNECT_TIMEOUT_S = 30.0
AGREE_TIMEOUT_S = 30.0


@contextlib.asynccontextmanager
async def nodes(count: int) -> AsyncIterator[list[TingServer]]:
    """Connected with each other."""
    binaries = find_binaries()
    assert binaries is not None, "PostgreSQL is needed"
    cpus = os.sched_getaffinity(0)
    async with contextlib.AsyncExitStack() as stack:
        nats = stack.enter_context(running_nats(next(iter(find_servers().values()))))
        database = stack.enter_context(running_postgres(binaries))
        common = {
            **TING_LIMITS,
            "TING_CLUSTER": nats.url,
            "TING_CLUSTER_SECRET": secrets.token_hex(16),
            "TING_DATABASE_URL": database.url(),
            # Nodes and thousands of clients share few cores here; a node that has to wait for one is not gone.
            "TING_NODE_TIMEOUT_S": "20",
            "TING_NODE_TTL_S": "20",
        }
        servers = []
        for number in range(count):
            own = {"TING_NODE_NAME": f"node-{number + 1}", "TING_NODE_PORT": str(free_ports().tcp)}
            server = TingServer(**common, **own)
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="crowd-"))
            await server.start(Path(folder), cpus)
            stack.push_async_callback(server.stop)
            servers.append(server)
        await connected(servers)
        yield servers


async def connected(servers: list[TingServer]) -> None:
    line = f"ting_node_peers {len(servers) - 1:.1f}"
    async with aiohttp.ClientSession() as client, asyncio.timeout(CONNECT_TIMEOUT_S):
        for server in servers:
            while True:
                async with client.get(f"{server.url}/metrics") as answer:
                    if line in (await answer.text()).splitlines():
                        break
                await asyncio.sleep(0.1)


async def seen(server: TingServer) -> int:
    """How many are in the room, by this node."""
    async with api.LiveKitAPI(server.url, API_KEY, API_SECRET) as admin:
        rooms = (await admin.room.list_rooms(api.ListRoomsRequest(names=[ROOM]))).rooms
    return rooms[0].num_participants if rooms else 0


async def agreed(servers: list[TingServer], people: int) -> float | None:
    """Seconds until every node sees all of them."""
    begin = time.perf_counter()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(AGREE_TIMEOUT_S):
            while True:
                if [await seen(server) for server in servers] == [people] * len(servers):
                    return time.perf_counter() - begin
                await asyncio.sleep(0.1)
    return None


async def measure(count: int, people: int, rate: float, rest_s: float) -> None:
    async with nodes(count) as servers:
        urls, pids = [server.url for server in servers], [server.pid for server in servers]
        tokens = [make_token(ROOM, f"p{number}", can_publish=number < PUBLISHERS) for number in range(people)]
        voices = [make_token(ROOM, one) for one in ("speaker", "listener")]
        async with melody(urls[0], urls[-1], voices) as ear:
            begin = ear.position
            async with crowd(urls, tokens, rate, pids, os.sched_getaffinity(0), rest_s) as found:
                gap_ms = ear.longest_gap_ms(begin)
                agreed_s = await agreed(servers, found.joined + len(voices))
                print(report(count, people, rate, rest_s, found, gap_ms, agreed_s), flush=True)


def report(
    count: int, people: int, rate: float, rest_s: float, found: Crowd, gap_ms: int, agreed_s: float | None
) -> str:
    said, joined = found.said, max(1, found.joined)
    failed = f"{people - found.joined} failed ({said['failures']})" if found.joined < people else "none failed"
    agreement = "no agreement on how many are there" if agreed_s is None else "all nodes see all of them"
    a_minute = found.messages_at_rest / joined * 60 / rest_s
    return (
        f"{people} people over {count} nodes at {rate:.0f} joins/s: {joined / said['took_s']:.0f} joins/s, {failed}, "
        f"answer p50 {said['p50_ms']:.0f} ms, p95 {said['p95_ms']:.0f} ms; all nodes together: CPU of a join "
        f"{1e3 * found.cpu_s / joined:.2f} ms, memory of a member {found.resident_kib / joined:.0f} KiB; "
        f"{a_minute:.1f} messages a member and minute at rest; gap in sound {gap_ms} ms; {agreement}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--rest", type=float)
    parser.add_argument("--scaling", action="store_true", help="one, two and three nodes; --people and --rate of each")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.scaling:
        people, rate = options.people or 1000, options.rate or 60.0
        for count in (1, 2, 3):
            asyncio.run(measure(count, count * people, count * rate, options.rest or 5.0))
    else:
        asyncio.run(measure(options.nodes, options.people or 10_000, options.rate or 200.0, options.rest or 60.0))


if __name__ == "__main__":
    main()

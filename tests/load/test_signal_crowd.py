"""The crowd of the signalling benchmark is one: a real server lets it in, and it counts what it is sent."""

from __future__ import annotations

import os

from benchmarks.bench_signalling import crowd
from tests.signaling.harness import running

PEOPLE = 12


async def test_a_crowd_joins_and_counts_what_it_hears() -> None:
    async with running() as server:
        tokens = [server.token(f"p{number}") for number in range(PEOPLE)]
        everywhere = os.sched_getaffinity(0)
        async with crowd([server.url], [*tokens, "no token"], 200.0, [os.getpid()], everywhere) as found:
            assert found.joined == PEOPLE
            assert found.said["failures"] == ["HTTP/1.1 401 Unauthorized"]
            assert len(server.sfu.participants(server.sfu.rooms()[0].name)) == PEOPLE
            # Each hears of those who came after it.
            assert found.said["updates"] >= PEOPLE * (PEOPLE - 1) / 2
            assert 0 < found.said["p50_ms"] <= found.said["p95_ms"] <= found.said["max_ms"]

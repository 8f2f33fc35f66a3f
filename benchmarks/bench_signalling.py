"""Signalling of one room at size, over real WebSockets, beside LiveKit's server: joins, CPU, memory, messages.

    python -m benchmarks.bench_signalling [--people 100 1000 3000] [--rate 100] [--servers ting livekit]

Into one room come so many at a steady rate, of whom three may publish; they have a WebSocket each and no media
(`signal_crowd`). In the same room one publishes a melody meanwhile and another hears it, both with LiveKit's SDK. For
each size and server: answers to joins (from the connection on), CPU time of the server for each join, resident memory
for each member, messages and bytes that a member got (pongs apart) until two seconds after the last join, and the
longest gap in the melody. Servers have one core, all clients the others. Needs `livekit-server` on PATH for LiveKit.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.livekit import LiveKitServer
from benchmarks.peers.server import PeerServer
from benchmarks.peers.ting import TingServer
from tests.harness.caller import Caller
from tests.harness.media import SoundReader
from tests.harness.server import make_token

ROOT = Path(__file__).resolve().parent.parent
ROOM = "hall"
PUBLISHERS = 3
REST_S = 2.0
IDLE_S = 2.0
TING_LIMITS = {
    "TING_MAX_PARTICIPANTS_PER_ROOM": "20000",
    "TING_MAX_HALF_OPEN_TRANSPORTS": "40000",
    "TING_TRANSPORT_SETUP_TIMEOUT_S": "600",
    "TING_ANSWER_TIMEOUT_S": "600",
    "TING_MAX_BURST_CONNECTIONS_PER_IP": "20000",
}
"""More than their defaults: all of these people come from one address, in one room, and send no media."""


class Ting(TingServer):
    def __init__(self) -> None:
        super().__init__(**TING_LIMITS)

    def token(self, room: str, identity: str, **grants: bool) -> str:
        return make_token(room, identity, **grants)


SERVERS: dict[str, type[Ting] | type[LiveKitServer]] = {"ting": Ting, "livekit": LiveKitServer}


def cpu_s(pids: Sequence[int]) -> float:
    """Of all threads, user and system."""
    return sum(
        sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])) for pid in pids
    ) / os.sysconf("SC_CLK_TCK")


def resident_kib(pids: Sequence[int]) -> int:
    lines = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return sum(int(text.partition("VmRSS:")[2].split()[0]) for text in lines)


@dataclass
class Crowd:
    """What `signal_crowd` says of itself, and what it cost the servers."""

    said: dict[str, float]
    cpu_s: float
    resident_kib: int
    messages_at_rest: int = 0

    @property
    def joined(self) -> int:
        return int(self.said["joined"])


@contextlib.asynccontextmanager
async def crowd(
    urls: Sequence[str],
    tokens: Sequence[str],
    rate: float,
    pids: Sequence[int],
    cpus: set[int],
    rest_s: float = 0.0,
) -> AsyncIterator[Crowd]:
    """In the room as long as the context lasts; `pids` are the servers'. With `rest_s` they stay for so long before,
    and what they are told in that time is counted."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.signal_crowd", *urls, cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    idle_s = cpu_s(pids)
    await asyncio.sleep(IDLE_S)
    idle_per_s = (cpu_s(pids) - idle_s) / IDLE_S
    memory, used, begin = resident_kib(pids), cpu_s(pids), time.monotonic()
    process.stdin.write("".join(f"{token}\n" for token in [*tokens, ""]).encode())
    rests_s = [REST_S, rest_s] if rest_s else [REST_S]
    process.stdin.write(json.dumps({"rate": rate, "rests_s": rests_s}).encode() + b"\n")
    line = await process.stdout.readline()
    assert line, "the crowd has ended"
    spent = cpu_s(pids) - used - idle_per_s * (time.monotonic() - begin)
    found = Crowd(json.loads(line), spent, resident_kib(pids) - memory)
    if rest_s:
        rested = json.loads(await process.stdout.readline())
        found.messages_at_rest = rested["messages"] - found.said["messages"]
    try:
        yield found
    finally:
        process.stdin.close()
        await process.wait()


@contextlib.asynccontextmanager
async def melody(speaker_url: str, listener_url: str, tokens: Sequence[str]) -> AsyncIterator[SoundReader]:
    """Of one to another."""
    speaker, listener = Caller(speaker_url, ROOM, "speaker"), Caller(listener_url, ROOM, "listener")
    await speaker.join(token=tokens[0])
    await speaker.publish_melody()
    await listener.join(token=tokens[1])
    ear = await listener.listen("speaker")
    await ear.received(1.0)
    try:
        yield ear
    finally:
        await listener.leave()
        await speaker.leave()


def report(name: str, people: int, found: Crowd, gap_ms: int) -> str:
    said, joined = found.said, max(1, found.joined)
    failed = f", {people - found.joined} failed ({said['failures']})" if found.joined < people else ""
    return (
        f"{name:8} {people:6} people: {found.joined / said['took_s']:4.0f} joins/s, "
        f"answer p50 {said['p50_ms']:.0f} ms, p95 {said['p95_ms']:.0f} ms, "
        f"CPU of a join {1e3 * found.cpu_s / joined:.2f} ms, memory of a member {found.resident_kib / joined:.0f} KiB, "
        f"{said['messages'] / joined:.1f} messages a member, {said['bytes'] / joined / 1e3:.1f} kB, "
        f"gap in sound {gap_ms} ms{failed}"
    )


async def measure(name: str, people: int, rate: float, cpus: list[int]) -> None:
    server: PeerServer = SERVERS[name]()
    with tempfile.TemporaryDirectory(prefix="signalling-") as folder:
        await server.start(Path(folder), set(cpus[:1]))
        try:
            issue = SERVERS[name].token
            voices = [issue(server, ROOM, one) for one in ("speaker", "listener")]  # type: ignore[arg-type]
            tokens = [
                issue(server, ROOM, f"p{number}", can_publish=number < PUBLISHERS)  # type: ignore[arg-type]
                for number in range(people)
            ]
            async with melody(server.url, server.url, voices) as ear:
                begin = ear.position
                async with crowd([server.url], tokens, rate, [server.pid], set(cpus[1:])) as found:
                    print(report(name, people, found, ear.longest_gap_ms(begin)), flush=True)
        finally:
            await server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, nargs="+", default=[100, 1000, 3000])
    parser.add_argument("--rate", type=float, default=100.0)
    installed = [name for name in SERVERS if name == "ting" or LiveKitServer.version() is not None]
    parser.add_argument("--servers", nargs="+", choices=list(SERVERS), default=installed)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cpus = sorted(os.sched_getaffinity(0))
    assert len(cpus) > 1, "two cores are needed: one for the server, others for its clients"
    os.sched_setaffinity(0, set(cpus[1:]))
    for people in options.people:
        for name in options.servers:
            asyncio.run(measure(name, people, options.rate, cpus))


if __name__ == "__main__":
    main()

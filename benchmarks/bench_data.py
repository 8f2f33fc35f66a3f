"""Data channels: a file, a fan-out of small messages, a call beside files, and 500 joins in five seconds.

    python -m benchmarks.bench_data [--rows file fan call join] [--servers ting livekit ...] [--megabytes 20]

The server has one core, the clients (LiveKit's Python SDK: libwebrtc) another. Each row asks every server that is
installed, one after the other:

file   one byte stream from one participant to another: MB/s, and the server's CPU-seconds per 100 MB
fan    one sends 1 kB 60 times a second, lossy, to 50 others: the server's CPU per delivered message
call   a melody from one to another while five files pass in a room of their own: the longest time without new sound
join   500 people come into 50 rooms, 100 a second, after somebody was there: the server's CPU per join, until data
       channels are asked for (signalling, ICE, DTLS). They are `ting load-test`'s, which is cheaper than an SDK
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from livekit import rtc

from benchmarks.load.errors import LoadError
from benchmarks.load.livekit import LiveKitParticipant
from benchmarks.load.participant import Seat
from benchmarks.load.process import CpuMeter
from benchmarks.load.transport import Generator
from benchmarks.peers.livekit import LiveKitServer
from benchmarks.peers.server import PeerServer
from benchmarks.peers.ting import EarlierTing, TingServer, build_before, commit_before
from tests.harness import tone
from tests.harness.caller import Caller
from tests.harness.server import make_token

SERVERS: dict[str, Callable[[], PeerServer]] = {
    "ting": TingServer,
    "ting-reference": lambda: TingServer("reference"),
    "ting-before": lambda: EarlierTing(commit_before()),
    "livekit": LiveKitServer,
}
CHUNK_BYTES = 15_000
"""What the SDKs cut files into."""
RECEIVERS, RATE_PER_S, FAN_S, MESSAGE_BYTES = 50, 60, 10.0, 1_000
FILES_BESIDE = 5
JOINS, JOINS_PER_S, JOIN_ROOMS, JOIN_TIMEOUT_S = 500, 100, 50, 30.0
DEADLINE_S = 240.0


@dataclass
class Place:
    """A running server, and how much it is asked to carry."""

    server: PeerServer
    file_bytes: int

    def token(self, room: str, identity: str) -> str:
        issue = self.server.token if isinstance(self.server, LiveKitServer) else make_token
        return issue(room, identity)

    async def join(self, room: str, identity: str) -> Caller:
        return await Caller(self.server.url, room, identity).join(token=self.token(room, identity))

    async def pair(self) -> tuple[Caller, Caller]:
        """Two in a room of their own, ready for data."""
        room = secrets.token_hex(4)
        callers = (await self.join(room, "ada"), await self.join(room, "bob"))
        for caller in callers:
            await caller.until(lambda room=caller.room: _others(room) == 1, "the other one")
        return callers


def _others(room: rtc.Room) -> int:
    active = rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE
    return sum(participant.state == active for participant in room.remote_participants.values())


async def pass_file(sender: Caller, receiver: Caller, size: int) -> float:
    """Seconds from the first byte given to the SDK until the last one arrived."""
    done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def accept(reader: rtc.ByteStreamReader, _identity: str) -> None:
        async def read() -> None:
            received = 0
            async for chunk in reader:
                received += len(chunk)
            done.set_result(received)

        tasks.append(asyncio.create_task(read()))

    tasks: list[asyncio.Task[None]] = []
    receiver.room.register_byte_stream_handler("bench", accept)
    began_s = time.monotonic()
    async with asyncio.timeout(DEADLINE_S):
        writer = await sender.room.local_participant.stream_bytes("file", total_size=size, topic="bench")
        for begin in range(0, size, CHUNK_BYTES):
            await writer.write(bytes(min(CHUNK_BYTES, size - begin)))
        await writer.aclose()
        received = await done
    receiver.room.unregister_byte_stream_handler("bench")
    if received != size:
        raise RuntimeError(f"{received} of {size} bytes arrived")
    return time.monotonic() - began_s


async def row_file(place: Place) -> str:
    sender, receiver = await place.pair()
    meter = CpuMeter([place.server.pid])
    await pass_file(sender, receiver, 100_000)
    before_s = meter.read()
    took_s = await pass_file(sender, receiver, place.file_bytes)
    cpu_s = meter.read() - before_s
    await sender.leave()
    await receiver.leave()
    megabytes = place.file_bytes / 1e6
    return f"{megabytes / took_s:.2f} MB/s, {100 * cpu_s / megabytes:.1f} CPU-s per 100 MB ({megabytes:.0f} MB)"


async def row_fan(place: Place) -> str:
    room = secrets.token_hex(4)
    sender = await place.join(room, "ada")
    receivers = [await place.join(room, f"r{index}") for index in range(RECEIVERS)]
    await sender.until(lambda: _others(sender.room) == RECEIVERS, "all receivers")
    arrived = 0

    def count(_packet: rtc.DataPacket) -> None:
        nonlocal arrived
        arrived += 1

    for receiver in receivers:
        receiver.room.on("data_received", count)
    meter = CpuMeter([place.server.pid])
    before_s, began_s = meter.read(), time.monotonic()
    sent = int(FAN_S * RATE_PER_S)
    for index in range(sent):
        await asyncio.sleep(max(0.0, began_s + index / RATE_PER_S - time.monotonic()))
        await sender.room.local_participant.publish_data(bytes(MESSAGE_BYTES), reliable=False)
    took_s = time.monotonic() - began_s
    await asyncio.sleep(1.0)
    cpu_s = meter.read() - before_s
    for caller in (sender, *receivers):
        await caller.leave()
    share = arrived / (sent * RECEIVERS)
    per_message_us = 1e6 * cpu_s / max(1, arrived)
    return f"{per_message_us:.1f} us CPU per delivered message; {100 * share:.1f} % arrived, {sent / took_s:.0f} sent/s"


async def row_call(place: Place) -> str:
    speaker, listener = await place.pair()
    await speaker.publish_melody()
    ear = await listener.listen("ada")
    await ear.received(2.0)
    pairs = [await place.pair() for _ in range(FILES_BESIDE)]
    begin = await ear.received(1.0)
    began_s = time.monotonic()
    size = place.file_bytes
    await asyncio.gather(*(pass_file(sender, receiver, size) for sender, receiver in pairs))
    took_s = time.monotonic() - began_s
    gap_ms = tone.longest_gap_ms(ear.since(begin))
    for caller in (speaker, listener, *(one for pair in pairs for one in pair)):
        await caller.leave()
    return f"longest gap {gap_ms} ms while {FILES_BESIDE} x {size / 1e6:.0f} MB passed in {took_s:.1f} s"


async def row_join(place: Place) -> str:
    generator = Generator()
    joined_ms: list[float] = []
    failures: Counter[str] = Counter()
    people: list[LiveKitParticipant] = []
    meter = CpuMeter([place.server.pid])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        async def join(number: int, after_s: float) -> None:
            await asyncio.sleep(after_s)
            seat = Seat(number % JOIN_ROOMS, number, (), subscribe=True, sample=False, start_in_s=0.0)
            token = place.token(f"room{seat.room}", f"p{number}")
            person = LiveKitParticipant(
                generator, http, place.server.url, token, seat, nack=True, timeout_s=JOIN_TIMEOUT_S
            )
            people.append(person)
            began_s = time.monotonic()
            try:
                await person.join()
                joined_ms.append(1e3 * (time.monotonic() - began_s))
            except LoadError as error:
                failures[str(error)] += 1

        # What a server loads for its first call is no part of 500.
        await join(0, 0.0)
        await asyncio.sleep(1.0)
        joined_ms.clear()
        before_s, began_s = meter.read(), time.monotonic()
        await asyncio.gather(*(join(number, number / JOINS_PER_S) for number in range(1, JOINS + 1)))
        took_s = time.monotonic() - began_s
        await asyncio.sleep(1.0)
        cpu_s = meter.read() - before_s
        await asyncio.gather(*(person.leave() for person in people), return_exceptions=True)
    generator.close()
    failed = f", failed: {dict(failures)}" if failures else ""
    return (
        f"{1e3 * cpu_s / max(1, len(joined_ms)):.2f} ms CPU per join; {len(joined_ms)} in {took_s:.1f} s, "
        f"p50 {statistics.median(joined_ms):.0f} ms{failed}"
    )


ROWS = {"file": row_file, "fan": row_fan, "call": row_call, "join": row_join}


async def measure(name: str, row: str, megabytes: float, cpus: set[int]) -> str:
    folder = Path(tempfile.mkdtemp(prefix="ting-bench-"))
    server = SERVERS[name]()
    try:
        await server.start(folder, cpus)
        return await ROWS[row](Place(server, int(megabytes * 1e6)))
    except (RuntimeError, TimeoutError, AssertionError, rtc.ConnectError, rtc.StreamError) as error:
        return f"failed: {str(error) or type(error).__name__}"
    finally:
        await server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--servers", nargs="*", choices=list(SERVERS), default=list(SERVERS))
    parser.add_argument("--megabytes", type=float, default=20.0)
    options = parser.parse_args()
    if "ting-before" in options.servers:
        build_before()
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpus[-1]})
    for row in options.rows:
        for name in options.servers:
            is_there = SERVERS[name]().version() is not None
            words = "not installed"
            if is_there:
                words = asyncio.run(measure(name, row, options.megabytes, {cpus[0]}))
            print(f"{row:5} {name:15} {words}", flush=True)


if __name__ == "__main__":
    main()

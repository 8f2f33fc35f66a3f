"""Memory under churn: rooms in which participants join, publish, are heard and leave, again and again.

    python benchmarks/bench_churn.py [--engine auto] [--minutes 10] [--rooms 4] [--participants 6]

Every participant has a transport with its socket, an audio track, and subscriptions to everyone else of its room. One
after the other the oldest of a room leaves and a new one joins and speaks. Resident memory is sampled once a second;
the first tenth of the time is warm-up. Exit status 1 when the second half grew above the first by more than 2 %.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import deque
from itertools import count
from pathlib import Path as FilePath
from statistics import mean

sys.path.insert(0, str(FilePath(__file__).resolve().parent.parent))

from benchmarks.bench_forward import (
    EXTENSIONS,
    FIRST_PUBLISHER,
    VIDEO_SSRC,
    Publisher,
    make_keys,
    open_on_free_port,
    run_loop,
    subscription_config,
)
from benchmarks.bench_latency import resident_bytes
from sfu.engine import create_runtime, engine_name
from sfu.engine.api import (
    Address,
    Codec,
    EngineCommands,
    InboundLayer,
    InboundPayload,
    Kind,
    Path,
    TrackConfig,
    TransportConfig,
)
from sfu.ids import TrackHandle, TransportHandle

PACKETS = 5
"""What each participant says before the next one leaves."""
PAUSE_S = 0.002
ALLOWED_GROWTH = 0.02


class Participant:
    """One transport that publishes one audio track and receives those of the others."""

    def __init__(self, commands: EngineCommands, server: Address, number: int, group: int) -> None:
        self._commands = commands
        self.voice = Publisher("audio", server, number)
        self.transport: TransportHandle = commands.add_transport(TransportConfig(group=group, max_packets_per_s=0))
        commands.set_srtp(self.transport, make_keys(FIRST_PUBLISHER + number))
        commands.set_path(self.transport, Path("udp", server, self.voice.socket.getsockname()))
        payloads = (InboundPayload(111, Codec.OPUS, 48_000),)
        layers = (InboundLayer(ssrc=VIDEO_SSRC),)
        config = TrackConfig(Kind.AUDIO, payloads, layers, mid="0", extensions=EXTENSIONS)
        self.track: TrackHandle = commands.add_track(self.transport, config)
        self._index = 0
        self.voice.socket.setblocking(False)

    def hear(self, track: TrackHandle) -> None:
        self._index += 1
        subscription = self._commands.add_subscription(self.transport, track, subscription_config("audio", self._index))
        self._commands.set_subscription_paused(subscription, False)

    def drain(self) -> int:
        received = 0
        try:
            while True:
                self.voice.socket.recv(2048)
                received += 1
        except (BlockingIOError, ConnectionRefusedError):
            return received

    def leave(self) -> None:
        self._commands.remove_transport(self.transport)
        self.voice.socket.close()


async def churn(engine: str, minutes: float, rooms: int, participants: int) -> tuple[list[float], int, int]:
    """Samples of resident memory in MiB, joins, and packets that arrived."""
    runtime = create_runtime(engine, seed=1)
    server = await open_on_free_port(runtime)
    numbers = count()
    halls: list[deque[Participant]] = [deque() for _ in range(rooms)]
    samples: list[float] = []
    joins = received = 0
    end, next_sample = time.monotonic() + minutes * 60, 0.0
    while (now := time.monotonic()) < end:
        if now >= next_sample:
            samples.append(resident_bytes() / 2**20)
            next_sample = now + 1
        group = joins % rooms
        hall = halls[group]
        if len(hall) >= participants:
            hall.popleft().leave()
        new = Participant(runtime.commands, server, next(numbers) % 4000, group)
        for other in hall:
            other.hear(new.track)
            new.hear(other.track)
        hall.append(new)
        joins += 1
        for _ in range(PACKETS):
            new.voice.send_frame()
            await asyncio.sleep(PAUSE_S)
            received += sum(one.drain() for one in hall)
    for hall in halls:
        while hall:
            hall.popleft().leave()
    left = runtime.commands.stats()
    if left.transports or left.tracks or left.subscriptions:
        raise AssertionError("something stayed in the engine")
    await runtime.close()
    return samples, joins, received


def main() -> int:
    parser = argparse.ArgumentParser(description="Memory while participants come and go.")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rooms", type=int, default=4)
    parser.add_argument("--participants", type=int, default=6)
    options = parser.parse_args()
    samples, joins, received = run_loop(churn(options.engine, options.minutes, options.rooms, options.participants))
    samples = samples[len(samples) // 10 :]
    half = len(samples) // 2
    first, second = mean(samples[:half]), mean(samples[half:])
    growth = second / first - 1
    print(
        f"{engine_name(options.engine)}: {joins} joins and leaves, {received} packets arrived; resident "
        f"{samples[0]:.1f} MiB after the warm-up, {samples[-1]:.1f} MiB at the end, "
        f"second half {growth:+.2%} against the first"
    )
    return 1 if growth > ALLOWED_GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())

"""Calls on bad lines: what a person sees and hears, with two real SDK clients and a line between.

    python -m benchmarks.bench_lines [--rows clean narrow start up loss-up …] [--servers ting livekit] [--seed 1]

One publishes a numbered picture (480x270, 12 a second, one layer of 500 kbit/s) and a melody over LiveKit's Python SDK,
the other receives them; one of the two is behind the line. Each line has every server that is installed, one after the
other. Prints a row for each: when the first picture came, frames a second, how late pictures are (95th percentile), the
longest time without one, how long after the line was good again one came that was on time, the share of sound that was
made up, and the longest time without new sound. Figures are of the time that the line was bad, of everything where it
always was. `joins` (1 Mbit/s), `two` (behind one line of 3 Mbit/s) and `eight` (publishers to one of 1.5 Mbit/s) have
more people and print a sentence.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import time
from dataclasses import dataclass
from itertools import pairwise

from livekit import rtc

from benchmarks.line import build
from benchmarks.line_meeting import GOOD, meeting
from benchmarks.line_servers import SERVERS, LineServer, installed
from benchmarks.lines_beyond import BEYOND
from tests.harness import tone
from tests.harness.media import PatternReader, PatternSource, SoundReader

SOURCE, SIZE, FPS, BITRATE_BPS = 3, (480, 270), 12, 500_000
LAYERED_SIZE = (640, 360)
ON_TIME_S = 0.6
END_S = 36.0


@dataclass(frozen=True)
class Row:
    """From `begin_s` to `end_s` one direction of the line is `bad`, `good` before and after; the publisher is behind it
    where `is_up`."""

    bad: str
    begin_s: float = 0.0
    end_s: float = END_S
    is_up: bool = False
    good: str = GOOD
    has_layers: bool = False
    """The picture is larger and comes in two layers, of which the sender is asked for those that are wanted."""


NARROW = "delay_ms=40 rate_kbps=220 queue_ms=300"
ROWS = {
    "clean": Row(GOOD),
    "narrow": Row(NARROW, 12, 30),
    "start": Row("delay_ms=40 rate_kbps=250 queue_ms=300"),
    "up": Row(NARROW, 12, 30, is_up=True),
    "up-layers": Row(NARROW, 12, 30, is_up=True, has_layers=True),
    "loss-up": Row("delay_ms=40 loss_permille=100", is_up=True),
    "loss-down": Row("delay_ms=40 loss_permille=100"),
    "loss20-down": Row("delay_ms=40 loss_permille=200"),
    "bursts": Row("delay_ms=40 loss_permille=50 burst=8"),
    "jitter": Row("delay_ms=40 jitter_ms=80 loss_permille=10"),
    "dip": Row("delay_ms=40 rate_kbps=50 queue_ms=300", 12, 22, good="delay_ms=40 rate_kbps=2000 queue_ms=300"),
}


@dataclass
class Sound:
    received: int = 0
    concealed: int = 0
    position: int = 0
    """Of the reader."""


class Shown:
    """What the receiver saw and heard, on a clock that begins when it was there."""

    def __init__(self, source: PatternSource, reader: PatternReader, began_s: float) -> None:
        self.began_s = began_s
        self.frames = [
            (frame.at_s - began_s, frame.at_s - source.shown_at_s[frame.mark.number])
            for frame in reader.frames
            if frame.mark is not None and frame.mark.number in source.shown_at_s
        ]
        """(when, how late)."""

    def row(self, row: Row) -> list[str]:
        if not self.frames:
            return ["never", "0.0", "–", f"{row.end_s - row.begin_s:.2f}", "–"]
        first_s = self.frames[0][0]
        inside = [one for one in self.frames if row.begin_s <= one[0] < row.end_s]
        late_s = sorted(late_s for _, late_s in inside)
        p95_s = late_s[int(0.95 * len(late_s))] if late_s else math.nan
        times_s = [max(row.begin_s, first_s), *(at_s for at_s, _ in inside), row.end_s]
        gap_s = max(after - before for before, after in pairwise(times_s))
        back = [at_s for at_s, late_s in self.frames if at_s >= row.end_s and late_s <= ON_TIME_S]
        rate = len(inside) / (row.end_s - max(row.begin_s, first_s))
        back_text = f"{back[0] - row.end_s:.2f}" if back and row.end_s < END_S else "–"
        return [f"{1000 * first_s:.0f}", f"{rate:.1f}", f"{p95_s:.2f}", f"{gap_s:.2f}", back_text]


async def sound_of(track: rtc.Track, reader: SoundReader) -> Sound:
    stats = [one.inbound_rtp.inbound for one in await track.get_stats() if one.HasField("inbound_rtp")]
    received, concealed = sum(one.total_samples_received for one in stats), sum(one.concealed_samples for one in stats)
    return Sound(received, concealed, reader.position)


async def measure(server: LineServer, row: Row, seed: int) -> list[str]:
    direction = "up" if row.is_up else "down"
    begins_with = row.bad if row.begin_s == 0 else row.good
    async with meeting(server, seed, **{direction: begins_with}) as people:
        sender = await people.join("sender", is_behind=row.is_up, dynacast=row.has_layers)
        size = LAYERED_SIZE if row.has_layers else SIZE
        await sender.publish_pattern(
            SOURCE, size=size, fps=FPS, bitrate_bps=BITRATE_BPS, noisy=True, simulcast=row.has_layers
        )
        source = next(one for one in sender._sources if isinstance(one, PatternSource))
        await sender.publish_melody()
        receiver = await people.join("receiver", is_behind=not row.is_up)
        await receiver.subscribed("sender", rtc.TrackKind.KIND_VIDEO, 30)
        began_s = time.monotonic()
        reader = await receiver.watch("sender", 30, keeps_all=True)
        ear = await receiver.listen("sender", 30)
        sound, _ = await receiver.subscribed("sender", rtc.TrackKind.KIND_AUDIO, 30)
        marks: list[Sound] = []
        for at_s, words in ((row.begin_s, row.bad), (row.end_s, row.good)):
            await asyncio.sleep(max(0.0, began_s + at_s - time.monotonic()))
            people.line.set(direction, words)
            marks.append(await sound_of(sound, ear))
        await asyncio.sleep(max(0.0, began_s + END_S - time.monotonic()))
        shown = Shown(source, reader, began_s)
        silent_ms = tone.longest_gap_ms(ear.since(marks[0].position)[: marks[1].position - marks[0].position])
    received, concealed = marks[1].received - marks[0].received, marks[1].concealed - marks[0].concealed
    return [*shown.row(row), f"{100 * concealed / max(1, received):.1f}", f"{silent_ms}"]


async def print_row(name: str, server: LineServer, seed: int) -> None:
    if name in BEYOND:
        print(f"{name}, {server.name}: {await BEYOND[name](server, seed)}", flush=True)
        return
    cells = await measure(server, ROWS[name], seed)
    print(f"| {name} | {server.name} | {' | '.join(cells)} |", flush=True)


async def run(names: list[str], server_names: list[str], seed: int) -> None:
    print("| line | | first picture, ms | frames/s | late p95, s | longest gap, s | back after, s | concealed, % "
          "| sound gap, ms |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    servers = [SERVERS[name]() for name in server_names]
    for server in servers:
        await server.start()
    for name in names:
        for server in servers:
            try:
                await print_row(name, server, seed)
            except rtc.ConnectError as error:
                print(f"{name}, {server.name}: once more, as nobody came in: {error}", flush=True)
                await print_row(name, server, seed)
    for server in servers:
        await server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    rows = [*ROWS, *BEYOND]
    parser.add_argument("--rows", nargs="*", choices=rows, default=rows)
    parser.add_argument("--servers", nargs="*", choices=list(SERVERS), default=installed())
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    build()
    asyncio.run(run(arguments.rows, arguments.servers, arguments.seed))


if __name__ == "__main__":
    main()

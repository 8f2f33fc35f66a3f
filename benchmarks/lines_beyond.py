"""Bad lines with more than two people: many who join, many who are watched, two who share a line (`bench_lines`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from livekit import rtc

from benchmarks.line_meeting import meeting
from benchmarks.line_servers import LineServer
from benchmarks.load.media import Layer
from benchmarks.recorded import recorded
from tests.harness.media import PatternReader

SETTLE_S, MEASURE_S = 8.0, 20.0
JOINS = 20
SHARED_LAYERS = (
    Layer("q", 320, 180, 15, 300_000), Layer("h", 640, 360, 15, 1_200_000), Layer("f", 1280, 720, 15, 2_500_000),
)  # fmt: skip
SHOWN = 8
SHOWN_LAYERS = (Layer("q", 320, 180, 15, 160_000), Layer("h", 1280, 720, 15, 1_700_000))


async def first_pictures(server: LineServer, seed: int) -> str:
    """From when the receiver knows of the track to its first picture."""
    async with meeting(server, seed, down="delay_ms=40 rate_kbps=1000 queue_ms=300") as people:
        sender = await people.join("sender")
        await sender.publish_pattern(1, size=(480, 270), fps=12, bitrate_bps=500_000, noisy=True)
        await sender.publish_melody()
        took_ms: list[float] = []
        for number in range(JOINS):
            receiver = await people.join(f"receiver {number}", is_behind=True)
            await receiver.subscribed("sender", rtc.TrackKind.KIND_VIDEO)
            began_s = time.monotonic()
            reader = await receiver.watch("sender")
            await reader.until(lambda reader=reader: reader.frames, "a first picture", 30)  # type: ignore[misc]
            took_ms.append(1000 * (reader.frames[0].at_s - began_s))
            await people.leave(receiver)
    took_ms.sort()
    p50, p95 = took_ms[len(took_ms) // 2], took_ms[int(0.95 * len(took_ms))]
    return f"first picture p50 {p50:.0f} ms, p95 {p95:.0f} ms of {JOINS} joins"


async def _bytes_of(track: rtc.Track) -> int:
    stats = [one.inbound_rtp.inbound for one in await track.get_stats() if one.HasField("inbound_rtp")]
    return sum(one.bytes_received for one in stats)


def _frame_rate(reader: PatternReader, began_s: float) -> float:
    seen = [frame for frame in reader.frames if frame.at_s >= began_s and frame.mark is not None]
    return len(seen) / (time.monotonic() - began_s)


async def two_share(server: LineServer, seed: int) -> str:
    clips = await asyncio.to_thread(recorded, 1, SHARED_LAYERS)
    async with meeting(server, seed, down="delay_ms=40 rate_kbps=3000 queue_ms=300") as people:
        await people.publish_recorded("sender", clips)
        receivers = [await people.join(f"receiver {number}", is_behind=True) for number in range(2)]
        tracks = [(await one.subscribed("sender", rtc.TrackKind.KIND_VIDEO))[0] for one in receivers]
        readers = [await one.watch("sender", keeps_all=True) for one in receivers]
        await asyncio.sleep(SETTLE_S)
        began_s, before = time.monotonic(), [await _bytes_of(one) for one in tracks]
        await asyncio.sleep(MEASURE_S)
        received = [await _bytes_of(one) - earlier for one, earlier in zip(tracks, before, strict=True)]
        rates = [_frame_rate(one, began_s) for one in readers]
        heights = [one.frames[-1].height for one in readers]
    share = 100 * min(received) / max(1, sum(received))
    return (
        f"shares {share:.0f}:{100 - share:.0f}, together {8 * sum(received) / MEASURE_S / 1e6:.2f} Mbit/s, "
        f"{rates[0]:.1f} and {rates[1]:.1f} frames/s of height {heights[0]} and {heights[1]}"
    )


async def eight_shown(server: LineServer, seed: int) -> str:
    """Eight pictures to one who has room for less than one of them, and one voice."""
    pictures = await asyncio.to_thread(lambda: [recorded(number, SHOWN_LAYERS) for number in range(SHOWN)])
    async with meeting(server, seed, down="delay_ms=40 rate_kbps=1500 queue_ms=300") as people:
        voice = await people.join("voice")
        await voice.publish_melody()
        for number, clips in enumerate(pictures):
            await people.publish_recorded(f"sender {number}", clips)
        receiver = await people.join("receiver", is_behind=True)
        sound, _ = await receiver.subscribed("voice", rtc.TrackKind.KIND_AUDIO)
        readers = [await receiver.watch(f"sender {number}", keeps_all=True) for number in range(SHOWN)]
        await asyncio.sleep(SETTLE_S)
        began_s, before = time.monotonic(), await _sound_of(sound)
        await asyncio.sleep(MEASURE_S)
        after = await _sound_of(sound)
        rates = sorted(_frame_rate(one, began_s) for one in readers)
        heights = sorted(one.frames[-1].height if one.frames else 0 for one in readers)
    concealed = 100 * (after[1] - before[1]) / max(1, after[0] - before[0])
    return (
        f"frames/s of each {' '.join(f'{one:.1f}' for one in rates)}, heights {heights[0]} to {heights[-1]}, "
        f"sound concealed {concealed:.1f} %"
    )


async def _sound_of(track: rtc.Track) -> tuple[int, int]:
    """Samples received, and made up."""
    stats = [one.inbound_rtp.inbound for one in await track.get_stats() if one.HasField("inbound_rtp")]
    return sum(one.total_samples_received for one in stats), sum(one.concealed_samples for one in stats)


BEYOND: dict[str, Callable[[LineServer, int], Awaitable[str]]] = {
    "joins": first_pictures,
    "two": two_share,
    "eight": eight_shown,
}

"""A load test from the first join to the last leave."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.load import process
from benchmarks.load.decode import decode_sample
from benchmarks.load.errors import LoadError
from benchmarks.load.media import Clip
from benchmarks.load.participant import Figures, MediaParticipant, Seat
from benchmarks.load.statistics import Latencies, percentile
from benchmarks.load.transport import Generator, LinkConditions

SECOND_S = 1.0
BUSY_SHARE = 0.85
"""Of a core; above it the generator may have been the limit."""
MAX_LATE_MS = 100.0
"""A frame that was sent later than this was held up by the generator."""

SETTLE_S = 1.0
"""Between the last join and the measured time: pictures from before a join, which a server may send again to whoever
comes late, are old when they arrive, and no delay of the server."""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What to do."""

    rooms: int
    publishers: int
    subscribers: int
    publishers_receive: bool
    clips: Sequence[Sequence[Clip]]
    """One entry per track of each publisher."""
    duration_s: float
    ramp_per_s: float
    churn_per_s: float
    uplink: LinkConditions
    downlink: LinkConditions
    server_pids: Sequence[int]
    make: Callable[[Generator, Seat], MediaParticipant]


@dataclass(slots=True)
class Second:
    """One second of the test, for the live view and the plot."""

    at_s: float
    joined: int
    packets_per_s: float
    mbit_per_s: float
    lost_per_s: float
    latency_p50_ms: float | None
    latency_p99_ms: float | None


@dataclass(slots=True)
class LoadResult:
    """Everything measured. Times in ms unless the name says otherwise; None where there was nothing to measure."""

    joins: int = 0
    join_failures: dict[str, int] = field(default_factory=dict)
    put_out: dict[str, int] = field(default_factory=dict)
    join_p50_ms: float | None = None
    join_p95_ms: float | None = None
    streams_expected: int = 0
    streams_received: int = 0
    packets_sent: int = 0
    packets_received: int = 0
    bytes_received: int = 0
    packets_lost: int = 0
    loss_percent: float = 0.0
    packets_recovered: int = 0
    packets_reordered: int = 0
    duplicates: int = 0
    nacks: int = 0
    retransmissions_to_server: int = 0
    keyframe_requests: int = 0
    auth_failures: int = 0
    unknown_ssrc: int = 0
    malformed: int = 0
    link_drops: int = 0
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_p99_ms: float | None = None
    first_frame_p50_ms: float | None = None
    first_frame_p95_ms: float | None = None
    frames: int = 0
    freezes: int = 0
    frozen_s: float = 0.0
    decoded_frames: int = 0
    decode_errors: int = 0
    srtp_profile: str = ""
    measured_s: float = 0.0
    packets_per_s: float = 0.0
    mbit_per_s: float = 0.0
    bytes_per_packet: float = 0.0
    generator_cpu_percent: float = 0.0
    generator_media_cpu_percent: float = 0.0
    generator_max_late_ms: float = 0.0
    generator_was_the_limit: bool = False
    server_cpu_percent: float | None = None
    server_packets_per_cpu_s: float | None = None
    server_mbit_per_cpu_s: float | None = None
    server_cpu_us_per_packet: float | None = None
    server_rss_bytes: int | None = None
    server_idle_rss_bytes: int | None = None
    """Before the first join."""
    series: list[Second] = field(default_factory=list)


class LoadTest:
    """`run` does it all; `on_second` hears of each second."""

    def __init__(self, plan: LoadPlan, on_second: Callable[[Second, str], None]) -> None:
        self._plan = plan
        self._on_second = on_second
        self._result = LoadResult()
        self._present: dict[tuple[int, int], MediaParticipant] = {}
        self._join_times: list[float] = []
        self._failures: Counter[str] = Counter()
        self._put_out: Counter[str] = Counter()
        self._first_frames: list[float] = []
        self._latencies = Latencies()
        self._max_late_ns = 0
        self._random = random.Random(1)
        self._server_cpu = process.CpuMeter(plan.server_pids)
        self._generator: Generator

    async def run(self) -> LoadResult:
        self._generator = Generator(self._plan.uplink, self._plan.downlink)
        raise_file_limit()
        if self._plan.server_pids:
            self._result.server_idle_rss_bytes = self._server_rss()
        try:
            await self._join_everyone()
            await self._measure()
            await self._finish()
        finally:
            await asyncio.gather(*(one.leave() for one in self._present.values()), return_exceptions=True)
            self._generator.close()
        return self._result

    # --- joining ------------------------------------------------------------------------------------------------

    def _seats(self) -> list[tuple[int, int]]:
        """Publishers of every room first, so that subscribers find something to receive."""
        plan = self._plan
        publishers = [(room, seat) for seat in range(plan.publishers) for room in range(plan.rooms)]
        last = plan.publishers + plan.subscribers
        return publishers + [(room, seat) for seat in range(plan.publishers, last) for room in range(plan.rooms)]

    async def _join_everyone(self) -> None:
        interval_s = 1 / self._plan.ramp_per_s
        start_s = time.monotonic()
        joining: set[asyncio.Task[None]] = set()
        ticker = asyncio.create_task(self._tick("joining"))
        try:
            for index, seat in enumerate(self._seats()):
                await asyncio.sleep(start_s + index * interval_s - time.monotonic())
                joining.add(asyncio.create_task(self._join(seat)))
            await asyncio.gather(*joining)
        finally:
            ticker.cancel()
        if not self._present:
            reasons = ", ".join(f"{reason} ({count})" for reason, count in self._failures.items())
            raise LoadError(f"nobody could join: {reasons}")

    async def _join(self, seat: tuple[int, int]) -> None:
        plan = self._plan
        room, number = seat
        publishes = number < plan.publishers
        # Frames of the publishers are spread over their period, as those of people are.
        start_in_s = self._random.random() * 0.05
        taken = Seat(
            room=room,
            number=number,
            publish=plan.clips if publishes else (),
            subscribe=plan.publishers_receive or not publishes,
            sample=number == plan.publishers + plan.subscribers - 1 and room == 0,
            start_in_s=start_in_s,
        )
        participant = plan.make(self._generator, taken)
        self._result.joins += 1
        try:
            await participant.join()
        except LoadError as error:
            self._failures[str(error)] += 1
            await participant.leave()
            return
        self._present[seat] = participant
        if participant.timings.join_s is not None:
            self._join_times.append(participant.timings.join_s * 1000)

    # --- measuring ----------------------------------------------------------------------------------------------

    async def _measure(self) -> None:
        plan = self._plan
        await asyncio.sleep(SETTLE_S)
        self._generator.native.take_latencies()
        before = self._totals()
        churn = asyncio.create_task(self._churn()) if plan.churn_per_s else None
        ticker = asyncio.create_task(self._tick("measuring"))
        try:
            await asyncio.sleep(plan.duration_s)
        finally:
            for task in (ticker, churn):
                if task is not None:
                    task.cancel()
            await asyncio.gather(*(task for task in (ticker, churn) if task), return_exceptions=True)
        self._latencies.add(self._generator.native.take_latencies())
        self._rates(before, self._totals())

    def _totals(self) -> dict[str, float]:
        packets, size, sent, lost = self._generator.native.totals()
        return {
            "at_s": time.monotonic(),
            "packets": packets,
            "bytes": size,
            "sent": sent,
            "lost": lost,
            "cpu_s": time.process_time(),
            "media_cpu_s": self._generator.native.cpu_ns() / 1e9,
            "server_cpu_s": self._server_cpu.read(),
            "server_rss": self._server_rss(),
        }

    def _server_rss(self) -> int:
        return process.resident_bytes(process.tree(self._plan.server_pids))

    def _rates(self, before: dict[str, float], after: dict[str, float]) -> None:
        result = self._result
        change = {name: after[name] - before[name] for name in after}
        seconds = result.measured_s = change["at_s"]
        result.packets_per_s = change["packets"] / seconds
        result.mbit_per_s = change["bytes"] * 8e-6 / seconds
        result.bytes_per_packet = change["bytes"] / change["packets"] if change["packets"] else 0.0
        result.generator_cpu_percent = 100 * change["cpu_s"] / seconds
        result.generator_media_cpu_percent = 100 * change["media_cpu_s"] / seconds
        if self._plan.server_pids:
            cpu_s = change["server_cpu_s"]
            result.server_cpu_percent = 100 * cpu_s / seconds
            result.server_rss_bytes = round(after["server_rss"])
            if cpu_s and change["packets"]:
                result.server_packets_per_cpu_s = change["packets"] / cpu_s
                result.server_mbit_per_cpu_s = change["bytes"] * 8e-6 / cpu_s
                result.server_cpu_us_per_packet = 1e6 * cpu_s / change["packets"]

    async def _churn(self) -> None:
        """Leave and come back, one after another, subscribers first where there are any."""
        plan = self._plan
        seats = [seat for seat in self._seats() if seat[1] >= plan.publishers] or self._seats()
        while True:
            await asyncio.sleep(1 / plan.churn_per_s)
            seat = self._random.choice(seats)
            participant = self._present.pop(seat, None)
            if participant is not None:
                self._collect(participant)
                await participant.leave()
            await self._join(seat)

    async def _tick(self, phase: str) -> None:
        last = self._totals()
        while True:
            await asyncio.sleep(SECOND_S)
            now = self._totals()
            seconds = now["at_s"] - last["at_s"]
            latencies = Latencies()
            latencies.add(buckets := self._generator.native.take_latencies())
            if phase == "measuring":
                self._latencies.add(buckets)
            second = Second(
                at_s=now["at_s"],
                joined=len(self._present),
                packets_per_s=max(0.0, now["packets"] - last["packets"]) / seconds,
                mbit_per_s=max(0.0, now["bytes"] - last["bytes"]) * 8e-6 / seconds,
                lost_per_s=max(0.0, now["lost"] - last["lost"]) / seconds,
                latency_p50_ms=latencies.percentile_ms(0.5),
                latency_p99_ms=latencies.percentile_ms(0.99),
            )
            self._result.series.append(second)
            self._on_second(second, phase)
            last = now

    # --- adding up ----------------------------------------------------------------------------------------------

    async def _finish(self) -> None:
        result, plan = self._result, self._plan
        participants = list(self._present.values())
        for participant in participants:
            self._collect(participant)
            failure = getattr(participant, "failure", None)
            if failure is not None:
                self._put_out[str(failure)] += 1
        per_room: Counter[int] = Counter(room for room, number in self._present if number < plan.publishers)
        for room, number in self._present:
            publishes = number < plan.publishers
            if plan.publishers_receive or not publishes:
                result.streams_expected += (per_room[room] - publishes) * len(plan.clips)
        sample = next((one for one in participants if one.sampled is not None), None)
        if sample is not None and sample.sampled is not None:
            frames = self._generator.native.take_frames(*sample.sampled)
            codec = next((clips[0].codec for clips in plan.clips if clips[0].codec != "opus"), "")
            # Synthetic packets are no pictures.
            if codec and all(clips[0].is_decodable for clips in plan.clips if clips[0].codec == codec):
                result.decoded_frames, result.decode_errors = await asyncio.to_thread(decode_sample, codec, frames)
        self._summarise()

    def _collect(self, participant: MediaParticipant) -> None:
        figures: Figures = participant.figures()
        result = self._result
        for one in figures.receivers:
            self._add_receiver(one)
        for one in figures.senders:
            result.packets_sent += one["packets"]
            result.retransmissions_to_server += one["retransmitted"]
            result.keyframe_requests += one["keyframe_requests"]
            self._max_late_ns = max(self._max_late_ns, one["max_late_ns"])
        result.auth_failures += figures.auth_failures
        result.unknown_ssrc += figures.unknown_ssrc
        result.link_drops += figures.link_drops
        result.srtp_profile = next((one.profile for one in participant.transports if one.profile), result.srtp_profile)

    def _add_receiver(self, one: dict[str, Any]) -> None:
        result = self._result
        result.packets_received += one["packets"]
        result.bytes_received += one["bytes"]
        result.packets_lost += one["lost"]
        result.packets_recovered += one["recovered"]
        result.packets_reordered += one["reordered"]
        result.duplicates += one["duplicates"]
        result.nacks += one["nacks"]
        result.malformed += one["malformed"]
        result.frames += one["frames"]
        result.freezes += one["freezes"]
        result.frozen_s += one["frozen_ns"] / 1e9
        result.streams_received += one["packets"] > 0
        if one["first_frame_at_ns"]:
            self._first_frames.append((one["first_frame_at_ns"] - one["created_at_ns"]) / 1e6)

    def _summarise(self) -> None:
        result = self._result
        expected = result.packets_received + result.packets_lost
        result.loss_percent = 100 * result.packets_lost / expected if expected else 0.0
        result.join_failures, result.put_out = dict(self._failures), dict(self._put_out)
        result.join_p50_ms, result.join_p95_ms = (percentile(self._join_times, share) for share in (0.5, 0.95))
        result.first_frame_p50_ms = percentile(self._first_frames, 0.5)
        result.first_frame_p95_ms = percentile(self._first_frames, 0.95)
        result.latency_p50_ms, result.latency_p95_ms, result.latency_p99_ms = (
            self._latencies.percentile_ms(share) for share in (0.5, 0.95, 0.99)
        )
        result.generator_max_late_ms = self._max_late_ns / 1e6
        busy = max(
            result.generator_media_cpu_percent, result.generator_cpu_percent - result.generator_media_cpu_percent
        )
        result.generator_was_the_limit = busy > 100 * BUSY_SHARE or result.generator_max_late_ms > MAX_LATE_MS


def raise_file_limit() -> None:
    """Each participant has up to three sockets: take what the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

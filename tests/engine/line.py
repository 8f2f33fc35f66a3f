"""A line between a sender that follows an `Estimator` and a receiver that gives transport-wide feedback, on a virtual
clock. Everything is in whole milliseconds of the clock and comes from a seed."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

from sfu.engine.api import OVERHEAD_BYTES
from sfu.engine.reference.congestion.estimate import Estimator
from sfu.engine.reference.congestion.probe import PADDING_BYTES

MS = 1_000_000
SECOND = 1_000 * MS
AUDIO_BYTES = 80
VIDEO_BYTES = 1_000


@dataclass
class Line:
    """One bottleneck, shared by all that send over it."""

    rate_bps: Callable[[int], int]
    """By the time in ms."""
    queue_ms: int = 300
    delay_ms: int = 40
    jitter_ms: int = 0
    loss: float = 0.0
    free_at_ns: int = 0

    def carry(self, now_ns: int, size: int, chance: random.Random) -> int | None:
        """When it arrives; None when it is lost."""
        begins_ns = max(now_ns, self.free_at_ns)
        if begins_ns - now_ns > self.queue_ms * MS or chance.random() < self.loss:
            return None
        self.free_at_ns = begins_ns + size * 8 * SECOND // self.rate_bps(now_ns // MS)
        return self.free_at_ns + self.delay_ms * MS + int(chance.random() * self.jitter_ms * MS)


class Flow:
    """A sender and its receiver. `wanted_bps` is what all its video would take; without an estimate it sends that."""

    def __init__(self, line: Line, wanted_bps: int, *, seed: int = 1, layers_bps: tuple[int, ...] = ()) -> None:
        self.line, self.wanted_bps, self.layers_bps = line, wanted_bps, layers_bps
        self.chance = random.Random(seed)
        self.estimator = Estimator(1)
        self.estimator.probe.wanted_bps = wanted_bps
        self.next_seq = 1
        self.arrived: list[tuple[int, int]] = []
        self.flight: list[tuple[int, int, int]] = []
        self.credit = 0
        self.clock_offset_ns = self.chance.randrange(1000) * SECOND
        self.audio_delays_ms: list[tuple[int, int | None]] = []
        self.video_bps = 0
        self.history: list[tuple[int, int | None, int]] = []
        self.pending_feedback: list[tuple[int, list[tuple[int, int]]]] = []

    def send(self, now_ns: int, payload: int) -> int | None:
        self.estimator.sent(now_ns, payload)
        seq, self.next_seq = self.next_seq, self.next_seq + 1
        arrival_ns = self.line.carry(now_ns, payload + OVERHEAD_BYTES, self.chance)
        if arrival_ns is not None:
            heapq.heappush(self.flight, (arrival_ns, seq & 0xFFFF, payload + OVERHEAD_BYTES))
        return arrival_ns

    def rate(self) -> int:
        estimate = self.estimator.bitrate_bps
        limit = self.wanted_bps if estimate is None else min(self.wanted_bps, estimate)
        audio = 50 * 8 * (AUDIO_BYTES + OVERHEAD_BYTES)
        if not self.layers_bps:
            return max(0, limit - audio)
        return max((one for one in (0, *self.layers_bps) if one <= limit - audio), default=0)

    def hear(self, now_ms: int) -> None:
        """What arrived, by the receiver's feedback."""
        now_ns = now_ms * MS
        while self.flight and self.flight[0][0] <= now_ns:
            arrival_ns, seq, _ = heapq.heappop(self.flight)
            self.arrived.append((seq, (arrival_ns + self.clock_offset_ns) // 250_000 * 250_000))
        if now_ms % 100 == 0 and self.arrived:
            self.pending_feedback.append((now_ms + self.line.delay_ms, self.arrived))
            self.arrived = []
        while self.pending_feedback and self.pending_feedback[0][0] <= now_ms:
            _, received = self.pending_feedback.pop(0)
            first = received[0][0]
            in_order = sorted(received, key=lambda one: (one[0] - first + 0x8000) & 0xFFFF)
            self.estimator.handle_feedback(now_ns, in_order)

    def pad(self, now_ns: int) -> None:
        """What probes send."""
        for _ in range(self.estimator.run(now_ns)):
            self.send(now_ns, PADDING_BYTES)

    def step(self, now_ms: int) -> None:
        now_ns = now_ms * MS
        self.hear(now_ms)
        if now_ms % 20 == 0:
            arrival_ns = self.send(now_ns, AUDIO_BYTES)
            self.audio_delays_ms.append((now_ms, None if arrival_ns is None else (arrival_ns - now_ns) // MS))
        if now_ms % 33 == 0:
            self.video_bps = self.rate()
            self.credit += self.video_bps * 33 // 8_000
            while self.credit >= VIDEO_BYTES + OVERHEAD_BYTES:
                self.credit -= VIDEO_BYTES + OVERHEAD_BYTES
                self.send(now_ns, VIDEO_BYTES)
        if now_ms % 10 == 0:
            self.pad(now_ns)
            self.history.append((now_ms, self.estimator.bitrate_bps, self.video_bps))


def run(flows: list[Flow], until_ms: int, from_ms: int = 1) -> None:
    for now_ms in range(from_ms, until_ms):
        for flow in flows:
            flow.step(now_ms)

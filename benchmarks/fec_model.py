"""Whether FlexFEC would help beside resends: a model of one video on a line that loses, without sockets or codecs.

    python -m benchmarks.fec_model

A picture of `PACKETS` packets leaves every 1/12 s, as in bench_lines.py, and takes 40 ms each way. Each packet, resends
and repair packets too, is lost by chance. What is missing is asked for when a later packet shows it, and again every
round trip; each resend is sent twice, as the engines do from 10 % loss on. With FEC, each of m repair packets behind a
picture is the XOR of every m-th of its packets (FlexFEC-03, one dimension, RFC 8627 §1.1.1) and gives back one of them.
Printed: the share of pictures that are whole 100 and 250 ms after they left, when 95 % are, the longest time between
two pictures that are there with all before them in 36 s (median of the seeds), and what the repair adds to the bytes.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

PACKETS = 5
INTERVAL_MS = 1000 / 12
PACE_MS = 2.0
"""Between two packets of a picture."""
WAY_MS = 40.0
PICTURES = 36 * 12
SEEDS = 40
LOSSES = (0.10, 0.20)
REPAIR = (0, 1, 2)
"""Repair packets a picture."""
COPIES = 2
"""Of each resend."""


@dataclass
class Outcome:
    """When each picture was whole, and how many packets were sent for them."""

    whole_ms: list[float]
    sent: int


def play(loss: float, repair: int, seed: int) -> Outcome:
    chance = random.Random(seed)
    sent = 0

    def arrives() -> bool:
        nonlocal sent
        sent += 1
        return chance.random() >= loss

    whole_ms: list[float] = []
    for _ in range(PICTURES):
        times = [index * PACE_MS + WAY_MS for index in range(PACKETS + repair)]
        here = [arrives() for _ in times]
        # The next picture's first packets show what is missing at the end of this one.
        shown_ms = [
            next((times[later] for later in range(index + 1, PACKETS + repair) if here[later]), INTERVAL_MS + WAY_MS)
            for index in range(PACKETS)
        ]
        got_ms = [times[index] if here[index] else _resent_ms(shown_ms[index], arrives) for index in range(PACKETS)]
        for group in range(repair):
            members = range(group, PACKETS, repair)
            missing = [index for index in members if not here[index]]
            if here[PACKETS + group] and missing:
                # All but the last of them have come again by then.
                last = max(missing, key=lambda index: got_ms[index])
                others = [got_ms[index] for index in members if index != last]
                got_ms[last] = min(got_ms[last], max([*others, times[PACKETS + group]]))
        whole_ms.append(max(got_ms))
    return Outcome(whole_ms, sent)


def _resent_ms(shown_ms: float, arrives: Callable[[], bool]) -> float:
    """When a packet that is asked for at `shown_ms`, and every round trip after, has come."""
    at_ms = shown_ms + 2 * WAY_MS
    while not sum(arrives() for _ in range(COPIES)):
        at_ms += 2 * WAY_MS
    return at_ms


def longest_gap_ms(whole_ms: Sequence[float]) -> float:
    """Between two pictures that can be shown: each needs all before it."""
    shown = 0.0
    gaps: list[float] = []
    for number, after_ms in enumerate(whole_ms):
        at_ms = max(shown, number * INTERVAL_MS + after_ms)
        if number:
            gaps.append(at_ms - shown)
        shown = at_ms
    return max(gaps)


def main() -> None:
    sys.stdout.write("loss  repair  whole in 100 ms  in 250 ms  95 % after  longest gap  bytes\n")
    for loss in LOSSES:
        plain = sum(play(loss, 0, seed).sent for seed in range(SEEDS))
        for repair in REPAIR:
            runs = [play(loss, repair, seed) for seed in range(SEEDS)]
            times = sorted(one for run in runs for one in run.whole_ms)
            in_100, in_250 = (sum(one <= limit for one in times) / len(times) for limit in (100, 250))
            late_ms = times[int(0.95 * len(times))]
            gap_ms = statistics.median(longest_gap_ms(run.whole_ms) for run in runs)
            added = sum(run.sent for run in runs) / plain - 1
            sys.stdout.write(
                f"{loss:4.0%}  {repair:6}  {in_100:15.1%}  {in_250:9.1%}  {late_ms:7.0f} ms  {gap_ms:8.0f} ms  "
                f"{added:+5.0%}\n"
            )


if __name__ == "__main__":
    main()

"""What is seen while a load test runs: a live view on a terminal, a line per ten seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.load.run import Second

LINE_EVERY = 10


@contextlib.contextmanager
def make_view(participants: int, duration_s: float, *, quiet: bool) -> Iterator[Callable[[Second, str], None]]:
    if quiet:
        yield lambda _second, _phase: None
    elif not sys.stderr.isatty():
        yield _Lines(participants)
    else:
        with _live(participants, duration_s) as show:
            yield show


class _Lines:
    def __init__(self, participants: int) -> None:
        self._participants = participants
        self._seconds = 0

    def __call__(self, second: Second, phase: str) -> None:
        self._seconds += 1
        if self._seconds % LINE_EVERY == 0:
            sys.stderr.write(f"{phase}: {_words(second, self._participants)}\n")


def _latency(second: Second) -> str:
    if second.latency_p50_ms is None or second.latency_p99_ms is None:
        return "-"
    return f"{second.latency_p50_ms:.2f} / {second.latency_p99_ms:.2f} ms"


def _words(second: Second, participants: int) -> str:
    return (
        f"{second.joined}/{participants} joined, {second.packets_per_s:,.0f} packets/s, "
        f"{second.mbit_per_s:,.1f} Mbit/s, {second.lost_per_s:,.0f} lost/s, latency p50 / p99 {_latency(second)}"
    )


@contextlib.contextmanager
def _live(participants: int, duration_s: float) -> Iterator[Callable[[Second, str], None]]:
    try:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Table
    except ImportError:
        yield _Lines(participants)
        return
    progress = Progress(TextColumn("{task.description:10}"), BarColumn(), TextColumn("{task.fields[state]}"))
    joined = progress.add_task("joined", total=participants, state="")
    measured = progress.add_task("measured", total=duration_s, state="")
    started_s = [0.0]

    def table(second: Second) -> Any:
        grid = Table.grid(padding=(0, 3))
        grid.add_row("packets", f"{second.packets_per_s:,.0f} /s", "media", f"{second.mbit_per_s:,.1f} Mbit/s")
        grid.add_row("lost", f"{second.lost_per_s:,.0f} /s", "latency p50 / p99", _latency(second))
        return grid

    with Live(progress, console=Console(stderr=True), refresh_per_second=4, transient=True) as live:

        def show(second: Second, phase: str) -> None:
            progress.update(joined, completed=second.joined, state=f"{second.joined} of {participants}")
            if phase == "measuring":
                started_s[0] = started_s[0] or second.at_s - 1
                passed_s = second.at_s - started_s[0]
                progress.update(measured, completed=passed_s, state=f"{passed_s:.0f} of {duration_s:.0f} s")
            live.update(Group(progress, table(second)))

        yield show

"""The report of a load test: a table, JSON, a plot, and whether the limits held."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.load.errors import LoadError
from benchmarks.load.run import LoadResult
from signaling.version import VERSION


def machine() -> dict[str, str]:
    """What the figures depend on."""
    return {
        "cpu": _cpu_name(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_generator": VERSION,
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def to_json(result: LoadResult, plan: Mapping[str, object]) -> dict[str, Any]:
    return {"machine": machine(), "plan": dict(plan), "result": asdict(result)}


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Raises `LoadError`."""
    text = json.dumps(document, indent=2) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
        return
    try:
        path.write_text(text)
    except OSError as error:
        raise LoadError(f"{path} cannot be written: {error.strerror}") from error


def broken_limits(result: LoadResult, *, max_loss: float | None, max_p99_ms: float | None) -> list[str]:
    """In words; empty when everybody joined and what was asked for held."""
    broken = [f"{count} joins failed: {reason}" for reason, count in result.join_failures.items()]
    broken += [f"{count} participants were put out: {reason}" for reason, count in result.put_out.items()]
    if result.streams_expected and not result.packets_received:
        broken.append("no media arrived")
    if max_loss is not None and result.loss_percent > 100 * max_loss:
        broken.append(f"{result.loss_percent:.3f} % of the packets were lost, more than {100 * max_loss:g} %")
    if max_p99_ms is not None:
        if result.latency_p99_ms is None:
            broken.append("no latency was measured")
        elif result.latency_p99_ms > max_p99_ms:
            broken.append(f"p99 of the latency is {result.latency_p99_ms:.2f} ms, more than {max_p99_ms:g} ms")
    return broken


def rows(result: LoadResult) -> list[tuple[str, str]]:
    """The table, as label and text."""
    failed = sum(result.join_failures.values())
    table = [
        ("joined", f"{result.joins - failed} of {result.joins}"),
        ("join p50 / p95", f"{_ms(result.join_p50_ms)} / {_ms(result.join_p95_ms)}"),
        ("streams received", f"{result.streams_received} (expected at the end: {result.streams_expected})"),
        ("packets sent / received", f"{result.packets_sent:,} / {result.packets_received:,}"),
        ("rate", f"{result.packets_per_s:,.0f} packets/s, {result.mbit_per_s:,.1f} Mbit/s"),
        ("lost", f"{result.packets_lost:,} ({result.loss_percent:.3f} %)"),
        ("recovered, reordered, twice",
         f"{result.packets_recovered:,}, {result.packets_reordered:,}, {result.duplicates:,}"),
        ("NACKed", f"{result.nacks:,} to the server, {result.retransmissions_to_server:,} by it"),
        ("latency p50 / p95 / p99", " / ".join(
            _ms(value) for value in (result.latency_p50_ms, result.latency_p95_ms, result.latency_p99_ms))),
        ("first frame p50 / p95", f"{_ms(result.first_frame_p50_ms)} / {_ms(result.first_frame_p95_ms)}"),
        ("frames, freezes", f"{result.frames:,}, {result.freezes:,} ({result.frozen_s:.1f} s)"),
        ("decoded sample", f"{result.decoded_frames:,} frames, {result.decode_errors:,} errors"),
        ("SRTP", f"{result.srtp_profile}, {result.auth_failures:,} failures"),
        ("load generator", f"{result.generator_cpu_percent:.0f} % of a core"
                           + (", and it was the limit" if result.generator_was_the_limit else "")),
    ]  # fmt: skip
    if result.server_cpu_percent is not None:
        table.append(("server CPU", f"{result.server_cpu_percent:.1f} % of a core"))
    if result.server_packets_per_cpu_s is not None:
        table.append((
            "server, per CPU-second",
            f"{result.server_packets_per_cpu_s:,.0f} packets, {result.server_mbit_per_cpu_s:,.0f} Mbit "
            f"({result.server_cpu_us_per_packet:.2f} µs per packet)",
        ))  # fmt: skip
    if result.server_rss_bytes is not None and result.server_idle_rss_bytes is not None:
        now, before = result.server_rss_bytes / 2**20, result.server_idle_rss_bytes / 2**20
        table.append(("server memory", f"{now:.1f} MiB, {before:.1f} before the first join"))
    return table


def print_table(result: LoadResult, plan: Mapping[str, object]) -> None:
    """On standard output, with rich where it is installed."""
    title = f"{plan['rooms']} × ({plan['publishers']} publishers, {plan['subscribers']} subscribers)"
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        sys.stdout.write(f"{title}\n" + "".join(f"  {label:30} {text}\n" for label, text in rows(result)))
        return
    table = Table(title=title, show_header=False)
    for label, text in rows(result):
        table.add_row(label, text)
    Console().print(table)


def plot(path: Path, result: LoadResult, plan: Mapping[str, object]) -> None:
    """Rate, loss and latency over time. Raises `LoadError`."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise LoadError("--plot needs matplotlib (pip install 'ting[load]')") from error
    if not result.series:
        raise LoadError("the test was too short to plot")
    start_s = result.series[0].at_s
    times = [second.at_s - start_s for second in result.series]
    figure = Figure(figsize=(9, 7), layout="constrained")
    rate, latency, joined = figure.subplots(3, 1, sharex=True)
    rate.plot(times, [second.packets_per_s for second in result.series], label="received")
    rate.plot(times, [second.lost_per_s for second in result.series], label="lost")
    rate.set_ylabel("packets/s")
    rate.legend()
    for label, values in (
        ("p50", [second.latency_p50_ms for second in result.series]),
        ("p99", [second.latency_p99_ms for second in result.series]),
    ):
        latency.plot(times, [float("nan") if value is None else value for value in values], label=label)
    latency.set_ylabel("latency, ms")
    latency.set_yscale("log")
    latency.legend()
    joined.plot(times, [second.joined for second in result.series])
    joined.set_ylabel("participants")
    joined.set_xlabel("seconds")
    figure.suptitle(f"{plan['rooms']} rooms of {plan['publishers']} + {plan['subscribers']}, video {plan['video']}")
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise LoadError(f"{path} cannot be written: {error}") from error


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} ms" if value < 100 else f"{value:.0f} ms"

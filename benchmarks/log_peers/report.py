"""Tables of a run in Markdown: medians, lowest and highest in brackets."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

_Run = dict[str, Any]


def tables(report: dict[str, Any]) -> str:
    servers: list[dict[str, Any]] = report["servers"]
    lines = [f"- {one['version']} ({one['server']}): {one['durability']}" for one in servers]
    lines += [f"- left out: {sentence}" for sentence in report["left_out"]]
    for shape in servers[0]["shapes"] if servers else ():
        lines += ["", f"### {shape}", "", *_shape_table(servers, shape)]
    lines += ["", f"### first page of {report['size']['entries']:,} entries, the server started anew", ""]
    lines += ["| server | only the room is cold, ms | its very first request, ms |", "|---|---|---|"]
    for one in servers:
        took = one["first_page_ms"]
        lines.append(f"| {one['server']} | {_median(took['room_cold'], 1)} | {_median(took['process_cold'], 1)} |")
    for one in servers:
        if "call" in one:
            lines += ["", _call_line(one["call"])]
    return "\n".join(lines)


def _shape_table(servers: Sequence[dict[str, Any]], shape: str) -> list[str]:
    head = (
        "server", "messages per CPU-s", "of it PostgreSQL's CPU, %", "messages per s",
        "delivered p50 / p99 at 200/s, ms",
        "never delivered", "generator, % of a core", "complaints",
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for one in servers:
        flat, paced = one["shapes"][shape]["flat_out"], one["shapes"][shape]["paced"]
        complaints = sum(sum(run["complaints"].values()) for run in flat + paced)
        cells = (
            one["server"], _of(flat, _per_cpu_s), _of(flat, _database_share), _of(flat, _per_s),
            f"{_of(paced, lambda run: run['p50_ms'], 1)} / {_of(paced, lambda run: run['p99_ms'], 1)}",
            _of(paced, lambda run: run["undelivered"]), _of(flat + paced, lambda run: 100 * run["generator_share"]),
            str(complaints),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _per_cpu_s(run: _Run) -> float:
    acknowledged: int = run["acknowledged"]
    return acknowledged / (sum(run["cpu_s"].values()) or 1.0)


def _per_s(run: _Run) -> float:
    return float(run["acknowledged"] / run["wrote_s"])


def _database_share(run: _Run) -> float:
    return float(100 * run["cpu_s"].get("postgresql", 0.0) / (sum(run["cpu_s"].values()) or 1.0))


def _of(runs: Sequence[_Run], figure: Callable[[_Run], float], digits: int = 0) -> str:
    return _median([figure(run) for run in runs], digits)


def _median(values: Sequence[float], digits: int) -> str:
    middle = f"{statistics.median(values):,.{digits}f}"
    return middle if len(values) < 2 else f"{middle} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def _call_line(call: dict[str, Any]) -> str:
    written = call["written"]
    return (
        f"A call beside {written['acknowledged'] / written['wrote_s']:,.0f} messages a second in one room: the largest "
        f"gap between two of {call['frames']:,} audio frames was {call['largest_gap_ms']:.0f} ms, "
        f"{call.get('concealed_samples', 0):,} samples at 48 kHz were concealed."
    )

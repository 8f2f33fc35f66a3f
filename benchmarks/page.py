"""The report page: tables and plots from the results of `benchmarks.bench`, between two marks of README.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

FLOOR = "floor"
"""Instead of a server: a bare loop that encrypts and sends the scenario's packets at its pace, and nothing else."""
BEGIN, END = "<!-- report: begin -->", "<!-- report: end -->"

Run = Mapping[str, Any]


def write(folder: Path, document: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    readme = folder / "README.md"
    text = readme.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    plots = folder / "plots"
    plots.mkdir(exist_ok=True)
    body = render(document, results)
    _plot_efficiency(plots / "packets_per_cpu_second.svg", document, results)
    _plot_memory(plots / "churn_memory.svg", results)
    readme.write_text(f"{before}{BEGIN}\n{body}{END}{after}")


def render(document: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    machine, servers = results["machine"], results["servers"]
    lines = [
        f"Machine: {machine['cpu']}, {machine['kernel']}, Python {machine['python']}; the server on one core, the load",
        "generator on another. SRTP is AES-128-GCM for every server unless a row says otherwise. Medians of "
        f"{results['repeats']} runs, lowest and highest in brackets; servers took turns.",
        "",
        *(f"- {version}" for version in servers.values()),
        *(f"- not measured: {name} ({reason})" for name, reason in results["missing"].items()),
        "",
    ]
    dates = results.get("dates", {})
    newest = max(dates.values(), default="")
    for scenario in document["scenario"]:
        runs = results["scenarios"].get(scenario["name"])
        if runs:
            lines += [f"### {scenario['title']}", "", *_section(scenario, runs), ""]
            if dates.get(scenario["name"], newest) != newest:
                lines += [f"Of an earlier build, measured on {dates[scenario['name']]}.", ""]
    lines += ["![packets per CPU-second](plots/packets_per_cpu_second.svg)", ""]
    if "churn" in results["scenarios"]:
        lines += ["![memory during churn](plots/churn_memory.svg)", ""]
    return "\n".join(lines)


def _section(scenario: Mapping[str, Any], runs: Mapping[str, Sequence[Run]]) -> list[str]:
    kind = scenario.get("kind", "plain")
    if kind == "storm":
        return _storm(runs)
    if kind == "first-frame":
        return _first_frame(runs)
    if kind == "churn":
        return _churn(runs)
    if kind == "largest":
        return _largest(runs)
    return _plain(scenario, runs)


def _plain(scenario: Mapping[str, Any], runs: Mapping[str, Sequence[Run]]) -> list[str]:
    columns: Sequence[tuple[str, Callable[[Sequence[Run]], str]]] = (
        ("packets per CPU-s", lambda good: _range(good, "server_packets_per_cpu_s", 0)),
        ("Mbit per CPU-s", lambda good: _range(good, "server_mbit_per_cpu_s", 0)),
        ("bytes per packet", lambda good: _middle(good, "bytes_per_packet", 0)),
        ("CPU, % of a core", lambda good: _middle(good, "server_cpu_percent", 1)),
        ("added delay p50 / p99, ms", lambda good: _pair(good, "latency_p50_ms", "latency_p99_ms", 2)),
        ("loss, %", lambda good: _middle(good, "loss_percent", 3)),
        ("join p50 / p95, ms", lambda good: _pair(good, "join_p50_ms", "join_p95_ms", 0)),
        ("RSS when idle, after a first call", _memory_at_rest),
        ("growth per participant", _memory_per_participant),
    )
    lines = ["| server | " + " | ".join(title for title, _ in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, all_runs in runs.items():
        good = [run for run in all_runs if "failed" not in run]
        if name == FLOOR:
            continue
        if not good:
            lines.append(_failed_row(name, all_runs, len(columns)))
            continue
        lines.append(f"| {name}{_limit(good)} | " + " | ".join(show(good) for _, show in columns) + " |")
    verdict = _verdict(scenario, runs)
    return [*lines, "", verdict] if verdict else lines


def _verdict(scenario: Mapping[str, Any], runs: Mapping[str, Sequence[Run]]) -> str:
    """Against the best peer: by the goal where there is one, else just the ratio."""
    others = [name for name in runs if not name.startswith("ting") and name != FLOOR]
    peers = [name for name in others if _value(runs[name], "server_packets_per_cpu_s")]
    if not peers or not _value(runs["ting"], "server_packets_per_cpu_s"):
        return ""
    best = max(peers, key=lambda name: _value(runs[name], "server_packets_per_cpu_s"))
    ratio = _value(runs["ting"], "server_packets_per_cpu_s") / _value(runs[best], "server_packets_per_cpu_s")
    words = f"Ting forwards {ratio:.1f} times the packets of {best} per CPU-second"
    before = _value(runs.get("ting-before", ()), "server_packets_per_cpu_s")
    if before:
        words += f" ({before / _value(runs[best], 'server_packets_per_cpu_s'):.1f} before)"
    factor = scenario.get("factor") or scenario.get("cpu_factor")
    words += f"; the aim is {factor}: {'reached' if ratio >= factor else '**not reached**'}." if factor else "."
    floor = _value(runs.get(FLOOR, ()), "server_packets_per_cpu_s")
    if floor:
        words += (
            f" A bare loop that encrypts and sends the same at the same pace, and does nothing else, has {floor:,.0f}: "
            f"{floor / _value(runs[best], 'server_packets_per_cpu_s'):.1f} times."
        )
    return words


def _storm(runs: Mapping[str, Sequence[Run]]) -> list[str]:
    lines = ["| server | joins | failed | join p50, ms | join p95, ms |", "|---|---|---|---|---|"]
    for name, all_runs in runs.items():
        good = [run for run in all_runs if "failed" not in run]
        if not good:
            lines.append(_failed_row(name, all_runs, 4))
        else:
            failed = sum(sum(run["join_failures"].values()) for run in good)
            joins, p50, p95 = good[0]["joins"], _range(good, "join_p50_ms", 0), _range(good, "join_p95_ms", 0)
            lines.append(f"| {name}{_limit(good)} | {joins} | {failed} | {p50} | {p95} |")
    return lines


def _first_frame(runs: Mapping[str, Sequence[Run]]) -> list[str]:
    lines = [
        "| server | first frame p50, ms | first frame p95, ms | keyframes asked of the publisher |",
        "|---|---|---|---|",
    ]
    for name, all_runs in runs.items():
        good = [run for run in all_runs if "failed" not in run]
        if not good:
            lines.append(_failed_row(name, all_runs, 3))
            continue
        p50, p95 = _range(good, "first_frame_p50_ms", 0), _range(good, "first_frame_p95_ms", 0)
        lines.append(f"| {name} | {p50} | {p95} | {_middle(good, 'keyframe_requests', 0)} |")
    return lines


def _churn(runs: Mapping[str, Sequence[Run]]) -> list[str]:
    lines = ["| server | joins | RSS after a quarter | at the end | growth | loss |", "|---|---|---|---|---|---|"]
    for name, all_runs in runs.items():
        run = all_runs[0]
        memory = run.get("memory_bytes", [])
        if "failed" in run:
            lines.append(_failed_row(name, all_runs, 5))
        if "failed" in run or len(memory) < 4:
            continue
        # Means of several samples: one allocation more or less is no trend.
        window = max(1, len(memory) // 10)
        start, end = len(memory) // 4, len(memory) - window
        early = sum(memory[start : start + window]) / window / 2**20
        late = sum(memory[end:]) / window / 2**20
        lines.append(
            f"| {name} | {run['joins']} | {early:.1f} MiB | {late:.1f} MiB | {100 * (late / early - 1):+.1f} % "
            f"| {run['loss_percent']:.3f} % |"
        )
    return lines


def _largest(runs: Mapping[str, Sequence[Run]]) -> list[str]:
    lines = ["| server | largest N | Mbit/s out | CPU | what ended it |", "|---|---|---|---|---|"]
    for name, all_runs in runs.items():
        run = all_runs[0]
        if "failed" in run:
            lines.append(_failed_row(name, all_runs, 4))
            continue
        rate = f"{run['mbit_per_s']:,.0f}" if "mbit_per_s" in run else "–"
        cpu = f"{run['server_cpu_percent']:.0f} %" if run.get("server_cpu_percent") is not None else "–"
        lines.append(f"| {name} | {run['subscribers']} | {rate} | {cpu} | {run.get('ended_by', '')} |")
    return lines


def _failed_row(name: str, runs: Sequence[Run], columns: int) -> str:
    return f"| {name} | failed: {runs[0]['failed']} " + "| " * (columns - 1) + "|"


def _value(runs: Sequence[Run], name: str) -> float:
    values = [run[name] for run in runs if run.get(name)]
    return median(values) if values else 0.0


def _middle(runs: Sequence[Run], name: str, digits: int) -> str:
    values = [run[name] for run in runs if run.get(name) is not None]
    return f"{median(values):,.{digits}f}" if values else "–"


def _pair(runs: Sequence[Run], first: str, second: str, digits: int) -> str:
    return f"{_middle(runs, first, digits)} / {_middle(runs, second, digits)}"


def _limit(runs: Sequence[Run]) -> str:
    return " (generator at its limit)" if any(run["generator_was_the_limit"] for run in runs) else ""


def _range(runs: Sequence[Run], name: str, digits: int) -> str:
    values = sorted(run[name] for run in runs if run.get(name) is not None)
    if not values:
        return "–"
    return f"{median(values):,.{digits}f} ({values[0]:,.{digits}f}–{values[-1]:,.{digits}f})"


def _memory_per_participant(runs: Sequence[Run]) -> str:
    """What the server has grown by since after the first call."""
    values = [
        (run["server_rss_bytes"] - run["server_idle_rss_bytes"]) / run["joins"]
        for run in runs
        if run.get("server_rss_bytes") and run.get("server_idle_rss_bytes") and run["joins"]
    ]
    return f"{median(values) / 1024:,.0f} KiB" if values else "–"


def _memory_at_rest(runs: Sequence[Run]) -> str:
    unused, after = (_value(runs, name) / 2**20 for name in ("unused_rss_bytes", "server_idle_rss_bytes"))
    return f"{unused:,.0f}, {after:,.0f} MiB" if unused and after else "–"


def _plot_efficiency(path: Path, document: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    from matplotlib.figure import Figure

    scenarios = [
        one
        for one in document["scenario"]
        if one.get("kind", "plain") == "plain" and one["name"] in results["scenarios"]
    ]
    servers = list(results["servers"])
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / max(1, len(servers))
    for index, name in enumerate(servers):
        values = [
            _value(results["scenarios"][one["name"]].get(name, ()), "server_packets_per_cpu_s") for one in scenarios
        ]
        axes.bar(
            [place + index * width for place in range(len(scenarios))], values, width, label=results["servers"][name]
        )
    axes.set_xticks([place + 0.4 - width / 2 for place in range(len(scenarios))])
    axes.set_xticklabels([one["name"] for one in scenarios], rotation=20, ha="right")
    axes.set_ylabel("packets per CPU-second of the server")
    axes.legend()
    figure.savefig(path, metadata={"Date": None})


def _plot_memory(path: Path, results: Mapping[str, Any]) -> None:
    from matplotlib.figure import Figure

    runs = results["scenarios"].get("churn", {})
    figure = Figure(figsize=(9, 3), layout="constrained")
    axes = figure.subplots()
    for name, all_runs in runs.items():
        memory = all_runs[0].get("memory_bytes", [])
        axes.plot([10 * (index + 1) for index in range(len(memory))], [value / 2**20 for value in memory], label=name)
    axes.set_xlabel("seconds")
    axes.set_ylabel("RSS, MiB")
    axes.set_ylim(bottom=0)
    if runs:
        axes.legend()
        figure.savefig(path, metadata={"Date": None})

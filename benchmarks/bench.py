"""`make bench`: every scenario of scenarios.toml, every server that is installed, one report.

    python -m benchmarks.bench [--only NAME ...] [--without NAME ...] [--servers NAME,...] [--repeats N] [--no-report]

Writes benchmarks/results.json, the report in benchmarks/README.md and its plots.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import page
from benchmarks.load import process
from benchmarks.load.cli import seconds
from benchmarks.load.report import machine
from benchmarks.peers import veth
from benchmarks.peers.janus import JanusServer
from benchmarks.peers.livekit import LiveKitServer
from benchmarks.peers.server import PeerServer
from benchmarks.peers.ting import ROOT, EarlierTing, TingServer, build_before, commit_before

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
DOCUMENT: dict[str, Any] = tomllib.loads((HERE / "scenarios.toml").read_text())
SERVERS: dict[str, Callable[[], PeerServer]] = {
    "ting": TingServer,
    "ting-reference": lambda: TingServer("reference"),
    "ting-without-cache": lambda: TingServer(TING_KEYFRAME_CACHE_BYTES="0"),
    "ting-before": lambda: EarlierTing(commit_before()),
    "janus": JanusServer,
    "livekit": LiveKitServer,
}
DEFAULT_SERVERS = "ting,ting-before,janus,livekit"
"""Without the reference engine, which would take the run over half an hour."""
PROTOCOLS = {"janus": "janus"}
MISSING = {
    "ting-before": "its commit could not be had or built",
    "janus": "apt-get install janus",
    "livekit": "livekit-server is not on PATH",
    "mediasoup": "its npm package fetches the worker from elsewhere, which failed here; there is no adapter",
}
MEMORY_INTERVAL_S = 10.0
FIRST_CALL = ("--publishers", "1", "--subscribers", "1", "--audio", "120@50", "--room-prefix", "first")
SPARE_S = 150.0
"""A load test that takes so much longer than what it measures has got stuck."""

Run = dict[str, Any]


def main() -> int:
    options = _options()
    repeats = options.repeats or DOCUMENT["repeats"]
    names = (options.servers or DEFAULT_SERVERS).split(",")
    if "ting-before" in names:
        build_before()
    installed = {name: SERVERS[name]().version() for name in names}
    servers = [name for name in names if installed[name] is not None]
    scenarios = [one for one in DOCUMENT["scenario"] if not options.only or one["name"] in options.only]
    scenarios = [one for one in scenarios if one["name"] not in options.without]
    if not veth.is_possible():
        scenarios = [one for one in scenarios if not one.get("veth")]
    bench = Bench(DOCUMENT["duration"], repeats)
    started_s = time.monotonic()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() and options.only else {}
    earlier, dates = kept.get("scenarios", {}), kept.get("dates", {})
    for scenario in scenarios:
        earlier[scenario["name"]] = asyncio.run(bench.run(scenario, _servers_of(scenario, servers)))
        dates[scenario["name"]] = time.strftime("%Y-%m-%d")
    results = {
        "machine": machine(),
        "servers": {name: version for name, version in installed.items() if version is not None},
        "missing": {name: MISSING[name] for name in MISSING if installed.get(name) is None},
        "repeats": repeats,
        "minutes": round((time.monotonic() - started_s) / 60, 1),
        "dates": dates,
        "scenarios": earlier,
    }
    if not options.no_report:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        page.write(HERE, DOCUMENT, results)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="scenario to run; repeatable")
    parser.add_argument(
        "--without", action="append", default=[], metavar="NAME", help="scenario to leave out; repeatable"
    )
    parser.add_argument("--servers", metavar="NAME,...", help=f"of {', '.join(SERVERS)} (default {DEFAULT_SERVERS})")
    parser.add_argument("--repeats", type=int, metavar="N", help="instead of what scenarios.toml says")
    parser.add_argument("--no-report", action="store_true", help="print only")
    return parser.parse_args()


def _servers_of(scenario: dict[str, Any], servers: Sequence[str]) -> list[str]:
    if "servers" in scenario:
        return list(scenario["servers"])
    wanted = {"ting": True, "ting-before": scenario.get("before")}
    return [name for name in servers if wanted.get(name, scenario.get("peers"))]


class Bench:
    """Starts servers on the first core and the load generator on the last."""

    def __init__(self, duration: str, repeats: int) -> None:
        cpus = sorted(os.sched_getaffinity(0))
        self._server_cpus, self._load_cpus = {cpus[0]}, {cpus[-1]}
        self._duration, self._repeats = duration, repeats

    async def run(self, scenario: dict[str, Any], servers: Sequence[str]) -> dict[str, list[Run]]:
        """The runs of each server, in the order in which they were made."""
        kind = scenario.get("kind", "plain")
        work = {
            "plain": self._plain,
            "storm": self._storm,
            "first-frame": self._plain,
            "churn": self._churn,
            "largest": self._largest,
        }[kind]
        repeats = min(self._repeats, scenario.get("repeats", self._repeats))
        runs: dict[str, list[Run]] = {name: [] for name in servers}
        for repeat in range(repeats):
            for name in servers if repeat % 2 == 0 else list(reversed(servers)):
                run = await self._with_server(name, work, scenario)
                if "nobody could join" in run.get("failed", ""):
                    # LiveKit's server answers no ICE check in some of its lives, and those after it are well.
                    run = await self._with_server(name, work, scenario)
                runs[name].append(run)
                _say(scenario, name, run)
            if "floor" in scenario:
                run = await self._floor(scenario["floor"])
                runs.setdefault(page.FLOOR, []).append(run)
                _say(scenario, page.FLOOR, run)
        return runs

    async def _floor(self, options: dict[str, Any]) -> Run:
        """What a bare loop makes of the scenario's packets: see bench_floor.py."""
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.bench_floor", "--json", "--joined", *words, cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await child.communicate()
        if child.returncode != 0:
            return {"failed": "the bare loop failed"}
        run: Run = json.loads(output)
        return run

    async def _with_server(self, name: str, work: Callable[..., Any], scenario: dict[str, Any]) -> Run:
        """A server that does not start or does not live through its run has failed; the others go on."""
        folder = Path(tempfile.mkdtemp(prefix="ting-bench-"))
        server = SERVERS[name]()
        try:
            with contextlib.ExitStack() as stack:
                if scenario.get("veth"):
                    stack.enter_context(veth.veth_pair(self._server_cpus, self._load_cpus))
                    server.media_address = veth.SERVER
                run: Run = await self._started(name, server, folder, work, scenario)
            status = server.ended()
            return run if status is None else {"failed": f"the server ended with status {status}"}
        except (OSError, RuntimeError, TimeoutError) as error:
            return {"failed": str(error).strip().split("\n")[-1] or "the server did not start"}
        finally:
            await server.stop()
            shutil.rmtree(folder, ignore_errors=True)

    async def _started(
        self, name: str, server: PeerServer, folder: Path, work: Callable[..., Any], scenario: dict[str, Any]
    ) -> Run:
        """Somebody was there before: what a server loads for its first call has a column of its own."""
        await server.start(folder, self._server_cpus)
        idle_bytes = process.resident_bytes(process.tree([server.pid]))
        async with contextlib.AsyncExitStack() as stack:
            if server.media_address == veth.SERVER:
                await stack.enter_async_context(veth.forwarding(urlsplit(server.url).port or 0))
            first = await self._load(name, server, FIRST_CALL, "1s")
            if "failed" in first:
                return first
            run: Run = await work(name, server, scenario)
        return {**run, "unused_rss_bytes": idle_bytes}

    async def _load(self, name: str, server: PeerServer, options: Sequence[str], duration: str) -> Run:
        protocol = PROTOCOLS.get(name, "livekit")
        is_over_veth = server.media_address == veth.SERVER
        prefix = veth.PREFIX if is_over_veth else []
        where = [word.replace("127.0.0.1", veth.SERVER) if is_over_veth else word for word in server.load_arguments()]
        arguments = [
            *where, "--duration", duration, "--server-pid", str(server.pid), "--json", "-", "--quiet",
            "--join-timeout", "30s", *options,
        ]  # fmt: skip
        child = await asyncio.create_subprocess_exec(
            *prefix, sys.executable, "-m", "benchmarks.peers", protocol, *arguments, cwd=ROOT,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, self._load_cpus),
        )  # fmt: skip
        try:
            async with asyncio.timeout(seconds(duration) + SPARE_S):
                output, errors = await child.communicate()
        except TimeoutError:
            child.kill()
            await child.wait()
            return {"failed": "the load test did not end"}
        if not output:
            return {"failed": errors.decode().strip().split("\n")[-1] or "the load test said nothing"}
        run: Run = json.loads(output)["result"]
        run.pop("series")
        return run

    async def _plain(self, name: str, server: PeerServer, scenario: dict[str, Any]) -> Run:
        return await self._load(name, server, scenario["options"], scenario.get("duration", self._duration))

    async def _storm(self, name: str, server: PeerServer, scenario: dict[str, Any]) -> Run:
        """Several load tests at once; joins are added up, percentiles are the worst of the parts."""
        parts = await asyncio.gather(
            *(
                self._load(name, server, [*options, "--room-prefix", f"part{index}"], self._duration)
                for index, options in enumerate(scenario["parts"])
            )
        )
        failed = next((part for part in parts if "failed" in part), None)
        if failed is not None:
            return failed
        return {
            "joins": sum(part["joins"] for part in parts),
            "join_failures": {reason: count for part in parts for reason, count in part["join_failures"].items()},
            "join_p50_ms": max(part["join_p50_ms"] for part in parts),
            "join_p95_ms": max(part["join_p95_ms"] for part in parts),
            "loss_percent": max(part["loss_percent"] for part in parts),
            "generator_was_the_limit": any(part["generator_was_the_limit"] for part in parts),
        }

    async def _churn(self, name: str, server: PeerServer, scenario: dict[str, Any]) -> Run:
        memory: list[int] = []

        async def watch() -> None:
            while True:
                await asyncio.sleep(MEMORY_INTERVAL_S)
                memory.append(process.resident_bytes(process.tree([server.pid])))

        watcher = asyncio.create_task(watch())
        try:
            run = await self._load(name, server, scenario["options"], scenario["duration"])
        finally:
            watcher.cancel()
        return {**run, "memory_bytes": memory}

    async def _largest(self, name: str, server: PeerServer, scenario: dict[str, Any]) -> Run:
        """The largest step whose limits hold, by bisection; what broke the next one is told."""
        steps: Sequence[int] = scenario["steps"]
        best: Run = {"subscribers": 0, "ended_by": "the largest step"}
        holds, breaks = 0, len(steps)
        while holds < breaks:
            middle = (holds + breaks) // 2
            options = [*scenario["options"], "--subscribers", str(steps[middle]), "--room-prefix", f"n{middle}"]
            run = await self._load(name, server, options, self._duration)
            broken = _broken(run, scenario)
            if server.ended() is not None:
                break
            if broken:
                breaks = middle
                best["ended_by"] = f"{steps[middle]}: {broken}"
            else:
                holds = middle + 1
                best = {**run, "subscribers": steps[middle], "ended_by": best["ended_by"]}
        return best


def _broken(run: Run, scenario: dict[str, Any]) -> str:
    """Which limit did not hold, in words; empty when all did."""
    if "failed" in run:
        return str(run["failed"])
    held = (
        run["loss_percent"] < scenario["max_loss_percent"]
        and (run["latency_p99_ms"] or 0) < scenario["max_p99_ms"]
        and not run["join_failures"]
    )
    if held:
        return ""
    limit = ", the load generator was the limit" if run["generator_was_the_limit"] else ""
    refused = sum(run["join_failures"].values())
    joins = f", {refused} could not join" if refused else ""
    return f"loss {run['loss_percent']:.2f} %, p99 {run['latency_p99_ms'] or 0:.1f} ms{joins}{limit}"


def _say(scenario: dict[str, Any], name: str, run: Run) -> None:
    sys.stdout.write(f"{scenario['name']:18} {name:15} {_words(run)}\n")
    sys.stdout.flush()


def _words(run: Run) -> str:
    if "failed" in run:
        return f"failed: {run['failed']}"
    parts = []
    if "subscribers" in run:
        parts.append(f"N {run['subscribers']}, then {run['ended_by']}")
    if run.get("server_packets_per_cpu_s"):
        parts.append(f"{run['server_packets_per_cpu_s']:,.0f} packets/CPU-s")
    if run.get("server_mbit_per_cpu_s"):
        parts.append(f"{run['server_mbit_per_cpu_s']:,.0f} Mbit/CPU-s")
    if run.get("latency_p99_ms") is not None:
        parts.append(f"p50 {run['latency_p50_ms']:.2f} p99 {run['latency_p99_ms']:.2f} ms")
    if run.get("loss_percent") is not None:
        parts.append(f"loss {run['loss_percent']:.3f} %")
    if run.get("join_p50_ms") is not None:
        parts.append(f"join p50 {run['join_p50_ms']:.0f} p95 {run['join_p95_ms']:.0f} ms")
    if run.get("generator_was_the_limit"):
        parts.append("the load generator was the limit")
    return "; ".join(parts)


if __name__ == "__main__":
    sys.exit(main())

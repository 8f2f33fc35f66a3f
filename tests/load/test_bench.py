"""The scenario runner and its page, with one short scenario against a real server."""

import asyncio
import sys
import tomllib
from pathlib import Path

import pytest

from benchmarks import bench, page
from benchmarks.bench import HERE, Bench
from benchmarks.load.cli import build_parser
from benchmarks.load.process import CpuMeter
from benchmarks.load.report import machine
from benchmarks.load.statistics import Latencies, percentile
from benchmarks.peers.server import PeerServer
from benchmarks.peers.ting import TingServer

pytestmark = pytest.mark.asyncio(loop_scope="session")
DOCUMENT = tomllib.loads((HERE / "scenarios.toml").read_text())


async def test_a_scenario_becomes_a_row_of_the_page() -> None:
    scenario = next(one for one in DOCUMENT["scenario"] if one["name"] == "call")
    runs = await Bench("2s", 1).run({**scenario, "options": [*scenario["options"], "--video", "180p"]}, ["ting"])
    [run] = runs["ting"]
    assert run["packets_received"] > 100
    assert run["server_packets_per_cpu_s"] > 0
    results = {
        "machine": machine(),
        "servers": {"ting": "Ting"},
        "missing": {"janus": "not there"},
        "repeats": 1,
        "scenarios": {"call": runs},
    }
    text = page.render(DOCUMENT, results)
    unused, after = (run[name] / 2**20 for name in ("unused_rss_bytes", "server_idle_rss_bytes"))
    assert 20 < unused < after
    assert f"| {unused:,.0f}, {after:,.0f} MiB |" in text
    limit = " (generator at its limit)" if run["generator_was_the_limit"] else ""
    assert f"| ting{limit} | {run['server_packets_per_cpu_s']:,.0f} (" in text
    assert "not measured: janus (not there)" in text
    assert "livestream" not in text


async def test_every_scenario_has_options_that_the_load_test_takes() -> None:
    parser = build_parser("test")
    for scenario in DOCUMENT["scenario"]:
        for options in scenario.get("parts", [scenario.get("options")]):
            parser.parse_args(options)


async def test_the_floor_of_a_scenario_is_in_its_verdict_and_no_server() -> None:
    floor = await Bench("1s", 1)._floor({"shape": "audio", "subscribers": 2, "frames-per-s": 50, "seconds": 0.2})
    rate = floor["server_packets_per_cpu_s"]
    assert rate > 1000
    assert floor["lost"] == 0
    run = {"generator_was_the_limit": False, "joins": 1, "server_packets_per_cpu_s": rate / 2}
    peer = {**run, "server_packets_per_cpu_s": rate / 6}
    lines = page._section({"factor": 4}, {"ting": [run], "janus": [peer], page.FLOOR: [floor]})
    assert [line.split(" |")[0] for line in lines if line.startswith("| ")] == ["| server", "| ting", "| janus"]
    assert "3.0 times the packets of janus per CPU-second; the aim is 4: **not reached**." in lines[-1]
    assert f"has {rate:,.0f}: 6.0 times." in lines[-1]


async def test_a_failed_run_is_never_a_zero() -> None:
    for scenario in DOCUMENT["scenario"]:
        lines = page._section(scenario, {"ting": [{"failed": "nobody could join"}]})
        assert lines[2].startswith("| ting | failed: nobody could join |")
        assert lines[2].count("|") == lines[0].count("|")


class DeadServer(PeerServer):
    """Ends before it listens."""

    name = "dead"

    @classmethod
    def version(cls) -> str | None:
        return "Dead 1"

    async def start(self, folder: Path, cpus: set[int]) -> None:
        self.process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
        await self.wait_for_port(9)

    def load_arguments(self) -> list[str]:
        return []


class DyingServer(TingServer):
    """Is killed when its load test begins."""

    def load_arguments(self) -> list[str]:
        assert self.process is not None
        self.process.kill()
        return super().load_arguments()


@pytest.mark.parametrize(("server", "words"), [(DeadServer, "dead ended at once"), (DyingServer, "status -9")])
async def test_a_server_that_dies_fails_its_run_and_no_other(
    monkeypatch: pytest.MonkeyPatch, server: type[PeerServer], words: str
) -> None:
    monkeypatch.setitem(bench.SERVERS, "peer", server)
    scenario = next(one for one in DOCUMENT["scenario"] if one["name"] == "call")
    runs = await Bench("1s", 1).run(scenario, ["peer"])
    [run] = runs["peer"]
    assert words in run["failed"]


async def test_the_largest_is_found_by_halving(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = next(one for one in DOCUMENT["scenario"] if one["name"] == "largest")
    tried: list[int] = []

    async def load(_bench: Bench, _name: str, _server: PeerServer, options: list[str], _duration: str) -> bench.Run:
        tried.append(int(options[options.index("--subscribers") + 1]))
        loss = 9.0 if tried[-1] > 300 else 0.0
        return {"loss_percent": loss, "latency_p99_ms": 1.0, "join_failures": {}, "generator_was_the_limit": False}

    monkeypatch.setattr(Bench, "_load", load)
    best = await Bench("1s", 1)._largest("ting", TingServer(), scenario)
    assert (best["subscribers"], best["ended_by"]) == (300, "400: loss 9.00 %, p99 1.0 ms")
    assert len(tried) <= 4


async def test_cpu_time_counts_threads_that_ended_and_never_falls() -> None:
    code = (
        "import sys, threading, time\n"
        "def work():\n"
        "    while time.thread_time() < 0.05: pass\n"
        "thread = threading.Thread(target=work); thread.start(); thread.join()\n"
        "print(flush=True); sys.stdin.read()"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    meter = CpuMeter([child.pid])
    await child.stdout.readline()
    used_s = meter.read()
    assert used_s >= 0.05
    await child.communicate(b"")
    assert meter.read() == used_s


async def test_percentiles_are_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]
    assert percentile([], 0.5) is None
    latencies = Latencies()
    assert latencies.percentile_ms(0.5) is None
    latencies.add([(1000, 99), (9000, 1)])
    assert (latencies.percentile_ms(0.5), latencies.percentile_ms(0.99), latencies.percentile_ms(1.0)) == (1, 1, 9)

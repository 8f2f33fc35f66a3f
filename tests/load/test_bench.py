"""The scenario runner and its page, with one short scenario against a real server."""

import tomllib

import pytest

from benchmarks import page
from benchmarks.bench import HERE, Bench
from benchmarks.load.cli import build_parser
from benchmarks.load.report import machine
from benchmarks.load.statistics import Latencies, percentile

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
    assert f"| ting | {run['server_packets_per_cpu_s']:,.0f} (" in text
    assert "not measured: janus (not there)" in text
    assert "livestream" not in text


async def test_every_scenario_has_options_that_the_load_test_takes() -> None:
    parser = build_parser("test")
    for scenario in DOCUMENT["scenario"]:
        for options in scenario.get("parts", [scenario.get("options")]):
            parser.parse_args(options)


async def test_a_failed_run_is_never_a_zero() -> None:
    scenario = next(one for one in DOCUMENT["scenario"] if one["name"] == "call")
    lines = page._plain(scenario, {"ting": [{"failed": "nobody could join"}]})
    assert lines[2].startswith("| ting | failed: nobody could join |")


async def test_percentiles_are_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]
    assert percentile([], 0.5) is None
    latencies = Latencies()
    assert latencies.percentile_ms(0.5) is None
    latencies.add([(1000, 99), (9000, 1)])
    assert (latencies.percentile_ms(0.5), latencies.percentile_ms(0.99), latencies.percentile_ms(1.0)) == (1, 1, 9)

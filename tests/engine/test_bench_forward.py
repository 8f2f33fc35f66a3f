"""The forwarding benchmark runs, says when it lost something, and its JSON holds what it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "bench_forward.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def results_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """A machine on which others work may lose packets: then the exit status says so."""
    assert done.returncode in (0, 1), done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout)["results"]
    assert done.returncode == any(one["packets_lost"] for one in results), done.stderr
    return results


def test_json_results_for_both_shapes() -> None:
    done = run("--engine", "reference", "--subscribers", "4", "--seconds", "0.4", "--json", "-")
    results = results_of(done)
    assert [(one["engine"], one["shape"], one["subscribers"]) for one in results] == [
        ("reference", "video", 4),
        ("reference", "audio", 4),
    ]
    for one, payload_bytes in zip(results, (1200, 120), strict=True):
        assert one["packets_sent"] > 100
        assert payload_bytes + 28 < one["bytes_per_packet"] < payload_bytes + 60
        assert abs(one["packets_per_cpu_s"] * one["cpu_us_per_packet"] / 1e6 - 1) < 0.01
    assert "One publisher sends to one UDP port" in done.stderr


@pytest.mark.parametrize(("congestion", "word"), [("off", "not negotiated"), ("on", "gives transport-wide feedback")])
def test_with_and_without_congestion_control(congestion: str, word: str) -> None:
    done = run(
        "--engine", "reference", "--shape", "audio", "--subscribers", "2", "--seconds", "0.4", "--json", "-",
        "--congestion", congestion,
    )  # fmt: skip
    assert results_of(done)[0]["packets_sent"] > 100
    assert word in done.stderr


def test_wrong_options_are_told_and_end_with_2() -> None:
    for arguments in (
        ("--shape", "text"),
        ("--subscribers", "0"),
        ("--subscribers", "x"),
        ("--engine", "none"),
        ("--congestion", "x"),
    ):
        done = run(*arguments)
        assert done.returncode == 2
        assert "error:" in done.stderr

"""Golden traces of random lives: each engine repeats them to the byte. `core/tests/golden.rs` replays them as well."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sfu.engine import create_engine
from tests.engine.golden import FOLDER, digest, replay

TRACES = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("file", TRACES, ids=[file.stem for file in TRACES])
def test_trace(engine_kind: str, file: Path) -> None:
    trace = json.loads(file.read_text())
    replay(create_engine(engine_kind, seed=trace["seed"]), trace["calls"])


def test_traces_are_there_and_tell_differences(engine_kind: str) -> None:
    trace = json.loads(TRACES[0].read_text())
    with pytest.raises(AssertionError, match="call "):
        replay(create_engine(engine_kind, seed=trace["seed"] + 1), trace["calls"])


def test_digest_is_fnv_1a() -> None:
    assert digest([]) == ""
    assert digest(["foobar"]) == "345316a7168b8506"

"""One suite for every engine: tests take `net` (or `engine`) and run once per engine asked for."""

from __future__ import annotations

import os

import pytest

from sfu.engine import create_engine, engine_name
from sfu.engine.api import PacketEngine
from sfu.errors import EngineError
from tests.engine.harness import Net


def _is_built(kind: str) -> bool:
    try:
        engine_name(kind)
    except EngineError:
        return False
    return True


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine_kind" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--engine")
        kinds = [kind for kind in ("reference", "rust") if _is_built(kind)] if asked == "both" else [asked]
        if asked == "both" and os.environ.get("CI") and "rust" not in kinds:
            raise pytest.UsageError("the Rust engine is not built, or not from these sources: `make setup` builds it")
        metafunc.parametrize("engine_kind", kinds)


@pytest.fixture
def engine(engine_kind: str) -> PacketEngine:
    return create_engine(engine_kind, seed=7)


@pytest.fixture
def net(engine: PacketEngine) -> Net:
    return Net(engine)


@pytest.fixture
def both_engines() -> None:
    """For tests that compare them."""
    try:
        engine_name("rust")
    except EngineError as error:
        pytest.skip(str(error))

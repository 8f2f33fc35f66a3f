"""One suite for every engine: tests take `net` (or `engine`) and run once per engine asked for."""

from __future__ import annotations

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
        metafunc.parametrize("engine_kind", kinds)


@pytest.fixture
def engine(engine_kind: str) -> PacketEngine:
    return create_engine(engine_kind, seed=7)


@pytest.fixture
def net(engine: PacketEngine) -> Net:
    return Net(engine)

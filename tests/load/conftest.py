import pytest

from sfu.engine.native import load
from sfu.errors import EngineError
from tests.harness.fixtures import room, server

__all__ = ["room", "server"]


@pytest.fixture(scope="session", autouse=True)
def _extension() -> None:
    """The load generator is in the Rust extension; `make test` says when that is not built."""
    try:
        load()
    except EngineError as error:
        pytest.skip(str(error))

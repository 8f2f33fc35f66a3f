"""Options of the whole test run."""

from __future__ import annotations

import os
import sys

import hypothesis
import pytest

# On a shared machine a slow example says nothing about the code.
hypothesis.settings.register_profile("ting", deadline=None)
hypothesis.settings.load_profile("ting")


_STATUS = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        choices=("both", "reference", "rust"),
        default="both",
        help="which packet engine the engine suite runs against; both means every one that is built. The other suites "
        "take the one that TING_ENGINE names, as `ting serve` does",
    )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """livekit (Python) 1.2.1 has threads that may call into an interpreter that is ending, which aborts a process all
    of whose tests have passed: it ends without that. Workers of xdist end by themselves, and nobody asks how."""
    is_worker = hasattr(config, "workerinput")
    if "livekit.rtc" in sys.modules and _STATUS in config.stash and not is_worker:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[_STATUS])

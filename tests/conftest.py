"""Options of the whole test run."""

from __future__ import annotations

import hypothesis
import pytest

# On a shared machine a slow example says nothing about the code.
hypothesis.settings.register_profile("ting", deadline=None)
hypothesis.settings.load_profile("ting")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        choices=("both", "reference", "rust"),
        default="both",
        help="which packet engine the engine suite runs against; both means every one that is built. The other suites "
        "take the one that TING_ENGINE names, as `ting serve` does",
    )

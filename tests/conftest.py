"""Options of the whole test run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        choices=("both", "reference", "rust"),
        default="both",
        help="which packet engine the engine suite runs against; both means every one that is built",
    )

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from signaling.db.url import sqlite_url
from tests.harness.fixtures import embedded, join, room, server
from tests.harness.postgres import find_binaries, running_postgres
from tests.harness.server import ServerProcess

__all__ = ["embedded", "join", "lasting_server", "room", "server"]


@pytest.fixture(params=["sqlite", "postgresql"])
async def lasting_server(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[ServerProcess]:
    """With a database that survives being killed, and without limits."""
    with contextlib.ExitStack() as stack:
        url = sqlite_url(tmp_path / "ting.db")
        if request.param == "postgresql":
            binaries = find_binaries()
            if binaries is None:
                pytest.skip("PostgreSQL is not installed; on Debian: apt-get install postgresql")
            url = stack.enter_context(running_postgres(binaries)).url()
        limits = {
            "TING_ENTRIES_PER_SECOND": "100000",
            "TING_ENTRY_BURST": "100000",
            "TING_API_REQUESTS_PER_MINUTE": "1e9",
            "TING_SEAL_COMMITS_PER_MINUTE": "1e9",
            "TING_KEPT_COMMITS": "1000000",
            "TING_GUEST_TOKENS_PER_MINUTE": "1e6",
        }
        process = ServerProcess(environment={"TING_DATABASE_URL": url, **limits})
        await process.start()
        yield process
        await process.stop()

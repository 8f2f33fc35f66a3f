from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.signaling.harness import Server, running


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as running_server:
        yield running_server

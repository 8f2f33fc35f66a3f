"""Fixtures for suites that run a real server: a conftest.py imports what it uses. All share the session's loop."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from tests.harness.caller import Caller
from tests.harness.firefox import own_address
from tests.harness.server import EmbeddedServer, ServerProcess

Join = Callable[..., Awaitable[Caller]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[ServerProcess]:
    """`ting serve --dev` for the tests of a module; must end well and have written no complaint. Its page
    makes open rooms: what tests are to see of them, the server sees too."""
    process = ServerProcess(environment={"TING_DEFAULT_KIND": "open"})
    await process.start()
    yield process
    assert await process.stop() == 0, "\n".join(process.log[-40:])
    process.assert_healthy()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sealed_server() -> AsyncIterator[ServerProcess]:
    """As operators have it: its page makes sealed rooms. Firefox, which has no loopback candidates, reaches it too."""
    process = ServerProcess(rtc_addresses=f"127.0.0.1,{own_address()}")
    await process.start()
    yield process
    await process.kill()
    process.assert_healthy()


@pytest_asyncio.fixture(loop_scope="session")
async def embedded() -> AsyncIterator[EmbeddedServer]:
    """A server in the test's own loop, for one test."""
    inside = EmbeddedServer()
    await inside.start()
    yield inside
    await inside.stop()


@pytest.fixture
def room() -> str:
    return f"room-{secrets.token_hex(4)}"


@pytest_asyncio.fixture(loop_scope="session")
async def join(room: str) -> AsyncIterator[Join]:
    """`await join(server.url, "alice", **options of Caller.join)`; everyone leaves at the end of the test."""
    callers: list[Caller] = []

    async def join_room(url: str, identity: str, **options: object) -> Caller:
        caller = Caller(url, room, identity)
        await caller.join(**options)
        callers.append(caller)
        return caller

    yield join_room
    for caller in reversed(callers):
        await caller.leave()

"""Callers with bad networks: they get what fits, and are told how good their connection is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from livekit import rtc

from tests.harness.caller import Caller
from tests.harness.fixtures import Join
from tests.harness.link import Conditions, Link
from tests.harness.media import PatternReader
from tests.harness.proxy import SignalProxy
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

LOW, HIGH = 320, 960
EXCELLENT, POOR = rtc.ConnectionQuality.QUALITY_EXCELLENT, rtc.ConnectionQuality.QUALITY_POOR
IMPATIENT = {"TING_CONNECTION_QUALITY_INTERVAL_S": "1", "TING_DOWNLINK_PROBE_INTERVAL_S": "2"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[ServerProcess]:
    process = ServerProcess(environment=IMPATIENT)
    await process.start()
    yield process
    assert await process.stop() == 0, "\n".join(process.log[-40:])
    process.assert_healthy()


@pytest_asyncio.fixture(loop_scope="session")
async def line(server: ServerProcess) -> AsyncIterator[tuple[Link, str]]:
    """A link to the server, good for now, and the URL that leads over it."""
    link = await Link(("127.0.0.1", server.ports.udp), Conditions()).start()
    proxy = await SignalProxy(server.url, link.rewrite).start()
    yield link, proxy.url
    await proxy.stop()
    await link.stop()


async def expect_width(eye: PatternReader, width: int, timeout: float) -> None:
    await eye.until(lambda: eye.frames and eye.frames[-1].width == width, f"pictures {width} wide", timeout)
    await eye.assert_advances(3, frames=5)


async def quality_of(caller: Caller, identity: str, wanted: int, after: int, timeout: float) -> None:
    await caller.wait_for(
        "connection_quality_changed",
        lambda participant, quality: participant.identity == identity and quality == wanted,
        after=after,
        timeout=timeout,
    )


@pytest.mark.parametrize("side", ["publisher"])
async def test_loss_lowers_the_quality_until_it_ends(
    server: ServerProcess, join: Join, line: tuple[Link, str], side: str
) -> None:
    link, lossy = line
    urls = (lossy, server.url) if side == "publisher" else (server.url, lossy)
    alice, bob = await join(urls[0], "alice"), await join(urls[1], "bob")
    suffers = "alice" if side == "publisher" else "bob"
    await alice.publish_melody()
    ear = await bob.listen("alice")
    await ear.received(1.0)
    await quality_of(bob, suffers, EXCELLENT, 0, 10)

    link.conditions = Conditions(loss=0.2)
    after = len(bob.events)
    await quality_of(bob, suffers, POOR, after, 30)
    other = "bob" if side == "publisher" else "alice"
    told = [args for name, args in bob.events[after:] if name == "connection_quality_changed"]
    assert all(participant.identity != other for participant, _ in told)

    link.conditions = Conditions()
    await quality_of(bob, suffers, EXCELLENT, len(bob.events), 40)
    for caller in (alice, bob):
        await caller.leave()

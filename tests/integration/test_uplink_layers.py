"""A publisher of two layers whose line takes less than they do: it is asked for the lower alone, and later for both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from livekit import rtc

from tests.harness.caller import Caller
from tests.harness.link import Conditions, Link
from tests.harness.proxy import SignalProxy
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

DEADLINE_S = 90
NARROW_BPS = 250_000
"""A quarter of what both layers take; a picture of noise fills it for half a second."""


async def layers_sent(publication: rtc.LocalTrackPublication) -> int:
    """How many layers the client encodes, by its own statistics."""
    assert publication.track is not None
    stats = await publication.track.get_stats()
    return sum(one.outbound_rtp.outbound.active for one in stats if one.HasField("outbound_rtp"))


async def until(probe: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not await probe():  # noqa: ASYNC110 - statistics have no event
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not within {DEADLINE_S} s: {what}") from None


async def test_fewer_layers_while_the_line_is_narrow(server: ServerProcess, room: str) -> None:
    line = await Link(("127.0.0.1", server.ports.udp), Conditions()).start()
    proxy = await SignalProxy(server.url, line.rewrite).start()
    ada, bob = Caller(proxy.url, room, "ada"), Caller(server.url, room, "bob")
    try:
        await bob.join()
        await ada.join(dynacast=True)
        publication = await ada.publish_pattern(
            1, size=(640, 360), fps=12, bitrate_bps=500_000, noisy=True, simulcast=True
        )
        reader = await bob.watch("ada")
        await reader.assert_advances(1, frames=3)

        async def are_two() -> bool:
            return await layers_sent(publication) == 2

        await until(are_two, "both layers")
        line.conditions = Conditions(rate_bps=NARROW_BPS)

        async def is_one() -> bool:
            return await layers_sent(publication) == 1

        await until(is_one, "the lower layer alone")
        line.conditions = Conditions()
        await until(are_two, "both layers again")
        seen = len(reader.frames)
        await reader.until(lambda: len(reader.frames) > seen + 3, "pictures that go on", DEADLINE_S)
    finally:
        for one in (ada, bob):
            await one.leave()
        await proxy.stop()
        await line.stop()

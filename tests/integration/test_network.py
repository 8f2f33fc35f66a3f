"""Bad networks: no UDP, loss, a NAT that changes its mind."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise

import pytest
import pytest_asyncio
from livekit import rtc

from tests.harness.caller import Caller
from tests.harness.fixtures import Join
from tests.harness.link import Conditions, Link
from tests.harness.media import PatternReader, SoundReader
from tests.harness.proxy import SignalProxy, without_udp
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

MakeLink = Callable[[Conditions], Awaitable[tuple[Link, str]]]


@pytest_asyncio.fixture(loop_scope="session")
async def make_link(server: ServerProcess) -> AsyncIterator[MakeLink]:
    """A link to the server, and the URL that leads over it."""
    closers: list[Link | SignalProxy] = []

    async def make(conditions: Conditions) -> tuple[Link, str]:
        link = await Link(("127.0.0.1", server.ports.udp), conditions).start()
        proxy = await SignalProxy(server.url, link.rewrite).start()
        closers.extend((link, proxy))
        return link, proxy.url

    yield make
    for closer in reversed(closers):
        await closer.stop()


async def call(join: Join, from_url: str, to_url: str) -> tuple[Caller, Caller, PatternReader, SoundReader]:
    alice, bob = await join(from_url, "alice"), await join(to_url, "bob")
    await alice.publish_pattern(12)
    await alice.publish_tone(450)
    eye, ear = await bob.watch("alice"), await bob.listen("alice")
    await asyncio.gather(eye.assert_advances(12), ear.assert_tone(450))
    return alice, bob, eye, ear


def ufrags(sdp: str) -> set[str]:
    """RFC 8839, section 5.4: others for each transport."""
    return set(re.findall(r"^a=ice-ufrag:(\S+)", sdp, re.MULTILINE))


async def test_media_over_tcp_where_udp_is_blocked(server: ServerProcess, join: Join) -> None:
    proxy = await SignalProxy(server.url, without_udp).start()
    alice, bob, eye, _ = await call(join, proxy.url, proxy.url)
    await eye.assert_advances(12, frames=30)
    await alice.leave()
    await bob.leave()
    await proxy.stop()


async def test_a_client_that_wants_tcp_joins_again_over_tcp(server: ServerProcess, join: Join) -> None:
    told: list[str] = []

    def listen(sdp: str) -> str:
        told.append(sdp)
        return sdp

    proxy = await SignalProxy(server.url, listen).start()
    alice, bob, _, _ = await call(join, server.url, proxy.url)
    assert all(sdp != without_udp(sdp) for sdp in told)
    begin, before = len(bob.events), {ufrag for sdp in told for ufrag in ufrags(sdp)}
    await bob.room.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FORCE_TCP)
    await bob.wait_for("track_subscribed", after=begin)
    await (await bob.watch("alice")).assert_advances(12)
    # What the first connection was still told, before it went, has the credentials of then.
    again = [sdp for sdp in told if not ufrags(sdp) & before]
    assert again
    assert all(sdp == without_udp(sdp) and " tcptype passive" in sdp for sdp in again)
    for caller in (alice, bob):
        await caller.leave()
    await proxy.stop()


@pytest.mark.parametrize("side", ["publisher", "subscriber"])
async def test_loss_is_repaired(server: ServerProcess, join: Join, make_link: MakeLink, side: str) -> None:
    """5 % loss and reordering: pictures stay whole and in order, the picture never stands still for a second."""
    link, lossy = await make_link(Conditions(loss=0.05, delay_s=0.02, jitter_s=0.02))
    urls = (lossy, server.url) if side == "publisher" else (server.url, lossy)
    alice, bob, eye, ear = await call(join, *urls)
    frames = await eye.assert_advances(12, frames=75, timeout=15)
    pauses = [after.at_s - before.at_s for before, after in pairwise(frames)]
    assert max(pauses) < 1.0
    await ear.assert_tone(450)
    assert link.lost > 10
    for caller in (alice, bob):
        await caller.leave()


@pytest.mark.parametrize("side", ["publisher", "subscriber"])
async def test_nat_rebinding(server: ServerProcess, join: Join, make_link: MakeLink, side: str) -> None:
    """The client's address changes under way: media moves with it, without a word of signaling."""
    link, url = await make_link(Conditions())
    urls = (url, server.url) if side == "publisher" else (server.url, url)
    alice, bob = await join(urls[0], "alice"), await join(urls[1], "bob")
    await alice.publish_pattern(12)
    await alice.publish_melody()
    eye, ear = await bob.watch("alice"), await bob.listen("alice")
    await asyncio.gather(eye.assert_advances(12), ear.received(2.0))
    begin, events = ear.position, (len(alice.events), len(bob.events))
    link.rebind()
    await asyncio.gather(eye.assert_advances(12, frames=30), ear.received(5.0))
    # libwebrtc checks its path every 2.5 s at the latest; until then nothing tells the server the new address.
    assert ear.longest_gap_ms(begin) <= 3000
    async with asyncio.timeout(10):
        while ear.longest_gap_ms(await ear.received(1.0)) > 50:
            pass  # The jitter buffer is still settling.
    for caller, position in zip((alice, bob), events, strict=True):
        names = {name for name, _ in caller.events[position:]} - {"connection_quality_changed"}
        assert not [name for name in names if "connect" in name]
    await alice.leave()
    await bob.leave()

"""Callers with bad networks: they get what fits, and are told how good their connection is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import pytest_asyncio
from livekit import rtc

from tests.harness.caller import Caller
from tests.harness.link import Conditions, Link
from tests.harness.media import PatternReader
from tests.harness.proxy import SignalProxy
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

SOURCE, FPS = 3, 10
LOW, HIGH = 320, 960
EXCELLENT, POOR = rtc.ConnectionQuality.QUALITY_EXCELLENT, rtc.ConnectionQuality.QUALITY_POOR
LOST = rtc.ConnectionQuality.QUALITY_LOST
IMPATIENT = {"TING_CONNECTION_QUALITY_INTERVAL_S": "1", "TING_DOWNLINK_PROBE_INTERVAL_S": "2"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[ServerProcess]:
    process = ServerProcess(environment=IMPATIENT)
    await process.start()
    yield process
    assert await process.stop() == 0, "\n".join(process.log[-40:])
    process.assert_healthy()


@pytest_asyncio.fixture(loop_scope="session")
async def lines(server: ServerProcess) -> AsyncIterator[list[tuple[Link, str]]]:
    """Two links to the server, good for now, each with the URL that leads over it."""
    links = [await Link(("127.0.0.1", server.ports.udp), Conditions()).start() for _ in range(2)]
    proxies = [await SignalProxy(server.url, link.rewrite).start() for link in links]
    yield [(link, proxy.url) for link, proxy in zip(links, proxies, strict=True)]
    for proxy in proxies:
        await proxy.stop()
    for link in links:
        await link.stop()


async def steady(eye: PatternReader, width: int, timeout: float) -> None:
    """Wait for five readable pictures of that width in a row."""

    def is_steady() -> bool:
        last = eye.frames[-5:]
        return len(last) == 5 and all(one.width == width and one.mark and one.mark.source == SOURCE for one in last)

    await eye.until(is_steady, f"pictures {width} wide", timeout)


def assert_order(eye: PatternReader) -> None:
    """Every picture is newer than the one before, but where a switch of layers begins with the newest keyframe."""
    marked = [(frame.width, frame.mark.number) for frame in eye.frames if frame.mark]
    for (width_before, before), (width, number) in pairwise(marked):
        assert number > before or (width != width_before and before - number <= FPS), marked


async def test_bad_lines(server: ServerProcess, room: str, lines: list[tuple[Link, str]]) -> None:
    """Two calls at the same time, because both take their time."""
    slow, lossy = lines
    async with asyncio.TaskGroup() as calls:
        calls.create_task(a_slow_line_gets_the_low_layer_and_whole_sound(server.url, f"{room}-slow", *slow))
        calls.create_task(loss_lowers_the_quality_until_it_ends(server.url, f"{room}-lossy", *lossy))


async def join_all(room: str, **urls: str) -> list[Caller]:
    return [await Caller(url, room, identity).join() for identity, url in urls.items()]


async def a_slow_line_gets_the_low_layer_and_whole_sound(good: str, room: str, link: Link, slow: str) -> None:
    """Everyone else gets the high one."""
    # Room for the lowest layer and the sound, and not for the layer between.
    link.conditions = Conditions(rate_bps=350_000)
    alice, bob, carol = callers = await join_all(room, alice=good, bob=slow, carol=good)
    await alice.publish_pattern(SOURCE, size=(960, 540), fps=FPS, simulcast=True, bitrate_bps=1_500_000, noisy=True)
    await alice.publish_melody()
    bobs_eye, bobs_ear, carols_eye = await bob.watch("alice"), await bob.listen("alice"), await carol.watch("alice")
    await steady(bobs_eye, LOW, 30)
    async with asyncio.timeout(30):
        while bobs_ear.longest_gap_ms(await bobs_ear.received(1.5)) > 60:
            pass  # The queue drains, and now and then more is tried.
    await steady(carols_eye, HIGH, 20)
    for eye in (bobs_eye, carols_eye):
        assert_order(eye)
    for caller in callers:
        await caller.leave()


async def quality_of(caller: Caller, identity: str, wanted: int, after: int, timeout: float) -> None:
    await caller.wait_for(
        "connection_quality_changed",
        lambda participant, quality: participant.identity == identity and quality == wanted,
        after=after,
        timeout=timeout,
    )


async def loss_lowers_the_quality_until_it_ends(good: str, room: str, link: Link, lossy: str) -> None:
    """Of who sends over a bad line and of who receives over it, and not of who is at the other end."""
    alice, bob, carol = callers = await join_all(room, alice=lossy, bob=good, carol=lossy)
    await asyncio.gather(alice.publish_melody(), bob.publish_melody())
    await asyncio.gather(bob.listen("alice"), carol.listen("bob"))
    suffering = ((bob, "alice"), (carol, "carol"))

    async def all_are(grade: rtc.ConnectionQuality, since: dict[str, int], timeout: float) -> None:
        await asyncio.gather(
            *(quality_of(witness, who, grade, since[witness.identity], timeout) for witness, who in suffering)
        )

    def positions() -> dict[str, int]:
        return {witness.identity: len(witness.events) for witness, _ in suffering}

    await all_are(EXCELLENT, dict.fromkeys(positions(), 0), 10)
    before = positions()
    link.conditions = Conditions(loss=0.2)
    await all_are(POOR, before, 30)
    bad = positions()
    told = [args for name, args in bob.events[before["bob"] : bad["bob"]] if name == "connection_quality_changed"]
    # Chance makes one side count a little more loss than the other.
    assert not any(who.identity == "bob" and grade in (POOR, LOST) for who, grade in told)
    link.conditions = Conditions()
    await all_are(EXCELLENT, bad, 40)
    for caller in callers:
        await caller.leave()

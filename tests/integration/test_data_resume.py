"""Reliable data while connections break: each message once, in order, to a client that comes back or has just come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.harness.caller import Caller
from tests.harness.fixtures import Join
from tests.harness.link import Conditions, Link
from tests.harness.proxy import SignalProxy
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

MESSAGES = 30
RESUME_TIMEOUT_S = 30.0


class Breakable:
    """A way to the server whose WebSocket and UDP can be cut."""

    def __init__(self, server: ServerProcess) -> None:
        self.link = Link(("127.0.0.1", int(server.ports.udp)), Conditions())
        self.proxy = SignalProxy(server.url, self.link.rewrite)

    async def cut(self, *, media: bool) -> None:
        self.link.conditions = Conditions(loss=1.0 if media else 0.0)
        await self.proxy.cut()

    def mend(self) -> None:
        self.link.conditions = Conditions()
        self.proxy.mend()


@pytest_asyncio.fixture(loop_scope="session")
async def way(server: ServerProcess) -> AsyncIterator[Breakable]:
    way = Breakable(server)
    await way.link.start()
    await way.proxy.start()
    yield way
    way.mend()
    await way.proxy.stop()
    await way.link.stop()


def texts(who: str, count: int = MESSAGES, first: int = 0) -> list[bytes]:
    return [f"{who} {number}".encode() for number in range(first, first + count)]


def received(caller: Caller) -> list[bytes]:
    return [args[0].data for name, args in caller.events if name == "data_received"]


async def send(caller: Caller, payloads: list[bytes]) -> None:
    for payload in payloads:
        await caller.room.local_participant.publish_data(payload, reliable=True)


@pytest.mark.parametrize("media", [False, True], ids=["websocket", "websocket and media"])
async def test_nothing_reliable_is_lost_or_doubled_over_a_resume(
    server: ServerProcess, join: Join, way: Breakable, media: bool
) -> None:
    alice, bob = await join(server.url, "alice"), await join(way.proxy.url, "bob")
    sid = bob.room.local_participant.sid
    await send(alice, texts("alice"))
    await send(bob, texts("bob"))
    await alice.until(lambda: len(received(alice)) >= MESSAGES, "what bob sent before")
    begin = len(bob.events)
    await way.cut(media=media)
    away = asyncio.gather(send(alice, texts("alice", first=MESSAGES)), send(bob, texts("bob", first=MESSAGES)))
    await bob.wait_for("reconnecting", after=begin, timeout=RESUME_TIMEOUT_S)
    way.mend()
    await bob.wait_for("reconnected", after=begin, timeout=RESUME_TIMEOUT_S)
    await asyncio.wait_for(away, RESUME_TIMEOUT_S)
    await asyncio.gather(send(alice, [b"alice end"]), send(bob, [b"bob end"]))
    await bob.wait_for("data_received", lambda packet: packet.data == b"alice end", timeout=RESUME_TIMEOUT_S)
    await alice.wait_for("data_received", lambda packet: packet.data == b"bob end", timeout=RESUME_TIMEOUT_S)
    assert bob.room.local_participant.sid == sid, "that was no resume"
    assert received(bob) == [*texts("alice", 2 * MESSAGES), b"alice end"]
    assert received(alice) == [*texts("bob", 2 * MESSAGES), b"bob end"]


async def test_one_that_is_joining_misses_nothing_reliable(server: ServerProcess, join: Join) -> None:
    """From the first message on that was sent after alice saw it come: its data channels are not there by then."""
    alice = await join(server.url, "alice")
    coming = asyncio.create_task(join(server.url, "bob"))
    await alice.wait_for("participant_connected")
    await send(alice, texts("alice"))
    bob = await coming
    await bob.wait_for("data_received", lambda packet: packet.data == texts("alice")[-1])
    assert received(bob) == texts("alice")

"""A cluster of real processes that fails in the ways of real machines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.harness.fixtures import Join
from tests.harness.nodes import ClusterProcesses

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster() -> AsyncIterator[ClusterProcesses]:
    cluster = ClusterProcesses("one", "two", "three", TING_DEFAULT_KIND="open")
    await cluster.start()
    yield cluster
    await cluster.stop()
    for node in cluster.nodes.values():
        node.assert_healthy()


async def test_calls_go_on_and_begin_while_the_bus_is_away(cluster: ClusterProcesses, join: Join) -> None:
    one, two = cluster.nodes["one"], cluster.nodes["two"]
    alice, bob = await join(one.url, "alice"), await join(two.url, "bob")
    await alice.publish_tone(500)
    ear = await bob.listen("alice")
    await ear.assert_tone(500)
    cluster.nats.stop()
    try:
        await asyncio.sleep(2 * 3.0)  # twice as long as a node may be silent in the registry
        carol = await join(two.url, "carol")
        await (await carol.listen("alice")).assert_tone(500)
        await carol.publish_tone(900)
        await (await alice.listen("carol")).assert_tone(900)
        await ear.assert_tone(500)
    finally:
        cluster.nats.start()
    await cluster.connected("one", "two", "three")


async def test_a_node_that_is_killed_takes_nobody_with_it(cluster: ClusterProcesses, join: Join) -> None:
    one, two, three = cluster.nodes.values()
    alice, bob = await join(one.url, "alice"), await join(two.url, "bob")
    carol = await join(three.url, "carol")
    await alice.publish_tone(500)
    ear = await bob.listen("alice")
    await ear.assert_tone(500)
    await (await carol.listen("alice")).assert_tone(500)
    await three.kill()
    await bob.wait_for("participant_disconnected", lambda participant: participant.identity == "carol")
    await cluster.connected("one", "two")
    await ear.assert_tone(500)
    again = await join(two.url, "carol")
    await (await again.listen("alice")).assert_tone(500)
    await three.start()
    await cluster.connected("one", "two", "three")
    dan = await join(three.url, "dan")
    await (await dan.listen("alice")).assert_tone(500)


async def test_a_node_that_stops_sends_its_people_to_the_others(cluster: ClusterProcesses, join: Join) -> None:
    one, three = cluster.nodes["one"], cluster.nodes["three"]
    alice = await join(one.url, "alice")
    await alice.publish_tone(500)
    assert await three.stop() == 0
    bob = await join(cluster.balancer.url, "bob")
    await (await bob.listen("alice")).assert_tone(500)
    await three.start()
    await cluster.connected("one", "two", "three")

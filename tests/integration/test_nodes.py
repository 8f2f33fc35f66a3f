"""A cluster of real processes that fails in the ways of real machines."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from livekit import api, rtc

from tests.harness.caller import Caller
from tests.harness.fixtures import Join
from tests.harness.nodes import ClusterProcesses
from tests.harness.server import API_KEY, API_SECRET, ServerProcess, make_token
from tests.harness.waiting import DEADLINE_S

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


NODE_TIMEOUT_S = 6.0
LONGEST_GAP_MS = 2000
"""Of what must have none, where what is away is so for much longer; a busy machine makes a second of it."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster() -> AsyncIterator[ClusterProcesses]:
    options = {"TING_DEFAULT_KIND": "open", "TING_ACCOUNTS": "true", "TING_NODE_TIMEOUT_S": str(NODE_TIMEOUT_S)}
    cluster = ClusterProcesses("one", "two", "three", **options)
    cluster.lay_strait("one", "three")
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
        # Longer than a node may be silent in the registry.
        await cluster.until("ting_node_valid 0.0", "one", "two")
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


async def roster(node: ServerProcess, room: str) -> set[tuple[str, str, str]]:
    """Identity, id and metadata of all in the room, as this node sees it."""
    async with api.LiveKitAPI(node.url, API_KEY, API_SECRET) as admin:
        there = await admin.room.list_participants(api.ListParticipantsRequest(room=room))
    return {(one.identity, one.sid, one.metadata) for one in there.participants}


async def until_all_see(cluster: ClusterProcesses, room: str, *callers: Caller) -> None:
    """Of each the id that its client has by then, and nobody else."""
    expected: set[tuple[str, str, str]] = set()
    seen: list[set[tuple[str, str, str]]] = []
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not seen or seen != [expected] * len(cluster.nodes):
                seen = [await roster(node, room) for node in cluster.nodes.values()]
                own = [caller.room.local_participant for caller in callers]
                expected = {(one.identity, one.sid, one.metadata) for one in own}
    except TimeoutError:
        raise AssertionError(f"{seen}, and not {expected} on all") from None


async def test_a_node_that_stood_still_comes_back_as_one_of_them(
    cluster: ClusterProcesses, join: Join, room: str
) -> None:
    one, two, three = cluster.nodes.values()
    alice, bob = await join(one.url, "alice"), await join(two.url, "bob")
    carol, dan = await join(three.url, "carol"), await join(three.url, "dan")
    await alice.publish_melody()
    await dan.publish_tone(700)
    ear = await bob.listen("alice")
    await (await bob.listen("dan")).assert_tone(700)
    begin, events = await ear.received(0.5), len(bob.events)
    os.kill(three.pid, signal.SIGSTOP)
    try:
        for identity in ("carol", "dan"):
            await bob.wait_for("participant_disconnected", lambda gone, who=identity: gone.identity == who)
        # One of its people has given up, and found another node.
        await carol.leave()
        carol = await join(two.url, "carol")
        await (await carol.listen("alice")).received(0.5)
    finally:
        os.kill(three.pid, signal.SIGCONT)
    await cluster.connected("one", "two", "three")
    await until_all_see(cluster, room, alice, bob, carol, dan)
    await bob.wait_for("participant_connected", lambda back: back.identity == "dan", after=events)
    await (await bob.listen("dan")).assert_tone(700)
    assert ear.longest_gap_ms(begin) <= LONGEST_GAP_MS


async def test_nodes_that_were_parted_agree_again(cluster: ClusterProcesses, join: Join, room: str) -> None:
    one, two, three = cluster.nodes.values()
    assert cluster.strait is not None
    alice, bob, carol = await join(one.url, "alice"), await join(two.url, "bob"), await join(three.url, "carol")
    await alice.publish_melody()
    await carol.publish_tone(700)
    ears = [await bob.listen("alice"), await bob.listen("carol")]
    before = cluster.strait.datagrams
    await (await carol.listen("alice")).received(0.5)
    assert cluster.strait.datagrams > before, "their media does not go where it is cut"
    begin, events = await ears[0].received(0.5), len(bob.events)
    cluster.strait.cut()
    try:
        await carol.wait_for("participant_disconnected", lambda gone: gone.identity == "alice")
        await alice.wait_for("participant_disconnected", lambda gone: gone.identity == "carol")
        # The third sees both, and neither is interrupted there.
        assert {identity for identity, _, _ in await roster(two, room)} == {"alice", "bob", "carol"}
        await ears[1].assert_tone(700)
        await alice.room.local_participant.set_metadata("changed meanwhile")
        dan = await join(three.url, "dan")
        async with api.LiveKitAPI(three.url, API_KEY, API_SECRET) as admin:
            await admin.room.update_room_metadata(api.UpdateRoomMetadataRequest(room=room, metadata="the newest"))
    finally:
        cluster.strait.mend()
    await cluster.connected("one", "two", "three")
    await until_all_see(cluster, room, alice, bob, carol, dan)
    assert not [event for event, _ in bob.events[events:] if event == "participant_disconnected"]
    assert ears[0].longest_gap_ms(begin) <= LONGEST_GAP_MS
    for caller in (alice, bob, carol, dan):
        await caller.until(lambda caller=caller: caller.room.metadata == "the newest", "the room's metadata")
    await (await carol.listen("alice")).received(0.5)
    await (await alice.listen("carol")).assert_tone(700)


async def test_the_bus_stands_still_and_comes_back_with_nothing(
    cluster: ClusterProcesses, join: Join, room: str
) -> None:
    one, two = cluster.nodes["one"], cluster.nodes["two"]
    alice, bob = await join(one.url, "alice"), await join(two.url, "bob")
    await alice.publish_melody()
    ear = await bob.listen("alice")
    begin = await ear.received(0.5)
    cluster.nats.freeze()
    try:
        await cluster.until("ting_bus_available 0.0", "one", "two", "three")
    finally:
        cluster.nats.stop()
        cluster.nats.forget()
        cluster.nats.start()
    for line in ("ting_node_valid 1.0", "ting_nodes 3.0"):
        await cluster.until(line, "one", "two", "three")
    await cluster.connected("one", "two", "three")
    await until_all_see(cluster, room, alice, bob)
    await ear.received(0.5)
    assert ear.longest_gap_ms(begin) <= LONGEST_GAP_MS


async def run(cluster: ClusterProcesses, command: str, *arguments: str) -> tuple[int, str]:
    """`ting nodes` or another command as an operator calls it beside any node."""
    words = [sys.executable, "-m", "signaling.cli", command, "--dev", *arguments]
    process = await asyncio.create_subprocess_exec(
        *words, env={**os.environ, **cluster.nodes["one"].environment}, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as client, client.get(url) as answer:
        return answer.status, await answer.text()


async def until_status(url: str, status: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while (await get(url))[0] != status:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)


async def test_an_operator_sees_the_nodes_and_drains_one(cluster: ClusterProcesses, join: Join) -> None:
    two, three = cluster.nodes["two"], cluster.nodes["three"]
    assert await get(f"{three.url}/readyz") == (200, "ready\n")
    code, said = await run(cluster, "nodes", "list", "--json")
    assert code == 0
    assert [(node["name"], node["draining"]) for node in json.loads(said)] == [
        ("one", False), ("three", False), ("two", False),
    ]  # fmt: skip
    code, said = await run(cluster, "nodes", "drain", "four")
    assert (code, said) == (1, "there is no node named four; those there are: one, three, two\n")
    alice = await join(two.url, "alice")
    await alice.publish_tone(500)
    code, said = await run(cluster, "nodes", "drain", "three")
    assert (code, said) == (0, "three is gone\n")
    assert await three.ended() == 0
    await cluster.connected("one", "two")
    _, metrics = await get(f"{two.url}/metrics")
    assert {"ting_nodes 2.0", "ting_bus_available 1.0", "ting_node_valid 1.0"} <= set(metrics.splitlines())
    await three.start()
    await cluster.connected("one", "two", "three")
    bob = await join(three.url, "bob")
    await (await bob.listen("alice")).assert_tone(500)


async def test_an_admin_sees_nodes_what_goes_between_them_and_where_a_call_is(
    cluster: ClusterProcesses, join: Join, room: str
) -> None:
    one, two = cluster.nodes["one"], cluster.nodes["two"]
    alice, bob = await join(one.url, "alice"), await join(two.url, "bob")
    await alice.publish_tone(500)
    await (await bob.listen("alice")).assert_tone(500)
    code, password = await run(cluster, "account", "create", "Ada", "--admin")
    assert code == 0
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), headers={"Origin": one.url}) as admin:
        sign_in = {"name": "Ada", "password": password.strip()}
        async with admin.post(f"{one.url}/api/v1/account/sign-in/password", json=sign_in) as answer:
            assert answer.status == 200, await answer.text()
        async with admin.get(f"{one.url}/api/v1/admin/nodes") as answer:
            seen = await answer.json()
        async with admin.get(f"{one.url}/api/v1/admin/calls") as answer:
            calls = {call["room"]: call["nodes"] for call in (await answer.json())["calls"]}
    assert seen["problem"] == ""
    nodes = {node["name"]: node for node in seen["nodes"]}
    assert {(name, node["here"], node["connected"], node["registered"]) for name, node in nodes.items()} == {
        ("one", True, True, True), ("two", False, True, True), ("three", False, True, True),
    }  # fmt: skip
    assert nodes["two"]["sent_bytes"] > nodes["three"]["sent_bytes"] == 0, "nobody listens on three"
    assert calls[room] == [{"name": "one", "participants": 1}, {"name": "two", "participants": 1}]


async def test_who_is_put_out_on_one_node_is_kept_out_on_all_within_a_second(
    cluster: ClusterProcesses, join: Join, room: str
) -> None:
    one, two, three = cluster.nodes.values()
    token = make_token(room, "mallory")
    mallory = await join(two.url, "mallory")
    check = f"{three.url}/rtc/validate?access_token={token}"
    assert (await get(check))[0] == 200
    async with api.LiveKitAPI(one.url, API_KEY, API_SECRET) as admin:
        await admin.room.remove_participant(api.RoomParticipantIdentity(room=room, identity="mallory"))
    # The machine may be slow; what a node needs is a hint, and not a look into the database each half second.
    await until_status(check, 401)
    await mallory.wait_for("disconnected")
    cluster.nats.stop()
    try:
        token = make_token(room, "eve")
        check = f"{three.url}/rtc/validate?access_token={token}"
        await join(two.url, "eve")
        assert (await get(check))[0] == 200
        async with api.LiveKitAPI(one.url, API_KEY, API_SECRET) as admin:
            await admin.room.remove_participant(api.RoomParticipantIdentity(room=room, identity="eve"))
        await until_status(check, 401)
    finally:
        cluster.nats.start()
    await cluster.connected("one", "two", "three")


async def test_a_host_sees_how_the_call_goes_on_other_nodes_and_who_is_on_one_that_is_silent(
    cluster: ClusterProcesses,
) -> None:
    one, two = cluster.nodes["one"], cluster.nodes["two"]
    here, there = rtc.Room(), rtc.Room()
    async with aiohttp.ClientSession() as http:

        async def ask(node: ServerProcess, path: str, body: dict[str, str]) -> dict[str, str]:
            async with http.post(f"{node.url}/api/v1/rooms{path}", json=body) as answer:
                answer.raise_for_status()
                said: dict[str, str] = await answer.json()
                return said

        keys = [secrets.token_urlsafe(32) for _ in range(2)]
        name = (await ask(one, "", {"key": keys[0]}))["name"]
        ada = await ask(one, f"/{name}/tokens", {"name": "Ada", "key": keys[0]})
        bob = await ask(two, f"/{name}/tokens", {"name": "Bob", "key": keys[1]})
        await here.connect(one.url, ada["token"])
        await there.connect(two.url, bob["token"])

        async def seen(field: str, token: str) -> set[str]:
            url = f"{one.url}/api/v1/rooms/{name}/call-timelines"
            async with http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
                return {person["name"] for person in (await answer.json())[field]}

        async def until(field: str, names: set[str]) -> None:
            async with asyncio.timeout(DEADLINE_S):
                while await seen(field, ada["token"]) != names:  # noqa: ASYNC110 - there is no event to wait for
                    await asyncio.sleep(0.02)

        await until("timelines", {"Ada", "Bob"})
        assert await seen("missing", ada["token"]) == set()
        assert await seen("timelines", bob["token"]) == {"Bob"}, "others see themselves, wherever they ask"
        kept, headers = (
            f"{one.url}/api/v1/rooms/{name}/past-call-timelines",
            {"Authorization": f"Bearer {bob['token']}"},
        )
        async with http.get(kept, headers=headers) as answer:
            assert await answer.json() == {"timelines": [], "before": None}, "PostgreSQL takes the questions, too"
        async with http.delete(f"{kept}/{bob['identity']}", headers=headers) as answer:
            assert await answer.json() == {"timelines": 0}
        os.kill(two.pid, signal.SIGSTOP)
        try:
            assert await seen("missing", ada["token"]) == {"Bob"}
        finally:
            os.kill(two.pid, signal.SIGCONT)
        await until("timelines", {"Ada", "Bob"})
    await there.disconnect()
    await here.disconnect()
    await cluster.connected("one", "two", "three")


async def test_an_evicted_node_is_gone_at_once(cluster: ClusterProcesses) -> None:
    code, said = await run(cluster, "nodes", "evict", "three")
    assert (code, said) == (0, "three is gone\n")
    assert await cluster.nodes["three"].ended() == -9
    await cluster.nodes["three"].start()
    await cluster.connected("one", "two", "three")


async def test_a_node_that_starts_without_the_bus_is_not_ready_before_it_is_in(cluster: ClusterProcesses) -> None:
    three = cluster.nodes["three"]
    await three.stop()
    cluster.nats.stop()
    try:
        await three.start()
        assert await get(f"{three.url}/readyz") == (503, "not in the cluster\n")
        assert (await get(f"{three.url}/healthz"))[0] == 200
    finally:
        cluster.nats.start()
    await until_status(f"{three.url}/readyz", 200)
    await cluster.connected("one", "two", "three")

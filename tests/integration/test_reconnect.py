"""Connections that break and come back, and a server that goes."""

from __future__ import annotations

import aiohttp
import pytest
from livekit import rtc

from tests.harness.caller import Caller
from tests.harness.fixtures import Join
from tests.harness.media import PatternReader
from tests.harness.raw import RawParticipant
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

RECONNECT_TIMEOUT_S = 20.0


async def call(server: ServerProcess, join: Join) -> tuple[Caller, Caller, PatternReader]:
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob")
    await alice.publish_pattern(8)
    eye = await bob.watch("alice")
    await eye.assert_advances(8)
    return alice, bob, eye


async def simulate(caller: Caller, scenario: rtc.SimulateScenarioKind.ValueType) -> None:
    begin = len(caller.events)
    await caller.room.simulate_scenario(scenario)
    await caller.wait_for("reconnected", after=begin, timeout=RECONNECT_TIMEOUT_S)


@pytest.mark.parametrize("who", ["publisher", "subscriber"])
async def test_resume_with_ice_restart(server: ServerProcess, join: Join, who: str) -> None:
    """The signal connection breaks; both sides stay who they are, and the same media goes on."""
    alice, bob, eye = await call(server, join)
    caller, other = (alice, bob) if who == "publisher" else (bob, alice)
    sid = caller.room.local_participant.sid
    begin = len(other.events)
    await simulate(caller, rtc.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT)
    assert caller.room.local_participant.sid == sid
    await eye.assert_advances(8, frames=20)
    assert bob.count("track_unsubscribed") == 0
    assert [name for name, _ in other.events[begin:] if name.startswith("participant_dis")] == []
    # The new signal connection works both ways.
    await caller.publish_tone(650)
    await (await other.listen(caller.identity)).assert_tone(650)


@pytest.mark.parametrize("who", ["publisher", "subscriber"])
async def test_full_reconnect(server: ServerProcess, join: Join, who: str) -> None:
    """The client starts over: a new participant id, everything published and subscribed anew."""
    alice, bob, _ = await call(server, join)
    caller, other = (alice, bob) if who == "publisher" else (bob, alice)
    sid, begin = other.room.remote_participants[caller.identity].sid, len(bob.events)
    await simulate(caller, rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
    await bob.wait_for("track_subscribed", after=begin, timeout=RECONNECT_TIMEOUT_S)
    await other.until(
        lambda: getattr(other.room.remote_participants.get(caller.identity), "sid", sid) != sid, "a new participant id"
    )
    await (await bob.watch("alice")).assert_advances(8)


async def test_a_frozen_client_goes(join: Join) -> None:
    """Nothing is heard of it any more: the others see it leave."""
    settings = {"ping_interval_s": 1, "ping_timeout_s": 2, "resume_timeout_s": 1, "websocket_heartbeat_s": 2}
    server = ServerProcess(environment={f"TING_{key.upper()}": str(value) for key, value in settings.items()})
    await server.start()
    try:
        alice = await join(server.url, "alice")
        async with aiohttp.ClientSession() as http:
            ghost = await RawParticipant(alice.room_name, "ghost").join(http, server.url)
            await alice.wait_for("participant_connected", lambda who: who.identity == "ghost")
            await ghost.freeze()
            await alice.wait_for("participant_disconnected", lambda who: who.identity == "ghost", timeout=15)
        await alice.leave()
    finally:
        assert await server.stop() == 0
    server.assert_healthy()


async def test_server_says_goodbye(join: Join) -> None:
    server = ServerProcess()
    await server.start()
    alice, bob, _ = await call(server, join)
    assert await server.stop() == 0
    for caller in (alice, bob):
        assert (await caller.wait_for("disconnected"))[0] == rtc.DisconnectReason.SERVER_SHUTDOWN
    server.assert_healthy()

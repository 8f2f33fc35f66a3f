"""The dialect with two peer connections, which the SDKs speak on request; all other tests take their default."""

from __future__ import annotations

import asyncio

import pytest
from livekit import rtc

from tests.harness.caller import Caller
from tests.harness.fixtures import Join
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

RECONNECT_TIMEOUT_S = 20.0


async def both(server: ServerProcess, join: Join) -> tuple[Caller, Caller]:
    """Alice with two connections, Bob with one, each with camera and microphone."""
    alice = await join(server.url, "alice", single_connection=False)
    bob = await join(server.url, "bob")
    for number, caller in enumerate((alice, bob), start=1):
        await caller.publish_pattern(number)
        await caller.publish_tone(300 + 200 * number)
    await see_and_hear(alice, bob)
    return alice, bob


async def see_and_hear(alice: Caller, bob: Caller) -> None:
    checks = []
    for caller, other, source, frequency in ((alice, "bob", 2, 700), (bob, "alice", 1, 500)):
        checks.append((await caller.watch(other)).assert_advances(source))
        checks.append((await caller.listen(other)).assert_tone(frequency))
    await asyncio.gather(*checks)


async def test_both_dialects_in_one_call(join: Join) -> None:
    server = ServerProcess()
    await server.start()
    try:
        alice, bob = await both(server, join)
        for sender, receiver in ((alice, bob), (bob, alice)):
            for reliable in (True, False):
                payload = f"{sender.identity} {reliable}".encode()
                await sender.room.local_participant.publish_data(payload, reliable=reliable)
                await receiver.wait_for("data_received", lambda packet, wanted=payload: packet.data == wanted)
        await alice.leave()
        await bob.leave()
    finally:
        assert await server.stop() == 0
    server.assert_healthy()
    # Each connection has its line once it has ended.
    dialects = [line.split(" GET ")[1].split(" ")[0] for line in server.log if " GET /rtc" in line]
    assert sorted(dialects) == ["/rtc", "/rtc/v1"]


@pytest.mark.parametrize(
    "scenario",
    [rtc.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT, rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT],
    ids=["resume", "full"],
)
async def test_reconnect(server: ServerProcess, join: Join, scenario: rtc.SimulateScenarioKind.ValueType) -> None:
    alice, bob = await both(server, join)
    sid, begin = bob.room.remote_participants["alice"].sid, len(alice.events)
    await alice.room.simulate_scenario(scenario)
    await alice.wait_for("reconnected", after=begin, timeout=RECONNECT_TIMEOUT_S)
    resumed = scenario == rtc.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT
    if resumed:
        assert bob.room.remote_participants["alice"].sid == sid
    else:
        await bob.until(lambda: sid not in [one.sid for one in bob.room.remote_participants.values()], "a new alice")
    await see_and_hear(alice, bob)

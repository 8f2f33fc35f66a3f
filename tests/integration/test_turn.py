"""Calls that are forced through coturn, with the credentials that the join response carries."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aioice.stun import TransactionFailed
from aioice.turn import create_turn_endpoint
from livekit import rtc

from sfu.api import TurnServer
from sfu.transport.reach import check_turn
from signaling.config import load_settings
from signaling.turn import IceServer, ice_servers
from tests.harness.caller import Caller
from tests.harness.coturn import MISSING, SECRET, Coturn, find_coturn
from tests.harness.server import ServerProcess
from tests.harness.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def coturn() -> AsyncIterator[Coturn]:
    binary = find_coturn()
    if binary is None:
        pytest.skip(MISSING)
    server = Coturn(binary)
    await server.start()
    yield server
    await server.stop()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_that_only_the_relay_lets_through(coturn: Coturn, transport: str, room: str) -> None:
    turn = json.dumps([{"urls": [coturn.url(transport)], "secret": SECRET}])
    server = ServerProcess(environment={"TING_TURN": turn})
    await server.start()
    callers = [Caller(server.url, room, name) for name in ("alice", "bob")]
    relay_only = rtc.RtcConfiguration(ice_transport_type=rtc.IceTransportType.TRANSPORT_RELAY)
    for caller in callers:
        await caller.join(rtc_config=relay_only)
    alice, bob = callers
    await alice.publish_pattern(12)
    await alice.publish_tone(450)
    eye, ear = await bob.watch("alice"), await bob.listen("alice")
    await asyncio.gather(eye.assert_advances(12), ear.assert_tone(450))
    for caller in callers:
        sid = caller.room.local_participant.sid
        await eventually(lambda sid=sid: coturn.allocations(sid) > 0, f"a relay of {caller.identity}")
    for caller in callers:
        await caller.leave()
    assert await server.stop() == 0
    server.assert_healthy()


async def test_a_credential_ends_by_itself(coturn: Coturn) -> None:
    """The same participant's: refused by coturn once its time is over, taken when it is a fresh one."""
    settings = load_settings(
        {"dev": True, "turn": json.dumps([{"urls": [coturn.url("tcp")], "secret": SECRET}]), "turn_ttl_s": 60}
    )
    over, fresh = (ice_servers(settings.turn, "PA_expiry", now=time.time() - ago_s)[0] for ago_s in (62, 0))

    async def allocate(server: IceServer) -> None:
        transport, _ = await create_turn_endpoint(
            asyncio.DatagramProtocol,
            server_addr=("127.0.0.1", coturn.port),
            username=server.username,
            password=server.credential,
            transport="tcp",
        )
        transport.close()

    with pytest.raises(TransactionFailed, match="401"):
        await allocate(over)
    assert coturn.allocations("PA_expiry") == 0
    await allocate(fresh)
    await eventually(lambda: coturn.allocations("PA_expiry") == 1, "a relay of the fresh credential")


async def test_the_doctor_says_whether_a_relay_takes_its_credentials(coturn: Coturn) -> None:
    turn = json.dumps([{"urls": [coturn.url("udp"), coturn.url("tcp")], "secret": SECRET}])
    settings = load_settings({"dev": True}, {"TING_TURN": turn}).turn
    (server,) = ice_servers(settings, "doctor", time.time())
    for url in server.urls:
        good = await check_turn(TurnServer(url, server.username, server.credential), 10)
        assert good.ok is True, good
        refused = await check_turn(TurnServer(url, server.username, "wrong"), 10)
        assert (refused.ok, "401" in refused.message, "`turn`" in refused.message) == (False, True, True), refused
    for url in ("turn:127.0.0.1:1?transport=tcp", "turns:127.0.0.1:1", "turn:nowhere.invalid", "turn:[::1]:x"):
        away = await check_turn(TurnServer(url, server.username, server.credential), 1)
        assert (away.ok, "cannot be reached" in away.message) == (False, True), away

"""One message over many of an engine's links, against aiortc's SCTP."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sfu.api import DataKind
from sfu.config import SfuConfig
from sfu.engine import engine_name
from sfu.engine.api import NOT_READY, NOT_TAKEN
from sfu.engine.native import RustRuntime
from sfu.sdp.model import IceCredentials, Setup
from sfu.transport.channels import send_to_all
from tests.sfu.transport_rig import Call, Peer, Server, UdpPeer, until

if engine_name(os.environ.get("TING_ENGINE", "auto")) != "rust":
    pytest.skip("the engine here has no SCTP of its own", allow_module_level=True)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    async with Server(SfuConfig(max_data_buffered_bytes=200_500)) as running:
        yield running


async def test_one_message_reaches_many_once_and_in_order(server: Server) -> None:
    """More links than are held at a time."""
    calls = [await Call.connect(server) for _ in range(20)]
    links = [call.transport.data_link for call in calls if call.transport.data_link is not None]
    assert len(links) == len(calls)
    messages = [bytes([index]) * (1 + 3_000 * index) for index in range(8)]
    for message in messages:
        outcomes = send_to_all(links, DataKind.RELIABLE, message)
        assert min(outcomes) >= len(message)
        assert min(send_to_all(links, DataKind.LOSSY, b"lossy")) >= 0
    for call in calls:
        for label, expected in (("_reliable", messages), ("_lossy", [b"lossy"] * len(messages))):
            await until(lambda call=call, label=label: len(received(call, label)) == len(messages))  # type: ignore[misc]
            assert received(call, label) == expected
    # What comes back on single ways goes on.
    await asyncio.gather(*(call.ping() for call in calls))
    for call in calls:
        await call.close()


def received(call: Call, label: str) -> list[bytes]:
    return [payload for name, payload in call.peer.messages if name == label]


async def test_of_many_each_has_an_outcome_of_its_own(server: Server) -> None:
    good, full, gone, early = [await Call.connect(server) for _ in range(3)] + [await joining(server)]
    links = [call.transport.data_link for call in (good, full, gone, early)]
    assert all(link is not None for link in links)
    full.udp.drop_dtls = True
    while full.transport.send_data(DataKind.RELIABLE, bytes(50_000)):
        pass
    await gone.transport.close()
    reliable = send_to_all(links, DataKind.RELIABLE, bytes(50_000))  # type: ignore[arg-type]
    assert reliable[0] >= 50_000
    assert reliable[1:] == [NOT_TAKEN, NOT_READY, NOT_READY]
    lossy = send_to_all([*links, links[0]], DataKind.LOSSY, b"also twice")  # type: ignore[list-item]
    assert lossy[0] >= 0
    assert lossy[1] >= 0
    assert lossy[2:4] == [NOT_READY, NOT_TAKEN]
    await until(lambda: received(good, "_lossy") == [b"also twice"] * 2)
    assert received(good, "_reliable") == [bytes(50_000)]
    assert min(send_to_all([links[0]], DataKind.LOSSY, bytes(65_537))) == NOT_TAKEN  # type: ignore[list-item]
    full.udp.drop_dtls = False
    for call in (good, full, gone, early):
        await call.peer.close()


async def test_a_link_takes_nothing_once_its_association_is_replaced(server: Server) -> None:
    """What waits then for the next one would be lost on its way."""
    call = await Call.connect(server)
    link = call.transport.data_link
    assert link is not None
    reloaded = Peer(call.udp)
    call.udp.ice = IceCredentials("reloaded", "q" * 24)
    call.transport.restart_ice()
    call.transport.set_remote(reloaded.remote(call.udp.ice), we_are=Setup.PASSIVE)
    assert send_to_all([link], DataKind.RELIABLE, b"between two") == [NOT_READY]
    await call.close()


async def test_a_replaced_association_is_not_said_to_be_ready(server: Server) -> None:
    """Its news waits for the event loop while an ICE restart replaces it."""
    call = await joining(server)
    runtime, loop = server.runtime, asyncio.get_running_loop()
    assert isinstance(runtime, RustRuntime)
    assert runtime._native is not None
    loop.remove_reader(runtime._native.event_fd())
    await call.peer.start_sctp(open_channels=True)
    await until(lambda: all(channel.readyState == "open" for channel in call.peer.channels.values()))
    reloaded = Peer(call.udp)
    call.udp.ice = IceCredentials("reloaded", "q" * 24)
    call.transport.restart_ice()
    call.transport.set_remote(reloaded.remote(call.udp.ice), we_are=Setup.PASSIVE)
    runtime._dispatch()
    assert call.log.ready == 0
    loop.add_reader(runtime._native.event_fd(), runtime._dispatch)
    await call.close()


async def joining(server: Server) -> Call:
    """Connected, and nobody opens a channel."""
    transport = server.transport()
    udp = await UdpPeer(server.address).open()
    call = Call(server, transport, udp, Peer(udp))
    transport.set_remote(call.peer.remote(udp.ice), we_are=Setup.PASSIVE)
    transport.enable_data(initiate=False, remote_max_message_size=65_536)
    await udp.check(transport.local())
    await call.peer.handshake(transport.local())
    await until(lambda: transport.data_link is not None)
    return call

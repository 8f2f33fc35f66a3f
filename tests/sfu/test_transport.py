"""A whole transport over real loopback sockets, with aioice and aiortc as the other side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aioice
import pytest
import pytest_asyncio

from sfu.api import DataKind
from sfu.config import SfuConfig
from sfu.engine.api import SrtpProfile
from sfu.errors import SdpError
from sfu.sdp.model import Fingerprint, IceCredentials, RemoteTransport, Setup
from sfu.transport.channels import send_to_all
from sfu.transport.transport import Transport, TransportEvents, TransportRole
from tests.sfu.dtls_rig import record
from tests.sfu.transport_rig import LOOPBACK, Call, Log, Peer, Server, UdpPeer, free_tcp_port, until


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as running:
        yield running


class FullAgent:
    """aioice as the client's full, controlling agent; aiortc's seam for `Peer`."""

    role = "controlling"

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: [LOOPBACK])
        self.connection = aioice.Connection(ice_controlling=True, use_ipv6=False)
        self.connection.remote_is_lite = True

    @property
    def credentials(self) -> IceCredentials:
        return IceCredentials(self.connection.local_username, self.connection.local_password)

    async def connect(self, transport: Transport, address: tuple[str, int]) -> None:
        local = transport.local()
        self.connection.remote_username = local.ice.ufrag
        self.connection.remote_password = local.ice.pwd
        await self.connection.gather_candidates()
        await self.connection.add_remote_candidate(
            aioice.Candidate("1", 1, "udp", 2130706431, address[0], address[1], "host")
        )
        await self.connection.add_remote_candidate(None)
        await self.connection.connect()

    async def _send(self, data: bytes) -> None:
        await self.connection.send(data)

    async def _recv(self) -> bytes:
        data: bytes = await self.connection.recv()
        return data

    async def close(self) -> None:
        await self.connection.close()


@pytest.mark.parametrize("role", ["client", "server"])
async def test_full_agent_connects_and_data_flows(server: Server, monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    transport = server.transport()
    log = Log(transport)
    agent = FullAgent(monkeypatch)
    peer = Peer(agent, role=role)
    transport.set_remote(peer.remote(agent.credentials), we_are=peer.server_setup)
    transport.enable_data(initiate=False, remote_max_message_size=65_536)
    await agent.connect(transport, server.address)
    await peer.handshake(transport.local())
    await peer.start_sctp(open_channels=True)
    await until(lambda: log.ready)
    assert log.connected == 1
    assert transport.connected
    assert transport.data_open
    # Open here came with the peer's message; open there comes with our acknowledgement of it.
    await until(lambda: all(channel.readyState == "open" for channel in peer.channels.values()))

    peer.channels["_reliable"].send(b"bytes")
    peer.channels["_reliable"].send("text")
    peer.channels["_lossy"].send(b"lost or not")
    await until(lambda: len(log.data) == 3)
    assert sorted(log.data) == [
        (DataKind.LOSSY, b"lost or not"),
        (DataKind.RELIABLE, b"bytes"),
        (DataKind.RELIABLE, b"text"),
    ]
    assert transport.send_data(DataKind.LOSSY, b"down")
    await until(lambda: ("_lossy", b"down") in peer.messages)
    await peer.close()
    await until(lambda: log.closed)
    assert log.closed == ["peer_closed"]


async def test_we_open_the_channels_of_a_subscriber(server: Server) -> None:
    transport = server.transport(TransportRole.SUBSCRIBE)
    log = Log(transport)
    udp = await UdpPeer(server.address).open()
    peer = Peer(udp)
    transport.set_remote(peer.remote(udp.ice), we_are=Setup.PASSIVE)
    transport.enable_data(initiate=True, remote_max_message_size=1000)
    assert not transport.send_data(DataKind.RELIABLE, b"too early")
    await udp.check(transport.local())
    await peer.handshake(transport.local())
    await peer.start_sctp(open_channels=False)
    await until(lambda: log.ready)
    assert transport.send_data(DataKind.RELIABLE, b"x" * 1000)
    assert not transport.send_data(DataKind.RELIABLE, b"x" * 1001)
    await until(lambda: ("_reliable", b"x" * 1000) in peer.messages)
    await until(lambda: set(peer.channels) == {"_reliable", "_lossy", "_data_track"})
    assert (peer.channels["_data_track"].maxRetransmits, peer.channels["_data_track"].ordered) == (0, False)
    assert peer.channels["_lossy"].maxRetransmits == 0
    assert peer.channels["_reliable"].maxRetransmits is None
    assert transport.counters["data_too_long"] == 1
    await peer.close()


async def test_description_after_nomination_and_client_hello(server: Server) -> None:
    """The answer travels by WebSocket: ICE and the first ClientHello may be here before it."""
    transport = server.transport()
    log = Log(transport)
    udp = await UdpPeer(server.address).open()
    peer = Peer(udp)
    await udp.check(transport.local())
    handshake = asyncio.ensure_future(peer.handshake(transport.local()))
    await until(lambda: transport._early)
    transport.set_remote(peer.remote(udp.ice), we_are=Setup.PASSIVE)
    await handshake
    await until(lambda: log.connected)
    assert len(transport._early) == 0
    await peer.close()


async def test_keys_reach_the_engine(server: Server) -> None:
    call = await Call.connect(server)
    keys = server.keys[call.transport.handle]
    assert keys.profile is SrtpProfile.AEAD_AES_128_GCM
    await call.close()


async def test_same_description_again_changes_nothing(server: Server) -> None:
    call = await Call.connect(server)
    before = call.transport.local()
    call.transport.set_remote(call.peer.remote(call.udp.ice), we_are=Setup.PASSIVE)
    assert call.transport.local() == before
    await call.ping()
    assert call.log.connected == 1
    await call.close()


async def test_new_certificate_or_role_without_ice_restart_is_refused(server: Server) -> None:
    call = await Call.connect(server)
    other = Peer(call.udp)
    with pytest.raises(SdpError):
        call.transport.set_remote(other.remote(call.udp.ice), we_are=Setup.PASSIVE)
    with pytest.raises(SdpError):
        call.transport.set_remote(call.peer.remote(call.udp.ice), we_are=Setup.ACTIVE)
    await call.ping()
    await call.close()


@pytest.mark.parametrize("fingerprints", [(), (Fingerprint("sha-1", "AA:BB"),)])
async def test_description_without_usable_fingerprint_is_refused(server: Server, fingerprints: Any) -> None:
    transport = server.transport()
    with pytest.raises(SdpError):
        transport.set_remote(
            RemoteTransport(IceCredentials("abcd", "p" * 22), fingerprints, Setup.ACTIVE), we_are=Setup.PASSIVE
        )


async def test_ice_restart_keeps_dtls_and_moves_to_new_credentials(server: Server) -> None:
    call = await Call.connect(server)
    old = call.transport.local()
    call.transport.restart_ice()
    new = call.transport.local()
    assert new.ice.ufrag != old.ice.ufrag
    assert new.ice.pwd != old.ice.pwd
    # The old credentials go on until the new ones are nominated.
    await call.udp.check(old)
    restarted = IceCredentials("restarted", "q" * 24)
    call.transport.set_remote(call.peer.remote(restarted), we_are=Setup.PASSIVE)
    assert call.transport.local() == new
    await call.udp.check(old)
    call.udp.ice = restarted
    await call.udp.check(new)
    drops = server.registry.drops["unknown_user"]
    call.udp.send(call.udp.request(old))
    await until(lambda: server.registry.drops["unknown_user"] == drops + 1)
    await call.ping()
    assert call.log.connected == 1
    await call.close()


async def test_ice_restart_by_the_peer_alone_gives_new_local_credentials(server: Server) -> None:
    call = await Call.connect(server)
    old = call.transport.local()
    call.udp.ice = IceCredentials("restarted", "q" * 24)
    call.transport.set_remote(call.peer.remote(call.udp.ice), we_are=Setup.PASSIVE)
    assert call.transport.local().ice != old.ice
    await call.ping()
    await call.close()


async def test_ice_restart_with_new_certificate_begins_new_dtls_and_sctp(server: Server) -> None:
    call = await Call.connect(server)
    first_keys = server.keys[call.transport.handle]
    reloaded = Peer(call.udp)
    call.udp.ice = IceCredentials("reloaded", "q" * 24)
    call.transport.restart_ice()
    call.transport.set_remote(reloaded.remote(call.udp.ice), we_are=Setup.PASSIVE)
    assert not call.transport.connected
    await call.udp.check(call.transport.local())
    old, call.peer = call.peer, reloaded
    await old.dtls.stop()
    await reloaded.handshake(call.transport.local())
    await reloaded.start_sctp(open_channels=True)
    await until(lambda: call.log.ready == 2)
    assert call.log.connected == 2
    assert call.log.closed == []
    assert server.keys[call.transport.handle] != first_keys
    await call.ping()
    await call.close()


async def test_nat_rebinding_moves_the_path_without_handshake(server: Server) -> None:
    call = await Call.connect(server)
    moved = await UdpPeer(server.address).open()
    moved.ice = call.udp.ice
    await moved.check(call.transport.local())
    call.udp._send = moved._send  # type: ignore[method-assign]
    moved._queue = call.udp._queue
    call.peer.channels["_reliable"].send(b"from the new port")
    await until(lambda: (DataKind.RELIABLE, b"from the new port") in call.log.data)
    await until(lambda: ("_reliable", b"from the new port") in call.peer.messages)
    assert call.log.connected == 1
    moved.close()
    await call.close()


async def test_lost_consent_closes(server: Server) -> None:
    call = await Call.connect(server)
    server.clock_offset_ns = int(server.config.consent_timeout_s * 1e9) - 2_000_000_000
    call.transport.poll(server.now_ns())
    assert call.log.closed == []
    server.clock_offset_ns += 2_000_000_000
    call.transport.poll(server.now_ns())
    assert call.log.closed == ["consent_lost"]
    assert not call.transport.connected
    await call.close()


async def test_setup_that_takes_too_long_closes() -> None:
    async with Server(SfuConfig(transport_setup_timeout_s=5.0)) as server:
        transport = server.transport()
        log = Log(transport)
        transport.poll(server.now_ns() + 4_900_000_000)
        assert log.closed == []
        transport.poll(server.now_ns() + 5_100_000_000)
        assert log.closed == ["setup_timeout"]
        assert server.transports == {}


async def test_close_is_idempotent_and_tells_the_peer(server: Server) -> None:
    call = await Call.connect(server)
    call.udp.send(record(21, b"\x02\x28"))
    await until(lambda: call.transport.counters["dtls_plaintext_alert"] == 1)
    await asyncio.gather(call.transport.close(), call.transport.close())
    await call.transport.close()
    assert server.registry.transport_counters["dtls_plaintext_alert"] == 1
    assert call.log.closed == ["closed"]
    await until(lambda: call.peer.dtls.state == "closed")
    drops = server.registry.drops["unknown_user"]
    call.udp.send(call.udp.request(call.transport.local()))
    await until(lambda: server.registry.drops["unknown_user"] == drops + 1)
    assert not call.transport.send_data(DataKind.RELIABLE, b"late")
    await call.close()


async def test_a_faulty_listener_does_not_end_the_transport(server: Server) -> None:
    call = await Call.connect(server)

    def fail(_kind: DataKind, _payload: bytes) -> None:
        raise RuntimeError("listener")

    call.transport.events.on(TransportEvents.DATA, fail)
    await call.ping()
    await until(lambda: call.transport.counters["listener_faults"] == 1)
    await call.ping()
    await call.close()


async def test_over_ice_tcp() -> None:
    port = free_tcp_port()
    async with Server(tcp_port=port) as server:
        transport = server.transport()
        log = Log(transport)
        tcp = await TcpPeer.open(port)
        peer = Peer(tcp)
        transport.set_remote(peer.remote(tcp.sender.ice), we_are=Setup.PASSIVE)
        transport.enable_data(initiate=True, remote_max_message_size=65_536)
        tcp.write(tcp.sender.request(transport.local()))
        await until(lambda: tcp.stun)
        await peer.handshake(transport.local())
        await peer.start_sctp(open_channels=False)
        await until(lambda: log.ready)
        assert transport.send_data(DataKind.RELIABLE, b"over TCP")
        await until(lambda: ("_reliable", b"over TCP") in peer.messages)
        other = await Call.connect(server)
        ways = (other.transport, transport, other.transport)
        links = [way.data_link for way in ways if way.data_link is not None]
        if links:
            assert min(send_to_all(links, DataKind.LOSSY, b"to all")) >= 0
            await until(lambda: ("_lossy", b"to all") in peer.messages)
            await until(lambda: other.peer.messages == [("_lossy", b"to all")] * 2)
        await other.close()
        await peer.close()
        await until(lambda: server.runtime.io_stats()["tcp_connections"] == 0)


class TcpPeer:
    """A client's active ICE-TCP connection; aiortc's seam for `Peer`."""

    role = "controlling"

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sender = UdpPeer((LOOPBACK, 0))
        self.stun: list[bytes] = []
        self._reader, self._writer = reader, writer
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._task = asyncio.ensure_future(self._read())

    @classmethod
    async def open(cls, port: int) -> TcpPeer:
        return cls(*await asyncio.open_connection(LOOPBACK, port))

    async def _read(self) -> None:
        while True:
            data = await self._reader.readexactly(int.from_bytes(await self._reader.readexactly(2)))
            if data[0] < 4:
                self.stun.append(data)
            else:
                self._queue.put_nowait(data)

    def write(self, data: bytes) -> None:
        self._writer.write(len(data).to_bytes(2) + data)

    async def _send(self, data: bytes) -> None:
        self.write(data)

    async def _recv(self) -> bytes:
        return await self._queue.get()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        self._writer.close()

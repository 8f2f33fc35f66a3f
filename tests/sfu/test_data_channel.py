"""Data channels against aiortc's SCTP, ours being aiortc's or the engine's: limits both ways, and packets that must not
reach a parser."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTPProtectionProfile
from google_crc32c import value as crc32c
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from sfu.api import DataKind
from sfu.config import SfuConfig
from sfu.engine import engine_name
from sfu.sdp.model import Setup
from sfu.transport import aiortc_sctp, data_channel
from sfu.transport.sctp_guard import MAX_GAP_SPAN, MAX_STREAM_ID, is_sound
from sfu.transport.transport import TransportEvents
from tests.sfu.dtls_rig import record
from tests.sfu.transport_rig import Call, Log, Peer, Server, UdpPeer, until


@pytest.fixture(params=["aiortc", "native"])
def native(request: pytest.FixtureRequest) -> bool:
    if request.param == "native" and engine_name(os.environ.get("TING_ENGINE", "auto")) != "rust":
        pytest.skip("the engine here has no SCTP of its own")
    return bool(request.param == "native")


@pytest_asyncio.fixture
async def server(native: bool) -> AsyncIterator[Server]:
    async with Server(SfuConfig(max_data_buffered_bytes=200_500), native_data=native) as running:
        yield running


@pytest_asyncio.fixture
async def call(server: Server) -> AsyncIterator[Call]:
    made = await Call.connect(server)
    yield made
    await made.close()


async def test_messages_of_every_size_up_to_the_limit_arrive_whole(call: Call) -> None:
    sizes = [0, 1, 1163, 1164, 1165, 30_000, 65_536]
    for size in sizes:
        call.peer.channels["_reliable"].send(bytes([size % 251]) * size)
    await until(lambda: len(call.log.data) == len(sizes))
    assert [payload for _kind, payload in call.log.data] == [bytes([size % 251]) * size for size in sizes]
    # The listener echoes, so the same came back in order.
    await until(lambda: len(call.peer.messages) == len(sizes))
    assert [payload for _label, payload in call.peer.messages] == [bytes([size % 251]) * size for size in sizes]


async def test_messages_above_the_limit_are_dropped_and_counted(call: Call) -> None:
    assert call.peer.sctp is not None
    call.peer.sctp._remote_max_message_size = 0
    call.peer.channels["_reliable"].send(bytes(65_537))
    await call.ping()
    assert [payload for _kind, payload in call.log.data] == [b"ping 1"]
    assert call.transport.counters["data_too_long"] == 1
    assert not call.transport.send_data(DataKind.RELIABLE, bytes(65_537))
    await until(lambda: call.transport.counters["data_too_long"] == 2)


async def test_messages_before_the_channel_is_acknowledged_wait_in_order_and_are_bounded(server: Server) -> None:
    transport = server.transport()
    log = Log(transport)
    udp = await UdpPeer(server.address).open()
    peer = Peer(udp)
    transport.set_remote(peer.remote(udp.ice), we_are=Setup.PASSIVE)
    transport.enable_data(initiate=True, remote_max_message_size=0)
    await udp.check(transport.local())
    await peer.handshake(transport.local())
    await until(lambda: log.connected)
    early = [bytes([index]) * 50_000 for index in range(4)]
    assert all(transport.send_data(DataKind.RELIABLE, message) for message in early)
    assert not transport.send_data(DataKind.RELIABLE, b"x" * 1000)
    assert not transport.data_open
    await peer.start_sctp(open_channels=False)
    await until(lambda: len(peer.messages) == 4)
    assert [message for _label, message in peer.messages] == early
    assert transport.send_data(DataKind.RELIABLE, early[0])
    await peer.close()


async def test_a_full_buffer_refuses_and_empties_again(call: Call) -> None:
    call.udp.drop_dtls = True
    message = bytes(50_000)
    accepted = 0
    while call.transport.send_data(DataKind.RELIABLE, message):
        accepted += 1
        assert accepted < 20
        await asyncio.sleep(0)
    assert 4 <= accepted <= 5
    await until(lambda: call.transport.counters["data_buffer_full"] == 1)
    # Lossy has a buffer of its own.
    assert call.transport.send_data(DataKind.LOSSY, b"small")
    call.udp.drop_dtls = False
    await until(lambda: call.peer.messages.count(("_reliable", message)) == accepted)
    assert call.transport.send_data(DataKind.RELIABLE, message)


async def test_lossy_is_not_repeated_and_reliable_is(call: Call) -> None:
    await call.ping()
    call.udp.drop_dtls = True
    assert call.transport.send_data(DataKind.LOSSY, b"lost")
    assert call.transport.send_data(DataKind.RELIABLE, b"kept")
    before = call.udp.received_bytes
    await until(lambda: call.udp.received_bytes > before)
    call.udp.drop_dtls = False
    await until(lambda: ("_reliable", b"kept") in call.peer.messages)
    assert call.transport.send_data(DataKind.LOSSY, b"next")
    await until(lambda: ("_lossy", b"next") in call.peer.messages)
    assert ("_lossy", b"lost") not in call.peer.messages


async def test_unknown_labels_are_accepted_and_ignored(call: Call) -> None:
    channel = call.peer.open_channel("_other")
    await until(lambda: channel.readyState == "open")
    channel.send(b"not for us")
    await until(lambda: call.transport.counters["data_unknown_label"] == 1)
    await call.ping()
    assert [payload for _kind, payload in call.log.data] == [b"ping 1"]


async def test_channels_beyond_the_limit_are_closed(call: Call) -> None:
    extra = [call.peer.open_channel(f"x{index}") for index in range(data_channel.MAX_CHANNELS)]
    await until(lambda: sum(channel.readyState == "closed" for channel in extra) == 2)
    assert sum(channel.readyState == "open" for channel in extra) == data_channel.MAX_CHANNELS - 2
    assert call.transport.counters["data_channel_limit"] == 2
    # A closed one makes room.
    extra[0].close()
    await until(lambda: extra[0].readyState == "closed")
    again = call.peer.open_channel("again")
    await until(lambda: again.readyState == "open")
    await call.ping()
    assert again.readyState == "open"


async def test_a_label_opened_anew_takes_over(call: Call) -> None:
    call.peer.channels["_reliable"].close()
    await until(lambda: not call.transport.data_open)
    assert not call.transport.send_data(DataKind.RELIABLE, b"nowhere")
    call.peer.open_channel("_reliable")
    await until(lambda: call.transport.data_open)
    await call.ping()
    assert call.log.ready == 2


class OneSuite(RTCCertificate):
    """A peer that offers one suite only."""

    def __init__(self, suite: bytes) -> None:
        made = RTCCertificate.generateCertificate()
        super().__init__(key=made._key, cert=made._cert)
        self._suite = suite

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(self._suite)
        return context


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"])
async def test_records_of_every_suite_in_either_role(server: Server, role: str, cipher: str) -> None:
    udp = await UdpPeer(server.address).open()
    peer = Peer(udp, role=role, certificate=OneSuite(f"ECDHE-ECDSA-{cipher}".encode()))
    transport = server.transport()
    log = Log(transport)
    transport.set_remote(peer.remote(udp.ice), we_are=peer.server_setup)
    transport.enable_data(initiate=False, remote_max_message_size=0)
    transport.events.on(TransportEvents.DATA, transport.send_data)
    await udp.check(transport.local())
    await peer.handshake(transport.local())
    await peer.start_sctp(open_channels=True)
    await until(lambda: log.ready and peer.channels["_reliable"].readyState == "open")
    message = bytes(range(256)) * 100
    peer.channels["_reliable"].send(message)
    await until(lambda: ("_reliable", message) in peer.messages)
    assert log.data == [(DataKind.RELIABLE, message)]
    # close_notify comes through both ways.
    await peer.close()
    await until(lambda: log.closed == ["peer_closed"])


async def test_openssl_is_needed_no_more_once_the_engine_has_the_channels(call: Call, native: bool) -> None:
    await call.ping()
    dtls = call.transport._dtls
    assert dtls is not None
    assert dtls.session is not None
    assert hasattr(dtls.session, "_openssl") is not native
    # What comes late of a handshake finds nobody, and harms nobody.
    dtls.feed(record(22, bytes(40), epoch=1, seq=5))
    await call.ping()
    assert call.transport.counters["dtls_late"] == int(native)
    assert call.transport.counters["dtls_faults"] == 0
    await call.transport.close()
    await until(lambda: call.peer.dtls.state == "closed")


async def test_the_peer_hears_that_the_transport_closes(call: Call) -> None:
    for _ in range(3):
        await call.ping()
    await call.transport.close()
    await until(lambda: call.peer.dtls.state == "closed")
    assert call.peer.channels["_reliable"].readyState == "closed"


async def test_what_a_peer_said_before_its_goodbye_arrives(call: Call, native: bool) -> None:
    """Also where both come in one turn of the event loop."""
    await call.ping()
    sent: list[bytes] = []
    with pytest.MonkeyPatch.context() as held_back:
        held_back.setattr(call.udp, "send", sent.append)
        call.peer.channels["_reliable"].send(b"the last")
        await until(lambda: sent)
        await call.peer.dtls.stop()
    path = call.transport._agent.path
    assert path is not None
    for datagram in sent:
        if native:
            call.udp.send(datagram)
        else:
            call.transport.handle_dtls(0, path, datagram)
    await until(lambda: call.log.closed)
    assert call.log.closed == ["peer_closed"]
    assert call.log.data[-1] == (DataKind.RELIABLE, b"the last")


@pytest.mark.parametrize("native", ["native"], indirect=True)
async def test_a_held_reader_gets_everything_later(call: Call) -> None:
    """aiortc's would hand over what it has."""
    call.transport.set_data_reading(False)
    sent = [bytes([index]) * 40_000 for index in range(20)]
    for message in sent:
        call.peer.channels["_reliable"].send(message)
    call.peer.channels["_lossy"].send(b"does not wait")
    await until(lambda: call.log.data)
    assert call.log.data == [(DataKind.LOSSY, b"does not wait")]
    call.transport.set_data_reading(True)
    await until(lambda: len(call.log.data) == 1 + len(sent))
    assert [payload for _kind, payload in call.log.data[1:]] == sent


async def test_sctp_packet_with_the_last_handshake_flight_is_kept(server: Server) -> None:
    """As DTLS client we finish last: the peer's INIT may come in the same turn as its Finished."""
    transport = server.transport()
    log = Log(transport)
    udp = await UdpPeer(server.address).open()
    peer = Peer(udp, role="server")
    transport.set_remote(peer.remote(udp.ice), we_are=Setup.ACTIVE)
    await udp.check(transport.local())
    await peer.handshake(transport.local())
    await peer.start_sctp(open_channels=True)
    await until(lambda: transport._dtls is not None and transport._dtls.session and transport._dtls.session._early)
    transport.enable_data(initiate=False, remote_max_message_size=0)
    await until(lambda: log.ready, 2.0)
    await peer.close()


class Recorder:
    def __init__(self) -> None:
        self.packets: list[bytes] = []

    async def _handle_data(self, data: bytes) -> None:
        self.packets.append(data)


async def test_a_peer_that_waits_hears_from_us(server: Server) -> None:
    """Both ends may begin, and some only answer."""
    transport = server.transport()
    udp = await UdpPeer(server.address).open()
    peer = Peer(udp, role="server")
    transport.set_remote(peer.remote(udp.ice), we_are=Setup.ACTIVE)
    transport.enable_data(initiate=False, remote_max_message_size=0)
    await udp.check(transport.local())
    await peer.handshake(transport.local())
    recorder = Recorder()
    peer.dtls._register_data_receiver(recorder)
    await until(lambda: any(packet[12] == 1 for packet in recorder.packets), 15.0)
    await peer.close()


async def test_association_ends_when_the_peer_aborts_and_transport_stays(call: Call) -> None:
    assert call.peer.sctp is not None
    await call.peer.sctp.stop()
    await until(lambda: not call.transport.data_open)
    assert call.transport.connected
    assert call.log.closed == []
    await call.udp.check(call.transport.local())


# --- what an authenticated peer may try ---------------------------------------------------------------------------


def chunk(kind: int, body: bytes, *, flags: int = 0, length: int | None = None) -> bytes:
    size = len(body) + 4 if length is None else length
    return struct.pack("!BBH", kind, flags, size) + body + bytes(-len(body) % 4)


def packet(*chunks: bytes, tag: int = 0) -> bytes:
    head = struct.pack("!HHL", 5000, 5000, tag)
    body = b"".join(chunks)
    return head + struct.pack("<L", crc32c(head + bytes(4) + body)) + body


def data_chunk(tsn: int, stream: int = 1, payload: bytes = b"x", *, flags: int = 3, stream_seq: int = 0) -> bytes:
    return chunk(0, struct.pack("!LHHL", tsn % 2**32, stream, stream_seq, 53) + payload, flags=flags)


INIT = struct.pack("!LLHHL", 1, 65_536, 10, 10, 1)

UNSOUND = {
    "no chunk": packet(),
    "chunk length 3": packet(chunk(0, b"", length=3)),
    "chunk past the end": packet(chunk(0, bytes(16), length=200)),
    "INIT with a parameter of length 0": packet(chunk(1, INIT + b"\x00\x00\x00\x00")),
    "INIT parameter past the end": packet(chunk(1, INIT + b"\x80\x08\x00\x40")),
    "INIT bundled": packet(chunk(1, INIT), chunk(11, b"")),
    "short INIT": packet(chunk(1, INIT[:-1])),
    "HEARTBEAT with a parameter of length 0": packet(chunk(4, b"\x00\x01\x00\x00")),
    "ERROR with a parameter of length 0": packet(chunk(9, b"\x00\x01\x00\x03")),
    "RE-CONFIG with a parameter of length 0": packet(chunk(130, b"\x00\x0d\x00\x00")),
    "SACK with gaps that are not there": packet(chunk(3, struct.pack("!LLHH", 1, 1, 300, 0))),
    "SACK with a huge gap": packet(chunk(3, struct.pack("!LLHHHH", 1, 1, 1, 0, 1, 65_535))),
    "SACK with overlapping gaps": packet(chunk(3, struct.pack("!LLHHHHHH", 1, 1, 2, 0, 2, 9, 3, 12))),
    "SACK with a gap backwards": packet(chunk(3, struct.pack("!LLHHHH", 1, 1, 1, 0, 9, 2))),
    "short SACK": packet(chunk(3, bytes(11))),
    "DATA without payload": packet(chunk(0, bytes(12))),
    "DATA on a far stream": packet(data_chunk(1, stream=MAX_STREAM_ID + 1)),
    "FORWARD-TSN on a far stream": packet(chunk(192, struct.pack("!LHH", 1, 60_000, 1))),
    "torn FORWARD-TSN": packet(chunk(192, bytes(6))),
    "short SHUTDOWN": packet(chunk(7, b"ab")),
}


@pytest.mark.parametrize("name", UNSOUND)
async def test_unsound_packets_never_reach_the_parser(call: Call, name: str) -> None:
    assert not is_sound(UNSOUND[name])
    bystander = await Call.connect(call.server)
    await call.peer.dtls._send_data(UNSOUND[name])
    await until(lambda: call.transport.counters["sctp_unsound"] == 1)
    await asyncio.gather(call.ping(), bystander.ping())
    assert call.transport.counters["sctp_faults"] == 0
    await bystander.close()


def test_sound_packets_are_sound() -> None:
    assert is_sound(packet(chunk(1, INIT + struct.pack("!HHHH", 0xC000, 4, 0x8008, 4))))
    assert is_sound(packet(chunk(3, struct.pack("!LLHHHH", 1, 1, 1, 0, 1, MAX_GAP_SPAN))))
    assert is_sound(packet(data_chunk(1), data_chunk(2)))
    assert is_sound(packet(chunk(11, b"")))


@given(st.binary(max_size=300))
def test_guard_never_raises(data: bytes) -> None:
    assert is_sound(data) in (True, False)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40), st.integers(-2, 6)), max_size=6))
def test_guard_never_raises_on_chunks(parts: list[tuple[int, bytes, int]]) -> None:
    chunks = [chunk(kind, body, length=max(0, len(body) + extra)) for kind, body, extra in parts]
    assert is_sound(packet(*chunks)) in (True, False)


def peer_tag(call: Call) -> int:
    """The tag that our end expects, known to the peer."""
    assert call.peer.sctp is not None
    tag: int = call.peer.sctp._remote_verification_tag
    return tag


def peer_tsn(call: Call) -> int:
    assert call.peer.sctp is not None
    tsn: int = call.peer.sctp._local_tsn
    return tsn


async def test_parser_faults_stay_inside_and_too_many_end_the_association(server: Server) -> None:
    """DATA_CHANNEL_OPEN for a channel that exists is an assertion in aiortc; so is an ACK for one that does not."""
    call = await Call.connect(server)
    bystander = await Call.connect(server)
    base = peer_tsn(call)
    for index in range(aiortc_sctp.MAX_SCTP_FAULTS):
        body = struct.pack("!LHHL", (base + index) % 2**32, 99, index, 50) + b"\x02"
        await call.peer.dtls._send_data(packet(chunk(0, body, flags=3), tag=peer_tag(call)))
    await until(lambda: call.transport.counters["sctp_aborted"] == 1)
    assert call.transport.counters["sctp_faults"] == aiortc_sctp.MAX_SCTP_FAULTS
    assert not call.transport.data_open
    assert call.transport.connected
    assert call.log.closed == []
    await call.udp.check(call.transport.local())
    await bystander.ping()
    await call.close()
    await bystander.close()


@pytest.mark.parametrize("attack", ["message without end", "gap without end", "many streams"])
async def test_what_a_peer_makes_us_hold_is_bounded(
    server: Server, native: bool, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    monkeypatch.setattr(aiortc_sctp, "MAX_SCTP_WAITING_CHUNKS", 300)
    call = await Call.connect(server)
    bystander = await Call.connect(server)
    base, tag = peer_tsn(call), peer_tag(call)
    for index in range(9000 if native else 2000):
        if attack == "message without end":
            body = data_chunk(base + index, 5, b"x" * 100, flags=2 if index == 0 else 0)
        elif attack == "gap without end":
            body = data_chunk(base + 1 + index, 5)
        else:
            body = data_chunk(base + index, 100 + index % 900)
        await call.peer.dtls._send_data(packet(body, tag=tag))
        if call.transport.counters["sctp_aborted"]:
            break
        if index % 20 == 0:
            await asyncio.sleep(0)
    await until(lambda: call.transport.counters["sctp_aborted"] == 1)
    await bystander.ping()
    assert call.transport.connected
    await call.close()
    await bystander.close()

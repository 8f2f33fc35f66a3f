"""Everything hostile at once against a real server, while a call between two SDK clients in another room goes on.

What each parser does with bad input is tested beside it; here the question is what the others notice: nothing.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import os
import random
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pylibsrtp
import pytest
import pytest_asyncio
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from livekit.protocol import models, rtc

from tests.harness.bystander import Bystander
from tests.harness.fixtures import server
from tests.harness.raw import RawParticipant
from tests.harness.server import ServerProcess, make_token
from tests.harness.waiting import eventually

__all__ = ["server"]

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

MAX_GAP_MS = 100
BATCH = 50


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bystander(server: ServerProcess) -> AsyncIterator[Bystander]:
    async with Bystander(server.url) as call:
        yield call


@pytest_asyncio.fixture(loop_scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def metric(http: aiohttp.ClientSession, server: ServerProcess, name: str) -> float:
    """The sum over all labels of a metric."""
    async with http.get(f"{server.url}/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)


async def spray(port: int, datagrams: Iterator[bytes], socket_count: int = 4) -> int:
    """From several addresses nobody knows, in small batches. Gives the number of bytes that came back."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(socket_count)]
    answered = 0
    try:
        for one in sockets:
            one.setblocking(False)
            one.connect(("127.0.0.1", port))
        for number, datagram in enumerate(datagrams):
            one = sockets[number % socket_count]
            one.send(datagram)
            if number % BATCH == 0:
                await asyncio.sleep(0.005)
        for one in sockets:
            try:
                while True:
                    answered += len(one.recv(2048))
            except BlockingIOError:
                pass
    finally:
        for one in sockets:
            one.close()
    return answered


def stun_like() -> Iterator[bytes]:
    for length in range(65):
        yield from (bytes(length), b"\xff" * length, os.urandom(length))
    for _ in range(2000):
        attributes = os.urandom(4 * random.randrange(30))
        claimed = random.choice((len(attributes), len(attributes) + 4, 0xFFFF, 3))
        yield (
            struct.pack("!HHI", random.choice((0x0001, 0x0101, 0x0111)), claimed, 0x2112A442)
            + os.urandom(12)
            + (attributes)
        )


def dtls_like() -> Iterator[bytes]:
    null_hello = (
        bytes.fromhex("16feff0000000000000000002f010000230000000000000023fefd")
        + bytes(32)
        + (b"\x00\x00\x00\x02\x00\x00\x01\x00")
    )
    alert = bytes.fromhex("15fefd000000000000000000020228")
    for number in range(2000):
        yield (null_hello, alert, bytes([20 + number % 44]) + os.urandom(number % 1200))[number % 3]


def rtp_like() -> Iterator[bytes]:
    for number in range(2000):
        yield bytes([128 + number % 64, number % 256]) + os.urandom(number % 1400)


@pytest.mark.parametrize("datagrams", [stun_like, dtls_like, rtp_like])
async def test_datagrams_from_strangers(
    datagrams: type[Iterator[bytes]], server: ServerProcess, bystander: Bystander
) -> None:
    await bystander.longest_gap_ms()
    assert await spray(server.ports.udp, datagrams()) == 0
    assert await bystander.longest_gap_ms() <= MAX_GAP_MS
    server.assert_healthy()


class Mallory:
    """Admitted like anybody else, with a real publishing transport: what it sends is authenticated."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection()
        self.signal = RawParticipant(f"den-{secrets.token_hex(4)}", "mallory")

    async def join(self, http: aiohttp.ClientSession, url: str) -> Mallory:
        await self.signal.join(http, url)
        for track, kind in ((AudioStreamTrack(), models.TrackType.AUDIO), (VideoStreamTrack(), models.TrackType.VIDEO)):
            await self.signal._send(rtc.SignalRequest(add_track=rtc.AddTrackRequest(cid=track.id, type=kind)))
            self.peer.addTrack(track)
        await self.peer.setLocalDescription(await self.peer.createOffer())
        answer = await self.signal.offer(self.peer.localDescription.sdp)
        await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await eventually(lambda: self.peer.connectionState == "connected", "mallory's transport connected")
        return self

    @property
    def dtls(self):  # type: ignore[no-untyped-def]
        return self.peer.getSenders()[0].transport

    @property
    def ssrcs(self) -> list[int]:
        return [sender._ssrc for sender in self.peer.getSenders()]

    async def send_raw(self, datagram: bytes) -> None:
        await self.dtls.transport._send(datagram)

    async def close(self) -> None:
        await self.signal.leave()
        await self.peer.close()


def rtcp(kind: int, count: int, body: bytes, length: int | None = None) -> bytes:
    words = len(body) // 4 if length is None else length
    return struct.pack("!BBH", 0x80 | count, kind, words & 0xFFFF) + body


def rtcp_lies(ssrcs: list[int]) -> Iterator[bytes]:
    """RC1 to RC6 of the threat list."""
    own, other = ssrcs[0], 0xDEADBEEF
    for kind in (200, 201, 202, 203, 204, 205, 206, 207):
        for count in (0, 1, 15, 31):
            for length in (None, 0, 1, 0xFFFF):
                yield rtcp(kind, count, struct.pack("!II", own, other) + os.urandom(4 * random.randrange(12)), length)
    for _ in range(300):
        yield rtcp(205, 1, struct.pack("!II", own, ssrcs[1]) + os.urandom(4) * 200)  # NACK storm
        yield rtcp(206, 1, struct.pack("!II", own, ssrcs[1]))  # PLI flood
        yield rtcp(205, 15, struct.pack("!II", own, 0) + struct.pack("!HHI", 65535, 0xFFFF, 0) + os.urandom(40))
        yield rtcp(206, 15, struct.pack("!II", own, 0) + b"REMB" + struct.pack("!BBH", 255, 0xFF, 0xFFFF))
        yield rtcp(203, 1, struct.pack("!I", other))  # BYE for somebody else
    yield b"".join(rtcp(202, 0, b"") for _ in range(300))


def rtp_lies(ssrcs: list[int]) -> Iterator[bytes]:
    """RT4 to RT8 of the threat list, as far as an SRTP library agrees to protect them."""
    for number in range(1500):
        ssrc = random.choice([*ssrcs, number + 1, 0xDEADBEEF])
        payload_type = random.choice((0, 96, 97, 98, 111, 127))
        # Jumps of half the space are checked beside the engine; libsrtp would refuse to make them.
        seq = number + random.choice((0, 1, 700))
        body = os.urandom(random.randrange(40)) + bytes([random.choice((0, 1, 255))])
        yield struct.pack("!BBHII", 0x80 | random.choice((0, 0x20)), payload_type, seq & 0xFFFF, number, ssrc) + body


async def test_packets_of_an_admitted_attacker(
    http: aiohttp.ClientSession, server: ServerProcess, bystander: Bystander
) -> None:
    mallory = await Mallory().join(http, server.url)
    drops = await metric(http, server, "ting_engine_drops_total")
    await bystander.longest_gap_ms()
    session = mallory.dtls._tx_srtp
    for number, packet in enumerate(rtcp_lies(mallory.ssrcs)):
        if len(packet) < 1300:
            await mallory.send_raw(session.protect_rtcp(packet))
        if number % BATCH == 0:
            await asyncio.sleep(0.005)
    sent = 0
    for number, packet in enumerate(rtp_lies(mallory.ssrcs)):
        try:
            protected = session.protect(packet)
        except pylibsrtp.Error:
            continue  # its own tracks are far from this sequence number
        sent += 1
        await mallory.send_raw(protected)
        await mallory.send_raw(protected)  # RT3: replay
        await mallory.send_raw(protected[:-1] + bytes([protected[-1] ^ 1]))  # RT2: bad tag
        await mallory.send_raw(protected[: number % 65])  # RT1: every length
        if number % BATCH == 0:
            await asyncio.sleep(0.005)
    assert await bystander.longest_gap_ms() <= MAX_GAP_MS
    assert sent > 500
    assert await metric(http, server, "ting_engine_drops_total") >= drops + 2 * sent
    assert mallory.peer.connectionState == "connected"
    await mallory.close()
    server.assert_healthy()


def bad_descriptions() -> Iterator[str]:
    head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    section = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:{}\r\na=rtcp-mux\r\n"
    yield ""
    yield "v=0" * 50_000
    yield head + "a=x:" + "y" * 200_000
    yield head + "".join(section.format(number) for number in range(2000))
    yield head + section.format(0) + "".join(f"a=ssrc:{n} cname:x\r\n" for n in range(5000))
    yield head + section.format(0) + "a=candidate:1 1 udp 1 169.254.169.254 22 typ host\r\n" * 3000
    yield head + section.format("\u202e\x00") + "a=ice-ufrag:\ud7ff\r\n"


async def test_bad_messages_on_the_websocket(
    http: aiohttp.ClientSession, server: ServerProcess, bystander: Bystander
) -> None:
    await bystander.longest_gap_ms()
    room = f"den-{secrets.token_hex(4)}"
    for number, sdp in enumerate(bad_descriptions()):
        query = {"access_token": make_token(room, f"eve{number}"), "protocol": "16"}
        async with http.ws_connect(f"{server.url}/rtc", params=query) as ws:
            await ws.receive()
            offer = rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp=sdp))
            answer = rtc.SignalRequest(answer=rtc.SessionDescription(type="answer", sdp=sdp, id=1))
            for message in (offer, answer):
                await ws.send_bytes(message.SerializeToString())
            for junk in (b"", b"\xff" * 100, os.urandom(1000)):
                await ws.send_bytes(junk)
            await ws.send_str('{"offer": ' + "[" * 20_000)
    async with http.ws_connect(f"{server.url}/rtc", params={"access_token": make_token(room, "flood")}) as ws:
        ping = rtc.SignalRequest(ping=1).SerializeToString()
        for _ in range(2000):
            if ws.closed:
                break
            await ws.send_bytes(ping)
        while not ws.closed:
            await ws.receive()
        assert ws.close_code == 1008
    assert await bystander.longest_gap_ms() <= MAX_GAP_MS
    server.assert_healthy()


def join_request(request: rtc.JoinRequest | bytes, *, compress: bool = False) -> str:
    data = request if isinstance(request, bytes) else request.SerializeToString()
    if compress:
        wrapped = rtc.WrappedJoinRequest(compression=rtc.WrappedJoinRequest.GZIP, join_request=gzip.compress(data))
    else:
        wrapped = rtc.WrappedJoinRequest(join_request=data)
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


async def test_bad_requests_to_join_over_one_connection(
    http: aiohttp.ClientSession, server: ServerProcess, bystander: Bystander
) -> None:
    """Bombs and rubble are refused; whoever gets in with a bad offer is answered, and gone when it does not make up."""
    await bystander.longest_gap_ms()
    room = f"den-{secrets.token_hex(4)}"
    refused = [
        join_request(bytes(50_000_000), compress=True), join_request(os.urandom(500)), "!", "A" * 60_000, "A" * 70_000,
        join_request(rtc.JoinRequest(add_track_requests=[rtc.AddTrackRequest(cid="x")] * 100)),
    ]  # fmt: skip
    for number in range(20):
        query = {"access_token": make_token(room, f"eve{number}"), "join_request": refused[number % len(refused)]}
        async with http.get(f"{server.url}/rtc/v1/validate", params=query) as response:
            assert response.status == 400
    for number, sdp in enumerate(bad_descriptions()):
        if len(sdp) > 120_000:
            continue
        offer = rtc.SessionDescription(type="offer", sdp=sdp, id=1)
        request = join_request(rtc.JoinRequest(publisher_offer=offer), compress=True)
        query = {"access_token": make_token(room, f"mallory{number}"), "join_request": request}
        async with http.ws_connect(f"{server.url}/rtc/v1", params=query) as ws:
            kinds = []
            while "request_response" not in kinds:
                message = await ws.receive()
                kinds.append(rtc.SignalResponse.FromString(message.data).WhichOneof("message"))
            assert kinds[0] == "join"
            assert "answer" not in kinds
            again = rtc.SignalRequest(offer=offer).SerializeToString()
            for _ in range(40):
                if not ws.closed:
                    await ws.send_bytes(again)
            while not ws.closed:
                await ws.receive()
            assert ws.close_code == 1008
    assert await bystander.longest_gap_ms() <= MAX_GAP_MS
    server.assert_healthy()


async def test_bad_tokens(http: aiohttp.ClientSession, server: ServerProcess, bystander: Bystander) -> None:
    await bystander.longest_gap_ms()
    good = make_token("den", "eve")
    head, body, signature = good.split(".")
    none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
    bad = [
        "", "x", "a.b.c", f"{head}.{body}.", f"{none}.{body}.", f"{head}.{body}.{signature[:-2]}", good + "x",
        make_token("den", "eve", secret="another-secret-of-32-bytes-or-more"), make_token("den", "eve", ttl_s=-3600),
        "A" * 6000,
    ]  # fmt: skip
    for token in bad * 20:
        async with http.get(f"{server.url}/rtc/validate", params={"access_token": token}) as response:
            assert response.status == 401, token[:40]
    assert await bystander.longest_gap_ms() <= MAX_GAP_MS
    server.assert_healthy()

"""Pings: told apart from all else by their bytes, answered before aiohttp sees them, and in nobody's way."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast
from unittest import mock

import aiohttp
import pytest
import pytest_asyncio
import yarl
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from sfu.api import Answer
from signaling.livekit.pings import MAX_PING_BYTES, answer
from signaling.livekit.session import SignalConnection
from signaling.livekit.silence import SilenceSweep
from signaling.livekit.wire import Wire
from tests.signaling.harness import Server, eventually, relaxed, running

INT64 = st.integers(-(2**63), 2**63 - 1)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as running_server:
        yield running_server


# --- which bytes are a ping -----------------------------------------------------------------------------


@given(INT64.filter(bool), INT64)
def test_both_pings_are_answered(timestamp: int, rtt: int) -> None:
    bare = answer(rtc.SignalRequest(ping=timestamp).SerializeToString())
    assert bare is not None
    assert (bare[0], rtc.SignalResponse.FromString(bare[1]).WhichOneof("message")) == ("ping", "pong")
    full = answer(rtc.SignalRequest(ping_req=rtc.Ping(timestamp=timestamp, rtt=rtt)).SerializeToString())
    assert full is not None
    assert full[0] == "ping_req"
    assert rtc.SignalResponse.FromString(full[1]).pong_resp.last_ping_timestamp == timestamp


def test_what_is_sent_fits() -> None:
    assert len(rtc.SignalRequest(ping_req=rtc.Ping(timestamp=-1, rtt=-1)).SerializeToString()) <= MAX_PING_BYTES
    assert answer(rtc.SignalRequest(ping_req=rtc.Ping()).SerializeToString()) is not None


@given(st.one_of(st.binary(max_size=70), st.binary(max_size=12).map(lambda rest: b"\x70" + rest),
                 st.binary(max_size=30).map(lambda rest: b"\x82\x01" + bytes([len(rest)]) + rest)))  # fmt: skip
def test_what_is_answered_is_that_ping_by_the_ordinary_way_too(payload: bytes) -> None:
    found = answer(payload)
    if found is not None:
        request = rtc.SignalRequest.FromString(payload)
        assert request.WhichOneof("message") == found[0]
        if found[0] == "ping_req":
            told = rtc.SignalResponse.FromString(found[1]).pong_resp.last_ping_timestamp
            assert told == request.ping_req.timestamp


def test_what_is_no_ping_or_more_than_one_is_left_alone() -> None:
    ping = rtc.SignalRequest(ping_req=rtc.Ping(timestamp=1)).SerializeToString()
    mute = rtc.SignalRequest(mute=rtc.MuteTrackRequest(sid="TR_1")).SerializeToString()
    for payload in (b"", ping[:2], ping[:-1], ping + mute, mute + ping, mute, b"\x70", b"\x70\x80", b"\x70\x01\x01"):
        assert answer(payload) is None
    broken = b"\x82\x01\x02\x08\x80"
    with pytest.raises(DecodeError):
        rtc.SignalRequest.FromString(broken)
    assert answer(broken) is None


# --- frames ---------------------------------------------------------------------------------------------


class Inner(asyncio.Protocol):
    """Takes aiohttp's place, and remembers what it got."""

    def __init__(self) -> None:
        self.data = b""
        self.calls: list[str] = []

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, error: Exception | None) -> None:
        self.calls.append("lost")

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return True

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")


class Socket(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.protocol: asyncio.BaseProtocol = Inner()

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def time(self) -> float:
        return self.now_s


class Rig:
    def __init__(self) -> None:
        self.clock, self.socket = Clock(), Socket()
        self.inner = cast(Inner, self.socket.protocol)
        self.wire = Wire(self.socket, cast(asyncio.AbstractEventLoop, self.clock))
        self.pings: list[bytes] = []
        self.wire.on_ping = self.take

    def take(self, payload: bytes) -> bool:
        is_ping = answer(payload) is not None
        if is_ping:
            self.pings.append(payload)
        return is_ping

    def feed(self, data: bytes) -> None:
        cast(asyncio.Protocol, self.socket.protocol).data_received(data)


def frame(payload: bytes, first: int = 0x82, key: bytes = b"\x01\xf2\x33\x74") -> bytes:
    """RFC 6455 §5.2, as a client sends it."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    return head + key + bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


PING = rtc.SignalRequest(ping_req=rtc.Ping(timestamp=1_764_000_000_000, rtt=30)).SerializeToString()
MUTE = rtc.SignalRequest(mute=rtc.MuteTrackRequest(sid="TR_1", muted=True)).SerializeToString()


def test_pings_in_front_are_taken_out_and_the_rest_goes_on() -> None:
    rig = Rig()
    rig.feed(frame(PING) + frame(b"\x70\x05") + frame(MUTE) + frame(PING))
    assert rig.pings == [PING, b"\x70\x05"]
    assert rig.inner.data == frame(MUTE) + frame(PING)
    assert rig.wire.messages == 2


@pytest.mark.parametrize("data", [
    frame(PING)[:5], b"\x82\x0f" + PING, frame(PING, 0x81), frame(PING, 0x89), frame(PING, 0xC2), frame(b""),
    frame(b"\x70" * (MAX_PING_BYTES + 1)), frame(PING, 0x02),
])  # fmt: skip
def test_what_is_not_one_whole_masked_binary_ping_goes_on(data: bytes) -> None:
    rig = Rig()
    rig.feed(data)
    assert (rig.pings, rig.inner.data) == ([], data)


def test_a_ping_between_the_fragments_of_a_message_is_aiohttps_to_refuse() -> None:
    rig = Rig()
    for part in (frame(MUTE[:2], 0x02), frame(PING), frame(b"", 0x89), frame(MUTE[2:], 0x80)):
        rig.feed(part)
    assert rig.pings == []
    rig.feed(frame(PING))
    assert rig.pings == [PING]


@relaxed
@given(st.data())
def test_pings_are_found_only_where_frames_begin(data: st.DataObject) -> None:
    """Whatever goes by, in whatever pieces: what aiohttp gets and the pings that were taken are what was sent."""
    payloads = st.one_of(
        st.just(PING), st.just(MUTE), st.binary(max_size=40), st.just(frame(PING) * 3), st.just(b"x" * 70_000),
        st.just(frame(PING) * 5),
    )  # fmt: skip
    sent = data.draw(st.lists(st.tuples(payloads, st.sampled_from([0x82, 0x81, 0x8A]))))
    stream = b"".join(frame(*one) for one in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    rig = Rig()
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        if end > begin:
            rig.feed(stream[begin:end])
    kept = list(_split(rig.inner.data))
    pings = [payload for payload, first in sent if first == 0x82 and answer(payload)]
    assert [one for one in kept if not _is_ping(one)] == [frame(*one) for one in sent if not _is_ping(frame(*one))]
    assert sorted([*map(frame, rig.pings), *filter(_is_ping, kept)]) == sorted(map(frame, pings))
    assert rig.wire.messages == sum(one[0] != 0x8A for one in kept)


def _is_ping(one: bytes) -> bool:
    key, masked = one[2:6], one[6:]
    payload = bytes(byte ^ key[index % 4] for index, byte in enumerate(masked))
    return one[0] == 0x82 and one[1] & 127 < 126 and answer(payload) is not None


def _split(stream: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(stream):
        size, head = stream[at + 1] & 127, 6
        if size >= 126:
            head += {126: 2, 127: 8}[size]
            size = int.from_bytes(stream[at + 2 : at + head - 4])
        yield stream[at : at + head + size]
        at += head + size


def test_whole_frames_are_signs_of_life_and_drips_are_none() -> None:
    rig = Rig()
    for second, byte in enumerate(frame(MUTE), 1):
        assert rig.wire.heard_at_s == 0.0
        rig.clock.now_s = float(second)
        rig.feed(bytes([byte]))
    assert rig.wire.heard_at_s == rig.clock.now_s
    for data in (frame(PING), frame(b"", 0x8A)):
        rig.clock.now_s += 1
        rig.feed(data)
        assert rig.wire.heard_at_s == rig.clock.now_s


def test_aiohttp_hears_of_all_that_happens_to_the_transport() -> None:
    rig = Rig()
    rig.wire.pause_writing()
    rig.wire.resume_writing()
    assert rig.wire.eof_received() is True
    rig.wire.connection_lost(None)
    assert rig.inner.calls == ["pause", "resume", "eof", "lost"]
    rig.feed(frame(PING))
    assert rig.pings == []


# --- on a connection ------------------------------------------------------------------------------------


async def test_a_ping_waits_for_what_came_before_it(server: Server) -> None:
    """An answer says that what was sent before has been dealt with."""
    client = await server.join()
    session = server.sfu.session_of("lobby", "alice")
    begun, go_on = asyncio.Event(), asyncio.Event()

    handle_offer = session.handle_offer

    async def slow(*arguments: Any, **names: Any) -> Answer:
        begun.set()
        await go_on.wait()
        return await handle_offer(*arguments, **names)

    session.handle_offer = slow  # type: ignore[method-assign]
    await client.send(offer=rtc.SessionDescription(type="offer", sdp="v=0\r\n"))
    await begun.wait()
    await client.send(ping_req=rtc.Ping(timestamp=7))
    (connection,) = server.services.connections._open
    wire = cast(SignalConnection, connection)._wire
    await eventually(lambda: wire.messages == 2, "the ping")
    go_on.set()
    await client.expect("answer")
    assert (await client.expect("pong_resp")).pong_resp.last_ping_timestamp == 7


async def test_pings_are_counted_and_answered_in_binary_after_text(server: Server) -> None:
    client = await server.join()
    for _ in range(3):
        await client.ping()
    assert server.value("ting_signal_messages_total", message="ping_req") == 3
    await client.ws.send_str('{"ping": 4}')
    text = await client.ws.receive()
    assert "pong" in text.data
    await client.ping()


async def test_pings_count_against_the_rate(server: Server) -> None:
    async with running(max_messages_per_s=10) as limited:
        client = await limited.join()
        for timestamp in range(40):
            await client.send(ping_req=rtc.Ping(timestamp=timestamp))
        assert await client.closed() == 1008
        assert limited.value("ting_signal_closures_total", reason="rate_limited") == 1


async def test_a_ping_after_the_end_of_the_session_is_not_answered(server: Server) -> None:
    client = await server.join()
    await client.send(leave=rtc.LeaveRequest(reason=models.DisconnectReason.CLIENT_INITIATED))
    await client.send(ping_req=rtc.Ping(timestamp=1))
    assert await client.closed() == 1000


async def test_an_idle_client_is_asked_and_stays_as_long_as_it_answers() -> None:
    """A client that sends no pings of its own, but answers those of the WebSocket."""
    async with running(websocket_heartbeat_s=0.8) as quick:
        query = {"access_token": quick.token("alice"), "protocol": "17"}
        ws = await quick.http.ws_connect(f"{quick.ws_url}/rtc", params=query, autoping=False)
        for _ in range(3):
            while (message := await ws.receive()).type is not aiohttp.WSMsgType.PING:
                assert message.type is aiohttp.WSMsgType.BINARY
            await ws.pong(message.data)
        session = quick.sfu.session_of("lobby", "alice")
        assert "signal_lost" not in session.names()
        await eventually(lambda: "signal_lost" in session.names())


async def test_refused_handshakes_leave_nothing_on_the_connection(server: Server) -> None:
    """Such a connection lives on as one of HTTP, and may ask again and again."""
    url = yarl.URL(server.ws_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    query = f"access_token={server.token('alice')}&protocol=17"
    refused = f"GET /rtc?{query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n".encode()
    try:
        with mock.patch.object(Wire, "data_received", autospec=True, side_effect=Wire.data_received) as received:
            for _ in range(3):
                writer.write(refused)
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 400 ")
                (size,) = re.findall(rb"Content-Length: (\d+)", head)
                await reader.readexactly(int(size))
        assert received.call_count == 0
    finally:
        writer.close()


# --- silence --------------------------------------------------------------------------------------------


class Quiet:
    def __init__(self) -> None:
        self.heard_at_s = asyncio.get_running_loop().time()
        self.happened: list[str] = []


async def test_who_is_silent_is_asked_once_and_then_lost() -> None:
    sweep = SilenceSweep(0.04, 10.0)
    quiet, loud = Quiet(), Quiet()
    loud.heard_at_s += 1000
    for one in (quiet, loud):
        sweep.add(one, lambda one=one: one.happened.append("ask"), lambda one=one: one.happened.append("lose"))  # type: ignore[misc]
    await eventually(lambda: "lose" in quiet.happened)
    assert quiet.happened == ["ask", "lose"]
    assert loud.happened == []


async def test_without_connections_nothing_runs() -> None:
    sweep, quiet = SilenceSweep(0.02, 10.0), Quiet()
    sweep.add(quiet, lambda: None, lambda: quiet.happened.append("lose"))
    sweep.discard(quiet)
    await eventually(lambda: sweep._timer is None)
    assert quiet.happened == []
    sweep.add(quiet, lambda: None, lambda: quiet.happened.append("lose"))
    await eventually(lambda: quiet.happened)


async def test_a_server_that_was_held_up_looks_again_before_it_misses_somebody() -> None:
    loop = asyncio.get_running_loop()
    sweep, quiet = SilenceSweep(0.04, 10.0), Quiet()
    sweep.add(quiet, lambda: None, lambda: quiet.happened.append("lose"))
    quiet.heard_at_s = late_s = loop.time() - 60
    sweep._look(loop, late_s)
    assert quiet.happened == []
    sweep._look(loop, late_s)
    assert quiet.happened == ["lose"]


async def test_a_server_that_was_held_up_asks_before_it_misses_somebody() -> None:
    """A client without pings of its own could not know that it should say something."""
    loop = asyncio.get_running_loop()
    sweep, quiet = SilenceSweep(0.04, 10.0), Quiet()

    def ask() -> None:
        quiet.happened.append("ask")
        quiet.heard_at_s = loop.time() + 60  # its answer

    sweep.add(quiet, ask, lambda: quiet.happened.append("lose"))
    quiet.heard_at_s = late_s = loop.time() - 60
    sweep._look(loop, late_s)
    sweep._look(loop, late_s)
    assert quiet.happened == ["ask"]

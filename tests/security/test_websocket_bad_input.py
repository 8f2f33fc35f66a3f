"""What a hostile client does to the signal connection, while a call in another room goes on (WS1 to WS10)."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from sfu.api import DataKind, LeaveReason, Speaker, SpeakersChanged
from sfu.ids import ParticipantId
from tests.signaling.harness import Client, Server, bystander, eventually, running

LIMIT = 327_680


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as running_server, bystander(running_server):
        yield running_server


class RawSocket:
    """A WebSocket after its handshake, byte by byte (RFC 6455 §5.2)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.half_closed = False

    def close_sending(self) -> None:
        self.half_closed = True
        self.writer.write_eof()

    @staticmethod
    async def open(server: Server, **headers: str) -> RawSocket:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        fields = {
            "Host": "x", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Authorization": f"Bearer {server.token('raw')}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }  # fmt: skip
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"GET /rtc HTTP/1.1\r\n{lines}\r\n".encode())
        return RawSocket(reader, writer)

    async def accepted(self) -> RawSocket:
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        return self

    def frame(self, opcode: int, payload: bytes, *, final: bool = True, length: int | None = None) -> None:
        """A masked frame; `length` may lie."""
        length = len(payload) if length is None else length
        first = (0x80 if final else 0) | opcode
        if length < 126:
            head = bytes((first, 0x80 | length))
        elif length < 65_536:
            head = struct.pack("!BBH", first, 0x80 | 126, length)
        else:
            head = struct.pack("!BBQ", first, 0x80 | 127, length)
        self.writer.write(head + bytes(4) + payload)

    async def close_code(self) -> int | None:
        """The code of the server's close frame; None when it only cut the connection."""
        code = None
        async with asyncio.timeout(10):
            try:
                while head := await self.reader.readexactly(2):
                    length = head[1] & 0x7F
                    if length == 126:
                        (length,) = struct.unpack("!H", await self.reader.readexactly(2))
                    elif length == 127:
                        (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
                    payload = await self.reader.readexactly(length)
                    if head[0] & 0x0F == 8:
                        (code,) = struct.unpack("!H", payload[:2])
                        if not self.half_closed:
                            self.frame(8, payload[:2])
            except (asyncio.IncompleteReadError, ConnectionResetError):
                pass
        self.writer.close()
        return code


# --- WS1, WS2: sizes and fragments ----------------------------------------------------------------------


async def test_ws1_a_message_at_the_limit_passes_and_one_above_it_closes(server: Server) -> None:
    client = await server.join()
    request = rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp="v=0"))
    request.offer.sdp += "x" * (LIMIT - request.ByteSize() - 4)
    request.offer.sdp += "x" * (LIMIT - request.ByteSize())
    assert request.ByteSize() == LIMIT
    await client.ws.send_bytes(request.SerializeToString())
    await client.expect("answer")
    session = server.sfu.session_of("lobby", "alice")
    await client.ws.send_bytes(bytes(LIMIT + 1))
    assert await client.closed() == 1009
    assert "signal_lost" in session.names()


async def test_ws1_compression_is_not_negotiated(server: Server) -> None:
    raw = await RawSocket.open(server, Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits")
    head = await raw.reader.readuntil(b"\r\n\r\n")
    assert b"101" in head.split(b"\r\n")[0]
    assert b"extensions" not in head.lower()
    raw.writer.write(bytes((0xC2, 0x81)) + bytes(4) + b"x")  # RSV1 without an extension
    assert await raw.close_code() == 1002


@pytest.mark.parametrize("length", [2**20, 2**30, 2**40, 2**63 - 1])
async def test_ws1_a_claimed_length_is_refused_before_it_arrives(server: Server, length: int) -> None:
    raw = await (await RawSocket.open(server)).accepted()
    raw.frame(2, b"x" * 1000, length=length)
    raw.writer.write(b"x" * LIMIT)
    assert await raw.close_code() in (1009, 1002)


async def test_ws2_fragments_without_end_are_cut_at_the_limit(server: Server) -> None:
    raw = await (await RawSocket.open(server)).accepted()
    raw.frame(2, b"x" * 1000, final=False)
    for _ in range(LIMIT // 1000 + 1):
        raw.frame(0, b"x" * 1000, final=False)
    assert await raw.close_code() == 1009


async def test_ws2_a_drip_of_bytes_is_silence() -> None:
    async with running(ping_interval_s=1, ping_timeout_s=2) as server, bystander(server):
        raw = await (await RawSocket.open(server)).accepted()
        raw.frame(2, b"", length=1000)

        async def drip() -> None:
            while True:
                raw.writer.write(b"x")
                await asyncio.sleep(0.1)

        dripping = asyncio.create_task(drip())
        assert await raw.close_code() in (1001, None)
        dripping.cancel()
        await eventually(lambda: "signal_lost" in server.sfu.session_of("lobby", "raw").names())


async def test_ws2_a_flood_of_websocket_pings_hurts_nobody(server: Server) -> None:
    raw = await (await RawSocket.open(server)).accepted()
    for _ in range(20):
        for _ in range(500):
            raw.frame(9, b"ping")
        await raw.writer.drain()
        await asyncio.sleep(0)
    raw.frame(8, struct.pack("!H", 1000))
    assert await raw.close_code() in (1000, None)


@pytest.mark.parametrize(
    ("opcode", "payload"),
    [(1, b"\xff\xfe"), (3, b"x"), (0, b"x"), (9, b"x" * 126), (8, b"\x00"), (8, struct.pack("!H", 1005))],
)  # fmt: skip
async def test_ws2_broken_frames_end_their_own_connection(server: Server, opcode: int, payload: bytes) -> None:
    raw = await (await RawSocket.open(server)).accepted()
    raw.frame(opcode, payload)
    assert await raw.close_code() in (1002, 1007, 1000, 1006)


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(st.binary(min_size=1, max_size=200))
async def test_ws2_any_bytes_end_their_own_connection(server: Server, payload: bytes) -> None:
    raw = await (await RawSocket.open(server)).accepted()
    raw.writer.write(payload)
    raw.close_sending()
    await raw.close_code()


# --- WS3 to WS5: rates and slow readers -----------------------------------------------------------------


async def test_ws3_a_flood_of_messages_closes_with_1008(server: Server) -> None:
    client = await server.join()
    session = server.sfu.session_of("lobby", "alice")
    for _ in range(400):
        await client.send(ping=1)
    assert await client.closed() == 1008
    assert server.value("ting_signal_closures_total", reason="rate_limited") == 1
    await eventually(lambda: "signal_lost" in session.names())


async def test_ws3_a_flood_of_bytes_closes_with_1008(server: Server) -> None:
    client = await server.join()
    message = rtc.SignalRequest(
        offer=rtc.SessionDescription(type="offer", sdp="v=0" + "x" * 240_000)
    ).SerializeToString()
    for _ in range(30):
        await client.ws.send_bytes(message)
    assert await client.closed() == 1008


async def test_ws3_a_normal_rate_is_never_limited(server: Server) -> None:
    client = await server.join()
    for _ in range(150):
        await client.send(ping=1)
    await client.ping()


@pytest.mark.parametrize("token", ["", "garbage"])
async def test_ws4_without_a_token_there_is_no_upgrade(server: Server, token: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await server.connect(token)
    assert caught.value.status == 401
    assert server.sfu.sessions_in("lobby") == []


async def test_ws5_a_reader_that_stops_is_cut_and_blocks_nobody() -> None:
    async with running(max_outbound_messages=100) as server, bystander(server):
        slow, neighbour = await server.join("slow"), await server.join("neighbour")
        session = server.sfu.session_of("lobby", "slow")
        slow.ws._conn.transport.pause_reading()  # type: ignore[union-attr]
        event = SpeakersChanged([Speaker(ParticipantId("PA_" + "x" * 60_000), 0.5, True)])
        for _ in range(2000):
            session.emit(event)
            if server.value("ting_signal_closures_total", reason="too_slow"):
                break
            await asyncio.sleep(0)
        assert server.value("ting_signal_closures_total", reason="too_slow") == 1
        await neighbour.ping()
        await eventually(lambda: "signal_lost" in session.names())
        again = await server.connect(server.token("slow"), reconnect="1", sid=slow.sid)
        await again.expect("reconnect")


@pytest.mark.parametrize(
    "limits", [{"max_outbound_messages": 50, "max_outbound_bytes": 2**30}, {"max_outbound_bytes": 50_000}]
)
async def test_ws5_both_limits_close_with_1013(limits: dict[str, int]) -> None:
    async with running(**limits) as server, bystander(server):
        client = await server.join("slow")
        session = server.sfu.session_of("lobby", "slow")
        client.ws._conn.transport.pause_reading()  # type: ignore[union-attr]
        event = SpeakersChanged([Speaker(ParticipantId("x" * 60_000), 0.5, True)])
        for _ in range(2000):
            session.emit(event)
            if server.value("ting_signal_closures_total", reason="too_slow"):
                break
            await asyncio.sleep(0)
        client.ws._conn.transport.resume_reading()  # type: ignore[union-attr]
        assert await client.closed() == 1013


# --- WS6: messages that are none ------------------------------------------------------------------------

BAD_FRAMES: list[bytes | str] = [
    b"\xff", b"\x0a\xff\xff\xff\xff\x0f", os.urandom(64) + b"\xff", "", "{", "[" * 100_000, '{"ping":NaN}',
    '{"ping":1e999}',
    '{"ping":' + "9" * 5000 + "}", '{"ping":1,"ping":2}', '{"offer":{"sdp":"\\ud800"}}', '{"mute":{"sid":"\\u0000"}}',
    '{"ping":{}}', '{"mute":7}', "[]", '"x"', "null",
]  # fmt: skip


@pytest.mark.parametrize("frame", BAD_FRAMES, ids=range(len(BAD_FRAMES)))
async def test_ws6_a_bad_message_is_counted_and_the_connection_goes_on(server: Server, frame: bytes | str) -> None:
    client, other = await server.join("alice"), await server.join("bob")
    if isinstance(frame, bytes):
        await client.ws.send_bytes(frame)
    else:
        await client.ws.send_str(frame)
    await client.ping()
    assert server.value("ting_signal_violations_total", reason="malformed") == 1
    await other.ping()


async def test_ws6_too_many_bad_messages_close_with_1008(server: Server) -> None:
    client = await server.join()
    for _ in range(19):
        await client.ws.send_bytes(b"\xff")
    await client.ping()
    await client.ws.send_bytes(b"\xff")
    assert await client.closed() == 1008
    assert server.value("ting_signal_closures_total", reason="violations") == 1


async def test_ws6_a_bad_description_goes_back_to_its_sender_alone(server: Server) -> None:
    client, other = await server.join("alice"), await server.join("bob")
    await client.wait_for("update")
    await client.send(offer=rtc.SessionDescription(type="offer", sdp="canary\r\nnonsense"))
    response = (await client.expect("request_response")).request_response
    assert response.reason == rtc.RequestResponse.INVALID_REQUEST
    assert "canary" not in response.message
    await other.send(ping=1)
    await other.expect("pong")


# --- WS7: origins ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
async def test_ws7_an_origin_gives_nothing_since_there_are_no_cookies(server: Server, origin: str) -> None:
    """The token is the only right there is: a page without one gets nowhere, whatever its origin."""
    raw = await RawSocket.open(server, Origin=origin, Authorization="none", Cookie="token=x")
    assert (await raw.reader.readline()).startswith(b"HTTP/1.1 401")
    raw.writer.close()
    async with server.http.get(server.url + "/api/v1/config") as response:
        assert "Set-Cookie" not in response.headers


# --- WS8, WS9: acting as somebody else ------------------------------------------------------------------


async def test_ws8_nobody_mutes_the_track_of_another(server: Server) -> None:
    alice, mallory = await server.join("alice"), await server.join("mallory")
    await alice.send(add_track=rtc.AddTrackRequest(cid="c", type=models.TrackType.AUDIO))
    track_id = (await alice.wait_for("track_published")).track_published.track.sid
    await mallory.send(mute=rtc.MuteTrackRequest(sid=track_id, muted=True))
    response = (await mallory.wait_for("request_response")).request_response
    assert response.reason == rtc.RequestResponse.NOT_FOUND
    assert not server.sfu.session_of("lobby", "alice").tracks[track_id].muted


async def test_ws8_data_carries_the_sender_of_the_connection(server: Server) -> None:
    alice, _mallory = await server.join("alice"), await server.join("mallory")
    forged = models.DataPacket(
        participant_identity="alice", participant_sid=alice.sid,
        user=models.UserPacket(participant_identity="alice", participant_sid=alice.sid, payload=b"give me the money"),
    )  # fmt: skip
    server.sfu.session_of("lobby", "mallory").receive_data(DataKind.RELIABLE, forged.SerializeToString())
    ((_, payload),) = server.sfu.session_of("lobby", "alice").data
    packet = models.DataPacket.FromString(payload)
    assert (packet.participant_identity, packet.user.participant_identity) == ("mallory", "mallory")
    assert packet.participant_sid != alice.sid


async def test_ws9_a_session_is_resumed_by_its_owner_only(server: Server) -> None:
    alice = await server.join("alice")
    for token in (server.token("mallory"), server.token("alice", "other-room")):
        thief = await server.connect(token, reconnect="1", sid=alice.sid)
        leave = (await thief.expect("leave")).leave
        assert (leave.reason, leave.action) == (models.DisconnectReason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)
        assert await thief.closed() == 1000
    await alice.ping()
    assert "resume" not in server.sfu.session_of("lobby", "alice").names()


async def test_ws9_after_a_kick_nothing_is_resumed(server: Server) -> None:
    token = server.token("alice")
    client = await server.connect(token)
    sid = (await client.expect("join")).join.participant.sid
    server.rooms.kick("lobby", "alice")
    assert await client.closed() == 1000
    for parameters in ({}, {"reconnect": "1", "sid": sid}):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await server.connect(token, **parameters)
        assert caught.value.status == 401


async def test_ws9_a_resume_used_twice_leaves_one_connection(server: Server) -> None:
    first = await server.join("alice")
    second = await server.connect(server.token("alice"), reconnect="1", sid=first.sid)
    await second.expect("reconnect")
    third = await server.connect(server.token("alice"), reconnect="1", sid=first.sid)
    await third.expect("reconnect")
    assert [await first.closed(), await second.closed()] == [1000, 1000]
    await third.ping()
    assert len(server.sfu.sessions_in("lobby")) == 1


# --- WS10: order ----------------------------------------------------------------------------------------


async def test_ws10_messages_after_leave_do_nothing(server: Server) -> None:
    client = await server.join()
    session = server.sfu.session_of("lobby", "alice")
    await client.send(leave=rtc.LeaveRequest())
    await client.send(offer=rtc.SessionDescription(type="offer", sdp="v=0"))
    assert await client.closed() == 1000
    assert session.ended is LeaveReason.CLIENT_INITIATED
    assert session.names()[-1] == "leave"


async def test_ws10_answers_and_states_that_nobody_waits_for(server: Server) -> None:
    client = await server.join()
    await client.send(answer=rtc.SessionDescription(type="answer", sdp="v=0", id=99))
    await client.send(sync_state=rtc.SyncState())
    await client.send(mute=rtc.MuteTrackRequest(sid="TR_never", muted=True))
    await client.send(track_setting=rtc.UpdateTrackSettings(track_sids=["TR_never"]))
    await client.send(leave=rtc.LeaveRequest())
    assert await client.closed() == 1000


async def test_ws10_twenty_sockets_of_one_identity_leave_one_participant(server: Server) -> None:
    clients: list[Client] = [await server.join("alice") for _ in range(20)]
    for older in clients[:-1]:
        assert (await older.wait_for("leave")).leave.reason == models.DisconnectReason.DUPLICATE_IDENTITY
    await clients[-1].ping()
    assert [session.info.participant_id for session in server.sfu.sessions_in("lobby")] == [clients[-1].sid]


@pytest.mark.parametrize(
    "headers",
    [{"Sec_WebSocket_Version": "99"}, {"Sec_WebSocket_Key": "short"}, {"Sec_WebSocket_Key": ""},
     {"Connection": "close"}],
)  # fmt: skip
async def test_ws10_broken_handshakes_join_nobody(server: Server, headers: dict[str, str]) -> None:
    raw = await RawSocket.open(server, **headers)
    status = (await raw.reader.readline()).split()[1]
    assert status in (b"400", b"404")
    raw.writer.close()
    assert server.sfu.sessions_in("lobby") == []

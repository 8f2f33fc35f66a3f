"""Data packets: to the room or to the named ones, under the sender's own name."""

from __future__ import annotations

import asyncio
import os

import aiohttp
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from livekit import rtc
from livekit.protocol.models import DataPacket, UserPacket
from livekit.rtc.participant import PublishDataError

from sfu.engine import engine_name
from tests.harness.caller import Caller
from tests.harness.fixtures import Join
from tests.harness.raw import RawParticipant
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

KINDS = pytest.mark.parametrize("reliable", [True, False], ids=["reliable", "lossy"])


async def data(caller: Caller, payload: bytes) -> rtc.DataPacket:
    return (await caller.wait_for("data_received", lambda packet: packet.data == payload))[0]


def received(caller: Caller) -> list[bytes]:
    return [args[0].data for name, args in caller.events if name == "data_received"]


async def three(server: ServerProcess, join: Join) -> tuple[Caller, Caller, Caller]:
    """Three callers, each seen as ready for data by the others."""
    callers = [await join(server.url, name) for name in ("alice", "bob", "carol")]
    for caller in callers:
        await caller.until(lambda room=caller.room: active(room, 2), "the others to be active")
    return callers[0], callers[1], callers[2]


def active(room: rtc.Room, others: int) -> bool:
    states = [participant.state for participant in room.remote_participants.values()]
    return states == [rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE] * others


@KINDS
async def test_reaches_everyone_else(server: ServerProcess, join: Join, reliable: bool) -> None:
    alice, bob, carol = await three(server, join)
    await alice.room.local_participant.publish_data(b"to all", reliable=reliable, topic="news")
    for other in (bob, carol):
        packet = await data(other, b"to all")
        assert packet.participant is not None
        assert (packet.participant.identity, packet.topic) == ("alice", "news")
        assert packet.kind == (rtc.DataPacketKind.KIND_RELIABLE if reliable else rtc.DataPacketKind.KIND_LOSSY)
    assert b"to all" not in received(alice)


@KINDS
async def test_reaches_only_the_named(server: ServerProcess, join: Join, reliable: bool) -> None:
    alice, bob, carol = await three(server, join)
    participant = alice.room.local_participant
    await participant.publish_data(b"to carol", reliable=reliable, destination_identities=["carol"])
    await data(carol, b"to carol")
    # What comes behind it on the same channel tells that it would have been there by now.
    await participant.publish_data(b"to all", reliable=reliable)
    await asyncio.gather(data(bob, b"to all"), data(carol, b"to all"))
    assert b"to carol" not in received(bob)


async def test_order_and_completeness_of_reliable_data(server: ServerProcess, join: Join) -> None:
    alice, bob, _ = await three(server, join)
    sent = [f"message {number}".encode() + bytes(number * 40) for number in range(100)]
    for payload in sent:
        await alice.room.local_participant.publish_data(payload)
    await data(bob, sent[-1])
    assert [payload for payload in received(bob) if payload.startswith(b"message")] == sent


async def test_text_stream(server: ServerProcess, join: Join) -> None:
    """What chat uses. Long enough to need many chunks."""
    alice, bob, _ = await three(server, join)
    text = "Guten Tag, 你好. " * 2000
    arrived: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
    readers = set()

    async def read(reader: rtc.TextStreamReader, identity: str) -> None:
        arrived.set_result((identity, await reader.read_all()))

    def handle(reader: rtc.TextStreamReader, identity: str) -> None:
        readers.add(asyncio.create_task(read(reader, identity)))

    bob.room.register_text_stream_handler("lk.chat", handle)
    await alice.room.local_participant.send_text(text, topic="lk.chat")
    assert await asyncio.wait_for(arrived, 10) == ("alice", text)


async def test_without_the_grant_nothing_is_delivered(server: ServerProcess, join: Join) -> None:
    alice, bob, carol = await three(server, join)
    mute = await join(server.url, "mute", can_publish_data=False)
    await mute.until(lambda: len(mute.room.remote_participants) == 3, "everyone to be seen")
    try:
        await mute.room.local_participant.publish_data(b"not allowed")
    except PublishDataError:
        return  # The SDK itself refused.
    await alice.room.local_participant.publish_data(b"the end")
    await asyncio.gather(data(bob, b"the end"), data(carol, b"the end"))
    assert b"not allowed" not in received(bob) + received(carol)


@pytest.mark.parametrize("channel", ["_reliable", "_lossy"])
async def test_the_sender_cannot_be_forged(server: ServerProcess, join: Join, room: str, channel: str) -> None:
    """Mallory's own client writes carol's name into every field; bob is told that mallory sent it."""
    bob, carol = await join(server.url, "bob"), await join(server.url, "carol")
    await bob.until(lambda: active(bob.room, 1), "carol to be active")
    forged = DataPacket(participant_identity="carol", participant_sid=carol.room.local_participant.sid)
    forged.user.CopyFrom(UserPacket(payload=b"I am carol", participant_identity="carol"))
    connection = RTCPeerConnection()
    opened = asyncio.Event()
    async with aiohttp.ClientSession() as http:
        mallory = await RawParticipant(room, "mallory").join(http, server.url)
        data_channel = connection.createDataChannel(channel)
        data_channel.on("open", opened.set)
        await connection.setLocalDescription(await connection.createOffer())
        answer = await mallory.offer(connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await asyncio.wait_for(opened.wait(), 10)
        data_channel.send(forged.SerializeToString())
        packet = await data(bob, b"I am carol")
        assert packet.participant is not None
        assert packet.participant.identity == "mallory"
        # In this order: a peer whose transport ends first is sent away.
        await mallory.leave()
        await connection.close()


async def test_transcription_dtmf_and_rpc(server: ServerProcess, join: Join) -> None:
    alice, bob, _ = await three(server, join)
    publication = await alice.publish_tone(500)
    await bob.subscribed("alice", rtc.TrackKind.KIND_AUDIO)
    segment = rtc.TranscriptionSegment(id="1", text="hello 你好", start_time=0, end_time=1, language="en", final=True)
    transcription = rtc.Transcription(participant_identity="alice", track_sid=publication.sid, segments=[segment])
    await alice.room.local_participant.publish_transcription(transcription)
    segments, participant, _ = await bob.wait_for("transcription_received")
    assert (segments[0].text, participant.identity) == ("hello 你好", "alice")
    await alice.room.local_participant.publish_dtmf(code=5, digit="5")
    (tone,) = await bob.wait_for("sip_dtmf_received")
    assert (tone.code, tone.digit, tone.participant.identity) == (5, "5", "alice")

    @bob.room.local_participant.register_rpc_method("greet")
    async def greet(invocation: rtc.RpcInvocationData) -> str:
        return f"{invocation.payload} {invocation.caller_identity}"

    answer = await alice.room.local_participant.perform_rpc(destination_identity="bob", method="greet", payload="hi")
    assert answer == "hi alice"


async def test_a_sender_waits_for_a_receiver_whose_buffer_is_small() -> None:
    """A file many times as large as what may wait for one receiver arrives whole."""
    if engine_name(os.environ.get("TING_ENGINE", "auto")) != "rust":
        pytest.skip("there the event loop is what everybody waits for")
    limits = {"TING_MAX_DATA_BUFFERED_BYTES": "1000000", "TING_DATA_WAIT_FROM_BYTES": "100000"}
    server = ServerProcess(environment=limits)
    await server.start()
    alice, bob = (Caller(server.url, "files", name) for name in ("alice", "bob"))
    try:
        for caller in (alice, bob):
            await caller.join()
        await alice.until(lambda: active(alice.room, 1), "the other to be active")
        received = asyncio.get_running_loop().create_future()

        def accept(reader: rtc.ByteStreamReader, _identity: str) -> None:
            async def read() -> None:
                received.set_result(b"".join([chunk async for chunk in reader]))

            tasks.append(asyncio.create_task(read()))

        tasks: list[asyncio.Task[None]] = []
        bob.room.register_byte_stream_handler("file", accept)
        whole = bytes(range(250)) * 20_000
        writer = await alice.room.local_participant.stream_bytes("file", total_size=len(whole), topic="file")
        for begin in range(0, len(whole), 15_000):
            await writer.write(whole[begin : begin + 15_000])
        await writer.aclose()
        async with asyncio.timeout(60):
            assert await received == whole
    finally:
        for caller in (alice, bob):
            await caller.leave()
        await server.stop()

"""Who is in the room and what they may receive: mute, leave, duplicate identity, subscriptions, moderation."""

from __future__ import annotations

import asyncio
import socket
import struct

import aiohttp
import pytest
from livekit import rtc

from sfu.errors import RequestError
from sfu.ids import Identity, RoomName, TrackId
from tests.harness.caller import Caller
from tests.harness.fixtures import Join
from tests.harness.server import EmbeddedServer, ServerProcess, make_token

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

VIDEO, AUDIO = rtc.TrackKind.KIND_VIDEO, rtc.TrackKind.KIND_AUDIO


async def test_mute_is_seen_and_media_stops(server: ServerProcess, join: Join) -> None:
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob")
    camera, microphone = await alice.publish_pattern(9), await alice.publish_tone(600)
    eye, ear = await bob.watch("alice"), await bob.listen("alice")
    await asyncio.gather(eye.assert_advances(9), ear.assert_tone(600))

    for publication in (camera, microphone):
        publication.track.mute()
        await bob.wait_for("track_muted", lambda _, muted, sid=publication.sid: muted.sid == sid)
    await asyncio.gather(eye.quiet_for(1.0), ear.assert_silent())

    for publication in (camera, microphone):
        publication.track.unmute()
        await bob.wait_for("track_unmuted", lambda _, muted, sid=publication.sid: muted.sid == sid)
    await asyncio.gather(eye.assert_advances(9), ear.assert_tone(600))


async def test_leaving_is_seen(server: ServerProcess, join: Join) -> None:
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob")
    await alice.publish_tone(600)
    await bob.listen("alice")
    await alice.leave()
    left = await bob.wait_for("participant_disconnected")
    assert left[0].identity == "alice"
    assert not bob.room.remote_participants
    assert bob.count("track_unsubscribed") == 1


async def test_the_newer_of_two_with_one_identity_wins(server: ServerProcess, join: Join) -> None:
    bob = await join(server.url, "bob")
    older = await join(server.url, "alice")
    await bob.wait_for("participant_connected")
    newer = await join(server.url, "alice")
    reason = (await older.wait_for("disconnected"))[0]
    assert reason == rtc.DisconnectReason.DUPLICATE_IDENTITY
    sid = newer.room.local_participant.sid
    await bob.until(
        lambda: [one.sid for one in bob.room.remote_participants.values()] == [sid], "the newer alice alone to be there"
    )
    await newer.publish_tone(300)
    await (await bob.listen("alice")).assert_tone(300)


async def test_nothing_arrives_that_was_not_subscribed(server: ServerProcess, join: Join) -> None:
    alice = await join(server.url, "alice")
    await alice.publish_pattern(4)
    await alice.publish_tone(350)
    bob = await join(server.url, "bob", auto_subscribe=False)
    await bob.until(lambda: bob.publication("alice", VIDEO) and bob.publication("alice", AUDIO), "both publications")
    publication = bob.publication("alice", VIDEO)
    assert publication is not None
    publication.set_subscribed(True)
    eye = await bob.watch("alice")
    await eye.assert_advances(4)
    assert bob.count("track_subscribed") == 1, "the sound was not asked for"

    # Off and on again: the media section is closed and used again.
    for round_number in range(3):
        begin = len(bob.events)
        publication.set_subscribed(False)
        await bob.wait_for("track_unsubscribed", after=begin)
        await eye.quiet_for(0.5)
        begin = len(bob.events)
        publication.set_subscribed(True)
        track = (await bob.wait_for("track_subscribed", after=begin))[0]
        assert track.kind == VIDEO, round_number
        eye = await bob.watch("alice")
        await eye.assert_advances(4)


async def test_grants_are_honoured(server: ServerProcess, join: Join) -> None:
    alice = await join(server.url, "alice")
    await alice.publish_tone(800)
    viewer = await join(server.url, "viewer", can_publish=False)
    await (await viewer.listen("alice")).assert_tone(800)
    begin = len(alice.events)
    with pytest.raises(Exception, match=r"(?i)permission|allowed|publish|timed? ?out"):
        await viewer.publish_tone(900)
    assert not [event for event, _ in alice.events[begin:] if event == "track_published"]
    deaf = await join(server.url, "deaf", can_subscribe=False)
    await deaf.publish_tone(1000)
    await (await alice.listen("deaf")).assert_tone(1000)
    assert not deaf.count("track_subscribed")


@pytest.mark.parametrize("problem", ["wrong secret", "expired", "no right to join"])
async def test_bad_tokens_do_not_get_in(server: ServerProcess, room: str, problem: str) -> None:
    token = {
        "wrong secret": make_token(room, "eve", secret="another secret of at least 32 bytes"),
        "expired": make_token(room, "eve", ttl_s=-120),
        "no right to join": make_token(room, "eve", room_join=False, room_admin=True),
    }[problem]
    eve = Caller(server.url, room, "eve")
    with pytest.raises(rtc.ConnectError, match=r"401|403|[Uu]nauthorized|[Ff]orbidden|token"):
        await eve.join(token=token)


async def test_clients_that_hang_up_before_the_answer_leave_no_trace(server: ServerProcess, room: str) -> None:
    """Neither in the room nor, as an internal error, in the log (which the fixture looks through)."""
    request = (
        f"GET /rtc?access_token={make_token(room, 'hasty')} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", server.ports.http)) as connection:
            connection.sendall(request)
            # A reset instead of a goodbye.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/healthz") as response:
        assert response.status == 200
    server.assert_healthy()


# --- what only the server's own code can ask ----------------------------------------------------------------


async def test_kick(embedded: EmbeddedServer, join: Join, room: str) -> None:
    alice, bob = await join(embedded.url, "alice"), await join(embedded.url, "bob")
    await alice.publish_tone(600)
    ear = await bob.listen("alice")
    await ear.assert_tone(600)
    embedded.sfu.remove_participant(RoomName(room), Identity("alice"))
    assert (await alice.wait_for("disconnected"))[0] == rtc.DisconnectReason.PARTICIPANT_REMOVED
    assert (await bob.wait_for("participant_disconnected"))[0].identity == "alice"
    assert [info.identity for info in embedded.sfu.participants(RoomName(room))] == ["bob"]
    with pytest.raises(RequestError) as caught:
        embedded.sfu.remove_participant(RoomName(room), Identity("alice"))
    assert caught.value.code == "unknown_participant"


async def test_moderator_mute_is_enforced(embedded: EmbeddedServer, join: Join, room: str) -> None:
    """The publisher is told, and its packets stop at the server whatever it does."""
    alice, bob = await join(embedded.url, "alice"), await join(embedded.url, "bob")
    publication = await alice.publish_pattern(6)
    eye = await bob.watch("alice")
    await eye.assert_advances(6)
    embedded.sfu.mute_track(RoomName(room), Identity("alice"), TrackId(publication.sid), True)
    await bob.wait_for("track_muted")
    await eye.quiet_for(1.0)


async def test_room_end(embedded: EmbeddedServer, join: Join, room: str) -> None:
    callers = [await join(embedded.url, name) for name in ("alice", "bob")]
    assert embedded.sfu.end_room(RoomName(room)) is True
    for caller in callers:
        assert (await caller.wait_for("disconnected"))[0] == rtc.DisconnectReason.ROOM_DELETED
    assert embedded.sfu.participants(RoomName(room)) == []
    assert embedded.sfu.end_room(RoomName("no such room")) is False

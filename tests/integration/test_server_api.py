"""The server API with the unmodified `livekit-api` package, and real callers who see what it does."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator

import aiohttp
import jwt
import pytest
import pytest_asyncio
from livekit import api, rtc
from livekit.api import ServerError

from tests.harness.caller import Caller
from tests.harness.fixtures import Join
from tests.harness.server import API_KEY, API_SECRET, ServerProcess, make_token

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

VIDEO, AUDIO = rtc.TrackKind.KIND_VIDEO, rtc.TrackKind.KIND_AUDIO


@pytest_asyncio.fixture(loop_scope="session")
async def rooms(server: ServerProcess) -> AsyncIterator[api.RoomService]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)  # the development key is that short
        client = api.LiveKitAPI(server.url, API_KEY, API_SECRET)
        yield client.room
        await client.aclose()


async def test_rooms(rooms: api.RoomService, room: str) -> None:
    created = await rooms.create_room(
        api.CreateRoomRequest(name=room, empty_timeout=600, departure_timeout=30, max_participants=7, metadata="m")
    )
    assert (created.name, created.empty_timeout, created.departure_timeout) == (room, 600, 30)
    assert (created.max_participants, created.metadata, created.num_participants) == (7, "m", 0)
    listed = await rooms.list_rooms(api.ListRoomsRequest(names=[room, "none"]))
    assert [info.sid for info in listed.rooms] == [created.sid]
    await rooms.delete_room(api.DeleteRoomRequest(room=room))
    assert not (await rooms.list_rooms(api.ListRoomsRequest(names=[room]))).rooms
    with pytest.raises(ServerError) as missing:
        await rooms.delete_room(api.DeleteRoomRequest(room=room))
    assert (missing.value.code, missing.value.status) == ("not_found", 404)
    assert missing.value.message == "requested room does not exist"


async def test_a_room_ends_for_those_inside(
    rooms: api.RoomService, server: ServerProcess, join: Join, room: str
) -> None:
    alice = await join(server.url, "alice")
    await rooms.update_room_metadata(api.UpdateRoomMetadataRequest(room=room, metadata="topic"))
    changed = await alice.wait_for("room_metadata_changed")
    assert changed[1] == "topic"
    await rooms.delete_room(api.DeleteRoomRequest(room=room))
    assert (await alice.wait_for("disconnected"))[0] == rtc.DisconnectReason.ROOM_DELETED


async def test_a_room_takes_as_many_as_it_was_created_for(
    rooms: api.RoomService, server: ServerProcess, join: Join, room: str
) -> None:
    await rooms.create_room(api.CreateRoomRequest(name=room, max_participants=1))
    await join(server.url, "alice")
    with pytest.raises(rtc.ConnectError):
        await join(server.url, "bob")
    assert len((await rooms.list_participants(api.ListParticipantsRequest(room=room))).participants) == 1


async def test_participants(rooms: api.RoomService, server: ServerProcess, join: Join, room: str) -> None:
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob")
    publication = await alice.publish_tone(600)
    ear = await bob.listen("alice")
    await ear.assert_tone(600)

    listed = (await rooms.list_participants(api.ListParticipantsRequest(room=room))).participants
    assert [info.identity for info in listed] == ["alice", "bob"]
    who = api.RoomParticipantIdentity(room=room, identity="alice")
    assert [track.sid for track in (await rooms.get_participant(who)).tracks] == [publication.sid]

    muted = await rooms.mute_published_track(
        api.MuteRoomTrackRequest(room=room, identity="alice", track_sid=publication.sid, muted=True)
    )
    assert muted.track.muted
    await bob.wait_for("track_muted")
    await ear.assert_silent()

    changed = await rooms.update_participant(
        api.UpdateParticipantRequest(
            room=room, identity="alice", name="A. L.", metadata="m", attributes={"role": "host"},
            permission=api.ParticipantPermission(can_subscribe=True, can_publish=False, can_publish_data=True),
        )
    )  # fmt: skip
    assert (changed.name, changed.metadata, dict(changed.attributes)) == ("A. L.", "m", {"role": "host"})
    assert (changed.permission.can_publish, list(changed.tracks)) == (False, [])
    await bob.wait_for("track_unpublished")
    seen = bob.room.remote_participants["alice"]
    assert (seen.name, seen.metadata, seen.attributes) == ("A. L.", "m", {"role": "host"})
    await alice.wait_for("participant_permissions_changed")

    await rooms.remove_participant(who)
    assert (await alice.wait_for("disconnected"))[0] == rtc.DisconnectReason.PARTICIPANT_REMOVED
    with pytest.raises(ServerError) as missing:
        await rooms.get_participant(who)
    assert (missing.value.code, missing.value.message) == ("not_found", "participant does not exist")


async def test_the_server_subscribes(rooms: api.RoomService, server: ServerProcess, join: Join, room: str) -> None:
    alice = await join(server.url, "alice")
    publication = await alice.publish_tone(700)
    bob = await join(server.url, "bob", auto_subscribe=False)
    await bob.until(lambda: bob.publication("alice", AUDIO), "the publication")
    assert not bob.count("track_subscribed")
    await rooms.update_subscriptions(
        api.UpdateSubscriptionsRequest(room=room, identity="bob", track_sids=[publication.sid], subscribe=True)
    )
    await (await bob.listen("alice")).assert_tone(700)


async def test_data(rooms: api.RoomService, server: ServerProcess, join: Join, room: str) -> None:
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob")
    for topic, identities in (("bob", ["bob"]), ("all", [])):
        await rooms.send_data(
            api.SendDataRequest(room=room, data=b"hello", topic=topic, destination_identities=identities)
        )
    for caller, topics in ((bob, ["bob", "all"]), (alice, ["all"])):
        await caller.wait_for("data_received", lambda packet: packet.topic == "all")
        packets = [args[0] for event, args in caller.events if event == "data_received"]
        assert [packet.topic for packet in packets] == topics
        assert packets[0].data == b"hello"
        assert packets[0].participant is None


async def test_moved_to_another_room(rooms: api.RoomService, server: ServerProcess, join: Join, room: str) -> None:
    """What alice publishes goes on, for those of the new room; after a reconnect she is still there."""
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob")
    await alice.publish_tone(600)
    await (await bob.listen("alice")).assert_tone(600)
    cleo = Caller(server.url, f"{room}-2", "cleo")
    await cleo.join()
    try:
        await cleo.publish_tone(800)
        await rooms.move_participant(
            api.MoveParticipantRequest(room=room, identity="alice", destination_room=f"{room}-2")
        )
        await alice.wait_for("moved")
        assert alice.room.name == f"{room}-2"
        await bob.wait_for("participant_disconnected", lambda who: who.identity == "alice")
        await alice.until(lambda: list(alice.room.remote_participants) == ["cleo"], "cleo alone to be there")
        await asyncio.gather(
            (await cleo.listen("alice")).assert_tone(600), (await alice.listen("cleo")).assert_tone(800)
        )
        begin = len(cleo.events)
        await alice.room.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
        await cleo.wait_for("track_subscribed", after=begin, timeout=20)
        await (await cleo.listen("alice")).assert_tone(600)
    finally:
        await cleo.leave()


async def test_forwarded_to_another_room(rooms: api.RoomService, server: ServerProcess, join: Join, room: str) -> None:
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob")
    await alice.publish_tone(600)
    await alice.publish_pattern(5)
    cleo = Caller(server.url, f"{room}-2", "cleo")
    await cleo.join()
    try:
        await rooms.forward_participant(
            api.ForwardParticipantRequest(room=room, identity="alice", destination_room=f"{room}-2")
        )
        await asyncio.gather(
            (await cleo.listen("alice")).assert_tone(600), (await cleo.watch("alice")).assert_advances(5),
            (await bob.listen("alice")).assert_tone(600),
        )  # fmt: skip
        assert list(alice.room.remote_participants) == ["bob"]
        await rooms.remove_participant(api.RoomParticipantIdentity(room=f"{room}-2", identity="alice"))
        await cleo.wait_for("participant_disconnected", lambda who: who.identity == "alice")
        assert "alice" in bob.room.remote_participants
    finally:
        await cleo.leave()


async def test_remote_procedures(server: ServerProcess, join: Join, room: str) -> None:
    """The Python package has no method for it yet, so this is the request itself."""
    alice = await join(server.url, "alice")

    async def greet(call: rtc.RpcInvocationData) -> str:
        if call.payload == "nobody":
            raise rtc.RpcError(101, "no such person", "nobody")
        return f"hello {call.payload}"

    alice.room.local_participant.register_rpc_method("greet", greet)
    headers = {"Authorization": f"Bearer {make_token(room, '', room_join=False, room_admin=True)}"}
    url = f"{server.url}/twirp/livekit.RoomService/PerformRpc"
    body = {"room": room, "destination_identity": "alice", "method": "greet"}
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.post(url, json={**body, "payload": "world"}) as response:
            assert (response.status, await response.json()) == (200, {"payload": "hello world"})
        async with http.post(url, json={**body, "payload": "nobody"}) as response:
            assert (response.status, (await response.json())["meta"]["rpc_code"]) == (500, "101")
        async with http.post(url, json={**body, "method": "unknown"}) as response:
            assert (response.status, (await response.json())["code"]) == (400, "invalid_argument")


async def test_the_wrong_key(server: ServerProcess, room: str) -> None:
    client = api.LiveKitAPI(server.url, API_KEY, "another secret of more than 32 bytes")
    try:
        with pytest.raises(ServerError) as refused:
            await client.room.list_rooms(api.ListRoomsRequest())
        assert (refused.value.code, refused.value.status) == ("unauthenticated", 401)
    finally:
        await client.aclose()

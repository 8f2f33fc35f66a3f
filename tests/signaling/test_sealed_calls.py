"""Calls in sealed rooms: whoever cannot encrypt is refused with a sentence, and only what is encrypted goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from livekit.protocol import models, rtc

from sfu.api import DataKind
from signaling.grants import Grants
from tests.signaling.fake_sfu import FakeSession
from tests.signaling.harness import Client, Server, eventually, running
from tests.signaling.rooms import Person, founder, visitor

SEALED = {"kind": "sealed"}
GCM, NONE = models.Encryption.GCM, models.Encryption.NONE


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as running_server:
        yield running_server


async def caller(server: Server, person: Person) -> tuple[Client, FakeSession]:
    """Of somebody who encrypts."""
    await person.enter(sealed=True)
    client = await server.connect(person.token)
    client.join_response = (await client.expect("join")).join
    await client.expect("offer")
    session = server.sfu.find_participant(person.room, person.identity)
    assert isinstance(session, FakeSession)
    return client, session


async def refusal(server: Server, token: str) -> tuple[int, str]:
    async with server.http.get(f"{server.url}/rtc/validate", params={"access_token": token}) as response:
        return response.status, await response.text()


# --- the door -------------------------------------------------------------------------------------------------


async def test_the_door_says_the_kind_and_lets_those_into_calls_who_encrypt(server: Server) -> None:
    ada = await founder(server, policy=SEALED)
    assert (await ada.enter())["kind"] == "sealed"
    status, sentence = await refusal(server, ada.token)
    assert status == 401
    assert "sealed" in sentence
    assert "ting.sealed" in sentence
    _, session = await caller(server, ada)
    assert session.attributes["ting.sealed"] == "1"
    assert await ada.good("GET", "state"), "the log is there for both"
    open_room = await founder(server, "Bob")
    answer = await open_room.enter(sealed=True)
    assert answer["kind"] == "open"
    assert (await refusal(server, answer["token"]))[0] == 200
    assert "ting.sealed" not in server.tokens.verify(answer["token"]).attributes


async def test_whoever_knocks_says_it_at_the_door(server: Server) -> None:
    ada = await founder(server, policy={**SEALED, "entry": "knock"})
    bob = Person(server, "Bob", ada.room)
    answer = await bob.enter(sealed=True)
    assert answer["kind"] is None
    await ada.good("POST", f"knocks/{answer['knock']}/admit")
    admitted = (await bob.good("GET", f"knocks/{answer['knock']}/answer"))["admission"]
    assert admitted["kind"] == "sealed"
    assert (await refusal(server, admitted["token"]))[0] == 200


async def test_tokens_of_applications_say_it_themselves(server: Server) -> None:
    ada = await founder(server, policy=SEALED)
    for attributes, status in (({}, 401), ({"ting.sealed": "0"}, 401), ({"ting.sealed": "1"}, 200)):
        token = server.token("app", ada.room, attributes=attributes)
        assert (await refusal(server, token))[0] == status
    assert (await refusal(server, server.token("app", "elsewhere")))[0] == 200


async def test_nobody_says_it_of_itself_later(server: Server) -> None:
    ada = await founder(server, policy=SEALED)
    token = server.token("app", ada.room, attributes={"ting.sealed": "1"}, can_update_own_metadata=True)
    client = await server.connect(token)
    await client.wait_for("offer")
    await client.send(update_metadata=rtc.UpdateParticipantMetadata(attributes={"ting.sealed": ""}))
    assert (await client.wait_for("request_response")).request_response.reason == rtc.RequestResponse.NOT_ALLOWED


@pytest.mark.parametrize("path", ["whip", "whep"])
async def test_what_cannot_encrypt_is_refused_with_a_sentence(server: Server, path: str) -> None:
    ada = await founder(server, policy=SEALED)
    for attributes in ({}, {"ting.sealed": "1"}):
        headers = {
            "Authorization": f"Bearer {server.token('obs', ada.room, attributes=attributes)}",
            "Content-Type": "application/sdp",
        }
        url = f"{server.url}/{path}/{ada.room}"
        async with server.http.post(url, data="v=0\r\n", headers=headers) as response:
            problem = await response.json(content_type=None)
        assert response.status == 403
        assert problem["code"] == "sealed_room"
        assert path.upper() in problem["detail"]
    await ada.good("PATCH", "", {"policy": {"kind": "open"}})
    async with server.http.post(url, data="v=0\r\n", headers=headers) as response:
        assert response.status != 403


async def test_a_sealed_room_is_not_made_over_a_call_that_is_not(server: Server) -> None:
    await server.join("alice", "lobby")
    person = Person(server, "Ada")
    body = {"key": person.key, "name": "lobby", "policy": SEALED}
    assert await person.refused("POST", "/api/v1/rooms", body) == "name_taken"


# --- media and data -------------------------------------------------------------------------------------------


def track(cid: str, encryption: Any) -> dict[str, Any]:
    return {"add_track": rtc.AddTrackRequest(cid=cid, type=models.TrackType.AUDIO, encryption=encryption)}


async def test_only_encrypted_tracks_are_published_until_the_room_is_opened(server: Server) -> None:
    ada = await founder(server, policy=SEALED)
    client, session = await caller(server, ada)
    for encryption in (NONE, models.Encryption.CUSTOM):
        await client.send(**track("plain", encryption))
        refused = (await client.wait_for("request_response")).request_response
        assert (refused.reason, refused.add_track.cid) == (rtc.RequestResponse.NOT_ALLOWED, "plain")
        assert "sealed" in refused.message
    await client.send(**track("safe", GCM))
    assert (await client.wait_for("track_published")).track_published.cid == "safe"
    await ada.good("PATCH", "", {"policy": {"kind": "open"}})
    await client.send(**track("plain", NONE))
    assert (await client.wait_for("track_published")).track_published.cid == "plain"
    assert [call[1].cid for call in session.calls if call[0] == "add_track"] == ["safe", "plain"]


async def test_data_tracks_are_encrypted_and_blobs_are_not_taken(server: Server) -> None:
    ada = await founder(server, policy=SEALED)
    client, session = await caller(server, ada)
    for handle, encryption in ((1, NONE), (2, GCM)):
        request = rtc.PublishDataTrackRequest(pub_handle=handle, name=f"n{handle}", encryption=encryption)
        await client.send(publish_data_track_request=request)
    assert (await client.wait_for("request_response")).request_response.reason == rtc.RequestResponse.NOT_ALLOWED
    await client.wait_for("publish_data_track_response")
    assert list(session.data_tracks) == [2]
    blob = models.DataBlob(key=models.DataBlobKey(generic="k"), contents=b"plain")
    await client.send(store_data_blob_request=rtc.StoreDataBlobRequest(blob=blob))
    assert (await client.wait_for("request_response")).request_response.reason == rtc.RequestResponse.NOT_ALLOWED
    assert session.blobs == {}


async def test_of_data_only_encrypted_packets_go_on(server: Server) -> None:
    ada = await founder(server, policy=SEALED)
    bob = await visitor(server, ada.room)
    (_, sender), (_, receiver) = await caller(server, ada), await caller(server, bob)
    plain = [
        models.DataPacket(user=models.UserPacket(payload=b"plain")),
        models.DataPacket(chat_message=models.ChatMessage(id="1", message="plain")),
        models.DataPacket(stream_header=models.DataStream.Header(stream_id="s", topic="lk.chat")),
        models.DataPacket(rpc_request=models.RpcRequest(id="1", method="m")),
        models.DataPacket(metrics={}),
    ]
    for packet in plain:
        sender.receive_data(DataKind.RELIABLE, packet.SerializeToString())
    sealed = models.DataPacket(encrypted_packet=models.EncryptedPacket(encryption_type=GCM, encrypted_value=b"x"))
    sender.receive_data(DataKind.RELIABLE, sealed.SerializeToString())
    assert [models.DataPacket.FromString(p).WhichOneof("value") for _, p in receiver.data] == ["encrypted_packet"]
    assert server.value("ting_data_packets_dropped_total", reason="not_encrypted") == len(plain)
    await ada.good("PATCH", "", {"policy": {"kind": "open"}})
    sender.receive_data(DataKind.RELIABLE, plain[0].SerializeToString())
    assert len(receiver.data) == 2


async def test_av1_is_not_negotiated(server: Server) -> None:
    ada, bob = await founder(server, policy=SEALED), await founder(server, "Bob")
    client, session = await caller(server, ada)
    assert session.request.broken_codecs == {"av1"}
    codecs = [codec.mime.lower() for codec in client.join_response.enabled_publish_codecs]
    assert "video/av1" not in codecs
    assert "video/vp9" in codecs
    other, _ = await caller(server, bob)
    assert "video/av1" in [codec.mime.lower() for codec in other.join_response.enabled_publish_codecs]


async def test_the_log_is_not_told_to_sdk_clients(server: Server) -> None:
    ada = await founder(server, policy=SEALED)
    bob = await visitor(server, ada.room)
    _, session = await caller(server, bob)
    server.sfu.start_call(ada.room)
    await eventually(lambda: server.services.lasting.calls.key_of(ada.room) is not None, "the call is known")
    body = {"sealed": {"group": "g", "epoch": 0, "data": "Y2lwaGVydGV4dA"}}
    assert (await ada.write("message", **body))[0] == 200
    await ada.good("PATCH", "", {"policy": {"kind": "open"}})
    await ada.say("now open")
    await eventually(lambda: len(session.data) == 3, "what was said after the opening is told: header, chunk, trailer")
    chunk = models.DataPacket.FromString(session.data[1][1]).stream_chunk
    assert chunk.content == b"now open"


# --- the server API -------------------------------------------------------------------------------------------


async def twirp(server: Server, method: str, room: str, body: dict[str, Any]) -> tuple[int, str]:
    grants = Grants(room=room, room_admin=True, destination_room=body.get("destination_room", ""))
    headers = {"Authorization": f"Bearer {server.tokens.issue(grants, 60)}"}
    url = f"{server.url}/twirp/livekit.RoomService/{method}"
    async with server.http.post(url, json={"room": room, **body}, headers=headers) as response:
        answer = await response.json()
        return response.status, answer.get("code", "")


async def test_the_server_api_brings_nothing_plain_into_a_sealed_room(server: Server) -> None:
    ada = await founder(server, policy=SEALED)
    await server.join("alice", "lobby")
    there = {"identity": "alice", "destination_room": ada.room}
    for method in ("MoveParticipant", "ForwardParticipant"):
        assert await twirp(server, method, "lobby", there) == (412, "failed_precondition")
    for method, body in (("SendData", {"data": "eA=="}), ("PerformRpc", {"destination_identity": "x", "method": "m"})):
        assert await twirp(server, method, ada.room, body) == (412, "failed_precondition")
    assert await twirp(server, "SendData", "lobby", {"data": "eA=="}) == (200, "")
    await ada.good("PATCH", "", {"policy": {"kind": "open"}})
    assert await twirp(server, "MoveParticipant", "lobby", there) == (200, "")

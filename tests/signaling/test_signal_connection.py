"""The LiveKit protocol over a real WebSocket: joining, messages both ways, resuming, ending."""

from __future__ import annotations

import asyncio

from livekit.protocol import models, rtc

from tests.signaling.fake_sfu import ANSWER_SDP, OFFER_SDP
from tests.signaling.harness import Server, running


async def test_join_response_comes_first_and_holds_what_clients_need(server: Server) -> None:
    await server.join("bob")
    client = await server.connect(server.token("alice", name="Alice", metadata="m", attributes={"a": "b"}))
    join = (await client.expect("join")).join
    assert join.room.name == "lobby"
    assert join.room.sid.startswith("RM_")
    assert join.participant.identity == "alice"
    assert join.participant.sid.startswith("PA_")
    assert (join.participant.name, join.participant.metadata) == ("Alice", "m")
    assert dict(join.participant.attributes) == {"a": "b"}
    assert join.participant.permission.can_publish
    assert [other.identity for other in join.other_participants] == ["bob"]
    assert join.subscriber_primary
    assert (join.ping_interval, join.ping_timeout) == (5, 15)
    assert join.server_info.node_id == "ND_test"
    assert {codec.mime for codec in join.enabled_publish_codecs} >= {"video/VP8", "audio/opus"}
    offer = (await client.expect("offer")).offer
    assert (offer.type, offer.sdp, offer.id, dict(offer.mid_to_track_id)) == ("offer", OFFER_SDP, 1, {"1": "TR_other"})


async def test_offer_gets_an_answer_with_the_same_id(server: Server) -> None:
    client = await server.join()
    await client.send(offer=rtc.SessionDescription(type="offer", sdp="v=0\r\n", id=7))
    answer = (await client.expect("answer")).answer
    assert (answer.type, answer.sdp, answer.id) == ("answer", ANSWER_SDP, 7)


async def test_text_frames_are_answered_in_text(server: Server) -> None:
    client = await server.join(text=True)
    await client.send(ping=1)
    message = await client.ws.receive_str(timeout=5)
    assert '"pong"' in message
    client.text = False
    await client.send(ping=1)
    assert (await client.expect("pong")).pong > 0


async def test_the_others_hear_of_a_track(server: Server) -> None:
    alice, bob = await server.join("alice"), await server.join("bob")
    await alice.wait_for("update")
    await bob.send(
        add_track=rtc.AddTrackRequest(cid="c1", type=models.TrackType.AUDIO, source=models.TrackSource.MICROPHONE)
    )
    published = (await bob.expect("track_published")).track_published
    assert published.cid == "c1"
    assert published.track.sid.startswith("TR_")
    update = (await alice.wait_for("update")).update
    assert [track.sid for track in update.participants[0].tracks] == [published.track.sid]


async def test_shutdown_says_goodbye() -> None:
    async with running() as server:
        client = await server.join()
        stopping = asyncio.create_task(server.listener.stop())
        leave = (await client.expect("leave")).leave
        assert leave.reason == models.DisconnectReason.SERVER_SHUTDOWN
        assert leave.action == rtc.LeaveRequest.DISCONNECT
        assert await client.closed() == 1000
        await stopping

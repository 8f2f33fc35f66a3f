"""The LiveKit protocol over a real WebSocket: joining, messages both ways, resuming, ending."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from livekit.protocol import models, rtc

from sfu.api import (
    Kind,
    LeaveReason,
    ParticipantsUpdated,
    Permissions,
    PublicationInfo,
    RoomUpdated,
    Speaker,
    SpeakersChanged,
    Target,
    TrackMuted,
    TrackSettings,
    TrackSource,
    TrackSubscribed,
    TrackUnpublished,
)
from sfu.ids import ParticipantId, TrackId
from tests.signaling.fake_sfu import ANSWER_SDP, OFFER_SDP, FakeSfu
from tests.signaling.harness import Client, Server, eventually, running

Reason = models.DisconnectReason
Response = rtc.RequestResponse


async def published(client: Client, cid: str = "c1") -> str:
    """Announce an audio track; its id."""
    await client.send(
        add_track=rtc.AddTrackRequest(cid=cid, type=models.TrackType.AUDIO, source=models.TrackSource.MICROPHONE)
    )
    return (await client.wait_for("track_published")).track_published.track.sid


# --- joining --------------------------------------------------------------------------------------------


async def test_join_response_comes_first_and_holds_what_clients_need(server: Server) -> None:
    _bob = await server.join("bob")
    client = await server.connect(server.token("alice", name="Alice", metadata="m", attributes={"a": "b"}, kind=4))
    join = (await client.expect("join")).join
    assert join.room.name == "lobby"
    assert join.room.sid.startswith("RM_")
    assert join.participant.identity == "alice"
    assert join.participant.sid.startswith("PA_")
    assert (join.participant.name, join.participant.metadata, join.participant.kind) == ("Alice", "m", 4)
    assert dict(join.participant.attributes) == {"a": "b"}
    assert join.participant.permission.can_publish
    assert [other.identity for other in join.other_participants] == ["bob"]
    assert join.subscriber_primary
    assert not join.fast_publish
    assert not join.ice_servers
    assert (join.ping_interval, join.ping_timeout) == (5, 15)
    assert join.server_info.node_id == "ND_test"
    assert join.server_info.version == join.server_version
    assert {codec.mime for codec in join.enabled_publish_codecs} >= {"video/VP8", "audio/opus"}
    offer = (await client.expect("offer")).offer
    assert (offer.type, offer.sdp, offer.id, dict(offer.mid_to_track_id)) == ("offer", OFFER_SDP, 1, {"1": "TR_other"})


async def test_the_sfu_hears_of_grants_and_wishes(server: Server) -> None:
    grants = {
        "can_publish": False, "can_subscribe": False, "can_publish_data": False, "hidden": True,
        "can_publish_sources": frozenset({TrackSource.CAMERA}), "can_update_own_metadata": True,
    }  # fmt: skip
    client = await server.join(
        grants=grants, auto_subscribe="0", adaptive_stream="1", browser="Firefox", os="Linux", protocol="16"
    )
    request = server.sfu.session_of("lobby", "alice").request
    assert request.permissions == Permissions(False, False, False, frozenset({TrackSource.CAMERA}), True)
    assert (request.auto_subscribe, request.adaptive_stream) == (False, True)
    assert (request.client.sdk, request.client.protocol, request.client.is_firefox) == ("js", 16, True)
    assert not client.join_response.participant.permission.hidden


@pytest.mark.parametrize("header", [True, False])
async def test_the_token_may_come_in_query_or_header(server: Server, header: bool) -> None:
    client = await server.connect(header=header)
    await client.expect("join")


async def test_a_full_room_says_so_in_a_leave() -> None:
    async with running(FakeSfu(max_participants=1)) as server:
        _alice = await server.join("alice")
        client = await server.connect(server.token("bob"))
        leave = (await client.expect("leave")).leave
        assert (leave.reason, leave.action) == (Reason.JOIN_FAILURE, rtc.LeaveRequest.DISCONNECT)
        assert await client.closed() == 1000
        assert server.value("ting_signal_joins_total", result="refused") == 1


async def test_a_token_is_for_one_room(server: Server) -> None:
    client = await server.connect(server.token("alice", "other"))
    assert (await client.expect("join")).join.room.name == "other"
    assert server.sfu.sessions_in("lobby") == []


# --- requests -------------------------------------------------------------------------------------------


async def test_offer_gets_an_answer_with_the_same_id(server: Server) -> None:
    client = await server.join()
    await client.send(offer=rtc.SessionDescription(type="offer", sdp="v=0\r\n", id=7))
    answer = (await client.expect("answer")).answer
    assert (answer.type, answer.sdp, answer.id) == ("answer", ANSWER_SDP, 7)


async def test_an_answer_reaches_the_session_with_its_id(server: Server) -> None:
    client = await server.join()
    await client.send(answer=rtc.SessionDescription(type="answer", sdp="v=0\r\nx", id=3))
    await client.ping()
    assert ("handle_answer", "v=0\r\nx", 3) in server.sfu.session_of("lobby", "alice").calls


async def test_candidates_of_both_transports(server: Server) -> None:
    client = await server.join()
    init = '{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host","sdpMid":"0","usernameFragment":null}'
    await client.send(trickle=rtc.TrickleRequest(candidateInit=init, target=rtc.SignalTarget.SUBSCRIBER))
    await client.send(trickle=rtc.TrickleRequest(candidateInit=init, target=rtc.SignalTarget.PUBLISHER))
    await client.send(trickle=rtc.TrickleRequest(candidateInit='{"candidate":""}', target=rtc.SignalTarget.PUBLISHER))
    await client.send(trickle=rtc.TrickleRequest(final=True))
    await client.ping()
    calls = [call for call in server.sfu.session_of("lobby", "alice").calls if call[0] == "handle_candidate"]
    assert [call[1] for call in calls] == [Target.SUBSCRIBER, Target.PUBLISHER]
    assert calls[0][2].endswith("typ host")
    assert server.value("ting_signal_violations_total", reason="invalid_message") == 0


async def test_the_others_hear_of_a_track(server: Server) -> None:
    alice, bob = await server.join("alice"), await server.join("bob")
    await alice.wait_for("update")
    await bob.send(
        add_track=rtc.AddTrackRequest(
            cid="c1", type=models.TrackType.VIDEO, source=models.TrackSource.CAMERA, name="cam", width=1280, height=720,
            simulcast_codecs=[rtc.SimulcastCodec(codec="vp8", cid="c1")], encryption=models.Encryption.GCM,
            layers=[models.VideoLayer(quality=quality, width=320, height=180, bitrate=1000) for quality in (0, 1, 2)],
        )
    )  # fmt: skip
    response = (await bob.expect("track_published")).track_published
    assert response.cid == "c1"
    assert response.track.sid.startswith("TR_")
    assert (response.track.mime_type, response.track.simulcast) == ("video/VP8", True)
    assert [layer.quality for layer in response.track.layers] == [0, 1, 2]
    update = (await alice.wait_for("update")).update
    assert [track.sid for track in update.participants[0].tracks] == [response.track.sid]
    request = server.sfu.session_of("lobby", "bob").calls[-1][1]
    assert (request.encryption, request.width, request.layers[2].bitrate_bps) == (1, 1280, 1000)


async def test_mute_reaches_session_and_others(server: Server) -> None:
    alice, bob = await server.join("alice"), await server.join("bob")
    track_id = await published(bob)
    await bob.send(mute=rtc.MuteTrackRequest(sid=track_id, muted=True))
    async with asyncio.timeout(5):
        while True:
            tracks = (await alice.wait_for("update")).update.participants[0].tracks
            if tracks and tracks[0].muted:
                break


async def test_subscription_names_each_track_once(server: Server) -> None:
    alice, bob = await server.join("alice"), await server.join("bob")
    one, two = await published(bob, "c1"), await published(bob, "c2")
    await alice.send(
        subscription=rtc.UpdateSubscription(
            track_sids=[one],
            subscribe=True,
            participant_tracks=[models.ParticipantTracks(participant_sid=bob.sid, track_sids=[one, two])],
        )
    )
    await alice.ping()
    calls = [call for call in server.sfu.session_of("lobby", "alice").calls if call[0] == "update_subscription"]
    assert calls == [("update_subscription", (one,), True), ("update_subscription", (two,), True)]


async def test_a_subscription_to_nothing_is_answered(server: Server) -> None:
    client = await server.join()
    await client.send(subscription=rtc.UpdateSubscription(track_sids=["TR_none"], subscribe=True))
    response = (await client.expect("subscription_response")).subscription_response
    assert (response.track_sid, response.err) == ("TR_none", models.SubscriptionError.SE_TRACK_NOTFOUND)


@pytest.mark.parametrize(
    ("message", "settings"),
    [
        ({"quality": 0}, TrackSettings(quality=0)),
        ({"quality": 2, "fps": 15}, TrackSettings(quality=2, fps=15)),
        ({"quality": 2, "width": 320, "height": 180}, TrackSettings(quality=None, width=320, height=180)),
        ({"disabled": True}, TrackSettings(disabled=True, quality=0)),
        ({"quality": 3}, TrackSettings(disabled=True, quality=2)),
    ],
)
async def test_track_settings(server: Server, message: dict[str, Any], settings: TrackSettings) -> None:
    alice, bob = await server.join("alice"), await server.join("bob")
    track_id = await published(bob)
    await alice.send(track_setting=rtc.UpdateTrackSettings(track_sids=[track_id], **message))
    await alice.ping()
    assert ("update_track_settings", (track_id,), settings) in server.sfu.session_of("lobby", "alice").calls


async def test_both_pings(server: Server) -> None:
    client = await server.join()
    await client.send(ping=123)
    assert (await client.expect("pong")).pong > 1_700_000_000_000
    await client.send(ping_req=rtc.Ping(timestamp=456, rtt=3))
    pong = (await client.expect("pong_resp")).pong_resp
    assert pong.last_ping_timestamp == 456
    assert pong.timestamp > 1_700_000_000_000


async def test_text_frames_are_answered_in_text(server: Server) -> None:
    client = await server.join(text=True)
    await client.send(ping=1)
    assert '"pong"' in await client.ws.receive_str(timeout=5)
    client.text = False
    await client.send(ping=1)
    assert (await client.expect("pong")).pong > 0


async def test_refusals_say_which_request(server: Server) -> None:
    client = await server.join(grants={"can_publish": False})
    await client.send(add_track=rtc.AddTrackRequest(cid="c9", type=models.TrackType.AUDIO))
    response = (await client.expect("request_response")).request_response
    assert (response.reason, response.add_track.cid) == (Response.NOT_ALLOWED, "c9")
    await client.send(mute=rtc.MuteTrackRequest(sid="TR_none", muted=True))
    response = (await client.expect("request_response")).request_response
    assert (response.reason, response.mute.sid) == (Response.NOT_FOUND, "TR_none")
    await client.send(update_metadata=rtc.UpdateParticipantMetadata(name="x", request_id=17))
    response = (await client.expect("request_response")).request_response
    assert (response.reason, response.request_id) == (Response.NOT_ALLOWED, 17)
    await client.send(unpublish_data_track_request=rtc.UnpublishDataTrackRequest(pub_handle=5))
    response = (await client.expect("request_response")).request_response
    assert (response.reason, response.unpublish_data_track.pub_handle) == (Response.NOT_FOUND, 5)


# --- events ---------------------------------------------------------------------------------------------


async def test_events_become_messages_in_order(server: Server) -> None:
    client = await server.join()
    session = server.sfu.session_of("lobby", "alice")
    publication = PublicationInfo(TrackId("TR_v"), Kind.VIDEO, TrackSource.CAMERA, audio_features=(99,), encryption=9)
    session.tracks[publication.track_id] = publication
    for event in (
        ParticipantsUpdated([session.info]),
        SpeakersChanged([Speaker(ParticipantId("PA_x"), 0.5, True)]),
        TrackMuted(TrackId("TR_v"), True),
        TrackUnpublished(TrackId("TR_v")),
        TrackSubscribed(TrackId("TR_v")),
        RoomUpdated(session.room),
    ):
        session.emit(event)
    participant = (await client.expect("update")).update.participants[0]
    assert (participant.identity, participant.tracks[0].sid, participant.tracks[0].encryption) == ("alice", "TR_v", 9)
    speaker = (await client.expect("speakers_changed")).speakers_changed.speakers[0]
    assert (speaker.sid, speaker.level, speaker.active) == ("PA_x", 0.5, True)
    mute = (await client.expect("mute")).mute
    assert (mute.sid, mute.muted) == ("TR_v", True)
    assert (await client.expect("track_unpublished")).track_unpublished.track_sid == "TR_v"
    assert (await client.expect("track_subscribed")).track_subscribed.track_sid == "TR_v"
    assert (await client.expect("room_update")).room_update.room.name == "lobby"


# --- endings --------------------------------------------------------------------------------------------


async def test_leave_ends_the_session_and_the_socket(server: Server) -> None:
    client = await server.join()
    session = server.sfu.session_of("lobby", "alice")
    await client.send(leave=rtc.LeaveRequest(reason=Reason.CLIENT_INITIATED))
    assert await client.closed() == 1000
    assert session.ended is LeaveReason.CLIENT_INITIATED
    assert "signal_lost" not in session.names()
    await eventually(lambda: not len(server.services.connections))
    assert server.services.connections.serving == 0


@pytest.mark.parametrize("abrupt", [True, False])
async def test_a_lost_socket_leaves_the_session_waiting(server: Server, abrupt: bool) -> None:
    client = await server.join()
    session = server.sfu.session_of("lobby", "alice")
    if abrupt:
        transport = client.ws._conn.transport  # type: ignore[union-attr]
        transport.abort()
    else:
        await client.ws.close()
    await eventually(lambda: "signal_lost" in session.names())
    assert session.ended is None
    await eventually(lambda: not len(server.services.connections))
    assert server.value("ting_signal_connections") == 0


@pytest.mark.parametrize(
    ("reason", "wire", "action"),
    [
        (LeaveReason.PARTICIPANT_REMOVED, Reason.PARTICIPANT_REMOVED, rtc.LeaveRequest.DISCONNECT),
        (LeaveReason.ROOM_DELETED, Reason.ROOM_DELETED, rtc.LeaveRequest.DISCONNECT),
        (LeaveReason.SERVER_SHUTDOWN, Reason.SERVER_SHUTDOWN, rtc.LeaveRequest.DISCONNECT),
        (LeaveReason.NODE_SHUTDOWN, Reason.MIGRATION, rtc.LeaveRequest.RECONNECT),
        (LeaveReason.CONNECTION_TIMEOUT, Reason.CONNECTION_TIMEOUT, rtc.LeaveRequest.DISCONNECT),
        (LeaveReason.LIMIT_EXCEEDED, Reason.UNKNOWN_REASON, rtc.LeaveRequest.DISCONNECT),
        (LeaveReason.STATE_MISMATCH, Reason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT),
        (LeaveReason.MEDIA_FAILURE, Reason.MEDIA_FAILURE, rtc.LeaveRequest.RECONNECT),
    ],
)
async def test_an_ended_session_says_why(server: Server, reason: LeaveReason, wire: int, action: int) -> None:
    client = await server.join()
    server.sfu.session_of("lobby", "alice").end(reason)
    leave = (await client.expect("leave")).leave
    assert (leave.reason, leave.action, leave.can_reconnect) == (wire, action, False)
    assert await client.closed() == 1000


async def test_old_clients_are_told_with_can_reconnect(server: Server) -> None:
    client = await server.join(protocol="12")
    server.sfu.session_of("lobby", "alice").end(LeaveReason.MEDIA_FAILURE)
    assert (await client.expect("leave")).leave.can_reconnect


async def test_the_newer_of_two_with_one_identity_stays(server: Server) -> None:
    older = await server.join()
    newer = await server.join()
    leave = (await older.wait_for("leave")).leave
    assert (leave.reason, leave.action) == (Reason.DUPLICATE_IDENTITY, rtc.LeaveRequest.DISCONNECT)
    assert await older.closed() == 1000
    await newer.ping()
    assert [session.info.participant_id for session in server.sfu.sessions_in("lobby")] == [newer.sid]


async def test_kick_closes_and_refuses_the_token(server: Server) -> None:
    token = server.token("alice")
    client = await server.connect(token)
    await client.expect("join")
    server.rooms.kick("lobby", "alice")
    assert (await client.wait_for("leave")).leave.reason == Reason.PARTICIPANT_REMOVED
    assert await client.closed() == 1000
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await server.connect(token)
    assert caught.value.status == 401
    assert server.value("ting_tokens_refused_total", reason="revoked") == 1


async def test_moderation_mutes_and_ends(server: Server) -> None:
    client = await server.join()
    track_id = await published(client)
    server.rooms.mute("lobby", "alice", track_id, True)
    assert (await client.wait_for("mute")).mute.sid == track_id
    server.rooms.end_room("lobby")
    assert (await client.wait_for("leave")).leave.reason == Reason.ROOM_DELETED


async def test_simulated_full_reconnect(server: Server) -> None:
    client = await server.join()
    await client.send(simulate=rtc.SimulateScenario(leave_request_full_reconnect=True))
    assert (await client.expect("leave")).leave.action == rtc.LeaveRequest.RECONNECT
    assert await client.closed() == 1000


async def test_shutdown_says_goodbye() -> None:
    async with running() as server:
        client = await server.join()
        stopping = asyncio.create_task(server.listener.stop())
        leave = (await client.expect("leave")).leave
        assert (leave.reason, leave.action) == (Reason.SERVER_SHUTDOWN, rtc.LeaveRequest.DISCONNECT)
        assert await client.closed() == 1000
        await stopping


async def test_shutdown_does_not_wait_for_a_client_that_is_stuck() -> None:
    async with running(shutdown_timeout_s=0.2) as server:
        client = await server.join()
        client.ws._conn.transport.pause_reading()  # type: ignore[union-attr]
        async with asyncio.timeout(3):
            await server.listener.stop()


# --- resuming -------------------------------------------------------------------------------------------


async def test_resume_after_a_lost_socket(server: Server) -> None:
    client = await server.join()
    session = server.sfu.session_of("lobby", "alice")
    await client.ws.close()
    await eventually(lambda: "signal_lost" in session.names())
    again = await server.connect(reconnect="1", sid=client.sid)
    reconnect = (await again.expect("reconnect")).reconnect
    assert reconnect.server_info.node_id == "ND_test"
    update = (await again.expect("update")).update
    assert [info.identity for info in update.participants] == ["alice"]
    assert session.names()[-1] == "resume"
    await again.ping()


async def test_resume_takes_over_from_a_socket_that_is_still_there(server: Server) -> None:
    client = await server.join()
    session = server.sfu.session_of("lobby", "alice")
    again = await server.connect(reconnect="1", sid=client.sid)
    await again.expect("reconnect")
    assert await client.closed() == 1000
    await again.ping()
    assert "signal_lost" not in session.names()
    await again.send(leave=rtc.LeaveRequest())
    assert await again.closed() == 1000
    assert session.ended is LeaveReason.CLIENT_INITIATED


@pytest.mark.parametrize("sid", ["PA_unknown", "", "PA_" + "x" * 5000])
async def test_an_unknown_session_means_join_anew(server: Server, sid: str) -> None:
    _client = await server.join("bob")
    again = await server.connect(reconnect="1", sid=sid)
    if sid:
        leave = (await again.expect("leave")).leave
        assert (leave.reason, leave.action) == (Reason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)
        assert await again.closed() == 1000
    else:
        await again.expect("join")  # without a session id it is a join


async def test_sync_state_repeats_the_subscriptions(server: Server) -> None:
    alice, bob = await server.join("alice"), await server.join("bob")
    track_id = await published(bob)
    await alice.ws.close()
    again = await server.connect(server.token("alice"), reconnect="1", sid=alice.sid)
    await again.expect("reconnect")
    await again.send(
        sync_state=rtc.SyncState(
            subscription=rtc.UpdateSubscription(track_sids=[track_id], subscribe=False),
            answer=rtc.SessionDescription(type="answer", sdp="v=0\r\n"),
        )
    )
    await again.ping()
    session = server.sfu.session_of("lobby", "alice")
    assert ("update_subscription", (track_id,), False) in session.calls
    assert "handle_answer" not in session.names()


# --- silence --------------------------------------------------------------------------------------------


async def test_a_silent_client_is_lost() -> None:
    async with running(ping_interval_s=1, ping_timeout_s=2, websocket_heartbeat_s=60) as server:
        client = await server.join()
        session = server.sfu.session_of("lobby", "alice")
        assert await client.closed() == 1001
        assert "signal_lost" in session.names()
        assert server.value("ting_signal_closures_total", reason="ping_timeout") == 1


async def test_a_client_that_answers_no_websocket_ping_is_lost() -> None:
    async with running(websocket_heartbeat_s=0.2) as server:
        client = await server.join()
        session = server.sfu.session_of("lobby", "alice")
        client.ws._conn.transport.pause_reading()  # type: ignore[union-attr]
        await eventually(lambda: "signal_lost" in session.names())

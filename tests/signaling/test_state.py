"""What a participant may change, what the server tells it of its rights, and the faults that it may ask for."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
import pytest
from livekit.protocol import models, rtc

from sfu.api import ParticipantChanges, Permissions, RoomOptions
from sfu.ids import Identity, ParticipantId, RoomName
from signaling.grants import Grants
from signaling.livekit.simulate import (
    MAX_PREFERENCES,
    MAX_RESUME_FAULTS,
    PREFERENCE_S,
    RESUME_FAULT_S,
    PreferredProtocols,
    ResumeFaults,
)
from signaling.tokens import TokenService
from tests.signaling.harness import KEY, SECRET, Client, Server, eventually, running
from tests.signaling.test_twirp import call

Response = rtc.RequestResponse
OWN = {"can_update_own_metadata": True}


async def update(client: Client, **fields: Any) -> rtc.RequestResponse:
    await client.send(update_metadata=rtc.UpdateParticipantMetadata(request_id=7, **fields))
    response = (await client.wait_for("request_response")).request_response
    assert response.request_id == 7
    return response


# --- update_metadata ------------------------------------------------------------------------------------


async def test_an_update_is_told_then_confirmed_and_puts_a_new_token_out(server: Server) -> None:
    client = await server.join(grants=OWN)
    await client.send(update_metadata=rtc.UpdateParticipantMetadata(request_id=3, name="Ada", attributes={"a": "1"}))
    (told,) = (await client.expect("update")).update.participants
    assert (told.name, dict(told.attributes)) == ("Ada", {"a": "1"})
    grants = server.tokens.verify((await client.expect("refresh_token")).refresh_token)
    assert (grants.identity, grants.name, grants.attributes, grants.room) == ("alice", "Ada", {"a": "1"}, "lobby")
    assert grants.can_update_own_metadata
    response = (await client.expect("request_response")).request_response
    assert (response.reason, response.request_id, response.update_metadata.name) == (Response.OK, 3, "Ada")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": "n" * 257}, Response.LIMIT_EXCEEDED),
        ({"name": "a\u202eb"}, Response.INVALID_NAME),
        ({"name": "   "}, Response.INVALID_NAME),
        ({"metadata": "m" * 8193}, Response.LIMIT_EXCEEDED),
        ({"metadata": "é" * 4097}, Response.LIMIT_EXCEEDED),
        ({"attributes": {"k": "v" * 8192}}, Response.LIMIT_EXCEEDED),
        ({"attributes": {f"k{number}": "v" for number in range(65)}}, Response.LIMIT_EXCEEDED),
    ],
)
async def test_limits_of_an_update(server: Server, fields: Any, reason: int) -> None:
    client = await server.join(grants=OWN)
    assert (await update(client, **fields)).reason == reason
    info = server.sfu.session_of("lobby", "alice").info
    assert (info.name, info.metadata, info.attributes) == ("", "", {})


async def test_attributes_are_limited_together_and_deletion_makes_room(server: Server) -> None:
    client = await server.join(grants=OWN)
    assert (await update(client, attributes={"a": "v" * 8000})).reason == Response.OK
    assert (await update(client, attributes={"b": "v" * 1000})).reason == Response.LIMIT_EXCEEDED
    assert (await update(client, attributes={"a": "", "b": "v" * 1000})).reason == Response.OK
    assert list(server.sfu.session_of("lobby", "alice").info.attributes) == ["b"]


async def test_features_and_size_of_the_own_tracks(server: Server) -> None:
    client = await server.join()
    await client.send(update_audio_track=rtc.UpdateLocalAudioTrack(track_sid="TR_a", features=[1, 1, 3]))
    await client.send(update_video_track=rtc.UpdateLocalVideoTrack(track_sid="TR_v", width=640, height=360))
    await client.ping()
    calls = server.sfu.session_of("lobby", "alice").calls
    assert ("update_audio_features", "TR_a", (1, 3)) in calls
    assert ("update_video_size", "TR_v", 640, 360) in calls
    await client.send(update_audio_track=rtc.UpdateLocalAudioTrack(track_sid="TR_a", features=[1] * 33))
    assert (await client.wait_for("request_response")).request_response.reason == Response.LIMIT_EXCEEDED
    await client.send(update_video_track=rtc.UpdateLocalVideoTrack(track_sid="TR_v", width=70_000))
    response = (await client.wait_for("request_response")).request_response
    assert (response.reason, response.update_video_track.width) == (Response.LIMIT_EXCEEDED, 70_000)


# --- tokens ---------------------------------------------------------------------------------------------


async def test_changed_rights_come_with_a_token_that_has_them(server: Server) -> None:
    client = await server.join()
    server.sfu.session_of("lobby", "alice").set_permissions(Permissions(can_publish=False, can_subscribe_metrics=True))
    (told,) = (await client.expect("update")).update.participants
    assert not told.permission.can_publish
    grants = server.tokens.verify((await client.expect("refresh_token")).refresh_token)
    assert (grants.can_publish, grants.can_subscribe, grants.can_subscribe_metrics) == (False, True, True)


async def test_a_token_that_is_about_to_end_is_replaced_again_and_again() -> None:
    async with running(token_refresh_s=2) as server:
        client = await server.connect(server.tokens.issue(Grants(identity="a", room="lobby", room_join=True), 1))
        await client.expect("join")
        for _ in range(2):
            token = (await client.wait_for("refresh_token")).refresh_token
            grants = server.tokens.verify(token)
            assert grants.identity == "a"
            assert 0 < grants.expires_at - time.time() <= 2


async def test_a_token_that_is_good_for_long_is_left_alone(server: Server) -> None:
    client = await server.connect(server.tokens.issue(Grants(identity="a", room="lobby", room_join=True), 3600))
    await client.expect("join")
    await client.expect("offer")
    session = server.sfu.session_of("lobby", "a")
    session.update(ParticipantChanges(name="A"))
    await client.expect("update")
    token = (await client.expect("refresh_token")).refresh_token
    assert server.tokens.verify(token).expires_at - time.time() > 3500, "never shorter than the client's own"
    await client.ping()


async def test_a_token_too_long_for_anybody_goes_without_metadata() -> None:
    async with running(max_token_bytes=3000) as server:
        client = await server.join(grants=OWN)
        await client.send(update_metadata=rtc.UpdateParticipantMetadata(metadata="m" * 4000))
        await client.expect("update")
        assert server.tokens.verify((await client.expect("refresh_token")).refresh_token).metadata == ""


async def test_a_resumed_session_hears_of_its_rights_when_the_token_lags_behind(server: Server) -> None:
    first = await server.join()
    token = server.token()
    server.sfu.session_of("lobby", "alice").set_permissions(Permissions(can_publish=False))
    await first.wait_for("refresh_token")
    second = await server.connect(token, reconnect="1", sid=first.sid)
    await second.expect("reconnect")
    assert not server.tokens.verify((await second.wait_for("refresh_token")).refresh_token).can_publish


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"emptyTimeout": 40, "departureTimeout": 50, "maxParticipants": 3, "metadata": "m"}, ("m", 40, 50, 3)),
        ({"empty_timeout": 40, "max_participants": 3, "agents": [{"agentName": "x"}]}, ("", 40, 0, 3)),
        ({}, ("", 0, 0, 0)),
        (None, ("", 0, 0, 0)),
    ],
)
async def test_a_room_configuration_in_the_token(server: Server, config: Any, expected: Any) -> None:
    await server.connect(_token_with(server, config))
    await eventually(lambda: server.sfu.sessions_in("lobby"))
    options = server.sfu.session_of("lobby", "alice").request.room_options
    assert options == RoomOptions(*expected)
    grants = server.tokens.verify(server.token(room_options=options))
    assert grants.room_options == options, "and back again"


@pytest.mark.parametrize(
    "config", [7, [1], "x", {"emptyTimeout": -1}, {"maxParticipants": 2**32}, {"maxParticipants": 1.5},
               {"maxParticipants": True}, {"metadata": 7}, {"metadata": "m" * 9000}],
)  # fmt: skip
async def test_a_room_configuration_that_is_none(server: Server, config: Any) -> None:
    async with server.http.get(f"{server.url}/rtc/validate?access_token={_token_with(server, config)}") as response:
        assert response.status == 401


def _token_with(server: Server, config: Any, **more: Any) -> str:

    now = int(time.time())
    claims = {"iss": KEY, "sub": "alice", "exp": now + 60, "video": {"room": "lobby", "roomJoin": True}}
    return jwt.encode({**claims, "roomConfig": config, **more}, SECRET, "HS256")


PRESETS = json.dumps({"small": {"max_participants": 2, "departure_timeout_s": 50, "metadata": "m"}})


@pytest.mark.parametrize(
    ("config", "expected"), [({}, ("m", 0, 50, 2)), ({"maxParticipants": 9, "metadata": "own"}, ("own", 0, 50, 9))]
)
async def test_a_room_preset_fills_what_the_token_leaves_open(config: Any, expected: Any) -> None:
    async with running(room_presets=PRESETS) as server:
        await server.connect(_token_with(server, config, roomPreset="small"))
        await eventually(lambda: server.sfu.sessions_in("lobby"))
        assert server.sfu.session_of("lobby", "alice").request.room_options == RoomOptions(*expected)
        assert server.tokens.verify(server.token(room_preset="small")).room_preset == "small", "and back again"


async def test_an_unknown_room_preset_makes_no_room() -> None:
    async with running(room_presets=PRESETS) as server:
        for preset, status in (("large", 400), ("Small", 400), (7, 401)):
            token = _token_with(server, {}, roomPreset=preset)
            for path in ("/rtc/validate", "/rtc/v1/validate"):
                async with server.http.get(f"{server.url}{path}?access_token={token}") as response:
                    assert response.status == status
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
            async with server.http.post(f"{server.url}/whip/lobby", data="v=0", headers=headers) as response:
                assert response.status == status
        await server.join()
        async with server.http.get(
            f"{server.url}/rtc/validate?access_token={server.token(room_preset='large')}"
        ) as late:
            assert late.status == 200, "the room is there: nothing is to be configured"
        await server.join("bob", grants={"room_preset": "large"})
        token = server.tokens.issue(Grants(room_create=True), 60)
        status, answer, _ = await call(server, "CreateRoom", {"name": "attic", "roomPreset": "large"}, token)
        assert (status, answer["code"]) == (400, "invalid_argument")
        assert server.sfu.find_room(RoomName("attic")) is None
        body = {"name": "attic", "room_preset": "small", "max_participants": 3}
        _, answer, _ = await call(server, "CreateRoom", body, token)
        assert (answer["max_participants"], answer["departure_timeout"], answer["metadata"]) == (3, 50, "m")


# --- moved to another room --------------------------------------------------------------------------------


@pytest.mark.parametrize("knows_its_new_id", [True, False])
async def test_who_is_moved_comes_back_to_the_new_room(server: Server, knows_its_new_id: bool) -> None:
    client = await server.join(grants=OWN)
    token = server.tokens.issue(Grants(room="lobby", room_admin=True, destination_room="attic"), 60)
    body = {"room": "lobby", "identity": "alice", "destinationRoom": "attic"}
    assert (await call(server, "MoveParticipant", body, token))[0] == 200
    moved = (await client.expect("room_moved")).room_moved
    assert (moved.room.name, moved.participant.identity) == ("attic", "alice")
    assert moved.participant.sid != client.sid
    grants = server.tokens.verify(moved.token)
    assert (grants.room, grants.identity, grants.can_update_own_metadata) == ("attic", "alice", True)
    await client.ping()
    await client.ws.close()
    sid = moved.participant.sid if knows_its_new_id else client.sid
    again = await server.connect(moved.token, reconnect="1", sid=sid)
    await again.expect("reconnect")
    old = await server.connect(reconnect="1", sid=client.sid)
    assert (await old.expect("leave")).leave.action == rtc.LeaveRequest.RECONNECT


@pytest.mark.parametrize("method", ["MoveParticipant", "ForwardParticipant"])
async def test_only_to_the_room_that_the_token_names(server: Server, method: str) -> None:
    await server.join()
    body = {"room": "lobby", "identity": "alice", "destinationRoom": "attic"}

    def token(**grants: Any) -> str:
        return server.tokens.issue(Grants(**{"room": "lobby", "room_admin": True, **grants}), 60)

    for wrong in (token(), token(destination_room="cellar"), token(destination_room="attic", room_admin=False),
                  token(destination_room="attic", room="attic")):  # fmt: skip
        assert (await call(server, method, body, wrong))[0] == 401
    same = {**body, "destinationRoom": "lobby"}
    assert (await call(server, method, same, token(destination_room="lobby")))[0] == 400
    unclean = {**body, "destinationRoom": "a\nb"}
    assert (await call(server, method, unclean, token(destination_room="a\nb")))[0] == 400
    assert (await call(server, method, body, token(destination_room="attic")))[0] == 200


async def test_without_auto_create_the_destination_must_be_there() -> None:
    async with running(auto_create=False) as server:
        server.sfu.create_room(RoomName("lobby"), RoomOptions())
        await server.join()
        token = server.tokens.issue(Grants(room="lobby", room_admin=True, destination_room="attic"), 60)
        body = {"room": "lobby", "identity": "alice", "destinationRoom": "attic"}
        for method in ("MoveParticipant", "ForwardParticipant"):
            status, answer, _ = await call(server, method, body, token)
            assert (status, answer["msg"]) == (404, "requested room does not exist")


# --- rooms that must be created first ---------------------------------------------------------------------


async def test_without_auto_create_a_room_must_be_there() -> None:
    async with running(auto_create=False) as server:
        for path in ("/rtc/validate", "/rtc/v1/validate"):
            async with server.http.get(f"{server.url}{path}?access_token={server.token()}") as response:
                assert (response.status, await response.text()) == (404, "requested room does not exist")
        async with server.http.post(f"{server.url}/api/v1/rooms/lobby/tokens", json={"name": "Ada"}) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (404, "room_not_found")
        server.sfu.create_room(RoomName("lobby"), RoomOptions())
        await server.join()


# --- simulated faults -------------------------------------------------------------------------------------


async def test_speaking(server: Server) -> None:
    client, other = await server.join("alice"), await server.join("bob")
    await client.send(simulate=rtc.SimulateScenario(speaker_update=1))
    for active in (True, False):
        (speaker,) = (await client.wait_for("speakers_changed")).speakers_changed.speakers
        assert (speaker.sid, speaker.active) == (client.sid, active)
    await other.ping()  # which fails on a message that is not for it


@pytest.mark.parametrize("scenario", ["node_failure", "migration"])
async def test_a_session_that_vanishes_is_joined_anew(server: Server, scenario: str) -> None:
    client = await server.join()
    await client.send(simulate=rtc.SimulateScenario(**{scenario: True}))
    await client.closed()
    assert server.sfu.sessions_in("lobby") == []
    again = await server.connect(reconnect="1", sid=client.sid)
    leave = (await again.expect("leave")).leave
    assert (leave.action, leave.reason) == (rtc.LeaveRequest.RECONNECT, models.DisconnectReason.STATE_MISMATCH)


async def test_server_leave(server: Server) -> None:
    client = await server.join()
    await client.send(simulate=rtc.SimulateScenario(server_leave=True))
    leave = (await client.expect("leave")).leave
    assert (leave.action, leave.reason) == (rtc.LeaveRequest.DISCONNECT, models.DisconnectReason.SERVER_SHUTDOWN)


@pytest.mark.parametrize("silent", [False, True])
async def test_a_resume_that_breaks_once(server: Server, silent: bool) -> None:
    client = await server.join()
    name = "disconnect_signal_on_resume" + ("_no_messages" if silent else "")
    await client.send(simulate=rtc.SimulateScenario(**{name: True}))
    await client.ping()
    broken = await server.connect(reconnect="1", sid=client.sid)
    if not silent:
        await broken.expect("reconnect")
    await broken.closed()
    good = await server.connect(reconnect="1", sid=client.sid)
    await good.expect("reconnect")
    await good.ping()
    assert server.sfu.session_of("lobby", "alice").ended is None


@pytest.mark.parametrize("scenario", [{}, {"speaker_update": 0}, {"speaker_update": -5}, {"migration": False}])
async def test_scenarios_without_effect(server: Server, scenario: Any) -> None:
    client = await server.join()
    await client.send(simulate=rtc.SimulateScenario(**scenario))
    await client.ping()


async def test_a_narrow_downlink(server: Server) -> None:
    client = await server.join()
    for bitrate_bps in (50_000, 0):
        await client.send(simulate=rtc.SimulateScenario(subscriber_bandwidth=bitrate_bps))
        await client.ping()
        assert ("simulate_bandwidth", bitrate_bps) in server.sfu.session_of("lobby", "alice").calls
    await client.send(simulate=rtc.SimulateScenario(subscriber_bandwidth=-1))
    refused = (await client.expect("request_response")).request_response
    assert refused.reason == rtc.RequestResponse.INVALID_REQUEST


def test_promised_faults_are_forgotten_in_time_and_bounded() -> None:
    now = [0.0]
    faults = ResumeFaults(lambda: now[0])
    for number in range(MAX_RESUME_FAULTS + 1):
        faults.add(ParticipantId(f"PA_{number}"), silent=True)
    assert [faults.take(ParticipantId(f"PA_{number}")) for number in (0, 1, 1)] == [None, True, None]
    now[0] = RESUME_FAULT_S
    assert faults.take(ParticipantId("PA_2")) is None


TURNS = '[{"urls": ["turns:turn.example.org:443?transport=tcp"], "secret": "north"}]'


async def test_another_protocol_from_the_next_join_on() -> None:
    async with running(rtc_tcp_port="7881", turn=TURNS) as server:
        for protocol, tcp_only, relay in ((rtc.TCP, True, False), (rtc.TLS, False, True), (rtc.UDP, False, False)):
            client = await server.join()
            await client.send(simulate=rtc.SimulateScenario(switch_candidate_protocol=protocol))
            await client.ping()
            again = await server.join()
            assert server.sfu.session_of("lobby", "alice").request.tcp_only is tcp_only
            wanted = again.join_response.client_configuration.force_relay
            assert (wanted == models.ClientConfigSetting.ENABLED) is relay
        await server.join("bob")
        assert not server.sfu.session_of("lobby", "bob").request.tcp_only


@pytest.mark.parametrize(
    ("protocol", "reason"),
    [(1, Response.UNCLASSIFIED_ERROR), (2, Response.UNCLASSIFIED_ERROR), (7, Response.INVALID_REQUEST)],
)
async def test_a_protocol_that_this_server_has_not(server: Server, protocol: int, reason: int) -> None:
    client = await server.join()
    await client.send(simulate=rtc.SimulateScenario(switch_candidate_protocol=protocol))  # type: ignore[arg-type]
    assert (await client.expect("request_response")).request_response.reason == reason


def test_preferred_protocols_are_forgotten_in_time_and_bounded() -> None:
    now, room = [0.0], RoomName("lobby")
    preferred = PreferredProtocols(lambda: now[0])
    for number in range(MAX_PREFERENCES + 1):
        preferred.set(room, Identity(str(number)), rtc.TCP)
    assert [preferred.of(room, Identity(str(number))) for number in (0, 1)] == [rtc.UDP, rtc.TCP]
    now[0] = PREFERENCE_S
    assert preferred.of(room, Identity("1")) == rtc.UDP


def test_the_service_says_how_long_a_token_may_be() -> None:
    assert TokenService({KEY: SECRET}, max_token_bytes=99).max_token_bytes == 99

"""Every field that a client can fill in: it is done, refused, or asks for nothing.

The table is compared with the protocol's descriptors: a field of a newer protocol fails here until somebody decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from livekit.protocol import room, rtc

from signaling.grants import ROOM_WISHES
from signaling.livekit.room_service import METHODS
from signaling.livekit.twirp_errors import TwirpError
from signaling.livekit.undone import UNDONE, refuse_undone
from tests.signaling.harness import Server, eventually
from tests.signaling.test_state import _token_with
from tests.signaling.test_twirp import call

DONE = {
    "CreateRoomRequest": "name room_preset empty_timeout departure_timeout max_participants metadata node_id",
    "ListRoomsRequest": "names",
    "DeleteRoomRequest": "room",
    "ListParticipantsRequest": "room",
    "RoomParticipantIdentity": "room identity revoke_token_ts",
    "MuteRoomTrackRequest": "room identity track_sid muted",
    "UpdateParticipantRequest": "room identity metadata permission name attributes",
    "ParticipantPermission": "can_subscribe can_publish can_publish_data can_publish_sources recorder"
    " can_update_metadata agent can_subscribe_metrics can_manage_agent_session",
    "UpdateSubscriptionsRequest": "room identity track_sids subscribe participant_tracks",
    "ParticipantTracks": "track_sids",
    "SendDataRequest": "room data kind destination_sids destination_identities topic nonce",
    "ForwardParticipantRequest": "room identity destination_room",
    "MoveParticipantRequest": "room identity destination_room",
    "PerformRpcRequest": "room destination_identity method payload response_timeout_ms",
    "UpdateRoomMetadataRequest": "room metadata",
    # What a client sends over its signal connection.
    "SignalRequest": "offer answer trickle add_track mute subscription track_setting leave update_layers"
    " subscription_permission sync_state simulate ping update_metadata ping_req update_audio_track update_video_track"
    " publish_data_track_request unpublish_data_track_request update_data_subscription store_data_blob_request"
    " get_data_blob_request",
    "SessionDescription": "type sdp id",
    "TrickleRequest": "candidateInit target final",
    "AddTrackRequest": "cid name type width height muted disable_dtx source layers simulcast_codecs sid stereo"
    " disable_red encryption stream backup_codec_policy audio_features packet_trailer_features",
    "VideoLayer": "quality width height bitrate rid",
    "SimulcastCodec": "codec cid layers",
    "MuteTrackRequest": "sid muted",
    "UpdateSubscription": "track_sids subscribe participant_tracks",
    "UpdateTrackSettings": "track_sids disabled quality width height fps priority",
    "UpdateVideoLayers": "track_sid layers",
    "SubscriptionPermission": "all_participants track_permissions",
    "TrackPermission": "participant_sid all_tracks track_sids participant_identity",
    "SyncState": "subscription datachannel_receive_states data_subscription",
    "DataChannelReceiveState": "publisher_sid last_seq",
    "UpdateDataSubscription": "updates",
    "UpdateDataSubscription.Update": "track_sid subscribe options",
    "DataTrackSubscriptionOptions": "target_fps",
    "SimulateScenario": "speaker_update node_failure migration server_leave switch_candidate_protocol"
    " subscriber_bandwidth disconnect_signal_on_resume disconnect_signal_on_resume_no_messages"
    " leave_request_full_reconnect",
    "UpdateParticipantMetadata": "metadata name attributes request_id",
    "Ping": "timestamp",
    "UpdateLocalAudioTrack": "track_sid features",
    "UpdateLocalVideoTrack": "track_sid width height",
    "PublishDataTrackRequest": "pub_handle name encryption frame_encoding schema",
    "DataTrackFrameEncoding": "well_known custom",
    "DataTrackSchemaId": "name encoding",
    "DataTrackSchemaEncoding": "well_known custom",
    "UnpublishDataTrackRequest": "pub_handle",
    "StoreDataBlobRequest": "request_id blob",
    "DataBlob": "key contents",
    "DataBlobKey": "generic schema_id",
    "GetDataBlobRequest": "request_id participant_identity key",
    # What it says when it joins.
    "WrappedJoinRequest": "compression join_request",
    "JoinRequest": "client_info connection_settings metadata participant_attributes add_track_requests publisher_offer"
    " reconnect participant_sid sync_state",
    "ConnectionSettings": "auto_subscribe adaptive_stream subscriber_allow_pause auto_subscribe_data_track",
    "ClientInfo": "sdk version protocol os device_model browser browser_version",
}
ASKS_FOR_NOTHING = {
    # Track ids are unique, so they need no participant.
    "ParticipantTracks": "participant_sid",
    # Ours to say: which sections of an offer hold which of our tracks.
    "SessionDescription": "mid_to_track_id",
    # Found in the description and the packets themselves.
    "VideoLayer": "ssrc spatial_layer repair_ssrc",
    "SimulcastCodec": "video_layer_mode",
    # A client that leaves says why, and what it would do if it were a server.
    "LeaveRequest": "can_reconnect reason action regions",
    # A session keeps its state over a resume; only what differs from it is taken up.
    "SyncState": "answer publish_tracks data_channels offer track_sids_disabled publish_data_tracks",
    "Ping": "rtt",
    "JoinRequest": "reconnect_reason",
    # ICE-lite is what the server is; a full agent would find the same path.
    "ConnectionSettings": "disable_ice_lite",
    "ClientInfo": "os_version address network other_sdks client_protocol capabilities",
}
"""What only informs the server, or is the server's own to know."""
ROOTS = [method.request for method in METHODS.values()] + [rtc.SignalRequest, rtc.WrappedJoinRequest, rtc.JoinRequest]
CONFIGURATION = {
    "name": None, "empty_timeout": None, "departure_timeout": None, "max_participants": None, "metadata": None,
    "egress": "refused", "agents": "agents", "tags": "tags", "min_playout_delay": "playout_delay",
    "max_playout_delay": "playout_delay", "sync_streams": "sync_streams",
}  # fmt: skip
"""Of a token's `roomConfig`: None for what is done, "refused", or the wish that is counted."""


def decided(name: str) -> set[str]:
    told = {*DONE.get(name, "").split(), *ASKS_FOR_NOTHING.get(name, "").split()}
    return told | set(UNDONE.get(f"livekit.{name}", {}))


def described() -> Iterator[Descriptor]:
    """Every message that a client can send, but for those inside of what is refused or asks for nothing."""
    seen: set[str] = set()
    waiting = [root.DESCRIPTOR for root in ROOTS]
    while waiting:
        message = waiting.pop()
        name = message.full_name.removeprefix("livekit.")
        if name in seen or message.GetOptions().map_entry:
            continue
        seen.add(name)
        yield message
        done = DONE.get(name, "").split()
        waiting += [field.message_type for field in message.fields if field.message_type and field.name in done]


@pytest.mark.parametrize("message", list(described()), ids=lambda message: message.name)
def test_somebody_has_decided_on_every_field(message: Descriptor) -> None:
    assert {field.name for field in message.fields} == decided(message.full_name.removeprefix("livekit."))


def test_the_table_names_nothing_else() -> None:
    there = {message.full_name.removeprefix("livekit.") for message in described()}
    assert {*DONE, *ASKS_FOR_NOTHING, *(name.removeprefix("livekit.") for name in UNDONE)} <= there


def wish(field: FieldDescriptor) -> Any:
    """A value that asks for something."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {"a": "b"}
    if field.message_type is not None:
        return [{}] if field.is_repeated else {}
    return {FieldDescriptor.CPPTYPE_BOOL: True, FieldDescriptor.CPPTYPE_STRING: "x"}.get(field.cpp_type, 1)


UNDONE_FIELDS = [(name, field) for name, fields in UNDONE.items() for field in fields]


def request_with(name: str, field: str, *, asks: bool) -> Message:
    holder = (
        room.CreateRoomRequest() if name.endswith("CreateRoomRequest") else room.UpdateParticipantRequest().permission
    )
    if asks:
        value = wish(holder.DESCRIPTOR.fields_by_name[field])
        holder = type(holder)(**{field: value})
    if isinstance(holder, room.CreateRoomRequest):
        return holder
    return room.UpdateParticipantRequest(permission=holder)


@pytest.mark.parametrize(("name", "field"), UNDONE_FIELDS)
def test_what_is_not_done_is_refused_and_a_default_is_no_wish(name: str, field: str) -> None:
    with pytest.raises(TwirpError) as refused:
        refuse_undone(request_with(name, field, asks=True))
    assert (refused.value.code, str(refused.value).partition(":")[0]) == ("unimplemented", field)
    refuse_undone(request_with(name, field, asks=False))


@pytest.mark.parametrize("message", [one for one in described() if one.full_name in UNDONE], ids=lambda one: one.name)
def test_what_is_done_is_not_refused(message: Descriptor) -> None:
    done = DONE[message.name].split()
    values = {field.name: wish(field) for field in message.fields if field.name in done and not field.is_repeated}
    request = room.CreateRoomRequest if message.name == "CreateRoomRequest" else None
    refuse_undone(request(**values) if request else room.UpdateParticipantRequest(permission=values))


async def test_over_http_it_is_a_501_that_names_the_field(server: Server) -> None:
    for body in ({"name": "a", "agents": [{"agent_name": "x"}]}, {"name": "a", "egress": {"room": {}}}):
        status, answer, _ = await call(server, "CreateRoom", body)
        assert (status, answer["code"]) == (501, "unimplemented")
        assert answer["msg"].startswith(next(reversed(body)))
    assert server.sfu.rooms() == []
    defaults = {"agents": [], "tags": {}, "min_playout_delay": 0, "sync_streams": False, "max_participants": 0}
    status, answer, _ = await call(server, "CreateRoom", {"name": "a", "egress": None, **defaults})
    assert (status, answer["max_participants"]) == (200, 0), "no limit of its own stays none"


async def test_a_room_for_another_node_is_refused(server: Server) -> None:
    status, answer, _ = await call(server, "CreateRoom", {"name": "a", "node_id": "ND_elsewhere"})
    assert (status, answer["code"]) == (400, "invalid_argument")
    assert (await call(server, "CreateRoom", {"name": "a", "node_id": server.sfu.node_id}))[0] == 200


# --- roomConfig in tokens ---------------------------------------------------------------------------------


def test_somebody_has_decided_on_every_field_of_a_room_configuration() -> None:
    fields = {field.name for field in room.RoomConfiguration.DESCRIPTOR.fields}
    assert fields == set(CONFIGURATION)
    assert {one for one in CONFIGURATION.values() if one} - {"refused"} == ROOM_WISHES - {"other"}


@pytest.mark.parametrize(
    ("field", "what"), [*((one, what) for one, what in CONFIGURATION.items() if what), ("of_tomorrow", "other")]
)
async def test_wishes_of_a_token(server: Server, field: str, what: str) -> None:
    """A call is a call without an agent, so that nobody is kept out; who counts on a recording must know."""
    known = room.RoomConfiguration.DESCRIPTOR.fields_by_name.get(field)
    camel = "".join(part.title() if index else part for index, part in enumerate(field.split("_")))
    for name in (field, camel):
        before = server.value("ting_unfulfilled_wishes_total", wish=what)
        token = _token_with(server, {name: {"room": {}} if field == "egress" else wish(known) if known else 1})
        if what == "refused":
            async with server.http.get(f"{server.url}/rtc/validate", params={"access_token": token}) as response:
                assert (response.status, "egress" in await response.text()) == (401, True)
            continue
        client = await server.connect(token)
        await client.expect("join")
        assert server.value("ting_unfulfilled_wishes_total", wish=what) == before + 1
        await client.send(leave=rtc.LeaveRequest())
        await client.closed()
        server.sfu.end_room("lobby")
        await eventually(lambda: not server.sfu.rooms())


async def test_a_wish_that_is_empty_is_none(server: Server) -> None:
    config = json.loads('{"agents": [], "egress": null, "tags": {}, "syncStreams": false, "minPlayoutDelay": 0}')
    client = await server.connect(_token_with(server, config))
    await client.expect("join")
    assert not any(server.value("ting_unfulfilled_wishes_total", wish=one) for one in ROOM_WISHES)

"""The methods of LiveKit's RoomService. `METHODS` is the whole table; a method may raise `TwirpError` or
`RequestError`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from livekit.protocol import models, room

from sfu.api import DataKind, ParticipantChanges, ParticipantControl, RequestError, RoomOptions, Sfu
from sfu.config import SfuConfig
from sfu.ids import Identity, RoomName, TrackId
from signaling.grants import Grants
from signaling.livekit import convert, convert_requests
from signaling.livekit.rpc import RpcCalls, RpcError
from signaling.livekit.twirp_errors import TwirpError, from_rpc_error
from signaling.participants import check_changes, check_metadata
from signaling.rooms.calls import MAX_ROOM_NAME_LENGTH, RoomService, RoomSettings, is_clean
from signaling.rooms.kinds import SealedRooms

_NONCE_BYTES = 16
_DENIED = "permissions denied"


@dataclass(frozen=True, slots=True)
class ServerApi:
    """What the methods work with."""

    settings: RoomSettings
    max_metadata_bytes: int
    config: SfuConfig
    sfu: Sfu
    rooms: RoomService
    sealed_rooms: SealedRooms
    rpc: RpcCalls


@dataclass(frozen=True, slots=True)
class Method:
    request: type[Message]
    handle: Callable[[ServerApi, Grants, Any], Awaitable[Message]]
    act: str = ""
    """What the log of a room that lasts calls it; empty: nothing that its members need to know."""


# --- rights ---------------------------------------------------------------------------------------------


def _require(allowed: bool) -> None:
    """LiveKit says "unauthenticated" to those whose token lacks the grant, too."""
    if not allowed:
        raise TwirpError("unauthenticated", _DENIED)


def _require_admin(grants: Grants, room_name: str) -> RoomName:
    _require(grants.room_admin and bool(room_name) and grants.room == room_name)
    return RoomName(room_name)


async def _require_open(api: ServerApi, room_name: RoomName) -> None:
    """For what comes into a room without having been encrypted."""
    if await api.sealed_rooms.look(room_name):
        raise TwirpError("failed_precondition", "the room is sealed: nothing comes in that is not encrypted")


def _require_session(api: ServerApi, room_name: RoomName, identity: str) -> ParticipantControl:
    """Raises `RequestError` unknown_room or unknown_participant."""
    if api.sfu.find_room(room_name) is None:
        raise RequestError("no such room", code="unknown_room")
    session = api.sfu.find_participant(room_name, Identity(identity))
    if session is None:
        raise RequestError("no such participant", code="unknown_participant")
    return session


# --- rooms ----------------------------------------------------------------------------------------------


async def _create_room(api: ServerApi, grants: Grants, message: room.CreateRoomRequest) -> models.Room:
    _require(grants.room_create)
    if not is_clean(message.name, MAX_ROOM_NAME_LENGTH):
        raise TwirpError("invalid_argument", f"a room name has 1 to {MAX_ROOM_NAME_LENGTH} ordinary characters")
    if message.node_id not in ("", api.sfu.node_id):
        raise TwirpError("invalid_argument", "there is no such node")
    _check_metadata(api, message.metadata)
    own = RoomOptions(
        metadata=message.metadata,
        empty_timeout_s=message.empty_timeout,
        departure_timeout_s=message.departure_timeout,
        max_participants=message.max_participants,
    )
    options = api.rooms.room_options(own, message.room_preset)
    return convert.room(api.sfu.create_room(RoomName(message.name), options), api.config)


async def _list_rooms(api: ServerApi, grants: Grants, message: room.ListRoomsRequest) -> room.ListRoomsResponse:
    _require(grants.room_list)
    names = frozenset(message.names)
    infos = [info for info in api.sfu.rooms() if not names or info.name in names]
    return room.ListRoomsResponse(rooms=[convert.room(info, api.config) for info in infos])


async def _delete_room(api: ServerApi, grants: Grants, message: room.DeleteRoomRequest) -> room.DeleteRoomResponse:
    _require(grants.room_create)
    api.rooms.end_room(RoomName(message.room))
    return room.DeleteRoomResponse()


async def _update_room_metadata(api: ServerApi, grants: Grants, message: room.UpdateRoomMetadataRequest) -> models.Room:
    name = _require_admin(grants, message.room)
    _check_metadata(api, message.metadata)
    return convert.room(api.sfu.update_room_metadata(name, message.metadata), api.config)


def _check_metadata(api: ServerApi, metadata: str) -> None:
    try:
        check_metadata(metadata, api.max_metadata_bytes)
    except RequestError:
        raise TwirpError("invalid_argument", "metadata size exceeds limits") from None


# --- participants ---------------------------------------------------------------------------------------


async def _list_participants(
    api: ServerApi, grants: Grants, message: room.ListParticipantsRequest
) -> room.ListParticipantsResponse:
    name = _require_admin(grants, message.room)
    infos = api.sfu.participants(name)
    return room.ListParticipantsResponse(participants=[convert.participant(info) for info in infos])


async def _get_participant(
    api: ServerApi, grants: Grants, message: room.RoomParticipantIdentity
) -> models.ParticipantInfo:
    name = _require_admin(grants, message.room)
    if message.revoke_token_ts:
        raise TwirpError("invalid_argument", "revoke_token_ts is for RemoveParticipant")
    for info in api.sfu.participants(name):
        if info.identity == message.identity:
            return convert.participant(info)
    raise RequestError("no such participant", code="unknown_participant")


async def _remove_participant(
    api: ServerApi, grants: Grants, message: room.RoomParticipantIdentity
) -> room.RemoveParticipantResponse:
    """The participant's tokens of before `revoke_token_ts` (Unix time in seconds) are refused from now on; without it
    those of until now."""
    name = _require_admin(grants, message.room)
    if message.revoke_token_ts < 0:
        raise TwirpError("invalid_argument", "revoke_token_ts is not a time")
    api.rooms.kick(name, Identity(message.identity), tokens_before_s=message.revoke_token_ts or None)
    await api.rooms.kicks_stored()
    return room.RemoveParticipantResponse()


async def _mute_published_track(
    api: ServerApi, grants: Grants, message: room.MuteRoomTrackRequest
) -> room.MuteRoomTrackResponse:
    name = _require_admin(grants, message.room)
    if not message.muted and not api.settings.remote_unmute:
        raise TwirpError("failed_precondition", "remote unmute not enabled")
    session = _require_session(api, name, message.identity)
    api.rooms.mute(name, Identity(message.identity), TrackId(message.track_sid), message.muted)
    tracks = (track for track in session.info.tracks if track.track_id == message.track_sid)
    return room.MuteRoomTrackResponse(track=next((convert.track(track) for track in tracks), None))


async def _update_participant(
    api: ServerApi, grants: Grants, message: room.UpdateParticipantRequest
) -> models.ParticipantInfo:
    session = _require_session(api, _require_admin(grants, message.room), message.identity)
    changes = ParticipantChanges(message.name, message.metadata, dict(message.attributes))
    try:
        check_changes(session.info, changes, api.max_metadata_bytes)
    except RequestError as error:
        raise TwirpError("invalid_argument", str(error)) from None
    session.update(changes)
    if message.HasField("permission"):
        session.set_permissions(convert_requests.permissions(message.permission))
    return convert.participant(session.info)


async def _update_subscriptions(
    api: ServerApi, grants: Grants, message: room.UpdateSubscriptionsRequest
) -> room.UpdateSubscriptionsResponse:
    """Tracks that are not there (any more) are ignored."""
    session = _require_session(api, _require_admin(grants, message.room), message.identity)
    named = [*message.track_sids, *(sid for tracks in message.participant_tracks for sid in tracks.track_sids)]
    try:
        session.update_subscription([TrackId(sid) for sid in dict.fromkeys(named)], message.subscribe)
    except RequestError as error:
        if error.code != "unknown_track":
            raise
    return room.UpdateSubscriptionsResponse()


async def _move_participant(
    api: ServerApi, grants: Grants, message: room.MoveParticipantRequest
) -> room.MoveParticipantResponse:
    source, destination = _require_destination(grants, message.room, message.destination_room)
    await _require_open(api, destination)
    api.sfu.move_participant(source, Identity(message.identity), destination, create=api.settings.auto_create)
    return room.MoveParticipantResponse()


async def _forward_participant(
    api: ServerApi, grants: Grants, message: room.ForwardParticipantRequest
) -> room.ForwardParticipantResponse:
    source, destination = _require_destination(grants, message.room, message.destination_room)
    await _require_open(api, destination)
    api.sfu.forward_participant(source, Identity(message.identity), destination, create=api.settings.auto_create)
    return room.ForwardParticipantResponse()


def _require_destination(grants: Grants, source: str, destination: str) -> tuple[RoomName, RoomName]:
    name = _require_admin(grants, source)
    _require(bool(destination) and grants.destination_room == destination)
    if source == destination:
        raise TwirpError("invalid_argument", "destination room cannot be the same as source room")
    if not is_clean(destination, MAX_ROOM_NAME_LENGTH):
        raise TwirpError("invalid_argument", f"a room name has 1 to {MAX_ROOM_NAME_LENGTH} ordinary characters")
    return name, RoomName(destination)


# --- data -----------------------------------------------------------------------------------------------


async def _send_data(api: ServerApi, grants: Grants, message: room.SendDataRequest) -> room.SendDataResponse:
    name = _require_admin(grants, message.room)
    await _require_open(api, name)
    if len(message.nonce) not in (0, _NONCE_BYTES):
        raise TwirpError("invalid_argument", f"nonce should be {_NONCE_BYTES} bytes or not present")
    named = list(message.destination_identities)
    if message.destination_sids:
        known = api.rooms.identities_of(name)
        named += [known[sid] for sid in message.destination_sids if sid in known]
    user = models.UserPacket(payload=message.data, destination_identities=named, nonce=message.nonce)
    if message.HasField("topic"):
        user.topic = message.topic
    packet = models.DataPacket(kind=message.kind, destination_identities=named, user=user).SerializeToString()
    if len(packet) > api.config.max_data_message_bytes:
        raise TwirpError("invalid_argument", "the data is too large")
    if api.sfu.find_room(name) is None:
        raise RequestError("no such room", code="unknown_room")
    if not named and message.destination_sids:
        return room.SendDataResponse()  # nobody of those is here: that must not become "everyone"
    kind = DataKind.RELIABLE if message.kind == models.DataPacket.RELIABLE else DataKind.LOSSY
    api.sfu.send_data(name, kind, packet, [Identity(identity) for identity in named])
    return room.SendDataResponse()


async def _perform_rpc(api: ServerApi, grants: Grants, message: room.PerformRpcRequest) -> room.PerformRpcResponse:
    name = _require_admin(grants, message.room)
    await _require_open(api, name)
    if not message.destination_identity:
        raise TwirpError("invalid_argument", "destination identity cannot be empty")
    try:
        payload = await api.rpc.perform(
            name,
            Identity(message.destination_identity),
            message.method,
            message.payload,
            message.response_timeout_ms,
        )
    except RpcError as error:
        raise from_rpc_error(error) from None
    return room.PerformRpcResponse(payload=payload)


METHODS: dict[str, Method] = {
    "CreateRoom": Method(room.CreateRoomRequest, _create_room),
    "ListRooms": Method(room.ListRoomsRequest, _list_rooms),
    "DeleteRoom": Method(room.DeleteRoomRequest, _delete_room, "end_call"),
    "ListParticipants": Method(room.ListParticipantsRequest, _list_participants),
    "GetParticipant": Method(room.RoomParticipantIdentity, _get_participant),
    "RemoveParticipant": Method(room.RoomParticipantIdentity, _remove_participant, "kick"),
    "MutePublishedTrack": Method(room.MuteRoomTrackRequest, _mute_published_track, "mute"),
    "UpdateParticipant": Method(room.UpdateParticipantRequest, _update_participant, "update_participant"),
    "UpdateSubscriptions": Method(room.UpdateSubscriptionsRequest, _update_subscriptions, "update_subscriptions"),
    "SendData": Method(room.SendDataRequest, _send_data),
    "ForwardParticipant": Method(room.ForwardParticipantRequest, _forward_participant, "forward"),
    "MoveParticipant": Method(room.MoveParticipantRequest, _move_participant, "move"),
    "PerformRpc": Method(room.PerformRpcRequest, _perform_rpc),
    "UpdateRoomMetadata": Method(room.UpdateRoomMetadataRequest, _update_room_metadata, "update_metadata"),
}

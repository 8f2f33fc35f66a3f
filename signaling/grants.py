"""What a token says of its bearer: LiveKit's claims as `Grants`, and `Grants` as claims.

The claims are those of a token whose signature holds; what they hold is checked here all the same. Every function that
reads raises `TokenError` invalid_claims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sfu.api import RoomOptions, TrackSource
from signaling.errors import TokenError

KINDS: Mapping[str, int] = {
    "standard": 0, "ingress": 1, "egress": 2, "sip": 3, "agent": 4, "connector": 7, "bridge": 8,
}  # fmt: skip
"""The `kind` claim as LiveKit's ParticipantInfo.Kind."""
MAX_ATTRIBUTES = 64
ROOM_WISHES = frozenset({"agents", "tags", "playout_delay", "sync_streams", "other"})
_CONFIG_FIELDS = {
    "name": "", "emptyTimeout": "", "empty_timeout": "", "departureTimeout": "", "departure_timeout": "",
    "maxParticipants": "", "max_participants": "", "metadata": "", "agents": "agents", "tags": "tags",
    "minPlayoutDelay": "playout_delay", "min_playout_delay": "playout_delay", "maxPlayoutDelay": "playout_delay",
    "max_playout_delay": "playout_delay", "syncStreams": "sync_streams", "sync_streams": "sync_streams",
}  # fmt: skip
"""Of livekit.RoomConfiguration in JSON, to the wish that it is; empty for what is done."""


@dataclass(frozen=True, slots=True)
class Grants:
    """What a token lets its bearer do. Defaults are LiveKit's: an absent publish or subscribe grant means yes."""

    identity: str = ""
    name: str = ""
    room: str = ""
    room_join: bool = False
    room_create: bool = False
    room_list: bool = False
    room_admin: bool = False
    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool = True
    can_publish_sources: frozenset[TrackSource] = frozenset()
    can_update_own_metadata: bool = False
    can_subscribe_metrics: bool = False
    can_manage_agent_session: bool = False
    destination_room: str = ""
    """Where the bearer may move or forward participants of `room` to."""
    recorder: bool = False
    agent: bool = False
    hidden: bool = False
    """Accepted and ignored: nobody is invisible here."""
    kind: int = 0
    metadata: str = field(default="", repr=False)
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    guest: bool = False
    room_options: RoomOptions = field(default_factory=RoomOptions)
    """`roomConfig`: for the room if the bearer is the first to come."""
    room_wishes: frozenset[str] = frozenset()
    """What `roomConfig` asks for besides and this server does not do: words of `ROOM_WISHES`. Whoever has such a token
    comes in all the same."""
    room_preset: str = ""
    """`roomPreset`: a room configuration of the settings, for what `room_options` leaves open."""
    door: bool = False
    """Issued at this server's own door to a room that lasts: what its bearer may do is looked up, not read from it."""
    device: str = ""
    """The device of the account that it was issued to."""
    from_seq: int = 0
    """Of a guest: the newest entry of the room's log when it came."""
    sealed: bool = False
    """Whether the room is sealed: looked up at the door, never read from a token."""
    issued_at: float = 0.0
    """Unix time in seconds of `iat`, else of `nbf`, else 0."""
    expires_at: float = 0.0


# --- reading --------------------------------------------------------------------------------------------


def read_grants(claims: Mapping[str, Any], *, issued_at: float, expires_at: float, max_metadata_bytes: int) -> Grants:
    """`max_metadata_bytes` is for the metadata of participant and room, and for all attributes together."""
    video = claims.get("video", {})
    if not isinstance(video, dict):
        raise TokenError("invalid_claims", "the video grant is not an object")
    metadata = _text(claims, "metadata")
    if len(metadata.encode()) > max_metadata_bytes:
        raise TokenError("invalid_claims", "the metadata is too long")
    return Grants(
        identity=_text(claims, "sub"),
        name=_text(claims, "name"),
        room=_text(video, "room"),
        room_join=_flag(video, "roomJoin", False),
        room_create=_flag(video, "roomCreate", False),
        room_list=_flag(video, "roomList", False),
        room_admin=_flag(video, "roomAdmin", False),
        can_publish=_flag(video, "canPublish", True),
        can_subscribe=_flag(video, "canSubscribe", True),
        can_publish_data=_flag(video, "canPublishData", True),
        can_publish_sources=_sources(video),
        can_update_own_metadata=_flag(video, "canUpdateOwnMetadata", False),
        can_subscribe_metrics=_flag(video, "canSubscribeMetrics", False),
        can_manage_agent_session=_flag(video, "canManageAgentSession", False),
        destination_room=_text(video, "destinationRoom"),
        recorder=_flag(video, "recorder", False),
        agent=_flag(video, "agent", False),
        hidden=_flag(video, "hidden", False),
        kind=KINDS.get(_text(claims, "kind").lower(), 0),
        metadata=metadata,
        attributes=_attributes(claims, max_metadata_bytes),
        room_options=_room_options(claims, max_metadata_bytes),
        room_wishes=_room_wishes(claims),
        room_preset=_text(claims, "roomPreset"),
        guest=_flag(claims, "guest", False),
        door=_flag(claims, "door", False),
        device=_text(claims, "device"),
        from_seq=int(number(claims, "fromSeq") or 0),
        issued_at=issued_at,
        expires_at=expires_at,
    )


def _room_options(claims: Mapping[str, Any], max_metadata_bytes: int) -> RoomOptions:
    """livekit.RoomConfiguration in its JSON form."""
    config = _room_config_of(claims)
    metadata = _text(config, "metadata")
    if len(metadata.encode()) > max_metadata_bytes:
        raise TokenError("invalid_claims", "the room's metadata is too long")
    return RoomOptions(
        metadata=metadata,
        empty_timeout_s=_uint32(config, "emptyTimeout", "empty_timeout"),
        departure_timeout_s=_uint32(config, "departureTimeout", "departure_timeout"),
        max_participants=_uint32(config, "maxParticipants", "max_participants"),
    )


def _room_config_of(claims: Mapping[str, Any]) -> dict[str, Any]:
    config = claims.get("roomConfig") or {}
    if not isinstance(config, dict):
        raise TokenError("invalid_claims", "the room configuration is not an object")
    return config


def _room_wishes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Somebody counts on a recording: better an error now than a missing file later. Without the rest a call is still
    a call."""
    config = _room_config_of(claims)
    if config.get("egress"):
        raise TokenError("unsupported", "the token asks for egress, and there is no egress service")
    return frozenset(_CONFIG_FIELDS.get(name, "other") for name, value in config.items() if value) - {""}


def _attributes(claims: Mapping[str, Any], max_bytes: int) -> dict[str, str]:
    attributes = claims.get("attributes") or {}
    if not isinstance(attributes, dict) or len(attributes) > MAX_ATTRIBUTES:
        raise TokenError("invalid_claims", "the attributes are not acceptable")
    size = 0
    for key, value in attributes.items():
        if not isinstance(value, str):
            raise TokenError("invalid_claims", "an attribute is not a text")
        size += len(key.encode()) + len(value.encode())
    if size > max_bytes:
        raise TokenError("invalid_claims", "the attributes are too long")
    return attributes


def number(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2**53:
        raise TokenError("invalid_claims", f"{name} is not a time")
    return float(value)


def _uint32(config: Mapping[str, Any], *names: str) -> int:
    """The first of `names` that is there; both spellings of a field are allowed (ProtoJSON)."""
    value = next((config[name] for name in names if config.get(name) is not None), 0)
    if type(value) is not int or not 0 <= value < 2**32:
        raise TokenError("invalid_claims", f"{names[0]} is not a number")
    return value


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TokenError("invalid_claims", f"{name} is not a text")
    return value


def _flag(claims: Mapping[str, Any], name: str, default: bool) -> bool:
    value = claims.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise TokenError("invalid_claims", f"{name} is not true or false")
    return value


def _sources(video: Mapping[str, Any]) -> frozenset[TrackSource]:
    values = video.get("canPublishSources")
    if values is None:
        return frozenset()
    if not isinstance(values, list) or len(values) > 16 or not all(isinstance(value, str) for value in values):
        raise TokenError("invalid_claims", "canPublishSources is not a list of texts")
    known = {source.value: source for source in TrackSource}
    # A word that we do not know stays in the set as "unknown": dropping it could leave the set empty, which means all.
    return frozenset(known.get(value.lower(), TrackSource.UNKNOWN) for value in values)


# --- writing --------------------------------------------------------------------------------------------


def write_claims(grants: Grants) -> dict[str, Any]:
    """All claims but those of the token itself (issuer, subject, times); empty ones are left out."""
    claims = {name: value for name, value in _identity_claims(grants).items() if value}
    claims["video"] = _video_claims(grants)
    return claims


def _identity_claims(grants: Grants) -> dict[str, Any]:
    kind = next((word for word, number in KINDS.items() if number == grants.kind), "standard")
    return {
        "name": grants.name,
        "metadata": grants.metadata,
        "attributes": dict(grants.attributes),
        "kind": kind if grants.kind else "",
        "guest": grants.guest,
        "door": grants.door,
        "device": grants.device,
        "fromSeq": grants.from_seq,
        "roomConfig": _room_config(grants.room_options),
        "roomPreset": grants.room_preset,
    }


def _room_config(options: RoomOptions) -> dict[str, Any]:
    config = {
        "metadata": options.metadata,
        "emptyTimeout": options.empty_timeout_s,
        "departureTimeout": options.departure_timeout_s,
        "maxParticipants": options.max_participants,
    }
    return {name: value for name, value in config.items() if value}


def _video_claims(grants: Grants) -> dict[str, Any]:
    video: dict[str, Any] = {"room": grants.room} if grants.room else {}
    for name, value in (
        ("roomJoin", grants.room_join),
        ("roomCreate", grants.room_create),
        ("roomList", grants.room_list),
        ("roomAdmin", grants.room_admin),
        ("canUpdateOwnMetadata", grants.can_update_own_metadata),
        ("canSubscribeMetrics", grants.can_subscribe_metrics),
        ("canManageAgentSession", grants.can_manage_agent_session),
        ("recorder", grants.recorder),
        ("agent", grants.agent),
        ("hidden", grants.hidden),
    ):
        if value:
            video[name] = True
    video.update(
        canPublish=grants.can_publish, canSubscribe=grants.can_subscribe, canPublishData=grants.can_publish_data
    )
    if grants.destination_room:
        video["destinationRoom"] = grants.destination_room
    if grants.can_publish_sources:
        video["canPublishSources"] = sorted(source.value for source in grants.can_publish_sources)
    return video

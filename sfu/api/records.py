"""What rooms, participants and publications are, as everyone sees them: part of `sfu.api`, which has it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sfu.api.sharing import DataTrackInfo
from sfu.ids import Identity, ParticipantId, RoomId, RoomName, TrackId
from sfu.kind import Kind


class TrackSource(StrEnum):
    UNKNOWN = "unknown"
    CAMERA = "camera"
    MICROPHONE = "microphone"
    SCREEN_SHARE = "screen_share"
    SCREEN_SHARE_AUDIO = "screen_share_audio"


class ParticipantState(StrEnum):
    JOINING = "joining"  # signal connection open
    JOINED = "joined"  # join response sent
    ACTIVE = "active"  # a transport is connected
    DISCONNECTED = "disconnected"


class LeaveReason(StrEnum):
    CLIENT_INITIATED = "client_initiated"
    DUPLICATE_IDENTITY = "duplicate_identity"
    SERVER_SHUTDOWN = "server_shutdown"
    NODE_SHUTDOWN = "node_shutdown"  # the room goes on on other nodes
    PARTICIPANT_REMOVED = "participant_removed"
    ROOM_DELETED = "room_deleted"
    STATE_MISMATCH = "state_mismatch"
    SIGNAL_CLOSE = "signal_close"
    CONNECTION_TIMEOUT = "connection_timeout"
    MEDIA_FAILURE = "media_failure"
    LIMIT_EXCEEDED = "limit_exceeded"
    ROOM_CLOSED = "room_closed"  # only helpers were left in it
    MIGRATION = "migration"  # moved to another room


class ConnectionGrade(StrEnum):
    EXCELLENT = "excellent"
    GOOD = "good"
    POOR = "poor"
    LOST = "lost"


class Target(StrEnum):
    """The transport that a message is about, by what the client does on it."""

    PUBLISHER = "publisher"
    SUBSCRIBER = "subscriber"


class DataKind(StrEnum):
    RELIABLE = "reliable"
    LOSSY = "lossy"
    TRACK = "track"
    """Packets of data tracks, which the SFU forwards by itself."""


@dataclass(frozen=True, slots=True)
class Permissions:
    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool = True
    can_publish_sources: frozenset[TrackSource] = frozenset()
    """Empty: every source."""
    can_update_metadata: bool = False
    can_subscribe_metrics: bool = False
    can_manage_agent_session: bool = False
    recorder: bool = False
    agent: bool = False
    """These last two only tell others what the participant is."""

    def may_publish(self, source: TrackSource) -> bool:
        return self.can_publish and (not self.can_publish_sources or source in self.can_publish_sources)


@dataclass(frozen=True, slots=True)
class VideoLayerInfo:
    """One layer as its publisher announced it. `quality` 0 low, 1 medium, 2 high."""

    quality: int
    width: int
    height: int
    bitrate_bps: int = 0
    rid: str = ""


@dataclass(frozen=True, slots=True)
class CodecInfo:
    """A codec that a video is sent in, or would be sent in if somebody needed it (then without mid)."""

    mime_type: str
    cid: str = ""
    mid: str = ""
    layers: Sequence[VideoLayerInfo] = ()


@dataclass(frozen=True, slots=True)
class PublicationInfo:
    """A track offered in a room, as everyone sees it."""

    track_id: TrackId
    kind: Kind
    source: TrackSource
    name: str = ""
    muted: bool = False
    width: int = 0
    height: int = 0
    simulcast: bool = False
    layers: Sequence[VideoLayerInfo] = ()
    mime_type: str = ""
    mid: str = ""
    stream: str = ""
    disable_dtx: bool = False
    stereo: bool = False
    disable_red: bool = False
    encryption: int = 0
    """LiveKit's Encryption.Type; the SFU only passes it on."""
    audio_features: Sequence[int] = ()
    packet_trailer_features: Sequence[int] = ()
    backup_codec_policy: int = 0
    codecs: Sequence[CodecInfo] = ()
    """Of a video: the primary codec, then the backup codec if one was announced."""


@dataclass(frozen=True, slots=True)
class ParticipantInfo:
    participant_id: ParticipantId
    identity: Identity
    name: str
    state: ParticipantState
    joined_at_ms: int
    """Unix time in milliseconds."""
    version: int
    """Goes up with each change, so that a client can drop what arrives late."""
    permissions: Permissions
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: int = 0
    """LiveKit's ParticipantInfo.Kind."""
    kind_details: Sequence[int] = ()
    """LiveKit's ParticipantInfo.KindDetail."""
    is_publisher: bool = False
    tracks: Sequence[PublicationInfo] = ()
    data_tracks: Sequence[DataTrackInfo] = ()
    leave_reason: LeaveReason | None = None


@dataclass(frozen=True, slots=True)
class TalkTime:
    """How long somebody was an active speaker, in steps of `speaker_interval_s`."""

    identity: Identity
    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RoomInfo:
    room_id: RoomId
    name: RoomName
    created_at_ms: int
    metadata: str = ""
    empty_timeout_s: int = 0
    departure_timeout_s: int = 0
    max_participants: int = 0
    """0: the room has no limit of its own, only the server has."""
    num_participants: int = 0
    num_publishers: int = 0

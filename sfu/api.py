"""What signaling may ask of an SFU, and what it hears back.

`create_sfu` makes one. `Sfu.join` gives a `ParticipantSession`; everything that the participant's client must
learn arrives at the session's sink as one of the `SessionEvent` dataclasses, in order, in the event loop's thread.
A sink must not block and must not raise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from sfu.config import SfuConfig
from sfu.engine.api import Kind
from sfu.errors import BindError, RequestError, SdpError, SfuError
from sfu.ids import Identity, ParticipantId, RoomId, RoomName, TrackId
from sfu.sharing import (
    DataTrackHandles,
    DataTrackInfo,
    DataTrackRequest,
    DataTrackSource,
    DataTrackUnpublished,
    SubscriptionRights,
    TrackGrant,
)

__all__ = [
    "BindError", "DataTrackHandles", "DataTrackInfo", "DataTrackRequest", "DataTrackSource", "DataTrackUnpublished",
    "Kind", "RequestError", "SdpError", "SfuConfig", "SfuError", "SubscriptionRights", "TrackGrant",
    "create_sfu", "diagnose", "replace",
]  # fmt: skip


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
    PARTICIPANT_REMOVED = "participant_removed"
    ROOM_DELETED = "room_deleted"
    STATE_MISMATCH = "state_mismatch"
    SIGNAL_CLOSE = "signal_close"
    CONNECTION_TIMEOUT = "connection_timeout"
    MEDIA_FAILURE = "media_failure"
    LIMIT_EXCEEDED = "limit_exceeded"
    ROOM_CLOSED = "room_closed"  # only helpers were left in it
    MIGRATION = "migration"  # moved to another room


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
class RoomInfo:
    room_id: RoomId
    name: RoomName
    created_at_ms: int
    metadata: str = ""
    empty_timeout_s: int = 0
    departure_timeout_s: int = 0
    max_participants: int = 0
    num_participants: int = 0
    num_publishers: int = 0


@dataclass(frozen=True, slots=True)
class RoomOptions:
    """What a room is created with. Zero and empty mean the default of the configuration."""

    metadata: str = ""
    empty_timeout_s: int = 0
    departure_timeout_s: int = 0
    max_participants: int = 0


@dataclass(frozen=True, slots=True)
class ParticipantChanges:
    """What to change of a participant. Empty means unchanged; an attribute with an empty value is deleted."""

    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClientDescription:
    """What a client says of itself; used for quirks only, never for rights."""

    sdk: str = ""
    version: str = ""
    protocol: int = 0
    browser: str = ""
    browser_version: str = ""
    os: str = ""
    device_model: str = ""

    @property
    def is_firefox(self) -> bool:
        return self.browser.lower() == "firefox"


@dataclass(frozen=True, slots=True)
class PlaybackWish:
    """What a player shows: one participant's picture and sound, or one source of it; without an identity the room's
    main picture (a shared screen, else who speaks) and sound (who speaks)."""

    identity: Identity | None = None
    source: TrackSource | None = None


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """Who joins, already authenticated and admitted by signaling."""

    room: RoomName
    identity: Identity
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: int = 0
    permissions: Permissions = Permissions()
    auto_subscribe: bool = True
    auto_subscribe_data_tracks: bool = False
    adaptive_stream: bool = False
    allow_pause: bool = False
    """Whether videos that do not fit into the downlink may be paused; else they keep their lowest layer."""
    broken_codecs: frozenset[str] = frozenset()
    """Names of video codecs that this client must neither publish nor receive, whatever it offers."""
    broken_publish_codecs: frozenset[str] = frozenset()
    """Those that it must not publish."""
    client: ClientDescription = ClientDescription()
    single_connection: bool = False
    """One transport carries both directions, and the client alone offers."""
    playback: PlaybackWish | None = None
    """Set by `Sfu.play` and `Sfu.offer_playback`."""
    room_options: RoomOptions = RoomOptions()
    """For the room if this join creates it."""
    create_room: bool = True
    """Whether this join may create the room."""


@dataclass(frozen=True, slots=True)
class AddTrackRequest:
    """`cid` is the client's own id of the track; the publisher offer names it in msid."""

    cid: str
    kind: Kind
    source: TrackSource
    name: str = ""
    muted: bool = False
    width: int = 0
    height: int = 0
    layers: Sequence[VideoLayerInfo] = ()
    mime_type: str = ""
    stream: str = ""
    disable_dtx: bool = False
    stereo: bool = False
    disable_red: bool = False
    encryption: int = 0
    audio_features: Sequence[int] = ()
    packet_trailer_features: Sequence[int] = ()
    backup_codec_policy: int = 0
    backup_mime_type: str = ""
    """A codec that the client would publish too if a subscriber cannot receive the first one."""
    track_id: TrackId | None = None
    """The publication that this is the backup codec of; None for a new one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """To an offer of the client. `mid_to_track_id` names what we send on its sections."""

    sdp: str
    mid_to_track_id: Mapping[str, TrackId] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """What a subscriber wants of a track. `quality` None means by size; size 0 means unknown (then the best).
    `priority`: LiveKit's, 1 is highest and 0 not said."""

    disabled: bool = False
    quality: int | None = None
    width: int = 0
    height: int = 0
    fps: int = 0
    priority: int = 0


# --- events of a session ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ParticipantsUpdated:
    participants: Sequence[ParticipantInfo]


@dataclass(frozen=True, slots=True)
class SubscriberOffer:
    """An offer for the client's subscriber connection; answer with `handle_answer(sdp, offer_id)`."""

    sdp: str
    offer_id: int
    mid_to_track_id: Mapping[str, TrackId]


@dataclass(frozen=True, slots=True)
class MediaSectionsRequired:
    """With a single connection: the client must offer again, with so many more sections to receive on; 0 of both is
    possible."""

    num_audios: int
    num_videos: int


@dataclass(frozen=True, slots=True)
class TrackPublished:
    cid: str
    publication: PublicationInfo


@dataclass(frozen=True, slots=True)
class TrackUnpublished:
    track_id: TrackId


@dataclass(frozen=True, slots=True)
class TrackMuted:
    """The server muted the participant's own track."""

    track_id: TrackId
    muted: bool


@dataclass(frozen=True, slots=True)
class Speaker:
    participant_id: ParticipantId
    level: float
    """0 silent to 1 loudest."""
    active: bool


@dataclass(frozen=True, slots=True)
class SpeakersChanged:
    """Only those that changed since the last one."""

    speakers: Sequence[Speaker]


@dataclass(frozen=True, slots=True)
class DataReceived:
    """A message that arrived on this participant's own publisher data channel. Signaling stamps and routes it."""

    kind: DataKind
    payload: bytes


@dataclass(frozen=True, slots=True)
class TrackSubscribed:
    """The first of the participant's subscribers has this track."""

    track_id: TrackId


@dataclass(frozen=True, slots=True)
class SubscriptionAllowed:
    """The publisher lets this participant have the track, or no longer."""

    publisher_id: ParticipantId
    track_id: TrackId
    allowed: bool


@dataclass(frozen=True, slots=True)
class SubscriptionRefused:
    """The client can take none of the codecs in which the track comes."""

    track_id: TrackId


@dataclass(frozen=True, slots=True)
class LayersWanted:
    """Of the participant's own video: the best quality that any subscriber wants, by codec name; -1 means nothing.
    Layers above it need not be sent."""

    track_id: TrackId
    codecs: Mapping[str, int]


class ConnectionGrade(StrEnum):
    EXCELLENT = "excellent"
    GOOD = "good"
    POOR = "poor"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class ConnectionQuality:
    participant_id: ParticipantId
    grade: ConnectionGrade
    score: float
    """1 worst to 5 best, like a mean opinion score."""


@dataclass(frozen=True, slots=True)
class ConnectionQualitiesChanged:
    """Of the participant itself and of those that it receives; only those that changed since the last one."""

    qualities: Sequence[ConnectionQuality]


@dataclass(frozen=True, slots=True)
class StreamState:
    participant_id: ParticipantId
    track_id: TrackId
    paused: bool


@dataclass(frozen=True, slots=True)
class StreamStatesChanged:
    """Videos that the SFU paused because they do not fit into the participant's downlink, or goes on with."""

    states: Sequence[StreamState]


@dataclass(frozen=True, slots=True)
class PlaybackSource:
    """One section of a player. `layers` are those that the present source has, lowest first; empty when it has one."""

    kind: Kind
    mid: str
    active: bool
    layers: Sequence[VideoLayerInfo] = ()


@dataclass(frozen=True, slots=True)
class PlaybackChanged:
    """What a player is sent now."""

    sources: Sequence[PlaybackSource]


@dataclass(frozen=True, slots=True)
class RoomUpdated:
    room: RoomInfo


@dataclass(frozen=True, slots=True)
class RoomMoved:
    """The participant is in another room now, under another id. Its transports and its publications are the same;
    what it received has ended, and what the new room has for it follows."""

    room: RoomInfo
    participant: ParticipantInfo
    others: Sequence[ParticipantInfo]
    former_id: ParticipantId


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The last event of a session: it was kicked, replaced, timed out, or the room ended."""

    reason: LeaveReason


SessionEvent = (
    ParticipantsUpdated
    | SubscriberOffer
    | MediaSectionsRequired
    | TrackPublished
    | TrackUnpublished
    | TrackMuted
    | SpeakersChanged
    | DataReceived
    | TrackSubscribed
    | SubscriptionAllowed
    | SubscriptionRefused
    | DataTrackHandles
    | DataTrackUnpublished
    | LayersWanted
    | ConnectionQualitiesChanged
    | StreamStatesChanged
    | PlaybackChanged
    | RoomUpdated
    | RoomMoved
    | SessionEnded
)

SessionSink = Callable[[SessionEvent], None]


# --- events of the node -------------------------------------------------------------------------------
# What happens in all rooms, for webhooks, metrics and records. Within one room they come in order: a room starts before
# anyone joins it, a participant's tracks end before it leaves, and everyone leaves before the room finishes.


@dataclass(frozen=True, slots=True)
class RoomStarted:
    room: RoomInfo


@dataclass(frozen=True, slots=True)
class RoomFinished:
    room: RoomInfo


@dataclass(frozen=True, slots=True)
class ParticipantJoined:
    """Its first transport is connected: the participant is really there."""

    room: RoomInfo
    participant: ParticipantInfo


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    """One that had joined; `participant.leave_reason` says why it left."""

    room: RoomInfo
    participant: ParticipantInfo


@dataclass(frozen=True, slots=True)
class ParticipantAborted:
    """Left before any of its transports was connected."""

    room: RoomInfo
    participant: ParticipantInfo


@dataclass(frozen=True, slots=True)
class PublicationStarted:
    room: RoomInfo
    participant: ParticipantInfo
    publication: PublicationInfo


@dataclass(frozen=True, slots=True)
class PublicationEnded:
    room: RoomInfo
    participant: ParticipantInfo
    publication: PublicationInfo


NodeEvent = (
    RoomStarted
    | RoomFinished
    | ParticipantJoined
    | ParticipantLeft
    | ParticipantAborted
    | PublicationStarted
    | PublicationEnded
)

NodeListener = Callable[[NodeEvent], None]


class ParticipantSession(Protocol):
    """One join of one participant. Every method may raise `RequestError`; after the end all raise code "left"."""

    @property
    def room(self) -> RoomInfo: ...

    @property
    def info(self) -> ParticipantInfo: ...

    @property
    def single_connection(self) -> bool:
        """As in the `JoinRequest`."""
        ...

    @property
    def former_ids(self) -> frozenset[ParticipantId]:
        """The ids that it had in rooms which it was moved out of."""
        ...

    def others(self) -> list[ParticipantInfo]:
        """Everyone else in the room, in order of joining."""
        ...

    def start(self) -> None:
        """The join response is on its way: from now on events flow and, unless with a single connection, the first
        subscriber offer goes out."""
        ...

    async def handle_offer(self, sdp: str) -> Answer:
        """Publisher offer in, answer out. Raises `SdpError`."""
        ...

    def handle_answer(self, sdp: str, offer_id: int = 0) -> None:
        """Answer to a `SubscriberOffer`. An answer that nobody waits for is ignored. Raises `SdpError`."""
        ...

    def handle_candidate(self, target: Target, candidate: str) -> None:
        """A trickled candidate. An ICE-lite server learns addresses from checks: validated, then ignored."""
        ...

    def add_track(self, request: AddTrackRequest) -> None:
        """Announce a track, or the backup codec of one; answered by `TrackPublished`. Raises not_allowed,
        limit_exceeded, or for a backup codec unknown_track."""
        ...

    def set_track_muted(self, track_id: TrackId, muted: bool) -> None: ...

    def update_audio_features(self, track_id: TrackId, features: Sequence[int]) -> None:
        """Raises unknown_track, also for a video track."""
        ...

    def update_video_layers(self, track_id: TrackId, layers: Sequence[VideoLayerInfo]) -> None:
        """Raises unknown_track, also for an audio track."""
        ...

    def update_video_size(self, track_id: TrackId, width: int, height: int) -> None:
        """Raises unknown_track, also for an audio track."""
        ...

    def update(self, changes: ParticipantChanges) -> None:
        """Everyone, the participant too, hears of what changed. Limits and rights are signaling's to check."""
        ...

    def set_permissions(self, permissions: Permissions) -> None:
        """In force at once: publications and subscriptions that are not allowed any more end; allowed to subscribe
        again, the participant gets what it would have got by joining."""
        ...

    def update_subscription(self, track_ids: Sequence[TrackId], subscribe: bool) -> None:
        """Unknown ids raise unknown_track after the known ones were handled."""
        ...

    def set_subscription_rights(self, rights: SubscriptionRights) -> None:
        """Who may have this participant's tracks, at once. Those concerned hear `SubscriptionAllowed`."""
        ...

    def publish_data_track(self, request: DataTrackRequest) -> DataTrackInfo:
        """Raises not_allowed, limit_exceeded, invalid_handle, invalid_name, duplicate_handle or duplicate_name."""
        ...

    def unpublish_data_track(self, handle: int) -> DataTrackInfo:
        """Raises unknown_track."""
        ...

    def update_data_subscription(self, track_id: TrackId, subscribe: bool, target_fps: int = 0) -> None:
        """Answered by `DataTrackHandles`. `target_fps` 0: every frame. Raises unknown_track or not_allowed."""
        ...

    def store_blob(self, key: bytes, contents: bytes) -> None:
        """For everyone in the room, until this participant leaves. Raises not_allowed or limit_exceeded."""
        ...

    def find_blob(self, identity: Identity, key: bytes) -> bytes:
        """What the participant of that identity has stored. Raises unknown_participant or unknown_blob."""
        ...

    def update_track_settings(self, track_ids: Sequence[TrackId], settings: TrackSettings) -> None:
        """Tracks that the participant does not receive are ignored."""
        ...

    def send_data(
        self, kind: DataKind, payload: bytes, destinations: Sequence[Identity] = (), sequence: int = 0
    ) -> None:
        """To the named identities, or to everyone else in the room when none are named. Never back to the sender.

        `sequence` counts the sender's reliable messages up from 1; one that is not above `last_sequence` was sent
        before and goes nowhere. 0: the sender does not count.
        """
        ...

    @property
    def last_sequence(self) -> int:
        """Of the newest reliable message that was taken from this participant; 0 when there was none."""
        ...

    def replay_data(self, received: Mapping[ParticipantId, int]) -> None:
        """After a resume: send again what the client lacks. `received` has, by sender, the last sequence number that
        the client has. Ends the session with state_mismatch when that is not here any more."""
        ...

    def handle_fragment(self, text: str) -> None:
        """Trickled candidates as application/trickle-ice-sdpfrag: checked, then not needed. Raises `SdpError`, code
        ice_mismatch when it is about other credentials, and `RequestError` not_negotiated."""
        ...

    def restart_ice(self, text: str) -> str:
        """An ICE restart of the client's (RFC 9725 §4.3.3), fragment in, fragment out. Raises `SdpError`, code
        not_acceptable when its credentials are not new, and `RequestError` not_negotiated."""
        ...

    def accept_playback(self, sdp: str) -> None:
        """The answer to the offer of `Sfu.offer_playback`. Raises `SdpError`, and `RequestError` not_negotiated when
        no offer waits for one."""
        ...

    def set_layer(self, settings: TrackSettings) -> None:
        """For a player: which form of its picture it wants, whatever the source."""
        ...

    def playback(self) -> PlaybackChanged:
        """For a player: what it is sent now."""
        ...

    def signal_lost(self) -> None:
        """The WebSocket broke without a leave: media goes on, and the time to resume runs."""
        ...

    def resume(self, sink: SessionSink) -> None:
        """A new WebSocket took over: cancel the timeout, use `sink`, send a full `ParticipantsUpdated`, restart ICE on
        the subscriber transport. With a single connection the client restarts ICE, by an offer."""
        ...

    def leave(self, reason: LeaveReason = LeaveReason.CLIENT_INITIATED) -> None: ...


class Sfu(Protocol):
    """A running SFU."""

    @property
    def node_id(self) -> str: ...

    async def start(self) -> None:
        """Open the ports. Raises `BindError`."""
        ...

    async def close(self) -> None:
        """End every session with server_shutdown, then release the ports."""
        ...

    def rooms(self) -> list[RoomInfo]: ...

    def find_room(self, name: RoomName) -> RoomInfo | None: ...

    def participants(self, room: RoomName) -> list[ParticipantInfo]: ...

    def create_room(self, name: RoomName, options: RoomOptions) -> RoomInfo:
        """Create the room, or give the one that is there what `options` name. Raises `RequestError` limit_exceeded
        when the node is full."""
        ...

    def update_room_metadata(self, room: RoomName, metadata: str) -> RoomInfo:
        """Everyone in the room hears of it. Raises unknown_room."""
        ...

    async def join(self, request: JoinRequest, sink: SessionSink) -> ParticipantSession:
        """Create the room if it is not there; end an older session of the same identity with duplicate_identity.
        Raises `RequestError` limit_exceeded when room or node is full, unknown_room when it is not there and must
        not be created."""
        ...

    async def publish(
        self, request: JoinRequest, offer: str, sources: Mapping[Kind, TrackSource], sink: SessionSink
    ) -> tuple[ParticipantSession, str]:
        """Join as a client that sends what its offer says and receives nothing (WHIP); returns session and answer.
        `sources` names the track of each kind. The session ends when its media connection does.
        An offer that is not acceptable as a whole raises `SdpError` before anyone is joined or replaced, codes
        not_acceptable, unsupported_codec, rtcp_mux_required or those of a malformed description; a source that the
        permissions do not cover raises `RequestError` not_allowed; else as `join`."""
        ...

    async def play(
        self, request: JoinRequest, wish: PlaybackWish, offer: str, sink: SessionSink
    ) -> tuple[ParticipantSession, str]:
        """Join as a client that receives what `wish` names on at most one audio and one video section (WHEP); returns
        session and answer. What is not there yet is sent once it is. Refusals as with `publish`."""
        ...

    async def offer_playback(
        self, request: JoinRequest, wish: PlaybackWish, sink: SessionSink
    ) -> tuple[ParticipantSession, str]:
        """As `play`, with an offer of ours; `ParticipantSession.accept_playback` takes the answer. Without one the
        session ends after `transport_setup_timeout_s`."""
        ...

    def find_session(self, room: RoomName, participant_id: ParticipantId) -> ParticipantSession | None: ...

    def find_participant(self, room: RoomName, identity: Identity) -> ParticipantSession | None: ...

    def send_data(self, room: RoomName, kind: DataKind, payload: bytes, destinations: Sequence[Identity] = ()) -> None:
        """From the server to the named identities, or to everyone when none are named. Raises unknown_room."""
        ...

    def remove_participant(self, room: RoomName, identity: Identity) -> None:
        """Kick. Raises unknown_participant."""
        ...

    def move_participant(self, room: RoomName, identity: Identity, destination: RoomName, *, create: bool) -> None:
        """Take the participant into another room, which is created if it may be; see `RoomMoved`. A participant of the
        same identity there goes, and what was forwarded of the participant is not any more. Raises
        unknown_participant, unknown_room, limit_exceeded, or not_connected while its client is away."""
        ...

    def forward_participant(self, room: RoomName, identity: Identity, destination: RoomName, *, create: bool) -> None:
        """Show the participant and its publications in another room, too, until it leaves or `remove_participant` is
        called there. It neither hears nor sees that room. Raises unknown_participant, unknown_room, limit_exceeded, or
        duplicate when its identity is there already."""
        ...

    def mute_track(self, room: RoomName, identity: Identity, track_id: TrackId, muted: bool) -> None:
        """Moderation: enforced at the packet level at once. Raises unknown_participant or unknown_track."""
        ...

    def end_room(self, room: RoomName) -> bool:
        """End every session with room_deleted. False when there is no such room."""
        ...

    def add_listener(self, listener: NodeListener) -> None:
        """Have `listener` told of every `NodeEvent` from now on, until the SFU has closed. It must not block; what it
        raises is logged and reaches nobody else."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """Gauges and counters for /metrics, keyed by Prometheus name with labels in braces where needed."""
        ...


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `ting doctor`. `ok` None is a hint."""

    name: str
    ok: bool | None
    message: str


def create_sfu(config: SfuConfig) -> Sfu:
    """An SFU for this process. Nothing is opened before `start`."""
    from sfu.node import Node

    return Node(config)


def diagnose(config: SfuConfig) -> list[Check]:
    """What would stop media on this machine: ports, interfaces, advertised addresses, engine, file limits."""
    from sfu.diagnose import run_checks

    return run_checks(config)

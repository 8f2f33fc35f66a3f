"""What a session and a node tell: part of `sfu.api`, which has it all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sfu.api.records import (
    ConnectionGrade,
    DataKind,
    LeaveReason,
    ParticipantInfo,
    PublicationInfo,
    RoomInfo,
    VideoLayerInfo,
)
from sfu.api.sharing import DataTrackHandles, DataTrackUnpublished
from sfu.api.timelines import CallTimeline
from sfu.ids import ParticipantId, TrackId
from sfu.kind import Kind


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
    timeline: CallTimeline
    """How the call went for it."""


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

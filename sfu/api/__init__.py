"""What signaling may ask of an SFU, and what it hears back: a contract, and nothing of what fulfils it.

`sfu.factory.create_sfu` makes one. `Sfu.join` gives a `ParticipantSession`; everything that the participant's client
must learn arrives at the session's sink as one of the `SessionEvent` dataclasses, in order, in the event loop's
thread. A sink must not block and must not raise.
"""

from __future__ import annotations

from sfu.api.events import (
    ConnectionQualitiesChanged,
    ConnectionQuality,
    DataReceived,
    LayersWanted,
    MediaSectionsRequired,
    NodeEvent,
    NodeListener,
    ParticipantAborted,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantsUpdated,
    PlaybackChanged,
    PlaybackSource,
    PublicationEnded,
    PublicationStarted,
    RoomFinished,
    RoomMoved,
    RoomStarted,
    RoomUpdated,
    SessionEnded,
    SessionEvent,
    SessionSink,
    Speaker,
    SpeakersChanged,
    StreamState,
    StreamStatesChanged,
    SubscriberOffer,
    SubscriptionAllowed,
    SubscriptionRefused,
    TrackMuted,
    TrackPublished,
    TrackSubscribed,
    TrackUnpublished,
)
from sfu.api.records import (
    CodecInfo,
    ConnectionGrade,
    DataKind,
    LeaveReason,
    ParticipantInfo,
    ParticipantState,
    Permissions,
    PublicationInfo,
    RoomInfo,
    TalkTime,
    Target,
    TrackSource,
    VideoLayerInfo,
)
from sfu.api.requests import (
    AddTrackRequest,
    Answer,
    ClientDescription,
    JoinRequest,
    ParticipantChanges,
    PlaybackWish,
    RoomOptions,
    TrackSettings,
)
from sfu.api.session import (
    Check,
    ParticipantSession,
    Sfu,
    TurnServer,
)
from sfu.api.sharing import (
    DataTrackHandles,
    DataTrackInfo,
    DataTrackRequest,
    DataTrackSource,
    DataTrackUnpublished,
    SubscriptionRights,
    TrackGrant,
)
from sfu.api.timelines import (
    CallTimeline,
    LineFigures,
    Moment,
    SubscriptionFigures,
    SwitchCause,
    TimelineEntry,
)
from sfu.errors import (
    BindError,
    RequestError,
    SdpError,
    SfuError,
)
from sfu.kind import (
    Kind,
)

__all__ = [
    "AddTrackRequest", "Answer", "BindError", "CallTimeline", "Check", "ClientDescription", "CodecInfo",
    "ConnectionGrade", "ConnectionQualitiesChanged", "ConnectionQuality", "DataKind", "DataReceived",
    "DataTrackHandles", "DataTrackInfo", "DataTrackRequest", "DataTrackSource", "DataTrackUnpublished",
    "JoinRequest", "Kind", "LayersWanted", "LeaveReason", "LineFigures", "MediaSectionsRequired", "Moment",
    "NodeEvent", "NodeListener", "ParticipantAborted", "ParticipantChanges", "ParticipantInfo", "ParticipantJoined",
    "ParticipantLeft", "ParticipantSession", "ParticipantState", "ParticipantsUpdated", "Permissions",
    "PlaybackChanged", "PlaybackSource", "PlaybackWish", "PublicationEnded", "PublicationInfo",
    "PublicationStarted", "RequestError", "RoomFinished", "RoomInfo", "RoomMoved", "RoomOptions", "RoomStarted",
    "RoomUpdated", "SdpError", "SessionEnded", "SessionEvent", "SessionSink", "Sfu", "SfuError", "Speaker",
    "SpeakersChanged", "StreamState", "StreamStatesChanged", "SubscriberOffer", "SubscriptionAllowed",
    "SubscriptionFigures", "SubscriptionRefused", "SubscriptionRights", "SwitchCause", "TalkTime", "Target",
    "TimelineEntry", "TrackGrant", "TrackMuted", "TrackPublished", "TrackSettings", "TrackSource",
    "TrackSubscribed", "TrackUnpublished", "TurnServer", "VideoLayerInfo",
]  # fmt: skip

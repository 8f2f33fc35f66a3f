"""How a call went for one participant, so that "why was it bad" has an answer: part of `sfu.api`, which has it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sfu.api.records import ConnectionGrade, LeaveReason, TrackSource
from sfu.ids import Identity, ParticipantId, TrackId


class SwitchCause(StrEnum):
    """Why a video is sent in another layer than before, or not sent."""

    START = "start"
    WISH = "wish"  # the viewer's client wants another size, or none
    LINE = "line"  # what the viewer's line takes
    SOURCE = "source"  # the publisher sends other layers


class Moment(StrEnum):
    """What a timeline entry is about."""

    QUALITY = "quality"  # the connection has another grade than before
    LINE = "line"  # nothing has changed: figures of now
    PAUSED = "paused"
    """A video is not sent any more."""
    RESUMED = "resumed"
    LOWERED = "lowered"
    RAISED = "raised"
    AWAY = "away"
    """The signal connection is lost, and may be resumed."""
    BACK = "back"
    """It is resumed."""


@dataclass(frozen=True, slots=True)
class LineFigures:
    """A participant's line, over the last interval of `connection_quality_interval_s`."""

    sent_bps: int
    """All that went to it, payload."""
    estimate_bps: int | None
    """What its line takes; None: it has shown no limit."""
    sent_loss: float
    """Share of 1 that was lost on the way to it, of the subscription that lost most."""
    rtt_ms: float | None
    received_bps: int
    """All that came from it."""
    received_loss: float
    """Share of 1 that never came, of the track that lost most."""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    at_ms: int
    what: Moment
    grade: ConnectionGrade | None = None
    line: LineFigures | None = None
    """Of `QUALITY` and `LINE`."""
    track_id: TrackId | None = None
    """Of a video that is paused, resumed, lowered or raised."""
    of: Identity | None = None
    """Whose video that is."""
    source: TrackSource | None = None
    cause: SwitchCause | None = None
    """Of the switch."""
    layer: int | None = None
    """The spatial layer that is sent from now on, 0 the lowest."""
    height: int | None = None
    """Of that layer as its publisher announced it: the shorter side in pixels; None: it is not known, or nothing is
    sent."""
    from_height: int | None = None
    """Of the layer before."""
    limit_bps: int | None = None
    """What all its videos together may take of its line then; None: no limit is known."""


@dataclass(frozen=True, slots=True)
class SubscriptionFigures:
    """What a participant gets of one track."""

    track_id: TrackId
    of: Identity
    source: TrackSource
    wanted_layer: int
    """0 the lowest; 0 for sound."""
    target_bps: int | None
    """Of a video: what the layer takes that it is to get, 0 while it is to get none."""
    layer: int | None
    """None: nothing is sent."""
    height: int | None
    """Of the layer that it is to get: the shorter side in pixels, as announced."""
    paused: bool
    """For want of room on the line."""
    sent_bps: int
    loss: float
    rtt_ms: float | None
    redundancy: int | None
    """Of sound: how many earlier frames go with each packet; None: as many as the publisher sends."""
    cause: SwitchCause
    """Of the last switch."""
    switched_at_ms: int


@dataclass(frozen=True, slots=True)
class CallTimeline:
    identity: Identity
    participant_id: ParticipantId
    name: str
    joined_at_ms: int
    left_at_ms: int | None = None
    leave_reason: LeaveReason | None = None
    entries: Sequence[TimelineEntry] = ()
    """Oldest first, at most `max_timeline_entries`."""
    line: LineFigures | None = None
    """Of now; None when it has left, or nothing is known yet."""
    subscriptions: Sequence[SubscriptionFigures] = ()
    """Of now."""

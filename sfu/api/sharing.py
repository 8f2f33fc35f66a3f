"""Data tracks, and the rights that publishers give: the part of `sfu.api` that is about them. `sfu.api` has it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sfu.ids import Identity, ParticipantId, TrackId


@dataclass(frozen=True, slots=True)
class DataTrackInfo:
    """A data track as everyone sees it; `handle` is its publisher's, encoding and schema are the application's."""

    track_id: TrackId
    handle: int
    name: str
    encryption: int = 0
    frame_encoding: bytes = b""
    schema: bytes = b""


@dataclass(frozen=True, slots=True)
class DataTrackRequest:
    handle: int
    name: str
    encryption: int = 0
    frame_encoding: bytes = b""
    schema: bytes = b""


@dataclass(frozen=True, slots=True)
class TrackGrant:
    """Whom a publisher lets have its tracks: by identity, or by participant id when that is empty."""

    identity: str = ""
    participant_id: str = ""
    all_tracks: bool = False
    track_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SubscriptionRights:
    """What a publisher lets others have of its tracks."""

    all_participants: bool = True
    grants: Sequence[TrackGrant] = ()

    def allow(self, identity: Identity, participant_id: ParticipantId, track_id: TrackId) -> bool:
        return self.all_participants or any(
            grant.all_tracks or track_id in grant.track_ids
            for grant in self.grants
            if (grant.identity == identity if grant.identity else grant.participant_id == participant_id)
        )


@dataclass(frozen=True, slots=True)
class DataTrackSource:
    publisher_identity: Identity
    publisher_id: ParticipantId
    track_id: TrackId


@dataclass(frozen=True, slots=True)
class DataTrackHandles:
    """Which data tracks the packets with these handles are of; beside those that were told before."""

    sources: Mapping[int, DataTrackSource]


@dataclass(frozen=True, slots=True)
class DataTrackUnpublished:
    """The server has ended a data track of the participant's own."""

    info: DataTrackInfo

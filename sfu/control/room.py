"""A room: who is in it and what they offer. Owns its participants."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sfu.api import (
    JoinRequest,
    LeaveReason,
    ParticipantsUpdated,
    RoomFinished,
    RoomInfo,
    RoomStarted,
    SessionSink,
    Speaker,
    SpeakersChanged,
)
from sfu.control.context import ControlContext
from sfu.control.participant import Participant
from sfu.control.publication import Publication
from sfu.control.speakers import SpeakerDetector
from sfu.errors import RequestError
from sfu.ids import Identity, ParticipantId, RoomName, TrackId, new_room_id


class Room:
    def __init__(self, name: RoomName, context: ControlContext) -> None:
        config = context.config
        self._context = context
        self.name = name
        self._participants: dict[ParticipantId, Participant] = {}
        self._by_identity: dict[Identity, Participant] = {}
        self._speakers = SpeakerDetector(round(config.speaker_interval_s * 1000))
        self._info = RoomInfo(
            room_id=new_room_id(),
            name=name,
            created_at_ms=time.time_ns() // 1_000_000,
            empty_timeout_s=round(config.empty_timeout_s),
            departure_timeout_s=round(config.departure_timeout_s),
            max_participants=config.max_participants_per_room,
        )
        self.empty_since_s: float | None = context.loop.time()
        """Loop time since when nobody is here."""
        context.notify(RoomStarted(self.info))

    @property
    def info(self) -> RoomInfo:
        publishers = sum(1 for participant in self._participants.values() if participant.info.is_publisher)
        return replace(self._info, num_participants=len(self._participants), num_publishers=publishers)

    def participants(self) -> list[Participant]:
        return list(self._participants.values())

    def find(self, participant_id: ParticipantId) -> Participant | None:
        return self._participants.get(participant_id)

    def find_identity(self, identity: Identity) -> Participant | None:
        return self._by_identity.get(identity)

    def find_publication(self, track_id: TrackId) -> Publication | None:
        for participant in self._participants.values():
            publication = participant.publisher.find(track_id)
            if publication is not None:
                return publication
        return None

    # --- coming and going ---------------------------------------------------------------------------------

    def join(self, request: JoinRequest, sink: SessionSink) -> Participant:
        older = self._by_identity.get(request.identity)
        if older is None and len(self._participants) >= self._context.config.max_participants_per_room:
            raise RequestError("the room is full", code="limit_exceeded")
        if older is not None:
            older.leave(LeaveReason.DUPLICATE_IDENTITY)
        participant = Participant(self, request, self._context, sink, time.time_ns() // 1_000_000)
        self._participants[participant.info.participant_id] = participant
        self._by_identity[request.identity] = participant
        self.empty_since_s = None
        return participant

    def remove(self, participant: Participant) -> None:
        """Called by the participant when it has ended."""
        info = participant.info
        self._participants.pop(info.participant_id, None)
        if self._by_identity.get(info.identity) is participant:
            del self._by_identity[info.identity]
        self._speakers.remove(info.participant_id)
        if not self._participants:
            self.empty_since_s = self._context.loop.time()

    def close(self, reason: LeaveReason) -> None:
        for participant in self.participants():
            participant.leave(reason)
        self._context.notify(RoomFinished(self.info))

    # --- telling everyone -----------------------------------------------------------------------------------

    def broadcast_info(self, participant: Participant) -> None:
        event = ParticipantsUpdated([participant.info])
        for other in self.participants():
            if other is not participant:
                other.emit(event)

    def announce(self, publication: Publication) -> None:
        for other in self.participants():
            other.offer_publication(publication)

    def update_speakers(self, heard: Mapping[ParticipantId, tuple[int, int]]) -> None:
        changed = self._speakers.update(heard)
        if changed:
            event = SpeakersChanged(changed)
            for participant in self.participants():
                participant.emit(event)

    def active_speakers(self) -> Sequence[Speaker]:
        return self._speakers.active()

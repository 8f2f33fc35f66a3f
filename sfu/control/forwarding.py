"""Participants of other rooms that are shown in a room: they publish there and take nothing from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sfu.api import LeaveReason, ParticipantInfo, ParticipantState, ParticipantsUpdated
from sfu.ids import Identity, RoomName, TrackId

if TYPE_CHECKING:
    from sfu.control.participant import Participant
    from sfu.control.publication import Publication
    from sfu.control.room import Room

FORWARDED = 1
"""LiveKit's ParticipantInfo.KindDetail."""


class ForwardedParticipants:
    """Those of one room. They have the ids of their originals, by which clients match them with their media."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._originals: dict[Identity, Participant] = {}

    @property
    def room_name(self) -> RoomName:
        return self._room.name

    def __len__(self) -> int:
        return len(self._originals)

    def __contains__(self, identity: Identity) -> bool:
        return identity in self._originals

    def infos(self) -> list[ParticipantInfo]:
        return [forwarded(original.info) for original in self._originals.values()]

    def publications(self) -> list[Publication]:
        return [one for original in self._originals.values() for one in original.publisher.publications]

    def find_publication(self, track_id: TrackId) -> Publication | None:
        return next((one for one in self.publications() if one.track_id == track_id), None)

    def add(self, original: Participant) -> None:
        self._originals[original.info.identity] = original
        original.shown_in.append(self)
        self.handle_changed(original)
        for publication in original.publisher.publications:
            self._room.announce(publication)

    def handle_changed(self, original: Participant) -> None:
        self._tell(forwarded(original.info))

    def handle_published(self, publication: Publication) -> None:
        self._room.announce(publication)

    def remove(self, identity: Identity) -> None:
        original = self._originals.pop(identity, None)
        if original is None:
            return
        original.shown_in.remove(self)
        for member in self._room.participants():
            for publication in original.publisher.publications:
                member.subscriber.unsubscribe(publication.track_id)
        self._room.forget_speaker(original.info.participant_id)
        if not original.ended:
            self._tell(ended(forwarded(original.info), LeaveReason.PARTICIPANT_REMOVED))

    def close(self) -> None:
        for identity in list(self._originals):
            self.remove(identity)

    def _tell(self, info: ParticipantInfo) -> None:
        event = ParticipantsUpdated([info])
        for member in self._room.participants():
            member.emit(event)


def forwarded(info: ParticipantInfo) -> ParticipantInfo:
    return replace(info, kind_details=(*info.kind_details, FORWARDED))


def ended(info: ParticipantInfo, reason: LeaveReason) -> ParticipantInfo:
    """What those hear who lose sight of a participant that goes on elsewhere."""
    return replace(info, state=ParticipantState.DISCONNECTED, version=info.version + 1, tracks=(), leave_reason=reason)

"""Participants of other rooms that are shown in a room: they publish there and take nothing from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from sfu.api import LeaveReason, ParticipantInfo, ParticipantState, ParticipantsUpdated, SessionEvent
from sfu.control.publish.publication import Publication
from sfu.ids import Identity, ParticipantId, RoomName

FORWARDED = 1
"""LiveKit's ParticipantInfo.KindDetail."""


class Original(Protocol):
    """A participant of another room."""

    shown_in: list[ForwardedParticipants]

    @property
    def info(self) -> ParticipantInfo: ...

    @property
    def ended(self) -> bool: ...

    @property
    def publications(self) -> Sequence[Publication]: ...


class ShowingRoom(Protocol):
    """The room that they are shown in."""

    @property
    def name(self) -> RoomName: ...

    def broadcast(self, event: SessionEvent) -> None: ...

    def announce(self, publication: Publication) -> None: ...

    def withdraw(self, publication: Publication) -> None: ...

    def unsubscribe_all(self, publication: Publication) -> None: ...

    def forget_speaker(self, participant_id: ParticipantId) -> None: ...


class ForwardedParticipants:
    """Those of one room. They have the ids of their originals, by which clients match them with their media."""

    def __init__(self, room: ShowingRoom) -> None:
        self._room = room
        self._originals: dict[Identity, Original] = {}

    @property
    def room_name(self) -> RoomName:
        return self._room.name

    def __len__(self) -> int:
        return len(self._originals)

    def __contains__(self, identity: Identity) -> bool:
        return identity in self._originals

    def infos(self) -> list[ParticipantInfo]:
        return [forwarded(original.info) for original in self._originals.values()]

    def add(self, original: Original) -> None:
        self._originals[original.info.identity] = original
        original.shown_in.append(self)
        self.handle_changed(original)
        for publication in original.publications:
            self._room.announce(publication)

    def handle_changed(self, original: Original) -> None:
        self._tell(forwarded(original.info))

    def handle_published(self, publication: Publication) -> None:
        self._room.announce(publication)

    def handle_unpublished(self, publication: Publication) -> None:
        self._room.withdraw(publication)

    def remove(self, identity: Identity) -> None:
        original = self._originals.pop(identity, None)
        if original is None:
            return
        original.shown_in.remove(self)
        for publication in original.publications:
            self._room.unsubscribe_all(publication)
            self._room.withdraw(publication)
        self._room.forget_speaker(original.info.participant_id)
        if not original.ended:
            self._tell(ended(forwarded(original.info), LeaveReason.PARTICIPANT_REMOVED))

    def close(self) -> None:
        for identity in list(self._originals):
            self.remove(identity)

    def _tell(self, info: ParticipantInfo) -> None:
        self._room.broadcast(ParticipantsUpdated([info]))


def forwarded(info: ParticipantInfo) -> ParticipantInfo:
    return replace(info, kind_details=(*info.kind_details, FORWARDED), data_tracks=())


def ended(info: ParticipantInfo, reason: LeaveReason) -> ParticipantInfo:
    """What those hear who lose sight of a participant that goes on elsewhere."""
    return replace(
        info,
        state=ParticipantState.DISCONNECTED,
        version=info.version + 1,
        tracks=(),
        data_tracks=(),
        leave_reason=reason,
    )

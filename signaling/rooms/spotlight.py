"""Whom a host puts first for all: one person or one shared screen of a call.

It is an attribute of the participant, so that every client has it from the join on, those who come late too. It lasts
as long as the call: whoever leaves and comes again is first again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sfu.api import (
    NodeEvent,
    ParticipantChanges,
    ParticipantControl,
    ParticipantInfo,
    ParticipantJoined,
    RequestError,
    RoomFinished,
    Sfu,
)
from sfu.ids import Identity, RoomName

SPOTLIGHT_ATTRIBUTE = "ting.spotlight"
"""`camera` or `screen`: what of this participant comes first."""
BY_ATTRIBUTE = "ting.spotlight_by"
"""The name of the host who wanted it so."""


class Shown(StrEnum):
    CAMERA = "camera"
    SCREEN = "screen"


@dataclass(frozen=True, slots=True)
class Spotlight:
    identity: Identity
    shown: Shown
    by: str


class Spotlights:
    """One at most in each call."""

    def __init__(self, sfu: Sfu) -> None:
        self._sfu = sfu
        self._lit: dict[RoomName, Spotlight] = {}

    def put(self, room: RoomName, spotlight: Spotlight) -> None:
        self._lit[room] = spotlight
        self._show_all(room)

    def end(self, room: RoomName) -> bool:
        """Whether there was one."""
        had = self._lit.pop(room, None) is not None
        self._show_all(room)
        return had

    def handle(self, event: NodeEvent) -> None:
        match event:
            case ParticipantJoined(room, participant):
                self._show(room.name, participant)
            case RoomFinished(room):
                self._lit.pop(room.name, None)
            case _:
                pass

    def _show_all(self, room: RoomName) -> None:
        for participant in self._sfu.participants(room):
            self._show(room, participant)

    def _show(self, room: RoomName, participant: ParticipantInfo) -> None:
        wanted = self._lit.get(room)
        is_lit = wanted is not None and wanted.identity == participant.identity
        attributes = {
            SPOTLIGHT_ATTRIBUTE: wanted.shown.value if wanted is not None and is_lit else "",
            BY_ATTRIBUTE: wanted.by if wanted is not None and is_lit else "",
        }
        if any(participant.attributes.get(name, "") != value for name, value in attributes.items()):
            session = self._sfu.find_participant(room, participant.identity)
            if session is not None:
                _update(session, attributes)


def _update(session: ParticipantControl, attributes: dict[str, str]) -> None:
    try:
        session.update(ParticipantChanges(attributes=attributes))
    except RequestError:
        return  # It has left meanwhile.

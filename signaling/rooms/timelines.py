"""How the call that is under way in a room goes, for whoever may know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sfu.api import CallTimeline, ParticipantInfo, ParticipantState, Sfu
from sfu.ids import RoomName
from signaling.errors import ApiError
from signaling.rooms.homes import Homes
from signaling.rooms.roles import Actor, Role, member_id_of


def whose(actor: Actor, member_id: str) -> str:
    """The member whose timelines the actor gets; empty: everybody's. Owners and moderators may have all, others their
    own. Raises `ApiError` forbidden."""
    if actor.role.reaches(Role.MODERATOR):
        return member_id
    if member_id not in ("", actor.member_id):
        raise ApiError("forbidden", "Only owners and moderators see how a call goes for others.")
    return actor.member_id


@dataclass(frozen=True, slots=True)
class CallView:
    timelines: Sequence[CallTimeline]
    missing: Sequence[ParticipantInfo]
    """Who is in the call on another node, which has not answered."""


class CallTimelines:
    def __init__(self, sfu: Sfu, homes: Homes) -> None:
        self._sfu = sfu
        self._homes = homes

    async def view(self, actor: Actor, member_id: str = "") -> CallView:
        """In the room and its breakout rooms, of those who have left too. Raises `ApiError` forbidden."""
        member_id, rooms = whose(actor, member_id), self._homes.rooms_of(actor.room)
        timelines = [*self.here(rooms, member_id), *await self._elsewhere(rooms, member_id)]
        known = {one.participant_id for one in timelines}
        missing = [
            person
            for room in rooms
            for person in self._sfu.participants(room)
            if person.participant_id not in known
            and person.state is not ParticipantState.DISCONNECTED
            and member_id in ("", member_id_of(person.identity))
        ]
        return CallView(timelines, missing)

    def here(self, rooms: Sequence[RoomName], member_id: str) -> list[CallTimeline]:
        """Of those who are, or were, on this node."""
        everybody = (one for room in rooms for one in self._sfu.call_timelines(room))
        return [one for one in everybody if member_id in ("", member_id_of(one.identity))]

    async def _elsewhere(self, rooms: Sequence[RoomName], member_id: str) -> Sequence[CallTimeline]:
        return ()

"""Who has talked how long in a room, counted from the active speakers."""

from __future__ import annotations

from dataclasses import replace

from sfu.api import ParticipantInfo, TalkTime
from sfu.ids import Identity


class TalkTimes:
    """By identity, so that who leaves and comes again goes on where they were. Of more than `limit` people the one who
    has talked least is forgotten."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._times: dict[Identity, TalkTime] = {}

    def count(self, participant: ParticipantInfo, seconds: float) -> None:
        """It has talked for so long again."""
        before = self._times.get(participant.identity)
        self._put(TalkTime(participant.identity, participant.name, seconds + (before.seconds if before else 0.0)))

    def take_over(self, other: TalkTimes, identity: Identity) -> None:
        """Somebody comes here from another room with what they have talked there."""
        moved = other._times.pop(identity, None)
        if moved is not None:
            before = self._times.get(identity)
            self._put(replace(moved, seconds=moved.seconds + (before.seconds if before else 0.0)))

    def all(self) -> list[TalkTime]:
        """Whoever has talked most comes first."""
        return sorted(self._times.values(), key=lambda one: -one.seconds)

    def _put(self, time: TalkTime) -> None:
        if time.identity not in self._times and len(self._times) >= self._limit:
            del self._times[min(self._times.values(), key=lambda one: one.seconds).identity]
        self._times[time.identity] = time

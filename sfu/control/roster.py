"""How many are in a room, and of whom everybody is told: kept as people come and change, for a room of thousands is
asked with every join."""

from __future__ import annotations

from collections.abc import Iterator

from sfu.api import ParticipantInfo
from sfu.ids import ParticipantId

DEPENDENT_KINDS = frozenset({2, 4})
"""ParticipantInfo.Kind EGRESS and AGENT: helpers, which do not count as participants and keep no room open."""


class Roster:
    """Of those on this node and those on others."""

    def __init__(self) -> None:
        self._counted: dict[ParticipantId, tuple[int, int]] = {}
        """Whether each is one of the people, and of the publishers: 0 or 1."""
        self._people = self._publishers = 0
        self._announced: dict[ParticipantId, None] = {}
        """Those of whom everyone was told, in that order."""
        self._audience: set[ParticipantId] = set()
        """Those of whom nobody was told."""
        self._coming: dict[ParticipantId, None] = {}
        """Neither yet."""

    @property
    def counts(self) -> tuple[int, int]:
        """People, and those who publish."""
        return self._people, self._publishers

    @property
    def has_audience(self) -> bool:
        return bool(self._audience)

    def come(self, info: ParticipantInfo) -> None:
        self._counted[info.participant_id] = 0, 0
        if info.participant_id not in self._announced and info.participant_id not in self._audience:
            self._coming[info.participant_id] = None
        self.note(info)

    def note(self, info: ParticipantInfo) -> None:
        """It may have changed."""
        before = self._counted.get(info.participant_id)
        if before is not None:
            now = int(info.kind not in DEPENDENT_KINDS), int(info.is_publisher)
            self._counted[info.participant_id] = now
            self._people += now[0] - before[0]
            self._publishers += now[1] - before[1]

    def is_audience(self, info: ParticipantInfo, *, crowded: bool) -> bool:
        """Whether it is nobody's business. Who was told of in a smaller room goes on being told of."""
        participant_id = info.participant_id
        may_be_heard = info.permissions.can_publish or info.is_publisher or info.kind in DEPENDENT_KINDS
        self._coming.pop(participant_id, None)
        if may_be_heard or participant_id in self._announced or not (crowded or participant_id in self._audience):
            self._audience.discard(participant_id)
            self._announced[participant_id] = None
            return False
        self._audience.add(participant_id)
        return True

    def go(self, participant_id: ParticipantId) -> bool:
        """Whether everybody was told of it."""
        people, publishers = self._counted.pop(participant_id, (0, 0))
        self._people -= people
        self._publishers -= publishers
        self._announced.pop(participant_id, None)
        self._coming.pop(participant_id, None)
        if participant_id in self._audience:
            self._audience.discard(participant_id)
            return False
        return True

    def not_audience(self) -> Iterator[ParticipantId]:
        yield from self._announced
        yield from self._coming

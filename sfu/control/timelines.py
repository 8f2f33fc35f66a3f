"""How a call goes for one participant: what its line took, and which videos it was given less of, and why."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sfu.api import (
    CallTimeline,
    ConnectionGrade,
    LineFigures,
    Moment,
    ParticipantInfo,
    SubscriptionFigures,
    TimelineEntry,
)


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Timeline:
    """Keeps at most `limit` entries."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: list[TimelineEntry] = []
        self._grade: ConnectionGrade | None = None
        self._noted_at_s = 0.0
        self._left_at_ms: int | None = None
        self._line: LineFigures | None = None

    def note(self, entry: TimelineEntry) -> None:
        self._entries.append(entry)
        if len(self._entries) > self._limit:
            dullest = (at for at, one in enumerate(self._entries[:-1]) if one.what is Moment.LINE)
            del self._entries[next(dullest, 0)]

    def update(self, now_s: float, interval_s: float, grade: ConnectionGrade | None, line: LineFigures) -> None:
        """Figures of now; an entry when the grade has changed, and every `interval_s`."""
        self._line = line
        changed = grade is not self._grade
        if not changed and now_s - self._noted_at_s < interval_s:
            return
        self._grade, self._noted_at_s = grade, now_s
        self.note(TimelineEntry(wall_ms(), Moment.QUALITY if changed else Moment.LINE, grade=grade, line=line))

    def end(self) -> None:
        self._left_at_ms = wall_ms()
        self._line = None

    def of(self, info: ParticipantInfo, subscriptions: Sequence[SubscriptionFigures] = ()) -> CallTimeline:
        """Whose it is, and what that participant is sent now."""
        return CallTimeline(
            identity=info.identity,
            participant_id=info.participant_id,
            name=info.name,
            joined_at_ms=info.joined_at_ms,
            left_at_ms=self._left_at_ms,
            leave_reason=info.leave_reason,
            entries=tuple(self._entries),
            line=self._line,
            subscriptions=subscriptions,
        )

"""How a call goes for one participant: what its line took, and which videos it was given less of, and why."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from sfu.api import (
    CallTimeline,
    ConnectionGrade,
    LineFigures,
    Moment,
    ParticipantInfo,
    SubscriptionFigures,
    SwitchCause,
    TimelineEntry,
    TrackSource,
)
from sfu.ids import Identity, TrackId

SETTLING_MS = 3000
"""Other wishes of a client within so long are the same one: tiles change their size step by step."""
ESTIMATE_RATIO, LOSS_STEP = 1.25, 0.05
"""By so much what a line takes, or what it loses, is something else than before."""
_DULL = frozenset({SwitchCause.WISH, SwitchCause.SOURCE})


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Picture(NamedTuple):
    """What a viewer is to get of a video."""

    layer: int | None
    """None: nothing."""
    height: int | None


NOTHING = Picture(None, None)


@dataclass(frozen=True, slots=True)
class Switch:
    """A video is sent in another layer than before, or not any more, or again."""

    track_id: TrackId
    of: Identity
    source: TrackSource
    cause: SwitchCause
    before: Picture
    now: Picture

    @property
    def what(self) -> Moment:
        if self.now.layer is None:
            return Moment.PAUSED
        if self.before.layer is None:
            return Moment.RESUMED
        return Moment.LOWERED if self.now.layer < self.before.layer else Moment.RAISED


class Timeline:
    """Keeps at most `limit` entries: figures of the whole call, more and more widely spaced, beside as many events."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: list[TimelineEntry] = []
        self._last_switches: dict[TrackId, tuple[TimelineEntry, Switch]] = {}
        """That still may settle."""
        self._grade: ConnectionGrade | None = None
        self._noted: LineFigures | None = None
        self._noted_at_s = 0.0
        self._left_at_ms: int | None = None
        self._line: LineFigures | None = None
        self.limit_bps: int | None = None
        """What all videos together may take of the line now."""

    def note(self, entry: TimelineEntry) -> None:
        self._entries.append(entry)
        if len(self._entries) > self._limit:
            del self._entries[self._dullest()]

    def note_switch(self, switch: Switch, at_ms: int) -> None:
        """What a client wishes, or a publisher sends, counts once it stays so."""
        self._settle(at_ms)
        earlier = self._last_switches.pop(switch.track_id, None)
        if earlier is not None and switch.cause in _DULL and earlier[0] in self._entries:
            self._entries.remove(earlier[0])
            switch = replace(switch, before=earlier[1].before)
            if switch.before == switch.now:
                return
        entry = TimelineEntry(
            at_ms, switch.what, track_id=switch.track_id, of=switch.of, source=switch.source, cause=switch.cause,
            layer=switch.now.layer, height=switch.now.height, from_height=switch.before.height,
            limit_bps=self.limit_bps,
        )  # fmt: skip
        if switch.cause in _DULL:
            self._last_switches[switch.track_id] = entry, switch
        self.note(entry)

    def _settle(self, at_ms: int) -> None:
        over = [one for one, (entry, _) in self._last_switches.items() if at_ms - entry.at_ms >= SETTLING_MS]
        for track_id in over:
            del self._last_switches[track_id]

    def _dullest(self) -> int:
        """Where the entry is that says least; never the newest."""
        earlier = self._entries[:-1]
        lines = [at for at, one in enumerate(earlier) if one.what is Moment.LINE]
        if len(lines) > self._limit // 2:
            return self._closest(lines)
        dull = (at for at, one in enumerate(earlier) if one.cause in _DULL)
        events = (at for at, one in enumerate(earlier) if one.what is not Moment.LINE)
        return next(dull, next(events, 0))

    def _closest(self, lines: Sequence[int]) -> int:
        """Of figures, those whose neighbours are nearest to each other: what is left spans the whole call."""
        times = [self._entries[at].at_ms for at in lines]
        inner = range(1, len(lines) - 1)
        return lines[min(inner, key=lambda at: times[at + 1] - times[at - 1], default=0)]

    def update(self, now_s: float, interval_s: float, grade: ConnectionGrade | None, line: LineFigures) -> None:
        """Figures of now; an entry when the grade or the line has changed, and every `interval_s`."""
        self._line = line
        has_grade = grade is not self._grade
        due = now_s - self._noted_at_s >= interval_s or self._noted is None or _differ(self._noted, line)
        if not has_grade and not due:
            return
        self._grade, self._noted, self._noted_at_s = grade, line, now_s
        self.note(TimelineEntry(wall_ms(), Moment.QUALITY if has_grade else Moment.LINE, grade=grade, line=line))

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


def _differ(before: LineFigures, now: LineFigures) -> bool:
    """Enough to be seen."""
    first, second = before.estimate_bps, now.estimate_bps
    if first is None or second is None:
        if first is not second:
            return True
    elif max(first, second) >= ESTIMATE_RATIO * min(first, second):
        return True
    losses = (before.sent_loss, now.sent_loss), (before.received_loss, now.received_loss)
    return any(abs(one - other) >= LOSS_STEP for one, other in losses)

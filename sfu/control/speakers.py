"""Active speakers, from the audio levels (RFC 6464) that the engine gathers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sfu.api import Speaker
from sfu.control.context import TrackHolder
from sfu.engine.api import AudioLevel
from sfu.ids import ParticipantId, RoomName, TrackHandle

ACTIVE_LEVEL_DBOV = 40
"""Louder than this (a smaller number) can be speech."""
ACTIVE_SHARE = 0.3
"""Share of the interval that must be speech to start being active; half of it is enough to stay."""
HOLD_INTERVALS = 2
"""Quiet intervals before a speaker stops being one, so that pauses between words do not flicker."""
SMOOTHING = 0.5
"""Weight of the newest level."""
LEVEL_STEPS = 8
"""Levels are reported in steps of an eighth, so that small changes cost no message."""


@dataclass(slots=True)
class _State:
    level: float = 0.0
    quiet: int = 0
    active: bool = False
    reported: Speaker | None = None


class SpeakerDetector:
    """Feed it once per interval; it returns who changed."""

    def __init__(self, interval_ms: int) -> None:
        self._interval_ms = interval_ms
        self._states: dict[ParticipantId, _State] = {}

    def update(self, heard: Mapping[ParticipantId, tuple[int, int]]) -> list[Speaker]:
        """`heard` maps a participant to (level in -dBov, milliseconds of speech) of its loudest track."""
        changed = []
        for participant_id in heard:
            self._states.setdefault(participant_id, _State())
        for participant_id, state in list(self._states.items()):
            level_dbov, active_ms = heard.get(participant_id, (127, 0))
            speaker = self._step(participant_id, state, level_dbov, active_ms)
            if speaker != state.reported:
                if state.reported is not None or speaker.active:
                    changed.append(speaker)
                state.reported = speaker
            if not speaker.active and participant_id not in heard:
                del self._states[participant_id]
        changed.sort(key=lambda speaker: -speaker.level)
        return changed

    def remove(self, participant_id: ParticipantId) -> None:
        self._states.pop(participant_id, None)

    def active(self) -> list[Speaker]:
        """Who speaks now, for those who join."""
        return [state.reported for state in self._states.values() if state.reported and state.reported.active]

    def _step(self, participant_id: ParticipantId, state: _State, level_dbov: int, active_ms: int) -> Speaker:
        share = active_ms / self._interval_ms
        needed = ACTIVE_SHARE / 2 if state.active else ACTIVE_SHARE
        loud = level_dbov <= ACTIVE_LEVEL_DBOV and share >= needed
        linear = 10.0 ** (-level_dbov / 20) if loud else 0.0
        state.level += SMOOTHING * (linear - state.level)
        state.quiet = 0 if loud else state.quiet + 1
        state.active = loud or (state.active and state.quiet <= HOLD_INTERVALS)
        if not state.active:
            return Speaker(participant_id, 0.0, False)
        # Square root: an amplitude of 0.1 is ordinary speech and should not look like silence.
        step = max(1, round(min(1.0, state.level) ** 0.5 * LEVEL_STEPS))
        return Speaker(participant_id, step / LEVEL_STEPS, True)


Heard = Mapping[ParticipantId, tuple[int, int]]
"""Of one interval, by participant: level in -dBov and milliseconds of speech of its loudest track."""


def sort_levels(
    levels: Iterable[AudioLevel], tracks: Mapping[TrackHandle, TrackHolder], rooms: Iterable[RoomName]
) -> dict[RoomName, Heard]:
    """What was heard in each of the rooms."""
    heard: dict[RoomName, dict[ParticipantId, tuple[int, int]]] = {name: {} for name in rooms}
    for level in levels:
        holder = tracks.get(level.track)
        if holder is None:
            continue
        speaker = holder.owner.info.participant_id
        for room_name in holder.owner.seen_in():
            of_room = heard.get(room_name)
            if of_room is not None:
                before = of_room.get(speaker, (127, 0))
                of_room[speaker] = min(before, (level.level_dbov, level.active_ms))
    return {**heard}

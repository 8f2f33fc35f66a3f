"""Whom a player shows: one picture and one sound out of a room, chosen anew whenever something changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from sfu.api import ParticipantInfo, PlaybackWish, TrackSource
from sfu.control.publish.publication import Publication
from sfu.ids import ParticipantId
from sfu.kind import Kind

HOLD_S = 2.0
"""A speaker stays in the picture this long, so that one word of another does not change it."""

_PREFERRED: Mapping[Kind, Sequence[TrackSource]] = {
    Kind.VIDEO: (TrackSource.CAMERA, TrackSource.SCREEN_SHARE),
    Kind.AUDIO: (TrackSource.MICROPHONE, TrackSource.SCREEN_SHARE_AUDIO),
}
"""Of one participant, best first; sources of no known kind come last."""
_WITH_SOURCE = {TrackSource.SCREEN_SHARE: (TrackSource.SCREEN_SHARE, TrackSource.SCREEN_SHARE_AUDIO)}
"""What a wish for one source brings besides."""

Cast = Mapping[Kind, Publication | None]


class Performer(Protocol):
    """Who may be shown."""

    @property
    def info(self) -> ParticipantInfo: ...

    @property
    def publications(self) -> Sequence[Publication]: ...


class Casting:
    """One player's choice. `choose` is called with everyone else in the room, in order of joining."""

    def __init__(self, wish: PlaybackWish) -> None:
        self._wish = wish
        self._focus: ParticipantId | None = None
        self._hold_until_s = 0.0
        self.again_in_s: float | None = None
        """After which `choose` would give something else though nothing has changed."""

    def choose(self, others: Sequence[Performer], speaking: Sequence[ParticipantId], now_s: float) -> Cast:
        """`speaking` is loudest first."""
        self.again_in_s = None
        if self._wish.identity is None:
            return self._choose_main(others, speaking, now_s)
        named = next((one for one in others if one.info.identity == self._wish.identity), None)
        if named is None:
            return {Kind.VIDEO: None, Kind.AUDIO: None}
        publications = named.publications
        source = self._wish.source
        if source is not None:
            sources = _WITH_SOURCE.get(source, (source,))
            publications = [one for one in publications if one.info.source in sources]
        return {kind: _best(publications, kind) for kind in Kind}

    def _choose_main(self, others: Sequence[Performer], speaking: Sequence[ParticipantId], now_s: float) -> Cast:
        """The picture is a shared screen while there is one, else who speaks; the sound is always who speaks."""
        publishing = [one for one in others if one.publications]
        focus = self._move_focus(publishing, speaking, now_s)
        if focus is None:
            return {Kind.VIDEO: None, Kind.AUDIO: None}
        everyone = [focus, *(one for one in publishing if one is not focus)]
        every_track = [track for one in everyone for track in one.publications]
        screens = [track for track in every_track if track.info.source is TrackSource.SCREEN_SHARE]
        video = screens[0] if screens else _best(every_track, Kind.VIDEO)
        audio = _best(focus.publications, Kind.AUDIO)
        if audio is None and video is not None:
            owner = next(one for one in everyone if video in one.publications)
            audio = _best(owner.publications, Kind.AUDIO)
        return {Kind.VIDEO: video, Kind.AUDIO: audio}

    def _move_focus(
        self, publishing: Sequence[Performer], speaking: Sequence[ParticipantId], now_s: float
    ) -> Performer | None:
        by_id = {one.info.participant_id: one for one in publishing}
        current = by_id.get(self._focus) if self._focus is not None else None
        heard = next((by_id[one] for one in speaking if one in by_id), None)
        if current is not None:
            if self._focus in speaking or heard is None:
                return current
            if now_s < self._hold_until_s:
                self.again_in_s = self._hold_until_s - now_s
                return current
        chosen = heard or next(iter(publishing), None)
        self._focus = None if chosen is None else chosen.info.participant_id
        self._hold_until_s = now_s + (HOLD_S if heard is not None else 0.0)
        return chosen


def _best(publications: Iterable[Publication], kind: Kind) -> Publication | None:
    """By source, then in the given order."""
    order = [*_PREFERRED[kind], *TrackSource]
    of_kind = [one for one in publications if one.info.kind is kind]
    return min(of_kind, key=lambda one: order.index(one.info.source), default=None)

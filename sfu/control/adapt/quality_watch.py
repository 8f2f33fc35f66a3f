"""How good everyone's connection is, told to everyone concerned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sfu.api import ConnectionGrade, ConnectionQualitiesChanged, ConnectionQuality
from sfu.control.adapt import quality
from sfu.control.adapt.figures import Figures
from sfu.control.adapt.rooms import AdaptedParticipant, AdaptedRoom
from sfu.control.publish.encoding import Encoding
from sfu.engine.api import LayerStats
from sfu.ids import ParticipantId, TrackHandle
from sfu.kind import Kind

LOST_S = 10.0
"""A peer that has not checked its path for this long is lost; libwebrtc checks every 2.5 s at least."""


class QualityWatch:
    """Works out everyone's connection quality and tells everyone of themselves and of those that they receive."""

    def __init__(self) -> None:
        self._points: dict[ParticipantId, float] = {}
        self._missing: dict[TrackHandle, int] = {}
        self._told: dict[ParticipantId, ConnectionGrade] = {}
        """What other nodes were told."""

    def run(self, rooms: Sequence[AdaptedRoom], figures: Figures, now_s: float) -> None:
        points: dict[ParticipantId, float] = {}
        missing: dict[TrackHandle, int] = {}
        for room in rooms:
            grades: dict[ParticipantId, ConnectionQuality] = {}
            for participant in room.participants():
                participant_id = participant.info.participant_id
                now = min(
                    [quality.BEST, *self._sending(participant, figures, missing), *_receiving(participant, figures)]
                )
                points[participant_id] = smoothed = quality.smoothed(self._points.get(participant_id, now), now)
                grade = quality.grade(smoothed)
                if participant.is_silent(now_s, LOST_S):
                    grade, smoothed = ConnectionGrade.LOST, 0.0
                grades[participant_id] = ConnectionQuality(participant_id, grade, quality.mean_opinion_score(smoothed))
            self._tell_nodes(room, grades)
            grades |= {one.participant_id: one for one in room.qualities_elsewhere()}
            for participant in room.participants():
                _tell(participant, grades)
        self._told = {one: grade for one, grade in self._told.items() if one in points}
        self._points, self._missing = points, missing

    def _tell_nodes(self, room: AdaptedRoom, grades: Mapping[ParticipantId, ConnectionQuality]) -> None:
        changed = [one for one in grades.values() if self._told.get(one.participant_id) is not one.grade]
        self._told.update((one.participant_id, one.grade) for one in changed)
        if changed:
            room.tell_qualities(changed)

    def _sending(
        self, participant: AdaptedParticipant, figures: Figures, missing_now: dict[TrackHandle, int]
    ) -> Iterable[float]:
        for publication in participant.publications:
            if publication.info.muted:
                continue
            for encoding in publication.encodings:
                loss = figures.loss_of(encoding.track)
                if loss is None:
                    continue
                streams = figures.layers.get(encoding.track, ())
                is_audio = publication.info.kind is Kind.AUDIO
                # The packets of one picture leave together, so the jitter of a video says little.
                jitter_ms = max((one.jitter_ms for one in streams), default=0.0) if is_audio else 0.0
                wanted = publication.demand.told.get(encoding.name, 0) if publication.demand is not None else 0
                missing_now[encoding.track] = missing = _missing_layers(encoding, streams, wanted)
                # Encoders need a moment for a layer that is wanted again.
                lasting = min(missing, self._missing.get(encoding.track, 0))
                yield quality.points(loss, jitter_ms=jitter_ms, missing_layers=lasting)


def _tell(viewer: AdaptedParticipant, grades: Mapping[ParticipantId, ConnectionQuality]) -> None:
    subscriptions = viewer.subscriptions
    seen = {viewer.info.participant_id: None}
    seen |= dict.fromkeys(one.publication.owner.info.participant_id for one in subscriptions)
    qualities = [grades[participant_id] for participant_id in seen if participant_id in grades]
    changed = [one for one in qualities if viewer.told_grades.get(one.participant_id) is not one.grade]
    if changed:
        viewer.emit(ConnectionQualitiesChanged(changed))
    viewer.told_grades = {one.participant_id: one.grade for one in qualities}


def _missing_layers(encoding: Encoding, streams: Sequence[LayerStats], wanted: int) -> int:
    """How many layers of the wanted quality and below do not arrive though the lowest does."""
    announced = encoding.target_layers()
    if len(streams) < 2 or len(announced) != len(streams):
        return 0
    expected = [index for index, layer in enumerate(announced) if layer.quality <= wanted]
    active = [index for index, stream in enumerate(streams) if stream.active]
    return max(0, expected[-1] - active[-1]) if expected and active else 0


def _receiving(participant: AdaptedParticipant, figures: Figures) -> Iterable[float]:
    for subscription in participant.subscriptions:
        flow = figures.flow(subscription)
        if subscription.paused:
            yield quality.points(0.0, paused=True)
        elif flow is not None and flow.packets > 0:
            layers = len(subscription.target_layers())
            wanted = min(subscription.desired_spatial, layers - 1)
            missing = wanted - min(wanted, subscription.allowed_spatial)
            yield quality.points(flow.loss, rtt_ms=flow.rtt_ms, missing_layers=missing)

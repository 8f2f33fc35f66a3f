"""Now and then: how much video each downlink takes, and how good each connection is.

The engine's figures are asked for only when a downlink looks congested, and every few seconds for the quality.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sfu.api import (
    ConnectionGrade,
    ConnectionQualitiesChanged,
    ConnectionQuality,
    Kind,
    StreamState,
    StreamStatesChanged,
    TrackSource,
)
from sfu.control import quality
from sfu.control.context import ControlContext
from sfu.control.downlink import Downlink, SteadyBitrates, Want, allocate, fit
from sfu.control.participant import Participant
from sfu.control.publication import Encoding
from sfu.control.room import Room
from sfu.control.subscription import Subscription
from sfu.engine.api import HIGHEST_LAYER, EngineStats, LayerStats
from sfu.ids import ParticipantId, TrackHandle, TransportHandle

INTERVAL_S = 1.0
LOST_S = 10.0
"""A peer that has not checked its path for this long is lost; libwebrtc checks every 2.5 s at least."""
REPORTED_AFTER_S = 12.0
"""What a publisher lost may still be in its receivers' reports: those of sound come every five seconds or so, are of
the time since the one before, and stand until the next."""
UNKNOWN_LOWEST_BPS, UNKNOWN_RATIO = 100_000, 3
"""Costs of a layer that is not sent now and whose bitrate its publisher did not announce."""
SVC_SHARES = (0.15, 0.4, 1.0)
"""What of an SVC stream its spatial layers take, when that was not announced."""
LAST_PRIORITY = 1 << 32


@dataclass(slots=True)
class Flow:
    """What one subscription sent since the figures before."""

    packets: int
    bitrate_bps: float
    loss: float
    """Share that was lost on the way from here: what was lost before leaves gaps too, and is not counted."""
    rtt_ms: float


class Figures:
    """The engine's figures at one time, and what has changed since those before."""

    def __init__(self, stats: EngineStats, now_s: float, before: Figures | None) -> None:
        self._at_s = now_s
        self._subscriptions = {one.subscription: one for one in stats.subscriptions}
        self.layers: dict[TrackHandle, Sequence[LayerStats]] = {one.track: one.layers for one in stats.tracks}
        self._before = before
        self._lost: dict[TrackHandle, list[tuple[float, float]]] = {}
        """By track, when and which share of it was lost before it came here."""
        if before is not None:
            before._before = None
        for track in self.layers:
            earlier = before._lost.get(track, []) if before is not None else []
            lost = [*earlier, (now_s, self.loss_of(track) or 0.0)]
            self._lost[track] = [one for one in lost if now_s - one[0] < REPORTED_AFTER_S]

    def flow(self, subscription: Subscription) -> Flow | None:
        handle, encoding, before = subscription.handle, subscription.encoding, self._before
        if handle is None or encoding is None:
            return None
        now = self._subscriptions.get(handle)
        earlier = before._subscriptions.get(handle) if before is not None else None
        if now is None or earlier is None or before is None or self._at_s <= before._at_s:
            return None
        elapsed_s = self._at_s - before._at_s
        bitrate_bps = 8 * (now.bytes_sent - earlier.bytes_sent) / elapsed_s
        packets = now.packets_sent - earlier.packets_sent
        lost_before = max((share for _, share in self._lost.get(encoding.track, ())), default=0.0)
        loss = max(0.0, now.fraction_lost - lost_before)
        if packets > 0:
            # What a resend without RTX mends is no loss in receiver reports, yet it was lost on the way.
            loss = max(loss, (now.retransmitted_packets_sent - earlier.retransmitted_packets_sent) / packets)
        return Flow(packets, bitrate_bps, min(1.0, loss), now.rtt_ms or 0.0)

    def loss_of(self, track: TrackHandle) -> float | None:
        """Share of a track's packets that was lost for good; None while it sends nothing."""
        if self._before is None or track not in self._before.layers:
            return None
        now, before = self.layers.get(track, ()), self._before.layers[track]
        received = sum(one.packets_received for one in now) - sum(one.packets_received for one in before)
        lost = max(0, sum(one.packets_lost for one in now) - sum(one.packets_lost for one in before))
        return lost / (received + lost) if received > 0 else None


class Adaptation:
    def __init__(self, context: ControlContext, rooms: Callable[[], Iterable[Room]]) -> None:
        self._context = context
        self._rooms = rooms
        self._downlinks: dict[TransportHandle, Downlink] = {}
        self._sent_bps: dict[TransportHandle, float] = {}
        self._bitrates = SteadyBitrates()
        self._figures: Figures | None = None
        self._quality = QualityWatch(context)
        self._quality_due_s = 0.0

    def handle_estimate(self, transport: TransportHandle, bitrate_bps: int) -> None:
        """A REMB of a peer."""
        self._open(transport).handle_estimate(self._context.loop.time(), bitrate_bps)

    def _open(self, transport: TransportHandle) -> Downlink:
        downlink = self._downlinks.get(transport)
        if downlink is None:
            config = self._context.config
            downlink = Downlink(config.downlink_probe_interval_s, config.downlink_probe_backoff_s)
            self._downlinks[transport] = downlink
        return downlink

    def run(self) -> None:
        """Once every `INTERVAL_S`."""
        now_s = self._context.loop.time()
        rooms = list(self._rooms())
        self._forget_gone(rooms)
        quality_due = now_s >= self._quality_due_s
        suspicious = any(
            downlink.is_suspicious(self._sent_bps.get(transport, 0.0))
            for transport, downlink in self._downlinks.items()
        )
        if not quality_due and not suspicious:
            return
        self._figures = figures = Figures(self._context.engine.stats(), now_s, self._figures)
        self._bitrates.update(
            now_s, {track: [one.bitrate_bps for one in layers] for track, layers in figures.layers.items()}
        )
        for room in rooms:
            speakers = {speaker.participant_id for speaker in room.active_speakers()}
            for participant in room.participants():
                self._fit(participant, speakers, figures, now_s)
        if quality_due:
            self._quality_due_s = now_s + self._context.config.connection_quality_interval_s
            self._quality.run(rooms, figures, now_s)

    def _forget_gone(self, rooms: Sequence[Room]) -> None:
        if not self._downlinks:
            return
        participants = [participant for room in rooms for participant in room.participants()]
        present = {p.subscriber.transport.handle for p in participants if p.subscriber.transport is not None}
        for transport in self._downlinks.keys() - present:
            del self._downlinks[transport]
            self._sent_bps.pop(transport, None)

    # --- one downlink -----------------------------------------------------------------------------------------

    def _fit(self, participant: Participant, speakers: set[ParticipantId], figures: Figures, now_s: float) -> None:
        transport = participant.subscriber.transport
        if transport is None:
            return
        if participant.simulated_bandwidth_bps is not None:
            self._open(transport.handle)
        downlink = self._downlinks.get(transport.handle)
        if downlink is None:
            return
        videos = [one for one in participant.subscriber.subscriptions.values() if _takes_bandwidth(one)]
        videos.sort(key=lambda one: _priority(one, speakers))
        sent_bps, loss = _sent_and_lost(videos, figures)
        self._sent_bps[transport.handle] = sent_bps
        if downlink.update(now_s, sent_bps, loss):
            self._context.counters["downlink_cuts"] += 1
        wants = [
            Want(
                layer_costs(one, figures.layers, self._bitrates),
                None if one.paused else one.allowed_spatial,
                participant.allow_pause,
            )
            for one in videos
        ]
        if downlink.limit_bps is not None and downlink.may_try(now_s):
            downlink.try_more(now_s, allocate(wants, downlink.limit_bps).next_bps)
        states: list[StreamState] = []
        layers = fit(wants, downlink.limit_bps, participant.simulated_bandwidth_bps)
        for subscription, want, layer in zip(videos, wants, layers, strict=True):
            subscription.allowed_spatial = HIGHEST_LAYER if layer in (None, len(want.costs_bps) - 1) else layer
            if subscription.paused != (layer is None):
                subscription.set_paused(layer is None)
                states.append(subscription.stream_state())
            subscription.apply_settings(self._context.engine)
        if states:
            participant.emit(StreamStatesChanged(states))


def _takes_bandwidth(subscription: Subscription) -> bool:
    info = subscription.publication.info
    wanted = subscription.handle is not None and not subscription.settings.disabled
    return wanted and info.kind is Kind.VIDEO and not info.muted


def _priority(subscription: Subscription, speakers: set[ParticipantId]) -> tuple[int, bool, bool, int]:
    """What the client ranks, then screens, then who speaks, then what is shown large."""
    settings, publication = subscription.settings, subscription.publication
    return (
        settings.priority or LAST_PRIORITY,
        publication.info.source is not TrackSource.SCREEN_SHARE,
        publication.publisher.info.participant_id not in speakers,
        -settings.width * settings.height,
    )


def _sent_and_lost(videos: Sequence[Subscription], figures: Figures) -> tuple[float, float]:
    """Bits per second sent, and the share of them that is lost."""
    flows = [flow for one in videos if (flow := figures.flow(one)) is not None]
    sent_bps = sum(flow.bitrate_bps for flow in flows)
    lost_bps = sum(flow.bitrate_bps * flow.loss for flow in flows)
    return sent_bps, lost_bps / sent_bps if sent_bps > 0 else 0.0


def layer_costs(
    subscription: Subscription, layers: Mapping[TrackHandle, Sequence[LayerStats]], bitrates: SteadyBitrates
) -> list[float]:
    """Bitrates of the layers up to the wanted one, lowest first: measured where they are sent, else announced."""
    encoding = subscription.encoding or subscription.publication.primary
    streams, measured = layers.get(encoding.track, ()), bitrates.of(encoding.track)
    announced = encoding.target_layers()
    if len(streams) > 1:
        costs: list[float] = []
        for index, stream in enumerate(streams):
            bitrate_bps = measured[index] if stream.active else 0
            if not bitrate_bps and index < len(announced):
                bitrate_bps = announced[index].bitrate_bps
            costs.append(bitrate_bps or (UNKNOWN_RATIO * costs[-1] if costs else UNKNOWN_LOWEST_BPS))
    else:
        total = measured[0] if measured else 0.0
        costs = [total * share for share in _shares(encoding)]
    return costs[: subscription.desired_spatial + 1]


def _shares(encoding: Encoding) -> Sequence[float]:
    """Of a single stream: what its spatial layers take of it."""
    announced = encoding.target_layers()
    if not announced:
        return (1.0,)
    top = announced[-1].bitrate_bps
    if top > 0 and all(layer.bitrate_bps > 0 for layer in announced):
        return [layer.bitrate_bps / top for layer in announced]
    return SVC_SHARES[-len(announced) :]


class QualityWatch:
    """Works out everyone's connection quality and tells everyone of themselves and of those that they receive."""

    def __init__(self, context: ControlContext) -> None:
        self._context = context
        self._points: dict[ParticipantId, float] = {}
        self._missing: dict[TrackHandle, int] = {}

    def run(self, rooms: Sequence[Room], figures: Figures, now_s: float) -> None:
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
            for participant in room.participants():
                _tell(participant, grades)
        self._points, self._missing = points, missing

    def _sending(
        self, participant: Participant, figures: Figures, missing_now: dict[TrackHandle, int]
    ) -> Iterable[float]:
        for publication in participant.publisher.publications:
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


def _tell(viewer: Participant, grades: Mapping[ParticipantId, ConnectionQuality]) -> None:
    subscriptions = viewer.subscriber.subscriptions.values()
    seen = {viewer.info.participant_id: None}
    seen |= dict.fromkeys(one.publication.publisher.info.participant_id for one in subscriptions)
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


def _receiving(participant: Participant, figures: Figures) -> Iterable[float]:
    for subscription in participant.subscriber.subscriptions.values():
        flow = figures.flow(subscription)
        if subscription.paused:
            yield quality.points(0.0, paused=True)
        elif flow is not None and flow.packets > 0:
            layers = len(subscription.target_layers())
            wanted = min(subscription.desired_spatial, layers - 1)
            missing = wanted - min(wanted, subscription.allowed_spatial)
            yield quality.points(flow.loss, rtt_ms=flow.rtt_ms, missing_layers=missing)

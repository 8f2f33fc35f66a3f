"""What a participant's line carries, for its timeline and for whoever asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sfu.api import LineFigures, SubscriptionFigures
from sfu.control.adapt.figures import Figures
from sfu.control.adapt.rooms import AdaptedParticipant, AdaptedRoom
from sfu.control.histograms import LineHistograms
from sfu.control.subscribe.subscription import Subscription


def watch(
    rooms: Iterable[AdaptedRoom], figures: Figures, now_s: float, interval_s: float, histograms: LineHistograms
) -> None:
    """Once everyone's connection has its grade."""
    for room in rooms:
        for participant in room.participants():
            grade = participant.told_grades.get(participant.info.participant_id)
            line = line_of(participant, figures)
            participant.timeline.update(now_s, interval_s, grade, line)
            histograms.observe(line)


def line_of(participant: AdaptedParticipant, figures: Figures) -> LineFigures:
    flows = [flow for one in participant.subscriptions if (flow := figures.flow(one)) is not None and flow.packets]
    tracks = [encoding.track for one in participant.publications for encoding in one.encodings]
    delays_ms = [flow.rtt_ms for flow in flows if flow.rtt_ms > 0]
    return LineFigures(
        sent_bps=round(sum(flow.bitrate_bps for flow in flows)),
        estimate_bps=figures.estimate_of(participant.downlink),
        sent_loss=max((flow.loss for flow in flows), default=0.0),
        rtt_ms=max(delays_ms, default=None),
        received_bps=sum(layer.bitrate_bps for track in tracks for layer in figures.layers.get(track, ())),
        received_loss=max((figures.loss_of(track) or 0.0 for track in tracks), default=0.0),
    )


def figures_of(
    subscriptions: Iterable[Subscription], figures: Figures, target_bps: Callable[[Subscription], int | None]
) -> Sequence[SubscriptionFigures]:
    return [_figures_of(one, figures, target_bps(one)) for one in subscriptions]


def _figures_of(subscription: Subscription, figures: Figures, target_bps: int | None) -> SubscriptionFigures:
    publication, flow = subscription.publication, figures.flow(subscription)
    layers = len(subscription.target_layers())
    sends = flow is not None and flow.packets > 0
    return SubscriptionFigures(
        track_id=publication.track_id,
        of=publication.owner.info.identity,
        source=publication.info.source,
        wanted_layer=max(0, min(subscription.desired_spatial, layers - 1)),
        target_bps=target_bps,
        height=subscription.target_picture.height,
        layer=(flow.spatial or 0) if flow is not None and sends else None,
        paused=subscription.paused,
        sent_bps=round(flow.bitrate_bps) if flow is not None else 0,
        loss=flow.loss if flow is not None and sends else 0.0,
        rtt_ms=(flow.rtt_ms or None) if flow is not None else None,
        redundancy=None if subscription.redundancy is None else subscription.redundancy.frames,
        cause=subscription.switch_cause,
        switched_at_ms=subscription.switched_at_ms,
    )

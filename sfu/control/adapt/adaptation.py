"""Now and then: how much video each downlink takes, and how good each connection is.

The engine's figures are asked for only when a downlink looks congested, and every few seconds for the quality.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from sfu.api import StreamState, StreamStatesChanged, SubscriptionFigures, TrackSource
from sfu.control.adapt.allocation import PATIENT, Want, allocate, fit, pauses
from sfu.control.adapt.call_watch import figures_of, watch
from sfu.control.adapt.downlink import Downlink, SteadyBitrates
from sfu.control.adapt.fec import VideoFec
from sfu.control.adapt.figures import Figures, Flow
from sfu.control.adapt.line import Line
from sfu.control.adapt.quality_watch import QualityWatch
from sfu.control.adapt.rooms import AdaptedParticipant, AdaptedRoom
from sfu.control.adapt.sound import SoundProtection, Subscriber
from sfu.control.adapt.uplink import Uplinks
from sfu.control.context import ControlContext
from sfu.control.publish.encoding import Encoding
from sfu.control.subscribe.subscription import Subscription
from sfu.engine.api import HIGHEST_LAYER, MAX_WANTED_BPS, OVERHEAD_BYTES, LayerStats
from sfu.ids import ParticipantId, TrackHandle, TransportHandle
from sfu.kind import Kind

logger = logging.getLogger(__name__)

INTERVAL_S = 1.0
UNKNOWN_LOWEST_BPS, UNKNOWN_RATIO = 100_000, 3
"""Costs of a layer that is not sent now and whose bitrate its publisher did not announce."""
UNKNOWN_BPS = 300_000
"""The same of a video that is one stream."""
SVC_SHARES = (0.15, 0.4, 1.0)
"""What of an SVC stream its spatial layers take, when that was not announced."""
LAST_PRIORITY = 1 << 32
AUDIO_OVERHEAD_BPS = 8 * 50 * OVERHEAD_BYTES
"""Beside the payload of an audio track: 50 packets a second."""


class Adaptation:
    def __init__(self, context: ControlContext, rooms: Callable[[], Iterable[AdaptedRoom]]) -> None:
        self._context = context
        self._rooms = rooms
        self._downlinks: dict[TransportHandle, Line] = {}
        self._receivers: dict[TransportHandle, tuple[AdaptedRoom, AdaptedParticipant]] = {}
        self._layers: Mapping[TrackHandle, Sequence[LayerStats]] = {}
        self._layers_at_s = -math.inf
        self._sent_bps: dict[TransportHandle, float] = {}
        self._bitrates = SteadyBitrates()
        self._figures: Figures | None = None
        self._quality = QualityWatch()
        self._quality_due_s = 0.0
        self._sound = SoundProtection(context.engine)
        self._fec = VideoFec(context.engine, context.config)
        self._uplinks = Uplinks(context, rooms)

    def handle_estimate(self, transport: TransportHandle, bitrate_bps: int) -> None:
        """A REMB of a peer. It says nothing where the engine measures the line itself."""
        self._open(transport).handle_remb(self._context.loop.time(), bitrate_bps)

    def handle_line(self, transport: TransportHandle, bitrate_bps: int) -> None:
        """What a peer's line takes has changed. Video that does not fit any more stops at once."""
        line = self._downlinks[transport] = self._open(transport).measured()
        has_fallen = line.handle_estimate(bitrate_bps)
        if not has_fallen and not line.needs_more:
            return
        if has_fallen:
            self._context.counters["downlink_cuts"] += 1
        if transport not in self._receivers:
            self._find_receivers(self._rooms())
        receiver = self._receivers.get(transport)
        if receiver is not None and receiver[1].downlink == transport:
            room, participant = receiver
            now_s = self._context.loop.time()
            self._look_at_layers(now_s)
            self._fit(participant, _speakers(room), now_s)

    def handle_uplink(self, transport: TransportHandle, bitrate_bps: int) -> None:
        """Packets of a publisher wait on their way here."""
        self._look_at_layers(self._context.loop.time())
        self._uplinks.handle_narrow(transport, bitrate_bps, self._layers, self._bitrates)

    def _find_receivers(self, rooms: Iterable[AdaptedRoom]) -> None:
        self._receivers = {
            participant.downlink: (room, participant)
            for room in rooms
            for participant in room.participants()
            if participant.downlink is not None
        }

    def _look_at_layers(self, now_s: float) -> Mapping[TrackHandle, Sequence[LayerStats]]:
        """What tracks bring, as of a second ago at most: the engine measures that by the second."""
        if now_s - self._layers_at_s >= INTERVAL_S:
            stats = self._context.engine.stats()
            self._take_layers({one.track: one.layers for one in stats.tracks}, now_s)
        return self._layers

    def _take_layers(self, layers: Mapping[TrackHandle, Sequence[LayerStats]], now_s: float) -> None:
        self._layers, self._layers_at_s = layers, now_s
        self._bitrates.update(now_s, {track: [one.bitrate_bps for one in streams] for track, streams in layers.items()})

    def _open(self, transport: TransportHandle) -> Line:
        downlink = self._downlinks.get(transport)
        if downlink is None:
            config = self._context.config
            downlink = Downlink(config.downlink_probe_interval_s, config.downlink_probe_backoff_s)
            self._downlinks[transport] = downlink
        return downlink

    def run(self) -> None:
        """Once every `INTERVAL_S`."""
        now_s = self._context.loop.time()
        self._uplinks.run(now_s, lambda: self._look_at_layers(now_s))
        rooms = list(self._rooms())
        self._forget_gone(rooms)
        quality_due = now_s >= self._quality_due_s
        suspicious = any(
            downlink.is_suspicious(self._sent_bps.get(transport, math.inf))
            for transport, downlink in self._downlinks.items()
        )
        if not quality_due and not suspicious:
            return
        self._figures = figures = Figures(self._context.engine.stats(), now_s, self._figures)
        self._take_layers(figures.layers, now_s)
        for room in rooms:
            speakers = _speakers(room)
            for participant in room.participants():
                self._judge(participant, figures, now_s)
                self._fit(participant, speakers, now_s)
        estimate = figures.estimate_of
        everyone = [participant for room in rooms for participant in room.participants()]
        lines = (Subscriber(estimate(one.downlink), one.subscriptions, one.downlink) for one in everyone)
        self._sound.run(lines, figures, now_s)
        self._fec.run((one.subscriptions for one in everyone), figures, now_s)
        if quality_due:
            self._quality_due_s = now_s + self._context.config.connection_quality_interval_s
            self._quality.run(rooms, figures, now_s)
            watch(rooms, figures, now_s, self._context.config.timeline_interval_s, self._context.lines)

    def subscription_figures(self, participant: AdaptedParticipant) -> Sequence[SubscriptionFigures]:
        """What it is sent now, as of `connection_quality_interval_s` ago at most."""
        if self._figures is None:
            return []
        return figures_of(participant.subscriptions, self._figures, self._target_bps)

    def _target_bps(self, subscription: Subscription) -> int | None:
        """What the layer takes that a video is to get."""
        if subscription.publication.info.kind is not Kind.VIDEO:
            return None
        layer = subscription.target_picture.layer
        costs_bps = layer_costs(subscription, self._layers, self._bitrates)
        return 0 if layer is None else round(costs_bps[min(layer, len(costs_bps) - 1)])

    def _forget_gone(self, rooms: Sequence[AdaptedRoom]) -> None:
        if not self._downlinks:
            self._receivers.clear()
            return
        self._find_receivers(rooms)
        for transport in self._downlinks.keys() - self._receivers.keys():
            del self._downlinks[transport]
            self._sent_bps.pop(transport, None)

    # --- one downlink -----------------------------------------------------------------------------------------

    def _judge(self, participant: AdaptedParticipant, figures: Figures, now_s: float) -> None:
        """Whether too much is sent to it."""
        transport = participant.downlink
        if transport is None:
            return
        if participant.simulated_bandwidth_bps is not None:
            self._open(transport)
        downlink = self._downlinks.get(transport)
        if downlink is None:
            return
        videos = [one for one in participant.subscriptions if _takes_bandwidth(one)]
        flows = [flow for one in videos if (flow := figures.flow(one)) is not None]
        sent_bps, loss = _sent_and_lost(flows)
        if flows or not videos:
            self._sent_bps[transport] = sent_bps
        if downlink.update(now_s, sent_bps, loss):
            self._context.counters["downlink_cuts"] += 1

    def _fit(self, participant: AdaptedParticipant, speakers: set[ParticipantId], now_s: float) -> None:
        """Give its videos what there is room for."""
        transport = participant.downlink
        downlink = self._downlinks.get(transport) if transport is not None else None
        if transport is None or downlink is None:
            return
        downlink.set_other(_audio_bps(participant.subscriptions, self._layers, self._figures))
        videos = [one for one in participant.subscriptions if _takes_bandwidth(one)]
        videos.sort(key=lambda one: _priority(one, speakers))
        wants = [
            Want(
                layer_costs(one, self._layers, self._bitrates),
                None if one.paused else one.allowed_spatial,
                participant.allow_pause,
            )
            for one in videos
        ]
        if downlink.limit_bps is not None and downlink.may_try(now_s):
            share = allocate(wants, downlink.limit_bps)
            downlink.try_more(now_s, share.next_bps, is_paused=None in share.layers)
        self._context.engine.set_wanted_bitrate(transport, min(downlink.wanted_bps, MAX_WANTED_BPS))
        participant.timeline.limit_bps = None if downlink.limit_bps is None else round(downlink.limit_bps)
        states: list[StreamState] = []
        limits_bps = downlink.limit_bps, participant.simulated_bandwidth_bps
        layers = fit(wants, *limits_bps)
        if downlink.may_wait(now_s, is_over=pauses(wants, layers)):
            layers = fit(wants, *limits_bps, lowest_tolerance=PATIENT)
        for subscription, want, layer in zip(videos, wants, layers, strict=True):
            self._tell_switch(transport, subscription, want, layer)
            subscription.allowed_spatial = HIGHEST_LAYER if layer in (None, len(want.costs_bps) - 1) else layer
            if subscription.paused != (layer is None):
                subscription.set_paused(layer is None)
                states.append(subscription.stream_state())
            subscription.apply_settings(self._context.engine)
        if states:
            participant.emit(StreamStatesChanged(states))

    def _tell_switch(
        self, transport: TransportHandle, subscription: Subscription, want: Want, layer: int | None
    ) -> None:
        """Count it, and say in the log why a video gets another layer than before."""
        top = len(want.costs_bps) - 1
        before, now = (-1 if one is None else min(one, top) for one in (want.held, layer))
        if before == now:
            return
        if -1 in (before, now):
            event = "video_paused" if now < 0 else "video_resumed"
        else:
            event = "layer_lowered" if now < before else "layer_raised"
        self._context.counters[event] += 1
        limit_bps, publication = self._downlinks[transport].limit_bps, subscription.publication
        logger.debug(
            "transport %d: %s: layer %d after %d of %s, whose layers take %s bit/s; all video may take %s bit/s",
            transport, event, now, before, publication.track_id, [int(cost) for cost in want.costs_bps], limit_bps,
        )  # fmt: skip


def _speakers(room: AdaptedRoom) -> set[ParticipantId]:
    return {speaker.participant_id for speaker in room.active_speakers()}


def _audio_bps(
    subscriptions: Iterable[Subscription],
    layers: Mapping[TrackHandle, Sequence[LayerStats]],
    figures: Figures | None,
) -> float:
    """What sound takes on the line: as much as comes, until it is known how much of it goes out, redundancy left out or
    added."""
    total = 0.0
    for one in subscriptions:
        if one.handle is None or one.encoding is None or one.publication.info.kind is not Kind.AUDIO:
            continue
        bitrate_bps = sum(stream.bitrate_bps for stream in layers.get(one.encoding.track, ()))
        flow = figures.flow(one) if figures is not None else None
        if bitrate_bps:
            total += (flow.bitrate_bps if flow is not None and flow.packets else bitrate_bps) + AUDIO_OVERHEAD_BPS
    return total


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
        publication.owner.info.participant_id not in speakers,
        -settings.width * settings.height,
    )


def _sent_and_lost(flows: Sequence[Flow]) -> tuple[float, float]:
    """Bits per second sent, and the share of them that is lost."""
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
        if not total:
            # It has only just begun.
            total = (announced[-1].bitrate_bps if announced else 0) or UNKNOWN_BPS
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

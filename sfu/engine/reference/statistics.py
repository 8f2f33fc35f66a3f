"""The engine's state as `EngineStats`."""

from __future__ import annotations

from collections.abc import Iterable

from sfu.engine.api import LayerStats, SubscriptionStats, TrackStats, TransportStats
from sfu.engine.reference.forwarder import Forwarder
from sfu.engine.reference.state import State
from sfu.engine.reference.stream import InboundStream
from sfu.engine.reference.track import Track
from sfu.engine.reference.transport import Transport

_NS_PER_MS = 1_000_000


def transport_stats(transport: Transport) -> TransportStats:
    estimator = transport.estimator
    return TransportStats(
        transport=transport.handle,
        packets_received=transport.packets_received,
        bytes_received=transport.bytes_received,
        packets_sent=transport.packets_sent,
        bytes_sent=transport.bytes_sent,
        remb_bps=transport.remb_bps,
        estimate_bps=None if estimator is None else estimator.bitrate_bps,
        acknowledged_bps=0 if estimator is None else estimator.acked_bps,
        feedback_lost=0 if estimator is None else estimator.packets_lost,
        feedback_loss_runs=0 if estimator is None else estimator.loss_runs,
        probes_sent=0 if estimator is None else estimator.probe.clusters,
    )


def track_stats(state: State, track: Track) -> TrackStats:
    return TrackStats(track.handle, [_layer_stats(state, stream) for stream in state.streams_of(track)])


def _layer_stats(state: State, stream: InboundStream) -> LayerStats:
    reception = stream.reception
    return LayerStats(
        layer=stream.layer,
        ssrc=stream.ssrc,
        packets_received=reception.packets_received,
        bytes_received=reception.bytes_received,
        packets_lost=reception.packets_lost,
        jitter_ms=reception.jitter * 1000 / stream.clock_rate,
        nacks_sent=stream.nacks_sent,
        plis_sent=stream.plis_sent,
        keyframes_received=stream.keyframes,
        bitrate_bps=stream.bitrate_bps,
        active=state.is_active(stream),
    )


def subscription_stats(forwarders: Iterable[Forwarder]) -> list[SubscriptionStats]:
    return [
        SubscriptionStats(
            subscription=forwarder.handle,
            packets_sent=forwarder.packets_sent,
            bytes_sent=forwarder.bytes_sent,
            retransmitted_packets_sent=forwarder.retransmitted,
            nacks_received=forwarder.nacks_received,
            nack_misses=forwarder.nack_misses,
            plis_received=forwarder.plis_received,
            fraction_lost=forwarder.reports.fraction_lost / 256,
            rtt_ms=None if forwarder.reports.rtt_ns is None else forwarder.reports.rtt_ns / _NS_PER_MS,
            spatial=forwarder.reported[0],
            temporal=forwarder.reported[1],
            fec_packets_sent=forwarder.fec.packets_sent,
        )
        for forwarder in forwarders
    ]

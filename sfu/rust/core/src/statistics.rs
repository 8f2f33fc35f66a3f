//! The engine's state as `EngineStats`.

use crate::api::{LayerStats, SubscriptionStats, TrackStats, TransportStats};
use crate::forwarder::Forwarder;
use crate::state::State;
use crate::stream::InboundStream;
use crate::track::Track;
use crate::transport::Transport;

const NS_PER_MS: f64 = 1_000_000.0;

pub(crate) fn transport_stats(transport: &Transport) -> TransportStats {
    let estimator = transport.estimator.as_deref();
    TransportStats {
        transport: transport.handle,
        packets_received: transport.packets_received,
        bytes_received: transport.bytes_received,
        packets_sent: transport.packets_sent,
        bytes_sent: transport.bytes_sent,
        remb_bps: transport.remb_bps,
        estimate_bps: estimator.and_then(|one| one.bitrate_bps()).map(i64::unsigned_abs),
        acknowledged_bps: estimator.map_or(0, |one| one.acked_bps().unsigned_abs()),
        feedback_lost: estimator.map_or(0, |one| one.packets_lost()),
        feedback_loss_runs: estimator.map_or(0, |one| one.loss_runs()),
        probes_sent: estimator.map_or(0, |one| one.probe.clusters()),
    }
}

pub(crate) fn track_stats(state: &State, track: &Track) -> TrackStats {
    let streams = track.streams.iter().filter_map(|slot| state.streams.get(*slot));
    TrackStats { track: track.handle, layers: streams.map(|stream| layer_stats(state, stream)).collect() }
}

fn layer_stats(state: &State, stream: &InboundStream) -> LayerStats {
    let reception = &stream.reception;
    LayerStats {
        layer: stream.layer,
        ssrc: stream.ssrc,
        packets_received: reception.packets_received.unsigned_abs(),
        bytes_received: reception.bytes_received,
        packets_lost: reception.packets_lost().unsigned_abs(),
        jitter_ms: (reception.jitter() * 1000) as f64 / f64::from(stream.clock_rate),
        nacks_sent: stream.nacks_sent,
        plis_sent: stream.plis_sent,
        keyframes_received: stream.keyframes,
        bitrate_bps: stream.bitrate_bps,
        active: state.is_active(stream),
    }
}

pub(crate) fn subscription_stats(forwarder: &Forwarder) -> SubscriptionStats {
    SubscriptionStats {
        subscription: forwarder.handle,
        packets_sent: forwarder.counters.packets_sent,
        bytes_sent: forwarder.counters.bytes_sent.unsigned_abs(),
        retransmitted_packets_sent: forwarder.counters.retransmitted,
        nacks_received: forwarder.counters.nacks_received,
        nack_misses: forwarder.counters.nack_misses,
        plis_received: forwarder.counters.plis_received,
        fraction_lost: f64::from(forwarder.reports.fraction_lost) / 256.0,
        rtt_ms: forwarder.reports.rtt_ns.map(|rtt_ns| rtt_ns as f64 / NS_PER_MS),
        layer: forwarder.reported,
        fec_packets_sent: forwarder.fec.packets_sent,
    }
}

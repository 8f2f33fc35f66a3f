//! Figures.

use super::config::{SubscriptionHandle, TrackHandle, TransportHandle};
use super::drops::Drops;

/// Loudness of one audio track since the last call of `Engine::audio_levels`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// The track.
    pub track: TrackHandle,
    /// 0 (loudest) to 127 (silence), -dBov.
    pub level_dbov: u8,
    /// Speech time in ms.
    pub active_ms: u64,
}

/// One inbound stream (W3C RTCInboundRtpStreamStats names where they exist).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct LayerStats {
    pub layer: u32,
    pub ssrc: Option<u32>,
    pub packets_received: u64,
    pub bytes_received: u64,
    pub packets_lost: u64,
    pub jitter_ms: f64,
    pub nacks_sent: u64,
    pub plis_sent: u64,
    pub keyframes_received: u64,
    pub bitrate_bps: u64,
    pub active: bool,
}

/// The streams of one track.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct TrackStats {
    pub track: TrackHandle,
    pub layers: Vec<LayerStats>,
}

/// One outbound stream (W3C RTCOutboundRtpStreamStats names where they exist).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct SubscriptionStats {
    pub subscription: SubscriptionHandle,
    pub packets_sent: u64,
    pub bytes_sent: u64,
    pub retransmitted_packets_sent: u64,
    pub nacks_received: u64,
    pub nack_misses: u64,
    pub plis_received: u64,
    pub fraction_lost: f64,
    pub rtt_ms: Option<f64>,
    /// (spatial, temporal); None while nothing is received.
    pub layer: Option<(u32, u32)>,
    pub fec_packets_sent: u64,
}

/// Traffic of one transport.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TransportStats {
    pub transport: TransportHandle,
    pub packets_received: u64,
    pub bytes_received: u64,
    pub packets_sent: u64,
    pub bytes_sent: u64,
    pub remb_bps: Option<u64>,
    /// From transport-wide feedback; None: none, or no limit has shown.
    pub estimate_bps: Option<u64>,
    /// What of it arrived lately, on the line.
    pub acknowledged_bps: u64,
    /// Packets that transport-wide feedback says are lost.
    pub feedback_lost: u64,
    /// How many times one of them was lost after one that was not.
    pub feedback_loss_runs: u64,
    pub probes_sent: u64,
}

/// Everything that there is to know, in order of the handles.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct EngineStats {
    pub transports: Vec<TransportStats>,
    pub tracks: Vec<TrackStats>,
    pub subscriptions: Vec<SubscriptionStats>,
    pub drops: Drops,
    pub checks_answered: u64,
    pub faults: u64,
    pub packets_received: u64,
    pub packets_sent: u64,
    pub bytes_received: u64,
    pub bytes_sent: u64,
}

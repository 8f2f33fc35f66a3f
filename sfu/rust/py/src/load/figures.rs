//! What a receiver is told, and what it counts.

use ting_core::api::Codec;

/// What arrives.
pub(super) struct ReceiverConfig {
    pub(super) ssrc: u32,
    pub(super) rtx_ssrc: Option<u32>,
    /// (payload type, codec) that may come.
    pub(super) payloads: Vec<(u8, Codec)>,
    pub(super) clock_rate: u32,
    /// Missing packets are asked for.
    pub(super) nack: bool,
    /// Keep whole frames for a decoder.
    pub(super) sample: bool,
}

/// Figures of one receiver.
#[derive(Clone, Copy, Default)]
pub(super) struct ReceiverFigures {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) lost: u64,
    pub(super) recovered: u64,
    pub(super) duplicates: u64,
    pub(super) reordered: u64,
    pub(super) malformed: u64,
    pub(super) nacks: u64,
    pub(super) plis: u64,
    pub(super) frames: u64,
    pub(super) keyframes: u64,
    pub(super) freezes: u64,
    pub(super) frozen_ns: u64,
    pub(super) longest_gap_ns: u64,
    pub(super) created_at_ns: u64,
    pub(super) first_packet_at_ns: u64,
    pub(super) first_frame_at_ns: u64,
    pub(super) last_packet_at_ns: u64,
}

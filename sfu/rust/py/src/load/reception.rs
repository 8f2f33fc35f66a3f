//! What a receiver reports of a stream (RFC 3550 §6.4.1).

use ting_core::rtcp::{ReportBlock, ns_to_short};
use ting_core::seqnum::EXT_SEQ_START;

/// Jitter, and what the last receiver report said (RFC 3550 §A.3).
pub(super) struct Reception {
    clock_rate: u32,
    first: Option<i64>,
    expected: i64,
    received: i64,
    lsr: u32,
    sr_at_ns: u64,
    jitter: f64,
    last_transit: Option<i64>,
}

impl Reception {
    pub(super) fn new(clock_rate: u32) -> Self {
        Self { clock_rate, first: None, expected: 0, received: 0, lsr: 0, sr_at_ns: 0, jitter: 0.0, last_transit: None }
    }

    /// The first packet came.
    pub(super) fn begin(&mut self, ext_seq: i64) {
        self.first = Some(ext_seq);
    }

    /// A sender report of this stream came.
    pub(super) fn sender_report(&mut self, now_ns: u64, lsr: u32) {
        self.lsr = lsr;
        self.sr_at_ns = now_ns;
    }

    /// For a receiver report, when `received` packets came in all; None before the first.
    pub(super) fn block(&mut self, now_ns: u64, ssrc: u32, highest: i64, received: i64) -> Option<ReportBlock> {
        let expected = highest - self.first? + 1;
        let (more_expected, more_received) = (expected - self.expected, received - self.received);
        let lost = (more_expected - more_received).max(0);
        let fraction_lost = (lost * 256).checked_div(more_expected).unwrap_or(0).clamp(0, 255) as u8;
        self.expected = expected;
        self.received = received;
        let dlsr_ns = if self.lsr == 0 { 0 } else { now_ns - self.sr_at_ns };
        Some(ReportBlock {
            ssrc,
            fraction_lost,
            packets_lost: expected - received,
            highest_seq: (highest - EXT_SEQ_START) as u32,
            jitter: self.jitter as u32,
            lsr: self.lsr,
            dlsr: ns_to_short(dlsr_ns.cast_signed()),
        })
    }

    /// Interarrival jitter in units of the clock (RFC 3550 §A.8).
    pub(super) fn measure_jitter(&mut self, now_ns: u64, timestamp: u32) {
        let arrival = (u128::from(now_ns) * u128::from(self.clock_rate) / 1_000_000_000) as u32;
        let transit = i64::from(arrival.wrapping_sub(timestamp).cast_signed());
        if let Some(last) = self.last_transit.replace(transit) {
            let change = (transit - last).unsigned_abs() as f64;
            self.jitter += (change - self.jitter) / 16.0;
        }
    }

    /// Interarrival jitter in milliseconds.
    pub(super) fn jitter_ms(&self) -> f64 {
        self.jitter * 1000.0 / f64::from(self.clock_rate.max(1))
    }
}

//! What receiver reports say of a stream (RFC 3550 §6.4.1, A.3, A.8).

use crate::rtcp::ReportBlock;
use crate::seqnum::EXT_SEQ_START;

const NS_PER_S: i64 = 1_000_000_000;

/// Counters of one inbound stream. Survives jumps of the sequence: they count neither as expected nor as lost.
#[derive(Clone, Debug)]
pub(crate) struct ReceptionStatistics {
    /// With those that came by RTX.
    pub(crate) packets_received: i64,
    /// Of payload.
    pub(crate) bytes_received: u64,
    highest: i64,
    base: i64,
    expected_before: i64,
    expected_prior: i64,
    received_prior: i64,
    last_transit: Option<u32>,
    jitter_16: i64,
}

impl Default for ReceptionStatistics {
    fn default() -> Self {
        Self {
            packets_received: 0,
            bytes_received: 0,
            highest: -1,
            base: 0,
            expected_before: 0,
            expected_prior: 0,
            received_prior: 0,
            last_transit: None,
            jitter_16: 0,
        }
    }
}

impl ReceptionStatistics {
    /// A sequence starts with `ext_seq`.
    pub(crate) fn begin(&mut self, ext_seq: i64) {
        self.expected_before = self.expected();
        self.base = ext_seq;
        self.highest = ext_seq - 1;
        self.last_transit = None;
    }

    /// A packet with `size_bytes` of payload was received.
    pub(crate) fn add(&mut self, ext_seq: i64, size_bytes: usize) {
        self.packets_received += 1;
        self.bytes_received += size_bytes as u64;
        self.highest = self.highest.max(ext_seq);
    }

    /// Not for packets that came by RTX: their delay is our own doing.
    pub(crate) fn measure_jitter(&mut self, now_ns: i64, timestamp: u32, clock_rate: u32) {
        let transit = ticks(now_ns, clock_rate).wrapping_sub(timestamp);
        if let Some(last) = self.last_transit.replace(transit) {
            let step = transit.wrapping_sub(last).cast_signed();
            self.jitter_16 += i64::from(step.unsigned_abs()) - ((self.jitter_16 + 8) >> 4);
        }
    }

    /// Packets that should have come.
    #[must_use]
    pub(crate) fn expected(&self) -> i64 {
        self.expected_before + if self.highest >= 0 { self.highest - self.base + 1 } else { 0 }
    }

    /// Never below zero, although duplicates may make it so in RFC 3550.
    #[must_use]
    pub(crate) fn packets_lost(&self) -> i64 {
        (self.expected() - self.packets_received).max(0)
    }

    /// In timestamp units.
    #[must_use]
    pub(crate) fn jitter(&self) -> i64 {
        self.jitter_16 >> 4
    }

    /// A report block on what happened since the last one.
    pub(crate) fn report(&mut self, ssrc: u32, lsr: u32, dlsr: u32) -> ReportBlock {
        let (expected, received) = (self.expected(), self.packets_received);
        let expected_interval = expected - self.expected_prior;
        let lost_interval = expected_interval - (received - self.received_prior);
        self.expected_prior = expected;
        self.received_prior = received;
        let mut fraction_lost = 0;
        if expected_interval > 0 && lost_interval > 0 {
            fraction_lost = ((lost_interval << 8) / expected_interval).min(255) as u8;
        }
        ReportBlock {
            ssrc,
            fraction_lost,
            packets_lost: self.packets_lost(),
            // The first wrap of an extended number is not one on the wire (`seqnum::EXT_SEQ_START`).
            highest_seq: (self.highest - EXT_SEQ_START) as u32,
            jitter: u32::try_from(self.jitter()).unwrap_or(u32::MAX),
            lsr,
            dlsr,
        }
    }
}

/// `now_ns` in units of a clock, modulo 2^32.
fn ticks(now_ns: i64, clock_rate: u32) -> u32 {
    let rate = i64::from(clock_rate);
    let whole = (now_ns / NS_PER_S).wrapping_mul(rate);
    whole.wrapping_add(now_ns % NS_PER_S * rate / NS_PER_S) as u32
}

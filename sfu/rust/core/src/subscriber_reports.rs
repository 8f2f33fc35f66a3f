//! Sender reports to one subscriber, what its receiver reports say (RFC 3550 §6.4.1), and what is counted for it.

use std::collections::VecDeque;

use crate::rtcp::{ReportBlock, ntp_short};

const REMEMBERED: usize = 8;
const MAX_RTT_NS: i64 = 10_000_000_000;
const NS_PER_S: i64 = 1_000_000_000;

/// What one subscription counts. Bytes are those of payloads.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) packets_sent: u64,
    pub(crate) bytes_sent: i64,
    pub(crate) retransmitted: u64,
    pub(crate) nacks_received: u64,
    pub(crate) nack_misses: u64,
    pub(crate) plis_received: u64,
}

/// Round trip and loss of one outbound stream. Our NTP times are the publisher's, so the round trip is taken from when a
/// report left, not from what stood in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SubscriberReports {
    sent: VecDeque<(u32, i64)>,
    /// Of the last report block, in 1/256.
    pub(crate) fraction_lost: u8,
    /// The last round trip.
    pub(crate) rtt_ns: Option<i64>,
}

impl SubscriberReports {
    /// A sender report with this NTP time leaves.
    pub(crate) fn sent(&mut self, now_ns: i64, ntp: u64) {
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back((ntp_short(ntp), now_ns));
    }

    /// A report block on this stream arrived. Round trips that cannot be are ignored.
    pub(crate) fn received(&mut self, now_ns: i64, block: &ReportBlock) {
        self.fraction_lost = block.fraction_lost;
        if block.lsr == 0 {
            return;
        }
        let Some((_, sent_at_ns)) = self.sent.iter().find(|(short, _)| *short == block.lsr) else { return };
        let held_ns = (i64::from(block.dlsr) * NS_PER_S) >> 16;
        let rtt_ns = now_ns - sent_at_ns - held_ns;
        if (0..=MAX_RTT_NS).contains(&rtt_ns) {
            self.rtt_ns = Some(rtt_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_of_the_report_that_is_named() {
        let mut reports = SubscriberReports::default();
        for i in 0..10_u64 {
            reports.sent(i as i64 * NS_PER_S, (i + 1) << 32);
        }
        // Its time is the same as none on the wire.
        reports.sent(9 * NS_PER_S, 0);
        let block = |lsr: u32, dlsr: u32| ReportBlock { lsr, dlsr, fraction_lost: 64, ..ReportBlock::default() };
        for (lsr, dlsr, rtt_ns) in [
            (0, 0, None),
            // Forgotten.
            (1 << 16, 0, None),
            // Sent at 9 s, held for longer than passed.
            (10 << 16, 1 << 16, None),
            (10 << 16, u32::MAX, None),
            (10 << 16, 1 << 14, Some(250_000_000)),
            (9 << 16, 1 << 14, Some(1_250_000_000)),
        ] {
            reports.rtt_ns = None;
            reports.received(9_500_000_000, &block(lsr, dlsr));
            assert_eq!(reports.rtt_ns, rtt_ns, "{lsr} {dlsr}");
            assert_eq!(reports.fraction_lost, 64);
        }
    }
}

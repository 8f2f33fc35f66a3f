//! When packets of a transport arrived, until the publisher has been told (transport-wide congestion control).

use crate::api::TICK_NS;
use crate::seqnum::SeqExtender;
use crate::transport_feedback::build_transport_feedback;

/// Time between two feedbacks.
pub(crate) const FEEDBACK_INTERVAL_NS: i64 = 50_000_000;
/// Arrivals kept for the next feedback. 20,000 packets a second make as many in one interval.
pub(crate) const MAX_PENDING: usize = 1024;

/// Collects arrivals and turns them into feedback packets.
///
/// A feedback begins where the last one ended, so that what is missing in between is reported as lost. A packet that
/// arrives after its loss was reported is reported again, in a feedback of its own in front.
#[derive(Clone, Debug, Default)]
pub(crate) struct ArrivalRecorder {
    extender: SeqExtender,
    /// (extended number, arrival), rising in the number.
    pending: Vec<(i64, i64)>,
    next_base: Option<i64>,
    feedback_count: u8,
    last_feedback_at_ns: Option<i64>,
}

impl ArrivalRecorder {
    /// A packet with the transport-wide number `seq` has arrived.
    pub(crate) fn record(&mut self, now_ns: i64, seq: u16) {
        let ext_seq = self.extender.update(seq);
        if self.pending.len() < MAX_PENDING {
            // Nearly always at the end.
            let place = match self.pending.last() {
                Some(last) if last.0 >= ext_seq => self.pending.binary_search_by_key(&ext_seq, |one| one.0),
                _ => Err(self.pending.len()),
            };
            if let Err(place) = place {
                self.pending.insert(place, (ext_seq, now_ns));
            }
        }
        self.last_feedback_at_ns.get_or_insert(now_ns);
    }

    /// When the clock has to run for the next feedback at the latest; None when there is nothing to tell.
    #[must_use]
    pub(crate) fn wanted_by_ns(&self) -> Option<i64> {
        let last_ns = self.last_feedback_at_ns.filter(|_| !self.pending.is_empty())?;
        Some(last_ns + FEEDBACK_INTERVAL_NS + TICK_NS as i64)
    }

    /// Whether it is time for a feedback.
    #[must_use]
    pub(crate) fn is_due(&self, now_ns: i64) -> bool {
        !self.pending.is_empty() && self.last_feedback_at_ns.is_some_and(|last| now_ns - last >= FEEDBACK_INTERVAL_NS)
    }

    /// The feedback packets for everything recorded since the last time.
    pub(crate) fn build(&mut self, now_ns: i64, sender_ssrc: u32, media_ssrc: u32) -> Vec<Vec<u8>> {
        self.last_feedback_at_ns = Some(now_ns);
        let Some(first) = self.pending.first() else { return Vec::new() };
        let base = self.next_base.unwrap_or(first.0);
        let (late, current) = self.pending.split_at(self.pending.partition_point(|one| one.0 < base));
        let mut packets = build_transport_feedback(sender_ssrc, media_ssrc, self.feedback_count, late, None);
        if let Some(last) = current.last() {
            let count = self.feedback_count.wrapping_add(packets.len() as u8);
            packets.extend(build_transport_feedback(sender_ssrc, media_ssrc, count, current, Some(base)));
            self.next_base = Some(last.0 + 1);
        }
        self.feedback_count = self.feedback_count.wrapping_add(packets.len() as u8);
        self.pending.clear();
        packets
    }
}

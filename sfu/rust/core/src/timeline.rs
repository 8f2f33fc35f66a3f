//! RTP timestamps of one subscription: continuous, whatever the sources do.

use crate::rtcp::ntp_diff_ns;
use crate::seqnum::timestamp_diff;
use crate::slots::StreamSlot;
use crate::stream::SenderReportReceived;

const NS_PER_S: i128 = 1_000_000_000;
/// Sender reports that put a switch further than this from the time passed are not believed.
pub(crate) const MAX_DISAGREEMENT_S: i128 = 2;

/// What the timeline must know of a source that starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    /// Which stream it is.
    pub(crate) stream: StreamSlot,
    /// Timestamp units per second.
    pub(crate) clock_rate: u32,
    /// Its last sender report.
    pub(crate) report: Option<SenderReportReceived>,
}

/// The offset from a source's timestamps to those sent, chosen anew when the source changes.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    /// What to add to a timestamp of the source, modulo 2^32.
    pub(crate) offset: u32,
    /// The newest timestamp sent.
    pub(crate) last: u32,
    /// When it left; None before the first.
    pub(crate) last_at_ns: Option<i64>,
    source: Option<StreamSlot>,
}

impl Timeline {
    /// The first packet leaves with `first_timestamp`.
    #[must_use]
    pub(crate) fn new(first_timestamp: u32) -> Self {
        Self { offset: 0, last: first_timestamp, last_at_ns: None, source: None }
    }

    /// The stream lies in another slot now.
    pub(crate) fn set_source(&mut self, stream: Option<StreamSlot>) {
        self.source = stream;
    }

    /// The stream that the offset is for.
    #[must_use]
    pub(crate) fn source(&self) -> Option<StreamSlot> {
        self.source
    }

    /// `source` starts with `timestamp`; `old_report` is the last sender report of `self.source()`. The same source that
    /// goes on keeps its offset.
    pub(crate) fn begin(
        &mut self,
        now_ns: i64,
        source: &Source,
        old_report: Option<SenderReportReceived>,
        timestamp: u32,
    ) {
        if self.last_at_ns.is_none() {
            self.offset = self.last.wrapping_sub(timestamp);
        } else if self.source != Some(source.stream) || !self.is_plausible(now_ns, source, timestamp, self.offset) {
            self.offset = self.next_offset(now_ns, source, old_report, timestamp);
        }
        self.source = Some(source.stream);
        self.advance(now_ns, timestamp.wrapping_add(self.offset));
    }

    /// A packet with the timestamp `sent`, higher than all before, leaves now.
    pub(crate) fn advance(&mut self, now_ns: i64, sent: u32) {
        self.last = sent;
        self.last_at_ns = Some(now_ns);
    }

    /// Go on after a subscription that had the same SSRC.
    pub(crate) fn resume(&mut self, last: u32, last_at_ns: i64) {
        self.last = last;
        self.last_at_ns = Some(last_at_ns);
    }

    /// The stream is gone or starts its timestamps anew.
    pub(crate) fn forget_source(&mut self, stream: StreamSlot) {
        if self.source == Some(stream) {
            self.source = None;
        }
    }

    fn elapsed(&self, now_ns: i64, clock_rate: u32) -> i128 {
        self.last_at_ns
            .map_or(0, |last_ns| (i128::from(now_ns - last_ns) * i128::from(clock_rate)).div_euclid(NS_PER_S))
    }

    fn is_plausible(&self, now_ns: i64, source: &Source, timestamp: u32, offset: u32) -> bool {
        let step = i128::from(timestamp_diff(timestamp.wrapping_add(offset), self.last));
        let slack = MAX_DISAGREEMENT_S * i128::from(source.clock_rate);
        step > 0 && (step - self.elapsed(now_ns, source.clock_rate)).abs() <= slack
    }

    fn next_offset(
        &self,
        now_ns: i64,
        source: &Source,
        old_report: Option<SenderReportReceived>,
        timestamp: u32,
    ) -> u32 {
        if let (Some(old), Some(new)) = (old_report, source.report) {
            let apart = i128::from(ntp_diff_ns(new.ntp, old.ntp)) * i128::from(source.clock_rate);
            let step = old.rtp_timestamp.wrapping_sub(new.rtp_timestamp);
            let offset = self.offset.wrapping_add(step).wrapping_add(apart.div_euclid(NS_PER_S) as u32);
            if self.is_plausible(now_ns, source, timestamp, offset) {
                return offset;
            }
        }
        let elapsed = self.elapsed(now_ns, source.clock_rate).max(1);
        self.last.wrapping_add(elapsed as u32).wrapping_sub(timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slot;

    const MS: i64 = 1_000_000;
    const S: i64 = 1_000 * MS;

    fn source(stream: u32, report: Option<(u64, u32)>) -> Source {
        let report = report.map(|(ntp, rtp_timestamp)| SenderReportReceived { ntp, rtp_timestamp, arrived_at_ns: 0 });
        Source { stream: StreamSlot::at(stream), clock_rate: 90_000, report }
    }

    fn started(first: u32) -> Timeline {
        let mut timeline = Timeline::new(first);
        timeline.begin(0, &source(1, None), None, 1000);
        timeline
    }

    #[test]
    fn table() {
        let ntp = |sixteenths: u64| sixteenths << 28;
        // (now ms, stream, its report, old report, timestamp, timestamp sent)
        type Report = Option<(u64, u32)>;
        let cases: [(i64, u32, Report, Report, u32, u32); 6] = [
            // The same source goes on.
            (100, 1, None, None, 10_000, 9_000),
            // The same source jumped: time passed decides.
            (100, 1, None, None, 90_000_000, 9_000),
            // Another source, no reports: time passed.
            (100, 2, None, None, 77, 9_000),
            // No time passed: forward all the same.
            (0, 2, None, None, 77, 1),
            // Both reports known: 1/16 s apart on the same wall clock.
            (100, 2, Some((ntp(17), 500_000)), Some((ntp(16), 1_000)), 500_000, 5_625),
            // Reports that lie by an hour are not believed.
            (100, 2, Some((ntp(57_600), 500_000)), Some((ntp(16), 1_000)), 500_000, 9_000),
        ];
        for first in [0, u32::MAX - 10, 1 << 31] {
            for (now_ms, stream, report, old, timestamp, sent) in cases {
                let mut timeline = started(first);
                assert_eq!(timeline.last, first);
                let old = source(1, old).report;
                timeline.begin(now_ms * MS, &source(stream, report), old, timestamp);
                assert_eq!(timeline.last.wrapping_sub(first), sent, "{now_ms} {stream} {timestamp}");
                assert_eq!(timeline.offset, first.wrapping_add(sent).wrapping_sub(timestamp));
            }
        }
    }

    #[test]
    fn a_forgotten_source_starts_anew() {
        let mut timeline = started(5);
        timeline.forget_source(StreamSlot::at(2));
        assert_eq!(timeline.source(), Some(StreamSlot::at(1)));
        timeline.forget_source(StreamSlot::at(1));
        timeline.begin(S, &source(1, None), None, 1_001);
        assert_eq!(timeline.last, 5 + 90_000);
    }
}

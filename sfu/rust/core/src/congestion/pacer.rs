//! How fast video may leave towards a line that has shown a limit, or of which nothing is known yet, so that it does not fill
//! the queue in which sound waits.
//!
//! A keyframe may leave at `BURST_PERCENT` of the estimate as long as the line, if it took `PERCENT` of it, would be busy with
//! all that was sent for no longer than `AHEAD_NS`; then at `PERCENT`. While there is a queue on the way it is less than the
//! line takes, so that the queue drains. Everything that leaves counts, and only video is held.

use crate::api::TICK_NS;
use crate::congestion::NS_PER_S;

const BURST_PERCENT: i64 = 250;
/// Above the estimate, which is below what the line takes, so that a picture a little too large shows as a queue there and
/// not only here.
const PERCENT: i64 = 125;
const DRAINING_PERCENT: i64 = 80;
const AHEAD_NS: i64 = 150_000_000;
/// Before anything is known of the line: a picture of 25 kilobytes at once, then at `PERCENT` of this.
pub(crate) const START_BPS: i64 = 2_000_000;
const START_AHEAD_NS: i64 = 80_000_000;
/// What leaves unasked (sound, resends, probes) holds video back by this much at most.
const MAX_DEBT_NS: i64 = 200_000_000;

#[derive(Debug, Default)]
pub(crate) struct Pacer {
    /// There is a queue on the way.
    pub(crate) is_draining: bool,
    /// For the next one of a burst.
    free_at_ns: i64,
    /// With all that was sent, on a line that takes `PERCENT` of the estimate.
    busy_until_ns: i64,
}

impl Pacer {
    /// `size` bytes leave.
    pub(crate) fn sent(&mut self, now_ns: i64, size: u32, estimate_bps: i64) {
        let bits_ns = i64::from(size) * 8 * 100 * NS_PER_S;
        let estimate_bps = estimate_bps.max(1);
        let share = if self.is_draining { DRAINING_PERCENT } else { PERCENT };
        let latest_ns = now_ns + MAX_DEBT_NS;
        let free_at_ns = self.free_at_ns.max(now_ns - TICK_NS as i64) + bits_ns / (BURST_PERCENT * estimate_bps);
        self.free_at_ns = free_at_ns.min(latest_ns);
        self.busy_until_ns = (self.busy_until_ns.max(now_ns) + bits_ns / (share * estimate_bps)).min(latest_ns);
    }

    /// The same before anything is known of the line.
    pub(crate) fn may_start(&self, now_ns: i64) -> bool {
        self.busy_until_ns <= now_ns + START_AHEAD_NS
    }

    pub(crate) fn may_send(&self, now_ns: i64) -> bool {
        let ahead_ns = if self.is_draining { TICK_NS as i64 } else { AHEAD_NS };
        now_ns >= self.free_at_ns && self.busy_until_ns <= now_ns + ahead_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// Bytes in the first `duration_ms` of a sender that always has more.
    fn sent_in(pacer: &mut Pacer, duration_ms: i64, step_ns: i64) -> i64 {
        let mut bytes = 0;
        for now_ns in (1_000 * MS..(1_000 + duration_ms) * MS).step_by(step_ns as usize) {
            while pacer.may_send(now_ns) {
                pacer.sent(now_ns, 500, 400_000);
                bytes += 500;
            }
        }
        bytes
    }

    #[test]
    fn a_burst_then_a_little_more_than_the_estimate_and_less_while_a_queue_drains() {
        for step_ns in [10 * MS, MS, 50_000] {
            let burst = sent_in(&mut Pacer::default(), 100, step_ns);
            assert!((12_000..=14_500).contains(&burst), "{step_ns} {burst}");
            let second = sent_in(&mut Pacer::default(), 1_000, step_ns);
            assert!((62_500..=73_000).contains(&second), "{step_ns} {second}");
            let mut pacer = Pacer { is_draining: true, ..Pacer::default() };
            let draining = sent_in(&mut pacer, 1_000, step_ns);
            assert!((38_000..=42_000).contains(&draining), "{step_ns} {draining}");
        }
    }

    #[test]
    fn what_leaves_unasked_is_a_debt_with_an_end() {
        let mut pacer = Pacer::default();
        for _ in 0..1_000 {
            pacer.sent(1_000 * MS, 1_500, 30_000);
        }
        assert!(!pacer.may_send(1_199 * MS));
        assert!(pacer.may_send(1_200 * MS));
    }
}

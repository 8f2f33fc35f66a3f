//! How long a large fan-out is held back, so that datagrams to one receiver leave together: one GSO run through the
//! kernel instead of one datagram after the other.

/// Transmits of one decision from which on holding pays: sending them takes longer than another look at the socket.
pub(crate) const LARGE_FAN_OUT: usize = 32;
/// Weight of the latest gap in the mean, as a divisor.
const SMOOTHING: u64 = 16;
/// A longer gap counts as this, in ns: one pause must not be remembered for seconds.
const MAX_GAP_NS: u64 = 100_000_000;

/// When what one thread holds has to leave.
///
/// Nothing is held for longer than the reading of what has arrived already, unless large fan-outs follow each other so
/// closely that the next is to be expected within the longest hold: then that many share one way through the kernel.
pub(crate) struct Hold {
    max_ns: u64,
    mean_gap_ns: u64,
    last_at_ns: u64,
    until_ns: Option<u64>,
}

impl Hold {
    /// One that holds for `max_ns` at most; 0: never.
    pub(crate) fn new(max_ns: u64) -> Self {
        Self { max_ns, mean_gap_ns: MAX_GAP_NS, last_at_ns: 0, until_ns: None }
    }

    /// Something is held at `now_ns`, `is_new` since the last call: until when; None when it should leave now.
    pub(crate) fn until_ns(&mut self, now_ns: u64, is_new: bool) -> Option<u64> {
        if is_new {
            let gap_ns = now_ns.saturating_sub(self.last_at_ns).min(MAX_GAP_NS);
            self.last_at_ns = now_ns;
            let rest = self.mean_gap_ns.saturating_mul(SMOOTHING - 1);
            self.mean_gap_ns = rest.saturating_add(gap_ns) / SMOOTHING;
        }
        if self.until_ns.is_none() && self.mean_gap_ns <= self.max_ns.saturating_mul(2) {
            self.until_ns = Some(now_ns.saturating_add(self.max_ns));
        }
        self.until_ns.filter(|until_ns| now_ns < *until_ns)
    }

    /// Nothing is held any more.
    pub(crate) fn sent(&mut self) {
        self.until_ns = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Large fan-outs at these times, each sent as soon as it may be: for how long each was held, in ns.
    fn held_ns(hold: &mut Hold, times_ns: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut all = Vec::new();
        for now_ns in times_ns {
            let until_ns = hold.until_ns(now_ns, true).unwrap_or(now_ns);
            assert_eq!(hold.until_ns(until_ns, false), None, "what is due leaves");
            hold.sent();
            all.push(until_ns - now_ns);
        }
        all
    }

    #[test]
    fn what_comes_seldom_leaves_at_once() {
        let mut hold = Hold::new(2 * MS);
        let held = held_ns(&mut hold, (1..200).map(|index| index * 20 * MS));
        assert!(held.iter().all(|held_ns| *held_ns == 0));
    }

    #[test]
    fn what_comes_closely_is_held_for_as_long_as_allowed_and_no_more_after_a_pause() {
        let mut hold = Hold::new(2 * MS);
        let held = held_ns(&mut hold, (1..200).map(|index| index * 3 * MS));
        assert_eq!((held[0], held[198]), (0, 2 * MS));
        let later = held_ns(&mut hold, (1..100).map(|index| 10_000 * MS + index * 20 * MS));
        assert_eq!(later, vec![0; 99]);
    }

    #[test]
    fn what_comes_during_a_hold_does_not_prolong_it() {
        let mut hold = Hold::new(2 * MS);
        held_ns(&mut hold, (1..200).map(|index| index * MS));
        let until_ns = hold.until_ns(300 * MS, true);
        for at_ns in [300 * MS + 1, 301 * MS, 302 * MS - 1] {
            assert_eq!(hold.until_ns(at_ns, true), until_ns);
        }
        assert_eq!(hold.until_ns(302 * MS, true), None);
    }

    #[test]
    fn without_a_longest_hold_nothing_waits() {
        let mut hold = Hold::new(0);
        let held = held_ns(&mut hold, (1..200).map(|index| index * 1_000));
        assert!(held.iter().all(|held_ns| *held_ns == 0));
    }
}

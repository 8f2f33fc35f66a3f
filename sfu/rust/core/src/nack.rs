//! Which packets of an inbound stream are missing, and when to ask for them (RFC 4585 §6.2.1).

/// A gap this old is a loss even when no second packet has followed it, as long as nothing is known of the line.
pub(crate) const REORDER_NS: i64 = 10_000_000;
/// What comes later than this for being overtaken is asked for all the same.
pub(crate) const MAX_REORDER_NS: i64 = 100_000_000;
/// A line that overtakes by less keeps the order: what is missing is lost.
pub(crate) const AT_ONCE_NS: i64 = 1_000_000;
/// Shortest time between two requests of one packet.
pub(crate) const MIN_REPEAT_NS: i64 = 20_000_000;
/// The round trip before it is known.
pub(crate) const INITIAL_RTT_NS: i64 = 100_000_000;
/// Beside an eighth of it, added to the round trip before a packet is asked for again: libwebrtc does not resend one
/// within its own measure of the round trip and 5 ms, and the next request would come a round trip later.
pub(crate) const MARGIN_NS: i64 = 5_000_000;
/// A picture that has missed a packet for so long, and for `USELESS_RTTS`, is shown again sooner with a keyframe.
pub(crate) const USELESS_NS: i64 = 400_000_000;
pub(crate) const USELESS_RTTS: i64 = 4;
/// Requests of one packet.
pub(crate) const MAX_TRIES: u8 = 10;
/// A packet that is missing for so long is lost.
pub(crate) const GIVE_UP_NS: i64 = 1_000_000_000;
/// Packets that a stream may miss; of more the oldest are lost.
pub(crate) const MAX_MISSING: usize = 256;
/// A larger jump of sequence numbers is a new beginning, not a loss.
pub(crate) const MAX_GAP: i64 = 512;

#[derive(Clone, Copy, Debug)]
struct Missing {
    ext_seq: i64,
    since_ns: i64,
    asked_at_ns: i64,
    first_asked_at_ns: i64,
    is_useless: bool,
    tries: u8,
}

/// Missing extended sequence numbers of one stream, oldest first.
///
/// The round trip is measured by the register itself: from the request that was answered to the arrival, smoothed by
/// 1/8. Before the first answer it is taken to be `INITIAL_RTT_NS`. So is the order that the line keeps: a packet that
/// comes by itself, or too early for an answer, was overtaken, and the next ones are waited for as long; one that had to
/// be asked for makes that shorter by 1/8. What comes as RTX was never overtaken: where it seems to come too early, the
/// round trip was taken to be too long, by an answer that was lost or a line that is another one now.
#[derive(Clone, Debug)]
pub(crate) struct NackRegister {
    /// Rising in ext_seq.
    missing: Vec<Missing>,
    /// No packet has followed the newest gap yet.
    pub(crate) has_fresh_gap: bool,
    /// How long a packet is waited for before it is asked for.
    reorder_ns: i64,
    rtt_ns: Option<i64>,
}

impl Default for NackRegister {
    fn default() -> Self {
        Self { missing: Vec::new(), has_fresh_gap: false, reorder_ns: REORDER_NS, rtt_ns: None }
    }
}

impl NackRegister {
    /// Whether nothing is missing.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }

    /// Miss nothing any more; the round trip stays known.
    pub(crate) fn clear(&mut self) {
        self.missing.clear();
        self.has_fresh_gap = false;
    }

    /// `first` up to but not including `end` did not arrive before the packet after them did.
    pub(crate) fn add_gap(&mut self, now_ns: i64, first: i64, end: i64) {
        for ext_seq in first.max(end - MAX_MISSING as i64)..end {
            self.missing.push(Missing {
                ext_seq,
                since_ns: now_ns,
                asked_at_ns: 0,
                first_asked_at_ns: 0,
                is_useless: false,
                tries: 0,
            });
        }
        let excess = self.missing.len().saturating_sub(MAX_MISSING);
        self.missing.drain(..excess);
        self.has_fresh_gap = true;
    }

    /// A late or resent packet is there. `is_rtx`: it was resent for certain.
    pub(crate) fn arrived(&mut self, now_ns: i64, ext_seq: i64, is_rtx: bool) {
        let Ok(index) = self.missing.binary_search_by_key(&ext_seq, |one| one.ext_seq) else { return };
        let entry = self.missing.remove(index);
        let (waited_ns, mut took_ns) = (now_ns - entry.since_ns, now_ns - entry.asked_at_ns);
        let is_too_early = entry.tries == 1 && self.rtt_ns.is_some_and(|rtt_ns| took_ns < rtt_ns.div_euclid(2));
        if !is_rtx && (entry.tries == 0 || is_too_early) {
            self.reorder_ns = self.reorder_ns.max(waited_ns + waited_ns.div_euclid(4)).min(MAX_REORDER_NS);
        } else if entry.tries > 0 {
            self.reorder_ns -= self.reorder_ns.div_euclid(8);
        }
        if entry.tries == 0 {
            return;
        }
        let Some(rtt_ns) = self.rtt_ns else {
            self.rtt_ns = Some(now_ns - entry.first_asked_at_ns);
            return;
        };
        if entry.tries > 1 && took_ns < rtt_ns - rtt_ns.div_euclid(4) {
            // The answer to the request before the last one.
            took_ns += self.repeat_ns();
        }
        self.rtt_ns = Some(rtt_ns + (took_ns - rtt_ns).div_euclid(8));
    }

    /// Forget what is missing between two packets, both left out: nobody will send it again.
    pub(crate) fn take_between(&mut self, after: i64, before: i64) -> Vec<i64> {
        let mut padding = Vec::new();
        self.missing.retain(|entry| {
            let is_padding = after < entry.ext_seq && entry.ext_seq < before;
            if is_padding {
                padding.push(entry.ext_seq);
            }
            !is_padding
        });
        padding
    }

    /// The line keeps the order.
    pub(crate) fn asks_at_once(&self) -> bool {
        self.reorder_ns < AT_ONCE_NS
    }

    /// A keyframe begins there: nobody needs what is missing before it.
    pub(crate) fn forget_before(&mut self, ext_seq: i64) {
        self.missing.retain(|entry| entry.ext_seq >= ext_seq);
    }

    /// Forget what has been missing for so long that it takes a keyframe. Whether that is news.
    pub(crate) fn give_up_useless(&mut self, now_ns: i64) -> bool {
        let mut is_news = false;
        self.missing.retain(|entry| {
            let is_useless = now_ns - entry.since_ns >= USELESS_NS;
            is_news |= is_useless && !entry.is_useless;
            !is_useless
        });
        is_news
    }

    /// Whether a packet has become missing for so long that it takes a keyframe; told once of each.
    pub(crate) fn take_useless(&mut self, now_ns: i64) -> bool {
        let useless_ns = USELESS_NS.max(USELESS_RTTS * self.repeat_ns());
        let mut is_news = false;
        for entry in self.missing.iter_mut().filter(|entry| now_ns - entry.since_ns >= useless_ns) {
            is_news |= !entry.is_useless;
            entry.is_useless = true;
        }
        is_news
    }

    fn repeat_ns(&self) -> i64 {
        self.rtt_ns.map_or(INITIAL_RTT_NS, |rtt_ns| (rtt_ns + rtt_ns.div_euclid(8) + MARGIN_NS).max(MIN_REPEAT_NS))
    }

    /// Append the sequence numbers (16 bits, rising) to ask for now to `wanted`; asking is taken as done.
    /// `packet_followed`: called for a packet beyond the newest gap, which makes the packets of that gap lost and not
    /// only late where no more of overtaking is known.
    pub(crate) fn due(&mut self, now_ns: i64, packet_followed: bool, wanted: &mut Vec<u16>) {
        if self.missing.is_empty() {
            return;
        }
        let repeat_ns = self.repeat_ns();
        let is_certain = self.asks_at_once() || (packet_followed && self.reorder_ns <= REORDER_NS);
        let reorder_ns = if is_certain { 0 } else { self.reorder_ns };
        self.missing.retain_mut(|entry| {
            let waited_ns = now_ns - entry.since_ns;
            if waited_ns >= GIVE_UP_NS {
                return false;
            }
            let is_due = if entry.tries == 0 {
                waited_ns >= reorder_ns
            } else {
                entry.tries < MAX_TRIES && now_ns - entry.asked_at_ns >= repeat_ns
            };
            if is_due {
                if entry.tries == 0 {
                    entry.first_asked_at_ns = now_ns;
                }
                entry.asked_at_ns = now_ns;
                entry.tries += 1;
                wanted.push(entry.ext_seq as u16);
            }
            true
        });
        if packet_followed {
            self.has_fresh_gap = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn due(register: &mut NackRegister, now_ns: i64, packet_followed: bool) -> Vec<u16> {
        let mut wanted = Vec::new();
        register.due(now_ns, packet_followed, &mut wanted);
        wanted
    }

    #[test]
    fn asks_after_a_second_packet_or_ten_milliseconds() {
        for start in [0, 65_530, 131_070, 1 << 40] {
            let mut register = NackRegister::default();
            register.add_gap(0, start, start + 3);
            let all: Vec<u16> = (start..start + 3).map(|one| one as u16).collect();
            assert_eq!(due(&mut register, 9 * MS, false), []);
            assert_eq!(due(&mut register, 9 * MS, true), all);
            let mut register = NackRegister::default();
            register.add_gap(0, start, start + 3);
            register.arrived(MS, start + 1, false);
            assert_eq!(due(&mut register, 10 * MS, false), [start as u16, (start + 2) as u16]);
        }
    }

    #[test]
    fn repeats_at_the_round_trip_ten_times_and_gives_up() {
        let mut register = NackRegister::default();
        register.add_gap(0, 5, 6);
        let asked: Vec<i64> =
            (1..200).map(|i| i * 10 * MS).filter(|at| !due(&mut register, *at, false).is_empty()).collect();
        assert_eq!(asked, (0..10).map(|i| (10 + i * 100) * MS).collect::<Vec<_>>());
        assert!(register.is_empty());
    }

    #[test]
    fn measured_round_trip_has_a_floor() {
        let mut register = NackRegister::default();
        register.add_gap(0, 5, 7);
        assert_eq!(due(&mut register, 0, true), [5, 6]);
        register.arrived(4 * MS, 5, false);
        assert_eq!(due(&mut register, 19 * MS, false), []);
        assert_eq!(due(&mut register, 20 * MS, false), [6]);
    }

    #[test]
    fn the_smoothed_round_trip_is_rounded_down() {
        let mut register = NackRegister::default();
        for (first, answered_ns) in [(5, 25_000_007), (6, 25_000_000), (7, 0)] {
            register.add_gap(0, first, first + 1);
            assert_eq!(due(&mut register, 0, true), [first as u16]);
            if answered_ns > 0 {
                register.arrived(answered_ns, first, false);
            }
        }
        // 25,000,006 and an eighth of it, and 5 ms.
        assert_eq!(due(&mut register, 33_125_005, false), []);
        assert_eq!(due(&mut register, 33_125_006, false), [7]);
    }

    #[test]
    fn a_packet_is_useless_once_and_not_before_a_newer_keyframe() {
        for (rtt_ns, useless_ns) in [(None, 400 * MS), (Some(40 * MS), 400 * MS), (Some(150 * MS), 695 * MS)] {
            let mut register = NackRegister { rtt_ns, ..NackRegister::default() };
            register.add_gap(0, 5, 7);
            assert!(!register.take_useless(useless_ns - 1));
            assert!(register.take_useless(useless_ns));
            assert!(!register.take_useless(useless_ns + 1));
            register.add_gap(0, 8, 9);
            assert!(register.take_useless(useless_ns));
            register.add_gap(0, 10, 11);
            register.forget_before(10);
            assert_eq!(due(&mut register, MS, true), [10]);
        }
    }

    #[test]
    fn keeps_the_newest() {
        let mut register = NackRegister::default();
        register.add_gap(0, 0, 200);
        register.add_gap(0, 300, 800);
        let wanted = due(&mut register, 0, true);
        assert_eq!(wanted, (544..800).collect::<Vec<u16>>());
    }
}

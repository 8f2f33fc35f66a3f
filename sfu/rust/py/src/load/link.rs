//! A bad link in one direction: loss, delay, jitter, and a bottleneck with a queue. Order is kept.

use std::collections::VecDeque;

/// What waits longer than this in front of the bottleneck is dropped.
const MAX_QUEUE_NS: u64 = 200_000_000;
const NS_PER_S: u64 = 1_000_000_000;

/// What a link does to datagrams. All zero: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Conditions {
    /// 0 to 1.
    pub(super) loss: f64,
    /// One way.
    pub(super) delay_ns: u64,
    /// Added to the delay, evenly spread between 0 and this.
    pub(super) jitter_ns: u64,
    /// 0 for no limit.
    pub(super) rate_bps: u64,
}

/// One direction of one peer.
pub(super) struct Link {
    conditions: Conditions,
    random: u64,
    free_at_ns: u64,
    last_due_ns: u64,
    waiting: VecDeque<(u64, Vec<u8>)>,
    /// Datagrams lost by chance or dropped by the queue.
    pub(super) dropped: u64,
}

impl Link {
    pub(super) fn new(conditions: Conditions, seed: u64) -> Self {
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Self { conditions, random, free_at_ns: 0, last_due_ns: 0, waiting: VecDeque::new(), dropped: 0 }
    }

    /// Whether datagrams pass as if there were no link.
    pub(super) fn is_clear(&self) -> bool {
        self.conditions == Conditions::default()
    }

    /// Takes a datagram; it comes out of `pop` when it is due, or never.
    pub(super) fn push(&mut self, now_ns: u64, data: &[u8]) {
        let Conditions { loss, delay_ns, jitter_ns, rate_bps } = self.conditions;
        if self.next_unit() < loss {
            self.dropped += 1;
            return;
        }
        let mut leaves_ns = now_ns;
        let on_the_wire_ns = (data.len() as u64 * 8).saturating_mul(NS_PER_S).checked_div(rate_bps);
        if let Some(on_the_wire_ns) = on_the_wire_ns {
            let start_ns = self.free_at_ns.max(now_ns);
            if start_ns - now_ns > MAX_QUEUE_NS {
                self.dropped += 1;
                return;
            }
            leaves_ns = start_ns + on_the_wire_ns;
            self.free_at_ns = leaves_ns;
        }
        let jitter_ns = (self.next_unit() * jitter_ns as f64) as u64;
        self.last_due_ns = self.last_due_ns.max(leaves_ns + delay_ns + jitter_ns);
        self.waiting.push_back((self.last_due_ns, data.to_vec()));
    }

    /// The next datagram that is due.
    pub(super) fn pop(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        if self.next_due_ns()? > now_ns {
            return None;
        }
        self.waiting.pop_front().map(|(_, data)| data)
    }

    /// When `pop` has something next.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        self.waiting.front().map(|(due_ns, _)| *due_ns)
    }

    /// 0 to 1, xorshift64* (Vigna 2016).
    fn next_unit(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(link: &mut Link, now_ns: u64) -> usize {
        std::iter::from_fn(|| link.pop(now_ns)).count()
    }

    #[test]
    fn loses_about_its_share() {
        let mut link = Link::new(Conditions { loss: 0.1, ..Conditions::default() }, 7);
        (0..10_000).for_each(|_| link.push(0, b"x"));
        let arrived = drain(&mut link, 0);
        assert!((8_800..9_200).contains(&arrived), "{arrived}");
        assert_eq!(arrived as u64 + link.dropped, 10_000);
    }

    #[test]
    fn delays_and_keeps_the_order() {
        let mut link = Link::new(Conditions { delay_ns: 1000, jitter_ns: 500, ..Conditions::default() }, 1);
        (0..100_u8).for_each(|index| link.push(u64::from(index), &[index]));
        assert_eq!(link.pop(999), None);
        let all: Vec<u8> = std::iter::from_fn(|| link.pop(1_600)).flatten().collect();
        assert_eq!(all, (0..100).collect::<Vec<u8>>());
    }

    #[test]
    fn a_bottleneck_passes_its_rate_and_drops_what_it_cannot_queue() {
        let mut link = Link::new(Conditions { rate_bps: 8_000_000, ..Conditions::default() }, 1);
        (0..1_000).for_each(|_| link.push(0, &[0; 1000]));
        assert_eq!(drain(&mut link, 100_000_000), 100);
        assert_eq!(link.dropped, 1_000 - 201);
    }
}

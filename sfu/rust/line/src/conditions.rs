//! What happens to each datagram of one direction.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Of IPv4 and UDP.
const HEADER_BYTES: u64 = 28;

/// Given by words: `rate_kbps=220 queue_ms=300 delay_ms=40 jitter_ms=0 loss_permille=0 burst=1`. What is not named is 0,
/// and a burst 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// 0: any.
    pub(crate) rate_kbps: u64,
    /// What would wait longer for its turn is lost; only with a rate.
    pub(crate) queue_ms: u64,
    pub(crate) delay_ms: u64,
    /// Added to the delay, evenly spread; datagrams keep their order.
    pub(crate) jitter_ms: u64,
    /// Share that is lost, in thousandths.
    pub(crate) loss_permille: u64,
    /// How many are lost in a row, on average (Gilbert's model).
    pub(crate) burst: u64,
}

impl Conditions {
    /// None for a word that is not known.
    pub(crate) fn parse(words: &str) -> Option<Self> {
        let mut values: HashMap<&str, u64> = HashMap::new();
        for word in words.split_whitespace() {
            let (name, value) = word.split_once('=')?;
            values.insert(name, value.parse().ok()?);
        }
        let mut take = |name| values.remove(name).unwrap_or(0);
        let conditions = Self {
            rate_kbps: take("rate_kbps"),
            queue_ms: take("queue_ms"),
            delay_ms: take("delay_ms"),
            jitter_ms: take("jitter_ms"),
            loss_permille: take("loss_permille"),
            burst: take("burst").max(1),
        };
        values.is_empty().then_some(conditions)
    }
}

/// One direction of the line.
#[derive(Debug)]
pub(crate) struct Direction {
    pub(crate) conditions: Conditions,
    random: u64,
    /// In a run of losses.
    is_losing: bool,
    /// When the line has sent what waits.
    free_at: Option<Instant>,
    last_arrival: Option<Instant>,
}

impl Direction {
    pub(crate) fn new(seed: u64) -> Self {
        Self { conditions: Conditions::default(), random: seed, is_losing: false, free_at: None, last_arrival: None }
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn happens(&mut self, permille: u64) -> bool {
        self.next() % 1_000_000 < permille * 1_000
    }

    /// Of the two states of Gilbert's model, the bad one loses everything and lasts `burst` datagrams.
    fn loses(&mut self) -> bool {
        let Conditions { loss_permille, burst, .. } = self.conditions;
        let left = 1_000_u64.saturating_sub(loss_permille).max(1);
        self.is_losing = if burst <= 1 {
            self.happens(loss_permille)
        } else if self.is_losing {
            !self.happens(1_000 / burst)
        } else {
            self.happens(loss_permille * 1_000 / burst / left)
        };
        self.is_losing
    }

    /// When a datagram of that size arrives; None: it is lost.
    pub(crate) fn carry(&mut self, now: Instant, size: usize) -> Option<Instant> {
        if self.loses() {
            return None;
        }
        let Conditions { rate_kbps, queue_ms, delay_ms, jitter_ms, .. } = self.conditions;
        let mut arrival = now;
        if let Some(takes_us) = ((size as u64 + HEADER_BYTES) * 8_000).checked_div(rate_kbps) {
            let begins = self.free_at.map_or(now, |free_at| free_at.max(now));
            if begins - now > Duration::from_millis(queue_ms) {
                return None;
            }
            arrival = begins + Duration::from_micros(takes_us);
            self.free_at = Some(arrival);
        }
        let jitter_us = if jitter_ms > 0 { self.next() % (jitter_ms * 1_000) } else { 0 };
        arrival += Duration::from_millis(delay_ms) + Duration::from_micros(jitter_us);
        arrival = self.last_arrival.map_or(arrival, |last| last.max(arrival));
        self.last_arrival = Some(arrival);
        Some(arrival)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direction(words: &str) -> Direction {
        Direction { conditions: Conditions::parse(words).unwrap_or_default(), ..Direction::new(1) }
    }

    #[test]
    fn words() {
        assert_eq!(Conditions::parse(""), Some(Conditions { burst: 1, ..Conditions::default() }));
        assert_eq!(Conditions::parse("rate_kbps=220 burst=8").map(|one| (one.rate_kbps, one.burst)), Some((220, 8)));
        assert_eq!(Conditions::parse("speed=1"), None);
        assert_eq!(Conditions::parse("rate_kbps=-1"), None);
    }

    #[test]
    fn a_narrow_line_delays_and_then_drops() {
        let (mut line, now) = (direction("rate_kbps=100 queue_ms=300 delay_ms=40"), Instant::now());
        let arrivals: Vec<_> = (0..10).filter_map(|_| line.carry(now, 1_222)).collect();
        // Each takes 100 ms, and the one that would wait longer than 300 ms is lost.
        assert_eq!(arrivals.len(), 4);
        assert_eq!(arrivals.first().map(|first| *first - now), Some(Duration::from_millis(140)));
        assert_eq!(arrivals.last().map(|last| *last - now), Some(Duration::from_millis(440)));
    }

    #[test]
    fn losses_come_as_often_and_as_long_as_said() {
        for burst in [1, 8] {
            let (mut line, now) = (direction(&format!("loss_permille=100 burst={burst}")), Instant::now());
            let lost: Vec<bool> = (0..100_000).map(|_| line.carry(now, 100).is_none()).collect();
            let count = lost.iter().filter(|lost| **lost).count();
            assert!((9_000..11_000).contains(&count), "{count}");
            let runs = lost.windows(2).filter(|pair| **pair == [false, true]).count();
            let tenths = 10 * count / runs.max(1);
            assert!((9 * burst..12 * burst).contains(&(tenths as u64)), "{tenths}");
        }
    }
}

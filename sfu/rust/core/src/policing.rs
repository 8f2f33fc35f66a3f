//! Token buckets that police what a publisher sends.

const NS_PER_S: i128 = 1_000_000_000;

/// `rate_per_s` tokens a second and a burst of one second's worth; a rate of 0 is no limit.
///
/// Counts in token-nanoseconds, so that integers suffice and every engine agrees to the last token.
#[derive(Clone, Debug)]
pub(crate) struct TokenBucket {
    rate: i128,
    level: i128,
    at_ns: Option<i64>,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub(crate) fn new(rate_per_s: u64) -> Self {
        let rate = i128::from(rate_per_s);
        Self { rate, level: rate * NS_PER_S, at_ns: None }
    }

    /// Whether `tokens` are there now. Takes none: a packet pays only after it has proved where it comes from.
    pub(crate) fn allows(&mut self, now_ns: i64, tokens: u64) -> bool {
        if self.rate == 0 {
            return true;
        }
        if let Some(at_ns) = self.at_ns
            && now_ns > at_ns
        {
            let earned = i128::from(now_ns - at_ns) * self.rate;
            self.level = (self.level + earned).min(self.rate * NS_PER_S);
        }
        self.at_ns = Some(now_ns);
        self.level >= i128::from(tokens) * NS_PER_S
    }

    /// Spend what `allows` granted.
    pub(crate) fn take(&mut self, tokens: u64) {
        if self.rate != 0 {
            self.level -= i128::from(tokens) * NS_PER_S;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_is_one_second_and_refills_at_the_rate() {
        let mut bucket = TokenBucket::new(10);
        let mut granted = 0;
        for now_ns in [0, 0, 100_000_000, 50_000_000_000] {
            for _ in 0..20 {
                if bucket.allows(now_ns, 1) {
                    bucket.take(1);
                    granted += 1;
                }
            }
        }
        assert_eq!(granted, 10 + 1 + 10);
    }

    #[test]
    fn no_rate_is_no_limit() {
        let mut bucket = TokenBucket::new(0);
        assert!(bucket.allows(0, u64::MAX));
        bucket.take(u64::MAX);
        assert!(bucket.allows(0, u64::MAX));
    }
}

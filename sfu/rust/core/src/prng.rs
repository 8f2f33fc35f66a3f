//! The engine's only source of randomness: SplitMix64, small enough to be the same in every language.
//!
//! Starting sequence numbers and timestamps need to be unpredictable off-path (RFC 3550 §5.1), which the seed gives;
//! nothing secret is derived from it.

/// Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (2014).
#[derive(Clone, Debug)]
pub(crate) struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// A generator that starts from `seed`.
    #[must_use]
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number.
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The top 32 bits of the next number.
    pub(crate) fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// The top 15 bits of the next number.
    pub(crate) fn next_u15(&mut self) -> i64 {
        (self.next_u64() >> 49) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_published_generator() {
        let mut random = SplitMix64::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
        assert_eq!(SplitMix64::new(1_234_567).next_u15(), (6_457_827_717_110_365_317_u64 >> 49) as i64);
    }
}

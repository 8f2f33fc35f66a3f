//! Latencies in buckets whose width grows with the value: 32 for each power of two, so at most 3.2 % off.

const SUB_BITS: u32 = 5;
const SUBS: u64 = 1 << SUB_BITS;
/// Values from here on share the last bucket: about 67 s in microseconds.
const MAX_VALUE: u64 = (1 << 26) - 1;
const BUCKETS: usize = bucket_of(MAX_VALUE) + 1;

/// Counts of microseconds.
#[derive(Clone)]
pub(super) struct Histogram {
    counts: Vec<u64>,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; BUCKETS] }
    }

    pub(super) fn add(&mut self, microseconds: u64) {
        if let Some(count) = self.counts.get_mut(bucket_of(microseconds.min(MAX_VALUE))) {
            *count += 1;
        }
    }

    /// (lower bound in microseconds, count) of the buckets that are not empty.
    pub(super) fn buckets(&self) -> Vec<(u64, u64)> {
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(index, count)| (lower_bound(index as u64), *count)).collect()
    }
}

const fn bucket_of(value: u64) -> usize {
    if value < SUBS {
        return value as usize;
    }
    let shift = value.ilog2() - SUB_BITS;
    ((shift as u64 + 1) * SUBS + ((value >> shift) - SUBS)) as usize
}

fn lower_bound(index: u64) -> u64 {
    if index < SUBS {
        return index;
    }
    (SUBS + index % SUBS) << (index / SUBS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_begins_where_the_one_before_ends() {
        for index in 0..BUCKETS as u64 {
            assert_eq!(bucket_of(lower_bound(index)) as u64, index);
            assert_eq!(bucket_of(lower_bound(index + 1) - 1) as u64, index);
        }
    }

    #[test]
    fn what_is_too_large_is_counted_in_the_last() {
        let mut histogram = Histogram::new();
        histogram.add(u64::MAX);
        histogram.add(7);
        assert_eq!(histogram.buckets(), vec![(7, 1), (lower_bound(BUCKETS as u64 - 1), 1)]);
    }
}

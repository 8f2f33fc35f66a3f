//! From the numbers of a source to the numbers of a subscriber, without gaps where packets were withheld.
//!
//! The same map serves sequence numbers and picture ids. All numbers are extended: they never wrap.

use std::collections::VecDeque;

/// Runs of withheld numbers that are remembered, to place what arrives late.
pub(crate) const HISTORY: usize = 256;

/// An offset that grows by one with each withheld number, and the recent past of that offset.
///
/// The invariant: the last number given out, or reserved for a packet that the network still owes, is
/// `highest_in - offset`.
#[derive(Clone, Debug)]
pub(crate) struct SequenceMap {
    first_in: i64,
    /// The highest number of the source so far.
    pub(crate) highest_in: i64,
    /// What a number of the source is above its number out.
    pub(crate) offset: i64,
    /// (first number in after a run of withheld ones, the offset before that run).
    points: VecDeque<(i64, i64)>,
}

impl SequenceMap {
    /// The first number given out will be `first_out`.
    #[must_use]
    pub(crate) fn new(first_out: i64) -> Self {
        Self { first_in: 0, highest_in: -1, offset: -first_out, points: VecDeque::new() }
    }

    /// The last number given out or reserved.
    #[must_use]
    pub(crate) fn highest_out(&self) -> i64 {
        self.highest_in - self.offset
    }

    /// A source starts, or starts again, with `in_number`, which gets the next number out.
    pub(crate) fn begin(&mut self, in_number: i64) {
        self.offset = in_number - self.highest_out() - 1;
        self.first_in = in_number;
        self.highest_in = in_number - 1;
        self.points.clear();
    }

    /// The number out of a forwarded packet; None when it is older than what the map remembers.
    pub(crate) fn place(&mut self, in_number: i64) -> Option<i64> {
        if in_number > self.highest_in {
            self.highest_in = in_number;
            return Some(in_number - self.offset);
        }
        self.place_late(in_number)
    }

    /// Leave a number out. Returns the place that was already reserved for it, when it is late.
    pub(crate) fn withhold(&mut self, in_number: i64) -> Option<i64> {
        if in_number <= self.highest_in {
            return self.place_late(in_number);
        }
        match self.points.back_mut() {
            Some(last) if last.0 == in_number => last.0 = in_number + 1,
            _ => {
                if self.points.len() == HISTORY {
                    self.points.pop_front();
                }
                self.points.push_back((in_number + 1, self.offset));
            }
        }
        self.offset += 1;
        self.highest_in = in_number;
        None
    }

    fn place_late(&self, in_number: i64) -> Option<i64> {
        if in_number < self.first_in {
            return None;
        }
        let mut offset = self.offset;
        for (start, before) in self.points.iter().rev() {
            if in_number >= *start {
                return Some(in_number - offset);
            }
            offset = *before;
        }
        (self.points.len() < HISTORY).then_some(in_number - offset)
    }

    /// Move the numbers out down by a multiple of `wrap`, so that the highest is in the first wrap from `floor` on. What
    /// was sent before cannot be placed any more.
    pub(crate) fn rebase(&mut self, floor: i64, wrap: i64) {
        self.offset += (self.highest_out() - floor).div_euclid(wrap) * wrap;
        self.points.clear();
        self.first_in = self.highest_in + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (number in, forwarded?, number out)
    type Step = (i64, bool, Option<i64>);

    fn run(first_out: i64, begin: i64, steps: &[Step]) -> SequenceMap {
        let mut map = SequenceMap::new(first_out);
        map.begin(begin);
        for (in_number, forwarded, expected) in steps {
            let out = if *forwarded { map.place(*in_number) } else { map.withhold(*in_number) };
            assert_eq!(out, *expected, "{in_number} of {steps:?}");
        }
        map
    }

    #[test]
    fn tables() {
        for begin in [0, 100, 65_535, 1 << 33] {
            let n = |i: i64| begin + i;
            // In order; a hole of the network stays one.
            run(500, begin, &[(n(0), true, Some(500)), (n(1), true, Some(501)), (n(3), true, Some(503))]);
            // Withheld numbers close up.
            let steps = [
                (n(0), true, Some(500)),
                (n(1), false, None),
                (n(2), false, None),
                (n(3), true, Some(501)),
                (n(5), false, None),
                (n(6), true, Some(503)),
                // Late: from the hole before the second run.
                (n(4), true, Some(502)),
                // Late and withheld: its place is kept.
                (n(4), false, Some(502)),
            ];
            assert_eq!(run(500, begin, &steps).highest_out(), 503);
            // What came before the beginning has no place.
            run(500, begin, &[(n(0), true, Some(500)), (n(-1), true, None)]);
        }
    }

    #[test]
    fn a_new_source_continues() {
        let mut map = run(500, 10, &[(10, true, Some(500)), (11, false, None), (12, true, Some(501))]);
        map.begin(70_000);
        assert_eq!(map.place(70_000), Some(502));
        assert_eq!(map.place(69_999), None);
    }

    #[test]
    fn history_is_bounded() {
        let mut map = SequenceMap::new(0);
        map.begin(0);
        for i in 0..600 {
            map.place(3 * i);
            map.withhold(3 * i + 1);
        }
        assert_eq!(map.points.len(), HISTORY);
        assert_eq!(map.place(2), None);
        assert_eq!(map.place(3 * 599 - 1), Some(3 * 599 - 1 - 599));
    }

    #[test]
    fn rebase_keeps_the_wire_number() {
        let mut map = run(3 << 16, 7, &[(7, true, Some(3 << 16)), (8, true, Some((3 << 16) + 1))]);
        map.rebase(1 << 16, 1 << 16);
        assert_eq!(map.highest_out(), (1 << 16) + 1);
        assert_eq!(map.place(8), None);
        assert_eq!(map.place(9), Some((1 << 16) + 2));
    }
}

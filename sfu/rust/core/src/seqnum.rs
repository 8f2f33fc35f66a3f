//! Sequence numbers beyond their wraparound, and the replay window.
//!
//! `ext_seq` is the 16-bit sequence number plus 2^16 times the number of wraps, plus [`EXT_SEQ_START`]: a stream
//! begins in the range [2^16, 2^17), so that packets reordered around the very first one never become negative. The
//! SRTP rollover counter on the wire is therefore `(ext_seq >> 16) - 1`; [`crate::srtp`] accounts for it.

/// Where the extended numbers of a stream begin.
pub const EXT_SEQ_START: i64 = 1 << 16;

/// Indices that a [`ReplayWindow`] looks back on.
pub const REPLAY_WINDOW: usize = 1024;

const WORD_BITS: usize = u64::BITS as usize;

/// `a - b` on the 16-bit circle, in -32768..=32767: positive when `a` is newer (RFC 1982).
#[must_use]
pub fn seq_diff(a: u16, b: u16) -> i16 {
    a.wrapping_sub(b).cast_signed()
}

/// `a - b` on the 32-bit circle, in -2^31..=2^31-1: positive when `a` is newer.
#[must_use]
pub fn timestamp_diff(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

/// The number nearest to `highest` whose low 16 bits are `seq`.
#[must_use]
pub fn extend_near(highest: i64, seq: u16) -> i64 {
    highest.wrapping_add(i64::from(seq_diff(seq, highest as u16)))
}

/// Extends 16-bit sequence numbers by the guess nearest to the highest one (RFC 3711 §3.3.1).
///
/// `extend` only guesses, so it may be called before authentication; `commit` remembers after it. Before the first
/// commit the guess is `EXT_SEQ_START + seq`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SeqExtender {
    /// The highest committed ext_seq.
    pub highest: Option<i64>,
}

impl SeqExtender {
    /// The ext_seq that `seq` most likely stands for.
    #[must_use]
    pub fn extend(&self, seq: u16) -> i64 {
        match self.highest {
            None => EXT_SEQ_START + i64::from(seq),
            Some(highest) => extend_near(highest, seq),
        }
    }

    /// Remember `ext_seq` if it is the highest so far.
    pub fn commit(&mut self, ext_seq: i64) {
        if self.highest.is_none_or(|highest| ext_seq > highest) {
            self.highest = Some(ext_seq);
        }
    }

    /// `extend` and `commit` in one, for numbers that need no authentication.
    pub fn update(&mut self, seq: u16) -> i64 {
        let ext_seq = self.extend(seq);
        self.commit(ext_seq);
        ext_seq
    }
}

/// What a [`ReplayWindow`] says of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Not seen yet.
    Fresh,
    /// Seen already.
    Replayed,
    /// Left of the window: nobody knows.
    TooOld,
}

/// Sliding window over indices (RFC 3711 §3.3.2): which of the last [`REPLAY_WINDOW`] were seen.
///
/// `check` before decryption, `commit` after authentication. Index i is bit `i % REPLAY_WINDOW`.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    highest: i64,
    seen: [u64; REPLAY_WINDOW / WORD_BITS],
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self { highest: -1, seen: [0; REPLAY_WINDOW / WORD_BITS] }
    }
}

impl ReplayWindow {
    /// An empty window.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `index` (not negative) was seen.
    #[must_use]
    pub fn check(&self, index: i64) -> Freshness {
        let age = self.highest.wrapping_sub(index);
        if self.highest < 0 || age < 0 {
            Freshness::Fresh
        } else if age >= REPLAY_WINDOW as i64 {
            Freshness::TooOld
        } else if self.is_seen(index) {
            Freshness::Replayed
        } else {
            Freshness::Fresh
        }
    }

    /// Mark `index` (not negative) as seen. Indices left of the window are ignored.
    pub fn commit(&mut self, index: i64) {
        let step = index.wrapping_sub(self.highest);
        if self.highest < 0 || step >= REPLAY_WINDOW as i64 {
            self.seen = [0; REPLAY_WINDOW / WORD_BITS];
            self.highest = index;
            self.mark(index, true);
        } else if step > 0 {
            for skipped in self.highest + 1..index {
                self.mark(skipped, false);
            }
            self.highest = index;
            self.mark(index, true);
        } else if step > -(REPLAY_WINDOW as i64) {
            self.mark(index, true);
        }
    }

    fn is_seen(&self, index: i64) -> bool {
        let (word, bit) = Self::place(index);
        self.seen.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn mark(&mut self, index: i64, is_seen: bool) {
        let (word, bit) = Self::place(index);
        if let Some(bits) = self.seen.get_mut(word) {
            *bits = if is_seen { *bits | bit } else { *bits & !bit };
        }
    }

    fn place(index: i64) -> (usize, u64) {
        let position = (index as usize) % REPLAY_WINDOW;
        (position / WORD_BITS, 1 << (position % WORD_BITS))
    }
}

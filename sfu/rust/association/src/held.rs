//! How much the peer has made us hold. sctp-proto bounds the bytes of messages that are not complete, or behind a gap,
//! and not their chunks, each of which costs a hundred bytes and keeps its datagram.

use crate::wire::{self, chunks, u16_at, u32_at};

/// Bytes of such messages; what we announce as our window.
pub const RECEIVE_BUFFER_BYTES: u32 = 1024 * 1024;
/// Chunks of such messages.
pub const MAX_WAITING_CHUNKS: usize = 4096;
/// Chunks that may come before we look at what they made us hold: the library's work for each grows with it.
const MAX_NEW_CHUNKS: usize = 1024;

/// Chunks taken and not read, and chunks behind a gap; the library keeps the latter until the gap closes, read or not.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Never too low, and too high only until our next SACK says how few bytes wait.
    unread: usize,
    behind_gap: usize,
    /// Taken since the last look.
    new: usize,
}

impl Held {
    pub(crate) fn took(&mut self, chunks: usize) {
        self.unread = self.unread.saturating_add(chunks);
        self.new = self.new.saturating_add(chunks);
    }

    /// How many more may wait.
    pub(crate) fn room(&self) -> usize {
        MAX_WAITING_CHUNKS.saturating_sub(self.unread)
    }

    pub(crate) fn is_look_due(&self) -> bool {
        self.new >= MAX_NEW_CHUNKS
    }

    pub(crate) fn looked(&mut self) {
        self.new = 0;
    }

    pub(crate) fn read(&mut self, chunks: usize) {
        self.unread = self.unread.saturating_sub(chunks);
    }

    /// Looks at a packet of ours; the cumulative TSN when it has a SACK. Every chunk is a byte at least.
    pub(crate) fn sent(&mut self, packet: &[u8]) -> Option<u32> {
        let sack = chunks(packet).flatten().find(|chunk| chunk.kind == wire::SACK)?.body;
        let window = u32_at(sack, 4)?;
        let gaps = usize::from(u16_at(sack, 8)?);
        let blocks = sack.get(12..)?.as_chunks::<4>().0.iter().take(gaps);
        self.behind_gap = blocks
            .map(|[s0, s1, e0, e1]| {
                let (start, end) = (u16::from_be_bytes([*s0, *s1]), u16::from_be_bytes([*e0, *e1]));
                usize::from(end.saturating_sub(start)).saturating_add(1)
            })
            .sum();
        let bytes = usize::try_from(RECEIVE_BUFFER_BYTES.saturating_sub(window)).unwrap_or(usize::MAX);
        self.unread = self.unread.min(bytes.saturating_add(self.behind_gap));
        u32_at(sack, 0)
    }

    pub(crate) fn is_too_much(&self) -> bool {
        self.unread > MAX_WAITING_CHUNKS || self.behind_gap > MAX_WAITING_CHUNKS
    }
}

//! Redundant audio data (RFC 2198). Parsers return `None` for malformed payloads.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::api::{MAX_RED_BYTES, MAX_REDUNDANCY, MAX_REDUNDANCY_STEP};

/// How far before its packet a block may be, in units of the clock.
const MAX_OFFSET: u32 = 1 << 14;
const MAX_BLOCK_BYTES: usize = 1023;
/// Further apart, timestamps are of different times: the clock of the stream has begun anew.
const FAR: u32 = 1 << 20;
const HALF: u32 = 0x8000_0000;
const BLOCK_HEADER_BYTES: usize = 4;

/// One block of a RED payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedBlock<'a> {
    /// 7 bits.
    pub payload_type: u8,
    /// Subtracted from the packet's timestamp, 14 bits; 0 for the primary.
    pub timestamp_offset: u16,
    /// The payload of the block.
    pub data: &'a [u8],
}

/// The blocks, oldest first, the primary last (RFC 2198 §3).
#[must_use]
pub fn parse(payload: &[u8]) -> Option<Vec<RedBlock<'_>>> {
    let mut headers = Vec::new();
    let mut rest = payload;
    let primary_type = loop {
        let (&first, after) = rest.split_first()?;
        if first < 0x80 {
            rest = after;
            break first;
        }
        let (&[a, b, c], after) = after.split_first_chunk::<3>()?;
        headers.push((first & 0x7F, u16::from_be_bytes([a, b]) >> 2, usize::from(b & 0x03) << 8 | usize::from(c)));
        rest = after;
    };
    let mut blocks = Vec::with_capacity(headers.len() + 1);
    for (payload_type, timestamp_offset, length) in headers {
        let (data, after) = rest.split_at_checked(length)?;
        blocks.push(RedBlock { payload_type, timestamp_offset, data });
        rest = after;
    }
    blocks.push(RedBlock { payload_type: primary_type, timestamp_offset: 0, data: rest });
    Some(blocks)
}

/// The payload of the primary block (the newest frame): the end of `payload`.
#[must_use]
pub fn primary(payload: &[u8]) -> Option<&[u8]> {
    let mut skipped = 0;
    let mut rest = payload;
    loop {
        let (&first, after) = rest.split_first()?;
        if first < 0x80 {
            return after.get(skipped..);
        }
        let (&[_, b, c], after) = after.split_first_chunk::<3>()?;
        skipped += usize::from(b & 0x03) << 8 | usize::from(c);
        rest = after;
    }
}

/// Those that packets yet to come may carry.
const MAX_FRAMES: usize = MAX_REDUNDANCY * MAX_REDUNDANCY_STEP;

/// An encoded frame of sound.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Its RTP timestamp.
    pub(crate) timestamp: u32,
    pub(crate) data: Arc<[u8]>,
}

/// Frames that a packet can carry, oldest first.
pub(crate) type Frames = SmallVec<[Frame; MAX_FRAMES]>;

/// The newest frames of a stream that can be redundant blocks, oldest first.
#[derive(Debug, Default)]
pub(crate) struct FrameHistory {
    frames: Frames,
}

impl FrameHistory {
    /// Those that a packet of that time can carry.
    pub(crate) fn before(&self, timestamp: u32) -> Frames {
        let fits = |frame: &&Frame| (1..MAX_OFFSET).contains(&timestamp.wrapping_sub(frame.timestamp));
        self.frames.iter().filter(fits).cloned().collect()
    }

    /// A frame of that time which is known already stays.
    pub(crate) fn add(&mut self, timestamp: u32, data: &[u8]) {
        if data.is_empty() || data.len() > MAX_BLOCK_BYTES {
            return;
        }
        let is_far = |other: u32| timestamp.wrapping_sub(other).min(other.wrapping_sub(timestamp)) >= FAR;
        if self.frames.last().is_some_and(|newest| is_far(newest.timestamp)) {
            self.frames.clear();
        }
        if self.frames.iter().any(|one| one.timestamp == timestamp) {
            return;
        }
        let is_before = |one: &Frame| one.timestamp.wrapping_sub(timestamp) >= HALF;
        let at = self.frames.iter().rposition(is_before).map_or(0, |before| before + 1);
        self.frames.insert(at, Frame { timestamp, data: data.into() });
        if self.frames.len() > MAX_FRAMES {
            self.frames.remove(0);
        }
    }
}

/// Append a payload with as many of the `earlier` frames, oldest first, as there is room for; the newest go first in.
pub(crate) fn build(out: &mut Vec<u8>, frame_type: u8, timestamp: u32, earlier: &[Frame], primary_block: &[u8]) {
    let mut size = 1 + primary_block.len();
    let has_room = |frame: &&Frame| {
        size += BLOCK_HEADER_BYTES + frame.data.len();
        size <= MAX_RED_BYTES
    };
    let count = earlier.iter().rev().take_while(has_room).count();
    let kept = earlier.get(earlier.len() - count..).unwrap_or_default();
    for frame in kept {
        let offset = timestamp.wrapping_sub(frame.timestamp);
        let word = u32::from(0x80 | frame_type) << 24 | offset << 10 | frame.data.len() as u32;
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.push(frame_type);
    for frame in kept {
        out.extend_from_slice(&frame.data);
    }
    out.extend_from_slice(primary_block);
}

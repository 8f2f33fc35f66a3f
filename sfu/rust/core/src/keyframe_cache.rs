//! The last keyframe of a stream and what followed it, for subscriptions that begin in between.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::api::{KEYFRAME_CACHE_NS, KEYFRAME_CACHE_PACKETS, REPLAY_SPEED};
use crate::packet::MediaPacket;

/// One packet as it arrived.
#[derive(Clone, Debug)]
pub(crate) enum CachedPacket {
    Media {
        packet: Arc<MediaPacket>,
        /// No packet with a higher number had arrived before it.
        is_newest: bool,
    },
    /// A number that was withheld from everyone.
    Withheld { arrived_at_ns: i64, ext_seq: i64 },
}

impl CachedPacket {
    pub(crate) fn arrived_at_ns(&self) -> i64 {
        match self {
            Self::Media { packet, .. } => packet.now_ns,
            Self::Withheld { arrived_at_ns, .. } => *arrived_at_ns,
        }
    }

    fn ext_seq(&self) -> i64 {
        match self {
            Self::Media { packet, .. } => packet.ext_seq,
            Self::Withheld { ext_seq, .. } => *ext_seq,
        }
    }

    pub(crate) fn media(&self) -> Option<&Arc<MediaPacket>> {
        match self {
            Self::Media { packet, .. } => Some(packet),
            Self::Withheld { .. } => None,
        }
    }
}

/// In the order of arrival, from a keyframe on; empty while it is void.
#[derive(Debug, Default)]
pub(crate) struct KeyframeCache {
    entries: Vec<CachedPacket>,
    /// Of payloads.
    size_bytes: u64,
    /// 0: nothing is kept.
    limit_bytes: u64,
    is_open: bool,
}

impl KeyframeCache {
    /// Void until the next `begin`.
    pub(crate) fn clear(&mut self) {
        self.entries = Vec::new();
        self.size_bytes = 0;
        self.is_open = false;
    }

    /// The next packet is the first of a keyframe.
    pub(crate) fn begin(&mut self) {
        self.entries.clear();
        self.size_bytes = 0;
        self.is_open = self.limit_bytes > 0;
    }

    /// Whether anything is kept at all.
    pub(crate) fn is_on(&self) -> bool {
        self.limit_bytes > 0
    }

    pub(crate) fn set_limit(&mut self, limit_bytes: u64) {
        self.limit_bytes = limit_bytes;
        if self.size_bytes > limit_bytes || limit_bytes == 0 {
            self.clear();
        }
    }

    /// Keep what has just arrived; nothing happens while the cache is void.
    pub(crate) fn add(&mut self, entry: CachedPacket) {
        let is_before = self.entries.first().is_some_and(|first| entry.ext_seq() < first.ext_seq());
        if !self.is_open || is_before {
            return;
        }
        self.size_bytes += entry.media().map_or(0, |packet| packet.payload.len() as u64);
        self.entries.push(entry);
        let is_full = self.size_bytes > self.limit_bytes || self.entries.len() > KEYFRAME_CACHE_PACKETS;
        if is_full || self.span_ns() > KEYFRAME_CACHE_NS as i64 {
            self.clear();
        }
    }

    /// The first packet of the keyframe; None while the cache is void.
    pub(crate) fn first(&self) -> Option<&Arc<MediaPacket>> {
        self.entries.first()?.media()
    }

    /// Time from the first packet to the last.
    pub(crate) fn span_ns(&self) -> i64 {
        match (self.entries.first(), self.entries.last()) {
            (Some(first), Some(last)) => last.arrived_at_ns() - first.arrived_at_ns(),
            _ => 0,
        }
    }

    /// All of it, for a subscription that begins now; None while the cache is void.
    pub(crate) fn replay(&self, now_ns: i64) -> Option<Replay> {
        let first = self.first()?;
        Some(Replay {
            entries: self.entries.iter().cloned().collect(),
            started_at_ns: now_ns,
            first_at_ns: first.now_ns,
            timestamp: first.timestamp,
        })
    }
}

/// What one subscription still has to get before it is live; what arrives meanwhile is added at the end.
#[derive(Debug)]
pub(crate) struct Replay {
    entries: VecDeque<CachedPacket>,
    started_at_ns: i64,
    first_at_ns: i64,
    timestamp: u32,
}

impl Replay {
    /// Something has arrived meanwhile.
    pub(crate) fn push(&mut self, entry: CachedPacket) {
        self.entries.push_back(entry);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.entries.is_empty()
    }

    /// Take the next one that may leave now: of the first picture any, later ones in quick motion.
    pub(crate) fn next_due(&mut self, now_ns: i64) -> Option<CachedPacket> {
        let entry = self.entries.front()?;
        let until_ns = (now_ns - self.started_at_ns).saturating_mul(REPLAY_SPEED as i64);
        let is_first_picture = entry.media().is_some_and(|packet| packet.timestamp == self.timestamp);
        let is_due = is_first_picture || entry.arrived_at_ns() - self.first_at_ns <= until_ns;
        if is_due { self.entries.pop_front() } else { None }
    }
}

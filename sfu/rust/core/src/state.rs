//! What every part of the engine shares: the way out, the counters, the seed, and the tables.

use std::collections::VecDeque;

use indexmap::{IndexMap, IndexSet};

use crate::api::{DropReason, Drops, Event};
use crate::forwarder::Forwarder;
use crate::pacer::Pacer;
use crate::packet::BlockCache;
use crate::prng::SplitMix64;
use crate::slab::Slab;
use crate::stream::InboundStream;
use crate::track::Track;
use crate::transport::Transport;

/// Output queues, drop counters, and the streams that owe someone a keyframe.
///
/// The queues are bounded by what one call of `handle_*` can make: the caller drains them after each.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) random: SplitMix64,
    pub(crate) pacer: Pacer,
    pub(crate) events: VecDeque<Event>,
    pub(crate) drops: Drops,
    /// Binding requests that were answered here.
    pub(crate) checks_answered: u64,
    /// By slot of the stream: true where the keyframe was asked for, and not only waited for.
    pub(crate) keyframes_wanted: IndexMap<u32, bool>,
    /// Slots of the subscriptions that begin, or have begun, with a cached keyframe.
    pub(crate) replays: IndexSet<u32>,
    /// The transport that something is being done for: the one that ends if that panics.
    pub(crate) working_for: Option<u32>,
}

impl Core {
    pub(crate) fn drop_one(&mut self, reason: DropReason) {
        self.drops.add(reason, 1);
    }
}

/// Everything. Tables are indexed by slots, which the engine finds by handle.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) core: Core,
    pub(crate) transports: Slab<Transport>,
    pub(crate) tracks: Slab<Track>,
    pub(crate) streams: Slab<InboundStream>,
    pub(crate) forwarders: Slab<Forwarder>,
    /// Scratch space of one packet.
    pub(crate) blocks: BlockCache,
}

impl State {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            core: Core {
                random: SplitMix64::new(seed),
                pacer: Pacer::default(),
                events: VecDeque::new(),
                drops: Drops::default(),
                checks_answered: 0,
                keyframes_wanted: IndexMap::new(),
                replays: IndexSet::new(),
                working_for: None,
            },
            transports: Slab::new(),
            tracks: Slab::new(),
            streams: Slab::new(),
            forwarders: Slab::new(),
            blocks: BlockCache::default(),
        }
    }

    /// Younger than 2 s, or no better off than the others.
    pub(crate) fn is_active(&self, stream: &InboundStream) -> bool {
        stream.is_fresh || !self.has_fresh_stream(stream.track)
    }

    /// Whether a stream of the track is younger than 2 s.
    pub(crate) fn has_fresh_stream(&self, track: u32) -> bool {
        let streams = self.tracks.get(track).map_or(&[][..], |track| &track.streams);
        streams.iter().any(|slot| self.streams.get(*slot).is_some_and(|stream| stream.is_fresh))
    }
}

//! Everything that an engine knows: what its parts share, and the tables.

use crate::core::Core;
use crate::forwarder::Forwarder;
use crate::packet::BlockCache;
use crate::slab::Slab;
use crate::slots::{ForwarderSlot, StreamSlot, TrackSlot, TransportSlot};
use crate::stream::InboundStream;
use crate::track::Track;
use crate::transport::Transport;

/// The tables point into each other by slots; the engine finds slots by handle.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) core: Core,
    pub(crate) transports: Slab<TransportSlot, Transport>,
    pub(crate) tracks: Slab<TrackSlot, Track>,
    pub(crate) streams: Slab<StreamSlot, InboundStream>,
    pub(crate) forwarders: Slab<ForwarderSlot, Forwarder>,
    /// Scratch space of one packet.
    pub(crate) blocks: BlockCache,
}

impl State {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            core: Core::new(seed),
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
    pub(crate) fn has_fresh_stream(&self, track: TrackSlot) -> bool {
        let streams = self.tracks.get(track).map_or(&[][..], |track| &track.streams);
        streams.iter().any(|slot| self.streams.get(*slot).is_some_and(|stream| stream.is_fresh))
    }
}

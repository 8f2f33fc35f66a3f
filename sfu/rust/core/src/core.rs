//! What every part of an engine shares, below the tables: the way out, the counters, the seed.

use std::collections::VecDeque;

use indexmap::{IndexMap, IndexSet};

use crate::api::{DropReason, Drops, Event};
use crate::outgoing::Outgoing;
use crate::prng::SplitMix64;
use crate::slots::{ForwarderSlot, StreamSlot, TransportSlot};

/// Output queues, drop counters, and the streams that owe someone a keyframe.
///
/// The queues are bounded by what one call of `handle_*` can make: the caller drains them after each.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) random: SplitMix64,
    pub(crate) outgoing: Outgoing,
    pub(crate) events: VecDeque<Event>,
    pub(crate) drops: Drops,
    /// Binding requests that were answered here.
    pub(crate) checks_answered: u64,
    /// True where the keyframe was asked for, and not only waited for.
    pub(crate) keyframes_wanted: IndexMap<StreamSlot, bool>,
    /// Subscriptions that begin, or have begun, with a cached keyframe.
    pub(crate) replays: IndexSet<ForwarderSlot>,
    /// The transport that something is being done for: the one that ends if that panics.
    pub(crate) working_for: Option<TransportSlot>,
}

impl Core {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: SplitMix64::new(seed),
            outgoing: Outgoing::default(),
            events: VecDeque::new(),
            drops: Drops::default(),
            checks_answered: 0,
            keyframes_wanted: IndexMap::new(),
            replays: IndexSet::new(),
            working_for: None,
        }
    }

    pub(crate) fn drop_one(&mut self, reason: DropReason) {
        self.drops.add(reason, 1);
    }
}

//! How callers name what is in the tables.

use std::collections::BTreeMap;

use crate::api::{Error, SubscriptionHandle, TrackHandle, TransportHandle};
use crate::slots::{ForwarderSlot, TrackSlot, TransportSlot};

/// The handles of one table: where each leads, in the order in which they were given out.
#[derive(Debug)]
pub(crate) struct Numbered<S> {
    slots: BTreeMap<u64, S>,
    next: u64,
    step: u64,
}

impl<S: Copy> Numbered<S> {
    fn new(first: u64, step: u64) -> Self {
        Self { slots: BTreeMap::new(), next: first, step }
    }

    /// A handle that was never given out before.
    pub(crate) fn take(&mut self) -> u64 {
        let handle = self.next;
        self.next += self.step;
        handle
    }

    /// `handle` leads to `slot` from now on.
    pub(crate) fn insert(&mut self, handle: u64, slot: S) {
        self.slots.insert(handle, slot);
    }

    pub(crate) fn remove(&mut self, handle: u64) {
        self.slots.remove(&handle);
    }

    pub(crate) fn get(&self, handle: u64) -> Option<S> {
        self.slots.get(&handle).copied()
    }

    pub(crate) fn has(&self, handle: u64) -> bool {
        self.slots.contains_key(&handle)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, S)> + '_ {
        self.slots.iter().map(|(handle, slot)| (*handle, *slot))
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = S> + '_ {
        self.slots.values().copied()
    }
}

/// The handles of an engine.
#[derive(Debug)]
pub(crate) struct Handles {
    pub(crate) transports: Numbered<TransportSlot>,
    pub(crate) tracks: Numbered<TrackSlot>,
    pub(crate) subscriptions: Numbered<ForwarderSlot>,
}

impl Handles {
    /// They begin with `first` and grow by `step`.
    pub(crate) fn new(first: u64, step: u64) -> Self {
        Self {
            transports: Numbered::new(first, step),
            tracks: Numbered::new(first, step),
            subscriptions: Numbered::new(first, step),
        }
    }

    pub(crate) fn transport(&self, handle: TransportHandle) -> Result<TransportSlot, Error> {
        self.transports.get(handle).ok_or(Error::UnknownTransport(handle))
    }

    pub(crate) fn track(&self, handle: TrackHandle) -> Result<TrackSlot, Error> {
        self.tracks.get(handle).ok_or(Error::UnknownTrack(handle))
    }

    pub(crate) fn subscription(&self, handle: SubscriptionHandle) -> Result<ForwarderSlot, Error> {
        self.subscriptions.get(handle).ok_or(Error::UnknownSubscription(handle))
    }
}

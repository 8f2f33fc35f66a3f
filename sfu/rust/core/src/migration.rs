//! Transports that go from one engine to another, with everything that they have.

use std::collections::HashMap;

use crate::api::{Event, Path};
use crate::forwarder::Forwarder;
use crate::slab::Slab;
use crate::state::State;
use crate::stream::InboundStream;
use crate::track::{Track, refresh_routes};
use crate::transmit::Transmit;
use crate::transport::{Binding, Transport};

/// Transports on their way, with their tracks, streams and subscriptions, all under the slots of the engine that they
/// left.
#[derive(Debug)]
pub struct Parcel {
    /// The paths by which datagrams reach them, and whose each is.
    pub(crate) paths: Vec<(Path, u32)>,
    transports: Vec<(u32, Transport)>,
    tracks: Vec<(u32, Track)>,
    streams: Vec<(u32, InboundStream)>,
    forwarders: Vec<(u32, Forwarder)>,
    keyframes_wanted: Vec<(u32, bool)>,
    replays: Vec<u32>,
    transmits: Vec<Transmit>,
    events: Vec<Event>,
}

impl Parcel {
    /// The paths by which datagrams reach what is inside.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().map(|(path, _)| path)
    }

    /// The handles of the transports inside.
    pub fn transports(&self) -> impl Iterator<Item = u64> {
        self.transports.iter().map(|(_, one)| one.handle)
    }

    /// The handles of their tracks.
    pub fn tracks(&self) -> impl Iterator<Item = u64> {
        self.tracks.iter().map(|(_, one)| one.handle)
    }

    /// The handles of their subscriptions.
    pub fn subscriptions(&self) -> impl Iterator<Item = u64> {
        self.forwarders.iter().map(|(_, one)| one.handle)
    }
}

/// New slots by old ones.
type Slots = HashMap<u32, u32>;

/// New slots of all transports, tracks and subscriptions of a parcel.
pub(crate) struct Landed {
    pub(crate) transports: Slots,
    pub(crate) tracks: Slots,
    pub(crate) forwarders: Slots,
}

/// Whether a transport shares a subscription with one that is not among `slots`.
pub(crate) fn is_bound(state: &State, slot: u32, slots: &[u32]) -> bool {
    let Some(transport) = state.transports.get(slot) else { return false };
    let subscribers = transport.tracks.iter().filter_map(|one| state.tracks.get(*one)).flat_map(|one| &one.forwarders);
    let takers = subscribers.filter_map(|one| state.forwarders.get(*one)).map(|one| one.transport);
    let sources = transport.forwarders.iter().filter_map(|one| state.forwarders.get(*one)).map(|one| one.track);
    let givers = sources.filter_map(|one| state.tracks.get(one)).map(|one| one.transport);
    takers.chain(givers).any(|other| slots.binary_search(&other).is_err())
}

/// Takes transports, none of which `is_bound`, out of their tables. The caller adds their paths.
pub(crate) fn take_out(state: &mut State, slots: &[u32]) -> Parcel {
    let transports = take_all(&mut state.transports, slots.iter().copied());
    let tracks = transports.iter().flat_map(|(_, one)| one.tracks.iter().copied());
    let tracks = take_all(&mut state.tracks, tracks);
    let streams = tracks.iter().flat_map(|(_, one)| one.streams.iter().copied());
    let streams = take_all(&mut state.streams, streams);
    let forwarders = transports.iter().flat_map(|(_, one)| one.forwarders.iter().copied());
    let forwarders = take_all(&mut state.forwarders, forwarders);
    let core = &mut state.core;
    let wanted = streams.iter().filter_map(|(slot, _)| Some((*slot, core.keyframes_wanted.shift_remove(slot)?)));
    let keyframes_wanted = wanted.collect();
    let replays = forwarders.iter().map(|(slot, _)| *slot).filter(|slot| core.replays.shift_remove(slot)).collect();
    Parcel {
        paths: Vec::new(),
        transports,
        tracks,
        streams,
        forwarders,
        keyframes_wanted,
        replays,
        transmits: core.pacer.take_of(slots),
        // Those of others as well: they lose nothing by it, and the order holds.
        events: core.events.drain(..).collect(),
    }
}

fn take_all<T>(slab: &mut Slab<T>, slots: impl Iterator<Item = u32>) -> Vec<(u32, T)> {
    slots.filter_map(|slot| Some((slot, slab.remove(slot)?))).collect()
}

/// Puts what is in a parcel into the tables of its new engine, in `group`.
pub(crate) fn take_in(state: &mut State, parcel: Parcel, group: u64) -> Landed {
    let (transports, new_transports) = put_all(&mut state.transports, parcel.transports);
    let (tracks, new_tracks) = put_all(&mut state.tracks, parcel.tracks);
    let (streams, new_streams) = put_all(&mut state.streams, parcel.streams);
    let (forwarders, new_forwarders) = put_all(&mut state.forwarders, parcel.forwarders);
    for slot in new_transports {
        let Some(transport) = state.transports.get_mut(slot) else { continue };
        transport.config.group = group;
        transport.set_slot(slot);
        renumber(&mut transport.tracks, &tracks);
        renumber(&mut transport.forwarders, &forwarders);
        transport.forwarders_by_ssrc.retain(|_, one| renumber_one(one, &forwarders));
        let renumber_binding = |binding: &mut Binding| renumber_one(&mut binding.stream, &streams);
        transport.bindings.retain(|_, binding| renumber_binding(binding));
        transport.declared.retain(|_, binding| renumber_binding(binding));
    }
    for slot in new_streams {
        let Some(stream) = state.streams.get_mut(slot) else { continue };
        renumber_one(&mut stream.track, &tracks);
    }
    for slot in new_forwarders {
        let Some(forwarder) = state.forwarders.get_mut(slot) else { continue };
        renumber_one(&mut forwarder.transport, &transports);
        renumber_one(&mut forwarder.track, &tracks);
        let stream = |old: Option<u32>| old.and_then(|old| streams.get(&old).copied());
        forwarder.current = stream(forwarder.current);
        forwarder.desired = stream(forwarder.desired);
        forwarder.timeline.set_source(stream(forwarder.timeline.source()));
    }
    for slot in new_tracks {
        let Some(track) = state.tracks.get_mut(slot) else { continue };
        renumber_one(&mut track.transport, &transports);
        renumber(&mut track.streams, &streams);
        renumber(&mut track.forwarders, &forwarders);
        refresh_routes(state, slot);
    }
    let core = &mut state.core;
    core.events.extend(parcel.events);
    let wanted = parcel.keyframes_wanted.into_iter();
    core.keyframes_wanted.extend(wanted.filter_map(|(slot, is_asked)| Some((*streams.get(&slot)?, is_asked))));
    core.replays.extend(parcel.replays.iter().filter_map(|slot| forwarders.get(slot)));
    for mut transmit in parcel.transmits {
        if let Some(slot) = transports.get(&transmit.destination()) {
            transmit.set_destination(*slot);
            core.pacer.push(transmit);
        }
    }
    Landed { transports, tracks, forwarders }
}

fn put_all<T>(slab: &mut Slab<T>, values: Vec<(u32, T)>) -> (Slots, Vec<u32>) {
    let mut slots = Slots::with_capacity(values.len());
    let mut new = Vec::with_capacity(values.len());
    for (old, value) in values {
        let slot = slab.insert(value);
        slots.insert(old, slot);
        new.push(slot);
    }
    (slots, new)
}

fn renumber(list: &mut Vec<u32>, slots: &Slots) {
    list.retain_mut(|slot| renumber_one(slot, slots));
}

/// False: it is not among them.
fn renumber_one(slot: &mut u32, slots: &Slots) -> bool {
    let new = slots.get(slot);
    if let Some(new) = new {
        *slot = *new;
    }
    new.is_some()
}

//! Groups, and transports that go from one engine to another with everything that they have.

use std::collections::HashMap;
use std::hash::Hash;

use crate::api::{Error, Event, Path, TransportHandle};
use crate::core::Core;
use crate::engine::Engine;
use crate::forwarder::Forwarder;
use crate::routing;
use crate::slab::Slab;
use crate::slots::{ForwarderSlot, Slot, StreamSlot, TrackSlot, TransportSlot};
use crate::state::State;
use crate::stream::InboundStream;
use crate::track::Track;
use crate::transmit::Transmit;
use crate::transport::{Binding, Transport};

/// Transports on their way, with their tracks, streams and subscriptions, all under the slots of the engine that they
/// left.
#[derive(Debug)]
pub struct Parcel {
    /// The paths by which datagrams reach them, and whose each is.
    paths: Vec<(Path, TransportSlot)>,
    transports: Vec<(TransportSlot, Transport)>,
    tracks: Vec<(TrackSlot, Track)>,
    streams: Vec<(StreamSlot, InboundStream)>,
    forwarders: Vec<(ForwarderSlot, Forwarder)>,
    rest: Rest,
}

/// What the core held of them.
#[derive(Debug)]
struct Rest {
    keyframes_wanted: Vec<(StreamSlot, bool)>,
    replays: Vec<ForwarderSlot>,
    transmits: Vec<Transmit>,
    events: Vec<Event>,
}

impl Rest {
    fn take_in(self, core: &mut Core, landed: &Landed) {
        core.events.extend(self.events);
        let wanted = self.keyframes_wanted.into_iter();
        core.keyframes_wanted
            .extend(wanted.filter_map(|(slot, is_asked)| Some((*landed.streams.get(&slot)?, is_asked))));
        core.replays.extend(self.replays.iter().filter_map(|slot| landed.forwarders.get(slot)));
        for mut transmit in self.transmits {
            if let Some(slot) = landed.transports.get(&transmit.transport()) {
                transmit.set_transport(*slot);
                core.outgoing.push(transmit);
            }
        }
    }
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

impl Engine {
    /// The transports of a group, in order of their handles.
    #[must_use]
    pub fn transports_of(&self, group: u64) -> Vec<TransportHandle> {
        let is_member = |slot| self.state.transports.get(slot).is_some_and(|one| one.config.group == group);
        self.handles.transports.iter().filter(|(_, slot)| is_member(*slot)).map(|(handle, _)| handle).collect()
    }

    /// Slots, rising, of transports that may leave their one group together.
    fn check_departure(&self, transports: &[TransportHandle]) -> Result<Vec<TransportSlot>, Error> {
        let slots: Result<Vec<TransportSlot>, Error> =
            transports.iter().map(|handle| self.handles.transport(*handle)).collect();
        let mut slots = slots?;
        slots.sort_unstable();
        slots.dedup();
        let group_of = |slot: &TransportSlot| self.state.transports.get(*slot).map(|one| one.config.group);
        if slots.windows(2).any(|pair| pair.first().map(group_of) != pair.last().map(group_of)) {
            return Err(Error::InvalidConfig("transports that move together are of one group"));
        }
        let bound = slots.iter().find(|slot| is_bound(&self.state, **slot, &slots));
        match bound.and_then(|slot| self.state.transports.get(*slot)) {
            Some(transport) => Err(Error::StillSubscribed(transport.handle)),
            None => Ok(slots),
        }
    }

    /// Transports of one group, with all their subscriptions among each other, go on in another group. Returns how many
    /// they are.
    pub fn set_group(&mut self, transports: &[TransportHandle], group: u64) -> Result<usize, Error> {
        let slots = self.check_departure(transports)?;
        for slot in &slots {
            if let Some(transport) = self.state.transports.get_mut(*slot) {
                transport.config.group = group;
            }
        }
        Ok(slots.len())
    }

    /// The same for another engine, which takes the parcel in: nothing of them stays here. No change after an error.
    pub fn take_out(&mut self, transports: &[TransportHandle]) -> Result<Parcel, Error> {
        let slots = self.check_departure(transports)?;
        let mut parcel = take_out(&mut self.state, &slots);
        let taken = self.paths.extract_if(|_, owner| slots.binary_search(owner).is_ok());
        parcel.paths = taken.collect();
        for handle in parcel.transports() {
            self.handles.transports.remove(handle);
        }
        for handle in parcel.tracks() {
            self.handles.tracks.remove(handle);
        }
        for handle in parcel.subscriptions() {
            self.handles.subscriptions.remove(handle);
        }
        Ok(parcel)
    }

    /// Transports of another engine, whose handles do not meet those of this one, go on here in `group`.
    pub fn take_in(&mut self, mut parcel: Parcel, group: u64) {
        let paths = std::mem::take(&mut parcel.paths);
        let landed = take_in(&mut self.state, parcel, group);
        self.state.core.want_clock(); // Something of it may be waiting for that.
        let State { transports, tracks, forwarders, .. } = &self.state;
        for slot in landed.transports.values() {
            if let Some(transport) = transports.get(*slot) {
                self.handles.transports.insert(transport.handle, *slot);
            }
        }
        for slot in landed.tracks.values() {
            if let Some(track) = tracks.get(*slot) {
                self.handles.tracks.insert(track.handle, *slot);
            }
        }
        for slot in landed.forwarders.values() {
            if let Some(forwarder) = forwarders.get(*slot) {
                self.handles.subscriptions.insert(forwarder.handle, *slot);
            }
        }
        let paths = paths.into_iter();
        self.paths.extend(paths.filter_map(|(path, slot)| Some((path, *landed.transports.get(&slot)?))));
    }
}

/// New slots by old ones.
type Moved<S> = HashMap<S, S>;

/// New slots of all transports, tracks and subscriptions of a parcel.
struct Landed {
    transports: Moved<TransportSlot>,
    tracks: Moved<TrackSlot>,
    streams: Moved<StreamSlot>,
    forwarders: Moved<ForwarderSlot>,
}

/// Whether a transport shares a subscription with one that is not among `slots`.
fn is_bound(state: &State, slot: TransportSlot, slots: &[TransportSlot]) -> bool {
    let Some(transport) = state.transports.get(slot) else { return false };
    let subscribers = transport.tracks.iter().filter_map(|one| state.tracks.get(*one)).flat_map(|one| &one.forwarders);
    let takers = subscribers.filter_map(|one| state.forwarders.get(*one)).map(|one| one.transport);
    let sources = transport.forwarders.iter().filter_map(|one| state.forwarders.get(*one)).map(|one| one.track);
    let givers = sources.filter_map(|one| state.tracks.get(one)).map(|one| one.transport);
    takers.chain(givers).any(|other| slots.binary_search(&other).is_err())
}

/// Takes transports, none of which `is_bound`, out of their tables. The caller adds their paths.
fn take_out(state: &mut State, slots: &[TransportSlot]) -> Parcel {
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
        rest: Rest {
            keyframes_wanted,
            replays,
            transmits: core.outgoing.take_of(slots),
            // Those of others as well: they lose nothing by it, and the order holds.
            events: core.events.drain(..).collect(),
        },
    }
}

fn take_all<S: Slot, T>(slab: &mut Slab<S, T>, slots: impl Iterator<Item = S>) -> Vec<(S, T)> {
    slots.filter_map(|slot| Some((slot, slab.remove(slot)?))).collect()
}

/// Puts what is in a parcel into the tables of its new engine, in `group`.
fn take_in(state: &mut State, parcel: Parcel, group: u64) -> Landed {
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
        let stream = |old: Option<StreamSlot>| old.and_then(|old| streams.get(&old).copied());
        forwarder.current = stream(forwarder.current);
        forwarder.desired = stream(forwarder.desired);
        forwarder.timeline.set_source(stream(forwarder.timeline.source()));
    }
    for slot in new_tracks {
        let Some(track) = state.tracks.get_mut(slot) else { continue };
        renumber_one(&mut track.transport, &transports);
        renumber(&mut track.streams, &streams);
        renumber(&mut track.forwarders, &forwarders);
        routing::refresh_routes(state, slot);
    }
    let landed = Landed { transports, tracks, streams, forwarders };
    parcel.rest.take_in(&mut state.core, &landed);
    landed
}

fn put_all<S: Slot + Eq + Hash, T>(slab: &mut Slab<S, T>, values: Vec<(S, T)>) -> (Moved<S>, Vec<S>) {
    let mut slots = Moved::with_capacity(values.len());
    let mut new = Vec::with_capacity(values.len());
    for (old, value) in values {
        let slot = slab.insert(value);
        slots.insert(old, slot);
        new.push(slot);
    }
    (slots, new)
}

fn renumber<S: Copy + Eq + Hash>(list: &mut Vec<S>, slots: &Moved<S>) {
    list.retain_mut(|slot| renumber_one(slot, slots));
}

/// False: it is not among them.
fn renumber_one<S: Copy + Eq + Hash>(slot: &mut S, slots: &Moved<S>) -> bool {
    let new = slots.get(slot);
    if let Some(new) = new {
        *slot = *new;
    }
    new.is_some()
}

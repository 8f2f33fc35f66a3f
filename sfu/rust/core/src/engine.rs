//! The engine: the contract of `sfu/engine/api.py` in Rust, sans-IO.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::api::{
    AudioLevel, DropReason, EngineStats, Error, Event, MAX_DATAGRAM_BYTES, Path, SrtpKeys, SubscriptionConfig,
    SubscriptionHandle, TICK_NS, TrackConfig, TrackHandle, TransportConfig, TransportHandle,
};
use crate::demux::{DatagramKind, classify};
use crate::feedback::handle_rtcp;
use crate::forwarder::Forwarder;
use crate::inbound::{handle_rtp, send_nack};
use crate::migration::{self, Parcel};
use crate::replay::run_replays;
use crate::reports::run_reports;
use crate::routing;
use crate::state::State;
use crate::statistics::{subscription_stats, track_stats, transport_stats};
use crate::stun::Ice;
use crate::track::{Track, configure, refresh_routes};
use crate::transmit::Transmit;
use crate::transport::{Binding, Transport};
use crate::validation::{check_subscription, check_track, check_transport};

/// The last moment that is told apart, in ns: 73 years. It keeps sums of times far from overflow.
const MAX_NOW_NS: u64 = 1 << 61;

/// Slots by handle: in the order in which handles were given out.
type Handles = BTreeMap<u64, u32>;

/// A packet engine. `sfu/engine/api.py` says what every method does; time is in ns of a monotonic clock.
#[derive(Debug)]
pub struct Engine {
    state: State,
    transports: Handles,
    tracks: Handles,
    subscriptions: Handles,
    paths: HashMap<Path, u32>,
    next_transport: TransportHandle,
    next_track: TrackHandle,
    next_subscription: SubscriptionHandle,
    handle_step: u64,
    faults: u64,
    last_timeout_ns: Option<u64>,
    removed: Totals,
}

/// Packets and bytes of transports.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    packets_received: u64,
    packets_sent: u64,
    bytes_received: u64,
    bytes_sent: u64,
}

impl Totals {
    fn add(&mut self, transport: &Transport) {
        self.packets_received += transport.packets_received;
        self.packets_sent += transport.packets_sent;
        self.bytes_received += transport.bytes_received;
        self.bytes_sent += transport.bytes_sent;
    }
}

impl Engine {
    /// Equal seeds and equal calls give equal bytes.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_handles(seed, 1, 1)
    }

    /// An engine whose handles begin with `first` and grow by `step`: so that those of several engines are different.
    #[must_use]
    pub fn with_handles(seed: u64, first: u64, step: u64) -> Self {
        Self {
            state: State::new(seed),
            transports: Handles::new(),
            tracks: Handles::new(),
            subscriptions: Handles::new(),
            paths: HashMap::new(),
            next_transport: first,
            next_track: first,
            next_subscription: first,
            handle_step: step,
            faults: 0,
            last_timeout_ns: None,
            removed: Totals::default(),
        }
    }

    // --- transports ---------------------------------------------------------------------------------------------

    /// A transport without keys and paths.
    pub fn add_transport(&mut self, config: TransportConfig) -> Result<TransportHandle, Error> {
        check_transport(&config)?;
        let handle = self.next_transport;
        self.next_transport += self.handle_step;
        let local_ssrc = self.state.core.random.next_u32();
        let slot = self.state.transports.insert(Transport::new(handle, config, local_ssrc));
        if let Some(transport) = self.state.transports.get_mut(slot) {
            transport.set_slot(slot);
        }
        self.transports.insert(handle, slot);
        Ok(handle)
    }

    /// Install keys. Other keys than before (DTLS restarted) start fresh replay windows.
    pub fn set_srtp(&mut self, transport: TransportHandle, keys: SrtpKeys) -> Result<(), Error> {
        let slot = self.transport_slot(transport)?;
        let state = self.state.transports.get_mut(slot).ok_or(Error::UnknownTransport(transport))?;
        if state.keys() == Some(&keys) {
            // The same keys again must not start the numbers again: that would repeat nonces.
            return Ok(());
        }
        let is_first = state.keys().is_none();
        state.install(keys)?;
        if !is_first {
            let (tracks, forwarders) = (state.tracks.clone(), state.forwarders.clone());
            for track in tracks {
                let streams = self.state.tracks.get(track).map(|track| track.streams.clone()).unwrap_or_default();
                for stream in streams {
                    routing::restart(&mut self.state, stream);
                }
            }
            for forwarder in forwarders {
                if let Some(forwarder) = self.state.forwarders.get_mut(forwarder) {
                    forwarder.rekey();
                }
            }
        }
        self.refresh_transport(slot);
        Ok(())
    }

    /// Bind `path` to the transport. A path bound elsewhere moves here.
    pub fn allow_path(&mut self, transport: TransportHandle, path: Path) -> Result<(), Error> {
        let slot = self.transport_slot(transport)?;
        self.allow_path_of(slot, path);
        Ok(())
    }

    fn allow_path_of(&mut self, slot: u32, path: Path) {
        if self.state.transports.get(slot).is_none_or(|one| one.is_failed) {
            return;
        }
        match self.paths.get(&path) {
            Some(owner) if *owner == slot => return,
            Some(_) => self.forget_path(&path),
            None => (),
        }
        if let Some(transport) = self.state.transports.get_mut(slot) {
            if let Some(forgotten) = transport.add_path(path) {
                self.paths.remove(&forgotten);
            }
            self.paths.insert(path, slot);
        }
    }

    /// Send to `path` from now on (allowing it if it was not).
    pub fn set_path(&mut self, transport: TransportHandle, path: Path) -> Result<(), Error> {
        let slot = self.transport_slot(transport)?;
        self.allow_path_of(slot, path);
        if let Some(state) = self.state.transports.get_mut(slot).filter(|one| !one.is_failed) {
            let was_ready = state.is_ready();
            state.set_path(path);
            if !was_ready {
                self.refresh_transport(slot);
            }
        }
        Ok(())
    }

    /// A TCP connection closed. Unknown paths are ignored.
    pub fn forget_path(&mut self, path: &Path) {
        let Some(slot) = self.paths.remove(path) else { return };
        let Some(transport) = self.state.transports.get_mut(slot) else { return };
        let was_ready = transport.is_ready();
        transport.drop_path(path);
        if was_ready && !transport.is_ready() {
            self.refresh_transport(slot);
        }
    }

    /// The paths of a transport, oldest first.
    pub fn paths(&self, transport: TransportHandle) -> Result<&[Path], Error> {
        let slot = self.transport_slot(transport)?;
        Ok(self.state.transports.get(slot).map_or(&[], |one| &one.paths))
    }

    /// Whether a transport has this path.
    #[must_use]
    pub fn has_path(&self, path: &Path) -> bool {
        self.paths.contains_key(path)
    }

    /// The group that a transport was added with.
    pub fn group_of(&self, transport: TransportHandle) -> Result<u64, Error> {
        let slot = self.transport_slot(transport)?;
        Ok(self.state.transports.get(slot).map_or(0, |one| one.config.group))
    }

    /// Whether there is a track with this handle.
    #[must_use]
    pub fn has_track(&self, track: TrackHandle) -> bool {
        self.tracks.contains_key(&track)
    }

    /// Answer the peer's binding requests on the current path.
    pub fn set_ice(&mut self, transport: TransportHandle, ufrag: &str, pwd: &str, remote: &str) -> Result<(), Error> {
        let slot = self.transport_slot(transport)?;
        if let Some(state) = self.state.transports.get_mut(slot) {
            state.set_ice(Ice::new(ufrag, pwd, remote));
        }
        Ok(())
    }

    /// When the last binding request was answered here; None before the first one.
    pub fn last_check_ns(&self, transport: TransportHandle) -> Result<Option<i64>, Error> {
        Ok(self.ice(transport)?.and_then(|ice| ice.checked_at_ns))
    }

    /// Whether a binding request with this transaction id was answered here.
    pub fn has_answered(&self, transport: TransportHandle, transaction_id: &[u8]) -> Result<bool, Error> {
        Ok(self.ice(transport)?.is_some_and(|ice| ice.has_answered(transaction_id)))
    }

    fn ice(&self, transport: TransportHandle) -> Result<Option<&Ice>, Error> {
        let slot = self.transport_slot(transport)?;
        Ok(self.state.transports.get(slot).and_then(Transport::ice))
    }

    /// Work for this transport fails from now on, as by a defect. For tests of what happens then.
    pub fn inject_fault(&mut self, transport: TransportHandle) -> Result<(), Error> {
        let slot = self.transport_slot(transport)?;
        if let Some(state) = self.state.transports.get_mut(slot) {
            state.is_faulty = true;
        }
        Ok(())
    }

    /// Forget it with its tracks and subscriptions, and the subscriptions of those tracks.
    pub fn remove_transport(&mut self, transport: TransportHandle) -> Result<(), Error> {
        let slot = self.transport_slot(transport)?;
        let state = self.state.transports.get(slot).ok_or(Error::UnknownTransport(transport))?;
        let (tracks, forwarders) = (state.tracks.clone(), state.forwarders.clone());
        let tracks: Vec<TrackHandle> =
            tracks.iter().filter_map(|slot| self.state.tracks.get(*slot)).map(|track| track.handle).collect();
        let subscriptions: Vec<SubscriptionHandle> =
            forwarders.iter().filter_map(|slot| self.state.forwarders.get(*slot)).map(|one| one.handle).collect();
        for track in tracks {
            self.remove_track(track)?;
        }
        for subscription in subscriptions {
            // Gone already when it was one of a track of this transport.
            if self.subscriptions.contains_key(&subscription) {
                self.remove_subscription(subscription)?;
            }
        }
        if let Some(state) = self.state.transports.remove(slot) {
            for path in &state.paths {
                // That of a failed transport may be another one's by now.
                if self.paths.get(path) == Some(&slot) {
                    self.paths.remove(path);
                }
            }
            self.removed.add(&state);
        }
        self.transports.remove(&transport);
        Ok(())
    }

    // --- groups -------------------------------------------------------------------------------------------------

    /// The transports of a group, in order of their handles.
    #[must_use]
    pub fn transports_of(&self, group: u64) -> Vec<TransportHandle> {
        let is_member = |slot: &u32| self.state.transports.get(*slot).is_some_and(|one| one.config.group == group);
        self.transports.iter().filter(|(_, slot)| is_member(slot)).map(|(handle, _)| *handle).collect()
    }

    /// Slots, rising, of transports that may leave their one group together.
    fn check_departure(&self, transports: &[TransportHandle]) -> Result<Vec<u32>, Error> {
        let slots: Result<Vec<u32>, Error> = transports.iter().map(|handle| self.transport_slot(*handle)).collect();
        let mut slots = slots?;
        slots.sort_unstable();
        slots.dedup();
        let group_of = |slot: &u32| self.state.transports.get(*slot).map(|one| one.config.group);
        if slots.windows(2).any(|pair| pair.first().map(group_of) != pair.last().map(group_of)) {
            return Err(Error::InvalidConfig("transports that move together are of one group"));
        }
        let bound = slots.iter().find(|slot| migration::is_bound(&self.state, **slot, &slots));
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
        let mut parcel = migration::take_out(&mut self.state, &slots);
        let taken = self.paths.extract_if(|_, owner| slots.binary_search(owner).is_ok());
        parcel.paths = taken.collect();
        for handle in parcel.transports() {
            self.transports.remove(&handle);
        }
        for handle in parcel.tracks() {
            self.tracks.remove(&handle);
        }
        for handle in parcel.subscriptions() {
            self.subscriptions.remove(&handle);
        }
        Ok(parcel)
    }

    /// Transports of another engine, whose handles do not meet those of this one, go on here in `group`.
    pub fn take_in(&mut self, mut parcel: Parcel, group: u64) {
        let paths = std::mem::take(&mut parcel.paths);
        let landed = migration::take_in(&mut self.state, parcel, group);
        let (transports, tracks, forwarders) = (&self.state.transports, &self.state.tracks, &self.state.forwarders);
        let new = landed.transports.values();
        self.transports.extend(new.filter_map(|slot| Some((transports.get(*slot)?.handle, *slot))));
        let new = landed.tracks.values();
        self.tracks.extend(new.filter_map(|slot| Some((tracks.get(*slot)?.handle, *slot))));
        let new = landed.forwarders.values();
        self.subscriptions.extend(new.filter_map(|slot| Some((forwarders.get(*slot)?.handle, *slot))));
        let paths = paths.into_iter();
        self.paths.extend(paths.filter_map(|(path, slot)| Some((path, *landed.transports.get(&slot)?))));
    }

    /// Whether there is a transport with this handle.
    #[must_use]
    pub fn has_transport(&self, transport: TransportHandle) -> bool {
        self.transports.contains_key(&transport)
    }

    /// Whether there is a subscription with this handle.
    #[must_use]
    pub fn has_subscription(&self, subscription: SubscriptionHandle) -> bool {
        self.subscriptions.contains_key(&subscription)
    }

    // --- tracks -------------------------------------------------------------------------------------------------

    /// A track that the transport publishes.
    pub fn add_track(&mut self, transport: TransportHandle, config: TrackConfig) -> Result<TrackHandle, Error> {
        let slot = self.transport_slot(transport)?;
        check_track(&config)?;
        let handle = self.next_track;
        self.next_track += self.handle_step;
        let track = self.state.tracks.insert(Track::new(slot, handle, config.clone()));
        configure(&mut self.state, track, config);
        if let Some(state) = self.state.transports.get_mut(slot) {
            state.tracks.push(track);
        }
        self.tracks.insert(handle, track);
        self.refresh_declared(slot);
        Ok(handle)
    }

    /// New payloads, SSRCs or extensions after renegotiation; streams whose SSRC or RID stays keep their state.
    pub fn set_track_config(&mut self, track: TrackHandle, config: TrackConfig) -> Result<(), Error> {
        let slot = self.track_slot(track)?;
        check_track(&config)?;
        for stream in configure(&mut self.state, slot, config) {
            self.forget_stream(stream);
        }
        if let Some(transport) = self.state.tracks.get(slot).map(|track| track.transport) {
            self.refresh_declared(transport);
        }
        if let Some(state) = self.state.tracks.get_mut(slot) {
            for forwarder in state.forwarders.clone() {
                if let Some(forwarder) = self.state.forwarders.get_mut(forwarder) {
                    forwarder.set_plan(state.plan(&forwarder.config.extensions));
                }
            }
        }
        routing::refresh_track(&mut self.state, slot);
        Ok(())
    }

    /// A muted track forwards nothing.
    pub fn set_track_muted(&mut self, track: TrackHandle, muted: bool) -> Result<(), Error> {
        let slot = self.track_slot(track)?;
        let state = self.state.tracks.get_mut(slot).ok_or(Error::UnknownTrack(track))?;
        if state.muted == muted {
            return Ok(());
        }
        state.muted = muted;
        for stream in &state.streams {
            if let Some(stream) = self.state.streams.get_mut(*stream) {
                stream.nack.clear();
                stream.cache.clear();
            }
        }
        routing::refresh_track(&mut self.state, slot);
        Ok(())
    }

    /// Forget it with its subscriptions.
    pub fn remove_track(&mut self, track: TrackHandle) -> Result<(), Error> {
        let slot = self.track_slot(track)?;
        for forwarder in routing::forwarders_of(&self.state, slot) {
            if let Some(handle) = self.state.forwarders.get(forwarder).map(|forwarder| forwarder.handle) {
                self.remove_subscription(handle)?;
            }
        }
        let streams = self.state.tracks.get(slot).map(|track| track.streams.clone()).unwrap_or_default();
        for stream in streams {
            self.forget_stream(stream);
        }
        self.tracks.remove(&track);
        if let Some(state) = self.state.tracks.remove(slot) {
            if let Some(transport) = self.state.transports.get_mut(state.transport) {
                transport.tracks.retain(|one| *one != slot);
            }
            self.refresh_declared(state.transport);
        }
        Ok(())
    }

    /// Ask the publisher for a keyframe of one layer.
    pub fn request_keyframe(&mut self, track: TrackHandle, layer: u32) -> Result<(), Error> {
        let slot = self.track_slot(track)?;
        let stream = self.state.tracks.get(slot).and_then(|state| state.streams.get(layer as usize)).copied();
        routing::want_keyframe(&mut self.state, stream.ok_or(Error::UnknownLayer(track, layer))?, true);
        Ok(())
    }

    // --- subscriptions ------------------------------------------------------------------------------------------

    /// Starts paused: nothing is sent until `set_subscription_paused(…, false)`.
    pub fn add_subscription(
        &mut self,
        transport: TransportHandle,
        track: TrackHandle,
        config: SubscriptionConfig,
    ) -> Result<SubscriptionHandle, Error> {
        let slots = (self.transport_slot(transport)?, self.track_slot(track)?);
        let State { core, transports, tracks, forwarders, .. } = &mut self.state;
        let group_of = |slot| transports.get(slot).map(|one| one.config.group);
        if group_of(slots.0) != tracks.get(slots.1).and_then(|one| group_of(one.transport)) {
            return Err(Error::OtherGroup(transport, track));
        }
        let to = transports.get_mut(slots.0).ok_or(Error::UnknownTransport(transport))?;
        let source = tracks.get_mut(slots.1).ok_or(Error::UnknownTrack(track))?;
        check_subscription(&config, |ssrc| {
            let others = to.forwarders.iter().filter_map(|slot| forwarders.get(*slot)).map(|one| &one.config);
            to.forwarders_by_ssrc.contains_key(&ssrc) || others.clone().any(|other| other.rtx_ssrc == Some(ssrc))
        })?;
        let handle = self.next_subscription;
        self.next_subscription += self.handle_step;
        let ssrc = config.ssrc;
        let plan = source.plan(&config.extensions);
        let slot = forwarders.insert(Forwarder::new(core, handle, to, slots, config, plan));
        to.forwarders.push(slot);
        to.forwarders_by_ssrc.insert(ssrc, slot);
        source.forwarders.push(slot);
        self.subscriptions.insert(handle, slot);
        Ok(handle)
    }

    /// The highest layers wanted. `HIGHEST_LAYER` means "whatever is best".
    pub fn set_target_layer(
        &mut self,
        subscription: SubscriptionHandle,
        spatial: u32,
        temporal: u32,
    ) -> Result<(), Error> {
        let slot = self.subscription_slot(subscription)?;
        if let Some(forwarder) = self.state.forwarders.get_mut(slot) {
            forwarder.target_spatial = spatial;
            forwarder.target_temporal = temporal;
        }
        self.refresh(slot);
        Ok(())
    }

    /// Stop or go on sending.
    pub fn set_subscription_paused(&mut self, subscription: SubscriptionHandle, paused: bool) -> Result<(), Error> {
        let slot = self.subscription_slot(subscription)?;
        if let Some(forwarder) = self.state.forwarders.get_mut(slot)
            && forwarder.paused != paused
        {
            forwarder.paused = paused;
            self.refresh(slot);
        }
        Ok(())
    }

    /// Forget it.
    pub fn remove_subscription(&mut self, subscription: SubscriptionHandle) -> Result<(), Error> {
        let slot = self.subscription_slot(subscription)?;
        self.subscriptions.remove(&subscription);
        self.state.core.replays.shift_remove(&slot);
        let Some(forwarder) = self.state.forwarders.remove(slot) else { return Ok(()) };
        if let Some(transport) = self.state.transports.get_mut(forwarder.transport) {
            forwarder.retire(transport);
            transport.forwarders.retain(|one| *one != slot);
            transport.forwarders_by_ssrc.shift_remove(&forwarder.config.ssrc);
        }
        if let Some(track) = self.state.tracks.get_mut(forwarder.track) {
            track.forwarders.retain(|one| *one != slot);
        }
        refresh_routes(&mut self.state, forwarder.track);
        Ok(())
    }

    // --- figures ------------------------------------------------------------------------------------------------

    /// Levels of the audio tracks that were heard since the last call; resets them.
    pub fn audio_levels(&mut self) -> Vec<AudioLevel> {
        let mut levels = Vec::new();
        for slot in self.tracks.values() {
            if let Some(track) = self.state.tracks.get_mut(*slot)
                && track.levels.heard
            {
                let (level_dbov, active_ms) = track.levels.take();
                levels.push(AudioLevel { track: track.handle, level_dbov, active_ms });
            }
        }
        levels
    }

    /// Everything that is counted.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        let state = &self.state;
        let transports = || self.transports.values().filter_map(|slot| state.transports.get(*slot));
        let tracks = self.tracks.values().filter_map(|slot| state.tracks.get(*slot));
        let forwarders = self.subscriptions.values().filter_map(|slot| state.forwarders.get(*slot));
        let mut totals = self.removed;
        transports().for_each(|transport| totals.add(transport));
        EngineStats {
            transports: transports().map(transport_stats).collect(),
            tracks: tracks.map(|track| track_stats(state, track)).collect(),
            subscriptions: forwarders.map(subscription_stats).collect(),
            drops: state.core.drops.clone(),
            checks_answered: state.core.checks_answered,
            faults: self.faults,
            packets_received: totals.packets_received,
            packets_sent: totals.packets_sent,
            bytes_received: totals.bytes_received,
            bytes_sent: totals.bytes_sent,
        }
    }

    // --- packets and time ---------------------------------------------------------------------------------------

    /// One datagram as it came in, whatever it holds. Never panics.
    pub fn handle_datagram(&mut self, now_ns: u64, path: &Path, data: &[u8]) {
        self.contain(|engine| engine.work_on_datagram(now_ns, path, data));
    }

    /// Due at least every `TICK_NS` while transports exist. Never panics.
    pub fn handle_timeout(&mut self, now_ns: u64) {
        self.contain(|engine| engine.work_on_time(now_ns));
    }

    /// A panic ends the transport that `work` was for, and nothing else.
    fn contain(&mut self, work: impl FnOnce(&mut Self)) {
        self.state.core.working_for = None;
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_ok() {
            return;
        }
        self.faults += 1;
        let Some(slot) = self.state.core.working_for else { return };
        let Some(transport) = self.state.transports.get_mut(slot) else { return };
        transport.fail();
        self.paths.retain(|_, owner| *owner != slot);
        let event = Event::TransportFailed { transport: transport.handle };
        self.state.core.events.push_back(event);
        // What the panic left may be such that this panics too; then the subscriptions stop with their transport.
        let _ = catch_unwind(AssertUnwindSafe(|| self.refresh_transport(slot)));
    }

    fn work_on_datagram(&mut self, now_ns: u64, path: &Path, data: &[u8]) {
        let now_ns = now_ns.min(MAX_NOW_NS) as i64;
        let state = &mut self.state;
        if data.len() > MAX_DATAGRAM_BYTES {
            state.core.drop_one(DropReason::TooLong);
            return;
        }
        let kind = classify(data);
        match kind {
            DatagramKind::Stun => {
                state.core.working_for = self.paths.get(path).copied();
                let transport = state.core.working_for.and_then(|slot| state.transports.get_mut(slot));
                if transport.is_some_and(|one| one.answer_check(&mut state.core, now_ns, path, data)) {
                    return;
                }
                state.core.events.push_back(Event::StunReceived { path: *path, data: data.to_vec() });
                return;
            }
            DatagramKind::NotRtc => {
                state.core.drop_one(DropReason::NotRtc);
                return;
            }
            DatagramKind::Dtls | DatagramKind::Rtp | DatagramKind::Rtcp => (),
        }
        let slot = self.paths.get(path).copied();
        let Some((slot, transport)) = slot.and_then(|slot| Some((slot, state.transports.get_mut(slot)?))) else {
            state.core.drop_one(DropReason::UnknownPath);
            return;
        };
        state.core.working_for = Some(slot);
        if kind == DatagramKind::Dtls {
            let event = Event::DtlsReceived { transport: transport.handle, path: *path, data: data.to_vec() };
            state.core.events.push_back(event);
            return;
        }
        transport.packets_received += 1;
        transport.bytes_received += data.len() as u64;
        transport.work();
        if kind == DatagramKind::Rtp {
            handle_rtp(state, now_ns, slot, data);
        } else {
            handle_rtcp(state, now_ns, slot, data);
        }
        if !state.core.keyframes_wanted.is_empty() {
            routing::send_keyframe_requests(state, now_ns);
        }
    }

    fn work_on_time(&mut self, now_ns: u64) {
        self.last_timeout_ns = Some(now_ns);
        let now_ns = now_ns.min(MAX_NOW_NS) as i64;
        let state = &mut self.state;
        for slot in self.tracks.values() {
            let Some(owner) = state.tracks.get(*slot).map(|track| track.transport) else { continue };
            if state.transports.get(owner).is_none_or(|one| one.is_failed) {
                continue;
            }
            state.core.working_for = Some(owner);
            let streams = |state: &State| state.tracks.get(*slot).map_or(0, |track| track.streams.len());
            if streams(state) > 1 {
                routing::refresh_activity(state, now_ns, *slot);
            }
            for layer in 0..streams(state) {
                let stream = state.tracks.get(*slot).and_then(|track| track.streams.get(layer)).copied();
                if let Some(stream) = stream
                    && state.streams.get(stream).is_some_and(|stream| !stream.nack.is_empty())
                {
                    send_nack(state, now_ns, stream, false);
                }
            }
        }
        run_replays(state, now_ns);
        for slot in self.transports.values() {
            let Some(transport) = state.transports.get_mut(*slot).filter(|one| !one.is_failed) else { continue };
            state.core.working_for = Some(*slot);
            transport.work();
            if transport.arrivals.is_due(now_ns) {
                let (ours, theirs) = (transport.local_ssrc, transport.last_media_ssrc);
                for feedback in transport.arrivals.build(now_ns, ours, theirs) {
                    transport.send_rtcp(&mut state.core, feedback);
                }
            }
            run_reports(state, now_ns, *slot);
        }
        routing::send_keyframe_requests(state, now_ns);
    }

    /// When `handle_timeout` is due at the latest; None when nothing is pending.
    #[must_use]
    pub fn next_timeout_ns(&self) -> Option<u64> {
        if self.transports.is_empty() {
            return None;
        }
        Some(self.last_timeout_ns.map_or(0, |last_ns| last_ns.saturating_add(TICK_NS)))
    }

    /// The next datagram to send, not encrypted yet: `Transmit::seal_into` does that, here or on another thread.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.state.core.pacer.poll()
    }

    /// Everything that is there to send, appended to `out` as it was decided on: the order of each transport holds, and
    /// whoever sends sorts by `Transmit::destination`.
    pub fn drain_transmits(&mut self, out: &mut Vec<Transmit>) {
        self.state.core.pacer.drain_into(out);
    }

    /// How many datagrams wait to be sent.
    #[must_use]
    pub fn waiting_transmits(&self) -> usize {
        self.state.core.pacer.len()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.state.core.events.pop_front()
    }

    // --- inside -------------------------------------------------------------------------------------------------

    fn transport_slot(&self, handle: TransportHandle) -> Result<u32, Error> {
        self.transports.get(&handle).copied().ok_or(Error::UnknownTransport(handle))
    }

    fn track_slot(&self, handle: TrackHandle) -> Result<u32, Error> {
        self.tracks.get(&handle).copied().ok_or(Error::UnknownTrack(handle))
    }

    fn subscription_slot(&self, handle: SubscriptionHandle) -> Result<u32, Error> {
        self.subscriptions.get(&handle).copied().ok_or(Error::UnknownSubscription(handle))
    }

    fn refresh(&mut self, slot: u32) {
        routing::refresh(&mut self.state, slot);
        if let Some(track) = self.state.forwarders.get(slot).map(|forwarder| forwarder.track) {
            refresh_routes(&mut self.state, track);
        }
    }

    /// The transport became able to send, or unable: its subscriptions start or stop.
    fn refresh_transport(&mut self, slot: u32) {
        let forwarders = self.state.transports.get(slot).map(|one| one.forwarders.clone()).unwrap_or_default();
        for forwarder in forwarders {
            self.refresh(forwarder);
        }
    }

    /// Work out again which SSRCs and MIDs the tracks of a transport declare.
    fn refresh_declared(&mut self, slot: u32) {
        let State { transports, tracks, streams, .. } = &mut self.state;
        let Some(transport) = transports.get_mut(slot) else { return };
        transport.declared.clear();
        transport.has_mid = false;
        for track in transport.tracks.iter().filter_map(|slot| tracks.get(*slot)) {
            transport.has_mid |= track.id(crate::api::Extension::Mid) != 0;
            for stream in &track.streams {
                let Some(config) = streams.get(*stream).map(|stream| &stream.config) else { continue };
                for (ssrc, is_rtx) in [(config.ssrc, false), (config.rtx_ssrc, true)] {
                    if let Some(ssrc) = ssrc {
                        transport.declared.entry(ssrc).or_insert(Binding { stream: *stream, is_rtx });
                    }
                }
            }
        }
    }

    fn forget_stream(&mut self, slot: u32) {
        let state = &mut self.state;
        state.core.keyframes_wanted.shift_remove(&slot);
        let Some(track_slot) = state.streams.get(slot).map(|stream| stream.track) else { return };
        let transport = state.tracks.get(track_slot).map(|track| track.transport);
        if let Some(transport) = transport.and_then(|slot| state.transports.get_mut(slot)) {
            transport.unbind(slot);
        }
        for forwarder in routing::forwarders_of(state, track_slot) {
            let Some(state_of) = state.forwarders.get_mut(forwarder) else { continue };
            state_of.timeline.forget_source(slot);
            if state_of.desired == Some(slot) {
                state_of.desired = None;
            }
            if state_of.current == Some(slot) {
                routing::stop(state, forwarder);
            }
        }
        state.streams.remove(slot);
    }
}

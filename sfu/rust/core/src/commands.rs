//! The commands of an engine: what the control plane asks of it.

use crate::api::{
    Error, MAX_WANTED_BPS, OutboundPayload, Path, SrtpKeys, SubscriptionConfig, SubscriptionHandle, TrackConfig,
    TrackHandle, TransportConfig, TransportHandle,
};
use crate::bindings::refresh_declared;
use crate::engine::Engine;
use crate::forwarder::Forwarder;
use crate::routing;
use crate::slots::{ForwarderSlot, TransportSlot};
use crate::state::State;
use crate::stun::Ice;
use crate::track::Track;
use crate::transport::Transport;
use crate::validation::{check_fec, check_payloads, check_subscription, check_track, check_transport};

impl Engine {
    // --- transports ---------------------------------------------------------------------------------------------

    /// A transport without keys and paths.
    pub fn add_transport(&mut self, config: TransportConfig) -> Result<TransportHandle, Error> {
        check_transport(&config)?;
        let handle = self.handles.transports.take();
        let local_ssrc = self.state.core.random.next_u32();
        let slot = self.state.transports.insert(Transport::new(handle, config, local_ssrc));
        if let Some(transport) = self.state.transports.get_mut(slot) {
            transport.set_slot(slot);
        }
        self.handles.transports.insert(handle, slot);
        Ok(handle)
    }

    /// Install keys. Other keys than before (DTLS restarted) start fresh replay windows.
    pub fn set_srtp(&mut self, transport: TransportHandle, keys: SrtpKeys) -> Result<(), Error> {
        let slot = self.handles.transport(transport)?;
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
        routing::refresh_transport(&mut self.state, slot);
        Ok(())
    }

    /// Bind `path` to the transport. A path bound elsewhere moves here.
    pub fn allow_path(&mut self, transport: TransportHandle, path: Path) -> Result<(), Error> {
        let slot = self.handles.transport(transport)?;
        self.allow_path_of(slot, path);
        Ok(())
    }

    fn allow_path_of(&mut self, slot: TransportSlot, path: Path) {
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
        let slot = self.handles.transport(transport)?;
        self.allow_path_of(slot, path);
        if let Some(state) = self.state.transports.get_mut(slot).filter(|one| !one.is_failed) {
            let was_ready = state.is_ready();
            state.set_path(path);
            if !was_ready {
                routing::refresh_transport(&mut self.state, slot);
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
            routing::refresh_transport(&mut self.state, slot);
        }
    }

    /// Answer the peer's binding requests on the current path.
    pub fn set_ice(&mut self, transport: TransportHandle, ufrag: &str, pwd: &str, remote: &str) -> Result<(), Error> {
        let slot = self.handles.transport(transport)?;
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
        let slot = self.handles.transport(transport)?;
        Ok(self.state.transports.get(slot).and_then(Transport::ice))
    }

    /// Work for this transport fails from now on, as by a defect. For tests of what happens then.
    pub fn inject_fault(&mut self, transport: TransportHandle) -> Result<(), Error> {
        let slot = self.handles.transport(transport)?;
        if let Some(state) = self.state.transports.get_mut(slot) {
            state.is_faulty = true;
        }
        Ok(())
    }

    /// Forget it with its tracks and subscriptions, and the subscriptions of those tracks.
    pub fn remove_transport(&mut self, transport: TransportHandle) -> Result<(), Error> {
        let slot = self.handles.transport(transport)?;
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
            if self.handles.subscriptions.has(subscription) {
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
        self.handles.transports.remove(transport);
        Ok(())
    }

    /// What there is use for on the line of a transport, in bits per second.
    pub fn set_wanted_bitrate(&mut self, transport: TransportHandle, bitrate_bps: u64) -> Result<(), Error> {
        let slot = self.handles.transport(transport)?;
        if bitrate_bps > MAX_WANTED_BPS {
            return Err(Error::InvalidBitrate(bitrate_bps));
        }
        if let Some(transport) = self.state.transports.get_mut(slot) {
            transport.set_wanted_bps(bitrate_bps as i64);
        }
        Ok(())
    }

    // --- tracks -------------------------------------------------------------------------------------------------

    /// A track that the transport publishes.
    pub fn add_track(&mut self, transport: TransportHandle, config: TrackConfig) -> Result<TrackHandle, Error> {
        let slot = self.handles.transport(transport)?;
        check_track(&config)?;
        let handle = self.handles.tracks.take();
        let track = self.state.tracks.insert(Track::new(slot, handle, config.clone()));
        routing::configure(&mut self.state, track, config);
        if let Some(state) = self.state.transports.get_mut(slot) {
            state.tracks.push(track);
        }
        self.handles.tracks.insert(handle, track);
        refresh_declared(&mut self.state, slot);
        Ok(handle)
    }

    /// New payloads, SSRCs or extensions after renegotiation; streams whose SSRC or RID stays keep their state.
    pub fn set_track_config(&mut self, track: TrackHandle, config: TrackConfig) -> Result<(), Error> {
        let slot = self.handles.track(track)?;
        check_track(&config)?;
        for stream in routing::configure(&mut self.state, slot, config) {
            routing::forget_stream(&mut self.state, stream);
        }
        if let Some(transport) = self.state.tracks.get(slot).map(|track| track.transport) {
            refresh_declared(&mut self.state, transport);
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
        let slot = self.handles.track(track)?;
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
        let slot = self.handles.track(track)?;
        for forwarder in routing::forwarders_of(&self.state, slot) {
            if let Some(handle) = self.state.forwarders.get(forwarder).map(|forwarder| forwarder.handle) {
                self.remove_subscription(handle)?;
            }
        }
        let streams = self.state.tracks.get(slot).map(|track| track.streams.clone()).unwrap_or_default();
        for stream in streams {
            routing::forget_stream(&mut self.state, stream);
        }
        self.handles.tracks.remove(track);
        if let Some(state) = self.state.tracks.remove(slot) {
            if let Some(transport) = self.state.transports.get_mut(state.transport) {
                transport.tracks.retain(|one| *one != slot);
            }
            refresh_declared(&mut self.state, state.transport);
        }
        Ok(())
    }

    /// Ask the publisher for a keyframe of one layer.
    pub fn request_keyframe(&mut self, track: TrackHandle, layer: u32) -> Result<(), Error> {
        let slot = self.handles.track(track)?;
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
        let slots = (self.handles.transport(transport)?, self.handles.track(track)?);
        let State { core, transports, tracks, forwarders, .. } = &mut self.state;
        let group_of = |slot| transports.get(slot).map(|one| one.config.group);
        if group_of(slots.0) != tracks.get(slots.1).and_then(|one| group_of(one.transport)) {
            return Err(Error::OtherGroup(transport, track));
        }
        let to = transports.get_mut(slots.0).ok_or(Error::UnknownTransport(transport))?;
        let source = tracks.get_mut(slots.1).ok_or(Error::UnknownTrack(track))?;
        check_subscription(&config, |ssrc| {
            let others = to.forwarders.iter().filter_map(|slot| forwarders.get(*slot)).map(|one| &one.config);
            to.forwarders_by_ssrc.contains_key(&ssrc) || others.clone().any(|other| other.has_ssrc(ssrc))
        })?;
        let handle = self.handles.subscriptions.take();
        let ssrc = config.ssrc;
        let plan = source.plan(&config.extensions);
        let slot = forwarders.insert(Forwarder::new(core, handle, to, slots, config, plan));
        to.forwarders.push(slot);
        to.forwarders_by_ssrc.insert(ssrc, slot);
        source.forwarders.push(slot);
        self.handles.subscriptions.insert(handle, slot);
        self.remember_frames(slot);
        Ok(handle)
    }

    /// The highest layers wanted. `HIGHEST_LAYER` means "whatever is best".
    pub fn set_target_layer(
        &mut self,
        subscription: SubscriptionHandle,
        spatial: u32,
        temporal: u32,
    ) -> Result<(), Error> {
        let slot = self.handles.subscription(subscription)?;
        if let Some(forwarder) = self.state.forwarders.get_mut(slot) {
            forwarder.target_spatial = spatial;
            forwarder.target_temporal = temporal;
        }
        routing::refresh_one(&mut self.state, slot);
        Ok(())
    }

    /// As in its `SubscriptionConfig`, from now on.
    pub fn set_payloads(
        &mut self,
        subscription: SubscriptionHandle,
        payloads: Vec<(u8, OutboundPayload)>,
    ) -> Result<(), Error> {
        let slot = self.handles.subscription(subscription)?;
        check_payloads(&payloads)?;
        if let Some(forwarder) = self.state.forwarders.get_mut(slot) {
            forwarder.config.payloads = payloads;
        }
        self.remember_frames(slot);
        Ok(())
    }

    /// Of video to a subscriber that takes repair packets: so many packets of a picture share one from now on, at most
    /// `MAX_FEC_PACKETS`; 0, as at the beginning: none is sent.
    pub fn set_fec(&mut self, subscription: SubscriptionHandle, packets: u32) -> Result<(), Error> {
        let slot = self.handles.subscription(subscription)?;
        check_fec(packets)?;
        if let Some(forwarder) = self.state.forwarders.get_mut(slot) {
            forwarder.fec.set(packets);
        }
        Ok(())
    }

    /// Of the track, from now on, if the subscription wants redundancy.
    fn remember_frames(&mut self, slot: ForwarderSlot) {
        let Some(forwarder) = self.state.forwarders.get(slot) else { return };
        if forwarder.config.payloads.iter().any(|(_, one)| one.redundancy > 0)
            && let Some(track) = self.state.tracks.get_mut(forwarder.track)
        {
            track.makes_red = true;
        }
    }

    /// Stop or go on sending.
    pub fn set_subscription_paused(&mut self, subscription: SubscriptionHandle, paused: bool) -> Result<(), Error> {
        let slot = self.handles.subscription(subscription)?;
        if let Some(forwarder) = self.state.forwarders.get_mut(slot)
            && forwarder.paused != paused
        {
            forwarder.paused = paused;
            routing::refresh_one(&mut self.state, slot);
        }
        Ok(())
    }

    /// Forget it.
    pub fn remove_subscription(&mut self, subscription: SubscriptionHandle) -> Result<(), Error> {
        let slot = self.handles.subscription(subscription)?;
        self.handles.subscriptions.remove(subscription);
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
        routing::refresh_routes(&mut self.state, forwarder.track);
        Ok(())
    }
}

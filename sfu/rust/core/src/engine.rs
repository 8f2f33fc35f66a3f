//! The engine: the contract of `sfu/engine/api/__init__.py` in Rust, sans-IO.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::api::{
    AudioLevel, DropReason, EngineStats, Error, Event, MAX_DATAGRAM_BYTES, Path, SubscriptionHandle, TrackHandle,
    TransportHandle,
};
use crate::clock;
use crate::demux::{DatagramKind, classify};
use crate::feedback::handle_rtcp;
use crate::handles::Handles;
use crate::inbound::handle_rtp;
use crate::routing;
use crate::slots::TransportSlot;
use crate::state::State;
use crate::statistics::{subscription_stats, track_stats, transport_stats};
use crate::transmit::Transmit;
use crate::transport::Transport;

/// The last moment that is told apart, in ns: 73 years. It keeps sums of times far from overflow.
const MAX_NOW_NS: u64 = 1 << 61;

/// A packet engine. `sfu/engine/api/__init__.py` says what every method does; time is in ns of a monotonic clock.
#[derive(Debug)]
pub struct Engine {
    pub(crate) state: State,
    pub(crate) handles: Handles,
    /// The transport that each path leads to.
    pub(crate) paths: HashMap<Path, TransportSlot>,
    /// Counters of the transports that are no more.
    pub(crate) removed: Totals,
    faults: u64,
}

/// Packets and bytes of transports.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    packets_received: u64,
    packets_sent: u64,
    bytes_received: u64,
    bytes_sent: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, transport: &Transport) {
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
            handles: Handles::new(first, step),
            paths: HashMap::new(),
            removed: Totals::default(),
            faults: 0,
        }
    }

    // --- what is there -------------------------------------------------------------------------------------------

    /// Whether there is a transport with this handle.
    #[must_use]
    pub fn has_transport(&self, transport: TransportHandle) -> bool {
        self.handles.transports.has(transport)
    }

    /// Whether there is a subscription with this handle.
    #[must_use]
    pub fn has_subscription(&self, subscription: SubscriptionHandle) -> bool {
        self.handles.subscriptions.has(subscription)
    }

    /// The paths of a transport, oldest first.
    pub fn paths(&self, transport: TransportHandle) -> Result<&[Path], Error> {
        let slot = self.handles.transport(transport)?;
        Ok(self.state.transports.get(slot).map_or(&[], |one| &one.paths))
    }

    /// Whether a transport has this path.
    #[must_use]
    pub fn has_path(&self, path: &Path) -> bool {
        self.paths.contains_key(path)
    }

    /// The group that a transport was added with.
    pub fn group_of(&self, transport: TransportHandle) -> Result<u64, Error> {
        let slot = self.handles.transport(transport)?;
        Ok(self.state.transports.get(slot).map_or(0, |one| one.config.group))
    }

    /// Whether there is a track with this handle.
    #[must_use]
    pub fn has_track(&self, track: TrackHandle) -> bool {
        self.handles.tracks.has(track)
    }

    // --- figures ------------------------------------------------------------------------------------------------

    /// Levels of the audio tracks that were heard since the last call; resets them.
    pub fn audio_levels(&mut self) -> Vec<AudioLevel> {
        let mut levels = Vec::new();
        for slot in self.handles.tracks.slots() {
            if let Some(track) = self.state.tracks.get_mut(slot)
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
        let transports = || self.handles.transports.slots().filter_map(|slot| state.transports.get(slot));
        let tracks = self.handles.tracks.slots().filter_map(|slot| state.tracks.get(slot));
        let forwarders = self.handles.subscriptions.slots().filter_map(|slot| state.forwarders.get(slot));
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

    /// Due at `next_timeout_ns`. Never panics.
    pub fn handle_timeout(&mut self, now_ns: u64) {
        let now_ns = now_ns.min(MAX_NOW_NS) as i64;
        self.state.core.tick(now_ns);
        self.contain(|engine| clock::run(&mut engine.state, &engine.handles, now_ns));
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
        let _ = catch_unwind(AssertUnwindSafe(|| routing::refresh_transport(&mut self.state, slot)));
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
                self.work_on_stun(now_ns, path, data);
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

    /// Consent checks are answered here, the rest goes up.
    fn work_on_stun(&mut self, now_ns: i64, path: &Path, data: &[u8]) {
        let State { core, transports, .. } = &mut self.state;
        core.working_for = self.paths.get(path).copied();
        let transport = core.working_for.and_then(|slot| transports.get_mut(slot));
        if transport.is_none_or(|one| !one.answer_check(core, now_ns, path, data)) {
            core.events.push_back(Event::StunReceived { path: *path, data: data.to_vec() });
        }
    }

    /// When `handle_timeout` is due at the latest; None when nothing is pending.
    #[must_use]
    pub fn next_timeout_ns(&self) -> Option<u64> {
        (!self.handles.transports.is_empty()).then(|| self.state.core.due_at_ns().cast_unsigned())
    }

    /// Whether who is awake at `now_ns` should call `handle_timeout`, so that nobody has to wake up for that alone.
    #[must_use]
    pub fn is_timeout_near(&self, now_ns: u64) -> bool {
        !self.handles.transports.is_empty() && self.state.core.is_due(now_ns.min(MAX_NOW_NS) as i64)
    }

    /// The next datagram to send, not encrypted yet: `Transmit::seal_into` does that, here or on another thread.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.state.core.outgoing.poll()
    }

    /// Everything that is there to send, appended to `out` as it was decided on: the order of each transport holds, and
    /// whoever sends sorts by `Transmit::destination`.
    pub fn drain_transmits(&mut self, out: &mut Vec<Transmit>) {
        self.state.core.outgoing.drain_into(out);
    }

    /// How many datagrams wait to be sent.
    #[must_use]
    pub fn waiting_transmits(&self) -> usize {
        self.state.core.outgoing.len()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.state.core.events.pop_front()
    }
}

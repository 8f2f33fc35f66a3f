//! The engine: the contract of `sfu/engine/api.py` in Rust, sans-IO.

use crate::api::{
    AudioLevel, EngineStats, Error, Event, Path, SrtpKeys, SubscriptionConfig, SubscriptionHandle, TrackConfig,
    TrackHandle, TransportConfig, TransportHandle,
};
use crate::transmit::Transmit;

/// A packet engine. `sfu/engine/api.py` says what every method does; time is in ns of a monotonic clock.
pub struct Engine {}

#[allow(unused_variables)]
impl Engine {
    /// Equal seeds and equal calls give equal bytes.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {}
    }
    /// See `EngineCommands`.
    pub fn add_transport(&mut self, config: TransportConfig) -> Result<TransportHandle, Error> {
        Ok(0)
    }
    /// See `EngineCommands`.
    pub fn set_srtp(&mut self, transport: TransportHandle, keys: SrtpKeys) -> Result<(), Error> {
        Ok(())
    }
    /// See `EngineCommands`.
    pub fn allow_path(&mut self, transport: TransportHandle, path: Path) -> Result<(), Error> {
        Ok(())
    }
    /// See `EngineCommands`.
    pub fn set_path(&mut self, transport: TransportHandle, path: Path) -> Result<(), Error> {
        Ok(())
    }
    /// See `EngineCommands`.
    pub fn forget_path(&mut self, path: &Path) {}
    /// See `EngineCommands`.
    pub fn remove_transport(&mut self, transport: TransportHandle) -> Result<(), Error> {
        Ok(())
    }
    /// See `EngineCommands`.
    pub fn add_track(&mut self, transport: TransportHandle, config: TrackConfig) -> Result<TrackHandle, Error> {
        Ok(0)
    }
    /// See `EngineCommands`.
    pub fn set_track_config(&mut self, track: TrackHandle, config: TrackConfig) -> Result<(), Error> {
        Ok(())
    }
    /// See `EngineCommands`.
    pub fn set_track_muted(&mut self, track: TrackHandle, muted: bool) -> Result<(), Error> {
        Ok(())
    }
    /// See `EngineCommands`.
    pub fn remove_track(&mut self, track: TrackHandle) -> Result<(), Error> {
        Ok(())
    }
    /// See `EngineCommands`.
    pub fn request_keyframe(&mut self, track: TrackHandle, layer: u32) -> Result<(), Error> {
        Ok(())
    }
    /// See `EngineCommands`.
    pub fn add_subscription(
        &mut self,
        transport: TransportHandle,
        track: TrackHandle,
        config: SubscriptionConfig,
    ) -> Result<SubscriptionHandle, Error> {
        Ok(0)
    }
    /// See `EngineCommands`. `HIGHEST_LAYER` means "whatever is best".
    pub fn set_target_layer(
        &mut self,
        subscription: SubscriptionHandle,
        spatial: u32,
        temporal: u32,
    ) -> Result<(), Error> {
        Ok(())
    }
    /// See `EngineCommands`.
    pub fn set_subscription_paused(&mut self, subscription: SubscriptionHandle, paused: bool) -> Result<(), Error> {
        Ok(())
    }
    /// See `EngineCommands`.
    pub fn remove_subscription(&mut self, subscription: SubscriptionHandle) -> Result<(), Error> {
        Ok(())
    }
    /// See `EngineCommands`.
    pub fn audio_levels(&mut self) -> Vec<AudioLevel> {
        Vec::new()
    }
    /// See `EngineCommands`.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        EngineStats {
            transports: Vec::new(),
            tracks: Vec::new(),
            subscriptions: Vec::new(),
            drops: Default::default(),
            packets_received: 0,
            packets_sent: 0,
            bytes_received: 0,
            bytes_sent: 0,
        }
    }
    /// One datagram as it came in. Never panics, whatever it holds.
    pub fn handle_datagram(&mut self, now_ns: u64, path: &Path, data: &[u8]) {}
    /// Due at least every `TICK_NS` while transports exist.
    pub fn handle_timeout(&mut self, now_ns: u64) {}
    /// When `handle_timeout` is due at the latest; None when nothing is pending.
    #[must_use]
    pub fn next_timeout_ns(&self) -> Option<u64> {
        None
    }
    /// The next datagram to send, not encrypted yet: `Transmit::seal_into` does that, here or on another thread.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }
    /// Everything that is there to send, in order, appended to `out`. Runs of one `Transmit::destination` are in order.
    pub fn drain_transmits(&mut self, out: &mut Vec<Transmit>) {}
    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }
}

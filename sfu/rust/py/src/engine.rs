//! `PacketEngine`: the sans-IO engine and its commands for Python.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyList;
use ting_core::api::Error;
use ting_core::engine::Engine;

use crate::convert;
use crate::faults;
use crate::shards::{Kind, Shards};

/// A sans-IO engine: `sfu.engine.api.PacketEngine`. A `Runtime` can drive it from its own threads; then only the
/// commands are for Python.
#[pyclass(frozen, module = "ting_engine")]
pub(crate) struct PacketEngine {
    shards: Arc<Shards>,
}

impl PacketEngine {
    /// The engines themselves, to share.
    pub(crate) fn share(&self) -> Arc<Shards> {
        Arc::clone(&self.shards)
    }

    /// Runs `call` on the engine with this number. While a runtime's thread has it, the interpreter is free for others.
    fn with<R: Send>(&self, py: Python<'_>, index: usize, call: impl FnOnce(&mut Engine) -> R + Send) -> PyResult<R> {
        if let Some(mut engine) = self.shards.try_lock(index) {
            return caught(py, || call(&mut engine));
        }
        self.with_all(py, |shards| call(&mut shards.lock(index)))
    }

    /// Runs what needs more than one engine.
    fn with_all<R: Send>(&self, py: Python<'_>, call: impl FnOnce(&Shards) -> R + Send) -> PyResult<R> {
        let done = py.detach(|| catch_unwind(AssertUnwindSafe(|| call(&self.shards))));
        done.map_err(|panic| fault(py, panic.as_ref()))
    }

    fn command<R: Send>(
        &self,
        py: Python<'_>,
        kind: Kind,
        handle: u64,
        call: impl FnOnce(&mut Engine) -> Result<R, Error> + Send,
    ) -> PyResult<R> {
        let index = self.shards.home_of(kind, handle);
        let done = match self.shards.try_lock(index) {
            Some(mut engine) if self.shards.home_of(kind, handle) == index => caught(py, || call(&mut engine)),
            busy => {
                drop(busy);
                self.with_all(py, |shards| call(&mut shards.lock_home(kind, handle)))
            }
        };
        done?.map_err(|error| convert::misuse(py, &error))
    }

    fn command_to_all<R: Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&Shards) -> Result<R, Error> + Send,
    ) -> PyResult<R> {
        self.with_all(py, call)?.map_err(|error| convert::misuse(py, &error))
    }
}

/// A panic of a command becomes an `EngineError`: it must not end the event loop that called.
fn caught<R>(py: Python<'_>, call: impl FnOnce() -> R) -> PyResult<R> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| fault(py, panic.as_ref()))
}

fn group_number(py: Python<'_>, group: i64) -> PyResult<u64> {
    u64::try_from(group).map_err(|_| convert::engine_error(py, "a group is not negative", "invalid_config"))
}

fn fault(py: Python<'_>, panic: &(dyn Any + Send)) -> PyErr {
    convert::engine_error(py, &faults::message(panic), "engine_fault")
}

#[pymethods]
impl PacketEngine {
    /// `shards` engines that look like one: groups of transports are spread over them.
    #[new]
    #[pyo3(signature = (seed, shards=1))]
    fn new(seed: &Bound<'_, PyAny>, shards: usize) -> PyResult<Self> {
        let seed = seed.call_method1("__and__", (u64::MAX,))?.extract()?;
        Ok(Self { shards: Arc::new(Shards::new(seed, shards)) })
    }

    fn add_transport(&self, config: &Bound<'_, PyAny>) -> PyResult<u64> {
        let py = config.py();
        let config = convert::transport_config(config)?;
        self.command_to_all(py, |shards| shards.add_transport(config))
    }

    fn set_ice(
        &self,
        transport: &Bound<'_, PyAny>,
        local_ufrag: &str,
        local_pwd: &str,
        remote_ufrag: &str,
    ) -> PyResult<()> {
        let handle = convert::handle(transport, "transport")?;
        self.command(transport.py(), Kind::Transport, handle, |engine| {
            engine.set_ice(handle, local_ufrag, local_pwd, remote_ufrag)
        })
    }

    fn last_check_ns(&self, transport: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
        let handle = convert::handle(transport, "transport")?;
        self.command(transport.py(), Kind::Transport, handle, |engine| engine.last_check_ns(handle))
    }

    fn has_answered(&self, transport: &Bound<'_, PyAny>, transaction_id: &[u8]) -> PyResult<bool> {
        let handle = convert::handle(transport, "transport")?;
        self.command(transport.py(), Kind::Transport, handle, |engine| engine.has_answered(handle, transaction_id))
    }

    fn inject_fault(&self, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(transport, "transport")?;
        self.command(transport.py(), Kind::Transport, handle, |engine| engine.inject_fault(handle))
    }

    fn set_srtp(&self, transport: &Bound<'_, PyAny>, keys: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(transport, "transport")?;
        let keys = convert::srtp_keys(keys)?;
        self.command(transport.py(), Kind::Transport, handle, |engine| engine.set_srtp(handle, keys))
    }

    fn allow_path(&self, transport: &Bound<'_, PyAny>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(transport, "transport")?;
        let path = convert::path(path)?;
        self.command_to_all(transport.py(), |shards| {
            shards.give_path(handle, &path, |engine| engine.allow_path(handle, path))
        })
    }

    fn set_path(&self, transport: &Bound<'_, PyAny>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(transport, "transport")?;
        let path = convert::path(path)?;
        self.command_to_all(transport.py(), |shards| {
            shards.give_path(handle, &path, |engine| engine.set_path(handle, path))
        })
    }

    fn forget_path(&self, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = path.py();
        let path = convert::path(path)?;
        self.with_all(py, |shards| shards.forget_path(&path))
    }

    fn remove_transport(&self, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(transport, "transport")?;
        self.command_to_all(transport.py(), |shards| shards.remove_transport(handle))
    }

    fn set_group(&self, py: Python<'_>, transports: &Bound<'_, PyAny>, group: i64) -> PyResult<()> {
        let group = group_number(py, group)?;
        let handles: PyResult<Vec<u64>> =
            transports.try_iter()?.map(|transport| convert::handle(&transport?, "transport")).collect();
        let handles = handles?;
        self.command_to_all(py, |shards| shards.set_group(&handles, group))
    }

    fn join_groups(&self, py: Python<'_>, group: i64, into: i64) -> PyResult<()> {
        let (group, into) = (group_number(py, group)?, group_number(py, into)?);
        self.command_to_all(py, |shards| shards.join_groups(group, into))
    }

    fn add_track(&self, transport: &Bound<'_, PyAny>, config: &Bound<'_, PyAny>) -> PyResult<u64> {
        let handle = convert::handle(transport, "transport")?;
        let config = convert::track_config(config)?;
        self.command(transport.py(), Kind::Transport, handle, |engine| engine.add_track(handle, config))
    }

    fn set_track_config(&self, track: &Bound<'_, PyAny>, config: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(track, "track")?;
        let config = convert::track_config(config)?;
        self.command(track.py(), Kind::Track, handle, |engine| engine.set_track_config(handle, config))
    }

    fn set_track_muted(&self, track: &Bound<'_, PyAny>, muted: bool) -> PyResult<()> {
        let handle = convert::handle(track, "track")?;
        self.command(track.py(), Kind::Track, handle, |engine| engine.set_track_muted(handle, muted))
    }

    fn remove_track(&self, track: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(track, "track")?;
        self.command(track.py(), Kind::Track, handle, |engine| engine.remove_track(handle))
    }

    fn request_keyframe(&self, track: &Bound<'_, PyAny>, layer: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(track, "track")?;
        // What is no layer number is the number of no layer.
        let layer = layer.extract().unwrap_or(u32::MAX);
        self.command(track.py(), Kind::Track, handle, |engine| engine.request_keyframe(handle, layer))
    }

    fn add_subscription(
        &self,
        transport: &Bound<'_, PyAny>,
        track: &Bound<'_, PyAny>,
        config: &Bound<'_, PyAny>,
    ) -> PyResult<u64> {
        let to = convert::handle(transport, "transport")?;
        let source = convert::handle(track, "track")?;
        let config = convert::subscription_config(config)?;
        self.command_to_all(transport.py(), |shards| shards.add_subscription(to, source, config))
    }

    fn set_wanted_bitrate(&self, transport: &Bound<'_, PyAny>, bitrate_bps: i64) -> PyResult<()> {
        let py = transport.py();
        let handle = convert::handle(transport, "transport")?;
        // What is negative is more than anybody can want.
        let bitrate_bps = u64::try_from(bitrate_bps).unwrap_or(u64::MAX);
        self.command(py, Kind::Transport, handle, |engine| engine.set_wanted_bitrate(handle, bitrate_bps))
    }

    fn set_target_layer(&self, subscription: &Bound<'_, PyAny>, spatial: i64, temporal: i64) -> PyResult<()> {
        let py = subscription.py();
        let handle = convert::handle(subscription, "subscription")?;
        let (Ok(spatial), Ok(temporal)) = (u32::try_from(spatial), u32::try_from(temporal)) else {
            return Err(convert::engine_error(py, "layers count from 0", "invalid_layer"));
        };
        self.command(py, Kind::Subscription, handle, |engine| engine.set_target_layer(handle, spatial, temporal))
    }

    fn set_payloads(&self, subscription: &Bound<'_, PyAny>, payloads: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(subscription, "subscription")?;
        let payloads = convert::outbound_payloads(payloads)?;
        self.command(subscription.py(), Kind::Subscription, handle, |engine| engine.set_payloads(handle, payloads))
    }

    fn set_fec(&self, subscription: &Bound<'_, PyAny>, packets: i64) -> PyResult<()> {
        let handle = convert::handle(subscription, "subscription")?;
        // What is negative or too much for the type is refused like any other number.
        let packets = u32::try_from(packets).unwrap_or(u32::MAX);
        self.command(subscription.py(), Kind::Subscription, handle, |engine| engine.set_fec(handle, packets))
    }

    fn set_subscription_paused(&self, subscription: &Bound<'_, PyAny>, paused: bool) -> PyResult<()> {
        let handle = convert::handle(subscription, "subscription")?;
        self.command(subscription.py(), Kind::Subscription, handle, |engine| {
            engine.set_subscription_paused(handle, paused)
        })
    }

    fn remove_subscription(&self, subscription: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(subscription, "subscription")?;
        self.command(subscription.py(), Kind::Subscription, handle, |engine| engine.remove_subscription(handle))
    }

    fn audio_levels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let levels = self.with_all(py, Shards::audio_levels)?;
        convert::level_objects(py, &levels)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let stats = self.with_all(py, Shards::stats)?;
        convert::stats_object(py, &stats)
    }

    fn handle_datagram(&self, now_ns: u64, path: &Bound<'_, PyAny>, data: &[u8]) -> PyResult<()> {
        let py = path.py();
        let path = convert::path(path)?;
        let index = self.shards.of_path(&path).unwrap_or(0);
        match self.shards.try_lock(index) {
            Some(mut engine) if self.shards.of_path(&path).unwrap_or(0) == index => {
                caught(py, || engine.handle_datagram(now_ns, &path, data))
            }
            busy => {
                drop(busy);
                self.with_all(py, |shards| shards.lock_path(&path, 0).1.handle_datagram(now_ns, &path, data))
            }
        }
    }

    fn handle_timeout(&self, py: Python<'_>, now_ns: u64) -> PyResult<()> {
        (0..self.shards.len()).try_for_each(|index| self.with(py, index, |engine| engine.handle_timeout(now_ns)))
    }

    fn next_timeout_ns(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        self.with_all(py, |shards| (0..shards.len()).filter_map(|index| shards.lock(index).next_timeout_ns()).min())
    }

    fn poll_transmit<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        for index in 0..self.shards.len() {
            let next = self.with(py, index, |engine| {
                engine.poll_transmit().map(|transmit| {
                    let mut data = Vec::with_capacity(transmit.size());
                    transmit.seal_into(&mut data);
                    (*transmit.path(), data)
                })
            })?;
            if let Some((path, data)) = next {
                return Ok(Some(convert::transmit_object(py, &path, &data)?));
            }
        }
        Ok(None)
    }

    fn poll_event<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        for index in 0..self.shards.len() {
            if let Some(event) = self.with(py, index, Engine::poll_event)? {
                return Ok(Some(convert::event_object(py, &event)?));
            }
        }
        Ok(None)
    }
}

//! `PacketEngine`: the sans-IO engine and its commands for Python.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyList;
use ting_core::api::Error;
use ting_core::engine::Engine;

use crate::convert;
use crate::faults;

/// An engine that Python and the threads of a runtime share.
pub(crate) type SharedEngine = Arc<Mutex<Engine>>;

/// A sans-IO engine: `sfu.engine.api.PacketEngine`. A `Runtime` can drive it from its own thread; then only the
/// commands are for Python.
#[pyclass(frozen, module = "ting_engine")]
pub(crate) struct PacketEngine {
    engine: SharedEngine,
}

impl PacketEngine {
    /// The engine itself, to share.
    pub(crate) fn share(&self) -> SharedEngine {
        Arc::clone(&self.engine)
    }

    /// Runs `call` on the engine. While a runtime's thread has it, the interpreter is free for others.
    /// A panic becomes an `EngineError`: it must not end the event loop that called.
    fn with<R: Send>(&self, py: Python<'_>, call: impl FnOnce(&mut Engine) -> R + Send) -> PyResult<R> {
        let done = if let Some(mut engine) = self.engine.try_lock() {
            catch_unwind(AssertUnwindSafe(|| call(&mut engine)))
        } else {
            py.detach(|| catch_unwind(AssertUnwindSafe(|| call(&mut self.engine.lock()))))
        };
        done.map_err(|panic| convert::engine_error(py, &faults::message(panic.as_ref()), "engine_fault"))
    }

    fn command<R: Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&mut Engine) -> Result<R, Error> + Send,
    ) -> PyResult<R> {
        self.with(py, call)?.map_err(|error| convert::misuse(py, &error))
    }
}

#[pymethods]
impl PacketEngine {
    #[new]
    #[pyo3(signature = (seed))]
    fn new(seed: &Bound<'_, PyAny>) -> PyResult<Self> {
        let seed = seed.call_method1("__and__", (u64::MAX,))?.extract()?;
        Ok(Self { engine: Arc::new(Mutex::new(Engine::new(seed))) })
    }

    fn add_transport(&self, config: &Bound<'_, PyAny>) -> PyResult<u64> {
        let py = config.py();
        let config = convert::transport_config(config)?;
        self.command(py, |engine| engine.add_transport(config))
    }

    fn set_srtp(&self, transport: &Bound<'_, PyAny>, keys: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(transport, "transport")?;
        let keys = convert::srtp_keys(keys)?;
        self.command(transport.py(), |engine| engine.set_srtp(handle, keys))
    }

    fn allow_path(&self, transport: &Bound<'_, PyAny>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(transport, "transport")?;
        let path = convert::path(path)?;
        self.command(transport.py(), |engine| engine.allow_path(handle, path))
    }

    fn set_path(&self, transport: &Bound<'_, PyAny>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(transport, "transport")?;
        let path = convert::path(path)?;
        self.command(transport.py(), |engine| engine.set_path(handle, path))
    }

    fn forget_path(&self, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = path.py();
        let path = convert::path(path)?;
        self.with(py, |engine| engine.forget_path(&path))
    }

    fn remove_transport(&self, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(transport, "transport")?;
        self.command(transport.py(), |engine| engine.remove_transport(handle))
    }

    fn add_track(&self, transport: &Bound<'_, PyAny>, config: &Bound<'_, PyAny>) -> PyResult<u64> {
        let handle = convert::handle(transport, "transport")?;
        let config = convert::track_config(config)?;
        self.command(transport.py(), |engine| engine.add_track(handle, config))
    }

    fn set_track_config(&self, track: &Bound<'_, PyAny>, config: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(track, "track")?;
        let config = convert::track_config(config)?;
        self.command(track.py(), |engine| engine.set_track_config(handle, config))
    }

    fn set_track_muted(&self, track: &Bound<'_, PyAny>, muted: bool) -> PyResult<()> {
        let handle = convert::handle(track, "track")?;
        self.command(track.py(), |engine| engine.set_track_muted(handle, muted))
    }

    fn remove_track(&self, track: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(track, "track")?;
        self.command(track.py(), |engine| engine.remove_track(handle))
    }

    fn request_keyframe(&self, track: &Bound<'_, PyAny>, layer: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(track, "track")?;
        // What is no layer number is the number of no layer.
        let layer = layer.extract().unwrap_or(u32::MAX);
        self.command(track.py(), |engine| engine.request_keyframe(handle, layer))
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
        self.command(transport.py(), |engine| engine.add_subscription(to, source, config))
    }

    fn set_target_layer(&self, subscription: &Bound<'_, PyAny>, spatial: i64, temporal: i64) -> PyResult<()> {
        let py = subscription.py();
        let handle = convert::handle(subscription, "subscription")?;
        let (Ok(spatial), Ok(temporal)) = (u32::try_from(spatial), u32::try_from(temporal)) else {
            return Err(convert::engine_error(py, "layers count from 0", "invalid_layer"));
        };
        self.command(py, |engine| engine.set_target_layer(handle, spatial, temporal))
    }

    fn set_subscription_paused(&self, subscription: &Bound<'_, PyAny>, paused: bool) -> PyResult<()> {
        let handle = convert::handle(subscription, "subscription")?;
        self.command(subscription.py(), |engine| engine.set_subscription_paused(handle, paused))
    }

    fn remove_subscription(&self, subscription: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = convert::handle(subscription, "subscription")?;
        self.command(subscription.py(), |engine| engine.remove_subscription(handle))
    }

    fn audio_levels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let levels = self.with(py, Engine::audio_levels)?;
        convert::level_objects(py, &levels)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let stats = self.with(py, |engine| engine.stats())?;
        convert::stats_object(py, &stats)
    }

    fn handle_datagram(&self, now_ns: u64, path: &Bound<'_, PyAny>, data: &[u8]) -> PyResult<()> {
        let py = path.py();
        let path = convert::path(path)?;
        self.with(py, |engine| engine.handle_datagram(now_ns, &path, data))
    }

    fn handle_timeout(&self, py: Python<'_>, now_ns: u64) -> PyResult<()> {
        self.with(py, |engine| engine.handle_timeout(now_ns))
    }

    fn next_timeout_ns(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        self.with(py, |engine| engine.next_timeout_ns())
    }

    fn poll_transmit<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let next = self.with(py, |engine| {
            engine.poll_transmit().map(|transmit| {
                let mut data = Vec::with_capacity(transmit.size());
                transmit.seal_into(&mut data);
                (*transmit.path(), data)
            })
        })?;
        next.map(|(path, data)| convert::transmit_object(py, &path, &data)).transpose()
    }

    fn poll_event<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let event = self.with(py, Engine::poll_event)?;
        event.map(|event| convert::event_object(py, &event)).transpose()
    }
}

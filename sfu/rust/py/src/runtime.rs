//! `Runtime`: an engine with sockets, a thread and a clock, for `sfu.engine.native.RustRuntime`.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use ting_core::api::Protocol;

use crate::convert;
use crate::engine::PacketEngine;
use crate::events::Notice;
use crate::faults;
use crate::socket::{UdpSocket, parse_address};
use crate::worker::{Shared, run};

/// Runs a `PacketEngine` on UDP sockets in a thread of its own, from construction until `close`.
#[pyclass(frozen, module = "ting_engine")]
pub(crate) struct Runtime {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[pymethods]
impl Runtime {
    /// `sockets` are (file descriptor, address, port) of bound, non-blocking UDP sockets; they belong to the runtime
    /// from now on.
    #[new]
    fn new(py: Python<'_>, engine: &PacketEngine, sockets: Vec<(RawFd, String, u16)>) -> PyResult<Self> {
        faults::install_hook();
        let mut taken = Vec::with_capacity(sockets.len());
        for (fd, address, port) in sockets {
            // SAFETY: the caller detached the descriptor; nobody else closes it.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            let Some(local) = parse_address(&address, port) else {
                return Err(convert::engine_error(py, "an address is not an IP address", "invalid_path"));
            };
            taken.push(UdpSocket::new(fd, local));
        }
        let shared = Arc::new(Shared::new(engine.share(), taken)?);
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name(faults::THREAD_NAME.to_owned()).spawn(move || run(&theirs))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// The descriptor that is readable while `take_notices` has something.
    fn event_fd(&self) -> RawFd {
        self.shared.notices.as_raw_fd()
    }

    /// Up to `limit` of what waits, in order: events, `Transmit`s for TCP connections, texts of panics.
    fn take_notices<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for notice in self.shared.notices.take(limit) {
            match notice {
                Notice::Event(event) => list.append(convert::event_object(py, &event)?)?,
                Notice::Frame(path, data) => list.append(convert::transmit_object(py, &path, &data)?)?,
                Notice::Fault(words) => list.append(words)?,
            }
        }
        Ok(list)
    }

    /// Send one datagram over UDP now. Failures are counted.
    fn send(&self, path: &Bound<'_, PyAny>, data: &[u8]) -> PyResult<()> {
        let path = convert::path(path)?;
        let counters = &self.shared.counters;
        let socket = self.shared.sockets.iter().find(|socket| socket.local() == path.local);
        let is_open = self.thread.lock().is_some();
        let sent = socket
            .filter(|_| is_open && path.protocol == Protocol::Udp)
            .is_some_and(|socket| socket.send_to(data, path.remote).is_ok());
        if sent {
            counters.datagrams_sent.add(1);
            counters.bytes_sent.add(data.len() as u64);
        } else {
            counters.send_failures.add(1);
        }
        Ok(())
    }

    /// Hand a datagram that came over TCP to the engine.
    fn handle_frame(&self, path: &Bound<'_, PyAny>, data: &[u8]) -> PyResult<()> {
        self.shared.push_frame(convert::path(path)?, data);
        Ok(())
    }

    /// Let the thread ask the engine again when it is due: the first transport is there.
    fn wake(&self) {
        self.shared.wake();
    }

    /// Send runs by GSO or datagram by datagram.
    fn set_gso(&self, gso: bool) {
        for socket in &self.shared.sockets {
            socket.set_gso(gso);
        }
    }

    /// Counters of the sockets by name, and how many events wait for the event loop.
    fn io_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = PyDict::new(py);
        for (name, value) in self.shared.counters.all() {
            stats.set_item(name, value)?;
        }
        stats.set_item("events_waiting", self.shared.notices.waiting())?;
        Ok(stats)
    }

    /// End the thread. Idempotent. The sockets close with the object.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let Some(thread) = self.thread.lock().take() else { return Ok(()) };
        self.shared.stop();
        py.detach(|| thread.join()).map_err(|_| PyOSError::new_err("the engine's thread panicked"))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

//! `Runtime`: an engine with sockets, a thread and a clock, for `sfu.engine.native.RustRuntime`.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use ting_association::records::{Session, Suite};
use ting_association::{DataSession, Options};
use ting_core::api::Protocol;

use crate::convert;
use crate::data_link::DataLink;
use crate::engine::PacketEngine;
use crate::events::Notice;
use crate::faults;
use crate::shared::Shared;
use crate::socket::{UdpSocket, parse_address};
use crate::waiting::now_ns;
use crate::worker::run;

/// A bound, non-blocking UDP socket: file descriptor, address, port.
type BoundSocket = (RawFd, String, u16);

/// As `Runtime.add_data_link` says.
type SessionSecrets = (String, bool, Vec<u8>, Vec<u8>, Vec<u8>, u64);

/// Runs a `PacketEngine` on UDP sockets in threads of its own, from construction until `close`.
#[pyclass(frozen, module = "ting_engine")]
pub(crate) struct Runtime {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[pymethods]
impl Runtime {
    /// One thread for each list of `sockets`, which belong to the runtime from now on; the first list has one for every
    /// address. `max_queued` datagrams may wait in one send queue, and a large fan-out for `max_hold_ns`.
    #[new]
    fn new(
        py: Python<'_>,
        engine: &PacketEngine,
        sockets: Vec<Vec<BoundSocket>>,
        max_queued: usize,
        max_hold_ns: u64,
    ) -> PyResult<Self> {
        faults::install_hook();
        let mut taken = Vec::with_capacity(sockets.len());
        for list in sockets {
            let mut own = Vec::with_capacity(list.len());
            for (fd, address, port) in list {
                // SAFETY: the caller detached the descriptor; nobody else closes it.
                let fd = unsafe { OwnedFd::from_raw_fd(fd) };
                let Some(local) = parse_address(&address, port) else {
                    return Err(convert::engine_error(py, "an address is not an IP address", "invalid_path"));
                };
                own.push(UdpSocket::new(fd, local));
            }
            taken.push(own);
        }
        let shared = Arc::new(Shared::new(engine.share(), taken, max_queued, max_hold_ns)?);
        let mut threads = Vec::with_capacity(shared.threads.len());
        for index in 0..shared.threads.len() {
            let theirs = Arc::clone(&shared);
            let builder = thread::Builder::new().name(format!("{}-{index}", faults::THREAD_NAME));
            threads.push(builder.spawn(move || run(&theirs, index))?);
        }
        Ok(Self { shared, threads: Mutex::new(threads) })
    }

    /// The descriptor that is readable while `take_notices` has something.
    fn event_fd(&self) -> RawFd {
        self.shared.notices.as_raw_fd()
    }

    /// Up to `limit` of what waits, in order: events, `Transmit`s for TCP connections, handles of transports whose data
    /// channels have something, texts of panics.
    fn take_notices<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for notice in self.shared.notices.take(limit) {
            match notice {
                Notice::Event(event) => list.append(convert::event_object(py, &event)?)?,
                Notice::Frame(path, data) => list.append(convert::transmit_object(py, &path, &data)?)?,
                Notice::Data(transport) => list.append(transport)?,
                Notice::Fault(words) => list.append(words)?,
            }
        }
        Ok(list)
    }

    /// Send one datagram over UDP now. Failures are counted.
    fn send(&self, path: &Bound<'_, PyAny>, data: &[u8]) -> PyResult<()> {
        let path = convert::path(path)?;
        let Some(first) = self.shared.first() else { return Ok(()) };
        let socket = first.sockets.iter().find(|socket| socket.local() == path.local);
        let is_open = !self.threads.lock().is_empty();
        let sent = socket
            .filter(|_| is_open && path.protocol == Protocol::Udp)
            .is_some_and(|socket| socket.send_to(data, path.remote).is_ok());
        if sent {
            first.counters.datagrams_sent.add(1);
            first.counters.bytes_sent.add(data.len() as u64);
        } else {
            first.counters.send_failures.add(1);
        }
        Ok(())
    }

    /// Data channels for a transport with a DTLS session of OpenSSL's, which `secrets` tell of: the suite's name, whether
    /// we are the client, master secret, client random, server random, and the explicit nonce of OpenSSL's last record.
    /// `sizes` in bytes: of a message, of the peer's messages, unsent, unsent of data tracks. None for another suite.
    fn add_data_link(
        &self,
        transport: u64,
        path: &Bound<'_, PyAny>,
        secrets: SessionSecrets,
        opens_channels: bool,
        sizes: [usize; 4],
    ) -> PyResult<Option<DataLink>> {
        let (name, is_client, master_secret, client_random, server_random, used_nonce) = secrets;
        let Some(suite) = Suite::of_name(&name) else { return Ok(None) };
        let session = Session {
            suite,
            is_client,
            master_secret: &master_secret,
            client_random: &client_random,
            server_random: &server_random,
            used_nonce,
        };
        let [max_message_bytes, remote_max_message_bytes, max_buffered_bytes, max_track_buffered_bytes] = sizes;
        let options = Options {
            is_dtls_client: is_client,
            opens_channels,
            max_message_bytes,
            remote_max_message_bytes,
            max_buffered_bytes,
            max_track_buffered_bytes,
        };
        let Some(session) = DataSession::new(now_ns(), &session, options) else { return Ok(None) };
        let link = self.shared.links.add(transport, session, convert::path(path)?);
        link.begin(&self.shared);
        Ok(Some(DataLink::new(&self.shared, link)))
    }

    /// Hand a datagram that came over TCP to the engine.
    fn handle_frame(&self, path: &Bound<'_, PyAny>, data: &[u8]) -> PyResult<()> {
        self.shared.push_frame(convert::path(path)?, data);
        Ok(())
    }

    /// Let the threads ask the engine again when it is due: a transport is there.
    fn wake(&self) {
        self.shared.wake();
    }

    /// Send runs by GSO or datagram by datagram.
    fn set_gso(&self, gso: bool) {
        for socket in self.shared.threads.iter().flat_map(|thread| &thread.sockets) {
            socket.set_gso(gso);
        }
    }

    /// Counters of the sockets by name, of all threads together; how many datagrams each thread received and sent; and
    /// how many events wait for the event loop.
    fn io_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = PyDict::new(py);
        let mut totals: Vec<(&str, u64)> = Vec::new();
        for (index, thread) in self.shared.threads.iter().enumerate() {
            for (place, (name, value)) in thread.counters.all().into_iter().enumerate() {
                match totals.get_mut(place) {
                    Some(total) => total.1 = total.1.wrapping_add(value),
                    None => totals.push((name, value)),
                }
                if matches!(name, "datagrams_received" | "datagrams_sent") {
                    stats.set_item(format!("{name}_thread_{index}"), value)?;
                }
            }
        }
        for (name, value) in totals {
            stats.set_item(name, value)?;
        }
        stats.set_item("events_waiting", self.shared.notices.waiting())?;
        Ok(stats)
    }

    /// End the threads. Idempotent. The sockets close with the object.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let threads = std::mem::take(&mut *self.threads.lock());
        self.shared.stop();
        let failed = py.detach(|| threads.into_iter().map(JoinHandle::join).filter(Result::is_err).count());
        if failed > 0 { Err(PyOSError::new_err("a thread of the engine panicked")) } else { Ok(()) }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

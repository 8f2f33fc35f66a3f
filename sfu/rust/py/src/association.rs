//! `DataAssociation`: the data channels of one peer, for `sfu.transport.native_channels`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use ting_association::{DataAssociation as Association, Event, Kind, Options, Sent};

/// What is to be sent, what has happened, and when `handle_timeout` is due.
type Outcome<'py> = (Bound<'py, PyList>, Bound<'py, PyList>, Option<u64>);

/// SCTP and data channels without sockets and clock. Kinds are 0 reliable, 1 lossy, 2 data tracks.
#[pyclass(module = "ting_engine")]
pub(crate) struct DataAssociation {
    inner: Association,
}

fn kind_of(number: u8) -> PyResult<Kind> {
    Kind::ALL.get(usize::from(number)).copied().ok_or_else(|| PyValueError::new_err("no such kind of data"))
}

#[pymethods]
impl DataAssociation {
    #[new]
    #[pyo3(signature = (
        now_ns, *, is_dtls_client, opens_channels, max_message_bytes, remote_max_message_bytes, max_buffered_bytes,
        max_track_buffered_bytes
    ))]
    fn new(
        now_ns: u64,
        is_dtls_client: bool,
        opens_channels: bool,
        max_message_bytes: usize,
        remote_max_message_bytes: usize,
        max_buffered_bytes: usize,
        max_track_buffered_bytes: usize,
    ) -> Self {
        let options = Options {
            is_dtls_client,
            opens_channels,
            max_message_bytes,
            remote_max_message_bytes,
            max_buffered_bytes,
            max_track_buffered_bytes,
        };
        Self { inner: Association::new(now_ns, options) }
    }

    /// One packet that DTLS carried.
    fn handle_packet<'py>(&mut self, py: Python<'py>, now_ns: u64, packet: &[u8]) -> PyResult<Outcome<'py>> {
        self.inner.handle_packet(now_ns, packet);
        self.poll(py, now_ns)
    }

    /// What is due; too early does no harm.
    fn handle_timeout<'py>(&mut self, py: Python<'py>, now_ns: u64) -> PyResult<Outcome<'py>> {
        self.inner.handle_timeout(now_ns);
        self.poll(py, now_ns)
    }

    /// Queue one message; whether it was taken. Then `poll`.
    fn send(&mut self, kind: u8, payload: &[u8]) -> PyResult<bool> {
        Ok(self.inner.send(kind_of(kind)?, payload) == Sent::Queued)
    }

    /// End it; the last packet comes with `poll`.
    fn abort(&mut self) {
        self.inner.abort();
    }

    /// Packets; messages as (kind, bytes), and "ready", "closed" or the name of a counter; the next due time or None.
    fn poll<'py>(&mut self, py: Python<'py>, now_ns: u64) -> PyResult<Outcome<'py>> {
        let mut packets = Vec::new();
        self.inner.poll_packets(now_ns, &mut packets);
        let packets = PyList::new(py, packets.iter().map(|packet| PyBytes::new(py, packet)))?;
        let events = PyList::empty(py);
        while let Some(event) = self.inner.poll_event() {
            match event {
                Event::Message(kind, data) => events.append((kind as u8, PyBytes::new(py, &data)))?,
                Event::Ready => events.append("ready")?,
                Event::Closed => events.append("closed")?,
                Event::Count(name) => events.append(name)?,
            }
        }
        Ok((packets, events, self.inner.due_ns()))
    }

    /// Whether "ready" was told, and the reliable channel is still open.
    #[getter]
    fn is_ready(&mut self) -> bool {
        self.inner.is_ready()
    }
}

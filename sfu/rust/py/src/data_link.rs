//! `DataLink`: the data channels of one peer for `sfu.transport.native_channels`.

use std::sync::{Arc, Weak};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use ting_association::{Bytes, Event, Kind};

use crate::convert;
use crate::fan_out::{NOT_READY, Outcome, send_to_all};
use crate::link_table::Link;
use crate::shared::Shared;

/// Made by `Runtime.add_data_link`. Kinds are 0 reliable, 1 lossy, 2 data tracks.
#[pyclass(frozen, module = "ting_engine")]
pub(crate) struct DataLink {
    /// The sockets close with their runtime, whoever still has a link.
    shared: Weak<Shared>,
    link: Arc<Link>,
}

impl DataLink {
    pub(crate) fn new(shared: &Arc<Shared>, link: Arc<Link>) -> Self {
        Self { shared: Arc::downgrade(shared), link }
    }
}

fn kind_of(number: u8) -> PyResult<Kind> {
    Kind::ALL.get(usize::from(number)).copied().ok_or_else(|| PyValueError::new_err("no such kind of data"))
}

#[pymethods]
impl DataLink {
    /// One packet that OpenSSL opened before there was a link.
    fn handle_packet(&self, packet: &[u8]) {
        if let Some(shared) = self.shared.upgrade() {
            self.link.handle_packet(&shared, packet);
        }
    }

    /// Queue one message and send what may leave; whether it was taken.
    fn send(&self, kind: u8, payload: &[u8]) -> PyResult<bool> {
        let kind = kind_of(kind)?;
        Ok(self.shared.upgrade().is_some_and(|shared| self.link.send(&shared, kind, payload)))
    }

    /// `send` of one message to each of `links`, which are of the same runtime: reliable bytes that are unsent with it
    /// (0 for other kinds), -1 where the reliable channel is not ready, -2 where it was not taken.
    fn send_to_all(
        &self,
        py: Python<'_>,
        links: Vec<Bound<'_, DataLink>>,
        kind: u8,
        payload: &[u8],
    ) -> PyResult<Vec<Outcome>> {
        let kind = kind_of(kind)?;
        let links: Vec<Arc<Link>> = links.iter().map(|link| Arc::clone(&link.get().link)).collect();
        let Some(shared) = self.shared.upgrade() else { return Ok(vec![NOT_READY; links.len()]) };
        Ok(py.detach(|| send_to_all(&shared, &links, kind, &Bytes::copy_from_slice(payload))))
    }

    /// `sfu.engine.api.DataNews` with up to `limit` messages.
    fn take_news<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyAny>> {
        let (messages, counts) = (PyList::empty(py), PyDict::new(py));
        let (mut became_ready, mut is_ended) = (false, false);
        let events = self.shared.upgrade().map(|shared| self.link.take_events(&shared, limit));
        for event in events.unwrap_or_default() {
            match event {
                Event::Message(kind, data) => messages.append((kind as u8, PyBytes::new(py, &data)))?,
                Event::Count(name, count) => counts.set_item(name, count)?,
                Event::Ready => became_ready = true,
                Event::Goodbye => is_ended = true,
                Event::Closed => (),
            }
        }
        convert::data_news(py, (became_ready, is_ended, messages, counts))
    }

    /// What waits for the peer's acknowledgement, or to be sent.
    fn unsent_bytes(&self, kind: u8) -> PyResult<usize> {
        Ok(self.link.unsent_bytes(kind_of(kind)?))
    }

    /// Whether reliable messages are to be taken.
    fn set_reading(&self, is_reading: bool) {
        if let Some(shared) = self.shared.upgrade() {
            self.link.set_reading(&shared, is_reading);
        }
    }

    /// Where datagrams go from now on.
    fn set_path(&self, path: &Bound<'_, PyAny>) -> PyResult<()> {
        self.link.set_path(convert::path(path)?);
        Ok(())
    }

    /// End it: the peer is told, and nothing more happens. Idempotent.
    fn close(&self) {
        if let Some(shared) = self.shared.upgrade() {
            self.link.close(&shared);
        }
    }

    /// Whether "ready" happened, and the reliable channel is still open.
    #[getter]
    fn is_ready(&self) -> bool {
        self.link.is_ready()
    }
}

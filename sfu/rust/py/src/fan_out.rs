//! One message to many peers: each link seals it for its own, and what they sealed leaves together.

use std::sync::Arc;

use parking_lot::MutexGuard;
use ting_association::{Bytes, Kind, Sent};
use ting_core::api::{Path, Protocol};

use crate::events::Notice;
use crate::link_table::{Link, LinkState};
use crate::outbox::{Ports, Run, send_runs};
use crate::shared::{Shared, ThreadState};
use crate::waiting::now_ns;

/// Links that are held until what they made has left. An engine's thread may wait for one of them meanwhile.
const MAX_LINKS: usize = 16;
/// Sealed bytes that leave at once; a larger buffer would be memory that the kernel gives and takes each time.
const MAX_BYTES: usize = 96 * 1024;

/// What became of a message at a link: reliable bytes that are unsent with it, 0 for other kinds, or one of these.
pub(crate) type Outcome = i64;
/// The reliable channel is not ready.
pub(crate) const NOT_READY: Outcome = -1;
/// There is no channel, the message is too large, or too much waits.
pub(crate) const NOT_TAKEN: Outcome = -2;

/// Offers the message to all of them, and sends what may leave. From the event loop's thread, which alone holds several
/// links, and waits for one only while it holds no other.
pub(crate) fn send_to_all(shared: &Shared, links: &[Arc<Link>], kind: Kind, payload: &Bytes) -> Vec<Outcome> {
    let Some(own) = shared.first() else { return vec![NOT_READY; links.len()] };
    let mut notices = Vec::new();
    let mut batch = Batch::new(shared, own);
    let offered = links.iter().map(|link| {
        let state = link.state.try_lock();
        let mut state = state.unwrap_or_else(|| {
            batch.leave();
            link.state.lock()
        });
        let outcome = state.offer(kind, payload);
        batch.take(link, state, &mut notices);
        outcome
    });
    let outcomes = offered.collect();
    batch.leave();
    shared.notices.push_all(&mut notices);
    outcomes
}

impl LinkState {
    fn offer(&mut self, kind: Kind, payload: &Bytes) -> Outcome {
        if self.is_closed || kind == Kind::Reliable && !self.session.is_ready() {
            return NOT_READY;
        }
        match self.session.send_shared(kind, payload) {
            Sent::Queued if kind != Kind::Reliable => 0,
            Sent::Queued => Outcome::try_from(self.session.unsent_bytes(kind)).unwrap_or(Outcome::MAX),
            Sent::NoChannel | Sent::TooLong | Sent::Full => NOT_TAKEN,
        }
    }
}

/// What leaves together, from one socket.
struct Batch<'a> {
    shared: &'a Shared,
    own: &'a ThreadState,
    /// Of the first of `held`; all have its local address.
    path: Option<Path>,
    held: Vec<MutexGuard<'a, LinkState>>,
    sealed: Vec<u8>,
    ends: Vec<usize>,
    runs: Vec<Run>,
}

impl<'a> Batch<'a> {
    fn new(shared: &'a Shared, own: &'a ThreadState) -> Self {
        let (sealed, ends, runs) = (Vec::new(), Vec::new(), Vec::new());
        Self { shared, own, path: None, held: Vec::with_capacity(MAX_LINKS), sealed, ends, runs }
    }

    /// Takes what this link has to send.
    fn take(&mut self, link: &Link, mut state: MutexGuard<'a, LinkState>, notices: &mut Vec<Notice>) {
        if state.is_closed {
            return;
        }
        let path = state.path;
        if path.protocol == Protocol::Tcp {
            let LinkState { session, sealed, ends, .. } = &mut *state;
            session.poll_datagrams(now_ns(), sealed, ends);
            state.send(self.shared, self.own, notices, false);
            link.follow(&mut state, self.shared, notices);
            return;
        }
        if self.path.is_some_and(|first| first.local != path.local) {
            self.leave();
        }
        self.path.get_or_insert(path);
        let mut begin = self.sealed.len();
        state.session.poll_datagrams(now_ns(), &mut self.sealed, &mut self.ends);
        let mut is_first = true;
        for end in self.ends.drain(..) {
            let is_longer = !is_first && self.runs.last_mut().is_some_and(|run| run.take(end));
            if !is_longer {
                self.runs.push(Run::new(begin..end, path.remote));
            }
            (is_first, begin) = (false, end);
        }
        link.follow(&mut state, self.shared, notices);
        self.held.push(state);
        if self.held.len() >= MAX_LINKS || self.sealed.len() >= MAX_BYTES {
            self.leave();
        }
    }

    /// Sends all of it, and lets the links go.
    fn leave(&mut self) {
        let first: &[_] = self.shared.first().map_or(&[], |first| &first.sockets);
        let ports = Ports { own: &self.own.sockets, first };
        let socket = self.path.take().filter(|_| !self.shared.is_stopped()).and_then(|path| ports.find(path.local));
        match socket {
            Some(socket) => send_runs(socket, &self.sealed, &self.runs, &self.own.counters, &mut false),
            None => self.own.counters.send_failures.add(self.runs.len() as u64),
        }
        self.runs.clear();
        self.sealed.clear();
        self.held.clear();
    }
}

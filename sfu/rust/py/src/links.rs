//! Data channels in the engine's threads: datagrams of an established DTLS session go from the socket through DTLS and
//! SCTP without the interpreter, which takes whole messages and gives whole messages.
//!
//! One lock per peer. It is held while datagrams leave, so that they leave in order; no engine is locked meanwhile.

use std::sync::Arc;

use ting_association::{DataSession, Event as DataEvent};
use ting_core::api::{Event, Path, Protocol};

use crate::events::Notice;
use crate::link_table::{Link, LinkState, Links};
use crate::outbox::{Ports, Run, send_runs};
use crate::shared::{Shared, ThreadState};
use crate::waiting::now_ns;

impl Links {
    /// What is due, by the first thread; when it is due next.
    pub(crate) fn handle_due(&self, shared: &Shared, own: &ThreadState, notices: &mut Vec<Notice>) -> Option<u64> {
        loop {
            let now = now_ns();
            match self.take_due(now) {
                Err(next) => return next,
                Ok((due_ns, transport)) => {
                    let Some(link) = self.get(transport) else { continue };
                    // Every one that is taken here is armed again, so one that means nothing any more must not count.
                    let is_armed = link.state.lock().armed_for_ns.take_if(|armed_ns| *armed_ns == due_ns).is_some();
                    if is_armed {
                        link.work(shared, (own, true), notices, |state| state.session.handle_timeout(now));
                    }
                }
            }
        }
    }

    /// DTLS that an engine handed up, in order. What is OpenSSL's, wholly or too, stays in `events`.
    pub(crate) fn handle_dtls(
        &self,
        shared: &Shared,
        own: &ThreadState,
        notices: &mut Vec<Notice>,
        events: &mut Vec<Event>,
    ) {
        if self.is_empty() {
            return;
        }
        let mut left = Vec::new();
        let mut rest = std::mem::take(events).into_iter().peekable();
        while let Some(first) = rest.next() {
            let Some(link) = transport_of(&first).and_then(|transport| self.get(transport)) else {
                left.push(first);
                continue;
            };
            // Those of one peer together: what they make is sent once.
            link.work(shared, (own, true), notices, |state| {
                let mut next = Some(first);
                while let Some(event) = next {
                    if let Event::DtlsReceived { data, .. } = &event
                        && state.session.handle_datagram(now_ns(), data)
                    {
                        left.push(event);
                    }
                    next = rest.next_if(|event| transport_of(event) == Some(link.transport));
                }
            });
        }
        *events = left;
    }
}

fn transport_of(event: &Event) -> Option<u64> {
    if let Event::DtlsReceived { transport, .. } = event { Some(*transport) } else { None }
}

impl Link {
    /// Does something with the session, and sends and tells what comes of it. The engine's threads may wait for a full
    /// send buffer, the event loop's may not.
    fn work<R>(
        &self,
        shared: &Shared,
        (own, may_wait): (&ThreadState, bool),
        notices: &mut Vec<Notice>,
        act: impl FnOnce(&mut LinkState) -> R,
    ) -> R {
        let mut state = self.state.lock();
        let done = act(&mut state);
        if !state.is_closed {
            let LinkState { session, sealed, ends, .. } = &mut *state;
            session.poll_datagrams(now_ns(), sealed, ends);
        }
        state.send(shared, own, notices, may_wait);
        self.follow(&mut state, shared, notices);
        done
    }

    /// What comes of a change beside datagrams: the event loop is told, and the clock.
    pub(crate) fn follow(&self, state: &mut LinkState, shared: &Shared, notices: &mut Vec<Notice>) {
        if state.session.has_events() && !state.is_told && !state.is_closed {
            state.is_told = true;
            notices.push(Notice::Data(self.transport));
        }
        if let Some(due_ns) = state.session.due_ns()
            && state.armed_for_ns.is_none_or(|armed_ns| due_ns < armed_ns)
        {
            state.armed_for_ns = Some(due_ns);
            if shared.links.arm(due_ns, self.transport)
                && let Some(first) = shared.first()
            {
                first.wake.signal();
            }
        }
    }

    /// The same from the event loop's thread.
    fn work_here<R>(&self, shared: &Shared, act: impl FnOnce(&mut DataSession) -> R) -> Option<R> {
        let mut notices = Vec::new();
        let done = self.work(shared, (shared.first()?, false), &mut notices, |state| act(&mut state.session));
        shared.notices.push_all(&mut notices);
        Some(done)
    }

    /// A peer may wait for us to begin: from now on it is due.
    pub(crate) fn begin(&self, shared: &Shared) {
        self.work_here(shared, |_| ());
    }

    /// One packet that OpenSSL opened before there was a link.
    pub(crate) fn handle_packet(&self, shared: &Shared, packet: &[u8]) {
        self.work_here(shared, |session| session.handle_packet(now_ns(), packet));
    }

    /// Queues a message and sends what may leave; whether it was taken.
    pub(crate) fn send(&self, shared: &Shared, kind: ting_association::Kind, payload: &[u8]) -> bool {
        self.work_here(shared, |session| session.send(kind, payload)) == Some(ting_association::Sent::Queued)
    }

    /// Up to `limit` of what has happened. The event loop is told anew when more is left.
    pub(crate) fn take_events(&self, shared: &Shared, limit: usize) -> Vec<DataEvent> {
        self.state.lock().is_told = false;
        let take = |session: &mut DataSession| std::iter::from_fn(|| session.take_event()).take(limit).collect();
        self.work_here(shared, take).unwrap_or_default()
    }

    /// See `DataSession`.
    pub(crate) fn unsent_bytes(&self, kind: ting_association::Kind) -> usize {
        self.state.lock().session.unsent_bytes(kind)
    }

    /// See `DataSession`.
    pub(crate) fn set_reading(&self, shared: &Shared, is_reading: bool) {
        self.work_here(shared, |session| session.set_reading(is_reading));
    }

    /// Datagrams go there from now on.
    pub(crate) fn set_path(&self, path: Path) {
        self.state.lock().path = path;
    }

    /// See `DataSession`.
    pub(crate) fn is_ready(&self) -> bool {
        self.state.lock().session.is_ready()
    }

    /// The end: the peer is told, and nothing is left.
    pub(crate) fn close(self: &Arc<Self>, shared: &Shared) {
        shared.links.remove(self);
        let Some(first) = shared.first() else { return };
        let mut notices = Vec::new();
        self.work(shared, (first, false), &mut notices, |state| {
            let LinkState { session, sealed, ends, is_closed, .. } = state;
            if !std::mem::replace(is_closed, true) {
                session.close(now_ns(), sealed, ends);
            }
        });
        shared.notices.push_all(&mut notices);
    }
}

impl LinkState {
    /// Sends what is sealed.
    pub(crate) fn send(&mut self, shared: &Shared, own: &ThreadState, notices: &mut Vec<Notice>, mut may_wait: bool) {
        if self.ends.is_empty() {
            return;
        }
        let ports = Ports { own: &own.sockets, first: shared.first().map_or(&[][..], |first| &first.sockets) };
        if shared.is_stopped() {
            own.counters.send_failures.add(self.ends.len() as u64);
        } else if self.path.protocol == Protocol::Tcp {
            let mut begin = 0;
            for end in &self.ends {
                let frame = self.sealed.get(begin..*end).unwrap_or_default().to_vec();
                notices.push(Notice::Frame(self.path, frame));
                begin = *end;
            }
        } else if let Some(socket) = ports.find(self.path.local) {
            self.runs.clear();
            let mut begin = 0;
            for end in &self.ends {
                if !self.runs.last_mut().is_some_and(|run| run.take(*end)) {
                    self.runs.push(Run::new(begin..*end, self.path.remote));
                }
                begin = *end;
            }
            send_runs(socket, &self.sealed, &self.runs, &own.counters, &mut may_wait);
        } else {
            own.counters.send_failures.add(self.ends.len() as u64);
        }
        self.ends.clear();
        self.sealed.clear();
    }
}

#[cfg(test)]
mod tests {
    use ting_association::fuzzing::options;
    use ting_association::records::{Session, Suite};

    use super::*;
    use crate::shards::Shards;

    fn session() -> DataSession {
        let secrets = Session {
            suite: Suite::Aes128Gcm,
            is_client: false,
            master_secret: &[7; 48],
            client_random: &[1; 32],
            server_random: &[2; 32],
            used_nonce: 5,
        };
        DataSession::new(now_ns(), &secrets, options(false)).unwrap()
    }

    #[test]
    fn a_link_that_was_armed_often_is_armed_once() {
        let shared = Shared::new(Arc::new(Shards::new(1, 1)), vec![Vec::new()], 1, 0).unwrap();
        let address = "127.0.0.1:9".parse().unwrap();
        let link = shared.links.add(1, session(), Path { protocol: Protocol::Udp, local: address, remote: address });
        link.begin(&shared);
        assert_eq!(shared.links.armed(), 1);
        (0..100).for_each(|ago| _ = shared.links.arm(now_ns() - ago, 1));
        let next = shared.links.handle_due(&shared, shared.first().unwrap(), &mut Vec::new());
        assert_eq!(shared.links.armed(), 1);
        assert_eq!(next, link.state.lock().session.due_ns());
    }
}

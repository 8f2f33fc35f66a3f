//! `DataSession`: a DTLS session and the association in it, datagrams in and out.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::association::DataAssociation;
use crate::channels::{Event, Kind, Options, Sent};
use crate::records::{Opened, Records, Session};

/// Bytes of reliable messages that may wait to be taken, each counted with what it costs beside its payload; then the
/// peer's are left in the receive buffer, whose window tells it to wait.
pub const MAX_WAITING_BYTES: usize = 2 * 1024 * 1024;
/// The same of lossy ones; then they are lost.
pub const MAX_WAITING_LOSSY_BYTES: usize = 2 * 1024 * 1024;
const MESSAGE_COST_BYTES: usize = 100;

/// Like a `DataAssociation`, with what DTLS puts around its packets.
pub struct DataSession {
    records: Records,
    association: DataAssociation,
    /// Reliable messages; and everything else, which does not wait for them.
    waiting: [VecDeque<Event>; 2],
    waiting_bytes: [usize; 2],
    /// How often `Event::Ready` waits to be taken.
    untold: usize,
    /// The peer has said that the session ends, and that was told after all that it had sent before.
    said_goodbye: bool,
    told_goodbye: bool,
    is_reading: bool,
    counts: Vec<(&'static str, u64)>,
    plain: Vec<u8>,
    packets: Vec<Bytes>,
}

impl DataSession {
    /// None when what OpenSSL says of the session makes no keys.
    pub fn new(now_ns: u64, session: &Session<'_>, options: Options) -> Option<Self> {
        Some(Self {
            records: Records::new(session)?,
            association: DataAssociation::new(now_ns, options),
            waiting: [VecDeque::new(), VecDeque::new()],
            waiting_bytes: [0, 0],
            untold: 0,
            said_goodbye: false,
            told_goodbye: false,
            is_reading: true,
            counts: Vec::new(),
            plain: Vec::new(),
            packets: Vec::new(),
        })
    }

    /// One datagram. True when there is a record in it that is OpenSSL's to read.
    pub fn handle_datagram(&mut self, now_ns: u64, datagram: &[u8]) -> bool {
        let mut rest = datagram;
        let mut is_for_others = false;
        while !rest.is_empty() {
            let (opened, left) = self.records.open(rest, &mut self.plain);
            rest = left;
            match opened {
                Opened::Data => self.association.handle_packet(now_ns, &self.plain),
                Opened::Goodbye => self.said_goodbye = true,
                Opened::Warning => (),
                Opened::Other => is_for_others = true,
                Opened::Dropped => self.association.count("dtls_errors"),
            }
        }
        is_for_others
    }

    /// One packet that OpenSSL opened before this session was.
    pub fn handle_packet(&mut self, now_ns: u64, packet: &[u8]) {
        self.association.handle_packet(now_ns, packet);
    }

    /// See `DataAssociation`.
    pub fn handle_timeout(&mut self, now_ns: u64) {
        self.association.handle_timeout(now_ns);
    }

    /// See `DataAssociation`. A channel that has taken the place of another takes nothing reliable before that was told:
    /// what the other one may have lost goes first.
    pub fn send(&mut self, kind: Kind, payload: &[u8]) -> Sent {
        self.send_shared(kind, &Bytes::copy_from_slice(payload))
    }

    /// `send` of a payload that others get, too.
    pub fn send_shared(&mut self, kind: Kind, payload: &Bytes) -> Sent {
        if kind == Kind::Reliable && self.untold > 0 {
            return Sent::NoChannel;
        }
        self.association.send_shared(kind, payload)
    }

    /// See `DataAssociation`.
    pub fn due_ns(&self) -> Option<u64> {
        self.association.due_ns()
    }

    /// Whether `Event::Ready` was taken, and the reliable channel is still the one that it told of.
    pub fn is_ready(&mut self) -> bool {
        self.untold == 0 && self.association.is_ready()
    }

    /// Appends the datagrams that are to be sent now, one behind the other, and where each ends.
    pub fn poll_datagrams(&mut self, now_ns: u64, sealed: &mut Vec<u8>, ends: &mut Vec<usize>) {
        self.association.poll_packets(now_ns, &mut self.packets);
        for packet in self.packets.drain(..) {
            if self.records.seal(&packet, sealed) {
                ends.push(sealed.len());
            }
        }
        while let Some(event) = self.association.poll_event() {
            self.keep(event);
        }
        self.hold_or_read();
    }

    /// Ends the association and the session; the last two datagrams tell the peer.
    pub fn close(&mut self, now_ns: u64, sealed: &mut Vec<u8>, ends: &mut Vec<usize>) {
        self.association.abort();
        self.poll_datagrams(now_ns, sealed, ends);
        if self.records.seal_close(sealed) {
            ends.push(sealed.len());
        }
    }

    /// What waits for the peer's acknowledgement, or to be sent.
    pub fn unsent_bytes(&mut self, kind: Kind) -> usize {
        self.association.buffered_bytes(kind)
    }

    /// Whether reliable messages are to be taken.
    pub fn set_reading(&mut self, is_reading: bool) {
        self.is_reading = is_reading;
    }

    /// Whether `take_event` has something.
    pub fn has_events(&self) -> bool {
        let [reliable, other] = &self.waiting;
        let waits = !self.counts.is_empty() || !other.is_empty() || self.is_reading && !reliable.is_empty();
        waits || self.said_goodbye && !self.told_goodbye
    }

    /// The next thing that has happened; reliable messages after everything else. Where room is made, `poll_datagrams` has
    /// news.
    pub fn take_event(&mut self) -> Option<Event> {
        if let Some((name, count)) = self.counts.pop() {
            return Some(Event::Count(name, count));
        }
        let [reliable, other] = &mut self.waiting;
        let [reliable_bytes, other_bytes] = &mut self.waiting_bytes;
        let (event, bytes) = match other.pop_front() {
            Some(event) => (event, other_bytes),
            None => match self.is_reading.then(|| reliable.pop_front()).flatten() {
                Some(event) => (event, reliable_bytes),
                None => return self.take_goodbye(),
            },
        };
        *bytes = bytes.saturating_sub(cost(&event));
        self.untold = self.untold.saturating_sub(usize::from(event == Event::Ready));
        Some(event)
    }

    fn take_goodbye(&mut self) -> Option<Event> {
        let is_due = self.said_goodbye && !self.told_goodbye;
        if is_due && self.is_reading {
            // What did not fit into `waiting` is in the receive buffer still.
            self.hold_or_read();
            if self.waiting.iter().any(|events| !events.is_empty()) {
                return self.take_event();
            }
        }
        self.told_goodbye = self.said_goodbye;
        is_due.then_some(Event::Goodbye)
    }

    fn keep(&mut self, event: Event) {
        let [reliable, other] = &mut self.waiting;
        let [reliable_bytes, other_bytes] = &mut self.waiting_bytes;
        let cost = cost(&event);
        self.untold = self.untold.saturating_add(usize::from(event == Event::Ready));
        match event {
            Event::Message(Kind::Reliable, _) => {
                reliable.push_back(event);
                *reliable_bytes = reliable_bytes.saturating_add(cost);
            }
            Event::Count(name, count) => self.count(name, count),
            Event::Message(..) if other_bytes.saturating_add(cost) > MAX_WAITING_LOSSY_BYTES => {
                self.count("data_not_taken", 1);
            }
            _ => {
                other.push_back(event);
                *other_bytes = other_bytes.saturating_add(cost);
            }
        }
    }

    fn count(&mut self, name: &'static str, count: u64) {
        match self.counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, total)) => *total = total.saturating_add(count),
            None => self.counts.push((name, count)),
        }
    }

    fn hold_or_read(&mut self) {
        let [reliable_bytes, _] = self.waiting_bytes;
        let limit = if self.association.is_reading() { MAX_WAITING_BYTES } else { MAX_WAITING_BYTES / 2 };
        self.association.set_reading(reliable_bytes < limit);
        while let Some(event) = self.association.poll_event() {
            self.keep(event);
        }
    }
}

fn cost(event: &Event) -> usize {
    let payload = if let Event::Message(_, data) = event { data.len() } else { 0 };
    payload.saturating_add(MESSAGE_COST_BYTES)
}

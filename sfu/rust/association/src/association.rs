//! `DataAssociation`: one peer's SCTP association with its data channels.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationError, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig,
    Event as SctpEvent, PayloadProtocolIdentifier as Ppi, ServerConfig, StreamEvent, StreamId, TransportConfig,
};

use crate::channels::{Channels, Event, Kind, Options, Sent};
use crate::flow::Flow;
use crate::guard::Peer;
use crate::held::{Held, RECEIVE_BUFFER_BYTES};
use crate::wire;

mod messages;

/// Faults of the peer's channel protocol that end the association.
pub const MAX_FAULTS: u32 = 32;
/// Streams that a peer may have in use.
pub const MAX_STREAMS: u32 = 64;
/// Streams that the peer closed without saying that it saw us do the same.
pub const MAX_PENDING_RESETS: u32 = 64;

/// SCTP in a datagram of 1,228 bytes with DTLS around it: IPv6's smallest MTU, and what libwebrtc sends.
const MAX_PACKET_BYTES: u32 = 1188;
const PACKET_OVERHEAD_BYTES: u32 = 28;
const PORT: u16 = 5000;
/// libwebrtc's.
const RTO_INITIAL_MS: u64 = 500;
const RTO_MIN_MS: u64 = 400;
/// After a silence the peer is heard again this soon.
const RTO_MAX_MS: u64 = 10_000;
/// Both ends may begin (RFC 8841 §9.3), and the library knows no meeting of two beginnings: the peer has the first word,
/// and we take it when none comes, as DTLS client and as server.
const PATIENCE_NS: [u64; 2] = [1_000_000_000, 2_000_000_000];
/// The library wants one.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT);

/// Times are nanoseconds of one clock that never goes back. After each call that changes something, `poll_packets` and
/// `poll_event` say what came of it, and `due_ns` when `handle_timeout` is due. A fault of the library ends this
/// association and nothing else.
pub struct DataAssociation {
    options: Options,
    /// The library's clock where ours stands at `origin_ns`; it is read for no other purpose.
    origin: Instant,
    origin_ns: u64,
    transport: Arc<TransportConfig>,
    endpoint: Endpoint,
    sctp: Option<(AssociationHandle, Association)>,
    peer: Peer,
    held: Held,
    flow: Flow,
    channels: Channels,
    events: VecDeque<Event>,
    faults: u32,
    streams: u32,
    pending_resets: u32,
    /// Packets that the library made, and were not asked for.
    made: Vec<Bytes>,
    last_packet: Option<Bytes>,
    /// Whether the library may have something to send.
    has_news: bool,
    is_closed: bool,
    is_reading: bool,
    /// Streams that have messages which were not read.
    unread: BTreeSet<StreamId>,
}

impl DataAssociation {
    /// Waits for the peer to begin.
    pub fn new(now_ns: u64, options: Options) -> Self {
        let transport = Arc::new(transport_config(&options));
        let mut config = EndpointConfig::new();
        config.max_payload_size(MAX_PACKET_BYTES.saturating_sub(PACKET_OVERHEAD_BYTES));
        let mut server = ServerConfig::new();
        server.transport = Arc::clone(&transport);
        let mut channels = Channels::default();
        if options.opens_channels {
            channels.plan(options.is_dtls_client);
        }
        Self {
            options,
            origin: Instant::now(),
            origin_ns: now_ns,
            transport,
            endpoint: Endpoint::new(Arc::new(config), Some(Arc::new(server))),
            sctp: None,
            peer: Peer::default(),
            held: Held::default(),
            flow: Flow::default(),
            channels,
            events: VecDeque::new(),
            faults: 0,
            streams: 0,
            pending_resets: 0,
            made: Vec::new(),
            last_packet: None,
            has_news: false,
            is_closed: false,
            is_reading: true,
            unread: BTreeSet::new(),
        }
    }

    // --- in ---------------------------------------------------------------------------------------------------------

    /// One packet that DTLS carried.
    pub fn handle_packet(&mut self, now_ns: u64, data: &[u8]) {
        if self.is_closed {
            return;
        }
        // Messages that nobody reads are no fault of the peer's: what is too much of them has to come again.
        let room = if self.is_reading { usize::MAX } else { self.held.room() };
        let Some(sound) = self.peer.check(data, room) else {
            self.count("sctp_unsound");
            return;
        };
        if sound.refused_chunks > 0 {
            self.count("sctp_not_taken");
        }
        self.held.took(sound.data_chunks);
        self.flow.received(now_ns, data);
        if let Some(packet) = sound.packet {
            self.guarded(|this| this.read_packet(now_ns, packet));
        }
        if self.held.is_look_due() {
            self.make_packets(now_ns);
        }
    }

    /// What is due at `now_ns`; too early does no harm.
    pub fn handle_timeout(&mut self, now_ns: u64) {
        if self.is_closed || self.due_ns().is_none_or(|due_ns| due_ns > now_ns) {
            return;
        }
        self.guarded(|this| {
            let now = this.instant(now_ns);
            match &mut this.sctp {
                Some((_, association)) => association.handle_timeout(now),
                None => this.begin(),
            }
            this.take_events();
        });
    }

    /// Queues one binary message; what comes before the peer's acknowledgement of our own channel waits for it.
    pub fn send(&mut self, kind: Kind, payload: &[u8]) -> Sent {
        self.send_shared(kind, &Bytes::copy_from_slice(payload))
    }

    /// `send` of a payload that others get, too.
    pub fn send_shared(&mut self, kind: Kind, payload: &Bytes) -> Sent {
        let buffered = self.buffered_bytes(kind);
        let (max_sent, max_buffered) = (self.options.max_sent_bytes(), self.options.max_buffered_bytes(kind));
        let Some((_, channel)) = self.channels.sending(kind).filter(|_| !self.is_closed) else {
            return Sent::NoChannel;
        };
        if payload.len() > max_sent {
            self.count("data_too_long");
            return Sent::TooLong;
        }
        if buffered.saturating_add(payload.len()) > max_buffered {
            self.count("data_buffer_full");
            return Sent::Full;
        }
        channel.push(payload.clone());
        Sent::Queued
    }

    /// Ends the association; one last packet tells the peer.
    pub fn abort(&mut self) {
        if self.is_closed {
            return;
        }
        self.is_closed = true;
        if let Some(tag) = self.peer.tag {
            let [p0, p1] = PORT.to_be_bytes();
            let [t0, t1, t2, t3] = tag.to_be_bytes();
            let chunk = [wire::ABORT, 0, 0, 4];
            let packet = wire::packet([p0, p1, p0, p1, t0, t1, t2, t3], std::iter::once(chunk.as_slice()));
            self.last_packet = Some(packet.into());
        }
        self.forget();
        self.events.push_back(Event::Closed);
    }

    /// Whether reliable messages are read.
    pub(crate) fn is_reading(&self) -> bool {
        self.is_reading
    }

    /// Leave reliable messages in the receive buffer, whose window tells the peer to wait, or read them again.
    pub(crate) fn set_reading(&mut self, is_reading: bool) {
        self.is_reading = is_reading;
        while self.is_reading
            && let Some(stream_id) = self.unread.pop_first()
        {
            self.guarded(|this| this.read_messages(stream_id));
        }
    }

    // --- out --------------------------------------------------------------------------------------------------------

    /// Appends what is to be sent now, in order.
    pub fn poll_packets(&mut self, now_ns: u64, packets: &mut Vec<Bytes>) {
        self.make_packets(now_ns);
        packets.append(&mut self.made);
        packets.extend(self.last_packet.take());
    }

    /// The next thing to tell.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When `handle_timeout` is due; None: not before something else happens.
    pub fn due_ns(&self) -> Option<u64> {
        if self.is_closed {
            return None;
        }
        let [as_client, as_server] = PATIENCE_NS;
        let patience_ns = if self.options.is_dtls_client { as_client } else { as_server };
        let Some((_, association)) = &self.sctp else { return Some(self.origin_ns.saturating_add(patience_ns)) };
        let after = association.poll_timeout()?.saturating_duration_since(self.origin);
        Some(self.origin_ns.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Whether `Event::Ready` was told, and the reliable channel is still open.
    pub fn is_ready(&mut self) -> bool {
        !self.is_closed && self.channels.was_ready() && self.channels.is_open(Kind::Reliable)
    }

    /// Bytes of this kind that the peer has not acknowledged, or that wait to be sent.
    pub fn buffered_bytes(&mut self, kind: Kind) -> usize {
        let waiting = self.channels.sending(kind).map_or(0, |(_, channel)| channel.waiting_bytes());
        waiting.saturating_add(self.unsent_bytes(kind))
    }

    // --- SCTP -------------------------------------------------------------------------------------------------------

    /// Runs what touches the library; a panic in it ends the association.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.has_news = true;
        let done = catch_unwind(AssertUnwindSafe(|| work(self))).ok();
        if done.is_none() {
            self.count("sctp_panics");
            self.give_up();
        }
        done
    }

    fn give_up(&mut self) {
        if !self.is_closed {
            self.count("sctp_aborted");
            self.abort();
        }
    }

    fn forget(&mut self) {
        self.sctp = None;
        self.channels.clear();
        self.held = Held::default();
        self.unread.clear();
    }

    fn instant(&self, now_ns: u64) -> Instant {
        let after = Duration::from_nanos(now_ns.saturating_sub(self.origin_ns));
        self.origin.checked_add(after).unwrap_or(self.origin)
    }

    fn begin(&mut self) {
        let mut config = ClientConfig::new();
        config.transport = Arc::clone(&self.transport);
        self.sctp = self.endpoint.connect(config, ADDRESS).ok();
        self.endpoint.reject_new_associations();
        if self.sctp.is_none() {
            self.give_up();
        }
    }

    fn read_packet(&mut self, now_ns: u64, packet: Bytes) {
        let now = self.instant(now_ns);
        match self.endpoint.handle(now, ADDRESS, None, None, packet) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                self.endpoint.reject_new_associations();
                self.sctp = Some((handle, association));
            }
            Some((_, DatagramEvent::AssociationEvent(event))) => {
                if let Some((_, association)) = &mut self.sctp {
                    association.handle_event(event);
                }
            }
            None => (),
        }
        self.take_events();
        if self.streams > MAX_STREAMS || self.pending_resets > MAX_PENDING_RESETS || self.faults >= MAX_FAULTS {
            self.give_up();
        }
    }

    fn take_events(&mut self) {
        loop {
            let Some((handle, association)) = &mut self.sctp else { return };
            while let Some(event) = association.poll_endpoint_event() {
                self.endpoint.handle_event(*handle, event);
            }
            let Some(event) = association.poll() else { return };
            match event {
                SctpEvent::Connected => self.handle_connected(),
                SctpEvent::AssociationLost { reason: AssociationError::ReceiveBufferExhausted } => self.give_up(),
                SctpEvent::HandshakeFailed { .. } | SctpEvent::AssociationLost { .. } => self.abort(),
                SctpEvent::DataChannelStatsFinal(_) => self.streams = self.streams.saturating_sub(1),
                SctpEvent::Stream(event) => self.handle_stream(&event),
                _ => (),
            }
        }
    }

    fn handle_connected(&mut self) {
        self.peer.is_established = true;
        for (stream_id, open) in self.channels.planned() {
            let Some((_, association)) = &mut self.sctp else { return };
            if association.open_stream(stream_id, Ppi::Binary).is_err() {
                continue;
            }
            self.streams = self.streams.saturating_add(1);
            self.set_reliability(stream_id, open.is_ordered, open.reliability, open.reliability_value);
            self.write_as(stream_id, &open.build(), Ppi::Dcep);
        }
    }

    fn handle_stream(&mut self, event: &StreamEvent) {
        match *event {
            StreamEvent::Opened { .. } => {
                self.streams = self.streams.saturating_add(1);
                if let Some((_, association)) = &mut self.sctp {
                    association.accept_stream();
                }
            }
            StreamEvent::Readable { id } => self.read_messages(id),
            StreamEvent::Finished { id } => {
                self.pending_resets = self.pending_resets.saturating_add(1);
                self.channels.remove(id);
                self.unread.remove(&id);
            }
            StreamEvent::ResetComplete { .. } | StreamEvent::ResetFailed { .. } => {
                self.pending_resets = self.pending_resets.saturating_sub(1);
            }
            _ => (),
        }
    }

    fn read_messages(&mut self, stream_id: StreamId) {
        if !self.is_reading && self.channels.is_reliable(stream_id) {
            self.unread.insert(stream_id);
            return;
        }
        loop {
            let Some((_, association)) = &mut self.sctp else { return };
            let Ok(Some(message)) = association.stream(stream_id).and_then(|mut stream| stream.read_sctp()) else {
                return;
            };
            self.held.read(message.chunks.len());
            let mut data = vec![0; message.len()];
            if message.read(&mut data).is_ok() {
                self.handle_message(stream_id, message.ppi, data);
            }
        }
    }

    fn fault(&mut self) {
        self.faults = self.faults.saturating_add(1);
        self.count("sctp_faults");
    }

    pub(crate) fn count(&mut self, name: &'static str) {
        self.events.push_back(Event::Count(name, 1));
    }
}

fn transport_config(options: &Options) -> TransportConfig {
    let max_sent = u32::try_from(options.max_sent_bytes()).unwrap_or(u32::MAX);
    TransportConfig::default()
        .with_max_receive_buffer_size(RECEIVE_BUFFER_BYTES)
        // A message beyond our own limit is counted and dropped; only one beyond the buffer ends the association.
        .with_max_receive_message_size(RECEIVE_BUFFER_BYTES)
        .with_max_send_message_size(max_sent.max(u32::from(u16::MAX)))
        .with_max_init_retransmits(None)
        .with_rto_initial_ms(RTO_INITIAL_MS)
        .with_rto_min_ms(RTO_MIN_MS)
        .with_rto_max_ms(RTO_MAX_MS)
}

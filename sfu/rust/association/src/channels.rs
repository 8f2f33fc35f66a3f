//! The data channels of a LiveKit transport by label and by stream.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use sctp_proto::{ReliabilityType, StreamId};

use crate::dcep::Open;

/// Channels that a peer may open; more are closed at once.
pub const MAX_CHANNELS: usize = 16;

/// What a channel carries, by its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `_reliable`
    Reliable,
    /// `_lossy`
    Lossy,
    /// `_data_track`; older clients know none.
    Track,
}

impl Kind {
    /// In the order in which channels of ours get their streams.
    pub const ALL: [Kind; 3] = [Kind::Reliable, Kind::Lossy, Kind::Track];

    /// The channel's label.
    pub fn label(self) -> &'static str {
        match self {
            Kind::Reliable => "_reliable",
            Kind::Lossy => "_lossy",
            Kind::Track => "_data_track",
        }
    }

    fn of_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.label() == label)
    }

    /// How we open it.
    fn open(self) -> Open {
        Open {
            label: self.label().to_owned(),
            is_ordered: self != Kind::Track,
            reliability: if self == Kind::Reliable { ReliabilityType::Reliable } else { ReliabilityType::Rexmit },
            reliability_value: 0,
        }
    }
}

/// What one association may take and hold.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides who has which streams (RFC 8832 §6).
    pub is_dtls_client: bool,
    /// Whether we open the channels; else the peer does.
    pub opens_channels: bool,
    /// Both ways.
    pub max_message_bytes: usize,
    /// The peer's a=max-message-size; 0 means any (RFC 8841 §6.1).
    pub remote_max_message_bytes: usize,
    /// Unsent bytes of the reliable and of the lossy channel.
    pub max_buffered_bytes: usize,
    /// Unsent bytes of the channel for data tracks.
    pub max_track_buffered_bytes: usize,
}

impl Options {
    pub(crate) fn max_sent_bytes(&self) -> usize {
        match self.remote_max_message_bytes {
            0 => self.max_message_bytes,
            limit => limit.min(self.max_message_bytes),
        }
    }

    pub(crate) fn max_buffered_bytes(&self, kind: Kind) -> usize {
        if kind == Kind::Track { self.max_track_buffered_bytes } else { self.max_buffered_bytes }
    }
}

/// What an association has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole message of the peer.
    Message(Kind, Vec<u8>),
    /// Reliable and lossy are open; again when a new reliable channel has taken the place of the old.
    Ready,
    /// So many of something to be counted, by the counter's name.
    Count(&'static str, u64),
    /// The peer ends the session under the association.
    Goodbye,
    /// The association has ended; the last event.
    Closed,
}

/// What became of a message to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way, or waits for the peer to acknowledge the channel.
    Queued,
    /// There is no such channel.
    NoChannel,
    /// It is larger than we or the peer take.
    TooLong,
    /// More waits than may.
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Ours, and not acknowledged.
    Opening,
    Open,
}

#[derive(Debug)]
pub(crate) struct Channel {
    /// None: a label that means nothing here.
    pub(crate) kind: Option<Kind>,
    pub(crate) state: State,
    pub(crate) is_ours: bool,
    /// Messages that wait for the acknowledgement, or for others to be sent.
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
}

impl Channel {
    pub(crate) fn push(&mut self, payload: Bytes) {
        self.waiting_bytes = self.waiting_bytes.saturating_add(payload.len());
        self.waiting.push_back(payload);
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        let payload = self.waiting.pop_front()?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(payload.len());
        Some(payload)
    }

    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }
}

#[derive(Debug, Default)]
pub(crate) struct Channels {
    by_stream: BTreeMap<StreamId, Channel>,
    /// The newest stream of each kind: a peer that opens a label anew (SDKs do after a reset) sends and receives there.
    newest: [Option<StreamId>; Kind::ALL.len()],
    was_ready: bool,
}

impl Channels {
    /// Ours, to be opened when the association is up.
    pub(crate) fn plan(&mut self, is_dtls_client: bool) {
        let first = u16::from(!is_dtls_client);
        for (kind, stream_id) in Kind::ALL.into_iter().zip((first..).step_by(2)) {
            self.add(stream_id, Some(kind), State::Opening, true);
        }
    }

    /// What the channels of ours say to the peer.
    pub(crate) fn planned(&self) -> Vec<(StreamId, Open)> {
        let ours = self.by_stream.iter().filter(|(_, channel)| channel.is_ours);
        ours.filter_map(|(stream_id, channel)| Some((*stream_id, channel.kind?.open()))).collect()
    }

    /// A channel of the peer.
    pub(crate) fn accept(&mut self, stream_id: StreamId, label: &str) {
        self.add(stream_id, Kind::of_label(label), State::Open, false);
    }

    fn add(&mut self, stream_id: StreamId, kind: Option<Kind>, state: State, is_ours: bool) {
        if let Some(kind) = kind {
            self.was_ready &= kind != Kind::Reliable;
            if let Some(newest) = self.newest.get_mut(kind as usize) {
                *newest = Some(stream_id);
            }
        }
        let (waiting, waiting_bytes) = (VecDeque::new(), 0);
        self.by_stream.insert(stream_id, Channel { kind, state, is_ours, waiting, waiting_bytes });
    }

    pub(crate) fn get(&mut self, stream_id: StreamId) -> Option<&mut Channel> {
        self.by_stream.get_mut(&stream_id)
    }

    pub(crate) fn is_reliable(&self, stream_id: StreamId) -> bool {
        self.by_stream.get(&stream_id).is_some_and(|channel| channel.kind == Some(Kind::Reliable))
    }

    pub(crate) fn remove(&mut self, stream_id: StreamId) {
        self.by_stream.remove(&stream_id);
    }

    pub(crate) fn accepted(&self) -> usize {
        self.by_stream.values().filter(|channel| !channel.is_ours).count()
    }

    /// The stream and channel to send this kind on.
    pub(crate) fn sending(&mut self, kind: Kind) -> Option<(StreamId, &mut Channel)> {
        let stream_id = (*self.newest.get(kind as usize)?)?;
        let channel = self.by_stream.get_mut(&stream_id)?;
        (channel.kind == Some(kind)).then_some((stream_id, channel))
    }

    pub(crate) fn is_open(&mut self, kind: Kind) -> bool {
        self.sending(kind).is_some_and(|(_, channel)| channel.state == State::Open)
    }

    /// Whether `Event::Ready` is due.
    pub(crate) fn becomes_ready(&mut self) -> bool {
        let is_due = !self.was_ready && self.is_open(Kind::Reliable) && self.is_open(Kind::Lossy);
        self.was_ready |= is_due;
        is_due
    }

    pub(crate) fn was_ready(&self) -> bool {
        self.was_ready
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

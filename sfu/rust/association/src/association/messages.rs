//! What comes on the channels and goes out on them.

use bytes::Bytes;
use sctp_proto::{Payload, PayloadProtocolIdentifier as Ppi, ReliabilityType, StreamId};

use super::DataAssociation;
use crate::channels::{Event, Kind, MAX_CHANNELS, State};
use crate::dcep::{self, Message};

impl DataAssociation {
    pub(super) fn handle_message(&mut self, stream_id: StreamId, ppi: Ppi, mut data: Vec<u8>) {
        match ppi {
            Ppi::Dcep => return self.handle_channel_message(stream_id, &data),
            Ppi::String | Ppi::Binary => (),
            // RFC 8831 §6.6: SCTP carries no empty message, so one byte stands for it.
            Ppi::StringEmpty | Ppi::BinaryEmpty => data.clear(),
            Ppi::Unknown => return self.fault(),
        }
        let Some(channel) = self.channels.get(stream_id) else { return };
        match channel.kind {
            None => self.count("data_unknown_label"),
            Some(_) if data.len() > self.options.max_message_bytes => self.count("data_too_long"),
            Some(kind) => self.events.push_back(Event::Message(kind, data)),
        }
    }

    fn handle_channel_message(&mut self, stream_id: StreamId, data: &[u8]) {
        match (dcep::parse(data), self.channels.get(stream_id)) {
            (Some(Message::Open(open)), None) => {
                let is_too_many = self.channels.accepted() >= MAX_CHANNELS;
                self.set_reliability(stream_id, open.is_ordered, open.reliability, open.reliability_value);
                self.write_as(stream_id, &dcep::build_ack(), Ppi::Dcep);
                if is_too_many {
                    self.count("data_channel_limit");
                    self.close_stream(stream_id);
                } else {
                    self.channels.accept(stream_id, &open.label);
                    self.check_ready();
                }
            }
            (Some(Message::Ack), Some(channel)) => {
                if channel.state == State::Opening {
                    channel.state = State::Open;
                    self.check_ready();
                }
            }
            _ => self.fault(),
        }
    }

    fn check_ready(&mut self) {
        if self.channels.becomes_ready() {
            self.events.push_back(Event::Ready);
        }
    }

    fn close_stream(&mut self, stream_id: StreamId) {
        let Some((_, association)) = &mut self.sctp else { return };
        if association.stream(stream_id).and_then(|mut stream| stream.close()).is_err() {
            self.fault();
        }
    }

    pub(super) fn set_reliability(
        &mut self,
        stream_id: StreamId,
        is_ordered: bool,
        reliability: ReliabilityType,
        value: u32,
    ) {
        let Some((_, association)) = &mut self.sctp else { return };
        let set = |mut stream: sctp_proto::Stream<'_>| stream.set_reliability_params(!is_ordered, reliability, value);
        if association.stream(stream_id).and_then(set).is_err() {
            self.fault();
        }
    }

    /// Lets the library make what is to be sent now. Where nothing has happened it is not asked: it would look at all
    /// that is in flight.
    pub(super) fn make_packets(&mut self, now_ns: u64) {
        let had_news = self.has_news;
        self.guarded(|this| {
            if !this.send_waiting() && !had_news {
                return;
            }
            let now = this.instant(now_ns);
            let Some((_, association)) = &mut this.sctp else { return };
            // One poll gives everything that may leave now.
            let Some(transmit) = association.poll_transmit(now) else { return };
            let Payload::RawEncode(made) = transmit.payload else { return };
            for packet in &made {
                if let Some(cumulative_tsn) = this.held.sent(packet) {
                    this.peer.cumulative_tsn = Some(cumulative_tsn);
                }
            }
            this.flow.sent(now_ns, made.iter().map(AsRef::as_ref));
            this.made.extend(made);
        });
        self.has_news = false;
        self.held.looked();
        if self.held.is_too_much() {
            self.give_up();
        }
    }

    /// Gives the library more, a message of each kind in turn, up to what may be under way. Whether there was any.
    fn send_waiting(&mut self) -> bool {
        let mut has_given = false;
        loop {
            let mut is_done = true;
            for kind in Kind::ALL {
                // What is unsent takes a look at every stream: only for who has something to send.
                if !self.channels.sending(kind).is_some_and(|(_, channel)| channel.has_waiting()) {
                    continue;
                }
                let unsent: usize = Kind::ALL.into_iter().map(|kind| self.unsent_bytes(kind)).sum();
                if !self.flow.takes_more(unsent) {
                    return has_given;
                }
                let sending = self.channels.sending(kind).filter(|(_, channel)| channel.state == State::Open);
                if let Some((stream_id, Some(payload))) = sending.map(|(stream_id, channel)| (stream_id, channel.pop()))
                {
                    (is_done, has_given) = (false, true);
                    self.flow.gave(payload.len().max(1));
                    self.write(stream_id, payload);
                }
            }
            if is_done {
                return has_given;
            }
        }
    }

    pub(super) fn unsent_bytes(&mut self, kind: Kind) -> usize {
        let Some((stream_id, _)) = self.channels.sending(kind) else { return 0 };
        let Some((_, association)) = &mut self.sctp else { return 0 };
        association.stream(stream_id).and_then(|stream| stream.buffered_amount()).unwrap_or(0)
    }

    fn write(&mut self, stream_id: StreamId, payload: Bytes) {
        if payload.is_empty() {
            self.write_as(stream_id, &[0], Ppi::BinaryEmpty);
            return;
        }
        let Some((_, association)) = &mut self.sctp else { return };
        let Ok(mut stream) = association.stream(stream_id) else { return };
        // Of `Bytes` with the stream's own type of payload, without a copy.
        if stream.set_default_payload_type(Ppi::Binary).and_then(|()| stream.write_chunks(&mut [payload])).is_err() {
            self.fault();
        }
    }

    pub(super) fn write_as(&mut self, stream_id: StreamId, data: &[u8], ppi: Ppi) -> bool {
        let Some((_, association)) = &mut self.sctp else { return false };
        association.stream(stream_id).and_then(|mut stream| stream.write_with_ppi(data, ppi)).is_ok()
    }
}

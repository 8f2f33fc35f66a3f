//! One subscription: rewrites, protects and queues the packets of a track for one subscriber.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::api::{DropReason, HIGHEST_LAYER, OutboundPayload, SubscriptionConfig, SubscriptionHandle};
use crate::congestion::probe::PADDING_BYTES;
use crate::core::Core;
use crate::flexfec::{Covered, FecStream};
use crate::header::{HeaderFields, HeaderWriter};
use crate::keyframe_cache::{CachedPacket, Replay};
use crate::layers::LayerFilter;
use crate::packet::{BlockCache, ExtensionPlan, MediaPacket, Span};
use crate::pictures::{Picture, PictureNumbers};
use crate::policing::TokenBucket;
use crate::retransmit::{Manner, RetransmissionBuffer, SentPacket, TWICE_LOST};
use crate::rtcp::{SenderReport, build_sr, ntp_add_ns};
use crate::seqnum::{EXT_SEQ_START, extend_near};
use crate::sequence_map::SequenceMap;
use crate::slots::{StreamSlot, TrackSlot, TransportSlot};
use crate::stream::{InboundStream, SenderReportReceived};
use crate::subscriber_reports::{Counters, SubscriberReports};
use crate::timeline::{Source, Timeline};
use crate::transmit::RtpOut;
use crate::transport::{RetiredSsrc, Transport};

/// Sequence numbers that one subscription may ask for in a second; the rest is not even looked up.
pub(crate) const MAX_NACKED_PER_S: u64 = 10_000;

const WRAP: i64 = 0x1_0000;
const NS_PER_S: i128 = 1_000_000_000;

/// State of one subscription. `current` is the stream that it gets, `desired` the one that it should get.
#[derive(Debug)]
pub(crate) struct Forwarder {
    pub(crate) handle: SubscriptionHandle,
    /// The subscriber's.
    pub(crate) transport: TransportSlot,
    pub(crate) track: TrackSlot,
    pub(crate) config: SubscriptionConfig,
    pub(crate) paused: bool,
    pub(crate) current: Option<StreamSlot>,
    pub(crate) desired: Option<StreamSlot>,
    /// What it gets of its current stream is not the present yet.
    pub(crate) replay: Option<Box<Replay>>,
    /// What of its current stream waits for its turn; None where nothing ever waits.
    pub(crate) queue: Option<VecDeque<CachedPacket>>,
    /// When too much waited last; while this is set, only the lowest temporal layer is sent.
    pub(crate) thinned_at_ns: Option<i64>,
    /// When the last replay began.
    pub(crate) replayed_at_ns: Option<i64>,
    pub(crate) reported: Option<(u32, u32)>,
    pub(crate) target_spatial: u32,
    pub(crate) target_temporal: u32,
    pub(crate) layers: LayerFilter,
    pub(crate) timeline: Timeline,
    pub(crate) reports: SubscriberReports,
    pub(crate) counters: Counters,
    /// What repairs what is lost of it.
    pub(crate) fec: FecStream,
    sequence: SequenceMap,
    rtx_ext_seq: i64,
    pictures: PictureNumbers,
    buffer: RetransmissionBuffer,
    nack_bucket: TokenBucket,
    bytes_per_s: i64,
    bytes_sampled: i64,
    last_payload_type: u8,
    header: HeaderWriter,
    plan: Arc<ExtensionPlan>,
    /// Of the last packet that was kept.
    manner: Option<Arc<Manner>>,
}

/// Where the numbers of a subscription begin.
struct Start {
    sequence: SequenceMap,
    rtx_ext_seq: i64,
    timeline: Timeline,
}

impl Start {
    /// By chance, or where SSRCs that this transport has used before ended.
    fn new(core: &mut Core, transport: &mut Transport, config: &SubscriptionConfig) -> Self {
        // Below 2^15, so that a receiver that misses the first packets still guesses the rollover counter (RFC 3711).
        let mut first = EXT_SEQ_START + core.random.next_u15();
        let mut rtx_ext_seq = EXT_SEQ_START + core.random.next_u15();
        let mut timeline = Timeline::new(core.random.next_u32());
        if let Some(last) = transport.resume_ssrc(config.ssrc) {
            first = last.ext_seq + 1;
            if let Some((timestamp, at_ns)) = last.last_sent {
                timeline.resume(timestamp, at_ns);
            }
        }
        if let Some(last) = config.rtx_ssrc.and_then(|ssrc| transport.resume_ssrc(ssrc)) {
            rtx_ext_seq = last.ext_seq;
        }
        Self { sequence: SequenceMap::new(first), rtx_ext_seq, timeline }
    }
}

impl Forwarder {
    /// `slots` are those of the transport and of the track.
    pub(crate) fn new(
        core: &mut Core,
        handle: SubscriptionHandle,
        transport: &mut Transport,
        slots: (TransportSlot, TrackSlot),
        config: SubscriptionConfig,
        plan: Arc<ExtensionPlan>,
    ) -> Self {
        let Start { sequence, rtx_ext_seq, timeline } = Start::new(core, transport, &config);
        let fec = FecStream::new(core, transport, &config);
        Self {
            handle,
            transport: slots.0,
            track: slots.1,
            paused: true,
            current: None,
            desired: None,
            replay: None,
            queue: None,
            thinned_at_ns: None,
            replayed_at_ns: None,
            reported: None,
            target_spatial: HIGHEST_LAYER,
            target_temporal: HIGHEST_LAYER,
            layers: LayerFilter::default(),
            timeline,
            reports: SubscriberReports::default(),
            counters: Counters::default(),
            sequence,
            rtx_ext_seq,
            pictures: PictureNumbers::default(),
            buffer: RetransmissionBuffer::new(if config.nack { config.cache_packets } else { 0 }),
            nack_bucket: TokenBucket::new(MAX_NACKED_PER_S),
            bytes_per_s: 0,
            bytes_sampled: 0,
            last_payload_type: 0,
            header: HeaderWriter::new(&config),
            plan,
            fec,
            manner: None,
            config,
        }
    }

    /// The track's extension ids may have changed.
    pub(crate) fn set_plan(&mut self, plan: Arc<ExtensionPlan>) {
        self.plan = plan;
    }

    /// How many packets wait for their turn.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.as_ref().map_or(0, VecDeque::len)
    }

    /// What a payload type of the publisher becomes.
    fn outbound(&self, payload_type: u8) -> Option<OutboundPayload> {
        self.config.payloads.iter().find(|(inbound, _)| *inbound == payload_type).map(|(_, outbound)| *outbound)
    }

    /// Whether the subscriber can have packets of this type.
    pub(crate) fn knows(&self, payload_type: u8) -> bool {
        self.outbound(payload_type).is_some()
    }

    /// `packet` is the first one of `stream` (in `slot`) for this subscription. `old_report` is the last sender report of
    /// the stream that the timeline is for.
    pub(crate) fn begin(
        &mut self,
        now_ns: i64,
        slot: StreamSlot,
        stream: &InboundStream,
        packet: &MediaPacket,
        old_report: Option<SenderReportReceived>,
    ) {
        self.current = Some(slot);
        self.replay = None;
        self.layers.begin();
        self.sequence.begin(packet.ext_seq);
        let source = Source { stream: slot, clock_rate: stream.clock_rate, report: stream.sender_report };
        self.timeline.begin(now_ns, &source, old_report, packet.timestamp);
        self.pictures.begin(packet);
    }

    /// Send one packet of the current stream. The caller made sure that the transport is ready.
    pub(crate) fn forward(
        &mut self,
        core: &mut Core,
        transport: &mut Transport,
        now_ns: i64,
        packet: &Arc<MediaPacket>,
        blocks: &mut BlockCache,
    ) {
        let Some(outbound) = self.outbound(packet.payload_type) else {
            core.drop_one(DropReason::NoPayloadForSubscriber);
            self.withhold(core, transport, now_ns, packet);
            return;
        };
        let Some((ext_seq, timestamp)) = self.place(now_ns, packet) else {
            core.drop_one(DropReason::TooOld);
            return;
        };
        let with_frames;
        let packet = if outbound.redundancy > 0 && packet.picture < 0 {
            with_frames = packet.redundant(outbound.redundancy, outbound.redundancy_step, outbound.frame_type);
            &with_frames
        } else {
            packet
        };
        let (payload, picture) = self.payload_for(packet, outbound);
        self.last_payload_type = outbound.payload_type;
        let second = outbound.payload_type | if self.has_marker(packet) { 0x80 } else { 0 };
        let ssrc = self.config.ssrc;
        let twcc_seq = self.header.number(transport, now_ns, payload.len(), ssrc, ext_seq);
        let frame_number = picture.and_then(|picture| picture.frame_number(packet.codec));
        let fields = HeaderFields { second, seq: ext_seq as u16, timestamp, ssrc, twcc_seq, now_ns, frame_number };
        let block = blocks.get(packet, &self.plan, now_ns).map(|block| &block[..]);
        let header = self.header.forwarded(&fields, packet, &self.plan, block);
        self.counters.packets_sent += 1;
        self.counters.bytes_sent += payload.len() as i64;
        if self.buffer.is_on() {
            let (packet, manner, sent_at_ns) = (Arc::clone(packet), self.manner(outbound), now_ns);
            let sent = SentPacket { packet, manner, sent_at_ns, timestamp, twcc_seq, second, picture };
            self.buffer.keep(ext_seq, sent, self.reports.rtt_ns.unwrap_or(0));
        }
        let repair = if self.fec.is_on() && !transport.is_paced {
            let mutable = [self.header.twcc_id(), self.plan.send_time_id()];
            let (payload, picture) = (payload.of(&packet.data), picture.map(|picture| (packet.codec, picture)));
            self.fec.cover(&Covered { ext_seq, header: &header, payload, picture, mutable })
        } else {
            None
        };
        let packet = Some(Arc::clone(packet));
        transport.send_rtp(core, RtpOut { ssrc, ext_seq, header, packet, payload, picture, original_seq: None });
        if let Some(repair) = repair {
            self.fec.send(core, transport, &self.header, (now_ns, timestamp), repair);
        }
    }

    /// How packets of this payload type leave now.
    #[inline]
    fn manner(&mut self, outbound: OutboundPayload) -> Arc<Manner> {
        match &self.manner {
            Some(last) if last.outbound == outbound && Arc::ptr_eq(&last.plan, &self.plan) => Arc::clone(last),
            _ => {
                let manner = Arc::new(Manner { plan: Arc::clone(&self.plan), outbound });
                self.manner = Some(Arc::clone(&manner));
                manner
            }
        }
    }

    /// The number and the timestamp that a packet leaves with; None: it is too old to have a place.
    #[inline]
    fn place(&mut self, now_ns: i64, packet: &MediaPacket) -> Option<(i64, u32)> {
        let timestamp = packet.timestamp.wrapping_add(self.timeline.offset);
        let is_newest = packet.ext_seq > self.sequence.highest_in;
        let ext_seq = self.sequence.place(packet.ext_seq)?;
        if is_newest {
            self.timeline.advance(now_ns, timestamp);
        }
        Some((ext_seq, timestamp))
    }

    /// The last packet of a frame, or of what the subscriber gets of it.
    #[inline]
    fn has_marker(&self, packet: &MediaPacket) -> bool {
        let info = &packet.info;
        packet.marker || info.ends_frame && u32::from(info.spatial) == self.layers.max_spatial
    }

    /// The payload to send, and the picture numbers to write into it if any.
    fn payload_for(&mut self, packet: &MediaPacket, outbound: OutboundPayload) -> (Span, Option<Picture>) {
        let picture = if packet.picture >= 0 { self.pictures.place(packet) } else { None };
        let is_stripped = packet.picture < 0 && outbound.strip_red;
        (packet.primary.filter(|_| is_stripped).unwrap_or(packet.payload), picture)
    }

    /// A packet of the current stream does not go out.
    pub(crate) fn withhold(&mut self, core: &mut Core, transport: &mut Transport, now_ns: i64, packet: &MediaPacket) {
        self.pictures.withhold(packet);
        self.withhold_seq(core, transport, now_ns, packet.ext_seq);
    }

    /// Leave a number out. When its place was kept already because it is late, padding fills the place: a hole would look
    /// like a loss, and a decoder that needs unbroken numbers would wait for it.
    pub(crate) fn withhold_seq(&mut self, core: &mut Core, transport: &mut Transport, now_ns: i64, in_seq: i64) {
        let Some(ext_seq) = self.sequence.withhold(in_seq) else { return };
        let ssrc = self.config.ssrc;
        let payload = Span::new(0, 1);
        let twcc_seq = self.header.number(transport, now_ns, payload.len(), ssrc, ext_seq);
        let (second, timestamp, seq) = (self.last_payload_type, self.timeline.last, ext_seq as u16);
        let fields = HeaderFields { second, seq, timestamp, ssrc, twcc_seq, now_ns, frame_number: None };
        let header = self.header.in_full(&fields, None);
        let padding = RtpOut { ssrc, ext_seq, header, packet: None, payload, picture: None, original_seq: None };
        transport.send_rtp(core, padding);
    }

    /// The subscriber misses these (16 bits): resend what is held and what the limits allow.
    pub(crate) fn handle_nack(&mut self, core: &mut Core, transport: &mut Transport, now_ns: i64, seqs: &[u16]) {
        self.counters.nacks_received += 1;
        let count = seqs.len() as u64;
        if !self.nack_bucket.allows(now_ns, count) {
            core.drops.add(DropReason::NackLimited, count);
            return;
        }
        self.nack_bucket.take(count);
        if !self.buffer.is_on() || self.paused {
            // What is paused for want of room must not go on as resends.
            self.counters.nack_misses += count;
            return;
        }
        let lost = self.reports.fraction_lost;
        self.buffer.refill(now_ns, self.counters.bytes_sent, self.bytes_per_s, lost);
        let is_twice = lost >= TWICE_LOST && transport.estimator.is_some() && !transport.is_paced;
        let highest = self.sequence.highest_out();
        let rtt_ns = self.reports.rtt_ns.unwrap_or(0);
        for seq in seqs {
            let ext_seq = extend_near(highest, *seq);
            let Some(sent) = self.buffer.find(ext_seq).cloned() else {
                self.counters.nack_misses += 1;
                continue;
            };
            if self.buffer.may_resend(now_ns, ext_seq, sent.packet.payload.len(), rtt_ns) {
                self.counters.retransmitted += 1;
                if is_twice && self.buffer.may_repeat(sent.packet.payload.len()) {
                    self.resend(core, transport, now_ns, ext_seq, sent.clone());
                }
                self.resend(core, transport, now_ns, ext_seq, sent);
            } else {
                core.drop_one(DropReason::NackLimited);
            }
        }
    }

    /// The packet that left as `sent_as`.
    fn resend(&mut self, core: &mut Core, transport: &mut Transport, now_ns: i64, sent_as: i64, sent: SentPacket) {
        let (packet, outbound) = (&sent.packet, sent.manner.outbound);
        let is_stripped = sent.picture.is_none() && outbound.strip_red;
        let payload = packet.primary.filter(|_| is_stripped).unwrap_or(packet.payload);
        let seq = sent_as as u16;
        let (timestamp, picture) = (sent.timestamp, sent.picture);
        let frame_number = picture.and_then(|picture| picture.frame_number(packet.codec));
        let resent = if let (Some(ssrc), Some(rtx_type)) = (self.config.rtx_ssrc, outbound.rtx_payload_type) {
            let second = rtx_type | sent.second & 0x80;
            self.rtx_ext_seq += 1;
            let ext_seq = self.rtx_ext_seq;
            let twcc_seq = self.header.number(transport, now_ns, payload.len(), ssrc, ext_seq);
            let fields = HeaderFields { second, seq: ext_seq as u16, timestamp, ssrc, twcc_seq, now_ns, frame_number };
            let header = self.header.in_full(&fields, Some((packet, &self.plan)));
            RtpOut { ssrc, ext_seq, header, packet: None, payload, picture, original_seq: Some(seq) }
        } else {
            // To the byte what it was: the same nonce must never protect anything else.
            let (ssrc, second, twcc_seq, now_ns) = (self.config.ssrc, sent.second, sent.twcc_seq, sent.sent_at_ns);
            let fields = HeaderFields { second, seq, timestamp, ssrc, twcc_seq, now_ns, frame_number };
            let plan = &sent.manner.plan;
            let block = packet.one_byte_block(plan, now_ns);
            let header = self.header.forwarded(&fields, packet, plan, block.as_deref());
            RtpOut { ssrc, ext_seq: sent_as, header, packet: None, payload, picture, original_seq: None }
        };
        transport.send_rtp(core, RtpOut { packet: Some(sent.packet), ..resent });
    }

    /// Of padding that tells how much the line takes; None when this subscription cannot carry any: padding goes out as
    /// RTX, where receivers expect it, and the receiver has to report on it.
    pub(crate) fn rtx_payload_type(&self) -> Option<u8> {
        if self.config.rtx_ssrc.is_none() || !(self.header.has_twcc() || self.config.ccfb) {
            return None;
        }
        self.config.payloads.iter().find_map(|(_, outbound)| outbound.rtx_payload_type)
    }

    /// RTX packets with nothing but `PADDING_BYTES` of padding.
    pub(crate) fn send_padding(&mut self, core: &mut Core, transport: &mut Transport, now_ns: i64, packets: usize) {
        let (Some(ssrc), Some(second)) = (self.config.rtx_ssrc, self.rtx_payload_type()) else { return };
        for _ in 0..packets {
            self.rtx_ext_seq += 1;
            let ext_seq = self.rtx_ext_seq;
            let twcc_seq = self.header.number(transport, now_ns, PADDING_BYTES, ssrc, ext_seq);
            let (timestamp, seq) = (self.timeline.last, ext_seq as u16);
            let fields = HeaderFields { second, seq, timestamp, ssrc, twcc_seq, now_ns, frame_number: None };
            let header = self.header.in_full(&fields, None);
            let payload = Span::new(0, PADDING_BYTES);
            let padding = RtpOut { ssrc, ext_seq, header, packet: None, payload, picture: None, original_seq: None };
            transport.send_rtp(core, padding);
        }
    }

    /// New keys: the peer counts rollovers from zero again.
    pub(crate) fn rekey(&mut self) {
        self.sequence.rebase(EXT_SEQ_START, WRAP);
        self.rtx_ext_seq = EXT_SEQ_START + (self.rtx_ext_seq & 0xFFFF);
        self.fec.rekey();
        self.buffer.clear();
    }

    /// The subscription ends: remember where its numbers stood.
    pub(crate) fn retire(&self, transport: &mut Transport) {
        let last_sent = self.timeline.last_at_ns.map(|at_ns| (self.timeline.last, at_ns));
        transport.retire_ssrc(self.config.ssrc, RetiredSsrc { ext_seq: self.sequence.highest_out(), last_sent });
        if let Some(ssrc) = self.config.rtx_ssrc {
            transport.retire_ssrc(ssrc, RetiredSsrc { ext_seq: self.rtx_ext_seq, last_sent: None });
        }
        self.fec.retire(transport);
    }

    /// Append the SR of this subscription, which gets `stream`, to `out`; nothing while it sends nothing or the publisher
    /// has not reported.
    pub(crate) fn build_sender_report(&mut self, now_ns: i64, stream: Option<&InboundStream>, out: &mut Vec<u8>) {
        let Some((stream, report)) = stream.and_then(|stream| Some((stream, stream.sender_report?))) else { return };
        if self.counters.packets_sent == 0 {
            return;
        }
        let elapsed_ns = now_ns - report.arrived_at_ns;
        let ntp = ntp_add_ns(report.ntp, elapsed_ns);
        let passed = (i128::from(elapsed_ns) * i128::from(stream.clock_rate)).div_euclid(NS_PER_S) as u32;
        self.reports.sent(now_ns, ntp);
        let sender_report = SenderReport {
            ssrc: self.config.ssrc,
            ntp,
            rtp_timestamp: report.rtp_timestamp.wrapping_add(passed).wrapping_add(self.timeline.offset),
            packet_count: self.counters.packets_sent,
            octet_count: self.counters.bytes_sent.unsigned_abs(),
            reports: Vec::new(),
        };
        build_sr(out, &sender_report);
    }

    /// Called once a second.
    pub(crate) fn sample_bitrate(&mut self) {
        self.bytes_per_s = self.counters.bytes_sent - self.bytes_sampled;
        self.bytes_sampled = self.counters.bytes_sent;
    }
}

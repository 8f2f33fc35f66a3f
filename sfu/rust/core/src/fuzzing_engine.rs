//! A whole engine under fuzzing: a publisher and a subscriber with keys, whose every packet the input decides.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use crate::api::{
    Codec, Extension, ExtensionIds, InboundLayer, InboundPayload, Kind, MAX_DATAGRAM_BYTES, OutboundPayload, Path,
    Protocol, SrtpKeys, SrtpProfile, SubscriptionConfig, SubscriptionHandle, TrackConfig, TrackHandle, TransportConfig,
    TransportHandle,
};
use crate::demux::{DatagramKind, classify};
use crate::engine::Engine;
use crate::rtp::{FixedHeader, parse_header, write_extensions, write_fixed_header};
use crate::seqnum::SeqExtender;
use crate::srtp::{MAX_RTP_OVERHEAD, SrtpContext};

const MID: u8 = 1;
const TRANSPORT_CC: u8 = 3;
const DEPENDENCY_DESCRIPTOR: u8 = 4;
const AUDIO_LEVEL: u8 = 5;
const PROFILE: SrtpProfile = SrtpProfile::AeadAes128Gcm;
/// (payload type, of its retransmissions, codec, SSRC); the last two are the audio track's.
const STREAMS: [(u8, Option<u8>, Codec, u32); 8] = [
    (96, Some(97), Codec::Vp8, 100),
    (96, Some(97), Codec::Vp8, 200),
    (98, Some(99), Codec::Vp9, 100),
    (100, Some(101), Codec::Av1, 100),
    (102, None, Codec::H264, 200),
    (96, Some(97), Codec::Vp8, 300),
    (111, None, Codec::Opus, 400),
    (63, None, Codec::Red, 400),
];
const RTX_OFFSET: u32 = 1;
const FEC_OFFSET: u32 = 7;

/// One command after the other: media, RTCP of both sides, noise, time, decisions of the control plane. Returns how many
/// media packets the subscriber got.
pub fn engine(data: &[u8]) -> usize {
    let Some(mut call) = Call::new() else { return 0 };
    let mut input = Input(data);
    while let Some(command) = input.byte() {
        match command % 16 {
            0..=7 => call.media(command % 8, &mut input),
            8 => call.rtcp(false, &mut input),
            9 | 10 => call.rtcp(true, &mut input),
            11 => call.noise(&mut input),
            12 | 13 => call.wait(u64::from(input.byte().unwrap_or(0)) * 2_000_000),
            14 => call.decide(input.byte().unwrap_or(0)),
            _ => call.rekey(input.byte().unwrap_or(0)),
        }
        call.check_output();
    }
    assert_eq!(call.engine.stats().transports.len(), 2);
    call.engine.audio_levels();
    call.media_received
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    /// Bytes behind a byte with their number.
    fn bytes(&mut self) -> &'a [u8] {
        let size = usize::from(self.byte().unwrap_or(0));
        let (bytes, rest) = self.0.split_at_checked(size).unwrap_or((self.0, &[]));
        self.0 = rest;
        bytes
    }
}

/// Our end of one SSRC.
#[derive(Default)]
struct Sender {
    ext_seq: i64,
}

struct Call {
    engine: Engine,
    now_ns: u64,
    publisher: TransportHandle,
    subscriber: TransportHandle,
    video: TrackHandle,
    subscriptions: [SubscriptionHandle; 2],
    publisher_tx: SrtpContext,
    subscriber_tx: SrtpContext,
    subscriber_rx: SrtpContext,
    senders: BTreeMap<u32, Sender>,
    extenders: BTreeMap<u32, SeqExtender>,
    /// What the subscriber got under the present keys, by nonce.
    received: BTreeMap<(u32, i64), Vec<u8>>,
    media_received: usize,
}

fn path(port: u16) -> Path {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    Path { protocol: Protocol::Udp, local, remote: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) }
}

/// Both directions have keys of their own, and each set of keys others.
fn keys(number: u8) -> SrtpKeys {
    let fill = |what: u8, size| vec![number.wrapping_mul(4).wrapping_add(what); size];
    SrtpKeys { profile: PROFILE, rx_key: fill(0, 16), rx_salt: fill(1, 12), tx_key: fill(2, 16), tx_salt: fill(3, 12) }
}

fn peer_contexts(keys: &SrtpKeys) -> Option<(SrtpContext, SrtpContext)> {
    let tx = SrtpContext::new(PROFILE, &keys.rx_key, &keys.rx_salt).ok()?;
    Some((tx, SrtpContext::new(PROFILE, &keys.tx_key, &keys.tx_salt).ok()?))
}

fn extensions() -> ExtensionIds {
    let mut ids = ExtensionIds::new();
    ids.set(Extension::Mid, MID);
    ids.set(Extension::TransportCc, TRANSPORT_CC);
    ids.set(Extension::DependencyDescriptor, DEPENDENCY_DESCRIPTOR);
    ids.set(Extension::AudioLevel, AUDIO_LEVEL);
    ids
}

fn track_config(kind: Kind) -> TrackConfig {
    let mut payloads: Vec<InboundPayload> = Vec::new();
    let mut layers: Vec<InboundLayer> = Vec::new();
    for (payload_type, rtx_payload_type, codec, ssrc) in STREAMS {
        if (kind == Kind::Audio) != matches!(codec, Codec::Opus | Codec::Red) {
            continue;
        }
        if payloads.iter().all(|payload| payload.payload_type != payload_type) {
            payloads.push(InboundPayload { payload_type, codec, clock_rate: 90_000, rtx_payload_type });
        }
        if layers.iter().all(|layer| layer.ssrc != Some(ssrc)) {
            layers.push(InboundLayer { ssrc: Some(ssrc), rtx_ssrc: Some(ssrc + RTX_OFFSET), rid: None });
        }
    }
    TrackConfig {
        kind,
        payloads,
        layers,
        mid: None,
        extensions: extensions(),
        nack: true,
        max_bitrate_bps: 0,
        pli: true,
        keyframe_cache_bytes: 4096,
    }
}

fn subscription_config(ssrc: u32) -> SubscriptionConfig {
    let payloads = STREAMS.iter().map(|&(payload_type, rtx_payload_type, codec, _)| {
        let out = OutboundPayload {
            payload_type,
            rtx_payload_type,
            strip_red: codec == Codec::Red,
            redundancy: 0,
            redundancy_step: 1,
            frame_type: 0,
        };
        (payload_type, out)
    });
    // Each inbound payload type once.
    let payloads: BTreeMap<u8, OutboundPayload> = payloads.collect();
    SubscriptionConfig {
        ssrc,
        mid: "m".into(),
        cname: "name".into(),
        payloads: payloads.into_iter().collect(),
        rtx_ssrc: Some(ssrc + RTX_OFFSET),
        extensions: extensions(),
        nack: true,
        cache_packets: 64,
        ccfb: false,
        fec: Some((ssrc + FEC_OFFSET, 47)),
    }
}

impl Call {
    fn new() -> Option<Self> {
        let mut engine = Engine::new(1);
        let config = TransportConfig { max_packets_per_s: 0, ..TransportConfig::default() };
        let publisher = engine.add_transport(config.clone()).ok()?;
        let subscriber = engine.add_transport(config).ok()?;
        engine.set_path(publisher, path(2)).ok()?;
        engine.set_path(subscriber, path(3)).ok()?;
        engine.set_srtp(publisher, keys(0)).ok()?;
        engine.set_srtp(subscriber, keys(1)).ok()?;
        let video = engine.add_track(publisher, track_config(Kind::Video)).ok()?;
        let audio = engine.add_track(publisher, track_config(Kind::Audio)).ok()?;
        let first = engine.add_subscription(subscriber, video, subscription_config(1000)).ok()?;
        // Of the second, feedback is by RTP numbers.
        let mut sound = SubscriptionConfig { ccfb: true, ..subscription_config(2000) };
        sound.extensions.set(Extension::TransportCc, 0);
        let second = engine.add_subscription(subscriber, audio, sound).ok()?;
        let (publisher_tx, _) = peer_contexts(&keys(0))?;
        let (subscriber_tx, subscriber_rx) = peer_contexts(&keys(1))?;
        let mut call = Self {
            engine,
            now_ns: 1_000_000_000,
            publisher,
            subscriber,
            video,
            subscriptions: [first, second],
            publisher_tx,
            subscriber_tx,
            subscriber_rx,
            senders: BTreeMap::new(),
            extenders: BTreeMap::new(),
            received: BTreeMap::new(),
            media_received: 0,
        };
        call.decide(0);
        call.decide(1);
        Some(call)
    }

    /// A packet of the publisher. Bits of the first byte: 0..=1 kind of step, 2 marker, 3 RTX, 4 padding, 5 descriptor,
    /// 6 audio level.
    fn media(&mut self, stream: u8, input: &mut Input<'_>) {
        let flags = input.byte().unwrap_or(0);
        let step = i64::from(input.byte().unwrap_or(1));
        let descriptor = if flags & 0x20 != 0 { input.bytes() } else { &[] };
        let payload = input.bytes();
        let Some(&(payload_type, rtx_payload_type, _, ssrc)) = STREAMS.get(usize::from(stream)) else { return };
        let rtx = rtx_payload_type.filter(|_| flags & 0x08 != 0);
        let ssrc = if rtx.is_some() { ssrc + RTX_OFFSET } else { ssrc };
        let sender = self.senders.entry(ssrc).or_insert(Sender { ext_seq: 0x1_8000 });
        let ext_seq = match flags & 3 {
            0 | 1 => sender.ext_seq + 1,
            2 => sender.ext_seq + step * 16,
            _ => sender.ext_seq - step,
        };
        sender.ext_seq = sender.ext_seq.max(ext_seq);
        let mut packet = Vec::new();
        let fields = FixedHeader {
            payload_type: rtx.unwrap_or(payload_type),
            marker: flags & 0x04 != 0,
            has_padding: flags & 0x10 != 0,
            has_extensions: true,
            seq: ext_seq as u16,
            timestamp: (ext_seq as u32 / 2).wrapping_mul(3000),
            ssrc,
        };
        write_fixed_header(&mut packet, &fields);
        let number = (ext_seq as u16).to_be_bytes();
        let mut items = vec![(TRANSPORT_CC, &number[..])];
        if !descriptor.is_empty() {
            items.push((DEPENDENCY_DESCRIPTOR, descriptor));
        }
        if flags & 0x40 != 0 {
            items.push((AUDIO_LEVEL, &number[1..]));
        }
        if write_extensions(&mut packet, &items).is_err() {
            return;
        }
        let header_len = packet.len();
        packet.extend_from_slice(payload);
        packet.resize(packet.len() + self.publisher_tx.rtp_overhead(), 0);
        if self.publisher_tx.protect_rtp(&mut packet, header_len, ssrc, ext_seq).is_some() {
            self.engine.handle_datagram(self.now_ns, &path(2), &packet);
        }
    }

    /// A compound of sound framing around bytes of the input.
    fn rtcp(&mut self, is_subscriber: bool, input: &mut Input<'_>) {
        let (kind, count) = (input.byte().unwrap_or(0), input.byte().unwrap_or(0));
        let mut packet = vec![0x80 | count & 0x3F, 200 + kind % 8, 0, 0];
        packet.extend_from_slice(input.bytes());
        packet.resize(packet.len().next_multiple_of(4).max(8), 0);
        if count & 0x40 != 0
            && let Some(media_ssrc) = packet.get_mut(8..12)
        {
            let ssrc: u32 = if kind & 0x08 == 0 { 1000 } else { 2000 };
            media_ssrc.copy_from_slice(&ssrc.to_be_bytes());
        }
        let words = (packet.len() / 4 - 1) as u16;
        if let Some(length) = packet.get_mut(2..4) {
            length.copy_from_slice(&words.to_be_bytes());
        }
        let tx = if is_subscriber { &mut self.subscriber_tx } else { &mut self.publisher_tx };
        if tx.protect_rtcp(&mut packet) {
            self.engine.handle_datagram(self.now_ns, &path(2 + u16::from(is_subscriber)), &packet);
        }
    }

    fn noise(&mut self, input: &mut Input<'_>) {
        let port = u16::from(input.byte().unwrap_or(0) % 4);
        self.engine.handle_datagram(self.now_ns, &path(port + 1), input.bytes());
    }

    fn wait(&mut self, duration_ns: u64) {
        self.now_ns += duration_ns;
        self.engine.handle_timeout(self.now_ns);
    }

    fn decide(&mut self, choice: u8) {
        let [first, second] = self.subscriptions;
        let done = match choice % 16 {
            0 => self.engine.set_subscription_paused(first, false),
            1 => self.engine.set_subscription_paused(second, false),
            2 => self.engine.set_subscription_paused(first, true),
            3 => self.engine.set_subscription_paused(second, true),
            4 => self.engine.set_track_muted(self.video, true),
            5 => self.engine.set_track_muted(self.video, false),
            6 => self.engine.request_keyframe(self.video, 0),
            7 => self.engine.set_track_config(self.video, track_config(Kind::Video)),
            8 => {
                let mut payloads = subscription_config(0).payloads;
                payloads.iter_mut().for_each(|(_, one)| (one.redundancy, one.redundancy_step) = (2, 3));
                self.engine.set_payloads(second, payloads)
            }
            9 => self.engine.set_fec(first, 4),
            target => {
                let (spatial, temporal) = (u32::from(target & 3), u32::from(target >> 2 & 1));
                self.engine.set_target_layer(first, spatial, temporal)
            }
        };
        assert_eq!(done, Ok(()));
    }

    /// Other keys for one side.
    fn rekey(&mut self, number: u8) {
        let keys = keys(number);
        let Some((tx, rx)) = peer_contexts(&keys) else { return };
        let is_publisher = number & 1 == 0;
        // What was queued before is sealed with the keys of before.
        self.check_output();
        let transport = if is_publisher { self.publisher } else { self.subscriber };
        assert_eq!(self.engine.set_srtp(transport, keys), Ok(()));
        if is_publisher {
            self.publisher_tx = tx;
            self.senders.values_mut().for_each(|sender| sender.ext_seq = 0x1_0000 | sender.ext_seq & 0x7FFF);
        } else {
            (self.subscriber_tx, self.subscriber_rx) = (tx, rx);
            self.extenders.clear();
            self.received.clear();
        }
    }

    /// Everything that goes to the subscriber is authentic, and no nonce protects two different packets.
    fn check_output(&mut self) {
        while self.engine.poll_event().is_some() {}
        while let Some(transmit) = self.engine.poll_transmit() {
            let mut datagram = Vec::new();
            transmit.seal_into(&mut datagram);
            assert_eq!(datagram.len(), transmit.size());
            assert!(datagram.len() <= MAX_DATAGRAM_BYTES + MAX_RTP_OVERHEAD + 64);
            if *transmit.path() != path(3) {
                continue;
            }
            let sealed = datagram.clone();
            if classify(&datagram) == DatagramKind::Rtcp {
                assert!(self.subscriber_rx.unprotect_rtcp(&mut datagram).is_ok());
                continue;
            }
            let header = parse_header(&datagram);
            assert!(header.is_some(), "a packet that cannot be read");
            let Some(header) = header else { continue };
            let ext_seq = self.extenders.entry(header.ssrc).or_default().update(header.seq);
            let size = self.subscriber_rx.unprotect_rtp(&mut datagram, header.header_len, header.ssrc, ext_seq);
            assert!(size.is_some(), "a packet that the subscriber cannot authenticate");
            self.media_received += 1;
            let earlier = self.received.entry((header.ssrc, ext_seq)).or_insert_with(|| sealed.clone());
            assert_eq!(*earlier, sealed, "one nonce for two packets");
        }
    }
}

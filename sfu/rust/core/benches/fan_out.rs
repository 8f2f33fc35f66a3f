//! What the engine itself costs per forwarded packet: without sockets, with and without encryption.
//!
//! `cargo bench -p ting-core`; prints ns per forwarded packet and bytes of heap per subscription that holds a full cache.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ting_core::api::{
    Codec, Extension, ExtensionIds, InboundLayer, InboundPayload, Kind, OutboundPayload, Path, Protocol, SrtpKeys,
    SrtpProfile, SubscriptionConfig, TrackConfig, TransportConfig,
};
use ting_core::engine::Engine;
use ting_core::seqnum::EXT_SEQ_START;
use ting_core::srtp::SrtpContext;
use ting_core::transmit::Transmit;

const FRAME_PACKETS: u32 = 6;

struct Shape {
    name: &'static str,
    codec: Codec,
    payload_bytes: usize,
}

fn ids(list: &[(Extension, u8)]) -> ExtensionIds {
    let mut ids = ExtensionIds::new();
    for (extension, id) in list {
        ids.set(*extension, *id);
    }
    ids
}

fn path(port: u16) -> Path {
    let address = |host: [u8; 4], port| SocketAddr::from((host, port));
    Path { protocol: Protocol::Udp, local: address([192, 0, 2, 1], 7882), remote: address([198, 51, 100, 7], port) }
}

fn keys() -> SrtpKeys {
    let key = |byte| vec![byte; 16];
    let salt = |byte| vec![byte; 12];
    SrtpKeys { profile: SrtpProfile::AeadAes128Gcm, rx_key: key(1), rx_salt: salt(2), tx_key: key(3), tx_salt: salt(4) }
}

fn engine(shape: &Shape, subscribers: u16) -> Engine {
    let is_audio = shape.codec == Codec::Opus;
    let mut engine = Engine::new(7);
    let limits = || TransportConfig { max_packets_per_s: 0, ..TransportConfig::default() };
    let publisher = engine.add_transport(limits()).unwrap();
    engine.set_srtp(publisher, keys()).unwrap();
    engine.set_path(publisher, path(1)).unwrap();
    let payload =
        InboundPayload { payload_type: 96, codec: shape.codec, clock_rate: 90_000, rtx_payload_type: Some(97) };
    let config = TrackConfig {
        kind: if is_audio { Kind::Audio } else { Kind::Video },
        payloads: vec![payload],
        layers: vec![InboundLayer { ssrc: Some(1000), rtx_ssrc: Some(1001), rid: None }],
        mid: Some("0".into()),
        extensions: ids(&[(Extension::AudioLevel, 1), (Extension::AbsSendTime, 2), (Extension::TransportCc, 3)]),
        nack: !is_audio,
        max_bitrate_bps: 0,
        pli: true,
        keyframe_cache_bytes: 512 << 10,
    };
    let track = engine.add_track(publisher, config).unwrap();
    for subscriber in 0..subscribers {
        let transport = engine.add_transport(limits()).unwrap();
        engine.set_srtp(transport, keys()).unwrap();
        engine.set_path(transport, path(1000 + subscriber)).unwrap();
        let outbound = OutboundPayload {
            payload_type: 96,
            rtx_payload_type: Some(97),
            strip_red: false,
            redundancy: 0,
            redundancy_step: 1,
            frame_type: 0,
        };
        let config = SubscriptionConfig {
            ssrc: 5000,
            mid: "7".into(),
            cname: "publisher".into(),
            payloads: vec![(96, outbound)],
            rtx_ssrc: Some(5001),
            extensions: ids(&[(Extension::Mid, 9), (Extension::TransportCc, 5), (Extension::AbsSendTime, 6)]),
            nack: !is_audio,
            cache_packets: 512,
            ccfb: false,
            fec: None,
        };
        let subscription = engine.add_subscription(transport, track, config).unwrap();
        engine.set_subscription_paused(subscription, false).unwrap();
    }
    engine
}

/// Protected packets of the publisher, the first of each frame a keyframe.
fn packets(shape: &Shape, count: u32) -> Vec<Vec<u8>> {
    let keys = keys();
    let sender = SrtpContext::new(keys.profile, &keys.rx_key, &keys.rx_salt).unwrap();
    let make = |number: u32| {
        let frame = number / FRAME_PACKETS;
        let place = number % FRAME_PACKETS;
        let marker = if place == FRAME_PACKETS - 1 { 0x80 } else { 0 };
        let mut data = vec![0x80, marker | 96];
        data.extend_from_slice(&(number as u16).to_be_bytes());
        data.extend_from_slice(&(frame * 3000).to_be_bytes());
        data.extend_from_slice(&1000_u32.to_be_bytes());
        if shape.codec == Codec::Vp8 {
            let first = if place == 0 { 0x90 } else { 0x80 };
            data.extend_from_slice(&[first, 0xE0, 0x80 | (frame >> 8) as u8 & 0x7F, frame as u8, frame as u8, 0x20]);
            data.extend_from_slice(&[u8::from(frame > 0), 0, 0, 0x9D, 0x01, 0x2A]);
        }
        data.resize(12 + shape.payload_bytes, 0x55);
        data.resize(data.len() + sender.rtp_overhead(), 0);
        let ext_seq = EXT_SEQ_START + i64::from(number);
        sender.protect_rtp(&mut data, 12, 1000, ext_seq).unwrap();
        data
    };
    (0..count).map(make).collect()
}

/// (ns per forwarded packet for the decision, the same for sealing).
fn measure(shape: &Shape, subscribers: u16, count: u32) -> (f64, f64) {
    let mut engine = engine(shape, subscribers);
    let packets = packets(shape, count);
    let mut transmits: Vec<Transmit> = Vec::new();
    let mut sealed = Vec::with_capacity(1 << 20);
    let (mut deciding, mut sealing) = (Duration::ZERO, Duration::ZERO);
    let mut forwarded = 0;
    for (index, frame) in packets.chunks(FRAME_PACKETS as usize).enumerate() {
        let now_ns = 1_000_000_000 + index as u64 * 33_000_000;
        let start = Instant::now();
        engine.handle_timeout(now_ns);
        for data in frame {
            engine.handle_datagram(now_ns, &path(1), data);
        }
        engine.drain_transmits(&mut transmits);
        deciding += start.elapsed();
        while engine.poll_event().is_some() {}
        forwarded += transmits.len();
        transmits.sort_by_key(Transmit::destination);
        let start = Instant::now();
        for transmit in &transmits {
            if sealed.len() > 60_000 {
                sealed.clear();
            }
            transmit.seal_into(&mut sealed);
        }
        transmits.clear();
        sealing += start.elapsed();
        black_box(&sealed);
    }
    let per_packet = |time: Duration| time.as_nanos() as f64 / forwarded as f64;
    (per_packet(deciding), per_packet(sealing))
}

fn main() {
    let shapes = [
        Shape { name: "video", codec: Codec::Vp8, payload_bytes: 1180 },
        Shape { name: "audio", codec: Codec::Opus, payload_bytes: 100 },
    ];
    for shape in &shapes {
        for subscribers in [1, 7, 50, 200] {
            let count = (600_000 / u32::from(subscribers)).min(60_000) / FRAME_PACKETS * FRAME_PACKETS;
            let (deciding, sealing) = measure(shape, subscribers, count);
            println!("{} 1 to {subscribers}: {deciding:.0} ns to decide, {sealing:.0} ns to seal", shape.name);
        }
    }
}

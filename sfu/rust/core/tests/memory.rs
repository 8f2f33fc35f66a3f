//! Heap of a subscription: bounded, also while its cache is full, since subscriptions share the packets of a track.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use ting_core::api::{
    Codec, Extension, ExtensionIds, InboundLayer, InboundPayload, Kind, OutboundPayload, Path, Protocol, SrtpKeys,
    SrtpProfile, SubscriptionConfig, TrackConfig, TransportConfig,
};
use ting_core::engine::Engine;
use ting_core::seqnum::EXT_SEQ_START;
use ting_core::srtp::SrtpContext;

static HEAP_BYTES: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HEAP_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HEAP_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PACKET_BYTES: usize = 1200;

fn path(port: u16) -> Path {
    let address = |host: [u8; 4], port| SocketAddr::from((host, port));
    Path { protocol: Protocol::Udp, local: address([192, 0, 2, 1], 7882), remote: address([198, 51, 100, 7], port) }
}

fn keys() -> SrtpKeys {
    let (key, salt) = (vec![1; 16], vec![2; 12]);
    let profile = SrtpProfile::AeadAes128Gcm;
    SrtpKeys { profile, rx_key: key.clone(), rx_salt: salt.clone(), tx_key: key, tx_salt: salt }
}

fn ids(list: &[(Extension, u8)]) -> ExtensionIds {
    let mut ids = ExtensionIds::new();
    for (extension, id) in list {
        ids.set(*extension, *id);
    }
    ids
}

fn peer(engine: &mut Engine, port: u16) -> u64 {
    let limits = TransportConfig { max_packets_per_s: 0, ..TransportConfig::default() };
    let transport = engine.add_transport(limits).unwrap();
    engine.set_srtp(transport, keys()).unwrap();
    engine.set_path(transport, path(port)).unwrap();
    transport
}

const CACHE_BYTES: u64 = 64 << 10;

fn publish(engine: &mut Engine, codec: Codec) -> u64 {
    let publisher = peer(engine, 1);
    let payload = InboundPayload { payload_type: 96, codec, clock_rate: 90_000, rtx_payload_type: Some(97) };
    let config = TrackConfig {
        kind: Kind::Video,
        payloads: vec![payload],
        layers: vec![InboundLayer { ssrc: Some(1000), ..InboundLayer::default() }],
        mid: None,
        extensions: ids(&[(Extension::TransportCc, 3)]),
        nack: true,
        max_bitrate_bps: 0,
        pli: true,
        keyframe_cache_bytes: CACHE_BYTES,
    };
    engine.add_track(publisher, config).unwrap()
}

/// Returns the subscriber's transport.
fn subscribe(engine: &mut Engine, track: u64, port: u16) -> u64 {
    let transport = peer(engine, port);
    let config = SubscriptionConfig {
        ssrc: 5000,
        mid: "7".into(),
        cname: "publisher".into(),
        payloads: vec![(
            96,
            OutboundPayload {
                payload_type: 96,
                rtx_payload_type: None,
                strip_red: false,
                redundancy: 0,
                redundancy_step: 1,
                frame_type: 0,
            },
        )],
        rtx_ssrc: None,
        extensions: ids(&[(Extension::Mid, 9), (Extension::TransportCc, 5), (Extension::AbsSendTime, 6)]),
        nack: true,
        cache_packets: 512,
        ccfb: false,
        fec: None,
    };
    let subscription = engine.add_subscription(transport, track, config).unwrap();
    engine.set_subscription_paused(subscription, false).unwrap();
    transport
}

/// Send `count` packets and take what comes out.
fn stream(engine: &mut Engine, sender: &SrtpContext, from: i64, count: i64) {
    stream_of(engine, sender, from, count, &[]);
}

/// The payloads begin with `head`.
fn stream_of(engine: &mut Engine, sender: &SrtpContext, from: i64, count: i64, head: &[u8]) {
    let mut out = Vec::new();
    for number in from..from + count {
        let mut data = vec![0x80, 96];
        data.extend_from_slice(&(number as u16).to_be_bytes());
        data.extend_from_slice(&(number as u32).to_be_bytes());
        data.extend_from_slice(&1000_u32.to_be_bytes());
        data.extend_from_slice(head);
        data.resize(PACKET_BYTES + sender.rtp_overhead(), 0);
        sender.protect_rtp(&mut data, 12, 1000, EXT_SEQ_START + number).unwrap();
        engine.handle_datagram(1_000_000 * number as u64, &path(1), &data);
        if number % 10 == 0 {
            engine.handle_timeout(1_000_000 * number as u64);
        }
        engine.drain_transmits(&mut out);
        out.clear();
        while engine.poll_event().is_some() {}
    }
}

fn sender() -> SrtpContext {
    let keys = keys();
    SrtpContext::new(keys.profile, &keys.rx_key, &keys.rx_salt).unwrap()
}

fn heap_bytes() -> usize {
    HEAP_BYTES.load(Ordering::Relaxed)
}

fn subscriptions_are_small() {
    const SUBSCRIBERS: u16 = 30;
    let sender = sender();
    let mut engine = Engine::new(1);
    let track = publish(&mut engine, Codec::Other);
    subscribe(&mut engine, track, 999);
    stream(&mut engine, &sender, 0, 2_000);
    let before = heap_bytes();
    let per_subscription = || (heap_bytes() - before) / usize::from(SUBSCRIBERS);
    for subscriber in 0..SUBSCRIBERS {
        subscribe(&mut engine, track, 1000 + subscriber);
    }
    let idle = per_subscription();
    stream(&mut engine, &sender, 2_000, 2_000);
    let full = per_subscription();
    stream(&mut engine, &sender, 4_000, 6_000);
    let later = per_subscription();
    println!("bytes of heap per subscription and its transport: {idle} idle, {full} with a full cache, {later} later");
    assert!(idle <= 8 << 10, "{idle}");
    assert!(full <= 48 << 10, "{full}");
    assert!(later <= full + 1024, "{later}");
}

fn joining_and_leaving_leaves_nothing() {
    let sender = sender();
    let mut engine = Engine::new(1);
    let mut after = Vec::new();
    for turn in 0..60 {
        let track = publish(&mut engine, Codec::Other);
        let mut transports: Vec<u64> = (0..5).map(|one| subscribe(&mut engine, track, 1000 + one)).collect();
        stream(&mut engine, &sender, 20 * turn, 20);
        engine.handle_timeout(20_000_000 * turn as u64 + 20_000_000);
        // The publisher, then its subscribers, whose subscriptions are gone by then.
        let publisher = transports[0] - 1;
        transports.insert(0, publisher);
        for transport in transports {
            engine.remove_transport(transport).unwrap();
        }
        after.push(heap_bytes());
    }
    assert_eq!(engine.stats().subscriptions, []);
    let (warm, last) = (after[20], after[59]);
    assert!(last <= warm + 1024, "{warm} {last}");
}

fn keyframe_caches_are_bounded_and_given_back() {
    let sender = sender();
    let mut engine = Engine::new(1);
    publish(&mut engine, Codec::Vp8);
    // No keyframe yet: nothing is kept.
    stream_of(&mut engine, &sender, 0, 100, &[0]);
    let before = heap_bytes();
    let mut highest = 0;
    for group in 1..20 {
        let from = 1_000 * group;
        stream_of(&mut engine, &sender, from, 1, &[0x10, 0, 0, 0, 0x9D, 0x01, 0x2A]);
        for number in 1..100 {
            stream_of(&mut engine, &sender, from + number, 1, &[0]);
            highest = highest.max(heap_bytes() - before);
        }
        // Far more than the cache holds, so that it is void.
        assert!(heap_bytes() <= before + 1024, "{} {before}", heap_bytes());
    }
    println!("bytes of heap of a keyframe cache of {CACHE_BYTES}: {highest}");
    assert!(highest > CACHE_BYTES as usize && highest < CACHE_BYTES as usize * 3 / 2, "{highest}");
}

/// One test for all: the heap is counted for the whole process.
#[test]
fn heap() {
    subscriptions_are_small();
    joining_and_leaving_leaves_nothing();
    keyframe_caches_are_bounded_and_given_back();
}

//! Golden traces of random lives (`tests/vectors/engine`): calls into an engine and what came out, repeated to the byte.
//!
//! `tests/engine/golden.py` records them and says what they hold.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::Value;
use ting_core::api::{
    AudioLevel, Codec, EngineStats, Error, Event, Extension, ExtensionIds, InboundLayer, InboundPayload, Kind,
    OutboundPayload, Path, Protocol, SrtpKeys, SrtpProfile, SubscriptionConfig, TrackConfig, TransportConfig,
};
use ting_core::engine::Engine;

// --- arguments --------------------------------------------------------------------------------------------------

fn int<T: TryFrom<u64>>(value: &Value) -> T {
    T::try_from(value.as_u64().unwrap()).unwrap_or_else(|_| panic!("{value} is too large"))
}

fn maybe<T: TryFrom<u64>>(value: &Value) -> Option<T> {
    (!value.is_null()).then(|| int(value))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn bytes(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn list<T>(value: &Value, decode: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap().iter().map(decode).collect()
}

fn path(value: &Value) -> Path {
    let address =
        |value: &Value| (value[0].as_str().unwrap().parse::<std::net::IpAddr>().unwrap(), int(&value[1])).into();
    let protocol = if value[0] == "tcp" { Protocol::Tcp } else { Protocol::Udp };
    Path { protocol, local: address(&value[1]), remote: address(&value[2]) }
}

fn transport(value: &Value) -> TransportConfig {
    TransportConfig {
        group: maybe(&value["group"]).unwrap_or(0),
        max_ssrcs: int(&value["max_ssrcs"]),
        max_packets_per_s: int(&value["max_packets_per_s"]),
        max_bitrate_bps: int(&value["max_bitrate_bps"]),
        max_feedback_per_s: int(&value["max_feedback_per_s"]),
    }
}

fn keys(value: &Value) -> SrtpKeys {
    let profile = match value["profile"].as_str().unwrap() {
        "SRTP_AEAD_AES_128_GCM" => SrtpProfile::AeadAes128Gcm,
        "SRTP_AEAD_AES_256_GCM" => SrtpProfile::AeadAes256Gcm,
        "SRTP_AES128_CM_SHA1_80" => SrtpProfile::Aes128CmSha1_80,
        other => panic!("unknown profile {other}"),
    };
    SrtpKeys {
        profile,
        rx_key: bytes(&value["rx_key"]),
        rx_salt: bytes(&value["rx_salt"]),
        tx_key: bytes(&value["tx_key"]),
        tx_salt: bytes(&value["tx_salt"]),
    }
}

fn codec(value: &Value) -> Codec {
    match value.as_str().unwrap() {
        "opus" => Codec::Opus,
        "red" => Codec::Red,
        "vp8" => Codec::Vp8,
        "vp9" => Codec::Vp9,
        "h264" => Codec::H264,
        "av1" => Codec::Av1,
        "other" => Codec::Other,
        name => panic!("unknown codec {name}"),
    }
}

const URIS: [(&str, Extension); 10] = [
    ("sdes:mid", Extension::Mid),
    ("sdes:rtp-stream-id", Extension::Rid),
    ("sdes:repaired-rtp-stream-id", Extension::RepairedRid),
    ("ssrc-audio-level", Extension::AudioLevel),
    ("transport-wide-cc-extensions-01", Extension::TransportCc),
    ("abs-send-time", Extension::AbsSendTime),
    ("abs-capture-time", Extension::AbsCaptureTime),
    ("urn:3gpp:video-orientation", Extension::VideoOrientation),
    ("playout-delay", Extension::PlayoutDelay),
    ("dependency-descriptor-rtp-header-extension", Extension::DependencyDescriptor),
];

fn extensions(value: &Value) -> ExtensionIds {
    let mut ids = ExtensionIds::new();
    for pair in value.as_array().unwrap() {
        let uri = pair[0].as_str().unwrap();
        let known = URIS.iter().find(|(end, _)| uri.ends_with(end)).unwrap();
        ids.set(known.1, int(&pair[1]));
    }
    ids
}

fn track(value: &Value) -> TrackConfig {
    TrackConfig {
        kind: if value["kind"] == "audio" { Kind::Audio } else { Kind::Video },
        payloads: list(&value["payloads"], |one| InboundPayload {
            payload_type: int(&one["payload_type"]),
            codec: codec(&one["codec"]),
            clock_rate: int(&one["clock_rate"]),
            rtx_payload_type: maybe(&one["rtx_payload_type"]),
        }),
        layers: list(&value["layers"], |one| InboundLayer {
            ssrc: maybe(&one["ssrc"]),
            rtx_ssrc: maybe(&one["rtx_ssrc"]),
            rid: one["rid"].as_str().map(str::to_owned),
        }),
        mid: value["mid"].as_str().map(str::to_owned),
        extensions: extensions(&value["extensions"]),
        nack: value["nack"].as_bool().unwrap(),
        max_bitrate_bps: int(&value["max_bitrate_bps"]),
        pli: value["pli"].as_bool().unwrap(),
        keyframe_cache_bytes: int(&value["keyframe_cache_bytes"]),
    }
}

fn payloads(value: &Value) -> Vec<(u8, OutboundPayload)> {
    let outbound = |one: &Value| OutboundPayload {
        payload_type: int(&one["payload_type"]),
        rtx_payload_type: maybe(&one["rtx_payload_type"]),
        strip_red: one["strip_red"].as_bool().unwrap(),
        redundancy: maybe(&one["redundancy"]).unwrap_or(0),
        redundancy_step: maybe(&one["redundancy_step"]).unwrap_or(1),
        frame_type: maybe(&one["frame_type"]).unwrap_or(0),
    };
    list(value, |pair| (int(&pair[0]), outbound(&pair[1])))
}

fn subscription(value: &Value) -> SubscriptionConfig {
    SubscriptionConfig {
        ssrc: int(&value["ssrc"]),
        mid: text(&value["mid"]),
        cname: text(&value["cname"]),
        payloads: payloads(&value["payloads"]),
        rtx_ssrc: maybe(&value["rtx_ssrc"]),
        extensions: extensions(&value["extensions"]),
        nack: value["nack"].as_bool().unwrap(),
        cache_packets: int(&value["cache_packets"]),
        ccfb: value["ccfb"].as_bool().unwrap_or(false),
        fec: maybe(&value["fec_ssrc"]).map(|ssrc| (ssrc, int(&value["fec_payload_type"]))),
    }
}

// --- what comes out ---------------------------------------------------------------------------------------------

fn hex(data: &[u8]) -> String {
    data.iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

fn path_text(path: &Path) -> String {
    let protocol = if path.protocol == Protocol::Tcp { "tcp" } else { "udp" };
    let (local, remote) = (path.local, path.remote);
    format!("{protocol} {} {} {} {}", local.ip(), local.port(), remote.ip(), remote.port())
}

fn event_text(event: &Event) -> String {
    match event {
        Event::StunReceived { path, data } => format!("stun {} {}", path_text(path), hex(data)),
        Event::DtlsReceived { transport, path, data } => format!("dtls {transport} {} {}", path_text(path), hex(data)),
        Event::StreamStarted { track, layer, ssrc, payload_type } => {
            format!("started {track} {layer} {ssrc} {payload_type}")
        }
        Event::LayerChanged { subscription, layer } => format!("layer {subscription} {}", layer_text(*layer)),
        Event::TransportFailed { transport } => format!("failed {transport}"),
        Event::EstimateChanged { transport, bitrate_bps } => format!("estimate {transport} {bitrate_bps}"),
        Event::UplinkNarrowed { transport, bitrate_bps } => format!("uplink {transport} {bitrate_bps}"),
        Event::RembReceived { transport, bitrate_bps } => format!("remb {transport} {bitrate_bps}"),
    }
}

fn layer_text(layer: Option<(u32, u32)>) -> String {
    layer.map_or("- -".to_owned(), |(spatial, temporal)| format!("{spatial} {temporal}"))
}

fn stats_text(stats: &EngineStats) -> String {
    let totals = [stats.packets_received, stats.packets_sent, stats.bytes_received, stats.bytes_sent];
    let mut lines = vec![format!("total {}", totals.map(|one| one.to_string()).join(" "))];
    lines.extend(stats.transports.iter().filter_map(|one| {
        let estimate_bps = one.estimate_bps?;
        let figures = format!("{} {} {}", one.acknowledged_bps, one.feedback_lost, one.probes_sent);
        Some(format!("estimate {} {estimate_bps} {figures}", one.transport))
    }));
    lines.extend(stats.drops.iter().map(|(reason, count)| format!("drop {reason} {count}")));
    for track in &stats.tracks {
        lines.extend(track.layers.iter().map(|one| {
            let ssrc = one.ssrc.map_or("-".to_owned(), |ssrc| ssrc.to_string());
            let received = format!("{} {} {}", one.packets_received, one.bytes_received, one.packets_lost);
            let asked = format!("{} {} {}", one.nacks_sent, one.plis_sent, one.keyframes_received);
            let active = u8::from(one.active);
            format!("layer {} {} {ssrc} {received} {asked} {} {active}", track.track, one.layer, one.bitrate_bps)
        }));
    }
    lines.extend(stats.subscriptions.iter().map(|one| {
        let sent = format!("{} {} {}", one.packets_sent, one.bytes_sent, one.retransmitted_packets_sent);
        let asked = format!("{} {} {}", one.nacks_received, one.nack_misses, one.plis_received);
        format!("subscription {} {sent} {asked} {}", one.subscription, layer_text(one.layer))
    }));
    digest(&lines)
}

fn levels_text(levels: &[AudioLevel]) -> String {
    let lines = levels.iter().map(|one| format!("level {} {} {}", one.track, one.level_dbov, one.active_ms));
    digest(&lines.collect::<Vec<_>>())
}

fn digest(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let bytes = lines.iter().flat_map(|line| line.bytes().chain([b'\n']));
    let value =
        bytes.fold(0xCBF2_9CE4_8422_2325_u64, |value, byte| (value ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
    format!("{value:016x}")
}

fn output(engine: &mut Engine) -> String {
    let mut lines = Vec::new();
    while let Some(transmit) = engine.poll_transmit() {
        let mut data = Vec::new();
        transmit.seal_into(&mut data);
        assert_eq!(data.len(), transmit.size());
        lines.push(format!("send {} {}", path_text(transmit.path()), hex(&data)));
    }
    while let Some(event) = engine.poll_event() {
        lines.push(event_text(&event));
    }
    digest(&lines)
}

// --- replay -----------------------------------------------------------------------------------------------------

/// What a call returned as text: nothing, a handle, or the code of an error.
fn outcome<T: ToString>(result: Result<T, Error>) -> String {
    result.map_or_else(|error| error.code().to_owned(), |value| value.to_string())
}

fn nothing(result: Result<(), Error>) -> String {
    outcome(result.map(|()| ""))
}

fn call(engine: &mut Engine, name: &str, args: &Value) -> String {
    let handle = |place: usize| int::<u64>(&args[place]);
    match name {
        "add_transport" => outcome(engine.add_transport(transport(&args[0]))),
        "set_srtp" => nothing(engine.set_srtp(handle(0), keys(&args[1]))),
        "allow_path" => nothing(engine.allow_path(handle(0), path(&args[1]))),
        "set_path" => nothing(engine.set_path(handle(0), path(&args[1]))),
        "forget_path" => {
            engine.forget_path(&path(&args[0]));
            String::new()
        }
        "remove_transport" => nothing(engine.remove_transport(handle(0))),
        "set_wanted_bitrate" => nothing(engine.set_wanted_bitrate(handle(0), int(&args[1]))),
        "add_track" => outcome(engine.add_track(handle(0), track(&args[1]))),
        "set_track_config" => nothing(engine.set_track_config(handle(0), track(&args[1]))),
        "set_track_muted" => nothing(engine.set_track_muted(handle(0), args[1].as_bool().unwrap())),
        "remove_track" => nothing(engine.remove_track(handle(0))),
        "request_keyframe" => nothing(engine.request_keyframe(handle(0), int(&args[1]))),
        "add_subscription" => outcome(engine.add_subscription(handle(0), handle(1), subscription(&args[2]))),
        "set_target_layer" => nothing(engine.set_target_layer(handle(0), int(&args[1]), int(&args[2]))),
        "set_fec" => nothing(engine.set_fec(handle(0), int(&args[1]))),
        "set_payloads" => nothing(engine.set_payloads(handle(0), payloads(&args[1]))),
        "set_subscription_paused" => nothing(engine.set_subscription_paused(handle(0), args[1].as_bool().unwrap())),
        "remove_subscription" => nothing(engine.remove_subscription(handle(0))),
        "audio_levels" => levels_text(&engine.audio_levels()),
        "stats" => stats_text(&engine.stats()),
        "handle_datagram" => {
            engine.handle_datagram(handle(0), &path(&args[1]), &bytes(&args[2]));
            String::new()
        }
        "handle_timeout" => {
            engine.handle_timeout(handle(0));
            String::new()
        }
        "next_timeout_ns" => engine.next_timeout_ns().map_or(String::new(), |due_ns| due_ns.to_string()),
        other => panic!("unknown call {other}"),
    }
}

#[test]
fn traces() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../tests/vectors/engine");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let trace: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let mut engine = Engine::new(trace["seed"].as_u64().unwrap());
        for (number, recorded) in trace["calls"].as_array().unwrap().iter().enumerate() {
            let name = recorded[0].as_str().unwrap();
            let got = call(&mut engine, name, &recorded[1]);
            let got = (got, output(&mut engine));
            assert_eq!(got, (text(&recorded[2]), text(&recorded[3])), "call {number} of {file:?}: {recorded}");
        }
    }
}

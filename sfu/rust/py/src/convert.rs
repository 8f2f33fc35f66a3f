//! Python's dataclasses of `sfu.engine.api` to the engine's types, and back.

use std::net::SocketAddr;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyMapping, PyType};
use ting_core::api::{
    AudioLevel, Codec, EngineStats, Error, Event, Extension, ExtensionIds, InboundLayer, InboundPayload, Kind,
    LayerStats, OutboundPayload, Path, Protocol, SrtpKeys, SrtpProfile, SubscriptionConfig, SubscriptionStats,
    TrackConfig, TrackStats, TransportConfig, TransportStats,
};

const API: &str = "sfu.engine.api";
const MAX_PAYLOAD_TYPE: u8 = 127;

/// `sfu.errors.EngineError` with a message and a code.
pub(crate) fn engine_error(py: Python<'_>, message: &str, code: &str) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let make = || -> PyResult<PyErr> {
        let class = CLASS.import(py, "sfu.errors", "EngineError")?;
        let named = PyDict::new(py);
        named.set_item(intern!(py, "code"), code)?;
        Ok(PyErr::from_value(class.call((message,), Some(&named))?))
    };
    make().unwrap_or_else(|error| error)
}

/// What the engine said about a wrong command.
pub(crate) fn misuse(py: Python<'_>, error: &Error) -> PyErr {
    engine_error(py, &error.to_string(), error.code())
}

/// A number out of its range, or a text that names nothing, in a configuration.
fn invalid(py: Python<'_>, what: &str) -> PyErr {
    engine_error(py, &format!("invalid {what}"), "invalid_config")
}

fn field<'py, T>(object: &Bound<'py, PyAny>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    let value = object.getattr(name)?;
    match value.extract::<T>() {
        Ok(value) => Ok(value),
        Err(error) => {
            let error: PyErr = error.into();
            let py = object.py();
            if error.is_instance_of::<PyTypeError>(py) { Err(error) } else { Err(invalid(py, name)) }
        }
    }
}

// --- in -----------------------------------------------------------------------------------------------------------

/// A handle; what cannot be one is unknown.
pub(crate) fn handle(value: &Bound<'_, PyAny>, what: &str) -> PyResult<u64> {
    value.extract().map_err(|_| {
        let code = format!("unknown_{what}");
        engine_error(value.py(), &format!("unknown {what} {value}"), &code)
    })
}

fn address(value: &Bound<'_, PyAny>) -> PyResult<SocketAddr> {
    let (ip, port): (String, u16) = value.extract()?;
    crate::socket::parse_address(&ip, port)
        .ok_or_else(|| engine_error(value.py(), "an address is not an IP address", "invalid_path"))
}

/// A `Path`.
pub(crate) fn path(value: &Bound<'_, PyAny>) -> PyResult<Path> {
    let (protocol, local, remote): (String, Bound<'_, PyAny>, Bound<'_, PyAny>) = value.extract()?;
    let protocol = match protocol.as_str() {
        "udp" => Protocol::Udp,
        "tcp" => Protocol::Tcp,
        _ => return Err(engine_error(value.py(), "a path is udp or tcp", "invalid_path")),
    };
    Ok(Path { protocol, local: address(&local)?, remote: address(&remote)? })
}

/// A `TransportConfig`.
pub(crate) fn transport_config(config: &Bound<'_, PyAny>) -> PyResult<TransportConfig> {
    Ok(TransportConfig {
        group: field(config, "group")?,
        max_ssrcs: field(config, "max_ssrcs")?,
        max_packets_per_s: field(config, "max_packets_per_s")?,
        max_bitrate_bps: field(config, "max_bitrate_bps")?,
        max_feedback_per_s: field(config, "max_feedback_per_s")?,
    })
}

/// `SrtpKeys`.
pub(crate) fn srtp_keys(keys: &Bound<'_, PyAny>) -> PyResult<SrtpKeys> {
    let profile: String = field(keys, "profile")?;
    let profile = match profile.as_str() {
        "SRTP_AEAD_AES_128_GCM" => SrtpProfile::AeadAes128Gcm,
        "SRTP_AEAD_AES_256_GCM" => SrtpProfile::AeadAes256Gcm,
        "SRTP_AES128_CM_SHA1_80" => SrtpProfile::Aes128CmSha1_80,
        _ => return Err(invalid(keys.py(), "profile")),
    };
    Ok(SrtpKeys {
        profile,
        rx_key: field(keys, "rx_key")?,
        rx_salt: field(keys, "rx_salt")?,
        tx_key: field(keys, "tx_key")?,
        tx_salt: field(keys, "tx_salt")?,
    })
}

/// A `TrackConfig`.
pub(crate) fn track_config(config: &Bound<'_, PyAny>) -> PyResult<TrackConfig> {
    let kind: String = field(config, "kind")?;
    let kind = match kind.as_str() {
        "audio" => Kind::Audio,
        "video" => Kind::Video,
        _ => return Err(invalid(config.py(), "kind")),
    };
    let mut payloads = Vec::new();
    for payload in config.getattr("payloads")?.try_iter()? {
        payloads.push(inbound_payload(&payload?)?);
    }
    let mut layers = Vec::new();
    for layer in config.getattr("layers")?.try_iter()? {
        let layer = layer?;
        layers.push(InboundLayer {
            ssrc: field(&layer, "ssrc")?,
            rtx_ssrc: field(&layer, "rtx_ssrc")?,
            rid: field(&layer, "rid")?,
        });
    }
    Ok(TrackConfig {
        kind,
        payloads,
        layers,
        mid: field(config, "mid")?,
        extensions: extensions(config)?,
        nack: field(config, "nack")?,
        max_bitrate_bps: field(config, "max_bitrate_bps")?,
        pli: field(config, "pli")?,
        keyframe_cache_bytes: field(config, "keyframe_cache_bytes")?,
    })
}

fn inbound_payload(payload: &Bound<'_, PyAny>) -> PyResult<InboundPayload> {
    let codec: String = field(payload, "codec")?;
    let codec = match codec.as_str() {
        "opus" => Codec::Opus,
        "red" => Codec::Red,
        "vp8" => Codec::Vp8,
        "vp9" => Codec::Vp9,
        "h264" => Codec::H264,
        "av1" => Codec::Av1,
        "other" => Codec::Other,
        _ => return Err(invalid(payload.py(), "codec")),
    };
    Ok(InboundPayload {
        payload_type: field(payload, "payload_type")?,
        codec,
        clock_rate: field(payload, "clock_rate")?,
        rtx_payload_type: field(payload, "rtx_payload_type")?,
    })
}

fn extensions(config: &Bound<'_, PyAny>) -> PyResult<ExtensionIds> {
    let mut ids = ExtensionIds::new();
    let values = config.getattr("extensions")?;
    for item in values.cast::<PyMapping>()?.items()?.iter() {
        let (uri, id): (String, Bound<'_, PyAny>) = item.extract()?;
        let id = id.extract().unwrap_or(0_u8);
        if id == 0 {
            return Err(invalid(config.py(), "extension id"));
        }
        if let Some(extension) = extension(&uri) {
            ids.set(extension, id);
        }
    }
    Ok(ids)
}

fn extension(uri: &str) -> Option<Extension> {
    Some(match uri {
        "urn:ietf:params:rtp-hdrext:sdes:mid" => Extension::Mid,
        "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id" => Extension::Rid,
        "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id" => Extension::RepairedRid,
        "urn:ietf:params:rtp-hdrext:ssrc-audio-level" => Extension::AudioLevel,
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01" => Extension::TransportCc,
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time" => Extension::AbsSendTime,
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time" => Extension::AbsCaptureTime,
        "urn:3gpp:video-orientation" => Extension::VideoOrientation,
        "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay" => Extension::PlayoutDelay,
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension" => {
            Extension::DependencyDescriptor
        }
        _ => return None,
    })
}

/// A `SubscriptionConfig`.
pub(crate) fn subscription_config(config: &Bound<'_, PyAny>) -> PyResult<SubscriptionConfig> {
    Ok(SubscriptionConfig {
        ssrc: field(config, "ssrc")?,
        mid: field(config, "mid")?,
        cname: field(config, "cname")?,
        payloads: outbound_payloads(&config.getattr("payloads")?)?,
        rtx_ssrc: field(config, "rtx_ssrc")?,
        extensions: extensions(config)?,
        nack: field(config, "nack")?,
        cache_packets: field(config, "cache_packets")?,
        ccfb: field(config, "ccfb")?,
        fec: match field(config, "fec_ssrc")? {
            Some(ssrc) => Some((ssrc, field(config, "fec_payload_type")?)),
            None => None,
        },
    })
}

/// A mapping of payload types to `OutboundPayload`s.
pub(crate) fn outbound_payloads(by_type: &Bound<'_, PyAny>) -> PyResult<Vec<(u8, OutboundPayload)>> {
    let mut payloads = Vec::new();
    for item in by_type.cast::<PyMapping>()?.items()?.iter() {
        let (inbound, payload): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
        let outbound = OutboundPayload {
            payload_type: field(&payload, "payload_type")?,
            rtx_payload_type: field(&payload, "rtx_payload_type")?,
            strip_red: field(&payload, "strip_red")?,
            redundancy: field(&payload, "redundancy")?,
            redundancy_step: field(&payload, "redundancy_step")?,
            frame_type: field(&payload, "frame_type")?,
        };
        // A key that no packet can have is never looked up.
        if let Some(inbound) = inbound.extract().ok().filter(|inbound: &u8| *inbound <= MAX_PAYLOAD_TYPE) {
            payloads.push((inbound, outbound));
        }
    }
    Ok(payloads)
}

// --- out ----------------------------------------------------------------------------------------------------------

macro_rules! class {
    ($py:expr, $name:literal) => {{
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        CLASS.import($py, API, $name)?
    }};
}

/// A `Path` for Python.
pub(crate) fn path_object<'py>(py: Python<'py>, path: &Path) -> PyResult<Bound<'py, PyAny>> {
    let protocol = match path.protocol {
        Protocol::Udp => intern!(py, "udp"),
        Protocol::Tcp => intern!(py, "tcp"),
    };
    let name = |address: SocketAddr| (address.ip().to_string(), address.port());
    class!(py, "Path").call1((protocol, name(path.local), name(path.remote)))
}

/// A `Transmit` for Python.
pub(crate) fn transmit_object<'py>(py: Python<'py>, path: &Path, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    class!(py, "Transmit").call1((path_object(py, path)?, PyBytes::new(py, data)))
}

/// A `DataNews` for Python: whether "ready" came, whether the peer said goodbye, messages, counters.
pub(crate) fn data_news<'py>(
    py: Python<'py>,
    news: (bool, bool, Bound<'py, PyList>, Bound<'py, PyDict>),
) -> PyResult<Bound<'py, PyAny>> {
    class!(py, "DataNews").call1(news)
}

/// An `Event` for Python.
pub(crate) fn event_object<'py>(py: Python<'py>, event: &Event) -> PyResult<Bound<'py, PyAny>> {
    match event {
        Event::StunReceived { path, data } => {
            class!(py, "StunReceived").call1((path_object(py, path)?, PyBytes::new(py, data)))
        }
        Event::DtlsReceived { transport, path, data } => {
            class!(py, "DtlsReceived").call1((*transport, path_object(py, path)?, PyBytes::new(py, data)))
        }
        Event::StreamStarted { track, layer, ssrc, payload_type } => {
            class!(py, "StreamStarted").call1((*track, *layer, *ssrc, *payload_type))
        }
        Event::LayerChanged { subscription, layer } => {
            class!(py, "LayerChanged").call1((*subscription, layer.map(|one| one.0), layer.map(|one| one.1)))
        }
        Event::TransportFailed { transport } => class!(py, "TransportFailed").call1((*transport,)),
        Event::EstimateChanged { transport, bitrate_bps } => {
            class!(py, "EstimateChanged").call1((*transport, *bitrate_bps))
        }
        Event::UplinkNarrowed { transport, bitrate_bps } => {
            class!(py, "UplinkNarrowed").call1((*transport, *bitrate_bps))
        }
        Event::RembReceived { transport, bitrate_bps } => class!(py, "RembReceived").call1((*transport, *bitrate_bps)),
    }
}

/// `AudioLevel`s for Python.
pub(crate) fn level_objects<'py>(py: Python<'py>, levels: &[AudioLevel]) -> PyResult<Bound<'py, PyList>> {
    let class = class!(py, "AudioLevel");
    list_of(py, levels, |level| class.call1((level.track, level.level_dbov, level.active_ms)))
}

/// `EngineStats` for Python.
pub(crate) fn stats_object<'py>(py: Python<'py>, stats: &EngineStats) -> PyResult<Bound<'py, PyAny>> {
    let drops = PyDict::new(py);
    for (reason, count) in stats.drops.iter() {
        drops.set_item(reason, count)?;
    }
    class!(py, "EngineStats").call1((
        list_of(py, &stats.transports, |one| transport_stats(py, one))?,
        list_of(py, &stats.tracks, |one| track_stats(py, one))?,
        list_of(py, &stats.subscriptions, |one| subscription_stats(py, one))?,
        drops,
        stats.checks_answered,
        stats.faults,
        stats.packets_received,
        stats.packets_sent,
        stats.bytes_received,
        stats.bytes_sent,
    ))
}

fn list_of<'py, T>(
    py: Python<'py>,
    items: &[T],
    make: impl Fn(&T) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for item in items {
        list.append(make(item)?)?;
    }
    Ok(list)
}

fn transport_stats<'py>(py: Python<'py>, stats: &TransportStats) -> PyResult<Bound<'py, PyAny>> {
    class!(py, "TransportStats").call1((
        stats.transport,
        stats.packets_received,
        stats.bytes_received,
        stats.packets_sent,
        stats.bytes_sent,
        stats.remb_bps,
        stats.estimate_bps,
        stats.acknowledged_bps,
        stats.feedback_lost,
        stats.probes_sent,
        stats.feedback_loss_runs,
    ))
}

fn track_stats<'py>(py: Python<'py>, stats: &TrackStats) -> PyResult<Bound<'py, PyAny>> {
    let layers = list_of(py, &stats.layers, |one| layer_stats(py, one))?;
    class!(py, "TrackStats").call1((stats.track, layers))
}

fn layer_stats<'py>(py: Python<'py>, stats: &LayerStats) -> PyResult<Bound<'py, PyAny>> {
    class!(py, "LayerStats").call1((
        stats.layer,
        stats.ssrc,
        stats.packets_received,
        stats.bytes_received,
        stats.packets_lost,
        stats.jitter_ms,
        stats.nacks_sent,
        stats.plis_sent,
        stats.keyframes_received,
        stats.bitrate_bps,
        stats.active,
    ))
}

fn subscription_stats<'py>(py: Python<'py>, stats: &SubscriptionStats) -> PyResult<Bound<'py, PyAny>> {
    class!(py, "SubscriptionStats").call1((
        stats.subscription,
        stats.packets_sent,
        stats.bytes_sent,
        stats.retransmitted_packets_sent,
        stats.nacks_received,
        stats.nack_misses,
        stats.plis_received,
        stats.fraction_lost,
        stats.rtt_ms,
        stats.layer.map(|layer| layer.0),
        stats.layer.map(|layer| layer.1),
        stats.fec_packets_sent,
    ))
}

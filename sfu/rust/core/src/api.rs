//! The engine contract in Rust: configurations, events, statistics and errors.
//!
//! What each of them means is written in the docstring of `sfu/engine/api.py`, the specification of both engines.

use std::fmt;
use std::net::SocketAddr;

/// Longest time between two calls of `Engine::handle_timeout` while transports exist, in ns.
pub const TICK_NS: u64 = 10_000_000;
/// Shortest time between two keyframe requests for one stream, in ns.
pub const KEYFRAME_INTERVAL_NS: u64 = 500_000_000;
/// Packets that a keyframe cache holds at most.
pub const KEYFRAME_CACHE_PACKETS: usize = 4096;
/// Time that a keyframe cache spans at most, in ns.
pub const KEYFRAME_CACHE_NS: u64 = 15_000_000_000;
/// How many times faster than they came cached packets leave.
pub const REPLAY_SPEED: u64 = 8;
/// Up to this span a cache is replayed without asking for a keyframe as well, in ns.
pub const REPLAY_ALONE_NS: u64 = 1_000_000_000;
/// Paths that one transport may have.
pub const MAX_PATHS: usize = 4;
/// Longest datagram that is looked at.
pub const MAX_DATAGRAM_BYTES: usize = 1500;
/// As a target layer: "whatever is best".
pub const HIGHEST_LAYER: u32 = 255;

/// Handle of a transport. Handles count from 1 and are never reused.
pub type TransportHandle = u64;
/// Handle of a track.
pub type TrackHandle = u64;
/// Handle of a subscription.
pub type SubscriptionHandle = u64;

/// How datagrams of a path travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// One datagram is one UDP datagram.
    Udp,
    /// Passive ICE-TCP (RFC 6544) with RFC 4571 framing.
    Tcp,
}

/// One 5-tuple as seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// UDP or TCP.
    pub protocol: Protocol,
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Begins and switches at any packet.
    Audio,
    /// Begins and switches at keyframes.
    Video,
}

/// What the engine must know of a payload to find frames, layers and keyframes in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Opus (RFC 7587).
    Opus,
    /// Redundant audio (RFC 2198).
    Red,
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// H.264 (RFC 6184).
    H264,
    /// AV1 (AOMedia).
    Av1,
    /// Forwarded as it is: every packet counts as a keyframe.
    Other,
}

/// RTP header extensions (RFC 8285) that the engine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extension {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid`
    Mid,
    /// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id`
    Rid,
    /// `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id`
    RepairedRid,
    /// `urn:ietf:params:rtp-hdrext:ssrc-audio-level`
    AudioLevel,
    /// `…draft-holmer-rmcat-transport-wide-cc-extensions-01`
    TransportCc,
    /// `…abs-send-time`
    AbsSendTime,
    /// `…abs-capture-time`
    AbsCaptureTime,
    /// `urn:3gpp:video-orientation`
    VideoOrientation,
    /// `…playout-delay`
    PlayoutDelay,
    /// `…dependency-descriptor-rtp-header-extension`
    DependencyDescriptor,
}

/// Number of `Extension`s.
pub const EXTENSIONS: usize = 10;

/// Ids of header extensions by `Extension`; 0 where there is none. Ids are 1..=255 and different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionIds([u8; EXTENSIONS]);

impl ExtensionIds {
    /// No extensions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The id of `extension`, or 0.
    #[must_use]
    pub fn get(&self, extension: Extension) -> u8 {
        self.0.get(extension as usize).copied().unwrap_or(0)
    }

    /// Set the id of `extension`; 0 takes it out.
    pub fn set(&mut self, extension: Extension, id: u8) {
        if let Some(slot) = self.0.get_mut(extension as usize) {
            *slot = id;
        }
    }

    /// The ids that are set.
    pub fn ids(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.iter().copied().filter(|id| *id != 0)
    }
}

/// Protection profiles (RFC 5764, RFC 7714).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SrtpProfile {
    /// SRTP_AEAD_AES_128_GCM
    AeadAes128Gcm,
    /// SRTP_AEAD_AES_256_GCM
    AeadAes256Gcm,
    /// SRTP_AES128_CM_SHA1_80
    Aes128CmSha1_80,
}

/// Master keys and salts of both directions. Key bytes: 16, 32, 16; salt bytes: 12, 12, 14, by profile.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKeys {
    /// The profile of both directions.
    pub profile: SrtpProfile,
    /// What the peer encrypts with.
    pub rx_key: Vec<u8>,
    /// What the peer salts with.
    pub rx_salt: Vec<u8>,
    /// What we encrypt with.
    pub tx_key: Vec<u8>,
    /// What we salt with.
    pub tx_salt: Vec<u8>,
}

impl fmt::Debug for SrtpKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpKeys").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// Limits of one transport. Rates of 0 mean no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportConfig {
    /// Transports of one group may subscribe to each other.
    pub group: u64,
    /// SSRCs that may be bound; at least 1.
    pub max_ssrcs: u32,
    /// Packets per second.
    pub max_packets_per_s: u64,
    /// Bits per second.
    pub max_bitrate_bps: u64,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self { group: 0, max_ssrcs: 64, max_packets_per_s: 20_000, max_bitrate_bps: 0 }
    }
}

/// One payload type that a track may arrive with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundPayload {
    /// 0..=127.
    pub payload_type: u8,
    /// What the payload is.
    pub codec: Codec,
    /// Timestamp units per second; positive.
    pub clock_rate: u32,
    /// Payload type of its retransmissions.
    pub rtx_payload_type: Option<u8>,
}

/// One stream of a track. SSRCs are None when only MID and RID will tell them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboundLayer {
    /// SSRC of the media.
    pub ssrc: Option<u32>,
    /// SSRC of its retransmissions.
    pub rtx_ssrc: Option<u32>,
    /// Restriction identifier (RFC 8851).
    pub rid: Option<String>,
}

/// A track as its publisher sends it. `layers` go from lowest to highest resolution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackConfig {
    /// Audio or video.
    pub kind: Kind,
    /// At least one; all payload types are different.
    pub payloads: Vec<InboundPayload>,
    /// At least one.
    pub layers: Vec<InboundLayer>,
    /// Value of the MID extension.
    pub mid: Option<String>,
    /// Extension ids on the publisher's side.
    pub extensions: ExtensionIds,
    /// Ask for what is missing.
    pub nack: bool,
    /// Bits per second; 0 is no limit.
    pub max_bitrate_bps: u64,
    /// The publisher takes PLI; without it none is ever sent.
    pub pli: bool,
    /// Payload bytes that the keyframe cache of each stream may hold; 0: no cache. Video only.
    pub keyframe_cache_bytes: u64,
}

/// What an inbound payload type becomes for one subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboundPayload {
    /// 0..=127.
    pub payload_type: u8,
    /// Payload type of retransmissions.
    pub rtx_payload_type: Option<u8>,
    /// Send the primary block of RED payloads only.
    pub strip_red: bool,
}

/// How one subscriber receives one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionConfig {
    /// SSRC of the media; no other of the transport may have it.
    pub ssrc: u32,
    /// Value of the MID extension, at most 255 bytes.
    pub mid: String,
    /// CNAME, at most 255 bytes.
    pub cname: String,
    /// By the publisher's payload type (0..=127, each once). A packet whose type is not in it is withheld.
    pub payloads: Vec<(u8, OutboundPayload)>,
    /// SSRC of retransmissions.
    pub rtx_ssrc: Option<u32>,
    /// Extension ids on the subscriber's side.
    pub extensions: ExtensionIds,
    /// Answer NACKs from a cache.
    pub nack: bool,
    /// Packets that the cache holds.
    pub cache_packets: u32,
}

/// What the control plane must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A STUN datagram, from any path.
    StunReceived {
        /// Where it came in.
        path: Path,
        /// The datagram.
        data: Vec<u8>,
    },
    /// A DTLS datagram from a path of the transport.
    DtlsReceived {
        /// The transport.
        transport: TransportHandle,
        /// Where it came in.
        path: Path,
        /// The datagram.
        data: Vec<u8>,
    },
    /// First authenticated packet of a layer of a track.
    StreamStarted {
        /// The track.
        track: TrackHandle,
        /// Index of the layer.
        layer: u32,
        /// Its SSRC.
        ssrc: u32,
        /// Payload type of the packet.
        payload_type: u8,
    },
    /// The (spatial, temporal) layer that a subscription really receives; None while it receives nothing.
    LayerChanged {
        /// The subscription.
        subscription: SubscriptionHandle,
        /// The layer.
        layer: Option<(u32, u32)>,
    },
    /// The engine itself failed while it worked for this transport, whose input and output have ended.
    TransportFailed {
        /// The transport.
        transport: TransportHandle,
    },
    /// The subscriber's bandwidth estimate (draft-alvestrand-rmcat-remb-03).
    RembReceived {
        /// The subscriber's transport.
        transport: TransportHandle,
        /// Bits per second.
        bitrate_bps: u64,
    },
}

/// Why a packet was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Not STUN, DTLS, RTP or RTCP.
    NotRtc,
    /// Above `MAX_DATAGRAM_BYTES`.
    TooLong,
    /// From a path that no transport has.
    UnknownPath,
    /// Media before keys.
    NoKeys,
    /// It lies about its structure.
    Malformed,
    /// No stream has this SSRC.
    UnknownSsrc,
    /// The track did not declare this payload type.
    UnknownPayloadType,
    /// Too many SSRCs.
    SsrcLimit,
    /// Seen before.
    Replayed,
    /// Left of a window.
    TooOld,
    /// The tag does not verify.
    AuthFailed,
    /// A copy with another SRTP index, or an RTX of what is there.
    Duplicate,
    /// Nothing but padding.
    PaddingOnly,
    /// The track is muted.
    Muted,
    /// Above a rate.
    Policed,
    /// The subscriber does not know the payload type.
    NoPayloadForSubscriber,
    /// A resend that a limit forbids.
    NackLimited,
}

/// Every reason with its name in the order of `sfu.engine.api.DROP_REASONS`.
pub const DROP_REASONS: [(DropReason, &str); 17] = [
    (DropReason::NotRtc, "not_rtc"),
    (DropReason::TooLong, "too_long"),
    (DropReason::UnknownPath, "unknown_path"),
    (DropReason::NoKeys, "no_keys"),
    (DropReason::Malformed, "malformed"),
    (DropReason::UnknownSsrc, "unknown_ssrc"),
    (DropReason::UnknownPayloadType, "unknown_payload_type"),
    (DropReason::SsrcLimit, "ssrc_limit"),
    (DropReason::Replayed, "replayed"),
    (DropReason::TooOld, "too_old"),
    (DropReason::AuthFailed, "auth_failed"),
    (DropReason::Duplicate, "duplicate"),
    (DropReason::PaddingOnly, "padding_only"),
    (DropReason::Muted, "muted"),
    (DropReason::Policed, "policed"),
    (DropReason::NoPayloadForSubscriber, "no_payload_for_subscriber"),
    (DropReason::NackLimited, "nack_limited"),
];

/// Counters by `DropReason`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; DROP_REASONS.len()]);

impl Drops {
    /// Drops for this reason so far.
    #[must_use]
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// Name and count of every reason, in the order of `DROP_REASONS`.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        DROP_REASONS.iter().map(|(reason, name)| (*name, self.get(*reason)))
    }

    /// Count what another engine counted as well.
    pub fn merge(&mut self, other: &Self) {
        for (reason, _) in DROP_REASONS {
            self.add(reason, other.get(reason));
        }
    }

    pub(crate) fn add(&mut self, reason: DropReason, count: u64) {
        if let Some(counter) = self.0.get_mut(reason as usize) {
            *counter = counter.wrapping_add(count);
        }
    }
}

/// Loudness of one audio track since the last call of `Engine::audio_levels`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// The track.
    pub track: TrackHandle,
    /// 0 (loudest) to 127 (silence), -dBov.
    pub level_dbov: u8,
    /// Speech time in ms.
    pub active_ms: u64,
}

/// One inbound stream (W3C RTCInboundRtpStreamStats names where they exist).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct LayerStats {
    pub layer: u32,
    pub ssrc: Option<u32>,
    pub packets_received: u64,
    pub bytes_received: u64,
    pub packets_lost: u64,
    pub jitter_ms: f64,
    pub nacks_sent: u64,
    pub plis_sent: u64,
    pub keyframes_received: u64,
    pub bitrate_bps: u64,
    pub active: bool,
}

/// The streams of one track.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct TrackStats {
    pub track: TrackHandle,
    pub layers: Vec<LayerStats>,
}

/// One outbound stream (W3C RTCOutboundRtpStreamStats names where they exist).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct SubscriptionStats {
    pub subscription: SubscriptionHandle,
    pub packets_sent: u64,
    pub bytes_sent: u64,
    pub retransmitted_packets_sent: u64,
    pub nacks_received: u64,
    pub nack_misses: u64,
    pub plis_received: u64,
    pub fraction_lost: f64,
    pub rtt_ms: Option<f64>,
    /// (spatial, temporal); None while nothing is received.
    pub layer: Option<(u32, u32)>,
}

/// Traffic of one transport.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TransportStats {
    pub transport: TransportHandle,
    pub packets_received: u64,
    pub bytes_received: u64,
    pub packets_sent: u64,
    pub bytes_sent: u64,
    pub remb_bps: Option<u64>,
}

/// Everything that there is to know, in order of the handles.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct EngineStats {
    pub transports: Vec<TransportStats>,
    pub tracks: Vec<TrackStats>,
    pub subscriptions: Vec<SubscriptionStats>,
    pub drops: Drops,
    pub checks_answered: u64,
    pub faults: u64,
    pub packets_received: u64,
    pub packets_sent: u64,
    pub bytes_received: u64,
    pub bytes_sent: u64,
}

/// Misuse of a command. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No transport has this handle.
    UnknownTransport(TransportHandle),
    /// No track has this handle.
    UnknownTrack(TrackHandle),
    /// No subscription has this handle.
    UnknownSubscription(SubscriptionHandle),
    /// The track has fewer layers.
    UnknownLayer(TrackHandle, u32),
    /// The track belongs to a transport of another group.
    OtherGroup(TransportHandle, TrackHandle),
    /// The transport shares a subscription with one that would stay behind.
    StillSubscribed(TransportHandle),
    /// A configuration that cannot be.
    InvalidConfig(&'static str),
    /// Keys or salts of the wrong length for the profile.
    InvalidKeys(SrtpProfile),
}

impl Error {
    /// The stable code that `EngineError` carries in Python.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownTransport(_) => "unknown_transport",
            Self::UnknownTrack(_) => "unknown_track",
            Self::UnknownSubscription(_) => "unknown_subscription",
            Self::UnknownLayer(..) => "unknown_layer",
            Self::OtherGroup(..) => "other_group",
            Self::StillSubscribed(_) => "still_subscribed",
            Self::InvalidConfig(_) => "invalid_config",
            Self::InvalidKeys(_) => "engine_error",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownTransport(handle) => write!(f, "unknown transport {handle}"),
            Self::UnknownTrack(handle) => write!(f, "unknown track {handle}"),
            Self::UnknownSubscription(handle) => write!(f, "unknown subscription {handle}"),
            Self::UnknownLayer(track, layer) => write!(f, "track {track} has no layer {layer}"),
            Self::OtherGroup(transport, track) => {
                write!(f, "transport {transport} is of another group than track {track}")
            }
            Self::StillSubscribed(handle) => {
                write!(f, "transport {handle} shares a subscription with one that stays behind")
            }
            Self::InvalidConfig(what) => f.write_str(what),
            Self::InvalidKeys(profile) => write!(f, "key or salt of the wrong length for {profile:?}"),
        }
    }
}

impl std::error::Error for Error {}

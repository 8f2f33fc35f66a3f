//! How transports, tracks and subscriptions are set up, and the words for it.

use std::fmt;
use std::net::SocketAddr;

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
    /// Transport-wide feedback packets per second.
    pub max_feedback_per_s: u64,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self { group: 0, max_ssrcs: 64, max_packets_per_s: 20_000, max_bitrate_bps: 0, max_feedback_per_s: 200 }
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
    /// Of sound: how many earlier frames each packet carries besides its own, as RED of `payload_type` (RFC 2198); at most
    /// `MAX_REDUNDANCY`. 0: what the publisher sent.
    pub redundancy: u8,
    /// How many frames those are apart, from the packet's own on: 2 means the second and the fourth before it. 1 to
    /// `MAX_REDUNDANCY_STEP`.
    pub redundancy_step: u8,
    /// With `redundancy`: the payload type that the frames inside have.
    pub frame_type: u8,
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
    /// Of video: SSRC and payload type of repair packets (FlexFEC-03), where the subscriber takes them.
    pub fec: Option<(u32, u8)>,
    /// The peer reports on packets by their RTP numbers (RFC 8888). Transport-cc numbers, where `extensions` has an id
    /// for them, are used instead.
    pub ccfb: bool,
}

impl SubscriptionConfig {
    /// Whether an SSRC is one of those beside the media's.
    pub(crate) fn has_ssrc(&self, ssrc: u32) -> bool {
        self.rtx_ssrc == Some(ssrc) || self.fec.is_some_and(|(fec_ssrc, _)| fec_ssrc == ssrc)
    }
}

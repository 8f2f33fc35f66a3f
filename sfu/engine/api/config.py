"""How transports, tracks and subscriptions are set up, and the words for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from sfu.kind import Kind

Address = tuple[str, int]
"""IP address as text (no zone, no brackets) and port."""


class Path(NamedTuple):
    """One 5-tuple as seen from here. `protocol` is "udp" or "tcp" (RFC 6544 passive, RFC 4571 framing)."""

    protocol: str
    local: Address
    remote: Address


class Codec(StrEnum):
    """What the engine must know of a payload to find frames, layers and keyframes in it."""

    OPUS = "opus"
    RED = "red"
    VP8 = "vp8"
    VP9 = "vp9"
    H264 = "h264"
    AV1 = "av1"
    OTHER = "other"  # forwarded as it is: every packet counts as a keyframe


class Extension(StrEnum):
    """RTP header extensions by URI (RFC 8285)."""

    MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
    RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
    REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
    AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
    TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
    ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
    ABS_CAPTURE_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
    VIDEO_ORIENTATION = "urn:3gpp:video-orientation"
    PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
    DEPENDENCY_DESCRIPTOR = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"


class SrtpProfile(StrEnum):
    """Protection profiles, named as in the DTLS-SRTP registry (RFC 5764, RFC 7714)."""

    AEAD_AES_128_GCM = "SRTP_AEAD_AES_128_GCM"
    AEAD_AES_256_GCM = "SRTP_AEAD_AES_256_GCM"
    AES128_CM_SHA1_80 = "SRTP_AES128_CM_SHA1_80"


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Master keys and salts of both directions. Key bytes: 16, 32, 16; salt bytes: 12, 12, 14, by profile."""

    profile: SrtpProfile
    rx_key: bytes = field(repr=False)
    rx_salt: bytes = field(repr=False)
    tx_key: bytes = field(repr=False)
    tx_salt: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TransportConfig:
    """Limits of one transport. Rates of 0 mean no limit.

    `group`: transports can subscribe to tracks of their own group only (code `other_group`). A runtime that works on
    several cores keeps each group in one place. `set_group` and `join_groups` change it.
    """

    group: int = 0
    max_ssrcs: int = 64
    max_packets_per_s: int = 20_000
    max_bitrate_bps: int = 0
    max_feedback_per_s: int = 200
    """Transport-wide feedback packets; libwebrtc gives 20 at most."""


@dataclass(frozen=True, slots=True)
class InboundPayload:
    """One payload type that a track may arrive with."""

    payload_type: int
    codec: Codec
    clock_rate: int
    rtx_payload_type: int | None = None


@dataclass(frozen=True, slots=True)
class InboundLayer:
    """One stream of a track. SSRCs are None when only MID/RID will tell them."""

    ssrc: int | None = None
    rtx_ssrc: int | None = None
    rid: str | None = None


@dataclass(frozen=True, slots=True)
class TrackConfig:
    """A track as its publisher sends it. `layers` go from lowest to highest resolution."""

    kind: Kind
    payloads: Sequence[InboundPayload]
    layers: Sequence[InboundLayer]
    mid: str | None = None
    extensions: Mapping[Extension, int] = field(default_factory=dict)
    nack: bool = False
    max_bitrate_bps: int = 0
    pli: bool = True
    """The publisher takes PLI (RFC 4585 §6.3.1); without it none is ever sent."""
    keyframe_cache_bytes: int = 0
    """Payload bytes that the keyframe cache of each stream may hold; 0: no cache. Video only."""


@dataclass(frozen=True, slots=True)
class OutboundPayload:
    """What an inbound payload type becomes for one subscriber."""

    payload_type: int
    rtx_payload_type: int | None = None
    strip_red: bool = False
    redundancy: int = 0
    """Of sound: how many earlier frames each packet carries besides its own, as RED of `payload_type` (RFC 2198); at
    most `MAX_REDUNDANCY`. 0: what the publisher sent."""
    redundancy_step: int = 1
    """How many frames those are apart, from the packet's own on: 2 means the second and the fourth before it. At most
    `MAX_REDUNDANCY_STEP`. What is lost in a row is found in what comes after it."""
    frame_type: int = 0
    """With `redundancy`: the payload type that the frames inside have."""


@dataclass(frozen=True, slots=True)
class SubscriptionConfig:
    """How one subscriber receives one track. `payloads` is keyed by the publisher's payload type; a packet whose
    type is not in it is withheld (`no_payload_for_subscriber`)."""

    ssrc: int
    mid: str
    cname: str
    payloads: Mapping[int, OutboundPayload]
    rtx_ssrc: int | None = None
    fec_ssrc: int | None = None
    fec_payload_type: int = 0
    """Of video: the repair packets (FlexFEC-03) of a subscriber that takes some; see `set_fec`."""
    extensions: Mapping[Extension, int] = field(default_factory=dict)
    nack: bool = False
    cache_packets: int = 512
    ccfb: bool = False
    """The peer reports on packets by their RTP numbers (RFC 8888). Transport-cc numbers, where `extensions` has an id
    for them, are used instead."""

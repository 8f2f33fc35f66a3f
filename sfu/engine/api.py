"""The engine contract: what a packet engine does, and the only way to talk to one.

This docstring is the specification of both engines. Where an engine and this text disagree, the RFCs named
here decide, then this text, then the older engine.

Shape
-----
A `PacketEngine` is sans-IO. Datagrams go in with `handle_datagram`, time goes in with `handle_timeout`, and
after either the caller drains `poll_transmit` and `poll_event` until they return None. It reads no clock,
opens no socket and draws no randomness but from the seed it was made with; it iterates in insertion order.
The same calls in the same order give the same bytes out. An `EngineRuntime` is a `PacketEngine` plus sockets,
clock and driver: the reference engine runs under `sfu.engine.driver.AsyncioRuntime`; a native engine brings its
own threads and offers the same interface.

Commands (`EngineCommands`) carry no time: what they cause leaves with the next `handle_datagram` or
`handle_timeout`. A driver calls `handle_timeout` at least every `TICK_NS` while transports exist. Datagrams of one
transport leave in order; of those that wait, all of one transport come before the next one's (runs for UDP GSO).

Input never raises. Whatever a datagram holds, the engine forwards it or counts a drop under one of the
`DROP_REASONS`. Misuse (unknown handle, removed track, keys of the wrong length) raises `EngineError`.

Demultiplexing (RFC 7983)
-------------------------
First byte 0..3 STUN, 20..63 DTLS, 128..191 RTP or RTCP (RTCP when the second byte is 192..223, RFC 5761),
anything else or an empty datagram: drop `not_rtc`. STUN is handed up as `StunReceived` from any path, but for consent
checks that are answered here. DTLS is
handed up as `DtlsReceived` only from a path that `allow_path` bound to a transport, else drop `unknown_path`.
RTP and RTCP before `set_srtp`: drop `no_keys`. A path belongs to one transport; a transport has at most
`MAX_PATHS` of them, the oldest that is not the current one is forgotten. `set_path` says where output goes.

Consent (RFC 7675, RFC 8445 §7.3)
---------------------------------
After `set_ice` a binding request that comes on the current path of a transport which has keys is answered at once:
success, XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY, FINGERPRINT. It must name exactly these ufrags, carry the right
MESSAGE-INTEGRITY (and FINGERPRINT, if any), and at most 48 attributes, none of which needs another answer: no
ICE-CONTROLLED, no unknown comprehension-required one. USE-CANDIDATE says nothing new on that path. Other STUN goes up.
`last_check_ns` and `has_answered` (the last 512 transactions) tell of them.

Faults
------
A fault of the engine itself (an exception or a panic that no input should cause) while it works on a datagram or on a
timer ends that transport and nothing else: its paths are forgotten, nothing is sent to it and it gets no new paths;
commands on it work as before, so that its owner can remove it. `EngineStats.faults` counts it, `TransportFailed` tells
it, and the call returns as ever.

SRTP (RFC 3711, RFC 7714)
-------------------------
Profiles AEAD_AES_128_GCM, AEAD_AES_256_GCM, AES128_CM_HMAC_SHA1_80. Replay is checked before decryption
(window 1,024 per SSRC, drop `replayed` or `too_old`), nothing is remembered until the tag verifies (drop
`auth_failed`). `set_srtp` with the keys that are installed already changes nothing. An SSRC that the transport has
not bound and cannot bind by MID/RID is dropped before any cryptography (`unknown_ssrc`).

Inbound streams
---------------
A track arrives as one or more streams, one per spatial layer for simulcast, one for everything else (an SVC
track is one stream with layers inside). A packet finds its stream by SSRC; an unknown SSRC is bound by its MID
extension, and RID or repaired-RID when the track has RIDs (RFC 8852, RFC 8843 §9.2), or, when the transport
has exactly one track whose payload types include it and no MID extension was negotiated, by payload type.
Binding happens after authentication. A transport binds at most `TransportConfig.max_ssrcs` SSRCs. A payload
type that the track did not declare is a drop (`unknown_payload_type`).
Sequence numbers are extended to 64 bits. Duplicates are dropped, also after RTX unwrap (RFC 4588: OSN in front,
the track's `rtx_payload_type` maps back; an RTX payload below 2 bytes is padding: it counts for transport-cc
and is dropped as `padding_only`). Padding is stripped; a packet with nothing but padding is not forwarded.
Audio packets carry their level (RFC 6464) into `audio_levels`.

Feedback to publishers
----------------------
* Generic NACK (RFC 4585) for video streams with `nack`: first request on the second packet after a gap or
  10 ms, whichever is first (reordering), repeated every max(20 ms, RTT) at most 10 times, given up after 1 s; at most
  256 missing per stream; a gap above 512 resets the stream and asks for a keyframe. RTT is the time from the first
  request of a packet to its arrival, smoothed by 1/8; 100 ms before the first one.
* PLI (RFC 4585) when a subscription needs a keyframe: at most one per `KEYFRAME_INTERVAL_NS` per stream; repeated
  at that interval until a keyframe arrives. FIR (RFC 5104) and PLI of subscribers become such requests. None to a
  track without `pli`.
* Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01) every 50 to 100 ms for transports
  whose packets carry the extension.
* Receiver reports (RFC 3550 §6.4.2) every second per transport, with loss, jitter, LSR and DLSR.

Forwarding
----------
Each subscription has its own SSRC, sequence space and timestamp space; starting values come from the seed.
Sequence numbers leave without gaps except where the network lost a packet: packets that the engine withholds
(other layers, padding, muted, paused) leave no hole; one that comes so late that its number is already reserved
is replaced by a packet with nothing but padding. Late packets keep their place. Timestamps stay
continuous over a layer switch: mapped through the sender reports of both layers when both are known, else
by the time passed.
A subscription begins, resumes after pause or mute, and changes stream only at a keyframe (audio: at once), and
asks for one while it waits. Within a stream, temporal layers above the target are withheld (VP8 TID, VP9 TID, AV1
dependency descriptor), and a switch up begins only at a switching point (VP8 Y bit or TID sync, VP9 U bit, AV1 switch
indication). For SVC (VP9, AV1) spatial layers above the target are withheld and the marker bit is set on the last
packet of each forwarded picture. VP8 picture ids and TL0PICIDX are rewritten to be contiguous; VP9 picture ids and
TL0PICIDX, and frame numbers of the AV1 dependency descriptor, over switches and pauses only, since references count
in them (RFC 9628 §4.2). A stream begins at a keyframe, which carries its template structure, so that structures need
no rewriting.
`set_target_layer` sets the highest layer wanted. The engine forwards the best stream that is active and not
above the target, else the lowest active one; a stream is active while its last packet is younger than 2 s, or when no
other stream of the track is.
Header extensions leave with the subscription's ids: MID set to the subscription's, transport-cc numbered per transport
(when it has an id there), abs-send-time set at send, the rest carried over when both sides have an id for it.
RTX (RFC 4588) answers subscribers' NACKs from a cache bounded by `cache_packets`, each packet at most once per
max(RTT, 20 ms) and 10 times; resends are limited to 20 % of the bitrate sent (never below 100 kbit/s), and NACKs to
10,000 numbers a second. A NACK for what is no longer held is counted (`nack_misses`), one above a limit is a drop
(`nack_limited`). Without an RTX payload type the original datagram is resent as it was.
Sender reports every second per subscription: NTP time of the publisher's last report plus the time passed, timestamp
translated into the subscription's space, own packet and octet counts, SDES CNAME (RFC 3550 §6.4.1). None before the
publisher's first. REMB of the subscriber (draft-alvestrand-rmcat-remb-03) becomes `RembReceived`.
A muted track forwards nothing. RED (RFC 2198) passes through, or leaves as its primary block where
`OutboundPayload.strip_red` says so.

Keyframe cache
--------------
Each video stream of a track with `keyframe_cache_bytes` keeps its last keyframe and everything after it, in the order
of arrival, so that a decoder can reach the present from there. A cache that would hold more than that many payload
bytes, `KEYFRAME_CACHE_PACKETS` packets or `KEYFRAME_CACHE_NS` is void until the next keyframe; mute, a restart of the
sequence, and other payload types or extension ids make it void as well. So nothing from before a mute is ever shown
after it.
A subscription that begins or resumes while there is a cache begins with the cached keyframe at the next
`handle_timeout`: its first picture leaves at once, the rest `REPLAY_SPEED` times as fast as it came (a decoder keeps
up, a queue on the way is not flooded, and it ends whatever the bitrate), then it is live, without a gap. Numbers are
contiguous and timestamps keep their distances; cached packets are numbered, kept for NACKs and stamped like others.
A keyframe that arrives meanwhile ends the replay: the subscription goes on there. A subscription begins one replay per
`KEYFRAME_INTERVAL_NS` at most; one that pauses and resumes faster waits.
One that changes over from a stream that is active does so only when the cache spans at most `REPLAY_ALONE_NS`: beyond
that, going on in the other layer until the next keyframe is better to look at than the past. Up to that span no
keyframe is asked for, as the replay is over in a seventh of it, and a keyframe would cost every other subscriber;
beyond it one is asked for beside the replay, and cuts it short.

Limits
------
`TransportConfig` holds token buckets for packets and bits per second, `TrackConfig` one for bits (drop `policed`; a
burst of one second; only authentic packets pay), and the SSRC cap.
A datagram above `MAX_DATAGRAM_BYTES` is dropped (`too_long`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from sfu.ids import SubscriptionHandle, TrackHandle, TransportHandle
from sfu.kind import Kind as Kind

TICK_NS = 10_000_000
KEYFRAME_INTERVAL_NS = 500_000_000
KEYFRAME_CACHE_PACKETS = 4096
KEYFRAME_CACHE_NS = 15_000_000_000
REPLAY_SPEED = 8
REPLAY_ALONE_NS = 1_000_000_000
MAX_PATHS = 4
MAX_DATAGRAM_BYTES = 1500
HIGHEST_LAYER = 255
"""`set_target_layer` with this value means "whatever is best"."""

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


@dataclass(frozen=True, slots=True)
class SubscriptionConfig:
    """How one subscriber receives one track. `payloads` is keyed by the publisher's payload type; a packet whose
    type is not in it is withheld (`no_payload_for_subscriber`)."""

    ssrc: int
    mid: str
    cname: str
    payloads: Mapping[int, OutboundPayload]
    rtx_ssrc: int | None = None
    extensions: Mapping[Extension, int] = field(default_factory=dict)
    nack: bool = False
    cache_packets: int = 512


@dataclass(frozen=True, slots=True)
class Transmit:
    """A datagram to send. `data` is final: protected, with its transport-cc number and send time set."""

    path: Path
    data: bytes


@dataclass(frozen=True, slots=True)
class StunReceived:
    path: Path
    data: bytes


@dataclass(frozen=True, slots=True)
class DtlsReceived:
    transport: TransportHandle
    path: Path
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """First authenticated packet of a layer of a track."""

    track: TrackHandle
    layer: int
    ssrc: int
    payload_type: int


@dataclass(frozen=True, slots=True)
class LayerChanged:
    """The layer that a subscription really receives; both None while it receives nothing."""

    subscription: SubscriptionHandle
    spatial: int | None
    temporal: int | None


@dataclass(frozen=True, slots=True)
class RembReceived:
    transport: TransportHandle
    bitrate_bps: int


@dataclass(frozen=True, slots=True)
class TransportFailed:
    """The engine itself failed while it worked for this transport, whose input and output have ended."""

    transport: TransportHandle


Event = TransportFailed | StunReceived | DtlsReceived | StreamStarted | LayerChanged | RembReceived

DROP_REASONS = (
    "not_rtc",
    "too_long",
    "unknown_path",
    "no_keys",
    "malformed",
    "unknown_ssrc",
    "unknown_payload_type",
    "ssrc_limit",
    "replayed",
    "too_old",
    "auth_failed",
    "duplicate",
    "padding_only",
    "muted",
    "policed",
    "no_payload_for_subscriber",
    "nack_limited",
)
"""Every reason a packet can be dropped for; `EngineStats.drops` has all of them as keys."""


class AudioLevel(NamedTuple):
    """Loudness of one audio track since the last call. `level_dbov` 0 (loudest) to 127 (silence), the mean of the
    active packets weighted towards loud ones; `active_ms` is speech time (packets at or above -45 dBov: level
    <= 45)."""

    track: TrackHandle
    level_dbov: int
    active_ms: int


@dataclass(frozen=True, slots=True)
class LayerStats:
    """One inbound stream (W3C RTCInboundRtpStreamStats names where they exist)."""

    layer: int
    ssrc: int | None
    packets_received: int
    bytes_received: int
    packets_lost: int
    jitter_ms: float
    nacks_sent: int
    plis_sent: int
    keyframes_received: int
    bitrate_bps: int
    active: bool


@dataclass(frozen=True, slots=True)
class TrackStats:
    track: TrackHandle
    layers: Sequence[LayerStats]


@dataclass(frozen=True, slots=True)
class SubscriptionStats:
    """One outbound stream (W3C RTCOutboundRtpStreamStats names where they exist)."""

    subscription: SubscriptionHandle
    packets_sent: int
    bytes_sent: int
    retransmitted_packets_sent: int
    nacks_received: int
    nack_misses: int
    plis_received: int
    fraction_lost: float
    rtt_ms: float | None
    spatial: int | None
    temporal: int | None


@dataclass(frozen=True, slots=True)
class TransportStats:
    transport: TransportHandle
    packets_received: int
    bytes_received: int
    packets_sent: int
    bytes_sent: int
    remb_bps: int | None


@dataclass(frozen=True, slots=True)
class EngineStats:
    transports: Sequence[TransportStats]
    tracks: Sequence[TrackStats]
    subscriptions: Sequence[SubscriptionStats]
    drops: Mapping[str, int]
    checks_answered: int
    faults: int
    packets_received: int
    packets_sent: int
    bytes_received: int
    bytes_sent: int


class EngineCommands(Protocol):
    """What the control plane asks of an engine. Handles are per engine, from 1, never reused."""

    def add_transport(self, config: TransportConfig) -> TransportHandle: ...

    def set_srtp(self, transport: TransportHandle, keys: SrtpKeys) -> None:
        """Install keys. Calling it again (DTLS restarted) replaces them and starts fresh replay windows."""
        ...

    def allow_path(self, transport: TransportHandle, path: Path) -> None:
        """Bind `path` to the transport. A path bound elsewhere moves here."""
        ...

    def set_path(self, transport: TransportHandle, path: Path) -> None:
        """Send to `path` from now on (allowing it if it was not)."""
        ...

    def forget_path(self, path: Path) -> None:
        """A TCP connection closed. Unknown paths are ignored."""
        ...

    def set_ice(self, transport: TransportHandle, local_ufrag: str, local_pwd: str, remote_ufrag: str) -> None:
        """Answer consent checks with these credentials from now on."""
        ...

    def last_check_ns(self, transport: TransportHandle) -> int | None:
        """When the last consent check was answered here, in the time of `handle_datagram`; None before the first."""
        ...

    def has_answered(self, transport: TransportHandle, transaction_id: bytes) -> bool:
        """Whether a consent check with this transaction id was answered here: on another path it is a replay."""
        ...

    def remove_transport(self, transport: TransportHandle) -> None:
        """Forget it with its tracks and subscriptions, and the subscriptions of those tracks."""
        ...

    def set_group(self, transports: Sequence[TransportHandle], group: int) -> None:
        """These transports, which are of one group, go on in another with their tracks and subscriptions. Media flows
        on, handles stay. Nothing has changed after an error: `still_subscribed` (one of them shares a subscription with
        a transport that would stay behind), `invalid_config` (not of one group, or a negative number)."""
        ...

    def join_groups(self, group: int, into: int) -> None:
        """The same for all transports of `group`; one without transports is no error."""
        ...

    def add_track(self, transport: TransportHandle, config: TrackConfig) -> TrackHandle: ...

    def set_track_config(self, track: TrackHandle, config: TrackConfig) -> None:
        """New payloads, SSRCs or extensions after renegotiation; streams whose SSRC or RID stays keep their state."""
        ...

    def set_track_muted(self, track: TrackHandle, muted: bool) -> None: ...

    def remove_track(self, track: TrackHandle) -> None: ...

    def request_keyframe(self, track: TrackHandle, layer: int) -> None: ...

    def add_subscription(
        self, transport: TransportHandle, track: TrackHandle, config: SubscriptionConfig
    ) -> SubscriptionHandle:
        """Starts paused: nothing is sent until `set_subscription_paused(…, False)`."""
        ...

    def set_target_layer(self, subscription: SubscriptionHandle, spatial: int, temporal: int) -> None: ...

    def set_subscription_paused(self, subscription: SubscriptionHandle, paused: bool) -> None: ...

    def remove_subscription(self, subscription: SubscriptionHandle) -> None: ...

    def audio_levels(self) -> list[AudioLevel]:
        """Levels of the audio tracks that were heard since the last call; resets them."""
        ...

    def stats(self) -> EngineStats: ...


class PacketEngine(EngineCommands, Protocol):
    """A sans-IO engine. `now_ns` is monotonic, never goes back, and any origin will do."""

    def handle_datagram(self, now_ns: int, path: Path, data: bytes) -> None: ...

    def handle_timeout(self, now_ns: int) -> None: ...

    def next_timeout_ns(self) -> int | None:
        """When `handle_timeout` is due at the latest; None when nothing is pending."""
        ...

    def poll_transmit(self) -> Transmit | None: ...

    def poll_event(self) -> Event | None: ...


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """Where a runtime listens: one UDP and one TCP socket per local address (TCP port 0 = no ICE-TCP)."""

    addresses: Sequence[str]
    udp_port: int
    tcp_port: int
    max_tcp_connections: int = 1000
    max_unauthenticated_tcp: int = 100
    socket_buffer_bytes: int = 4 * 1024 * 1024
    max_queued_packets: int = 16_384
    """Decided packets that may wait for a thread to send them, in each send queue of a runtime that has such."""
    max_hold_ns: int = 0
    """How long a large fan-out may wait for others that follow closely, in a runtime that holds such."""


class EngineRuntime(Protocol):
    """An engine at work: sockets, clock and driver around `EngineCommands`.

    Used from the event loop's thread only. Events arrive at `on_event` in that thread, one at a time, in order.
    """

    name: str
    commands: EngineCommands

    async def open(self, listen: ListenConfig, on_event: Callable[[Event], None]) -> None:
        """Bind every address. Raises `BindError` naming the address and port when one cannot be opened."""
        ...

    def send(self, path: Path, data: bytes) -> None:
        """Send a STUN reply or a DTLS record. Never blocks, never raises: what cannot leave is counted."""
        ...

    def now_ns(self) -> int: ...

    def io_stats(self) -> Mapping[str, int]:
        """Counters of the sockets: datagrams and bytes in and out, send_failures, tcp_connections, tcp_refused."""
        ...

    async def close(self) -> None: ...

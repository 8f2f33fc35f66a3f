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
`handle_timeout`. A driver calls `handle_timeout` at `next_timeout_ns` at the latest, which every call, also that of a
command, can bring forward: at most `TICK_NS` after the last time while something waits for the clock (a NACK, video
that is held, a cluster of a probe, a keyframe or a replay that is wanted, feedback that came, what a command made), as
long as `IDLE_TICK_NS` when nothing does, and in time for feedback every 50 to 60 ms. Datagrams of one
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
* Generic NACK (RFC 4585) for video streams with `nack`: first request on the second packet after a gap or 10 ms,
  whichever is first, as long as nothing is known of the line. A packet that comes unasked, or in less than half of the
  RTT, and not as RTX, was overtaken: from then on missing ones are waited for by a quarter more than it took (100 ms at
  most); each that had to be asked for makes that an eighth shorter, and below 1 ms they are asked for at once. Repeated
  every max(20 ms, 9/8 RTT + 5 ms) at most 10 times, given up after 1 s, and before that when a keyframe begins that is
  newer; at most 256 missing per stream; a gap above 512 resets the stream and asks for a keyframe. RTT is the time from
  the request that was answered to the arrival, smoothed by 1/8; 100 ms before the first one. What is missing between
  the last packet of a picture and the first one of the next (by picture ids or frame numbers) was padding: it is not
  asked for any more, and left out as if it had arrived. A stream that somebody receives and that has missed a packet
  for 400 ms, and 4 RTT, asks for a keyframe. While its publisher is braked (see Congestion) nothing is asked for again,
  and what has been missing for 400 ms is given up for a keyframe.
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
RTX (RFC 4588) answers subscribers' NACKs from the last `cache_packets` numbers, as far as those are of the last 32 or
were sent within max(1 s, 3 RTT) before the newest, each packet at most once per max(RTT, 20 ms) and 10 times; resends
are limited to 20 % of the bitrate sent, or twice the share that the subscriber reports as lost (RFC 3550 §6.4.1) where
that is more, to 50 % at most and never below 100 kbit/s, and NACKs to 10,000 numbers a second. Where a tenth is lost
and the line has shown no limit, each resend goes out twice, as two RTX packets, for half of that at most, and counts
once in `retransmitted_packets_sent`. A NACK for what is no longer held, or while the subscription is paused, is counted
(`nack_misses`), one above a limit is a drop (`nack_limited`). Without an RTX payload type the original datagram is
resent as it was.
Video whose subscription has a `fec_ssrc`, and as long as `set_fec` says so and it is not paced, is followed by repair
packets (FlexFEC, draft-ietf-payload-flexible-fec-scheme-03 §4.2.2.1, flexible mask of 15 bits, one SSRC): each is the
XOR of as many packets of one picture, or of what is left over of it, and leaves right behind the last of them. A
packet that comes late, that is alone in its picture, or that has more than 1,300 bytes behind its fixed header is in
none. Packets are taken as they leave, with zeros for what of their header extensions is set only then (transport-cc,
abs-send-time). Repair packets have a sequence of their own, the timestamp of the picture, MID and transport-cc number;
they are not resent, and count in `fec_packets_sent` alone of the figures of a subscription.
Sender reports every second per subscription: NTP time of the publisher's last report plus the time passed, timestamp
translated into the subscription's space, own packet and octet counts, SDES CNAME (RFC 3550 §6.4.1). None before the
publisher's first. REMB of the subscriber (draft-alvestrand-rmcat-remb-03) becomes `RembReceived`.
A muted track forwards nothing. RED (RFC 2198) passes through, or leaves as its primary block where
`OutboundPayload.strip_red` says so, or is made here where `OutboundPayload.redundancy` does: of the frame that came,
Opus or the primary block, and of the frames of the stream before it that are known, those that were lost and came as
redundant blocks included, every `redundancy_step`-th, the newest of them; none that is older than a block can say
(2^14 of the clock), empty or longer than 1,023 bytes, and so few that the payload has at most `MAX_RED_BYTES`. Frames
are remembered from when the first subscription of the track wants redundancy.

Congestion
----------
Where a subscription's packets carry transport-cc numbers, the peer's transport-wide feedback makes an estimate of what
its line takes; where they do not and `SubscriptionConfig.ccfb` is set, its congestion control feedback does (RFC 8888):
by SSRC and RTP number, without ECN; a packet of unknown time, or one of 8 s ago, has arrived and says nothing else.
The estimate is None until the line has shown a limit, then `EstimateChanged` tells it, within a tick of the feedback.
Packets are judged in groups of 50 ms by when they were sent. The fastest of each group against the fastest of the last
ten seconds is the queue; a trend over eight groups, a steep rise, a queue that loses, or one that lingers is overuse.
Sooner than that, packets in a row each of which took longer than the one before, by 90 ms in all and none by more than
half of that, say at what rate the line takes them: the first estimate, or one that was more than 1.6 times of it,
becomes 90 % of it.
Overuse, or more than 40 % lost, cuts the estimate to 85 % of what arrived, at most every 300 ms; without a queue it
grows by 8 % a second up to 1.5 times what arrives, more slowly where a queue began to grow the last time.
A packet is lost when one that was sent 100 ms later has arrived; where nothing sent within 500 ms has, the way was
gone, and that is no measure of it. Numbers that were never sent, or were told before, say nothing; at most 2,048
packets wait for their feedback, 256 before the first. Datagrams with more than `max_feedback_per_s` of it are not read
(`feedback_limited`).
As long as the estimate is below `set_wanted_bitrate`, the line is probed: for 50 ms as much padding (RTX packets that
hold nothing else, on the first subscription that can carry them) as makes 1.1 times the wanted bitrate, at most three
times the estimate. What arrived, and how fast, raises the estimate, and as much as the line lost in the second before
(40 % at most) counts as if it had arrived; after a probe that did not arrive as it was sent
the next one waits for 1.5 s, after a cut for 1 s.
Before the first feedback, for 500 ms at most, video and what is replayed of it leaves at 2.5 Mbit/s, 80 ms of that at
once.
Where there is an estimate, video is paced: at 2.5 times of it until 150 ms more have left than it allows, then at 1.25
times; at 0.8 times while the queue on the way is above 60 ms. Sound, resends and probes leave at once and count. What
may not leave waits, before it is numbered: until its turn, the longest waiting first at every tick, or until a newer
keyframe of its stream comes. Once a packet has waited for 200 ms, only the lowest temporal layer goes on, until 2 s
after the last time; after 1 s (2 s for a keyframe), or with 2,048 packets, all that waits of its subscription is left
out, which begins again at a keyframe. What is left out counts as `pacer_full`.

The other way, a publisher whose packets carry transport-cc numbers and abs-send-time is braked when its line becomes
narrow: the same trends of delay, of what arrives, bring a REMB (draft-alvestrand-rmcat-remb-03) at the next tick, of
60 % of what arrived in the last 120 ms, repeated every 50 ms, and 90 % once the queue is below 60 ms. When it has been
so for 200 ms, or after 2.5 s whatever the queue, a REMB of 1 Gbit/s, told five times, ends it; a new one comes after
1 s at the earliest; each is told (`UplinkNarrowed`). While it holds and for 2 s afterwards keyframes are asked for
every 2 s at most.

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
beyond it one is asked for beside the replay, and cuts it short. Where the line has shown a limit (see Congestion) and
the publisher takes PLI, nobody begins with a cache: it waits for the keyframe.

Limits
------
`TransportConfig` holds token buckets for packets and bits per second, `TrackConfig` one for bits (drop `policed`; a
burst of one second; only authentic packets pay), and the SSRC cap.
A datagram above `MAX_DATAGRAM_BYTES` is dropped (`too_long`).
"""

from sfu.engine.api.config import (
    Address,
    Codec,
    Extension,
    InboundLayer,
    InboundPayload,
    OutboundPayload,
    Path,
    SrtpKeys,
    SrtpProfile,
    SubscriptionConfig,
    TrackConfig,
    TransportConfig,
)
from sfu.engine.api.data import (
    NOT_READY,
    NOT_TAKEN,
    DataLink,
    DataListener,
    DataNews,
    DataOptions,
    DtlsSecrets,
)
from sfu.engine.api.drops import (
    DROP_REASONS,
)
from sfu.engine.api.engine import (
    EngineCommands,
    PacketEngine,
)
from sfu.engine.api.events import (
    DtlsReceived,
    EstimateChanged,
    Event,
    LayerChanged,
    RembReceived,
    StreamStarted,
    StunReceived,
    Transmit,
    TransportFailed,
    UplinkNarrowed,
)
from sfu.engine.api.limits import (
    HIGHEST_LAYER,
    IDLE_TICK_NS,
    KEYFRAME_CACHE_NS,
    KEYFRAME_CACHE_PACKETS,
    KEYFRAME_INTERVAL_NS,
    MAX_DATAGRAM_BYTES,
    MAX_FEC_PACKETS,
    MAX_PATHS,
    MAX_RED_BYTES,
    MAX_REDUNDANCY,
    MAX_REDUNDANCY_STEP,
    MAX_WANTED_BPS,
    OVERHEAD_BYTES,
    REPLAY_ALONE_NS,
    REPLAY_SPEED,
    TICK_NS,
)
from sfu.engine.api.runtime import (
    EngineRuntime,
    ListenConfig,
)
from sfu.engine.api.stats import (
    AudioLevel,
    EngineStats,
    LayerStats,
    SubscriptionStats,
    TrackStats,
    TransportStats,
)
from sfu.kind import Kind

__all__ = [
    "DROP_REASONS",
    "HIGHEST_LAYER",
    "IDLE_TICK_NS",
    "KEYFRAME_CACHE_NS",
    "KEYFRAME_CACHE_PACKETS",
    "KEYFRAME_INTERVAL_NS",
    "MAX_DATAGRAM_BYTES",
    "MAX_FEC_PACKETS",
    "MAX_PATHS",
    "MAX_REDUNDANCY",
    "MAX_REDUNDANCY_STEP",
    "MAX_RED_BYTES",
    "MAX_WANTED_BPS",
    "NOT_READY",
    "NOT_TAKEN",
    "OVERHEAD_BYTES",
    "REPLAY_ALONE_NS",
    "REPLAY_SPEED",
    "TICK_NS",
    "Address",
    "AudioLevel",
    "Codec",
    "DataLink",
    "DataListener",
    "DataNews",
    "DataOptions",
    "DtlsReceived",
    "DtlsSecrets",
    "EngineCommands",
    "EngineRuntime",
    "EngineStats",
    "EstimateChanged",
    "Event",
    "Extension",
    "InboundLayer",
    "InboundPayload",
    "Kind",
    "LayerChanged",
    "LayerStats",
    "ListenConfig",
    "OutboundPayload",
    "PacketEngine",
    "Path",
    "RembReceived",
    "SrtpKeys",
    "SrtpProfile",
    "StreamStarted",
    "StunReceived",
    "SubscriptionConfig",
    "SubscriptionStats",
    "TrackConfig",
    "TrackStats",
    "Transmit",
    "TransportConfig",
    "TransportFailed",
    "TransportStats",
    "UplinkNarrowed",
]

"""Figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sfu.ids import SubscriptionHandle, TrackHandle, TransportHandle


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
    fec_packets_sent: int = 0
    """Repair packets."""


@dataclass(frozen=True, slots=True)
class TransportStats:
    transport: TransportHandle
    packets_received: int
    bytes_received: int
    packets_sent: int
    bytes_sent: int
    remb_bps: int | None
    estimate_bps: int | None
    """From transport-wide feedback; None: none, or no limit has shown."""
    acknowledged_bps: int
    """What of it arrived lately, on the line."""
    feedback_lost: int
    """Packets that transport-wide feedback says are lost."""
    probes_sent: int
    feedback_loss_runs: int = 0
    """How many times one of `feedback_lost` was lost after one that was not."""


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

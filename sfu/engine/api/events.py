"""What an engine sends and tells."""

from __future__ import annotations

from dataclasses import dataclass

from sfu.engine.api.config import Path
from sfu.ids import SubscriptionHandle, TrackHandle, TransportHandle


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
class EstimateChanged:
    """What the line to a peer takes, as far as its transport-wide feedback tells: bits per second, with
    `OVERHEAD_BYTES` for each packet. At most every 50 ms."""

    transport: TransportHandle
    bitrate_bps: int


@dataclass(frozen=True, slots=True)
class UplinkNarrowed:
    """Packets of a publisher wait longer and longer on their way here: its line takes no more than that, in bits per
    second with `OVERHEAD_BYTES` for each packet. At most every 300 ms."""

    transport: TransportHandle
    bitrate_bps: int


@dataclass(frozen=True, slots=True)
class TransportFailed:
    """The engine itself failed while it worked for this transport, whose input and output have ended."""

    transport: TransportHandle


Event = (
    TransportFailed
    | StunReceived
    | DtlsReceived
    | StreamStarted
    | LayerChanged
    | RembReceived
    | EstimateChanged
    | UplinkNarrowed
)

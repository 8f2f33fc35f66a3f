//! What an engine tells.

use super::config::{Path, SubscriptionHandle, TrackHandle, TransportHandle};

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
    /// What the line to a peer takes, as far as its transport-wide feedback tells.
    EstimateChanged {
        /// The peer's transport.
        transport: TransportHandle,
        /// Bits per second, with `OVERHEAD_BYTES` for each packet.
        bitrate_bps: u64,
    },
    /// Packets of a publisher wait longer and longer on their way here: its line takes no more than that.
    UplinkNarrowed {
        /// The publisher's transport.
        transport: TransportHandle,
        /// Bits per second, with `OVERHEAD_BYTES` for each packet.
        bitrate_bps: u64,
    },
    /// The subscriber's bandwidth estimate (draft-alvestrand-rmcat-remb-03).
    RembReceived {
        /// The subscriber's transport.
        transport: TransportHandle,
        /// Bits per second.
        bitrate_bps: u64,
    },
}

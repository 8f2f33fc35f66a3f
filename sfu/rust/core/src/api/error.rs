//! Misuse.

use std::fmt;

use super::config::{SrtpProfile, SubscriptionHandle, TrackHandle, TransportHandle};

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
    /// Nobody wants so much.
    InvalidBitrate(u64),
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
            Self::InvalidBitrate(_) => "invalid_bitrate",
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
            Self::InvalidBitrate(bitrate_bps) => write!(f, "nobody wants {bitrate_bps} bits per second"),
            Self::InvalidConfig(what) => f.write_str(what),
            Self::InvalidKeys(profile) => write!(f, "key or salt of the wrong length for {profile:?}"),
        }
    }
}

impl std::error::Error for Error {}

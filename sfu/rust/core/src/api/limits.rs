//! Numbers of the contract.

/// Longest time between two calls of `Engine::handle_timeout` while something waits for the clock, in ns.
pub const TICK_NS: u64 = 10_000_000;
/// The same while nothing does, as long as transports exist.
pub const IDLE_TICK_NS: u64 = 60_000_000;
/// Shortest time between two keyframe requests for one stream, in ns.
pub const KEYFRAME_INTERVAL_NS: u64 = 500_000_000;
/// Packets that a keyframe cache holds at most.
pub const KEYFRAME_CACHE_PACKETS: usize = 4096;
/// Time that a keyframe cache spans at most, in ns.
pub const KEYFRAME_CACHE_NS: u64 = 15_000_000_000;
/// What a packet takes on a line beside its payload, about: IPv4, UDP, RTP header with extensions, SRTP tag.
pub const OVERHEAD_BYTES: u32 = 70;
/// Highest bitrate that can be wanted of a line.
pub const MAX_WANTED_BPS: u64 = 1_000_000_000;
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
/// Earlier frames of sound in a packet that is made with redundancy.
pub const MAX_REDUNDANCY: usize = 3;
/// How many frames those are apart at most.
pub const MAX_REDUNDANCY_STEP: usize = 4;
/// Packets that share a repair packet: the shortest mask has as many bits.
pub const MAX_FEC_PACKETS: u32 = 15;
/// Of a payload with redundancy that is made here: it fits where any packet does.
pub const MAX_RED_BYTES: usize = 1000;

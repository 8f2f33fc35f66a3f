//! RTCP: compound packets in and out (RFC 3550 §6, RFC 4585, RFC 5104, RFC 5506, draft-alvestrand-rmcat-remb-03).
//!
//! [`parse_compound`] returns `None` when the framing lies (version, lengths, too many sub-packets): drop the datagram
//! as malformed. Inside sound framing, a sub-packet of a known type whose body lies becomes [`RtcpPacket::Skipped`]
//! with `malformed` set, an unknown type one without, and its neighbours count. Builders append single packets to
//! `out`; their arguments are trusted.

mod build;
mod ntp;
mod packets;
mod parse;

pub use build::{build_nack, build_pli, build_remb, build_rr, build_sdes, build_sr};
pub use ntp::{ns_to_short, ntp_add_ns, ntp_diff_ns, ntp_short};
pub use packets::{
    MAX_NACK_SEQS, MAX_REPORT_BLOCKS, MAX_SUB_PACKETS, ReportBlock, RtcpPacket, SdesChunk, SenderReport,
};
pub use parse::parse_compound;

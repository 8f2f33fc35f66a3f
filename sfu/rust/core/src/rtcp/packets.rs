//! What RTCP says, and how much of it is taken.

use crate::congestion_feedback::CongestionFeedback;
use crate::transport_feedback::TransportFeedback;

/// Sub-packets of one compound; more is malformed. Reports and names of many streams may share 1,500 bytes: 57.
pub const MAX_SUB_PACKETS: usize = 64;
/// Sequence numbers taken from all NACKs of one compound; the rest is ignored.
pub const MAX_NACK_SEQS: usize = 1024;
/// Report blocks of one SR or RR.
pub const MAX_REPORT_BLOCKS: usize = 31;

pub(super) const PT_SR: u8 = 200;
pub(super) const PT_RR: u8 = 201;
pub(super) const PT_SDES: u8 = 202;
pub(super) const PT_BYE: u8 = 203;
pub(super) const PT_RTPFB: u8 = 205;
pub(super) const PT_PSFB: u8 = 206;
pub(super) const FMT_NACK: u8 = 1;
pub(super) const FMT_CCFB: u8 = 11;
pub(super) const FMT_TWCC: u8 = 15;
pub(super) const FMT_PLI: u8 = 1;
pub(super) const FMT_FIR: u8 = 4;
pub(super) const FMT_AFB: u8 = 15;
pub(super) const REMB_MANTISSA_BITS: u32 = 18;
pub(super) const SDES_CNAME: u8 = 1;

/// RFC 3550 §6.4.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream reported on.
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// 24 bits, signed; cut to them when built.
    pub packets_lost: i64,
    /// Extended highest sequence number, as on the wire.
    pub highest_seq: u32,
    /// In timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time; 0 when unknown.
    pub lsr: u32,
    /// Since that report, in 1/65536 s; 0 when unknown.
    pub dlsr: u32,
}

/// RFC 3550 §6.4.1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderReport {
    /// The sender.
    pub ssrc: u32,
    /// Seconds since 1900 in 32.32 fixed point.
    pub ntp: u64,
    /// The same moment in timestamp units.
    pub rtp_timestamp: u32,
    /// 32 bits on the wire, where it wraps.
    pub packet_count: u64,
    /// Payload bytes; 32 bits on the wire, where it wraps.
    pub octet_count: u64,
    /// At most 31.
    pub reports: Vec<ReportBlock>,
}

/// One chunk of an SDES packet (RFC 3550 §6.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SdesChunk {
    /// Who is described.
    pub ssrc: u32,
    /// `None` when the chunk has none; bytes that are not UTF-8 are replaced.
    pub cname: Option<String>,
}

/// One sub-packet of a compound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RtcpPacket {
    /// RFC 3550 §6.4.1.
    SenderReport(SenderReport),
    /// RFC 3550 §6.4.2.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// At most 31.
        reports: Vec<ReportBlock>,
    },
    /// RFC 3550 §6.5.
    Sdes(Vec<SdesChunk>),
    /// RFC 3550 §6.6: the SSRCs that leave.
    Bye(Vec<u32>),
    /// Generic NACK (RFC 4585 §6.2.1).
    Nack {
        /// Who asks.
        sender_ssrc: u32,
        /// Whose packets are missing.
        media_ssrc: u32,
        /// As listed, PID and BLP expanded, without repeats.
        seqs: Vec<u16>,
    },
    /// Picture loss indication (RFC 4585 §6.3.1).
    Pli {
        /// Who asks.
        sender_ssrc: u32,
        /// Who is asked for a keyframe.
        media_ssrc: u32,
    },
    /// Full intra request (RFC 5104 §4.3.1).
    Fir {
        /// Who asks.
        sender_ssrc: u32,
        /// (media SSRC, command sequence number).
        entries: Vec<(u32, u8)>,
    },
    /// Receiver estimated maximum bitrate.
    Remb {
        /// Who estimates.
        sender_ssrc: u32,
        /// At most 2^63 - 1: above is malformed.
        bitrate_bps: u64,
        /// The streams that share it.
        ssrcs: Vec<u32>,
    },
    /// Transport-wide congestion control feedback.
    TransportFeedback(TransportFeedback),
    /// RFC 8888 §3.1.
    CongestionFeedback(CongestionFeedback),
    /// A sub-packet of an unknown type (XR, APP, other feedback), or of a known one whose body lies.
    Skipped {
        /// As on the wire.
        packet_type: u8,
        /// The body lies.
        malformed: bool,
    },
}

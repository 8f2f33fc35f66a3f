//! RTCP: compound packets in and out (RFC 3550 §6, RFC 4585, RFC 5104, RFC 5506, draft-alvestrand-rmcat-remb-03).
//!
//! [`parse_compound`] returns `None` when the framing lies (version, lengths, too many sub-packets): drop the datagram
//! as malformed. Inside sound framing, a sub-packet of a known type whose body lies becomes [`RtcpPacket::Skipped`]
//! with `malformed` set, an unknown type one without, and its neighbours count. Builders append single packets to
//! `out`; their arguments are trusted.

use crate::transport_feedback::{TransportFeedback, parse_transport_feedback};

/// Sub-packets of one compound; more is malformed. Reports and names of many streams may share 1,500 bytes: 57.
pub const MAX_SUB_PACKETS: usize = 64;
/// Sequence numbers taken from all NACKs of one compound; the rest is ignored.
pub const MAX_NACK_SEQS: usize = 1024;
/// Report blocks of one SR or RR.
pub const MAX_REPORT_BLOCKS: usize = 31;

const PT_SR: u8 = 200;
const PT_RR: u8 = 201;
const PT_SDES: u8 = 202;
const PT_BYE: u8 = 203;
const PT_RTPFB: u8 = 205;
const PT_PSFB: u8 = 206;
const FMT_NACK: u8 = 1;
const FMT_TWCC: u8 = 15;
const FMT_PLI: u8 = 1;
const FMT_FIR: u8 = 4;
const FMT_AFB: u8 = 15;
const SDES_CNAME: u8 = 1;
const NS_PER_S: i128 = 1_000_000_000;

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
    /// A sub-packet of an unknown type (XR, APP, other feedback), or of a known one whose body lies.
    Skipped {
        /// As on the wire.
        packet_type: u8,
        /// The body lies.
        malformed: bool,
    },
}

/// The sub-packets of a decrypted compound (or reduced-size, RFC 5506) packet. `None` when the framing lies.
#[must_use]
pub fn parse_compound(data: &[u8]) -> Option<Vec<RtcpPacket>> {
    let mut packets = Vec::new();
    let mut rest = data;
    let mut nack_budget = MAX_NACK_SEQS;
    while !rest.is_empty() {
        let (&[first, packet_type, high, low], after) = rest.split_first_chunk::<4>()?;
        let (body, after) = after.split_at_checked(4 * usize::from(u16::from_be_bytes([high, low])))?;
        if first & 0xC0 != 0x80 || packets.len() >= MAX_SUB_PACKETS {
            return None;
        }
        let mut packet = parse_one(packet_type, first & 0x1F, body, first & 0x20 != 0);
        if let RtcpPacket::Nack { seqs, .. } = &mut packet {
            seqs.truncate(nack_budget);
            nack_budget -= seqs.len();
        }
        packets.push(packet);
        rest = after;
    }
    (!packets.is_empty()).then_some(packets)
}

type Parser = fn(&[u8], u8) -> Option<RtcpPacket>;

fn parse_one(packet_type: u8, count: u8, body: &[u8], has_padding: bool) -> RtcpPacket {
    let parser: Parser = match (packet_type, count) {
        (PT_SR, _) => parse_sr,
        (PT_RR, _) => parse_rr,
        (PT_SDES, _) => parse_sdes,
        (PT_BYE, _) => parse_bye,
        (PT_RTPFB, FMT_NACK) => parse_nack,
        (PT_RTPFB, FMT_TWCC) => parse_twcc,
        (PT_PSFB, FMT_PLI) => parse_pli,
        (PT_PSFB, FMT_FIR) => parse_fir,
        (PT_PSFB, FMT_AFB) => parse_afb,
        _ => return RtcpPacket::Skipped { packet_type, malformed: false },
    };
    let body = if has_padding { strip_padding(body) } else { Some(body) };
    let parsed = body.and_then(|body| parser(body, count));
    parsed.unwrap_or(RtcpPacket::Skipped { packet_type, malformed: true })
}

fn strip_padding(body: &[u8]) -> Option<&[u8]> {
    let padding = usize::from(*body.last()?);
    if padding == 0 { None } else { body.get(..body.len().checked_sub(padding)?) }
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*word), rest))
}

/// The first `count` 32-bit words. `None` when there are fewer.
fn read_words(bytes: &[u8], count: u8) -> Option<Vec<u32>> {
    let words = bytes.get(..4 * usize::from(count))?;
    Some(words.chunks_exact(4).filter_map(|word| split_u32(word).map(|split| split.0)).collect())
}

fn parse_report_blocks(blocks: &[u8], count: u8) -> Option<Vec<ReportBlock>> {
    let mut reports = Vec::with_capacity(usize::from(count));
    let mut rest = blocks;
    for _ in 0..count {
        let (ssrc, after) = split_u32(rest)?;
        let (loss, after) = split_u32(after)?;
        let (highest_seq, after) = split_u32(after)?;
        let (jitter, after) = split_u32(after)?;
        let (lsr, after) = split_u32(after)?;
        let (dlsr, after) = split_u32(after)?;
        rest = after;
        reports.push(ReportBlock {
            ssrc,
            fraction_lost: (loss >> 24) as u8,
            packets_lost: i64::from((loss << 8).cast_signed() >> 8),
            highest_seq,
            jitter,
            lsr,
            dlsr,
        });
    }
    Some(reports)
}

fn parse_sr(body: &[u8], count: u8) -> Option<RtcpPacket> {
    let (ssrc, rest) = split_u32(body)?;
    let (ntp, rest) = rest.split_first_chunk::<8>()?;
    let (rtp_timestamp, rest) = split_u32(rest)?;
    let (packet_count, rest) = split_u32(rest)?;
    let (octet_count, rest) = split_u32(rest)?;
    Some(RtcpPacket::SenderReport(SenderReport {
        ssrc,
        ntp: u64::from_be_bytes(*ntp),
        rtp_timestamp,
        packet_count: packet_count.into(),
        octet_count: octet_count.into(),
        reports: parse_report_blocks(rest, count)?,
    }))
}

fn parse_rr(body: &[u8], count: u8) -> Option<RtcpPacket> {
    let (ssrc, rest) = split_u32(body)?;
    Some(RtcpPacket::ReceiverReport { ssrc, reports: parse_report_blocks(rest, count)? })
}

fn parse_sdes(body: &[u8], count: u8) -> Option<RtcpPacket> {
    let mut chunks = Vec::with_capacity(usize::from(count));
    let mut rest = body;
    for _ in 0..count {
        let (ssrc, after) = split_u32(rest)?;
        let (cname, after) = parse_sdes_items(after)?;
        rest = after;
        chunks.push(SdesChunk { ssrc, cname });
    }
    Some(RtcpPacket::Sdes(chunks))
}

/// (CNAME, the next chunk). A chunk without its terminating null byte is malformed. `items` begin at 32 bits.
fn parse_sdes_items(items: &[u8]) -> Option<(Option<String>, &[u8])> {
    let mut cname = None;
    let mut rest = items;
    loop {
        let (&item, after) = rest.split_first()?;
        if item == 0 {
            let used = (items.len() - after.len()).next_multiple_of(4);
            return Some((cname, items.get(used..)?));
        }
        let (&size, after) = after.split_first()?;
        let (text, after) = after.split_at_checked(usize::from(size))?;
        if item == SDES_CNAME && cname.is_none() {
            cname = Some(String::from_utf8_lossy(text).into_owned());
        }
        rest = after;
    }
}

fn parse_bye(body: &[u8], count: u8) -> Option<RtcpPacket> {
    read_words(body, count).map(RtcpPacket::Bye)
}

fn parse_nack(body: &[u8], _count: u8) -> Option<RtcpPacket> {
    let (sender_ssrc, rest) = split_u32(body)?;
    let (media_ssrc, items) = split_u32(rest)?;
    if items.is_empty() || items.len() % 4 != 0 {
        return None;
    }
    let mut seqs = SeqList::default();
    for item in items.chunks_exact(4) {
        let (item, _) = split_u32(item)?;
        let (pid, blp) = ((item >> 16) as u16, item as u16);
        seqs.add(pid);
        for bit in 0..16 {
            if blp >> bit & 1 != 0 {
                seqs.add(pid.wrapping_add(bit + 1));
            }
        }
        if seqs.listed.len() >= MAX_NACK_SEQS {
            break;
        }
    }
    seqs.listed.truncate(MAX_NACK_SEQS);
    Some(RtcpPacket::Nack { sender_ssrc, media_ssrc, seqs: seqs.listed })
}

/// Sequence numbers in their order without repeats: an attacker's favourite.
#[derive(Default)]
struct SeqList {
    listed: Vec<u16>,
    /// Bitmaps of 64 numbers each, made as they are needed.
    seen: std::collections::BTreeMap<u16, u64>,
}

impl SeqList {
    fn add(&mut self, seq: u16) {
        let bits = self.seen.entry(seq / 64).or_default();
        let bit = 1 << (seq % 64);
        if *bits & bit == 0 {
            *bits |= bit;
            self.listed.push(seq);
        }
    }
}

fn parse_pli(body: &[u8], _count: u8) -> Option<RtcpPacket> {
    let (sender_ssrc, rest) = split_u32(body)?;
    let (media_ssrc, _) = split_u32(rest)?;
    Some(RtcpPacket::Pli { sender_ssrc, media_ssrc })
}

fn parse_fir(body: &[u8], _count: u8) -> Option<RtcpPacket> {
    let (sender_ssrc, rest) = split_u32(body)?;
    let (_, list) = split_u32(rest)?;
    if list.is_empty() || list.len() % 8 != 0 {
        return None;
    }
    let mut entries = Vec::with_capacity(list.len() / 8);
    for entry in list.chunks_exact(8) {
        let (ssrc, rest) = split_u32(entry)?;
        entries.push((ssrc, *rest.first()?));
    }
    Some(RtcpPacket::Fir { sender_ssrc, entries })
}

fn parse_afb(body: &[u8], _count: u8) -> Option<RtcpPacket> {
    let (sender_ssrc, rest) = split_u32(body)?;
    let (_, rest) = split_u32(rest)?;
    let Some(rest) = rest.strip_prefix(b"REMB") else {
        return Some(RtcpPacket::Skipped { packet_type: PT_PSFB, malformed: false });
    };
    let (&[count, high, middle, low], list) = rest.split_first_chunk::<4>()?;
    let word = u32::from_be_bytes([0, high, middle, low]);
    let bitrate_bps = u128::from(word & 0x3_FFFF) << (word >> 18);
    let bitrate_bps = i64::try_from(bitrate_bps).ok()?.cast_unsigned();
    Some(RtcpPacket::Remb { sender_ssrc, bitrate_bps, ssrcs: read_words(list, count)? })
}

fn parse_twcc(body: &[u8], _count: u8) -> Option<RtcpPacket> {
    parse_transport_feedback(body).map(RtcpPacket::TransportFeedback)
}

// --- builders -----------------------------------------------------------------------------------------------

/// Append a header; `body_bytes` is a multiple of 4.
fn write_header(out: &mut Vec<u8>, count: usize, packet_type: u8, body_bytes: usize) {
    out.extend_from_slice(&[0x80 | count as u8 & 0x1F, packet_type]);
    out.extend_from_slice(&((body_bytes / 4) as u16).to_be_bytes());
}

fn write_words(out: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

fn write_report_blocks(out: &mut Vec<u8>, reports: &[ReportBlock]) {
    for report in reports {
        let lost = report.packets_lost.clamp(-0x80_0000, 0x7F_FFFF) as u32 & 0xFF_FFFF;
        let loss = u32::from(report.fraction_lost) << 24 | lost;
        write_words(out, &[report.ssrc, loss, report.highest_seq, report.jitter, report.lsr, report.dlsr]);
    }
}

/// A sender report with at most 31 report blocks. Counters wrap at 32 bits.
pub fn build_sr(out: &mut Vec<u8>, report: &SenderReport) {
    let reports = report.reports.get(..MAX_REPORT_BLOCKS).unwrap_or(&report.reports);
    write_header(out, reports.len(), PT_SR, 24 + 24 * reports.len());
    write_words(out, &[report.ssrc, (report.ntp >> 32) as u32, report.ntp as u32, report.rtp_timestamp]);
    write_words(out, &[report.packet_count as u32, report.octet_count as u32]);
    write_report_blocks(out, reports);
}

/// Receiver reports: one packet, or as many as 31 blocks each make.
pub fn build_rr(out: &mut Vec<u8>, ssrc: u32, reports: &[ReportBlock]) {
    let mut rest = reports;
    loop {
        let (group, after) = rest.split_at_checked(MAX_REPORT_BLOCKS).unwrap_or((rest, &[]));
        write_header(out, group.len(), PT_RR, 4 + 24 * group.len());
        write_words(out, &[ssrc]);
        write_report_blocks(out, group);
        if after.is_empty() {
            return;
        }
        rest = after;
    }
}

/// SDES with one CNAME per (ssrc, cname); at most 31 chunks, names of at most 255 bytes of UTF-8.
pub fn build_sdes(out: &mut Vec<u8>, chunks: &[(u32, &str)]) {
    let chunks = chunks.get(..31).unwrap_or(chunks);
    let sizes = chunks.iter().map(|(_, cname)| (6 + cname.len().min(255) + 1).next_multiple_of(4));
    write_header(out, chunks.len(), PT_SDES, sizes.sum());
    for (ssrc, cname) in chunks {
        let name = cname.as_bytes();
        let name = name.get(..255).unwrap_or(name);
        write_words(out, &[*ssrc]);
        out.extend_from_slice(&[SDES_CNAME, name.len() as u8]);
        out.extend_from_slice(name);
        let used = 6 + name.len();
        out.resize(out.len() + (used + 1).next_multiple_of(4) - used, 0);
    }
}

/// Generic NACK for `seqs` (in rising order on the circle, not empty): PIDs with bitmaps of the next 16.
pub fn build_nack(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32, seqs: &[u16]) {
    let mut items: Vec<(u16, u16)> = Vec::new();
    for &seq in seqs {
        if let Some((pid, blp)) = items.last_mut() {
            let distance = seq.wrapping_sub(*pid);
            if distance <= 16 {
                *blp |= ((1_u32 << distance) >> 1) as u16;
                continue;
            }
        }
        items.push((seq, 0));
    }
    write_header(out, usize::from(FMT_NACK), PT_RTPFB, 8 + 4 * items.len());
    write_words(out, &[sender_ssrc, media_ssrc]);
    for (pid, blp) in items {
        write_words(out, &[u32::from(pid) << 16 | u32::from(blp)]);
    }
}

/// Picture loss indication.
pub fn build_pli(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32) {
    write_header(out, usize::from(FMT_PLI), PT_PSFB, 8);
    write_words(out, &[sender_ssrc, media_ssrc]);
}

// --- NTP time -----------------------------------------------------------------------------------------------

/// A 64-bit NTP time `elapsed_ns` later.
#[must_use]
pub fn ntp_add_ns(ntp: u64, elapsed_ns: i64) -> u64 {
    ntp.wrapping_add((i128::from(elapsed_ns) << 32).div_euclid(NS_PER_S) as u64)
}

/// `a - b` in ns, for 64-bit NTP times within 68 years of each other.
#[must_use]
pub fn ntp_diff_ns(a: u64, b: u64) -> i64 {
    let ticks = a.wrapping_sub(b).cast_signed();
    ((i128::from(ticks) * NS_PER_S) >> 32) as i64
}

/// The middle 32 bits of a 64-bit NTP time, as LSR has them.
#[must_use]
pub fn ntp_short(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

/// A duration (not negative) in 1/65536 s, as DLSR has it; at most 2^32 - 1.
#[must_use]
pub fn ns_to_short(duration_ns: i64) -> u32 {
    let short = (i128::from(duration_ns) << 16).div_euclid(NS_PER_S);
    u32::try_from(short.max(0)).unwrap_or(u32::MAX)
}

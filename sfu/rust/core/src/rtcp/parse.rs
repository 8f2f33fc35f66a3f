//! RTCP in.

use super::packets::*;
use crate::congestion_feedback::parse_congestion_feedback;
use crate::transport_feedback::parse_transport_feedback;

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
        (PT_RTPFB, FMT_CCFB) => parse_ccfb,
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

fn parse_ccfb(body: &[u8], _count: u8) -> Option<RtcpPacket> {
    parse_congestion_feedback(body).map(RtcpPacket::CongestionFeedback)
}

// --- builders -----------------------------------------------------------------------------------------------

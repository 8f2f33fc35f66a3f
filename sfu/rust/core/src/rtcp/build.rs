//! RTCP out.

use super::packets::*;

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

/// What to send at most, rounded down to 18 bits (draft-alvestrand-rmcat-remb-03 §2.2).
pub fn build_remb(out: &mut Vec<u8>, sender_ssrc: u32, bitrate_bps: u64, media_ssrc: u32) {
    let exponent = (u64::BITS - bitrate_bps.leading_zeros()).saturating_sub(REMB_MANTISSA_BITS);
    let value = exponent << REMB_MANTISSA_BITS | (bitrate_bps >> exponent) as u32;
    write_header(out, usize::from(FMT_AFB), PT_PSFB, 20);
    write_words(out, &[sender_ssrc, 0]);
    out.extend_from_slice(b"REMB");
    write_words(out, &[1 << 24 | value, media_ssrc]);
}

/// Picture loss indication.
pub fn build_pli(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32) {
    write_header(out, usize::from(FMT_PLI), PT_PSFB, 8);
    write_words(out, &[sender_ssrc, media_ssrc]);
}

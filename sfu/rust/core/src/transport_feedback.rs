//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
//!
//! Time on this wire: reference time in 64 ms, deltas in 250 us. Any clock will do: only differences matter.

/// Unit of the reference time.
pub const REFERENCE_NS: i64 = 64_000_000;
/// 24 bits of the reference time come.
pub const REFERENCE_WRAP_NS: i64 = REFERENCE_NS << 24;
/// Unit of the deltas.
pub const DELTA_NS: i64 = 250_000;
/// Packet statuses in one feedback packet that we build. A longer gap starts a new packet, and is left out.
pub const MAX_STATUSES: usize = 2048;
/// Arrivals in one feedback packet that we build: with [`MAX_STATUSES`] it stays below 1,200 bytes.
pub const MAX_RECEIVED: usize = 256;

const HEAD_BYTES: usize = 16;
const NOT_RECEIVED: u8 = 0;
const SMALL_DELTA: u8 = 1;
const LARGE_DELTA: u8 = 2;
const MAX_RUN: u16 = 0x1FFF;

/// Which of `status_count` packets from `base_seq` on (16 bits, wrapping) arrived, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportFeedback {
    /// Who sent it.
    pub sender_ssrc: u32,
    /// Any stream of the transport.
    pub media_ssrc: u32,
    /// The first transport-wide number reported on.
    pub base_seq: u16,
    /// Packets reported on.
    pub status_count: u16,
    /// Counts feedback packets.
    pub feedback_count: u8,
    /// (seq, arrival_ns) of those that arrived, in order of seq; arrival_ns counts from the origin of the receiver's
    /// reference time, which wraps at 2^24 * 64 ms (signed here). What is not listed was lost.
    pub received: Vec<(u16, i64)>,
}

/// `body` follows the RTCP header, padding stripped. `None` when a count lies or a status is 3 (reserved).
#[must_use]
pub fn parse_transport_feedback(body: &[u8]) -> Option<TransportFeedback> {
    let (head, rest) = body.split_first_chunk::<HEAD_BYTES>()?;
    let [a0, a1, a2, a3, b0, b1, b2, b3, s0, s1, n0, n1, r0, r1, r2, feedback_count] = *head;
    let base_seq = u16::from_be_bytes([s0, s1]);
    let status_count = u16::from_be_bytes([n0, n1]);
    if status_count == 0 {
        return None;
    }
    let (symbols, mut deltas) = parse_chunks(rest, status_count)?;
    let reference = i32::from_be_bytes([r0, r1, r2, 0]) >> 8;
    let mut arrival_ns = i64::from(reference) * REFERENCE_NS;
    let mut received = Vec::with_capacity(symbols.len());
    for (offset, symbol) in symbols {
        let delta;
        if symbol == SMALL_DELTA {
            let (&byte, after) = deltas.split_first()?;
            (delta, deltas) = (i64::from(byte), after);
        } else {
            let (bytes, after) = deltas.split_first_chunk::<2>()?;
            (delta, deltas) = (i64::from(i16::from_be_bytes(*bytes)), after);
        }
        arrival_ns += delta * DELTA_NS;
        received.push((base_seq.wrapping_add(offset), arrival_ns));
    }
    Some(TransportFeedback {
        sender_ssrc: u32::from_be_bytes([a0, a1, a2, a3]),
        media_ssrc: u32::from_be_bytes([b0, b1, b2, b3]),
        base_seq,
        status_count,
        feedback_count,
        received,
    })
}

/// (offset from the base, symbol) of a packet that was received.
type Status = (u16, u8);

/// What was received, and the deltas. Work is bounded by the bytes that are there.
fn parse_chunks(chunks: &[u8], status_count: u16) -> Option<(Vec<Status>, &[u8])> {
    let mut symbols = Vec::new();
    let mut rest = chunks;
    let mut done = 0_u16;
    while done < status_count {
        let (bytes, after) = rest.split_first_chunk::<2>()?;
        rest = after;
        let chunk = u16::from_be_bytes(*bytes);
        let left = status_count - done;
        if chunk < 0x8000 {
            let symbol = (chunk >> 13) as u8;
            let run = (chunk & MAX_RUN).min(left);
            // Every received packet needs a byte of delta at least: refuse before listing what cannot be there.
            if symbol == 3 || (symbol != NOT_RECEIVED && symbols.len() + usize::from(run) > rest.len()) {
                return None;
            }
            if symbol != NOT_RECEIVED {
                symbols.extend((done..done + run).map(|offset| (offset, symbol)));
            }
            done += run;
            continue;
        }
        let (bits, width) = if chunk < 0xC000 { (1, 14) } else { (2, 7) };
        let width = left.min(width);
        for index in 0..width {
            let symbol = (chunk >> (14 - bits * (index + 1))) as u8 & ((1 << bits) - 1);
            if symbol == 3 {
                return None;
            }
            if symbol != NOT_RECEIVED {
                symbols.push((done + index, symbol));
            }
        }
        done += width;
    }
    Some((symbols, rest))
}

/// RTCP packets for `arrivals`: (extended transport-wide number, arrival_ns >= 0), rising in the number.
///
/// `feedback_count` is that of the first packet (it counts modulo 256); the caller adds the length of the list.
/// `base_ext_seq` is the first number to report on when the first arrivals are missing; by default the first arrival.
/// Empty for no arrivals.
#[must_use]
pub fn build_transport_feedback(
    sender_ssrc: u32,
    media_ssrc: u32,
    feedback_count: u8,
    arrivals: &[(i64, i64)],
    base_ext_seq: Option<i64>,
) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut left = arrivals;
    let Some(mut base) = base_ext_seq.or(arrivals.first().map(|arrival| arrival.0)) else { return packets };
    let mut count = feedback_count;
    while let Some(&(first_seq, first_ns)) = left.first() {
        if !(0..MAX_STATUSES as i64).contains(&first_seq.wrapping_sub(base)) {
            base = first_seq;
        }
        let collected = collect(left, base, first_ns.div_euclid(REFERENCE_NS));
        let mut packet = vec![0x8F, 205, 0, 0];
        packet.extend_from_slice(&sender_ssrc.to_be_bytes());
        packet.extend_from_slice(&media_ssrc.to_be_bytes());
        packet.extend_from_slice(&(base as u16).to_be_bytes());
        packet.extend_from_slice(&(collected.symbols.len() as u16).to_be_bytes());
        let reference = first_ns.div_euclid(REFERENCE_NS) as u32;
        packet.extend_from_slice(&(reference << 8 | u32::from(count)).to_be_bytes());
        write_chunks(&mut packet, &collected.symbols);
        packet.extend_from_slice(&collected.deltas);
        finish(&mut packet);
        packets.push(packet);
        count = count.wrapping_add(1);
        base = base.wrapping_add(collected.symbols.len() as i64);
        left = left.get(collected.taken.max(1)..).unwrap_or_default();
    }
    packets
}

struct Collected {
    symbols: Vec<u8>,
    deltas: Vec<u8>,
    taken: usize,
}

/// Status symbols from `base`, deltas and the number of arrivals used for one packet: as many as its limits allow.
fn collect(arrivals: &[(i64, i64)], base: i64, reference: i64) -> Collected {
    let mut symbols = Vec::new();
    let mut deltas = Vec::new();
    let mut last_ticks = reference * (REFERENCE_NS / DELTA_NS);
    let mut taken = 0;
    for &(ext_seq, arrival_ns) in arrivals.iter().take(MAX_RECEIVED) {
        let place = ext_seq.wrapping_sub(base);
        let ticks = arrival_ns.div_euclid(DELTA_NS);
        let Ok(delta) = i16::try_from(ticks - last_ticks) else { break };
        if place >= MAX_STATUSES as i64 {
            break;
        }
        let place = usize::try_from(place).unwrap_or(0).max(symbols.len());
        symbols.resize(place, NOT_RECEIVED);
        if let Ok(small) = u8::try_from(delta) {
            symbols.push(SMALL_DELTA);
            deltas.push(small);
        } else {
            symbols.push(LARGE_DELTA);
            deltas.extend_from_slice(&delta.to_be_bytes());
        }
        last_ticks = ticks;
        taken += 1;
    }
    Collected { symbols, deltas, taken }
}

/// Status chunks: runs where they pay, else vectors of 14 one-bit or 7 two-bit symbols.
fn write_chunks(out: &mut Vec<u8>, symbols: &[u8]) {
    let mut rest = symbols;
    while let Some(&symbol) = rest.first() {
        let run = rest.iter().take(usize::from(MAX_RUN)).take_while(|other| **other == symbol).count();
        let window = rest.get(..14).unwrap_or(rest);
        let has_large = window.contains(&LARGE_DELTA);
        let (chunk, used) = if run >= 14 || run == rest.len() || (run >= 7 && has_large) {
            (u16::from(symbol) << 13 | run as u16, run)
        } else if has_large {
            let window = window.get(..7).unwrap_or(window);
            (0xC000 | pack_symbols(window, 2, 7), 7)
        } else {
            (0x8000 | pack_symbols(window, 1, 14), 14)
        };
        out.extend_from_slice(&chunk.to_be_bytes());
        rest = rest.get(used..).unwrap_or_default();
    }
}

fn pack_symbols(symbols: &[u8], bits: usize, width: usize) -> u16 {
    let value = symbols.iter().fold(0, |value, symbol| value << bits | u16::from(*symbol));
    value << (bits * width.saturating_sub(symbols.len()))
}

/// The length into the RTCP header, and padding to 32 bits (RFC 3550 §6.4.1: the last byte counts it).
fn finish(packet: &mut Vec<u8>) {
    let padding = packet.len().wrapping_neg() % 4;
    if padding > 0 {
        packet.resize(packet.len() + padding - 1, 0);
        packet.push(padding as u8);
    }
    let words = (packet.len() / 4 - 1) as u16;
    if let Some([first, _, high, low]) = packet.first_chunk_mut::<4>() {
        *first |= if padding > 0 { 0x20 } else { 0 };
        [*high, *low] = words.to_be_bytes();
    }
}

/// Sub-packets that are feedback of either kind (RFC 8888 is FMT 11), by their headers alone: what they hold is not
/// looked at yet.
#[must_use]
pub(crate) fn count_congestion_feedback(data: &[u8]) -> u64 {
    let (mut rest, mut count) = (data, 0);
    while let Some((&[first, packet_type, high, low], after)) = rest.split_first_chunk::<4>() {
        count += u64::from(matches!((packet_type, first & 0x1F), (205, 11 | 15)));
        rest = after.get(4 * usize::from(u16::from_be_bytes([high, low]))..).unwrap_or_default();
    }
    count
}

//! Which SCTP packets the library gets to see; the rules of `sfu/transport/sctp_guard.py`, and what sctp-proto needs
//! besides.
//!
//! The library is stricter than RFC 9260 with what comes late or is not known to it, and expects numbers that are near
//! each other.

use bytes::Bytes;

use crate::wire::{self, Chunk, chunks, is_ahead, packet, u16_at, u32_at};

/// Data channels count their streams up from 0 or 1.
pub const MAX_STREAM_ID: u16 = 1023;
/// TSNs that one SACK may report above its cumulative one; more than we ever have in flight.
pub const MAX_GAP_SPAN: u16 = 16_384;
/// TSNs that DATA and FORWARD-TSN may be ahead of what came before; a SACK could not report more.
pub const MAX_TSN_SPAN: u32 = 65_535;
/// Every waiting chunk keeps its datagram alive; DTLS carries less than an Ethernet frame.
pub const MAX_PACKET_BYTES: usize = 2048;

const INIT_BYTES: usize = 16;
const DATA_HEADER_BYTES: usize = 12;
const SACK_BYTES: usize = 12;

/// What the guard remembers of an association.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peer {
    /// The tag that the peer wants on our packets, from its INIT or INIT ACK.
    pub tag: Option<u32>,
    /// The highest TSN below which nothing is missing, as far as we know.
    pub cumulative_tsn: Option<u32>,
    /// Whether the handshake is over.
    pub is_established: bool,
}

/// A packet that may be read.
#[derive(Debug)]
pub struct Sound {
    /// The packet, without chunks that are to be skipped; None when nothing is left of it.
    pub packet: Option<Bytes>,
    /// How many DATA chunks it has.
    pub data_chunks: usize,
    /// How many it had beyond those.
    pub refused_chunks: usize,
}

impl Peer {
    /// The packet when every chunk keeps to its own lengths and to our limits, and what it says of the peer remembered.
    /// DATA chunks for which there is no `room` are left out, as if the network had lost them.
    pub fn check(&mut self, data: &[u8], room: usize) -> Option<Sound> {
        if data.len() > MAX_PACKET_BYTES {
            return None;
        }
        let mut seen = *self;
        let mut kept: Vec<&[u8]> = Vec::new();
        let (mut count, mut data_chunks, mut refused_chunks, mut is_alone) = (0_usize, 0_usize, 0_usize, false);
        for chunk in chunks(data) {
            let chunk = chunk?;
            count = count.saturating_add(1);
            is_alone |= matches!(chunk.kind, wire::INIT | wire::INIT_ACK);
            seen.check_chunk(&chunk)?;
            match fate(chunk.kind) {
                Fate::Read if chunk.kind == wire::DATA && data_chunks >= room => {
                    refused_chunks = refused_chunks.saturating_add(1);
                    continue;
                }
                Fate::Read => (),
                Fate::Skip => continue,
                Fate::Stop => break,
            }
            data_chunks = data_chunks.saturating_add(usize::from(chunk.kind == wire::DATA));
            kept.push(chunk.whole);
        }
        // RFC 9260 §6.10: INIT and INIT ACK are never bundled.
        if count == 0 || (is_alone && count > 1) {
            return None;
        }
        *self = seen;
        let packet = if kept.is_empty() {
            None
        } else if kept.len() == count {
            Some(Bytes::copy_from_slice(data))
        } else {
            Some(Bytes::from(packet(*data.first_chunk()?, kept.into_iter())))
        };
        Some(Sound { packet, data_chunks, refused_chunks })
    }

    fn check_chunk(&mut self, chunk: &Chunk<'_>) -> Option<()> {
        let body = chunk.body;
        let is_sound = match chunk.kind {
            wire::DATA => body.len() > DATA_HEADER_BYTES && self.takes(u32_at(body, 0)?) && is_near(u16_at(body, 4)?),
            wire::INIT | wire::INIT_ACK => return self.check_init(body),
            wire::SACK => sack_is_sound(body)?,
            wire::HEARTBEAT | wire::HEARTBEAT_ACK | wire::ABORT | wire::ERROR | wire::RECONFIG => {
                parameters_are_sound(body)
            }
            wire::FORWARD_TSN => {
                let cumulative = u32_at(body, 0)?;
                let (streams, torn) = body.get(4..)?.as_chunks::<4>();
                let is_sound = torn.is_empty()
                    && self.takes(cumulative)
                    && streams.iter().all(|[high, low, ..]| is_near(u16::from_be_bytes([*high, *low])));
                if is_sound && self.cumulative_tsn.is_some_and(|known| is_ahead(cumulative, known)) {
                    self.cumulative_tsn = Some(cumulative);
                }
                is_sound
            }
            wire::SHUTDOWN => body.len() >= 4,
            _ => true,
        };
        is_sound.then_some(())
    }

    fn check_init(&mut self, body: &[u8]) -> Option<()> {
        if self.is_established || !parameters_are_sound(body.get(INIT_BYTES..)?) {
            return None;
        }
        self.tag = Some(u32_at(body, 0)?);
        self.cumulative_tsn = Some(u32_at(body, 12)?.wrapping_sub(1));
        Some(())
    }

    fn takes(&self, tsn: u32) -> bool {
        self.cumulative_tsn.is_some_and(|known| !is_ahead(tsn, known.wrapping_add(MAX_TSN_SPAN)))
    }
}

fn is_near(stream_id: u16) -> bool {
    stream_id <= MAX_STREAM_ID
}

enum Fate {
    Read,
    Skip,
    /// Nothing behind it counts.
    Stop,
}

/// RFC 9260 §3.2: of a type that is not known, the highest bit says whether the rest of the packet counts. An ERROR is a
/// report and ends nothing.
fn fate(kind: u8) -> Fate {
    match kind {
        wire::ERROR | wire::HEARTBEAT_ACK => Fate::Skip,
        wire::DATA..=wire::COOKIE_ACK | wire::SHUTDOWN_COMPLETE | wire::RECONFIG | wire::FORWARD_TSN => Fate::Read,
        _ if kind & 0x80 != 0 => Fate::Skip,
        _ => Fate::Stop,
    }
}

fn parameters_are_sound(mut body: &[u8]) -> bool {
    while body.len() >= 4 {
        let length = usize::from(u16_at(body, 2).unwrap_or(0));
        if length < 4 || length > body.len() {
            return false;
        }
        body = body.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    true
}

/// RFC 9260 §3.3.4.
fn sack_is_sound(body: &[u8]) -> Option<bool> {
    let (gaps, duplicates) = (usize::from(u16_at(body, 8)?), usize::from(u16_at(body, 10)?));
    let blocks = body.get(SACK_BYTES..)?;
    if gaps.saturating_add(duplicates).saturating_mul(4) > blocks.len() {
        return None;
    }
    let mut highest = 0;
    for block in blocks.as_chunks::<4>().0.iter().take(gaps) {
        let (start, stop) = (u16_at(block, 0)?, u16_at(block, 2)?);
        if !(highest < start && start <= stop && stop <= MAX_GAP_SPAN) {
            return Some(false);
        }
        highest = stop;
    }
    Some(true)
}

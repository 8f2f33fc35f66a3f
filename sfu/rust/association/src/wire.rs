//! SCTP packets as bytes (RFC 9260 §3): what is read and written here beside the library.

use crc::{CRC_32_ISCSI, Crc, Table};

pub(crate) const COMMON_HEADER_BYTES: usize = 12;
pub(crate) const CHUNK_HEADER_BYTES: usize = 4;

pub(crate) const DATA: u8 = 0;
pub(crate) const INIT: u8 = 1;
pub(crate) const INIT_ACK: u8 = 2;
pub(crate) const SACK: u8 = 3;
pub(crate) const HEARTBEAT: u8 = 4;
pub(crate) const HEARTBEAT_ACK: u8 = 5;
pub(crate) const ABORT: u8 = 6;
pub(crate) const SHUTDOWN: u8 = 7;
pub(crate) const ERROR: u8 = 9;
pub(crate) const COOKIE_ACK: u8 = 11;
pub(crate) const SHUTDOWN_COMPLETE: u8 = 14;
pub(crate) const RECONFIG: u8 = 130;
pub(crate) const FORWARD_TSN: u8 = 192;

const CRC32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);
const CHECKSUM_AT: usize = 8;

/// A chunk in a packet: its type and what follows its header, without padding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk<'a> {
    pub(crate) kind: u8,
    pub(crate) body: &'a [u8],
    /// With header and padding, as far as the packet goes.
    pub(crate) whole: &'a [u8],
}

/// The chunks behind the common header; an item is None, and the last, where lengths lie.
pub(crate) fn chunks(packet: &[u8]) -> impl Iterator<Item = Option<Chunk<'_>>> {
    let mut rest = packet.get(COMMON_HEADER_BYTES..).unwrap_or_default();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let taken = take_chunk(rest);
        rest = taken.map_or(&[], |(_, after)| after);
        Some(taken.map(|(chunk, _)| chunk))
    })
}

fn take_chunk(rest: &[u8]) -> Option<(Chunk<'_>, &[u8])> {
    let (&[kind, _, high, low], _) = rest.split_first_chunk::<CHUNK_HEADER_BYTES>()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let body = rest.get(CHUNK_HEADER_BYTES..length)?;
    let padded = length.next_multiple_of(4).min(rest.len());
    let (whole, after) = rest.split_at_checked(padded)?;
    Some((Chunk { kind, body, whole }, after))
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}

/// A packet with the ports and the tag of `header` and these chunks, each whole.
pub(crate) fn packet<'a>(header: [u8; 8], chunks: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut made = header.to_vec();
    made.extend([0; 4]);
    chunks.for_each(|chunk| made.extend(chunk));
    let checksum = CRC32C.checksum(&made).to_le_bytes();
    if let Some(place) = made.get_mut(CHECKSUM_AT..COMMON_HEADER_BYTES) {
        place.copy_from_slice(&checksum);
    }
    made
}

/// Whether `later` is ahead of `earlier` in the order of TSNs (RFC 1982).
pub(crate) fn is_ahead(later: u32, earlier: u32) -> bool {
    (1..1 << 31).contains(&later.wrapping_sub(earlier))
}

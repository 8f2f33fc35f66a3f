//! Redundant audio data (RFC 2198). Parsers return `None` for malformed payloads.

/// One block of a RED payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedBlock<'a> {
    /// 7 bits.
    pub payload_type: u8,
    /// Subtracted from the packet's timestamp, 14 bits; 0 for the primary.
    pub timestamp_offset: u16,
    /// The payload of the block.
    pub data: &'a [u8],
}

/// The blocks, oldest first, the primary last (RFC 2198 §3).
#[must_use]
pub fn parse(payload: &[u8]) -> Option<Vec<RedBlock<'_>>> {
    let mut headers = Vec::new();
    let mut rest = payload;
    let primary_type = loop {
        let (&first, after) = rest.split_first()?;
        if first < 0x80 {
            rest = after;
            break first;
        }
        let (&[a, b, c], after) = after.split_first_chunk::<3>()?;
        headers.push((first & 0x7F, u16::from_be_bytes([a, b]) >> 2, usize::from(b & 0x03) << 8 | usize::from(c)));
        rest = after;
    };
    let mut blocks = Vec::with_capacity(headers.len() + 1);
    for (payload_type, timestamp_offset, length) in headers {
        let (data, after) = rest.split_at_checked(length)?;
        blocks.push(RedBlock { payload_type, timestamp_offset, data });
        rest = after;
    }
    blocks.push(RedBlock { payload_type: primary_type, timestamp_offset: 0, data: rest });
    Some(blocks)
}

/// The payload of the primary block (the newest frame): the end of `payload`.
#[must_use]
pub fn primary(payload: &[u8]) -> Option<&[u8]> {
    let mut skipped = 0;
    let mut rest = payload;
    loop {
        let (&first, after) = rest.split_first()?;
        if first < 0x80 {
            return after.get(skipped..);
        }
        let (&[_, b, c], after) = after.split_first_chunk::<3>()?;
        skipped += usize::from(b & 0x03) << 8 | usize::from(c);
        rest = after;
    }
}

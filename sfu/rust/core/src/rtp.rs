//! RTP packets (RFC 3550 §5.1) and their header extensions (RFC 8285).
//!
//! The way of a packet: [`parse_header`] on the protected datagram (header and extensions are in the clear and are the
//! AAD of SRTP: `data[..header.header_len]`), SRTP in place, then [`RtpHeader::strip_padding`] on the plaintext.
//! Nothing is copied: the header knows where its parts lie in the datagram. Parsers return `None` for anything
//! malformed and accept any bytes.

use std::fmt;

/// Bytes of a header without CSRCs and extensions.
pub const FIXED_HEADER_BYTES: usize = 12;
/// The profile of one-byte extension headers (RFC 8285 §4.2).
pub const ONE_BYTE_PROFILE: u16 = 0xBEDE;
/// The profile of two-byte extension headers, without its application bits (RFC 8285 §4.3).
pub const TWO_BYTE_PROFILE: u16 = 0x1000;
/// Bytes of profile and length in front of the extension elements.
pub const EXTENSION_HEADER_BYTES: usize = 4;

/// A parsed header: numbers, and offsets into the datagram that it was parsed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtpHeader {
    /// 7 bits.
    pub payload_type: u8,
    /// The marker bit.
    pub marker: bool,
    /// The P bit: the last byte of the plaintext counts the padding.
    pub has_padding: bool,
    /// Sequence number.
    pub seq: u16,
    /// In units of the codec's clock.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
    /// Bytes of header with CSRCs and extensions.
    pub header_len: usize,
    extension_profile: u16,
    extensions_start: usize,
}

impl RtpHeader {
    /// The value of the extension element `id` (the last of equal ids) in the datagram `data` of this header.
    #[must_use]
    pub fn extension<'a>(&self, data: &'a [u8], id: u8) -> Option<&'a [u8]> {
        let mut found = None;
        for (element, value) in self.extensions(data) {
            if element == id {
                found = Some(value);
            }
        }
        found
    }

    /// The extension elements in the datagram `data` of this header, as they come.
    #[must_use]
    pub fn extensions<'a>(&self, data: &'a [u8]) -> Elements<'a> {
        let block = data.get(self.extensions_start..self.header_len).unwrap_or_default();
        Elements::new(self.extension_profile, block)
    }

    /// The CSRC list in the datagram `data` of this header, 4 bytes each.
    #[must_use]
    pub fn csrc<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        let count = usize::from(data.first().map_or(0, |first| first & 0x0F));
        data.get(FIXED_HEADER_BYTES..FIXED_HEADER_BYTES + 4 * count).unwrap_or_default()
    }

    /// The payload in front of the padding of a decrypted payload. `None` when the padding lies: drop as malformed.
    #[must_use]
    pub fn strip_padding<'a>(&self, plaintext: &'a [u8]) -> Option<&'a [u8]> {
        if !self.has_padding {
            return Some(plaintext);
        }
        let padding = usize::from(*plaintext.last()?);
        if padding == 0 {
            return None;
        }
        plaintext.get(..plaintext.len().checked_sub(padding)?)
    }
}

/// Header and extensions of a datagram, protected or not. `None` when malformed.
#[must_use]
pub fn parse_header(data: &[u8]) -> Option<RtpHeader> {
    let (fixed, _) = data.split_first_chunk::<FIXED_HEADER_BYTES>()?;
    let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *fixed;
    if first & 0xC0 != 0x80 {
        return None;
    }
    let mut end = FIXED_HEADER_BYTES + 4 * usize::from(first & 0x0F);
    let mut extension_profile = 0;
    let mut extensions_start = end;
    if first & 0x10 != 0 {
        let (block, _) = data.get(end..)?.split_first_chunk::<EXTENSION_HEADER_BYTES>()?;
        let [p0, p1, w0, w1] = *block;
        extension_profile = u16::from_be_bytes([p0, p1]);
        extensions_start = end + EXTENSION_HEADER_BYTES;
        end = extensions_start + 4 * usize::from(u16::from_be_bytes([w0, w1]));
        Elements::new(extension_profile, data.get(extensions_start..end)?).validate()?;
    } else if end > data.len() {
        return None;
    }
    Some(RtpHeader {
        payload_type: second & 0x7F,
        marker: second >= 0x80,
        has_padding: first & 0x20 != 0,
        seq: u16::from_be_bytes([s0, s1]),
        timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
        header_len: end,
        extension_profile,
        extensions_start,
    })
}

/// The extension elements of a block (RFC 8285 §4.2, §4.3): (id, value). Other profiles than the one-byte and
/// two-byte header yield none. Stops at a length that lies.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    form: Form,
    rest: &'a [u8],
    lies: bool,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    OneByte,
    TwoByte,
}

impl<'a> Elements<'a> {
    /// The elements in `block`, which follows the extension header.
    #[must_use]
    pub fn new(profile: u16, block: &'a [u8]) -> Self {
        let (form, rest) = match profile {
            ONE_BYTE_PROFILE => (Form::OneByte, block),
            _ if profile & 0xFFF0 == TWO_BYTE_PROFILE => (Form::TwoByte, block),
            _ => (Form::TwoByte, &[][..]),
        };
        Self { form, rest, lies: false }
    }

    /// `None` when a length lies.
    fn validate(mut self) -> Option<()> {
        while self.next().is_some() {}
        (!self.lies).then_some(())
    }

    fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        let Some((value, rest)) = self.rest.split_at_checked(size) else {
            self.lies = true;
            self.rest = &[];
            return None;
        };
        self.rest = rest;
        Some(value)
    }

    fn next_one_byte(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            if byte == 0 {
                continue;
            }
            let id = byte >> 4;
            if id == 15 {
                self.rest = &[];
                return None;
            }
            let value = self.take(usize::from(byte & 0x0F) + 1)?;
            // Id 0 with a length is invalid; RFC 8285 §4.2 has receivers skip the element.
            if id != 0 {
                return Some((id, value));
            }
        }
    }

    fn next_two_byte(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            let (&id, rest) = self.rest.split_first()?;
            self.rest = rest;
            if id == 0 {
                continue;
            }
            let size = usize::from(*self.take(1)?.first()?);
            return self.take(size).map(|value| (id, value));
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        match self.form {
            Form::OneByte => self.next_one_byte(),
            Form::TwoByte => self.next_two_byte(),
        }
    }
}

/// An extension id or value that the wire cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionOutOfRange;

impl fmt::Display for ExtensionOutOfRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("extension id or length out of range")
    }
}

impl std::error::Error for ExtensionOutOfRange {}

/// Append the whole extension block (profile, length, elements, padding) to `out`; nothing for no items.
///
/// One-byte form when every id is 1..=14 and every value 1..=16 bytes, else two-byte form (id 1..=255, at most 255
/// bytes). `out` is unchanged after an error. Returns whether the block is in one-byte form (also for no items).
pub fn write_extensions(out: &mut Vec<u8>, items: &[(u8, &[u8])]) -> Result<bool, ExtensionOutOfRange> {
    if items.is_empty() {
        return Ok(true);
    }
    let is_one_byte = items.iter().all(|(id, value)| matches!(id, 1..=14) && matches!(value.len(), 1..=16));
    if !is_one_byte && items.iter().any(|(id, value)| *id == 0 || value.len() > 255) {
        return Err(ExtensionOutOfRange);
    }
    let start = out.len();
    out.extend_from_slice(&[0; EXTENSION_HEADER_BYTES]);
    for (id, value) in items {
        if is_one_byte {
            out.push(id << 4 | (value.len() - 1) as u8);
        } else {
            out.extend_from_slice(&[*id, value.len() as u8]);
        }
        out.extend_from_slice(value);
    }
    while !(out.len() - start).is_multiple_of(4) {
        out.push(0);
    }
    let words = ((out.len() - start) / 4 - 1) as u16;
    let profile = if is_one_byte { ONE_BYTE_PROFILE } else { TWO_BYTE_PROFILE };
    let head = (u32::from(profile) << 16 | u32::from(words)).to_be_bytes();
    if let Some(place) = out.get_mut(start..start + EXTENSION_HEADER_BYTES) {
        place.copy_from_slice(&head);
    }
    Ok(is_one_byte)
}

/// Append the fixed header of a packet without CSRCs to `out`. Its extension block follows with [`write_extensions`]
/// when `has_extensions`.
pub fn write_fixed_header(out: &mut Vec<u8>, fields: &FixedHeader) {
    let mut first = 0x80;
    if fields.has_extensions {
        first |= 0x10;
    }
    if fields.has_padding {
        first |= 0x20;
    }
    let second = fields.payload_type & 0x7F | if fields.marker { 0x80 } else { 0 };
    out.extend_from_slice(&[first, second]);
    out.extend_from_slice(&fields.seq.to_be_bytes());
    out.extend_from_slice(&fields.timestamp.to_be_bytes());
    out.extend_from_slice(&fields.ssrc.to_be_bytes());
}

/// What [`write_fixed_header`] writes.
#[derive(Clone, Copy, Debug, Default)]
pub struct FixedHeader {
    /// 7 bits.
    pub payload_type: u8,
    /// The marker bit.
    pub marker: bool,
    /// The P bit.
    pub has_padding: bool,
    /// The X bit: an extension block follows.
    pub has_extensions: bool,
    /// Sequence number.
    pub seq: u16,
    /// In units of the codec's clock.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
}

/// `now_ns` as abs-send-time: 24 bits of seconds in 6.18 fixed point (goog abs-send-time extension).
#[must_use]
pub fn abs_send_time(now_ns: i64) -> [u8; 3] {
    let ticks = (i128::from(now_ns) << 18).div_euclid(1_000_000_000);
    let [.., high, middle, low] = ticks.to_be_bytes();
    [high, middle, low]
}

/// (level in -dBov: 0 loudest .. 127 silence, voice activity) of RFC 6464. `None` when empty.
#[must_use]
pub fn parse_audio_level(value: &[u8]) -> Option<(u8, bool)> {
    value.first().map(|byte| (byte & 0x7F, *byte >= 0x80))
}

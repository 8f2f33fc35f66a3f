//! The time that travels with a packet: its last bytes are a mark and the moment of sending, in hexadecimal digits so
//! that no start code and no zero byte can appear in them.

const MARK: &[u8; 8] = b"TingTime";
const DIGITS: usize = 16;
/// Bytes of a stamp.
pub(super) const STAMP_BYTES: usize = MARK.len() + DIGITS;

/// Writes `now_ns` over the last bytes of `packet`; one that is too short stays as it is.
pub(super) fn write(packet: &mut [u8], now_ns: u64) {
    let Some(place) = packet.len().checked_sub(STAMP_BYTES).and_then(|start| packet.get_mut(start..)) else { return };
    let (mark, digits) = place.split_at_mut(MARK.len());
    mark.copy_from_slice(MARK);
    for (index, digit) in digits.iter_mut().enumerate() {
        let nibble = (now_ns >> (60 - 4 * index)) as u8 & 0x0F;
        *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    }
}

/// The moment that `payload` ends with, if it ends with one.
pub(super) fn read(payload: &[u8]) -> Option<u64> {
    let (rest, digits) = payload.split_last_chunk::<DIGITS>()?;
    if rest.split_last_chunk::<8>()?.1 != MARK {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| Some(value << 4 | u64::from((*digit as char).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        for now_ns in [0, 1, 0x0123_4567_89AB_CDEF, u64::MAX] {
            let mut packet = vec![7; STAMP_BYTES + 3];
            write(&mut packet, now_ns);
            assert_eq!(read(&packet), Some(now_ns));
            assert_eq!(packet[..3], [7; 3]);
        }
    }

    #[test]
    fn other_payloads_have_none() {
        for length in 0..64 {
            let mut packet = vec![b'f'; length];
            assert_eq!(read(&packet), None);
            write(&mut packet, 9);
            assert_eq!(read(&packet), (length >= STAMP_BYTES).then_some(9));
        }
    }
}

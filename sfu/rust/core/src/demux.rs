//! Which protocol a datagram belongs to, by its first bytes (RFC 7983 §7, RFC 5761 §4).

/// What a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatagramKind {
    /// None of ours.
    NotRtc,
    /// STUN.
    Stun,
    /// DTLS.
    Dtls,
    /// SRTP.
    Rtp,
    /// SRTCP.
    Rtcp,
}

/// The protocol of a datagram. Total: any bytes, none included, have a kind.
#[must_use]
pub(crate) fn classify(data: &[u8]) -> DatagramKind {
    match *data {
        [0..=3, ..] => DatagramKind::Stun,
        [20..=63, ..] => DatagramKind::Dtls,
        [128..=191, 192..=223, ..] => DatagramKind::Rtcp,
        [128..=191, ..] => DatagramKind::Rtp,
        _ => DatagramKind::NotRtc,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_first_byte() {
        assert_eq!(classify(&[]), DatagramKind::NotRtc);
        for first in 0..=255_u8 {
            let expected = match first {
                0..=3 => DatagramKind::Stun,
                20..=63 => DatagramKind::Dtls,
                128..=191 => DatagramKind::Rtp,
                _ => DatagramKind::NotRtc,
            };
            assert_eq!(classify(&[first]), expected);
            assert_eq!(classify(&[first, 191]), expected);
            let is_rtcp = expected == DatagramKind::Rtp;
            for second in [192, 200, 223] {
                assert_eq!(classify(&[first, second]), if is_rtcp { DatagramKind::Rtcp } else { expected });
            }
            assert_eq!(classify(&[first, 224]), expected);
        }
    }
}

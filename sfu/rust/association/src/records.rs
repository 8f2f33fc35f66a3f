//! DTLS 1.2 records of an established session (RFC 6347 §4.1, RFC 5288, RFC 7905): what carries SCTP.
//!
//! The handshake is OpenSSL's, and so is what comes late of it; alerts of the session (RFC 5246 §7.2) are read here. Keys
//! come from the session's master secret (RFC 5246 §6.3).

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac::{self, HMAC_SHA256, HMAC_SHA384};

const HEADER_BYTES: usize = 13;
const EXPLICIT_NONCE_BYTES: usize = 8;
const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
const DTLS_1_2: [u8; 2] = [0xFE, 0xFD];
const ALERT: u8 = 21;
const FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;
const APPLICATION_DATA: u8 = 23;
const EPOCH: u64 = 1;
const SEQUENCE_BITS: u32 = 48;
/// OpenSSL numbers the records of its handshake from 0, and what it repeats of them; ours begin far behind.
const FIRST_SEQUENCE: u64 = 1024;
const REPLAY_WINDOW: u64 = 64;

/// An AEAD suite by its name in OpenSSL.
#[derive(Clone, Copy, Debug)]
pub enum Suite {
    /// `…-AES128-GCM-SHA256`
    Aes128Gcm,
    /// `…-AES256-GCM-SHA384`
    Aes256Gcm,
    /// `…-CHACHA20-POLY1305`
    ChaCha20Poly1305,
}

impl Suite {
    /// None for others.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        if name.ends_with("-AES128-GCM-SHA256") {
            Some(Self::Aes128Gcm)
        } else if name.ends_with("-AES256-GCM-SHA384") {
            Some(Self::Aes256Gcm)
        } else {
            name.ends_with("-CHACHA20-POLY1305").then_some(Self::ChaCha20Poly1305)
        }
    }

    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Aes128Gcm => &AES_128_GCM,
            Self::Aes256Gcm => &AES_256_GCM,
            Self::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        }
    }

    /// What a record carries of its nonce.
    fn explicit_bytes(self) -> usize {
        if matches!(self, Self::ChaCha20Poly1305) { 0 } else { EXPLICIT_NONCE_BYTES }
    }
}

/// What OpenSSL says of a session.
#[derive(Clone)]
pub struct Session<'a> {
    /// What was negotiated.
    pub suite: Suite,
    /// Our role.
    pub is_client: bool,
    /// 48 bytes.
    pub master_secret: &'a [u8],
    /// 32 bytes.
    pub client_random: &'a [u8],
    /// 32 bytes.
    pub server_random: &'a [u8],
    /// The explicit nonce of the last record that OpenSSL sealed for us; ours stay half of all nonces away from it.
    pub used_nonce: u64,
}

/// One direction's key.
struct Half {
    key: LessSafeKey,
    /// The part of the nonce that no record carries.
    iv: Vec<u8>,
}

/// Seals and opens the records of one session.
pub struct Records {
    suite: Suite,
    tx: Half,
    rx: Half,
    next_sequence: u64,
    nonce_offset: u64,
    /// One more than the highest sequence number that was opened.
    end: u64,
    /// Bit n: `end - 1 - n` was opened.
    opened: u64,
}

/// What a record is.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// Application data, in the buffer.
    Data,
    /// The peer said close_notify, or that it cannot go on.
    Goodbye,
    /// A warning, which changes nothing.
    Warning,
    /// For OpenSSL.
    Other,
    /// Forged, torn or opened before.
    Dropped,
}

impl Records {
    /// None when the secrets are of the wrong size.
    #[must_use]
    pub fn new(session: &Session<'_>) -> Option<Self> {
        if session.master_secret.is_empty() {
            return None;
        }
        let algorithm = session.suite.algorithm();
        let iv_bytes = NONCE_BYTES.checked_sub(session.suite.explicit_bytes())?;
        let block = key_block(session, algorithm.key_len().checked_add(iv_bytes)?.checked_mul(2)?);
        let (keys, ivs) = block.split_at_checked(algorithm.key_len().checked_mul(2)?)?;
        let (client_key, server_key) = keys.split_at_checked(algorithm.key_len())?;
        let (client_iv, server_iv) = ivs.split_at_checked(iv_bytes)?;
        let half = |key, iv: &[u8]| {
            Some(Half { key: LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?), iv: iv.to_vec() })
        };
        let (client, server) = (half(client_key, client_iv)?, half(server_key, server_iv)?);
        let (tx, rx) = if session.is_client { (client, server) } else { (server, client) };
        Some(Self {
            suite: session.suite,
            tx,
            rx,
            next_sequence: FIRST_SEQUENCE,
            nonce_offset: session.used_nonce ^ (1 << 63),
            end: 0,
            opened: 0,
        })
    }

    /// Appends a record with `data` to `out`. False when the numbers have run out.
    pub fn seal(&mut self, data: &[u8], out: &mut Vec<u8>) -> bool {
        self.seal_as(APPLICATION_DATA, data, out)
    }

    /// Appends close_notify.
    pub fn seal_close(&mut self, out: &mut Vec<u8>) -> bool {
        self.seal_as(ALERT, &[1, 0], out)
    }

    fn seal_as(&mut self, kind: u8, data: &[u8], out: &mut Vec<u8>) -> bool {
        let sequence = self.next_sequence;
        if sequence >> SEQUENCE_BITS != 0 {
            return false;
        }
        self.next_sequence = sequence.saturating_add(1);
        let number = EPOCH << SEQUENCE_BITS | sequence;
        let explicit = self.nonce_offset.wrapping_add(sequence).to_be_bytes();
        let explicit = explicit.get(..self.suite.explicit_bytes()).unwrap_or_default();
        let (Some(nonce), Ok(length)) = (self.tx.nonce(number, explicit), u16::try_from(data.len())) else {
            return false;
        };
        let before = out.len();
        let Ok(body_bytes) = u16::try_from(explicit.len().saturating_add(data.len()).saturating_add(TAG_BYTES)) else {
            return false;
        };
        out.push(kind);
        out.extend(DTLS_1_2);
        out.extend(number.to_be_bytes());
        out.extend(body_bytes.to_be_bytes());
        out.extend(explicit);
        let data_at = out.len();
        out.extend(data);
        let sealed = out.get_mut(data_at..).and_then(|place| {
            self.tx.key.seal_in_place_separate_tag(nonce, associated(number, kind, length), place).ok()
        });
        match sealed {
            Some(tag) => {
                out.extend(tag.as_ref());
                true
            }
            None => {
                out.truncate(before);
                false
            }
        }
    }

    /// The first record of `datagram`: what it is, and the rest. Application data goes into `out`, which is emptied.
    pub fn open<'a>(&mut self, datagram: &'a [u8], out: &mut Vec<u8>) -> (Opened, &'a [u8]) {
        out.clear();
        let Some((header, rest)) = datagram.split_first_chunk::<HEADER_BYTES>() else { return (Opened::Dropped, &[]) };
        let [kind, v0, v1, n0, n1, n2, n3, n4, n5, n6, n7, l0, l1] = *header;
        let number = u64::from_be_bytes([n0, n1, n2, n3, n4, n5, n6, n7]);
        let Some((body, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1]))) else {
            return (Opened::Dropped, &[]);
        };
        if [v0, v1] != DTLS_1_2 {
            return (Opened::Dropped, rest);
        }
        let is_ours = number >> SEQUENCE_BITS == EPOCH;
        if kind != APPLICATION_DATA && !(kind == ALERT && is_ours) {
            return (Opened::Other, rest);
        }
        if !is_ours || self.open_body(kind, number, body, out).is_none() {
            return (Opened::Dropped, rest);
        }
        let opened = match (kind, out.as_slice()) {
            (APPLICATION_DATA, _) => Opened::Data,
            (_, &[FATAL, _] | &[_, CLOSE_NOTIFY]) => Opened::Goodbye,
            _ => Opened::Warning,
        };
        (opened, rest)
    }

    fn open_body(&mut self, kind: u8, number: u64, body: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let sequence = number & ((1 << SEQUENCE_BITS) - 1);
        if self.was_opened(sequence) {
            return None;
        }
        let (explicit, sealed) = body.split_at_checked(self.suite.explicit_bytes())?;
        let length = u16::try_from(sealed.len().checked_sub(TAG_BYTES)?).ok()?;
        let nonce = self.rx.nonce(number, explicit)?;
        out.extend(sealed);
        let opened = self.rx.key.open_in_place(nonce, associated(number, kind, length), out);
        let size = opened.ok()?.len();
        out.truncate(size);
        self.remember(sequence);
        Some(())
    }

    fn was_opened(&self, sequence: u64) -> bool {
        let Some(age) = self.end.checked_sub(1).and_then(|last| last.checked_sub(sequence)) else { return false };
        age >= REPLAY_WINDOW || self.opened >> age & 1 == 1
    }

    fn remember(&mut self, sequence: u64) {
        let end = sequence.saturating_add(1);
        if end > self.end {
            let step = end.saturating_sub(self.end);
            self.opened = if step < REPLAY_WINDOW { self.opened << step } else { 0 };
            self.end = end;
        }
        self.opened |= 1 << self.end.saturating_sub(end);
    }
}

impl Half {
    fn nonce(&self, number: u64, explicit: &[u8]) -> Option<Nonce> {
        let mut nonce = [0; NONCE_BYTES];
        let (fixed, carried) = nonce.split_at_mut_checked(self.iv.len())?;
        fixed.copy_from_slice(&self.iv);
        if explicit.is_empty() {
            // RFC 7905: the number of the record, on the last eight bytes of the secret.
            let numbered = fixed.get_mut(NONCE_BYTES.checked_sub(EXPLICIT_NONCE_BYTES)?..)?;
            numbered.iter_mut().zip(number.to_be_bytes()).for_each(|(byte, with)| *byte ^= with);
        } else {
            carried.copy_from_slice(explicit.get(..carried.len())?);
        }
        Some(Nonce::assume_unique_for_key(nonce))
    }
}

fn associated(number: u64, kind: u8, length: u16) -> Aad<[u8; HEADER_BYTES]> {
    let [n0, n1, n2, n3, n4, n5, n6, n7] = number.to_be_bytes();
    let ([v0, v1], [l0, l1]) = (DTLS_1_2, length.to_be_bytes());
    Aad::from([n0, n1, n2, n3, n4, n5, n6, n7, kind, v0, v1, l0, l1])
}

/// RFC 5246 §5 and §6.3.
fn key_block(session: &Session<'_>, size: usize) -> Vec<u8> {
    let digest = if matches!(session.suite, Suite::Aes256Gcm) { HMAC_SHA384 } else { HMAC_SHA256 };
    let key = hmac::Key::new(digest, session.master_secret);
    let seed = [b"key expansion".as_slice(), session.server_random, session.client_random].concat();
    let mut block = Vec::with_capacity(size.next_multiple_of(48));
    let mut link = hmac::sign(&key, &seed);
    while block.len() < size {
        let mut context = hmac::Context::with_key(&key);
        context.update(link.as_ref());
        context.update(&seed);
        block.extend(context.sign().as_ref());
        link = hmac::sign(&key, link.as_ref());
    }
    block.truncate(size);
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(suite: Suite) -> [Records; 2] {
        [true, false].map(|is_client| {
            let session = Session {
                suite,
                is_client,
                master_secret: &[7; 48],
                client_random: &[1; 32],
                server_random: &[2; 32],
                used_nonce: u64::MAX - 5,
            };
            Records::new(&session).unwrap()
        })
    }

    #[test]
    fn what_one_end_seals_the_other_opens_once() {
        for suite in [Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305] {
            let [mut one, mut other] = ends(suite);
            let mut datagram = Vec::new();
            assert!(one.seal(b"first", &mut datagram) && one.seal(b"", &mut datagram));
            let mut out = Vec::new();
            let (opened, rest) = other.open(&datagram, &mut out);
            assert_eq!((opened, out.as_slice()), (Opened::Data, b"first".as_slice()));
            assert_eq!(other.open(rest, &mut out), (Opened::Data, [].as_slice()));
            assert_eq!(other.open(&datagram, &mut out).0, Opened::Dropped);
            for at in 0..datagram.len() - rest.len() {
                let [_, mut fresh] = ends(suite);
                let mut forged = datagram.clone();
                forged[at] ^= 1;
                assert_ne!(fresh.open(&forged, &mut out).0, Opened::Data, "{at}");
                (0..at).for_each(|size| assert_ne!(fresh.open(&datagram[..size], &mut out).0, Opened::Data));
            }
        }
    }

    #[test]
    fn late_records_are_opened_within_the_window_and_in_any_order() {
        let [mut one, mut other] = ends(Suite::Aes128Gcm);
        let sealed: Vec<Vec<u8>> = (0..100)
            .map(|index| {
                let mut datagram = Vec::new();
                one.seal(&[index], &mut datagram);
                datagram
            })
            .collect();
        let mut out = Vec::new();
        let mut open = |index: usize| other.open(&sealed[index], &mut out).0;
        assert_eq!(open(80), Opened::Data);
        assert_eq!(open(16), Opened::Dropped);
        assert_eq!(open(17), Opened::Data);
        assert_eq!(open(17), Opened::Dropped);
        assert_eq!(open(99), Opened::Data);
        assert_eq!(open(35), Opened::Dropped);
        assert_eq!(open(81), Opened::Data);
    }

    #[test]
    fn alerts_are_a_goodbye_when_they_close_or_are_fatal() {
        for suite in [Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305] {
            for (alert, expected) in [
                ([1, 0], Opened::Goodbye),
                ([2, 0], Opened::Goodbye),
                ([2, 40], Opened::Goodbye),
                ([1, 90], Opened::Warning),
            ] {
                let [mut one, mut other] = ends(suite);
                let (mut datagram, mut out) = (Vec::new(), Vec::new());
                assert!(one.seal_as(ALERT, &alert, &mut datagram));
                let mut forged = datagram.clone();
                *forged.last_mut().unwrap() ^= 1;
                assert_eq!(other.open(&forged, &mut out).0, Opened::Dropped);
                assert_eq!(other.open(&datagram, &mut out), (expected, [].as_slice()));
                assert_eq!(other.open(&datagram, &mut out).0, Opened::Dropped);
            }
        }
    }

    #[test]
    fn other_records_and_other_epochs_are_not_opened() {
        let [mut one, mut other] = ends(Suite::ChaCha20Poly1305);
        let (mut datagram, mut out) = (Vec::new(), Vec::new());
        assert!(one.seal_as(22, b"finished", &mut datagram));
        assert_eq!(other.open(&datagram, &mut out), (Opened::Other, [].as_slice()));
        // Without protection anybody could end a session.
        datagram.clear();
        assert!(one.seal_close(&mut datagram));
        datagram[4] = 0;
        assert_eq!(other.open(&datagram, &mut out).0, Opened::Other);
        datagram.clear();
        one.seal(b"x", &mut datagram);
        datagram[4] = 0;
        assert_eq!(other.open(&datagram, &mut out).0, Opened::Dropped);
    }
}

//! The cryptography of SRTP with session keys: AES-GCM (RFC 7714), AES counter mode with HMAC-SHA1 (RFC 3711).
//!
//! Everything in place; `None` for packets that are too short or not authentic.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

use crate::seqnum::EXT_SEQ_START;

const INDEX_BYTES: usize = 4;
const RTCP_HEADER_BYTES: usize = 8;
const AUTH_KEY_BYTES: usize = 20;
const E_BIT: u32 = 0x8000_0000;

/// Session keys of RTP or of RTCP. AES-GCM has no use for `auth`.
pub struct SessionKeys {
    /// Of the cipher: 16 or 32 bytes.
    pub key: Vec<u8>,
    /// 12 bytes (AES-GCM) or 14.
    pub salt: Vec<u8>,
    /// Of the HMAC: 20 bytes.
    pub auth: [u8; AUTH_KEY_BYTES],
}

impl SessionKeys {
    /// All zero, with a key and a salt of these sizes.
    #[must_use]
    pub fn sized(key_bytes: usize, salt_bytes: usize) -> Self {
        Self { key: vec![0; key_bytes], salt: vec![0; salt_bytes], auth: [0; AUTH_KEY_BYTES] }
    }
}

/// Fill `out` with a session key from AES-CM as the PRF, key derivation rate 0 (RFC 3711 §4.3).
///
/// A salt of 12 bytes (AES-GCM) is extended with zero bytes to 14 (RFC 7714 §11). `None` for keys of other lengths.
#[must_use]
pub fn derive_key(master_key: &[u8], master_salt: &[u8], label: u8, out: &mut [u8]) -> Option<()> {
    let mut iv = [0; 16];
    for (byte, salt) in iv.iter_mut().zip(master_salt) {
        *byte = *salt;
    }
    let [_, _, _, _, _, _, _, place, ..] = &mut iv;
    *place ^= label;
    out.fill(0);
    crypt(&counter_mode(master_key)?, iv, out)
}

fn counter_mode(key: &[u8]) -> Option<EncryptingKey> {
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    EncryptingKey::ctr(UnboundCipherKey::new(algorithm, key).ok()?).ok()
}

fn crypt(cipher: &EncryptingKey, iv: [u8; 16], data: &mut [u8]) -> Option<()> {
    cipher.less_safe_encrypt(data, EncryptionContext::Iv128(FixedLength::from(iv))).ok().map(|_| ())
}

/// Rollover counter and sequence number, 48 bits: bytes 2.. of the result.
fn packet_index(ext_seq: i64) -> [u8; 8] {
    ext_seq.wrapping_sub(EXT_SEQ_START).to_be_bytes()
}

/// AES-GCM with session keys (RFC 7714): the tag of 16 bytes follows the ciphertext.
pub struct GcmTransform {
    rtp: GcmKey,
    rtcp: GcmKey,
}

struct GcmKey {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl GcmKey {
    fn new(keys: &SessionKeys) -> Option<Self> {
        let algorithm = if keys.key.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, &keys.key).ok()?);
        Some(Self { key, salt: keys.salt.as_slice().try_into().ok()? })
    }

    /// IV = (0^16 | SSRC | 48 bits) xor salt (RFC 7714 §8.1, §9.1).
    fn nonce(&self, ssrc: u32, number: [u8; 8]) -> Nonce {
        let [s0, s1, s2, s3] = ssrc.to_be_bytes();
        let [_, _, n0, n1, n2, n3, n4, n5] = number;
        let mut iv = [0, 0, s0, s1, s2, s3, n0, n1, n2, n3, n4, n5];
        for (byte, salt) in iv.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        Nonce::assume_unique_for_key(iv)
    }

    /// Encrypt `body`, whose last bytes are room for the tag.
    fn seal(&self, nonce: Nonce, aad: &[u8], body: &mut [u8]) -> Option<()> {
        let (plain, room) = body.split_last_chunk_mut::<{ GcmTransform::TAG_BYTES }>()?;
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(aad), plain).ok()?;
        room.copy_from_slice(tag.as_ref());
        Some(())
    }

    /// Decrypt `body`, which ends with the tag; returns the size of the plaintext.
    fn open(&self, nonce: Nonce, aad: &[u8], body: &mut [u8]) -> Option<usize> {
        self.key.open_in_place(nonce, Aad::from(aad), body).ok().map(|plain| plain.len())
    }
}

impl GcmTransform {
    /// Bytes of an authentication tag.
    pub const TAG_BYTES: usize = 16;

    /// `None` for keys of the wrong length.
    #[must_use]
    pub fn new(rtp: &SessionKeys, rtcp: &SessionKeys) -> Option<Self> {
        Some(Self { rtp: GcmKey::new(rtp)?, rtcp: GcmKey::new(rtcp)? })
    }

    /// See [`crate::srtp::SrtpContext::protect_rtp`].
    #[must_use]
    pub fn protect_rtp(&self, packet: &mut [u8], header_len: usize, ssrc: u32, ext_seq: i64) -> Option<()> {
        let (header, body) = packet.split_at_mut_checked(header_len)?;
        self.rtp.seal(self.rtp.nonce(ssrc, packet_index(ext_seq)), header, body)
    }

    /// See [`crate::srtp::SrtpContext::unprotect_rtp`].
    #[must_use]
    pub fn unprotect_rtp(&self, data: &mut [u8], header_len: usize, ssrc: u32, ext_seq: i64) -> Option<usize> {
        let (header, body) = data.split_at_mut_checked(header_len)?;
        self.rtp.open(self.rtp.nonce(ssrc, packet_index(ext_seq)), header, body)
    }

    /// Protect in place and append tag and `index_word` (E bit and index).
    #[must_use]
    pub fn protect_rtcp(&self, packet: &mut Vec<u8>, ssrc: u32, index_word: u32) -> Option<()> {
        packet.resize(packet.len() + Self::TAG_BYTES, 0);
        let (header, body) = packet.split_at_mut_checked(RTCP_HEADER_BYTES)?;
        self.rtcp.seal(self.rtcp_nonce(ssrc, index_word), &rtcp_aad(header, index_word)?, body)?;
        packet.extend_from_slice(&index_word.to_be_bytes());
        Some(())
    }

    /// Unprotect in place; returns the size of the compound.
    #[must_use]
    pub fn unprotect_rtcp(&self, data: &mut [u8], ssrc: u32, index_word: u32) -> Option<usize> {
        let (header, rest) = data.split_at_mut_checked(RTCP_HEADER_BYTES)?;
        let (body, _) = rest.split_last_chunk_mut::<INDEX_BYTES>()?;
        let size = self.rtcp.open(self.rtcp_nonce(ssrc, index_word), &rtcp_aad(header, index_word)?, body)?;
        Some(RTCP_HEADER_BYTES + size)
    }

    fn rtcp_nonce(&self, ssrc: u32, index_word: u32) -> Nonce {
        self.rtcp.nonce(ssrc, u64::from(index_word & !E_BIT).to_be_bytes())
    }
}

/// The first header and the word with the index (RFC 7714 §9.2).
fn rtcp_aad(header: &[u8], index_word: u32) -> Option<[u8; RTCP_HEADER_BYTES + INDEX_BYTES]> {
    let &[h0, h1, h2, h3, h4, h5, h6, h7] = header.first_chunk::<RTCP_HEADER_BYTES>()?;
    let [i0, i1, i2, i3] = index_word.to_be_bytes();
    Some([h0, h1, h2, h3, h4, h5, h6, h7, i0, i1, i2, i3])
}

/// AES counter mode with an HMAC-SHA1 tag of 80 bits, with session keys (RFC 3711 §4.1.1, §4.2.1).
pub struct CmSha1Transform {
    rtp: CmKey,
    rtcp: CmKey,
}

struct CmKey {
    cipher: EncryptingKey,
    salt: [u8; 14],
    auth: hmac::Key,
}

impl CmKey {
    fn new(keys: &SessionKeys) -> Option<Self> {
        Some(Self {
            cipher: counter_mode(&keys.key)?,
            salt: keys.salt.as_slice().try_into().ok()?,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &keys.auth),
        })
    }

    /// IV = salt * 2^16 xor SSRC * 2^64 xor index * 2^16 (RFC 3711 §4.1.1), with the index in the low 48 bits.
    fn crypt(&self, data: &mut [u8], ssrc: u32, index: [u8; 8]) -> Option<()> {
        let [s0, s1, s2, s3] = ssrc.to_be_bytes();
        let [_, _, n0, n1, n2, n3, n4, n5] = index;
        let mut iv = [0, 0, 0, 0, s0, s1, s2, s3, n0, n1, n2, n3, n4, n5, 0, 0];
        for (byte, salt) in iv.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        crypt(&self.cipher, iv, data)
    }

    fn tag(&self, sealed: &[u8], behind: &[u8]) -> Option<[u8; CmSha1Transform::TAG_BYTES]> {
        let mut context = hmac::Context::with_key(&self.auth);
        context.update(sealed);
        context.update(behind);
        context.sign().as_ref().first_chunk().copied()
    }
}

impl CmSha1Transform {
    /// Bytes of an authentication tag.
    pub const TAG_BYTES: usize = 10;

    /// `None` for keys of the wrong length.
    #[must_use]
    pub fn new(rtp: &SessionKeys, rtcp: &SessionKeys) -> Option<Self> {
        Some(Self { rtp: CmKey::new(rtp)?, rtcp: CmKey::new(rtcp)? })
    }

    /// See [`crate::srtp::SrtpContext::protect_rtp`].
    #[must_use]
    pub fn protect_rtp(&self, packet: &mut [u8], header_len: usize, ssrc: u32, ext_seq: i64) -> Option<()> {
        let index = packet_index(ext_seq);
        let (sealed, room) = packet.split_last_chunk_mut::<{ Self::TAG_BYTES }>()?;
        self.rtp.crypt(sealed.get_mut(header_len..)?, ssrc, index)?;
        *room = self.rtp.tag(sealed, rollover_counter(&index))?;
        Some(())
    }

    /// See [`crate::srtp::SrtpContext::unprotect_rtp`].
    #[must_use]
    pub fn unprotect_rtp(&self, data: &mut [u8], header_len: usize, ssrc: u32, ext_seq: i64) -> Option<usize> {
        let index = packet_index(ext_seq);
        let (sealed, tag) = data.split_last_chunk_mut::<{ Self::TAG_BYTES }>()?;
        let size = sealed.len().checked_sub(header_len)?;
        verify_slices_are_equal(&self.rtp.tag(sealed, rollover_counter(&index))?, tag).ok()?;
        self.rtp.crypt(sealed.get_mut(header_len..)?, ssrc, index)?;
        Some(size)
    }

    /// Protect in place and append `index_word` (E bit and index) and tag.
    #[must_use]
    pub fn protect_rtcp(&self, packet: &mut Vec<u8>, ssrc: u32, index_word: u32) -> Option<()> {
        let index = u64::from(index_word & !E_BIT).to_be_bytes();
        self.rtcp.crypt(packet.get_mut(RTCP_HEADER_BYTES..)?, ssrc, index)?;
        packet.extend_from_slice(&index_word.to_be_bytes());
        let tag = self.rtcp.tag(packet, &[])?;
        packet.extend_from_slice(&tag);
        Some(())
    }

    /// Unprotect in place; returns the size of the compound.
    #[must_use]
    pub fn unprotect_rtcp(&self, data: &mut [u8], ssrc: u32, index_word: u32) -> Option<usize> {
        let (sealed, tag) = data.split_last_chunk_mut::<{ Self::TAG_BYTES }>()?;
        verify_slices_are_equal(&self.rtcp.tag(sealed, &[])?, tag).ok()?;
        let (compound, _) = sealed.split_last_chunk_mut::<INDEX_BYTES>()?;
        let index = u64::from(index_word & !E_BIT).to_be_bytes();
        self.rtcp.crypt(compound.get_mut(RTCP_HEADER_BYTES..)?, ssrc, index)?;
        Some(compound.len())
    }
}

/// The rollover counter in a packet index: 32 bits.
fn rollover_counter(index: &[u8; 8]) -> &[u8] {
    let [_, _, counter @ .., _, _] = index;
    counter
}

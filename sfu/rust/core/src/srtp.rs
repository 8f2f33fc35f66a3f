//! SRTP and SRTCP for one direction of one transport (RFC 3711; AES-GCM: RFC 7714).
//!
//! Everything happens in place in buffers of the caller. The caller estimates `ext_seq` (see [`crate::seqnum`]) and
//! keeps the RTP replay window, so that replay is checked before decryption and remembered after it. SRTCP carries its
//! index itself: its replay windows are kept here.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use crate::api::SrtpProfile;
use crate::seqnum::{Freshness, ReplayWindow};
use crate::srtp_transforms::{CmSha1Transform, GcmTransform, SessionKeys, derive_key};

/// SRTCP replay windows per transport; beyond it the oldest is forgotten. Only the peer itself can get there.
pub const MAX_RTCP_SSRCS: usize = 256;
/// The largest [`SrtpContext::rtp_overhead`] of all profiles.
pub const MAX_RTP_OVERHEAD: usize = 16;

const INDEX_BYTES: usize = 4;
const RTCP_HEADER_BYTES: usize = 8;
const E_BIT: u32 = 0x8000_0000;
const MAX_RTCP_INDEX: u32 = (1 << 31) - 1;

/// Bytes of a master key.
#[must_use]
pub fn key_bytes(profile: SrtpProfile) -> usize {
    match profile {
        SrtpProfile::AeadAes128Gcm | SrtpProfile::Aes128CmSha1_80 => 16,
        SrtpProfile::AeadAes256Gcm => 32,
    }
}

/// Bytes of a master salt.
#[must_use]
pub fn salt_bytes(profile: SrtpProfile) -> usize {
    match profile {
        SrtpProfile::AeadAes128Gcm | SrtpProfile::AeadAes256Gcm => 12,
        SrtpProfile::Aes128CmSha1_80 => 14,
    }
}

/// A key or salt of the wrong length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLengthError(SrtpProfile);

impl fmt::Display for KeyLengthError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            SrtpProfile::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
            SrtpProfile::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
            SrtpProfile::Aes128CmSha1_80 => "SRTP_AES128_CM_SHA1_80",
        };
        let (key, salt) = (key_bytes(self.0), salt_bytes(self.0));
        write!(formatter, "{name} needs a key of {key} and a salt of {salt} bytes")
    }
}

impl std::error::Error for KeyLengthError {}

/// Why an SRTCP packet was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpFailure {
    /// Too short, or not encrypted.
    Malformed,
    /// Seen already.
    Replayed,
    /// Left of the replay window.
    TooOld,
    /// Not from the peer, or not for us.
    AuthFailed,
}

/// The cryptography of a profile.
enum Transform {
    Gcm(Box<GcmTransform>),
    CmSha1(Box<CmSha1Transform>),
}

/// One direction of one transport: protect with our keys or unprotect with the peer's.
pub struct SrtpContext {
    transform: Transform,
    next_rtcp_index: u32,
    rtcp_windows: RtcpWindows,
}

impl fmt::Debug for SrtpContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SrtpContext").finish_non_exhaustive()
    }
}

impl SrtpContext {
    /// From the master key and salt of the handshake.
    pub fn new(profile: SrtpProfile, key: &[u8], salt: &[u8]) -> Result<Self, KeyLengthError> {
        if key.len() != key_bytes(profile) || salt.len() != salt_bytes(profile) {
            return Err(KeyLengthError(profile));
        }
        let transform = Self::transform(profile, key, salt).ok_or(KeyLengthError(profile))?;
        Ok(Self { transform, next_rtcp_index: 0, rtcp_windows: RtcpWindows::default() })
    }

    fn transform(profile: SrtpProfile, key: &[u8], salt: &[u8]) -> Option<Transform> {
        let keys = |labels: [u8; 3]| -> Option<SessionKeys> {
            let mut session = SessionKeys::sized(key.len(), salt.len());
            let [cipher, auth, salting] = labels;
            derive_key(key, salt, cipher, &mut session.key)?;
            derive_key(key, salt, auth, &mut session.auth)?;
            derive_key(key, salt, salting, &mut session.salt)?;
            Some(session)
        };
        let (rtp, rtcp) = (keys([0, 1, 2])?, keys([3, 4, 5])?);
        Some(match profile {
            SrtpProfile::Aes128CmSha1_80 => Transform::CmSha1(Box::new(CmSha1Transform::new(&rtp, &rtcp)?)),
            SrtpProfile::AeadAes128Gcm | SrtpProfile::AeadAes256Gcm => {
                Transform::Gcm(Box::new(GcmTransform::new(&rtp, &rtcp)?))
            }
        })
    }

    /// Bytes that protection adds to an RTP packet: 16 or 10.
    #[must_use]
    pub fn rtp_overhead(&self) -> usize {
        match &self.transform {
            Transform::Gcm(_) => GcmTransform::TAG_BYTES,
            Transform::CmSha1(_) => CmSha1Transform::TAG_BYTES,
        }
    }

    /// Protect a packet in place. `packet` is its header (`header_len` bytes, with CSRCs and extensions), the payload,
    /// and room of [`Self::rtp_overhead`] bytes for the tag. Returns the length of the datagram, which is that of
    /// `packet`; `None` when there is no room, and then nothing must be sent.
    #[must_use]
    pub fn protect_rtp(&self, packet: &mut [u8], header_len: usize, ssrc: u32, ext_seq: i64) -> Option<usize> {
        match &self.transform {
            Transform::Gcm(gcm) => gcm.protect_rtp(packet, header_len, ssrc, ext_seq)?,
            Transform::CmSha1(cm) => cm.protect_rtp(packet, header_len, ssrc, ext_seq)?,
        }
        Some(packet.len())
    }

    /// Unprotect a datagram in place: the plaintext with its padding is `data[header_len..header_len + n]` for the n
    /// returned. `None` when authentication fails; what `data` holds then is undefined after its header.
    #[must_use]
    pub fn unprotect_rtp(&self, data: &mut [u8], header_len: usize, ssrc: u32, ext_seq: i64) -> Option<usize> {
        match &self.transform {
            Transform::Gcm(gcm) => gcm.unprotect_rtp(data, header_len, ssrc, ext_seq),
            Transform::CmSha1(cm) => cm.unprotect_rtp(data, header_len, ssrc, ext_seq),
        }
    }

    /// Protect a compound RTCP packet (at least 8 bytes) in place under the next SRTCP index; it grows.
    ///
    /// `false` once the key has sealed its 2^31 packets (RFC 3711 §9.2): an index must never repeat. Then, and when
    /// the packet is too short, nothing must be sent.
    #[must_use]
    pub fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> bool {
        let index = self.next_rtcp_index;
        let Some(ssrc) = rtcp_ssrc(packet) else { return false };
        if index > MAX_RTCP_INDEX {
            return false;
        }
        self.next_rtcp_index = index + 1;
        let protected = match &self.transform {
            Transform::Gcm(gcm) => gcm.protect_rtcp(packet, ssrc, E_BIT | index),
            Transform::CmSha1(cm) => cm.protect_rtcp(packet, ssrc, E_BIT | index),
        };
        protected.is_some()
    }

    /// Unprotect an SRTCP packet in place: the compound is `data[..n]` for the n returned.
    ///
    /// Packets without the E bit are refused: WebRTC never leaves RTCP unencrypted (RFC 8827 §6.5).
    pub fn unprotect_rtcp(&mut self, data: &mut [u8]) -> Result<usize, RtcpFailure> {
        let (Some(word), Some(ssrc)) = (self.rtcp_index_word(data), rtcp_ssrc(data)) else {
            return Err(RtcpFailure::Malformed);
        };
        if word & E_BIT == 0 {
            return Err(RtcpFailure::Malformed);
        }
        let index = i64::from(word ^ E_BIT);
        match self.rtcp_windows.check(ssrc, index) {
            Freshness::Fresh => (),
            Freshness::Replayed => return Err(RtcpFailure::Replayed),
            Freshness::TooOld => return Err(RtcpFailure::TooOld),
        }
        let size = match &self.transform {
            Transform::Gcm(gcm) => gcm.unprotect_rtcp(data, ssrc, word),
            Transform::CmSha1(cm) => cm.unprotect_rtcp(data, ssrc, word),
        };
        let size = size.ok_or(RtcpFailure::AuthFailed)?;
        self.rtcp_windows.commit(ssrc, index);
        Ok(size)
    }

    /// E bit and index of a protected RTCP packet; `None` when it is too short to be one.
    fn rtcp_index_word(&self, data: &[u8]) -> Option<u32> {
        let (tag_bytes, behind_index) = match &self.transform {
            Transform::Gcm(_) => (GcmTransform::TAG_BYTES, 0),
            Transform::CmSha1(_) => (CmSha1Transform::TAG_BYTES, CmSha1Transform::TAG_BYTES),
        };
        if data.len() < RTCP_HEADER_BYTES + tag_bytes + INDEX_BYTES {
            return None;
        }
        let up_to_index = data.get(..data.len() - behind_index)?;
        up_to_index.last_chunk::<INDEX_BYTES>().map(|bytes| u32::from_be_bytes(*bytes))
    }
}

/// The SSRC of the first sub-packet.
fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    packet.get(4..)?.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

/// SRTCP replay windows by SSRC.
#[derive(Debug, Default)]
struct RtcpWindows {
    windows: BTreeMap<u32, ReplayWindow>,
    oldest_first: VecDeque<u32>,
}

impl RtcpWindows {
    fn check(&self, ssrc: u32, index: i64) -> Freshness {
        self.windows.get(&ssrc).map_or(Freshness::Fresh, |window| window.check(index))
    }

    fn commit(&mut self, ssrc: u32, index: i64) {
        if !self.windows.contains_key(&ssrc) {
            if self.windows.len() >= MAX_RTCP_SSRCS
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.windows.remove(&oldest);
            }
            self.oldest_first.push_back(ssrc);
        }
        self.windows.entry(ssrc).or_default().commit(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rtcp_index_is_never_passed() {
        for profile in [SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm, SrtpProfile::Aes128CmSha1_80] {
            let (key, salt) = (vec![1; key_bytes(profile)], vec![2; salt_bytes(profile)]);
            let mut sender = SrtpContext::new(profile, &key, &salt).unwrap();
            sender.next_rtcp_index = MAX_RTCP_INDEX;
            let plain = vec![0x81, 206, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8];
            let mut sealed = plain.clone();
            assert!(sender.protect_rtcp(&mut sealed));
            let size = SrtpContext::new(profile, &key, &salt).unwrap().unprotect_rtcp(&mut sealed).unwrap();
            assert_eq!(sealed[..size], plain);
            assert!(!sender.protect_rtcp(&mut plain.clone()));
        }
    }

    #[test]
    fn rtcp_windows_are_bounded() {
        let mut windows = RtcpWindows::default();
        for ssrc in 0..2 * MAX_RTCP_SSRCS as u32 {
            assert_eq!(windows.check(ssrc, 0), Freshness::Fresh);
            windows.commit(ssrc, 0);
            assert_eq!(windows.check(ssrc, 0), Freshness::Replayed);
        }
        assert_eq!(windows.windows.len(), MAX_RTCP_SSRCS);
        assert_eq!(windows.oldest_first.len(), MAX_RTCP_SSRCS);
        assert_eq!(windows.check(0, 0), Freshness::Fresh);
    }
}

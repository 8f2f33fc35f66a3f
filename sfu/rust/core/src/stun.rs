//! Binding requests on a path that carries media already (RFC 8445 §7.3, RFC 7675): answered here, without the control
//! plane. Whatever is not the plain case is not answered, and goes up.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::hmac;

const HEADER_BYTES: usize = 20;
const MAGIC_COOKIE: u32 = 0x2112_A442;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const MAX_ATTRIBUTES: usize = 48;
const INTEGRITY_BYTES: usize = 20;
const FINGERPRINT_XOR: u32 = 0x5354_554E;
/// Transactions that are remembered, so that none of them can be replayed from another address.
const MAX_ANSWERED: usize = 512;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
const COMPREHENSION_OPTIONAL: u16 = 0x8000;
/// USERNAME, ERROR-CODE, UNKNOWN-ATTRIBUTES, XOR-MAPPED-ADDRESS, PRIORITY, USE-CANDIDATE: the comprehension-required
/// types that `sfu/engine/stun.py` understands, but for MESSAGE-INTEGRITY.
const UNDERSTOOD: [u16; 6] = [USERNAME, 0x0009, 0x000A, XOR_MAPPED_ADDRESS, 0x0024, 0x0025];

type TransactionId = [u8; 12];

/// Credentials of one transport, and what was answered with them.
#[derive(Debug)]
pub(crate) struct Ice {
    username: Vec<u8>,
    key: hmac::Key,
    answered: VecDeque<TransactionId>,
    pub(crate) checked_at_ns: Option<i64>,
}

impl Ice {
    pub(crate) fn new(local_ufrag: &str, local_pwd: &str, remote_ufrag: &str) -> Self {
        Self {
            username: format!("{local_ufrag}:{remote_ufrag}").into_bytes(),
            key: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, local_pwd.as_bytes()),
            answered: VecDeque::new(),
            checked_at_ns: None,
        }
    }

    /// Whether this transaction was answered here; the last `MAX_ANSWERED` are remembered.
    pub(crate) fn has_answered(&self, transaction_id: &[u8]) -> bool {
        self.answered.iter().any(|one| one == transaction_id)
    }

    /// What was answered and heard before counts with new credentials as well.
    pub(crate) fn take_over(&mut self, before: Self) {
        self.answered = before.answered;
        self.checked_at_ns = before.checked_at_ns;
    }

    /// The success response to `data`, which came from `remote`; None when it is anything but an authentic binding
    /// request of the peer that asks for nothing new.
    pub(crate) fn answer(&mut self, now_ns: i64, remote: SocketAddr, data: &[u8]) -> Option<Vec<u8>> {
        let request = parse(data)?;
        if request.username != self.username {
            return None;
        }
        let mut covered = data.get(..request.integrity_at)?.to_vec();
        put_length(&mut covered, 4 + INTEGRITY_BYTES)?;
        hmac::verify(&self.key, &covered, request.integrity).ok()?;
        if !self.has_answered(&request.transaction_id) {
            if self.answered.len() >= MAX_ANSWERED {
                self.answered.pop_front();
            }
            self.answered.push_back(request.transaction_id);
        }
        self.checked_at_ns = Some(now_ns);
        self.build_success(&request.transaction_id, remote)
    }

    fn build_success(&self, transaction_id: &TransactionId, mapped: SocketAddr) -> Option<Vec<u8>> {
        let mut message = Vec::with_capacity(HEADER_BYTES + 24 + 4 + INTEGRITY_BYTES + 8);
        message.extend_from_slice(&BINDING_SUCCESS.to_be_bytes());
        message.extend_from_slice(&[0, 0]);
        message.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
        message.extend_from_slice(transaction_id);
        put_attribute(&mut message, XOR_MAPPED_ADDRESS, &xor_mapped(transaction_id, mapped))?;
        put_length(&mut message, 4 + INTEGRITY_BYTES)?;
        let tag = hmac::sign(&self.key, &message);
        put_attribute(&mut message, MESSAGE_INTEGRITY, tag.as_ref())?;
        put_length(&mut message, 8)?;
        let checksum = fingerprint(&message);
        put_attribute(&mut message, FINGERPRINT, &checksum.to_be_bytes())?;
        Some(message)
    }
}

struct Request<'a> {
    transaction_id: TransactionId,
    username: &'a [u8],
    integrity: &'a [u8],
    integrity_at: usize,
}

fn read_u16(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(data.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// A binding request (RFC 8489 §5, §14) with USERNAME and MESSAGE-INTEGRITY, without attributes that need an answer of
/// another kind. The first attribute of each type counts; behind MESSAGE-INTEGRITY only FINGERPRINT is looked at.
fn parse(data: &[u8]) -> Option<Request<'_>> {
    let length = usize::from(read_u16(data, 2)?);
    let cookie = data.get(4..8)?;
    let transaction_id: TransactionId = data.get(8..HEADER_BYTES)?.try_into().ok()?;
    if read_u16(data, 0)? != BINDING_REQUEST
        || cookie != MAGIC_COOKIE.to_be_bytes()
        || Some(length) != data.len().checked_sub(HEADER_BYTES)
        || length % 4 != 0
    {
        return None;
    }
    let mut username = None;
    let mut integrity = None;
    let (mut at, mut count) = (HEADER_BYTES, 0_usize);
    while at < data.len() {
        count += 1;
        let kind = read_u16(data, at)?;
        let size = usize::from(read_u16(data, at + 2)?);
        let value = data.get(at + 4..at + 4 + size)?;
        let following = at + 4 + size.next_multiple_of(4);
        if count > MAX_ATTRIBUTES || following > data.len() {
            return None;
        }
        if kind == FINGERPRINT {
            let matches = following == data.len() && value == fingerprint(data.get(..at)?).to_be_bytes();
            if !matches {
                return None;
            }
        } else if integrity.is_some() {
            // Not covered by the integrity check: not looked at.
        } else if kind == MESSAGE_INTEGRITY {
            if size != INTEGRITY_BYTES {
                return None;
            }
            integrity = Some((value, at));
        } else if kind == ICE_CONTROLLED || (kind < COMPREHENSION_OPTIONAL && !UNDERSTOOD.contains(&kind)) {
            return None;
        } else if kind == USERNAME {
            username = username.or(Some(value));
        }
        at = following;
    }
    let (integrity, integrity_at) = integrity?;
    Some(Request { transaction_id, username: username?, integrity, integrity_at })
}

/// The length field of a message that `more` bytes will follow.
fn put_length(message: &mut [u8], more: usize) -> Option<()> {
    let length = u16::try_from(message.len().checked_sub(HEADER_BYTES)? + more).ok()?;
    message.get_mut(2..4)?.copy_from_slice(&length.to_be_bytes());
    Some(())
}

fn put_attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) -> Option<()> {
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&u16::try_from(value.len()).ok()?.to_be_bytes());
    message.extend_from_slice(value);
    Some(())
}

/// The value of XOR-MAPPED-ADDRESS (RFC 8489 §14.2).
fn xor_mapped(transaction_id: &TransactionId, mapped: SocketAddr) -> Vec<u8> {
    let (family, address) = match mapped.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let port = mapped.port() ^ (MAGIC_COOKIE >> 16) as u16;
    let mut value = vec![0, family];
    value.extend_from_slice(&port.to_be_bytes());
    let mask = MAGIC_COOKIE.to_be_bytes().into_iter().chain(transaction_id.iter().copied());
    value.extend(address.into_iter().zip(mask).map(|(byte, key)| byte ^ key));
    value
}

const CRC_TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut index = 0;
    while index < 16 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 4 {
            value = if value & 1 == 1 { (value >> 1) ^ 0xEDB8_8320 } else { value >> 1 };
            bit += 1;
        }
        #[allow(clippy::indexing_slicing)]
        {
            table[index] = value;
        }
        index += 1;
    }
    table
};

/// The value of FINGERPRINT (RFC 8489 §14.7) behind these bytes.
fn fingerprint(data: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 4) ^ CRC_TABLE.get((crc & 0xF) as usize).copied().unwrap_or(0);
    let crc = data.iter().fold(u32::MAX, |crc, byte| step(step(crc ^ u32::from(*byte))));
    !crc ^ FINGERPRINT_XOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_the_standard() {
        assert_eq!(fingerprint(b"123456789"), 0xCBF4_3926 ^ FINGERPRINT_XOR);
    }
}

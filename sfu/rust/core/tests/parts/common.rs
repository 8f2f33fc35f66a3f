//! Shared by the tests: vectors, hex, a seeded generator, mutations.

use std::path::Path;

use serde_json::Value;
use ting_core::api::SrtpProfile;

pub(crate) const PROFILES: [SrtpProfile; 3] =
    [SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm, SrtpProfile::Aes128CmSha1_80];

pub(crate) fn profile(name: &str) -> SrtpProfile {
    match name {
        "SRTP_AEAD_AES_128_GCM" => SrtpProfile::AeadAes128Gcm,
        "SRTP_AEAD_AES_256_GCM" => SrtpProfile::AeadAes256Gcm,
        "SRTP_AES128_CM_SHA1_80" => SrtpProfile::Aes128CmSha1_80,
        _ => panic!("unknown profile {name}"),
    }
}

/// A file of `tests/vectors`, which both engines share.
pub(crate) fn vectors(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/vectors").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub(crate) fn bytes_of(value: &Value) -> Vec<u8> {
    unhex(value.as_str().unwrap())
}

/// Spaces are ignored.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter(|c| *c != ' ').map(|c| c.to_digit(16).unwrap() as u8).collect();
    assert!(digits.len().is_multiple_of(2));
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// Below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(crate) fn bytes(&mut self, at_most: usize) -> Vec<u8> {
        let size = self.below(at_most + 1);
        (0..size).map(|_| self.next() as u8).collect()
    }

    /// `data` with a few bits flipped, bytes set, cut, inserted or taken out.
    pub(crate) fn mutate(&mut self, data: &[u8]) -> Vec<u8> {
        let mut out = data.to_vec();
        for _ in 0..self.below(6) {
            if out.is_empty() {
                return self.bytes(40);
            }
            let place = self.below(out.len());
            match self.below(5) {
                0 => out[place] ^= 1 << self.below(8),
                1 => out[place] = [0, 1, 0x7F, 0x80, 0xFF][self.below(5)],
                2 => out.truncate(place),
                3 => {
                    out.remove(place);
                }
                _ => {
                    let inserted = self.bytes(6);
                    out.splice(place..place, inserted);
                }
            }
        }
        out
    }
}

//! SRTP against the vectors of the RFCs and of libsrtp, and against everything that is not SRTP.

use crate::common::{PROFILES, Random, bytes_of, hex, profile, vectors};
use ting_core::api::SrtpProfile;
use ting_core::seqnum::EXT_SEQ_START;
use ting_core::srtp::{MAX_RTP_OVERHEAD, RtcpFailure, SrtpContext, key_bytes, salt_bytes};
use ting_core::srtp_transforms::{CmSha1Transform, GcmTransform, SessionKeys, derive_key};

const SSRC: u32 = 0x1234_5678;
const PLI: [u8; 12] = [0x81, 206, 0, 2, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 99];

fn context(profile: SrtpProfile) -> SrtpContext {
    let key: Vec<u8> = (7..).take(key_bytes(profile)).collect();
    let salt: Vec<u8> = (200..).take(salt_bytes(profile)).collect();
    SrtpContext::new(profile, &key, &salt).unwrap()
}

fn protect(context: &SrtpContext, packet: &[u8], header_len: usize, ext_seq: i64) -> Vec<u8> {
    let mut sealed = packet.to_vec();
    sealed.resize(packet.len() + context.rtp_overhead(), 0xEE);
    assert_eq!(context.protect_rtp(&mut sealed, header_len, SSRC, ext_seq), Some(sealed.len()));
    sealed
}

fn unprotect(context: &SrtpContext, data: &[u8], header_len: usize, ext_seq: i64) -> Option<Vec<u8>> {
    let mut data = data.to_vec();
    let size = context.unprotect_rtp(&mut data, header_len, SSRC, ext_seq)?;
    Some(data[..header_len + size].to_vec())
}

#[test]
fn key_derivation_vectors() {
    let vectors = vectors("srtp.json");
    let vector = &vectors["key_derivation"];
    let (key, salt) = (bytes_of(&vector["master_key"]), bytes_of(&vector["master_salt"]));
    for output in vector["outputs"].as_array().unwrap() {
        let expected = bytes_of(&output["key"]);
        let mut derived = vec![0xAA; expected.len()];
        derive_key(&key, &salt, output["label"].as_u64().unwrap() as u8, &mut derived).unwrap();
        assert_eq!(derived, expected);
    }
}

#[test]
fn counter_mode_keystream_vector() {
    let vectors = vectors("srtp.json");
    let vector = &vectors["counter_mode_keystream"];
    let keys = || SessionKeys {
        key: bytes_of(&vector["session_key"]),
        salt: bytes_of(&vector["session_salt"]),
        auth: [0; 20],
    };
    let keystream = bytes_of(&vector["keystream"]);
    let mut packet = vec![0; keystream.len() + CmSha1Transform::TAG_BYTES];
    let transform = CmSha1Transform::new(&keys(), &keys()).unwrap();
    transform.protect_rtp(&mut packet, 0, 0, EXT_SEQ_START).unwrap();
    assert_eq!(packet[..keystream.len()], keystream);
}

#[test]
fn rfc_7714_vectors() {
    for vector in vectors("srtp.json")["gcm_session_keys"].as_array().unwrap() {
        let keys = || SessionKeys {
            key: bytes_of(&vector["session_key"]),
            salt: bytes_of(&vector["session_salt"]),
            auth: [0; 20],
        };
        let transform = GcmTransform::new(&keys(), &keys()).unwrap();
        let (plain, sealed) = (bytes_of(&vector["rtp"]), bytes_of(&vector["srtp"]));
        let ssrc = u32::from_str_radix(vector["ssrc"].as_str().unwrap(), 16).unwrap();
        let ext_seq = EXT_SEQ_START + vector["seq"].as_i64().unwrap();
        let mut packet = plain.clone();
        packet.resize(plain.len() + GcmTransform::TAG_BYTES, 0);
        transform.protect_rtp(&mut packet, 12, ssrc, ext_seq).unwrap();
        assert_eq!(packet, sealed);
        assert_eq!(transform.unprotect_rtp(&mut packet, 12, ssrc, ext_seq), Some(plain.len() - 12));
        assert_eq!(packet[..plain.len()], plain);

        let (plain, sealed) = (bytes_of(&vector["rtcp"]), bytes_of(&vector["srtcp"]));
        let ssrc = u32::from_be_bytes(*plain[4..].first_chunk().unwrap());
        let word = 0x8000_0000 | vector["rtcp_index"].as_u64().unwrap() as u32;
        let mut packet = plain.clone();
        transform.protect_rtcp(&mut packet, ssrc, word).unwrap();
        assert_eq!(packet, sealed);
        assert_eq!(transform.unprotect_rtcp(&mut packet, ssrc, word), Some(plain.len()));
        assert_eq!(packet[..plain.len()], plain);
    }
}

#[test]
fn reference_packets() {
    for vector in vectors("srtp.json")["packets"].as_array().unwrap() {
        let make = || {
            let (key, salt) = (bytes_of(&vector["master_key"]), bytes_of(&vector["master_salt"]));
            SrtpContext::new(profile(vector["profile"].as_str().unwrap()), &key, &salt).unwrap()
        };
        let (plain, expected) = (bytes_of(&vector["rtp"]), bytes_of(&vector["srtp"]));
        let (ssrc, ext_seq) = (0xCAFE_BABE, EXT_SEQ_START + 0x1234);
        let mut packet = plain.clone();
        packet.resize(plain.len() + make().rtp_overhead(), 0);
        assert!(make().rtp_overhead() <= MAX_RTP_OVERHEAD);
        make().protect_rtp(&mut packet, 12, ssrc, ext_seq).unwrap();
        assert_eq!(hex(&packet), hex(&expected));
        assert_eq!(make().unprotect_rtp(&mut packet, 12, ssrc, ext_seq), Some(plain.len() - 12));
        assert_eq!(packet[..plain.len()], plain);
        if vector.get("rtcp").is_some() {
            let (plain, expected) = (bytes_of(&vector["rtcp"]), bytes_of(&vector["srtcp"]));
            let mut sender = make();
            assert!(sender.protect_rtcp(&mut plain.clone()), "index 0; the vector has 1");
            let mut packet = plain.clone();
            assert!(sender.protect_rtcp(&mut packet));
            assert_eq!(packet, expected);
            assert_eq!(make().unprotect_rtcp(&mut packet), Ok(plain.len()));
            assert_eq!(packet[..plain.len()], plain);
        }
    }
}

#[test]
fn every_length_fails_quietly() {
    for profile in PROFILES {
        let mut ours = context(profile);
        for size in 0..=64 {
            for fill in [0x00, 0x80, 0xFF] {
                for header_len in [0, 12, 40, 64, usize::MAX] {
                    let mut data = vec![fill; size];
                    assert_eq!(ours.unprotect_rtp(&mut data, header_len, SSRC, EXT_SEQ_START), None);
                }
                let failure = ours.unprotect_rtcp(&mut vec![fill; size]).unwrap_err();
                assert!(matches!(failure, RtcpFailure::Malformed | RtcpFailure::AuthFailed));
            }
        }
    }
}

#[test]
fn protection_without_room_is_refused() {
    for profile in PROFILES {
        let mut ours = context(profile);
        let overhead = ours.rtp_overhead();
        for header_len in [0, 12, 30] {
            for size in 0..header_len + overhead {
                assert_eq!(ours.protect_rtp(&mut vec![0; size], header_len, SSRC, EXT_SEQ_START), None);
            }
            let mut smallest = vec![0; header_len + overhead];
            assert!(ours.protect_rtp(&mut smallest, header_len, SSRC, EXT_SEQ_START).is_some());
        }
        assert!(!ours.protect_rtcp(&mut vec![0; 7]));
    }
}

#[test]
fn every_payload_size_comes_back() {
    let mut random = Random(9);
    for profile in PROFILES {
        let ours = context(profile);
        for size in (0..70).chain([159, 160, 1199, 1200, 1201]) {
            let packet: Vec<u8> = (0..32 + size).map(|_| random.next() as u8).collect();
            let ext_seq = EXT_SEQ_START + (random.next() >> 17) as i64;
            let sealed = protect(&ours, &packet, 32, ext_seq);
            assert_eq!(sealed[..32], packet[..32]);
            assert_eq!(unprotect(&ours, &sealed, 32, ext_seq), Some(packet));
        }
    }
}

#[test]
fn every_truncation_and_every_flipped_bit_fails() {
    let packet = b"\x90\x60 a header of 32 bytes it may be0123456789";
    for profile in PROFILES {
        let ours = context(profile);
        let ext_seq = EXT_SEQ_START + 9;
        let sealed = protect(&ours, packet, 32, ext_seq);
        for size in 0..sealed.len() {
            assert_eq!(unprotect(&ours, &sealed[..size], 32, ext_seq), None);
        }
        for position in 0..sealed.len() {
            for bit in 0..8 {
                let mut bad = sealed.clone();
                bad[position] ^= 1 << bit;
                assert_eq!(unprotect(&ours, &bad, 32, ext_seq), None);
            }
        }
        for wrong in [2 * EXT_SEQ_START + 9, 9, i64::MIN, i64::MAX] {
            assert_eq!(unprotect(&ours, &sealed, 32, wrong), None, "the wrong rollover counter");
        }
        assert_eq!(unprotect(&ours, &sealed, 32, ext_seq), Some(packet.to_vec()));
    }
}

#[test]
fn rtcp_truncations_and_flips_change_nothing() {
    for profile in PROFILES {
        let mut sealed = PLI.to_vec();
        assert!(context(profile).protect_rtcp(&mut sealed));
        let mut ours = context(profile);
        for size in 0..sealed.len() {
            assert!(ours.unprotect_rtcp(&mut sealed[..size].to_vec()).is_err());
        }
        for position in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[position] ^= 0x01;
            assert_eq!(ours.unprotect_rtcp(&mut bad), Err(RtcpFailure::AuthFailed));
        }
        assert_eq!(ours.unprotect_rtcp(&mut sealed), Ok(PLI.len()));
        assert_eq!(sealed[..PLI.len()], PLI);
    }
}

#[test]
fn rtcp_replay() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = (context(profile), context(profile));
        let packets: Vec<Vec<u8>> = (0..1100)
            .map(|_| {
                let mut packet = PLI.to_vec();
                assert!(sender.protect_rtcp(&mut packet));
                packet
            })
            .collect();
        let mut receive = |number: usize| receiver.unprotect_rtcp(&mut packets[number].clone());
        assert_eq!(receive(5), Ok(PLI.len()));
        assert_eq!(receive(5), Err(RtcpFailure::Replayed));
        assert_eq!(receive(3), Ok(PLI.len()));
        assert_eq!(receive(1030), Ok(PLI.len()));
        assert_eq!(receive(6), Err(RtcpFailure::TooOld));
        assert_eq!(receive(7), Ok(PLI.len()));
    }
}

/// E bit 0: authenticated with the right key, yet not accepted (RFC 3711 §3.4, RFC 8827 §6.5).
#[test]
fn unencrypted_rtcp_is_refused() {
    for profile in PROFILES {
        let mut sealed = PLI.to_vec();
        assert!(context(profile).protect_rtcp(&mut sealed));
        let from_the_end = if profile == SrtpProfile::Aes128CmSha1_80 { 14 } else { 4 };
        let place = sealed.len() - from_the_end;
        sealed[place] &= 0x7F;
        assert_eq!(context(profile).unprotect_rtcp(&mut sealed), Err(RtcpFailure::Malformed));
    }
}

#[test]
fn keys_of_the_wrong_length() {
    for profile in PROFILES {
        let (key, salt) = (key_bytes(profile), salt_bytes(profile));
        for (key, salt) in [(key - 1, salt), (key + 1, salt), (key, salt - 1), (key, salt + 1), (0, 0)] {
            let error = SrtpContext::new(profile, &vec![0; key], &vec![0; salt]).unwrap_err();
            assert!(error.to_string().starts_with("SRTP_A"));
        }
    }
}

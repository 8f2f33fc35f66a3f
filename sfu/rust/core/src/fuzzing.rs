//! What the fuzz targets in `sfu/rust/fuzz` do with their input; `tests/fuzzing.rs` does it with mutated vectors.
//!
//! Every function takes any bytes and panics only when the library is wrong.

use crate::api::{Codec, SrtpProfile};
use crate::codecs::{CodecState, FrameInfo, describe, rewrite_vp8, rewrite_vp9};
use crate::rtcp::{MAX_NACK_SEQS, MAX_SUB_PACKETS, RtcpPacket, parse_compound};
use crate::rtp::{Elements, ONE_BYTE_PROFILE, TWO_BYTE_PROFILE, parse_header, write_extensions};
use crate::seqnum::{EXT_SEQ_START, Freshness, REPLAY_WINDOW, ReplayWindow, SeqExtender};
use crate::srtp::{SrtpContext, key_bytes, salt_bytes};
use crate::transport_feedback::{DELTA_NS, REFERENCE_NS, build_transport_feedback};
use crate::{red, rtp};

/// RTP headers and extensions: what is read lies in the datagram and can be written again.
pub fn rtp_header(data: &[u8]) {
    let Some(header) = parse_header(data) else { return };
    let (head, body) = data.split_at(header.header_len);
    assert_eq!(parse_header(head).map(|again| again.header_len), Some(header.header_len));
    assert!(header.strip_padding(body).is_none_or(|payload| payload.len() <= body.len()));
    assert_eq!(header.csrc(data).len() % 4, 0);
    let items: Vec<(u8, &[u8])> = header.extensions(data).collect();
    assert!(items.iter().map(|(_, value)| value.len()).sum::<usize>() <= header.header_len);
    for (id, _) in &items {
        let last = items.iter().rev().find(|(other, _)| other == id).map(|(_, value)| *value);
        assert_eq!(header.extension(data, *id), last);
    }
    let mut block = Vec::new();
    let is_one_byte = write_extensions(&mut block, &items);
    let profile = if is_one_byte == Ok(true) { ONE_BYTE_PROFILE } else { TWO_BYTE_PROFILE };
    let written = block.get(rtp::EXTENSION_HEADER_BYTES..).unwrap_or_default();
    assert!(Elements::new(profile, written).eq(items));
}

/// Compound RTCP packets: limits hold.
pub fn rtcp(data: &[u8]) {
    let Some(packets) = parse_compound(data) else { return };
    assert!((1..=MAX_SUB_PACKETS).contains(&packets.len()));
    let mut nacked = 0;
    for packet in &packets {
        match packet {
            RtcpPacket::Nack { seqs, .. } => nacked += seqs.len(),
            RtcpPacket::TransportFeedback(feedback) => assert!(feedback.received.len() <= data.len()),
            RtcpPacket::CongestionFeedback(feedback) => assert!(feedback.received.len() <= data.len() / 2),
            RtcpPacket::Remb { bitrate_bps, .. } => assert!(*bitrate_bps <= i64::MAX as u64),
            _ => (),
        }
    }
    assert!(nacked <= MAX_NACK_SEQS);
}

/// SRTP and SRTCP: garbage is refused, what was protected comes back, a replay does not.
pub fn srtp(data: &[u8]) {
    let Some((&[choice, header_len], packet)) = data.split_first_chunk::<2>() else { return };
    let profile = match choice % 3 {
        0 => SrtpProfile::AeadAes128Gcm,
        1 => SrtpProfile::AeadAes256Gcm,
        _ => SrtpProfile::Aes128CmSha1_80,
    };
    let context = || SrtpContext::new(profile, &vec![7; key_bytes(profile)], &vec![9; salt_bytes(profile)]);
    let (Ok(mut sender), Ok(mut receiver)) = (context(), context()) else { return };
    let (header_len, ext_seq) = (usize::from(header_len), EXT_SEQ_START + i64::from(choice));
    assert_eq!(receiver.unprotect_rtp(&mut packet.to_vec(), header_len, 1, ext_seq), None);
    assert!(receiver.unprotect_rtcp(&mut packet.to_vec()).is_err());
    let mut sealed = packet.to_vec();
    sealed.resize(packet.len() + sender.rtp_overhead(), 0);
    if sender.protect_rtp(&mut sealed, header_len, 1, ext_seq).is_some() {
        let size = receiver.unprotect_rtp(&mut sealed, header_len, 1, ext_seq);
        assert_eq!(size, Some(packet.len() - header_len));
        assert_eq!(sealed.get(..packet.len()), Some(packet));
    }
    let mut sealed = packet.to_vec();
    if sender.protect_rtcp(&mut sealed) {
        let mut again = sealed.clone();
        assert_eq!(receiver.unprotect_rtcp(&mut sealed), Ok(packet.len()));
        assert_eq!(sealed.get(..packet.len()), Some(packet));
        assert!(receiver.unprotect_rtcp(&mut again).is_err());
    }
}

/// Payloads of every codec: layers are in range, and rewriting changes the picture numbers only.
pub fn payload(data: &[u8]) {
    let Some((&[choice, number], payload)) = data.split_first_chunk::<2>() else { return };
    let codecs = [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1, Codec::Opus, Codec::Red, Codec::Other];
    let picture_id = i64::from(number) * 257;
    for codec in codecs {
        let before = describe(codec, payload, choice & 1 != 0, None, &mut CodecState::default());
        assert!(before.is_none_or(|info| info.spatial <= 7 && info.temporal <= 7));
        let mut rewritten = payload.to_vec();
        match codec {
            Codec::Vp8 => rewrite_vp8(&mut rewritten, picture_id, number.into()),
            Codec::Vp9 => rewrite_vp9(&mut rewritten, picture_id, number.into()),
            _ => (),
        }
        let Some(before) = before else { continue };
        let after = describe(codec, &rewritten, choice & 1 != 0, None, &mut CodecState::default());
        let mask = ((1_u32 << before.picture_id_bits) - 1) as u16;
        let expected = FrameInfo {
            picture_id: before.picture_id.map(|_| picture_id as u16 & mask),
            tl0picidx: before.tl0picidx.map(|old| match (codec, before.picture_id) {
                (Codec::Vp9, None) => old,
                _ => number,
            }),
            ..before
        };
        assert_eq!(after, Some(expected));
    }
}

/// A stream of AV1 packets with dependency descriptors, each behind a byte with its length.
pub fn dependency_descriptor(data: &[u8]) {
    let mut state = CodecState::default();
    let mut rest = data;
    while let Some((&size, after)) = rest.split_first() {
        let (descriptor, after) = after.split_at_checked(usize::from(size)).unwrap_or((after, &[]));
        rest = after;
        let info = describe(Codec::Av1, &[0x10, 0x30], false, Some(descriptor), &mut state);
        assert!(info.is_none_or(|info| info.spatial <= 3 && info.temporal <= 7));
        if let Some(structure) = &state.structure {
            assert!((1..=64).contains(&structure.templates.len()));
            assert!((1..=32).contains(&structure.target_count) && structure.chain_count <= structure.target_count);
        }
    }
}

/// RED: both readers agree on the primary block.
pub fn red_payload(data: &[u8]) {
    let blocks = red::parse(data);
    assert_eq!(red::primary(data), blocks.and_then(|blocks| blocks.last().map(|block| block.data)));
}

/// Sequence numbers: steps of any size extend and enter the replay window as they would a set.
pub fn sequence(data: &[u8]) {
    let (mut extender, mut window) = (SeqExtender::default(), ReplayWindow::new());
    let mut seen = std::collections::BTreeSet::new();
    for chunk in data.chunks_exact(2) {
        let Some(&[high, low]) = chunk.first_chunk() else { return };
        let seq = u16::from_be_bytes([high, low]);
        let ext_seq = extender.extend(seq);
        assert_eq!(ext_seq as u16, seq);
        let expected = match seen.last() {
            Some(highest) if ext_seq <= highest - REPLAY_WINDOW as i64 => Freshness::TooOld,
            _ if seen.contains(&ext_seq) => Freshness::Replayed,
            _ => Freshness::Fresh,
        };
        assert_eq!(window.check(ext_seq), expected);
        extender.commit(ext_seq);
        window.commit(ext_seq);
        seen.insert(ext_seq);
    }
}

/// Transport-wide feedback: what is built says exactly what arrived.
pub fn transport_feedback(data: &[u8]) {
    let Some((&[lead, high, low], steps)) = data.split_first_chunk::<3>() else { return };
    let base = i64::from(u16::from_be_bytes([high, low])) + EXT_SEQ_START;
    let mut arrivals = vec![(base + i64::from(lead) * 16, 1_000_000_000_i64)];
    for step in steps.chunks_exact(3) {
        let (Some(&[gap, high, low]), Some(&(seq, at_ns))) = (step.first_chunk(), arrivals.last()) else { return };
        let gap = if gap < 200 { 1 } else { i64::from(gap - 199) * 50 };
        let wait_ns = i64::from(i16::from_be_bytes([high, low])) * 400_000;
        arrivals.push((seq + gap, (at_ns + wait_ns).max(0)));
    }
    let mut received = Vec::new();
    for packet in build_transport_feedback(1, 2, lead, &arrivals, Some(base)) {
        assert!(packet.len() <= 1200);
        for parsed in parse_compound(&packet).unwrap_or_default() {
            if let RtcpPacket::TransportFeedback(feedback) = parsed {
                received.extend(feedback.received);
            }
        }
    }
    assert_eq!(received.len(), arrivals.len());
    let wrap_ns = REFERENCE_NS << 24;
    for ((seq, reported_ns), (ext_seq, at_ns)) in received.into_iter().zip(arrivals) {
        assert_eq!(seq, ext_seq as u16);
        assert_eq!((reported_ns - at_ns.div_euclid(DELTA_NS) * DELTA_NS).rem_euclid(wrap_ns), 0);
    }
}

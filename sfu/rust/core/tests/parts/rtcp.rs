//! RTCP in and out: vectors, lies, round trips.

use ting_core::rtcp::{
    MAX_NACK_SEQS, MAX_SUB_PACKETS, ReportBlock, RtcpPacket, SdesChunk, SenderReport, build_nack, build_pli, build_rr,
    build_sdes, build_sr, ns_to_short, ntp_add_ns, ntp_diff_ns, ntp_short, parse_compound,
};

use crate::common::{Random, bytes_of, unhex, vectors};

fn only(data: &[u8]) -> RtcpPacket {
    let mut packets = parse_compound(data).unwrap();
    assert_eq!(packets.len(), 1);
    packets.remove(0)
}

fn kind(packet: &RtcpPacket) -> &'static str {
    match packet {
        RtcpPacket::SenderReport(_) => "SenderReport",
        RtcpPacket::ReceiverReport { .. } => "ReceiverReport",
        RtcpPacket::Sdes(_) => "Sdes",
        RtcpPacket::Bye(_) => "Bye",
        RtcpPacket::Nack { .. } => "Nack",
        RtcpPacket::Pli { .. } => "Pli",
        RtcpPacket::Fir { .. } => "Fir",
        RtcpPacket::Remb { .. } => "Remb",
        RtcpPacket::TransportFeedback(_) => "TransportFeedback",
        RtcpPacket::CongestionFeedback(_) => "CongestionFeedback",
        RtcpPacket::Skipped { malformed: false, .. } => "Skipped",
        RtcpPacket::Skipped { malformed: true, .. } => "Skipped!",
    }
}

/// A sub-packet byte by byte.
fn packet(count: u8, packet_type: u8, body: &[u8]) -> Vec<u8> {
    let words = (body.len() / 4) as u16;
    [&[0x80 | count, packet_type][..], &words.to_be_bytes(), body].concat()
}

fn words(list: &[u32]) -> Vec<u8> {
    list.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn built(build: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    build(&mut out);
    out
}

fn random_block(random: &mut Random) -> ReportBlock {
    ReportBlock {
        ssrc: random.next() as u32,
        fraction_lost: random.next() as u8,
        packets_lost: random.below(1 << 24) as i64 - 0x80_0000,
        highest_seq: random.next() as u32,
        jitter: random.next() as u32,
        lsr: random.next() as u32,
        dlsr: random.next() as u32,
    }
}

#[test]
fn vectors_of_both_engines() {
    for vector in vectors("rtcp.json")["compounds"].as_array().unwrap() {
        let packets = parse_compound(&bytes_of(&vector["hex"]));
        let kinds = packets.map(|packets| packets.iter().map(kind).collect::<Vec<_>>());
        assert_eq!(serde_json::json!(kinds), vector["kinds"], "{}", vector["name"]);
    }
}

#[test]
fn values() {
    let vectors = vectors("rtcp.json");
    let by_name = |name: &str| {
        let found = vectors["compounds"].as_array().unwrap().iter().find(|vector| vector["name"] == name);
        only(&bytes_of(&found.unwrap()["hex"]))
    };
    let block =
        ReportBlock { ssrc: 2, fraction_lost: 128, packets_lost: -1, highest_seq: 65536, jitter: 3, lsr: 4, dlsr: 255 };
    assert_eq!(by_name("RR with one block"), RtcpPacket::ReceiverReport { ssrc: 1, reports: vec![block] });
    let report = SenderReport {
        ssrc: 1,
        ntp: 0xE000_0000_8000_0000,
        rtp_timestamp: 2,
        packet_count: 3,
        octet_count: 255,
        reports: vec![],
    };
    assert_eq!(by_name("SR"), RtcpPacket::SenderReport(report));
    assert_eq!(by_name("SDES"), RtcpPacket::Sdes(vec![SdesChunk { ssrc: 1, cname: Some("abc".into()) }]));
    assert_eq!(by_name("SDES chunk with no items"), RtcpPacket::Sdes(vec![SdesChunk { ssrc: 1, cname: None }]));
    assert_eq!(by_name("BYE with reason"), RtcpPacket::Bye(vec![1]));
    let nack = RtcpPacket::Nack { sender_ssrc: 1, media_ssrc: 2, seqs: vec![100, 101, 102] };
    assert_eq!(by_name("NACK"), nack);
    assert_eq!(by_name("PLI"), RtcpPacket::Pli { sender_ssrc: 1, media_ssrc: 2 });
    assert_eq!(by_name("FIR"), RtcpPacket::Fir { sender_ssrc: 1, entries: vec![(2, 7)] });
    let remb = RtcpPacket::Remb { sender_ssrc: 1, bitrate_bps: 1000 << 4, ssrcs: vec![255] };
    assert_eq!(by_name("REMB"), remb);
}

#[test]
fn sub_packets_are_capped() {
    let report = built(|out| build_rr(out, 1, &[]));
    assert_eq!(parse_compound(&report.repeat(MAX_SUB_PACKETS)).unwrap().len(), MAX_SUB_PACKETS);
    assert_eq!(parse_compound(&report.repeat(MAX_SUB_PACKETS + 1)), None);
    assert_eq!(parse_compound(&packet(0, 207, &[]).repeat(1000)), None);
}

#[test]
fn nacks_are_capped_over_the_whole_compound() {
    let mut body = words(&[1, 2]);
    body.extend(words(&(0..40).map(|index| (17 * index) << 16 | 0xFFFF).collect::<Vec<u32>>()));
    let nack = packet(1, 205, &body);
    let all = RtcpPacket::Nack { sender_ssrc: 1, media_ssrc: 2, seqs: (0..680).collect() };
    assert_eq!(only(&nack), all);
    let lengths: Vec<usize> = parse_compound(&nack.repeat(3))
        .unwrap()
        .iter()
        .map(|packet| match packet {
            RtcpPacket::Nack { seqs, .. } => seqs.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lengths, [680, MAX_NACK_SEQS - 680, 0]);
}

#[test]
fn a_nack_that_repeats_itself_is_one() {
    let body = [words(&[1, 2]), words(&[0xFFFF_0001; 300])].concat();
    let expected = RtcpPacket::Nack { sender_ssrc: 1, media_ssrc: 2, seqs: vec![65535, 0] };
    assert_eq!(only(&packet(1, 205, &body)), expected);
}

#[test]
fn nack_items() {
    let cases: [(&[u16], &[u32]); 5] = [
        (&[5], &[0x5_0000]),
        (&[5, 6, 21], &[0x5_8001]),
        (&[5, 22], &[0x5_0000, 0x16_0000]),
        (&[0xFFFF, 0, 15, 16], &[0xFFFF_8001, 0x10_0000]),
        (&[5, 5], &[0x5_0000]),
    ];
    for (seqs, items) in cases {
        assert_eq!(built(|out| build_nack(out, 1, 2, seqs))[12..], words(items));
    }
}

#[test]
fn what_is_built_is_read() {
    let mut random = Random(5);
    for _ in 0..300 {
        let reports: Vec<ReportBlock> = (0..random.below(71)).map(|_| random_block(&mut random)).collect();
        let mut found = Vec::new();
        for packet in parse_compound(&built(|out| build_rr(out, 9, &reports))).unwrap() {
            match packet {
                RtcpPacket::ReceiverReport { ssrc: 9, reports } => found.extend(reports),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(found, reports);

        let report = SenderReport {
            ssrc: random.next() as u32,
            ntp: random.next(),
            rtp_timestamp: random.next() as u32,
            packet_count: random.next() >> 32,
            octet_count: random.next() >> 32,
            reports: reports.into_iter().take(31).collect(),
        };
        assert_eq!(only(&built(|out| build_sr(out, &report))), RtcpPacket::SenderReport(report));

        let mut seqs = vec![random.next() as u16];
        for _ in 0..random.below(60) {
            seqs.push(seqs[seqs.len() - 1].wrapping_add(1 + random.below(40) as u16));
        }
        let nack = built(|out| build_nack(out, 3, 4, &seqs));
        assert_eq!(only(&nack), RtcpPacket::Nack { sender_ssrc: 3, media_ssrc: 4, seqs });
    }
    assert_eq!(only(&built(|out| build_pli(out, 1, 2))), RtcpPacket::Pli { sender_ssrc: 1, media_ssrc: 2 });
}

#[test]
fn names_of_every_length() {
    for size in 0..=255 {
        let names = ["n".repeat(size), "é".into(), String::new()];
        let chunks: Vec<(u32, &str)> = (1..).zip(names.iter().map(String::as_str)).collect();
        let expected = chunks.iter().map(|(ssrc, name)| SdesChunk { ssrc: *ssrc, cname: Some((*name).into()) });
        let data = built(|out| build_sdes(out, &chunks));
        assert!(data.len().is_multiple_of(4));
        assert_eq!(only(&data), RtcpPacket::Sdes(expected.collect()));
    }
    let lossy = packet(1, 202, &unhex("00000001 0102ff61 00000000"));
    assert_eq!(only(&lossy), RtcpPacket::Sdes(vec![SdesChunk { ssrc: 1, cname: Some("\u{FFFD}a".into()) }]));
}

#[test]
fn counters_wrap_and_loss_saturates() {
    let report = SenderReport { packet_count: (1 << 32) + 4, octet_count: (1 << 40) + 5, ..SenderReport::default() };
    let wrapped = SenderReport { packet_count: 4, octet_count: 5, ..report.clone() };
    assert_eq!(only(&built(|out| build_sr(out, &report))), RtcpPacket::SenderReport(wrapped));
    for (packets_lost, expected) in [(1 << 30, 0x7F_FFFF), (-(1 << 30), -0x80_0000)] {
        let block = ReportBlock { packets_lost, ..ReportBlock::default() };
        let parsed = only(&built(|out| build_rr(out, 1, &[block])));
        let cut = ReportBlock { packets_lost: expected, ..ReportBlock::default() };
        assert_eq!(parsed, RtcpPacket::ReceiverReport { ssrc: 1, reports: vec![cut] });
    }
}

#[test]
fn remb_is_exact_or_refused() {
    for exponent in 0..64 {
        for mantissa in [0, 1, 0x3_FFFF, 0x2_0001] {
            let body = [words(&[5, 0]), b"REMB".to_vec(), words(&[2 << 24 | exponent << 18 | mantissa, 7, 8])].concat();
            let bitrate = u128::from(mantissa) << exponent;
            let expected = if bitrate < 1 << 63 {
                RtcpPacket::Remb { sender_ssrc: 5, bitrate_bps: bitrate as u64, ssrcs: vec![7, 8] }
            } else {
                RtcpPacket::Skipped { packet_type: 206, malformed: true }
            };
            assert_eq!(only(&packet(15, 206, &body)), expected);
        }
    }
}

#[test]
fn every_truncation() {
    for vector in vectors("rtcp.json")["compounds"].as_array().unwrap() {
        let data = bytes_of(&vector["hex"]);
        for size in 0..data.len() {
            let _ = parse_compound(&data[..size]);
            // With the length corrected the body itself is cut.
            if size >= 4 && size.is_multiple_of(4) {
                let mut fixed = data[..size].to_vec();
                fixed[2..4].copy_from_slice(&((size / 4 - 1) as u16).to_be_bytes());
                assert!(parse_compound(&fixed).is_some() || data[0] >> 6 != 2);
            }
        }
    }
}

#[test]
fn ntp_time() {
    let second = 1 << 32;
    assert_eq!(ntp_add_ns(5 * second, 1_500_000_000), 6 * second + second / 2);
    assert_eq!(ntp_add_ns(second.wrapping_neg(), 2_000_000_000), second);
    assert_eq!(ntp_diff_ns(6 * second + second / 2, 5 * second), 1_500_000_000);
    assert_eq!(ntp_diff_ns(second, second.wrapping_neg()), 2_000_000_000);
    assert_eq!(ntp_diff_ns(5 * second, 6 * second), -1_000_000_000);
    assert_eq!(ntp_short(0x1111_2222_3333_4444), 0x2222_3333);
    assert_eq!(ns_to_short(1_500_000_000), 0x18000);
    assert_eq!(ns_to_short(i64::MAX), u32::MAX);
    assert_eq!(ns_to_short(-5), 0);
}

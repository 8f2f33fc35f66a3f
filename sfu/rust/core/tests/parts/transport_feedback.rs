//! Transport-wide feedback: what is built says exactly what arrived, and lies stay bounded.

use ting_core::rtcp::{RtcpPacket, parse_compound};
use ting_core::transport_feedback::{
    DELTA_NS, MAX_RECEIVED, MAX_STATUSES, REFERENCE_NS, TransportFeedback, build_transport_feedback,
    parse_transport_feedback,
};

const MS: i64 = 1_000_000;

fn parse(packets: &[Vec<u8>]) -> Vec<TransportFeedback> {
    packets
        .iter()
        .map(|packet| {
            assert!(packet.len().is_multiple_of(4) && packet.len() <= 1200);
            match parse_compound(packet).unwrap().pop() {
                Some(RtcpPacket::TransportFeedback(feedback)) => feedback,
                other => panic!("{other:?}"),
            }
        })
        .collect()
}

fn build(arrivals: &[(i64, i64)], base: Option<i64>, count: u8) -> Vec<TransportFeedback> {
    parse(&build_transport_feedback(1, 2, count, arrivals, base))
}

/// Every arrival is reported once, in order, at its time in steps of 250 us.
fn check(arrivals: &[(i64, i64)], feedbacks: &[TransportFeedback]) {
    let reported: Vec<(u16, i64)> = feedbacks.iter().flat_map(|feedback| feedback.received.clone()).collect();
    let expected: Vec<(u16, i64)> =
        arrivals.iter().map(|(seq, at_ns)| (*seq as u16, at_ns / DELTA_NS * DELTA_NS)).collect();
    assert_eq!(reported, expected);
}

#[test]
fn nothing_arrived() {
    assert!(build_transport_feedback(1, 2, 3, &[], None).is_empty());
    assert!(build_transport_feedback(1, 2, 3, &[], Some(7)).is_empty());
}

#[test]
fn a_run_of_twenty() {
    let arrivals: Vec<(i64, i64)> = (0..20).map(|index| (0x1_FFF8 + index, 640 * MS + index * MS)).collect();
    let packets = build_transport_feedback(1, 2, 255, &arrivals, None);
    let feedback = &parse(&packets)[0];
    assert_eq!((feedback.sender_ssrc, feedback.media_ssrc, feedback.feedback_count), (1, 2, 255));
    assert_eq!((feedback.base_seq, feedback.status_count), (0xFFF8, 20));
    assert_eq!(packets[0][20..22], [0x20, 20]);
    assert_eq!(packets[0][22..42], [&[0][..], &[4; 19]].concat());
    check(&arrivals, &parse(&packets));
}

#[test]
fn vectors_of_one_and_two_bits() {
    let arrivals: Vec<(i64, i64)> =
        (0..14).filter(|index| ![3, 4, 12].contains(index)).map(|index| (index, index * MS)).collect();
    let packets = build_transport_feedback(1, 2, 0, &arrivals, None);
    assert_eq!(packets[0][20..22], (0x8000_u16 | 0b11_1001_1111_1101).to_be_bytes());
    check(&arrivals, &parse(&packets));
    let arrivals = [(0, 200 * MS), (1, 100 * MS), (3, 300 * MS)];
    let packets = build_transport_feedback(1, 2, 0, &arrivals, None);
    assert_eq!(packets[0][20..22], (0xC000_u16 | 0b0110_0010 << 6).to_be_bytes());
    check(&arrivals, &parse(&packets));
}

#[test]
fn leading_losses_are_reported_and_a_gap_beyond_the_cap_is_left_out() {
    let feedback = &build(&[(110, 5 * MS)], Some(100), 0)[0];
    assert_eq!((feedback.base_seq, feedback.status_count), (100, 11));
    assert_eq!(feedback.received, [(110, 5 * MS)]);
    let arrivals = [(100, MS), (100 + MAX_STATUSES as i64, 2 * MS), (30_000, 3 * MS)];
    let feedbacks = build(&arrivals, Some(90), 254);
    let shape: Vec<(u16, u16, u8)> =
        feedbacks.iter().map(|one| (one.base_seq, one.status_count, one.feedback_count)).collect();
    assert_eq!(shape, [(90, 11, 254), (101, 2048, 255), (30_000, 1, 0)]);
    check(&arrivals, &feedbacks);
}

#[test]
fn long_pauses_and_bursts_are_split() {
    let arrivals = [(1, 0), (2, 8191 * MS), (3, 16_383 * MS), (4, 60_000 * MS)];
    let feedbacks = build(&arrivals, None, 0);
    assert_eq!(feedbacks.len(), 3);
    check(&arrivals, &feedbacks);
    let burst: Vec<(i64, i64)> = (0..3 * MAX_RECEIVED as i64 + 1).map(|index| (index, index * DELTA_NS)).collect();
    let feedbacks = build(&burst, None, 0);
    assert_eq!(feedbacks.iter().map(|one| one.received.len()).collect::<Vec<_>>(), [256, 256, 256, 1]);
    check(&burst, &feedbacks);
}

#[test]
fn reference_time_wraps() {
    let wrap_ns = REFERENCE_NS << 24;
    assert_eq!(
        build(&[(1, wrap_ns + 64 * MS), (2, wrap_ns + 65 * MS)], None, 0)[0].received,
        [(1, 64 * MS), (2, 65 * MS)]
    );
    assert_eq!(build(&[(1, wrap_ns - 1)], None, 0)[0].received, [(1, -DELTA_NS)]);
}

fn body(status_count: u16, chunks: &[u16], deltas: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 1, 0, 0, 0, 2, 0xFF, 0xFF];
    body.extend(status_count.to_be_bytes());
    body.extend([0, 0, 1, 9]);
    body.extend(chunks.iter().flat_map(|chunk| chunk.to_be_bytes()));
    body.extend(deltas);
    body
}

#[test]
fn lies_are_refused() {
    for lie in [
        body(0, &[0x2001], &[1]),
        body(1, &[], &[]),
        body(1, &[0x6001], &[1, 1, 1]),
        body(7, &[0xC000 | 3 << 12], &[1; 20]),
        body(8191, &[0x3FFF], &[1; 100]),
        body(3, &[0x2003], &[1, 1]),
        body(1, &[0x4001], &[1]),
        body(65_535, &[0x1FFF], &[]),
        body(15, &[0x8000], &[]),
    ] {
        assert_eq!(parse_transport_feedback(&lie), None);
    }
    let full = body(2, &[0x2002], &[1, 2]);
    for size in 0..full.len() {
        assert_eq!(parse_transport_feedback(&full[..size]), None);
    }
    let parsed = parse_transport_feedback(&full).unwrap();
    assert_eq!(parsed.received, [(0xFFFF, 64 * MS + DELTA_NS), (0, 64 * MS + 3 * DELTA_NS)]);
}

#[test]
fn a_million_lost_need_no_memory() {
    let lost = body(65_535, &[0x1FFF; 9], &[]);
    assert!(parse_transport_feedback(&lost).unwrap().received.is_empty());
}

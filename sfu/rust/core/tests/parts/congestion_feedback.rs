//! Feedback by RTP numbers (RFC 8888): what is read is what was written.

use ting_core::congestion_feedback::{MAX_REPORTS, parse_congestion_feedback};

const SECOND: i64 = 1_000_000_000;

fn body(blocks: &[(u32, u16, &[u16])], report_ticks: u32) -> Vec<u8> {
    let mut body = 9_u32.to_be_bytes().to_vec();
    for (ssrc, begin_seq, metrics) in blocks {
        body.extend(ssrc.to_be_bytes());
        body.extend(begin_seq.to_be_bytes());
        body.extend((metrics.len() as u16).to_be_bytes());
        metrics.iter().for_each(|metric| body.extend(metric.to_be_bytes()));
        body.resize(body.len().next_multiple_of(4), 0);
    }
    body.extend(report_ticks.to_be_bytes());
    body
}

#[test]
fn streams_losses_and_the_wrap() {
    let body = body(&[(7, 0xFFFF, &[0x8000, 0, 0xE400]), (8, 5, &[]), (9, 6, &[0x9FFF])], 5 << 16);
    let feedback = parse_congestion_feedback(&body).unwrap();
    assert_eq!(feedback.sender_ssrc, 9);
    assert_eq!(feedback.received, [(7, 0xFFFF, Some(5 * SECOND)), (7, 1, Some(4 * SECOND)), (9, 6, None)]);
}

#[test]
fn the_oldest_and_the_unknown() {
    for (offset, arrival_ns) in [(0x1FFD, Some(-7_997_070_313)), (0x1FFE, None), (0x1FFF, None)] {
        let feedback = parse_congestion_feedback(&body(&[(7, 0, &[0x8000 | offset])], 0)).unwrap();
        assert_eq!(feedback.received, [(7, 0, arrival_ns)]);
    }
}

#[test]
fn a_block_reports_on_a_quarter_of_the_numbers_at_most() {
    let metrics = vec![0x8000; usize::from(MAX_REPORTS) + 2];
    let most = parse_congestion_feedback(&body(&[(7, 0xF000, &metrics[..MAX_REPORTS.into()])], 0)).unwrap();
    assert_eq!(most.received.len(), usize::from(MAX_REPORTS));
    assert!(parse_congestion_feedback(&body(&[(7, 0xF000, &metrics)], 0)).is_none());
}

#[test]
fn what_is_cut_is_refused() {
    let whole = body(&[(7, 0, &[0x8000; 3])], 1);
    for size in 0..whole.len() {
        let feedback = parse_congestion_feedback(&whole[..size]);
        assert!(feedback.is_none_or(|feedback| feedback.received.is_empty()));
    }
}

//! Sequence extension and the replay window, from every interesting start (RFC 3711 §3.3).

use ting_core::seqnum::{EXT_SEQ_START, Freshness, ReplayWindow, SeqExtender, seq_diff, timestamp_diff};

const STARTS: [u16; 10] = [0, 1, 2, 0x7FFE, 0x7FFF, 0x8000, 0x8001, 0xFFFD, 0xFFFE, 0xFFFF];

#[test]
fn differences_on_the_circle() {
    let cases: [(u16, u16, i16); 9] = [
        (0, 0, 0),
        (1, 0, 1),
        (0, 1, -1),
        (0, 0xFFFF, 1),
        (0xFFFF, 0, -1),
        (0x7FFF, 0, 0x7FFF),
        (0x8000, 0, -0x8000),
        (0, 0x8000, -0x8000),
        (0x8001, 0, -0x7FFF),
    ];
    for (a, b, difference) in cases {
        assert_eq!(seq_diff(a, b), difference);
        assert_eq!(timestamp_diff(u32::from(a) << 16, u32::from(b) << 16), i32::from(difference) << 16);
    }
}

#[test]
fn three_wraps_without_loss() {
    for start in STARTS {
        let mut extender = SeqExtender::default();
        for step in (0..3 * 0x1_0000_i64).step_by(977) {
            let true_seq = i64::from(start) + step;
            assert_eq!(extender.update(true_seq as u16), EXT_SEQ_START + true_seq);
        }
    }
}

#[test]
fn reordering_around_the_first_packet_never_goes_negative() {
    for start in STARTS {
        let mut extender = SeqExtender::default();
        let first = extender.update(start);
        assert_eq!(extender.update(start.wrapping_sub(5)), first - 5);
        assert_eq!(extender.update(start.wrapping_sub(0x7FFF)), first - 0x7FFF);
        assert!(first - 0x7FFF > 0);
        assert_eq!(extender.highest, Some(first));
    }
}

#[test]
fn jumps_around_half_the_circle() {
    for start in STARTS {
        for (jump, moved) in [(0x7FFF, 0x7FFF), (0x8000, -0x8000), (0x8001, -0x7FFF), (-0x7FFF, -0x7FFF)] {
            let mut extender = SeqExtender::default();
            let first = extender.update(start);
            assert_eq!(extender.extend((i64::from(start) + jump) as u16), first + moved);
            assert_eq!(extender.highest, Some(first), "extend only guesses");
        }
    }
}

#[test]
fn window_edges() {
    let mut window = ReplayWindow::new();
    assert_eq!(window.check(70_000), Freshness::Fresh);
    assert_eq!(window.check(70_000), Freshness::Fresh, "check remembers nothing");
    window.commit(70_000);
    assert_eq!(window.check(70_000), Freshness::Replayed);
    assert_eq!(window.check(70_000 - 1023), Freshness::Fresh);
    assert_eq!(window.check(70_000 - 1024), Freshness::TooOld);
    window.commit(70_000 - 1023);
    window.commit(70_000 - 1024);
    assert_eq!(window.check(70_000 - 1023), Freshness::Replayed);
    window.commit(70_001);
    assert_eq!(window.check(70_000 - 1023), Freshness::TooOld);
    assert_eq!(window.check(70_000), Freshness::Replayed);
    window.commit(70_001 + 1023);
    assert_eq!(window.check(70_001), Freshness::Replayed);
    assert_eq!(window.check(70_002), Freshness::Fresh);
    window.commit(90_000);
    assert_eq!(window.check(89_999), Freshness::Fresh);
    assert_eq!(window.check(71_000), Freshness::TooOld);
}

#[test]
fn index_zero_counts() {
    let mut window = ReplayWindow::new();
    assert_eq!(window.check(0), Freshness::Fresh);
    window.commit(0);
    assert_eq!(window.check(0), Freshness::Replayed);
    window.commit(1);
    assert_eq!(window.check(0), Freshness::Replayed);
}

#[test]
fn window_equals_a_set_on_random_walks() {
    let mut random = crate::common::Random(1);
    for _ in 0..300 {
        let mut seq = random.next() as u16;
        let mut walk = Vec::new();
        for _ in 0..random.below(400) {
            let step = [1, 2, 300, 2000, 70_000][random.below(5)];
            seq = seq.wrapping_add(random.below(step) as u16).wrapping_sub((step / 3) as u16);
            walk.extend(seq.to_be_bytes());
        }
        ting_core::fuzzing::sequence(&walk);
    }
}

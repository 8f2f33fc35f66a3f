//! Two ends on a virtual clock, and a peer that does what it must not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use ting_association::fuzzing::{Pair, options};
use ting_association::{DataAssociation, Event, Kind, MAX_CHANNELS, MAX_WAITING_CHUNKS, Sent};

const MS: u64 = 1_000_000;

fn messages(events: &[Event]) -> Vec<(Kind, Vec<u8>)> {
    let all = events.iter().filter_map(|event| match event {
        Event::Message(kind, data) => Some((*kind, data.clone())),
        _ => None,
    });
    all.collect()
}

fn count(events: &[Event], name: &'static str) -> usize {
    events.iter().filter(|event| **event == Event::Count(name, 1)).count()
}

#[test]
fn one_end_begins_when_the_other_does_not_and_both_have_channels() {
    let mut pair = Pair::connected();
    assert!(pair.ends.iter_mut().all(DataAssociation::is_ready));
    for kind in [Kind::Reliable, Kind::Lossy, Kind::Track] {
        assert_eq!(pair.ends[0].send(kind, kind.label().as_bytes()), Sent::Queued);
        assert_eq!(pair.ends[1].send(kind, b""), Sent::Queued);
    }
    pair.step(MS, &mut |_, _| true);
    let mut there = messages(&pair.events[1]);
    there.sort_by_key(|(kind, _)| kind.label());
    let expected = [Kind::Track, Kind::Lossy, Kind::Reliable];
    assert_eq!(there, expected.map(|kind| (kind, kind.label().as_bytes().to_vec())));
    assert_eq!(messages(&pair.events[0]).len(), 3);
}

#[test]
fn what_is_idle_is_never_due() {
    let mut pair = Pair::connected();
    pair.ends[0].send(Kind::Reliable, &[7; 5000]);
    (0..20).for_each(|_| pair.step(100 * MS, &mut |_, _| true));
    assert!(messages(&pair.events[1]) == [(Kind::Reliable, vec![7; 5000])]);
    assert_eq!([pair.ends[0].due_ns(), pair.ends[1].due_ns()], [None, None]);
}

#[test]
fn reliable_messages_arrive_whole_and_in_order_on_a_bad_line_and_lossy_ones_once_or_never() {
    let mut pair = Pair::connected();
    let mut state = 1_u32;
    let mut lose = |_: usize, _: &[u8]| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        !(state >> 16).is_multiple_of(10)
    };
    let sent: Vec<Vec<u8>> = (0..60_u8).map(|index| vec![index; 20_000]).collect();
    let mut left = sent.iter();
    let mut next = left.next();
    for _ in 0..20_000 {
        while let Some(message) = next {
            if pair.ends[0].send(Kind::Reliable, message) != Sent::Queued {
                break;
            }
            pair.ends[0].send(Kind::Lossy, &message[..100]);
            next = left.next();
        }
        pair.step(20 * MS, &mut lose);
        if messages(&pair.events[1]).iter().filter(|(kind, _)| *kind == Kind::Reliable).count() == sent.len() {
            break;
        }
    }
    let got = messages(&pair.events[1]);
    let of = |wanted| got.iter().filter(move |(kind, _)| *kind == wanted).map(|(_, data)| data.clone());
    assert!(of(Kind::Reliable).eq(sent.iter().cloned()));
    let lossy: Vec<u8> = of(Kind::Lossy).map(|data| data[0]).collect();
    assert!(lossy.is_sorted_by(|before, after| before < after), "{lossy:?}");
    assert!(!lossy.is_empty());
}

#[test]
fn a_full_buffer_refuses_until_the_peer_acknowledges() {
    let mut pair = Pair::connected();
    let message = vec![1; 50_000];
    // What opened the channels is acknowledged late.
    (0..4).for_each(|_| pair.step(100 * MS, &mut |_, _| true));
    let taken = (0..10).filter(|_| pair.ends[0].send(Kind::Reliable, &message) == Sent::Queued).count();
    assert_eq!(taken, 4);
    assert_eq!(pair.ends[0].send(Kind::Lossy, b"has a buffer of its own"), Sent::Queued);
    assert_eq!(pair.ends[0].send(Kind::Reliable, &vec![0; 65_537]), Sent::TooLong);
    (0..50).for_each(|_| pair.step(100 * MS, &mut |_, _| true));
    assert_eq!(pair.ends[0].buffered_bytes(Kind::Reliable), 0);
    assert_eq!(pair.ends[0].send(Kind::Reliable, &message), Sent::Queued);
    assert_eq!(count(&pair.events[0], "data_buffer_full"), 6);
}

#[test]
fn messages_before_the_acknowledgement_wait() {
    let mut pair = Pair::default();
    assert_eq!(pair.ends[0].send(Kind::Reliable, b"early"), Sent::Queued);
    assert_eq!(pair.ends[1].send(Kind::Reliable, b"nowhere"), Sent::NoChannel);
    (0..40).for_each(|_| pair.step(50 * MS, &mut |_, _| true));
    assert_eq!(messages(&pair.events[1]), [(Kind::Reliable, b"early".to_vec())]);
}

#[test]
fn an_abort_ends_both_and_frees_what_they_had() {
    let mut pair = Pair::connected();
    pair.ends[0].send(Kind::Reliable, &[1; 50_000]);
    pair.ends[0].abort();
    pair.step(MS, &mut |_, _| true);
    for (end, events) in pair.ends.iter_mut().zip(&pair.events) {
        assert_eq!(events.iter().filter(|event| **event == Event::Closed).count(), 1);
        assert!(!end.is_ready());
        assert_eq!(end.due_ns(), None);
        assert_eq!(end.send(Kind::Reliable, b"late"), Sent::NoChannel);
        assert_eq!(end.buffered_bytes(Kind::Reliable), 0);
    }
}

#[test]
fn after_a_silence_what_waited_arrives() {
    let mut pair = Pair::connected();
    pair.ends[0].send(Kind::Reliable, b"kept");
    (0..4000).for_each(|_| pair.step(100 * MS, &mut |_, _| false));
    assert!(messages(&pair.events[1]).is_empty());
    (0..105).for_each(|_| pair.step(100 * MS, &mut |_, _| true));
    assert_eq!(messages(&pair.events[1]), [(Kind::Reliable, b"kept".to_vec())]);
}

/// A packet as the first end would send it, with these chunks.
fn forged(pair: &Pair, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut made = pair.last[0].as_ref().unwrap()[..8].to_vec();
    made.extend([0; 4]);
    chunks.iter().for_each(|chunk| made.extend(chunk));
    let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&made);
    made[8..12].copy_from_slice(&checksum.to_le_bytes());
    made
}

fn data_chunk(tsn: u32, stream: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(16 + payload.len()).unwrap();
    let mut chunk = vec![0, flags];
    chunk.extend(length.to_be_bytes());
    chunk.extend(tsn.to_be_bytes());
    chunk.extend(stream.to_be_bytes());
    chunk.extend([0, 0, 0, 0, 0, 53]);
    chunk.extend(payload);
    chunk.resize(chunk.len().next_multiple_of(4), 0);
    chunk
}

/// The TSN of the next DATA that the second end expects: one more than what it acknowledged last.
fn next_tsn(pair: &mut Pair) -> u32 {
    pair.ends[0].send(Kind::Reliable, b"x");
    pair.ends[0].send(Kind::Reliable, b"y");
    let mut acknowledged = None;
    (0..4).for_each(|_| {
        pair.step(100 * MS, &mut |from, packet| {
            if from == 1 && packet[12] == 3 {
                acknowledged = Some(u32::from_be_bytes(packet[16..20].try_into().unwrap()));
            }
            true
        });
    });
    acknowledged.unwrap().wrapping_add(1)
}

/// What the second end told after these packets.
fn attack(mut pair: Pair, packets: impl Iterator<Item = Vec<u8>>) -> Vec<Event> {
    let mut out = Vec::new();
    for packet in packets {
        pair.ends[1].handle_packet(pair.now_ns, &packet);
        pair.ends[1].poll_packets(pair.now_ns, &mut out);
        assert!(out.len() < 10);
        out.clear();
    }
    std::iter::from_fn(|| pair.ends[1].poll_event()).collect()
}

#[test]
fn a_message_or_a_gap_without_end_is_bounded_in_chunks() {
    for (first, flags) in [(0_u32, 0_u8), (1, 3)] {
        let mut pair = Pair::connected();
        let tsn = next_tsn(&mut pair);
        let last = u32::try_from(MAX_WAITING_CHUNKS).unwrap() + 2;
        let packets: Vec<Vec<u8>> = (first..last)
            .map(|index| {
                let flags = if index == 0 { 2 } else { flags };
                forged(&pair, &[data_chunk(tsn.wrapping_add(index), 9, flags, b"z")])
            })
            .collect();
        let events = attack(pair, packets.into_iter());
        assert_eq!(count(&events, "sctp_aborted"), 1);
        assert_eq!(events.last(), Some(&Event::Closed));
    }
}

#[test]
fn messages_that_are_read_do_not_count() {
    let mut pair = Pair::connected();
    let tsn = next_tsn(&mut pair);
    let packets: Vec<Vec<u8>> = (0..2 * u32::try_from(MAX_WAITING_CHUNKS).unwrap())
        .map(|index| forged(&pair, &[data_chunk(tsn.wrapping_add(index), 0, 7, b"z")]))
        .collect();
    assert_eq!(count(&attack(pair, packets.into_iter()), "sctp_aborted"), 0);
}

#[test]
fn what_comes_in_one_burst_is_bounded_before_anybody_asks() {
    for (first, flags) in [(0_u32, 0_u8), (1, 3)] {
        let mut pair = Pair::connected();
        let tsn = next_tsn(&mut pair);
        let mut taken = 0;
        for index in first..20_000 {
            let flags = if index == 0 { 2 } else { flags };
            let packet = forged(&pair, &[data_chunk(tsn.wrapping_add(index), 9, flags, b"z")]);
            pair.ends[1].handle_packet(pair.now_ns, &packet);
            taken += usize::from(pair.ends[1].due_ns().is_some() || pair.ends[1].is_ready());
        }
        assert!(taken <= MAX_WAITING_CHUNKS + 2048, "{taken}");
    }
}

#[test]
fn many_small_messages_arrive_on_a_bad_line() {
    let mut pair = Pair::connected();
    let sent: Vec<Vec<u8>> = (0..3900_u16).map(|index| index.to_be_bytes().to_vec()).collect();
    for message in &sent {
        assert_eq!(pair.ends[0].send(Kind::Reliable, message), Sent::Queued);
    }
    let mut packets = 0_u32;
    (0..2000).for_each(|_| {
        pair.step(50 * MS, &mut |_, _| {
            packets += 1;
            !packets.is_multiple_of(31)
        });
    });
    let got: Vec<Vec<u8>> = messages(&pair.events[1]).into_iter().map(|(_, data)| data).collect();
    assert!(got == sent, "{} of {}", got.len(), sent.len());
}

#[test]
fn streams_and_resets_are_bounded() {
    let mut pair = Pair::connected();
    let tsn = next_tsn(&mut pair);
    let packets: Vec<Vec<u8>> = (0..100_u16)
        .map(|index| forged(&pair, &[data_chunk(tsn.wrapping_add(index.into()), 100 + index, 3, b"z")]))
        .collect();
    assert_eq!(count(&attack(pair, packets.into_iter()), "sctp_aborted"), 1);

    // Stream after stream, each used and reset; what we say in return is never acknowledged.
    let mut pair = Pair::connected();
    let tsn = next_tsn(&mut pair);
    // The first request's number is the first TSN of all: count back over what was sent since.
    let packets: Vec<Vec<u8>> = (0..20_000_u32)
        .map(|index| {
            let (round, step) = (index / 50, index % 50);
            let mut reset = vec![130, 0, 0, 22, 0, 13, 0, 18];
            reset.extend(tsn.wrapping_add(round).wrapping_sub(step).to_be_bytes());
            reset.extend([0; 4]);
            reset.extend(tsn.wrapping_add(round).to_be_bytes());
            reset.extend([0, 200, 0, 0]);
            let data = data_chunk(tsn.wrapping_add(round), 200, 7, b"z");
            forged(&pair, &[data, reset])
        })
        .collect();
    let events = attack(pair, packets.into_iter());
    assert_eq!(count(&events, "sctp_panics"), 0);
    assert_eq!(count(&events, "sctp_aborted"), 1);
}

#[test]
fn far_numbers_late_inits_and_errors_end_nothing() {
    let mut pair = Pair::connected();
    let tsn = next_tsn(&mut pair);
    let init: Vec<u8> = [&[1, 0, 0, 20][..], &[0, 0, 0, 9], &[0, 1, 0, 0], &[0, 9, 0, 9], &[0, 0, 0, 9]].concat();
    let packets = [forged(&pair, &[data_chunk(tsn.wrapping_add(70_000), 0, 3, b"z")]), forged(&pair, &[init])];
    let skipped = [
        forged(&pair, &[vec![9, 0, 0, 4]]),
        forged(&pair, &[vec![9, 0, 0, 8, 0, 6, 0, 4], data_chunk(tsn, 0, 7, b"behind an error")]),
        forged(&pair, &[vec![0xC5, 0, 0, 4], data_chunk(tsn.wrapping_add(1), 0, 7, b"behind what nobody knows")]),
        forged(&pair, &[vec![0x45, 0, 0, 4], data_chunk(tsn.wrapping_add(2), 0, 7, b"not to be read")]),
    ];
    let events = attack(pair, packets.into_iter().chain(skipped));
    assert_eq!(count(&events, "sctp_unsound"), 2);
    let read: Vec<Vec<u8>> = messages(&events).into_iter().map(|(_, data)| data).collect();
    assert_eq!(read, [b"behind an error".to_vec(), b"behind what nobody knows".to_vec()]);
    assert!(!events.contains(&Event::Closed));
}

#[test]
fn the_peer_is_answered_when_it_begins_twice() {
    let mut pair = Pair::default();
    let mut dropped = 0;
    (0..80).for_each(|_| {
        pair.step(50 * MS, &mut |from, _| {
            dropped += usize::from(from == 1 && dropped < 2);
            from == 0 || dropped >= 2
        });
    });
    assert!(pair.ends.iter_mut().all(DataAssociation::is_ready));
}

#[test]
fn a_peer_may_want_small_messages() {
    let mut small = options(true);
    small.remote_max_message_bytes = 10;
    let mut end = DataAssociation::new(0, small);
    assert_eq!(end.send(Kind::Lossy, &[0; 11]), Sent::TooLong);
    assert_eq!(end.send(Kind::Lossy, &[0; 10]), Sent::Queued);
}

#[test]
fn channels_beyond_the_limit_are_closed() {
    let mut pair = Pair::connected();
    let tsn = next_tsn(&mut pair);
    let open = [3, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, b'x'];
    let opens = (0..u16::try_from(MAX_CHANNELS).unwrap()).map(|index| {
        let mut chunk = data_chunk(tsn.wrapping_add(index.into()), 100 + index, 3, &open);
        chunk[15] = 50;
        forged(&pair, &[chunk])
    });
    let packets: Vec<Vec<u8>> = opens.collect();
    // The pair has three channels already.
    assert_eq!(count(&attack(pair, packets.into_iter()), "data_channel_limit"), 3);
}

//! How much of what is to be sent the library gets at once.
//!
//! It sends whatever congestion window and the peer's window let it, megabytes in one burst where nothing was lost so far,
//! which overflows the socket buffers of receivers; and it looks at everything in flight for every packet that comes. So
//! it gets what the way needs at a rate of 64 Mbit/s, of small messages not more than a few thousand, and the rest waits
//! here.

use std::collections::VecDeque;
use std::time::Duration;

use crate::wire::{self, chunks, is_ahead, u32_at};

const BYTES_PER_S: u64 = 8_000_000;
const MIN_BYTES: u64 = 128 * 1024;
const MAX_BYTES: u64 = 2 * 1024 * 1024;
/// Messages that were not acknowledged.
const MAX_MESSAGES: usize = 2048;
/// Chunks above the peer's cumulative TSN, acknowledged or not.
const MAX_CHUNKS: u32 = 4096;
/// Before the first measurement.
const ASSUMED_RTT_NS: u64 = 50_000_000;
/// The shortest round trip of this one and of the one before counts.
const WINDOW_NS: u64 = 10_000_000_000;

/// Measures round trips.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// Sent when; not the last of its burst, so that the peer acknowledges it without delay.
    probe: Option<(u32, u64)>,
    highest_tsn: Option<u32>,
    window_ends_at_ns: u64,
    shortest_ns: Option<u64>,
    before_ns: Option<u64>,
    /// Of any packet.
    newest_tsn: Option<u32>,
    /// The peer's cumulative one.
    acknowledged_tsn: Option<u32>,
    /// Sizes of messages that the library has, and their sum.
    given: VecDeque<usize>,
    given_bytes: usize,
}

impl Flow {
    /// Packets that leave together.
    pub(crate) fn sent<'a>(&mut self, now_ns: u64, packets: impl Iterator<Item = &'a [u8]>) {
        let mut newest = self.newest_tsn;
        let numbers = packets.filter_map(|packet| {
            let last = chunks(packet).flatten().filter(|chunk| chunk.kind == wire::DATA).last()?;
            u32_at(last.body, 0)
        });
        let mut numbers = numbers.inspect(|tsn| {
            if newest.is_none_or(|known| is_ahead(*tsn, known)) {
                newest = Some(*tsn);
            }
        });
        let (first, last) = (numbers.next(), numbers.last());
        self.newest_tsn = newest;
        let Some(first) = first else { return };
        self.acknowledged_tsn.get_or_insert(first.wrapping_sub(1));
        let Some(mut highest) = last else { return };
        if let Some(before) = self.highest_tsn {
            // What is sent again tells nothing: it may be the first one that is acknowledged.
            if self.probe.is_none() && is_ahead(first, before) {
                self.probe = Some((first, now_ns));
            }
            highest = if is_ahead(highest, before) { highest } else { before };
        }
        self.highest_tsn = Some(highest);
    }

    /// A packet of the peer.
    pub(crate) fn received(&mut self, now_ns: u64, packet: &[u8]) {
        let sack = chunks(packet).flatten().find(|chunk| chunk.kind == wire::SACK);
        let Some(cumulative_tsn) = sack.and_then(|chunk| u32_at(chunk.body, 0)) else { return };
        if self.acknowledged_tsn.is_some_and(|known| is_ahead(cumulative_tsn, known)) {
            self.acknowledged_tsn = Some(cumulative_tsn);
        }
        let Some((tsn, sent_at_ns)) = self.probe else { return };
        if is_ahead(tsn, cumulative_tsn) {
            return;
        }
        self.probe = None;
        let took_ns = now_ns.saturating_sub(sent_at_ns);
        if now_ns >= self.window_ends_at_ns {
            self.before_ns = self.shortest_ns.take();
            self.window_ends_at_ns = now_ns.saturating_add(WINDOW_NS);
        }
        self.shortest_ns = Some(self.shortest_ns.map_or(took_ns, |shortest_ns| shortest_ns.min(took_ns)));
    }

    /// The library has got a message.
    pub(crate) fn gave(&mut self, bytes: usize) {
        self.given.push_back(bytes);
        self.given_bytes = self.given_bytes.saturating_add(bytes);
    }

    /// Whether the library may get another message when of those that it has so many bytes are not acknowledged.
    pub(crate) fn takes_more(&mut self, unsent_bytes: usize) -> bool {
        while let Some(oldest) = self.given.front()
            && self.given_bytes.saturating_sub(*oldest) >= unsent_bytes
        {
            self.given_bytes = self.given_bytes.saturating_sub(*oldest);
            self.given.pop_front();
        }
        unsent_bytes < self.limit_bytes() && self.given.len() < MAX_MESSAGES && self.chunks_under_way() < MAX_CHUNKS
    }

    fn chunks_under_way(&self) -> u32 {
        match (self.newest_tsn, self.acknowledged_tsn) {
            (Some(newest), Some(acknowledged)) if is_ahead(newest, acknowledged) => newest.wrapping_sub(acknowledged),
            _ => 0,
        }
    }

    /// Bytes that may be sent and not acknowledged, or wait in the library.
    fn limit_bytes(&self) -> usize {
        let shortest = [self.shortest_ns, self.before_ns].into_iter().flatten().min();
        let round_trip = Duration::from_nanos(shortest.unwrap_or(ASSUMED_RTT_NS));
        let bytes = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX).saturating_mul(BYTES_PER_S / 1_000_000);
        usize::try_from(bytes.clamp(MIN_BYTES, MAX_BYTES)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::packet;

    const MS: u64 = 1_000_000;

    fn data(tsn: u32) -> Vec<u8> {
        let chunk = [[0, 3, 0, 17].as_slice(), &tsn.to_be_bytes(), &[0; 12]].concat();
        packet([0; 8], std::iter::once(chunk.as_slice()))
    }

    fn sack(tsn: u32) -> Vec<u8> {
        let chunk = [[3, 0, 0, 16].as_slice(), &tsn.to_be_bytes(), &[0; 8]].concat();
        packet([0; 8], std::iter::once(chunk.as_slice()))
    }

    /// What a burst that begins with `tsn` and is acknowledged later does to the limit.
    fn round(flow: &mut Flow, tsn: u32, at_ns: u64, took_ns: u64) -> usize {
        let burst = [data(tsn), data(tsn.wrapping_add(1))];
        flow.sent(at_ns, burst.iter().map(Vec::as_slice));
        flow.received(at_ns + took_ns, &sack(tsn.wrapping_sub(1)));
        flow.received(at_ns + took_ns, &sack(tsn));
        flow.limit_bytes()
    }

    #[test]
    fn the_limit_follows_the_shortest_round_trip() {
        let mut flow = Flow::default();
        assert_eq!(flow.limit_bytes(), 400_000);
        round(&mut flow, u32::MAX - 3, 0, MS);
        assert_eq!(round(&mut flow, u32::MAX - 1, 0, 100 * MS), 800_000);
        assert_eq!(round(&mut flow, 1, 100 * MS, 30 * MS), 240_000);
        assert_eq!(round(&mut flow, 3, 200 * MS, MS), 131_072);
        assert_eq!(round(&mut flow, 5, 300 * MS, 90 * MS), 131_072);
        assert_eq!(round(&mut flow, 7, 11_000 * MS, 50 * MS), 131_072);
        assert_eq!(round(&mut flow, 9, 22_000 * MS, 300 * MS), 400_000);
        assert_eq!(round(&mut flow, 11, 33_000 * MS, 300 * MS), 2 * 1024 * 1024);
    }

    #[test]
    fn what_is_sent_again_or_alone_is_not_measured() {
        let mut flow = Flow::default();
        round(&mut flow, 10, 0, MS);
        assert_eq!(round(&mut flow, 10, 0, MS), 400_000);
        flow.sent(0, std::iter::once(data(12).as_slice()));
        flow.received(200 * MS, &sack(12));
        assert_eq!(flow.limit_bytes(), 400_000);
    }

    #[test]
    fn of_small_messages_a_few_thousand_are_under_way() {
        let mut flow = Flow::default();
        (0..MAX_MESSAGES).for_each(|_| flow.gave(10));
        assert!(!flow.takes_more(10 * MAX_MESSAGES));
        assert!(flow.takes_more(10 * MAX_MESSAGES - 10));
        assert_eq!(flow.given.len(), MAX_MESSAGES - 1);
        assert!(!flow.takes_more(400_000));
        assert!(flow.takes_more(0));
        assert_eq!((flow.given.len(), flow.given_bytes), (0, 0));
    }

    #[test]
    fn of_chunks_a_few_thousand_are_above_what_the_peer_has() {
        let mut flow = Flow::default();
        let first = u32::MAX - 5;
        for tsn in [first, first.wrapping_add(MAX_CHUNKS - 2)] {
            flow.sent(0, std::iter::once(data(tsn).as_slice()));
            assert!(flow.takes_more(1));
        }
        flow.sent(0, std::iter::once(data(first.wrapping_add(MAX_CHUNKS - 1)).as_slice()));
        assert!(!flow.takes_more(1));
        flow.received(0, &sack(first.wrapping_sub(1)));
        assert!(!flow.takes_more(1));
        flow.received(0, &sack(first));
        assert!(flow.takes_more(1));
    }
}

//! What the fuzz targets in `sfu/rust/fuzz` do with their input; `tests/fuzzing.rs` does it with mutated packets.
//!
//! Every function takes any bytes and panics only when the library is wrong.

use bytes::Bytes;

use crate::association::DataAssociation;
use crate::channels::{Event, Kind, Options};
use crate::guard::Peer;
use crate::wire::{COMMON_HEADER_BYTES, chunks, packet};

const STEP_NS: u64 = 50_000_000;
const MAX_PACKETS_OUT: usize = 600;

/// What a peer of ours has in these tests.
pub fn options(is_dtls_client: bool) -> Options {
    Options {
        is_dtls_client,
        opens_channels: is_dtls_client,
        max_message_bytes: 65_536,
        remote_max_message_bytes: 0,
        max_buffered_bytes: 200_000,
        max_track_buffered_bytes: 100_000,
    }
}

/// Two ends on a clock of their own; packets go from one to the other at once, unless `passes` says no.
pub struct Pair {
    /// The one that opens the channels, and the one that waits.
    pub ends: [DataAssociation; 2],
    /// What the ends told.
    pub events: [Vec<Event>; 2],
    /// Nanoseconds.
    pub now_ns: u64,
    /// The last packet that each end sent.
    pub last: [Option<Bytes>; 2],
}

impl Default for Pair {
    fn default() -> Self {
        Self {
            ends: [true, false].map(|is_client| DataAssociation::new(0, options(is_client))),
            events: [Vec::new(), Vec::new()],
            now_ns: 0,
            last: [None, None],
        }
    }
}

impl Pair {
    /// Both ends with open channels.
    pub fn connected() -> Self {
        let mut pair = Self::default();
        // Patience first: somebody must begin.
        while !pair.events.iter().all(|events| events.contains(&Event::Ready)) && pair.now_ns < 100 * STEP_NS {
            pair.step(STEP_NS, &mut |_, _| true);
        }
        pair
    }

    /// Lets time pass, and exchanges packets until no end has any. `passes` gets the sender's index.
    pub fn step(&mut self, step_ns: u64, passes: &mut dyn FnMut(usize, &[u8]) -> bool) {
        self.now_ns = self.now_ns.saturating_add(step_ns);
        let now_ns = self.now_ns;
        self.ends.iter_mut().for_each(|end| end.handle_timeout(now_ns));
        for _ in 0..MAX_PACKETS_OUT {
            let [first, second] = &mut self.ends;
            let is_quiet = exchange(first, second, now_ns, 0, passes, &mut self.last)
                & exchange(second, first, now_ns, 1, passes, &mut self.last);
            if is_quiet {
                break;
            }
        }
        for (end, events) in self.ends.iter_mut().zip(&mut self.events) {
            events.extend(std::iter::from_fn(|| end.poll_event()));
        }
    }
}

fn exchange(
    from: &mut DataAssociation,
    to: &mut DataAssociation,
    now_ns: u64,
    index: usize,
    passes: &mut dyn FnMut(usize, &[u8]) -> bool,
    last: &mut [Option<Bytes>; 2],
) -> bool {
    let mut packets = Vec::new();
    from.poll_packets(now_ns, &mut packets);
    for sent in &packets {
        if passes(index, sent) {
            to.handle_packet(now_ns, sent);
        }
    }
    if let (Some(sent), Some(place)) = (packets.last(), last.get_mut(index)) {
        *place = Some(sent.clone());
    }
    packets.is_empty()
}

/// What the guard lets pass has whole chunks, and passes again.
pub fn guard(data: &[u8]) {
    let mut peer = Peer { cumulative_tsn: Some(1000), ..Peer::default() };
    let Some(sound) = peer.check(data, usize::MAX) else { return };
    let Some(taken) = sound.packet else { return };
    assert!(chunks(&taken).all(|chunk| chunk.is_some()));
    assert!(taken.len() <= data.len().max(COMMON_HEADER_BYTES));
    assert!(peer.check(&taken, usize::MAX).is_some_and(|again| again.packet.is_some()));
}

/// A peer that went through the handshake and then sends anything: the input is chunks behind their lengths, some bundled
/// in one packet, between which time passes. Nothing panics, answers do not multiply, an end stays an end.
pub fn association(data: &[u8]) {
    let mut pair = Pair::connected();
    let Some(header) = pair.last.first().and_then(|sent| sent.as_ref()?.first_chunk::<8>().copied()) else { return };
    let [_, victim] = &mut pair.ends;
    let mut now_ns = pair.now_ns;
    let mut rest = data;
    let mut out = Vec::new();
    while let Some((&[pause, count], after)) = rest.split_first_chunk::<2>() {
        let size = usize::from(count);
        let (body, left) = after.split_at_checked(size).unwrap_or((after, &[]));
        rest = left;
        now_ns = now_ns.saturating_add(u64::from(pause).saturating_mul(STEP_NS / 8));
        victim.handle_timeout(now_ns);
        victim.handle_packet(now_ns, &packet(header, std::iter::once(body)));
        victim.send(Kind::Reliable, body);
        victim.send(Kind::Lossy, body);
        victim.poll_packets(now_ns, &mut out);
        assert!(out.len() <= MAX_PACKETS_OUT, "{} packets for one", out.len());
        out.clear();
        assert!(victim.buffered_bytes(Kind::Reliable) <= 200_000);
        while let Some(event) = victim.poll_event() {
            assert!(event != Event::Count("sctp_panics", 1), "the library panicked");
        }
    }
}

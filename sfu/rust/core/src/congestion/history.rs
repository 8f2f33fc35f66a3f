//! What was sent to one peer and is not acknowledged yet, by transport-wide number.

use std::collections::VecDeque;

/// Packets that may wait for their feedback: five seconds of a good video. Older ones are forgotten.
pub(crate) const MAX_SENT: usize = 2048;
/// The same before the first feedback: many peers never give any.
const MAX_UNHEARD: usize = 256;
/// A packet that was sent so long before one that has arrived is lost; until then it may only be late.
const REORDERED_NS: i64 = 100_000_000;

/// A packet that was sent. `size` is in bytes on the line, 0 once it is acknowledged. `phase`: see `probe`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentPacket {
    pub(crate) sent_at_ns: i64,
    pub(crate) size: u32,
    pub(crate) phase: u8,
}

/// Numbers are taken in order, so the oldest one and a queue say it all.
#[derive(Debug)]
pub(crate) struct SentHistory {
    /// Its lower 16 bits are the number of the oldest packet.
    first: i64,
    packets: VecDeque<SentPacket>,
    limit: usize,
    /// When the newest of those that arrived was sent.
    newest_arrived_ns: i64,
    /// The packet before the oldest is lost.
    is_losing: bool,
}

/// Packets that are lost for certain.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lost {
    pub(crate) packets: u64,
    /// How many times one was lost after one that was not.
    pub(crate) runs: u64,
    pub(crate) size: i64,
}

impl SentHistory {
    pub(crate) fn new(first_seq: u16) -> Self {
        Self {
            first: i64::from(first_seq),
            packets: VecDeque::new(),
            limit: MAX_UNHEARD,
            newest_arrived_ns: 0,
            is_losing: false,
        }
    }

    /// It leaves with the next number.
    pub(crate) fn add(&mut self, sent: SentPacket) {
        if self.packets.len() == self.limit {
            self.packets.pop_front();
            self.first += 1;
        }
        self.packets.push_back(sent);
    }

    /// The packet with this number has arrived. None when it was never sent, or is known or forgotten.
    pub(crate) fn acknowledge(&mut self, seq: u16) -> Option<SentPacket> {
        let newest = self.first + self.packets.len() as i64 - 1;
        let index = newest - ((newest - i64::from(seq)) & 0xFFFF) - self.first;
        let sent = self.packets.get_mut(usize::try_from(index).ok()?)?;
        if sent.size == 0 {
            return None;
        }
        let arrived = *sent;
        sent.size = 0;
        self.limit = MAX_SENT;
        self.newest_arrived_ns = self.newest_arrived_ns.max(arrived.sent_at_ns);
        Some(arrived)
    }

    /// Since the last call. They are forgotten.
    pub(crate) fn take_lost(&mut self) -> Lost {
        let oldest_ns = self.newest_arrived_ns - REORDERED_NS;
        let mut lost = Lost::default();
        while let Some(sent) = self.packets.front() {
            if sent.size != 0 && sent.sent_at_ns >= oldest_ns {
                break;
            }
            if sent.size != 0 {
                lost.packets += 1;
                lost.runs += u64::from(!self.is_losing);
                lost.size += i64::from(sent.size);
            }
            self.is_losing = sent.size != 0;
            self.packets.pop_front();
            self.first += 1;
        }
        lost
    }

    pub(crate) fn newest_arrived_ns(&self) -> i64 {
        self.newest_arrived_ns
    }
}

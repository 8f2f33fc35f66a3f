//! The transport-wide numbers of packets that leave without one: their receiver reports on them by SSRC and RTP number.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

use crate::congestion::history::MAX_SENT;
use crate::congestion_feedback::Arrived;

/// SSRC and RTP number.
type Key = (u32, u16);

/// Of the newest `MAX_SENT` packets: what was sent before is forgotten by `SentHistory` as well.
#[derive(Debug, Default)]
pub(crate) struct RtpNumbers {
    numbers: HashMap<Key, u16>,
    order: VecDeque<(Key, u16)>,
}

impl RtpNumbers {
    /// The packet `seq` of `ssrc` leaves as `number` of its transport.
    pub(crate) fn add(&mut self, ssrc: u32, seq: u16, number: u16) {
        if self.order.len() == MAX_SENT
            && let Some((oldest, its_number)) = self.order.pop_front()
            && self.numbers.get(&oldest) == Some(&its_number)
        {
            self.numbers.remove(&oldest);
        }
        self.numbers.insert((ssrc, seq), number);
        self.order.push_back(((ssrc, seq), number));
    }

    /// What arrived, in the order of sending: (number, arrival_ns) of those whose time is known, and the numbers of the
    /// others. `newest` is the last number taken. Packets that were never sent, or long ago, are left out.
    pub(crate) fn resolve(&self, newest: u16, received: &[Arrived]) -> (Vec<(u16, i64)>, Vec<u16>) {
        let number = |one: &Arrived| Some((*self.numbers.get(&(one.0, one.1))?, one.2));
        let mut found: Vec<(u16, Option<i64>)> = received.iter().filter_map(number).collect();
        found.sort_by_key(|one| Reverse(newest.wrapping_sub(one.0)));
        let untimed = found.iter().filter(|one| one.1.is_none()).map(|one| one.0).collect();
        (found.into_iter().filter_map(|one| Some((one.0, one.1?))).collect(), untimed)
    }
}

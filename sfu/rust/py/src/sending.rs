//! From the lanes to the sockets: one thread's share of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use ting_core::transmit::Transmit;

use crate::events::Notice;
use crate::faults;
use crate::lanes::Lane;
use crate::outbox::{Outbox, Ports};
use crate::shared::{Shared, ThreadState};
use crate::waiting::now_ns;

/// Transmits of one decision from which on other threads are asked to help: they take longer to send than a thread takes
/// to wake up.
const HANDOVER_TRANSMITS: usize = 96;

/// Empties lanes, and asks other threads to help.
pub(crate) struct LaneSender<'a> {
    shared: &'a Shared,
    own: &'a ThreadState,
    outbox: Outbox,
    notices: Vec<Notice>,
}

impl<'a> LaneSender<'a> {
    /// That of the thread with this state.
    pub(crate) fn new(shared: &'a Shared, own: &'a ThreadState) -> Self {
        Self { shared, own, outbox: Outbox::new(), notices: Vec::new() }
    }

    /// Sends `transmits`, which need not wait in a lane; the caller has the right to send of theirs.
    pub(crate) fn send_now(&mut self, transmits: &mut Vec<Transmit>) {
        std::mem::swap(&mut self.outbox.transmits, transmits);
        self.flush();
    }

    /// Sends what waits in the lanes of an engine, `count` transmits or about so many.
    pub(crate) fn send(&mut self, shard: usize, count: usize) {
        let Some(lanes) = self.shared.lanes.get(shard) else { return };
        let all = lanes.all();
        if all.len() > 1 && count >= HANDOVER_TRANSMITS {
            self.offer(shard, all);
        }
        for lane in all {
            self.send_lane(lane);
        }
    }

    /// Asks idle threads to begin at the lanes that this one comes to last.
    fn offer(&self, shard: usize, lanes: &[Lane]) {
        let mut waiting = lanes.iter().enumerate().skip(1).rev().filter(|(_, lane)| !lane.is_empty());
        for thread in &self.shared.threads {
            if thread.idle.compare_exchange(true, false, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            let Some((lane, _)) = waiting.next() else {
                thread.idle.store(true, Ordering::Release);
                return;
            };
            thread.offers.lock().push((shard, lane));
            thread.wake.signal();
            self.own.counters.handovers.add(1);
        }
    }

    /// Sends the lanes that others offered: the offered one and those in front of it, until they meet.
    pub(crate) fn take_offers(&mut self) {
        let shared = self.shared;
        let offers = std::mem::take(&mut *self.own.offers.lock());
        for (shard, first) in offers {
            let Some(lanes) = shared.lanes.get(shard) else { continue };
            for lane in lanes.all().iter().take(first.saturating_add(1)).rev() {
                self.send_lane(lane);
            }
        }
    }

    /// Sends what waits in a lane, unless another thread is at it and will.
    pub(crate) fn send_lane(&mut self, lane: &Lane) {
        while !lane.is_empty() {
            let Some(right) = lane.try_send() else { return };
            while lane.take(&mut self.outbox.transmits) {
                self.flush();
            }
            drop(right);
            // What came between the last look and the release is nobody's else.
        }
    }

    fn flush(&mut self) {
        let shared = self.shared;
        let first = shared.first().map_or(&[][..], |first| &first.sockets);
        let ports = Ports { own: &self.own.sockets, first };
        let (outbox, notices, counters) = (&mut self.outbox, &mut self.notices, &self.own.counters);
        let done = catch_unwind(AssertUnwindSafe(|| outbox.flush(&ports, counters, notices)));
        if done.is_err() {
            self.outbox.clear();
            self.tell_faults();
        }
        self.tell();
    }

    /// Frames for TCP go to the event loop.
    fn tell(&mut self) {
        let lost = self.shared.notices.push_all(&mut self.notices);
        self.own.counters.events_dropped.add(lost);
    }

    /// Panics of this thread that were contained go there as well.
    pub(crate) fn tell_faults(&mut self) {
        if let Some((count, words)) = faults::take() {
            self.count_fault(count, words);
            self.tell();
        }
    }

    fn count_fault(&mut self, count: u64, words: String) {
        self.own.counters.engine_faults.add(count);
        if self.shared.may_tell_fault(now_ns()) {
            self.notices.push(Notice::Fault(words));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::shards::Shards;

    #[test]
    fn panics_are_counted_and_told_once_a_second() {
        let shared = Shared::new(Arc::new(Shards::new(1, 1)), vec![Vec::new()], 1, 0).unwrap();
        let mut sender = LaneSender::new(&shared, shared.first().unwrap());
        sender.count_fault(2, "first".to_owned());
        sender.count_fault(1, "second".to_owned());
        sender.tell();
        assert!(shared.threads[0].counters.all().contains(&("engine_faults", 3)));
        let told = shared.notices.take(10);
        assert!(matches!(&told[..], [Notice::Fault(words)] if words == "first"));
    }
}

//! What every part of an engine shares, below the tables: the way out, the counters, the seed.

use std::collections::VecDeque;

use indexmap::{IndexMap, IndexSet};

use crate::api::{DropReason, Drops, Event, IDLE_TICK_NS, TICK_NS};
use crate::outgoing::Outgoing;
use crate::prng::SplitMix64;
use crate::slots::{ForwarderSlot, StreamSlot, TransportSlot};

/// Output queues, drop counters, and the streams that owe someone a keyframe.
///
/// The queues are bounded by what one call of `handle_*` can make: the caller drains them after each.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) random: SplitMix64,
    pub(crate) outgoing: Outgoing,
    pub(crate) events: VecDeque<Event>,
    pub(crate) drops: Drops,
    /// Binding requests that were answered here.
    pub(crate) checks_answered: u64,
    /// True where the keyframe was asked for, and not only waited for.
    pub(crate) keyframes_wanted: IndexMap<StreamSlot, bool>,
    /// Subscriptions that begin, or have begun, with a cached keyframe.
    pub(crate) replays: IndexSet<ForwarderSlot>,
    /// The transport that something is being done for: the one that ends if that panics.
    pub(crate) working_for: Option<TransportSlot>,
    /// When the clock ran last.
    ticked_at_ns: Option<i64>,
    /// When it has to run again.
    due_at_ns: i64,
}

impl Core {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: SplitMix64::new(seed),
            outgoing: Outgoing::default(),
            events: VecDeque::new(),
            drops: Drops::default(),
            checks_answered: 0,
            keyframes_wanted: IndexMap::new(),
            replays: IndexSet::new(),
            working_for: None,
            ticked_at_ns: None,
            due_at_ns: 0,
        }
    }

    /// The clock runs. Whoever still waits for it after that has to say so again.
    pub(crate) fn tick(&mut self, now_ns: i64) {
        self.ticked_at_ns = Some(now_ns);
        self.due_at_ns = now_ns + IDLE_TICK_NS as i64;
    }

    /// Something waits for the clock that cannot wait for long.
    pub(crate) fn want_clock(&mut self) {
        self.want_clock_by(self.soon_ns());
    }

    /// Something waits for the clock until then.
    pub(crate) fn want_clock_by(&mut self, at_ns: i64) {
        self.due_at_ns = self.due_at_ns.min(at_ns);
    }

    fn soon_ns(&self) -> i64 {
        self.ticked_at_ns.map_or(0, |ticked_ns| ticked_ns + TICK_NS as i64)
    }

    /// When the clock has to run at the latest.
    pub(crate) fn due_at_ns(&self) -> i64 {
        // What commands have made leaves with the clock, and what these two hold is looked at by each tick.
        let is_waiting = self.outgoing.len() > 0
            || !self.events.is_empty()
            || !self.keyframes_wanted.is_empty()
            || !self.replays.is_empty();
        if is_waiting { self.due_at_ns.min(self.soon_ns()) } else { self.due_at_ns }
    }

    /// Whether the clock is due, or so nearly that who is awake anyway need not wake up for it again.
    pub(crate) fn is_due(&self, now_ns: i64) -> bool {
        let due_at_ns = self.due_at_ns();
        let interval_ns = due_at_ns - self.ticked_at_ns.unwrap_or(due_at_ns);
        now_ns >= due_at_ns - (interval_ns / 2).min(TICK_NS as i64)
    }

    pub(crate) fn drop_one(&mut self, reason: DropReason) {
        self.drops.add(reason, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn the_clock_is_due_at_once_then_seldom_and_soon_when_something_waits() {
        let mut core = Core::new(1);
        assert!(core.is_due(0) && core.due_at_ns() == 0);
        core.tick(1_000 * MS);
        assert_eq!(core.due_at_ns(), 1_060 * MS);
        core.want_clock_by(1_055 * MS);
        core.want_clock_by(1_070 * MS);
        assert_eq!(core.due_at_ns(), 1_055 * MS);
        core.want_clock();
        assert_eq!(core.due_at_ns(), 1_010 * MS);
        core.tick(1_020 * MS);
        assert_eq!(core.due_at_ns(), 1_080 * MS);
        core.events.push_back(Event::TransportFailed { transport: 1 });
        assert_eq!(core.due_at_ns(), 1_030 * MS);
    }

    #[test]
    fn who_is_awake_serves_it_early_but_not_all_the_time() {
        let mut core = Core::new(1);
        core.tick(1_000 * MS);
        assert!(!core.is_due(1_049 * MS) && core.is_due(1_050 * MS));
        core.want_clock();
        assert!(!core.is_due(1_004 * MS) && core.is_due(1_005 * MS));
    }
}

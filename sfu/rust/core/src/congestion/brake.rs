//! The line of a publisher, seen from where its packets arrive: when they wait longer and longer, it is told at once to send
//! less, until the queue is gone (REMB, draft-alvestrand-rmcat-remb-03).
//!
//! Its own estimator hears of the same queue from the transport-wide feedback, but a round trip later, and needs a second
//! to believe it. By then the queue has run over, and what was lost is sent again into it. So this only bridges the time
//! until the publisher knows by itself: it never holds for long. Send times are those of abs-send-time, 24 bits of 2^-18 s.

use crate::congestion::delay::{DelayTrend, GROUP_NS, Group, Rise, Verdict};
use crate::congestion::{NS_PER_S, rate_bps};

/// Bytes are counted in slots: what arrived in the last of them, while packets wait, is what the line takes.
const METER_NS: i64 = 20_000_000;
const METER_SLOTS: i64 = 6;
/// Of what the line takes: while there is a queue, so that it drains, and afterwards.
const KEPT_PERCENT: i64 = 60;
const REST_PERCENT: i64 = 90;
/// A queue shorter than this is gone: a large packet alone takes a narrow line nearly as long.
const DRAINED_NS: i64 = 60_000_000;
/// It must have been gone for so long.
const CALM_NS: i64 = 200_000_000;
/// Whatever makes a queue that is there longer than this, it is not this publisher.
const MAX_HELD_NS: i64 = 2_500_000_000;
/// From one order to a new one.
const AGAIN_NS: i64 = 300_000_000;
/// From the end of one to the next.
const REST_NS: i64 = 1_000_000_000;
const REPEAT_NS: i64 = 50_000_000;
/// The end is told more than once, as it may get lost.
const FREE_REPEAT_NS: i64 = 200_000_000;
const FREE_REPEATS: u32 = 5;
const FREE_BPS: i64 = 1_000_000_000;
const MIN_BPS: i64 = 30_000;
/// Who sends nothing for so long may have gone around the clock of send times, which has 64 s.
const QUIET_NS: i64 = 20_000_000_000;
/// So long after the end keyframes are still asked for more rarely.
const AFTERWARDS_NS: i64 = 2_000_000_000;
const CLOCK_HZ: i64 = 1 << 18;
const CLOCK_WRAP: i64 = 1 << 24;

/// One per transport that packets with transport-wide numbers arrive on.
#[derive(Debug, Default)]
pub(crate) struct Brake {
    meter: [i64; METER_SLOTS as usize],
    slot: i64,
    /// Send time of the newest packet, in ticks since some time.
    clock: Option<i64>,
    heard_at_ns: i64,
    trend: DelayTrend,
    rise: Rise,
    group: Option<Group>,
    limit_bps: Option<i64>,
    line_bps: i64,
    began_at_ns: i64,
    again_at_ns: i64,
    told_at_ns: i64,
    calm_since_ns: Option<i64>,
    ended_at_ns: Option<i64>,
    free_left: u32,
    /// Send time of the packet that showed the queue.
    ordered_sent_ns: i64,
    /// What was sent after it has arrived: it tells whether the queue is still there.
    is_judged: bool,
    is_new: bool,
}

impl Brake {
    /// Less is asked for than the publisher would send.
    pub(crate) fn holds(&self) -> bool {
        self.limit_bps.is_some()
    }

    /// What is to be told cannot wait for long.
    pub(crate) fn is_pressing(&self) -> bool {
        self.holds() || self.is_new || self.free_left > 0
    }

    /// It holds, or did a moment ago: pictures may still wait for their turn at the publisher.
    pub(crate) fn is_recent(&self, now_ns: i64) -> bool {
        self.holds() || self.ended_at_ns.is_some_and(|ended_ns| now_ns - ended_ns < AFTERWARDS_NS)
    }

    /// A packet of `size` bytes on the line, with its abs-send-time where it has one.
    pub(crate) fn arrived(&mut self, now_ns: i64, size: u32, send_time: Option<&[u8]>) {
        self.count(now_ns, size);
        let Some(&[high, middle, low]) = send_time else { return };
        let sent_ns = self.place(now_ns, i64::from(u32::from_be_bytes([0, high, middle, low])));
        let mut is_over = self.rise.add(sent_ns, now_ns, size).is_some();
        let full = self.group.take_if(|group| sent_ns - group.first_sent_ns >= GROUP_NS);
        if let Some(group) = full {
            is_over |= self.trend.update(&group) == Verdict::Overuse;
            self.is_judged = group.first_sent_ns > self.ordered_sent_ns;
        }
        self.group.get_or_insert_with(|| Group::new(sent_ns, now_ns, false)).add(sent_ns, now_ns, size);
        if is_over && now_ns >= self.again_at_ns {
            self.begin(now_ns, sent_ns);
        }
    }

    fn count(&mut self, now_ns: i64, size: u32) {
        let slot = now_ns.div_euclid(METER_NS);
        if slot > self.slot {
            for passed in (self.slot + 1).max(slot - METER_SLOTS + 1)..=slot {
                if let Some(place) = self.meter.get_mut(passed.rem_euclid(METER_SLOTS) as usize) {
                    *place = 0;
                }
            }
            self.slot = slot;
        }
        if let Some(place) = self.meter.get_mut(slot.rem_euclid(METER_SLOTS) as usize) {
            *place += i64::from(size);
        }
    }

    /// A send time without wrapping, in ns since some time.
    fn place(&mut self, now_ns: i64, ticks: i64) -> i64 {
        let clock = match self.clock {
            Some(clock) if now_ns - self.heard_at_ns < QUIET_NS => clock,
            _ => {
                (self.trend, self.rise, self.group) = (DelayTrend::default(), Rise::default(), None);
                ticks
            }
        };
        let placed = clock + (ticks - clock + CLOCK_WRAP / 2).rem_euclid(CLOCK_WRAP) - CLOCK_WRAP / 2;
        self.clock = Some(clock.max(placed));
        self.heard_at_ns = now_ns;
        (i128::from(placed) * i128::from(NS_PER_S)).div_euclid(i128::from(CLOCK_HZ)) as i64
    }

    fn begin(&mut self, now_ns: i64, sent_ns: i64) {
        self.line_bps = rate_bps(self.meter.iter().sum(), METER_SLOTS * METER_NS);
        if self.limit_bps.is_none() {
            self.began_at_ns = now_ns;
        }
        self.limit_bps = Some((self.line_bps * KEPT_PERCENT / 100).max(MIN_BPS));
        self.again_at_ns = now_ns + AGAIN_NS;
        self.calm_since_ns = None;
        self.told_at_ns = 0;
        (self.ordered_sent_ns, self.is_judged) = (sent_ns, false);
        self.is_new = true;
    }

    /// What the line takes, when that has shown since the last time.
    pub(crate) fn take_news(&mut self) -> Option<i64> {
        std::mem::take(&mut self.is_new).then_some(self.line_bps)
    }

    /// Once every tick: what to tell the publisher, if anything.
    pub(crate) fn run(&mut self, now_ns: i64) -> Option<i64> {
        let Some(limit_bps) = self.limit_bps else { return self.free(now_ns) };
        let is_drained = self.is_judged && self.trend.queue_ns() < DRAINED_NS;
        self.calm_since_ns = if is_drained { self.calm_since_ns.or(Some(now_ns)) } else { None };
        let is_calm = self.calm_since_ns.is_some_and(|since_ns| now_ns - since_ns >= CALM_NS);
        if is_calm || now_ns - self.began_at_ns >= MAX_HELD_NS {
            self.limit_bps = None;
            self.ended_at_ns = Some(now_ns);
            self.again_at_ns = now_ns + REST_NS;
            (self.free_left, self.told_at_ns) = (FREE_REPEATS, 0);
            return self.free(now_ns);
        }
        if now_ns - self.told_at_ns < REPEAT_NS {
            return None;
        }
        self.told_at_ns = now_ns;
        Some(if is_drained { limit_bps.max(self.line_bps * REST_PERCENT / 100) } else { limit_bps })
    }

    fn free(&mut self, now_ns: i64) -> Option<i64> {
        if self.free_left == 0 || now_ns - self.told_at_ns < FREE_REPEAT_NS {
            return None;
        }
        self.free_left -= 1;
        self.told_at_ns = now_ns;
        Some(FREE_BPS)
    }
}

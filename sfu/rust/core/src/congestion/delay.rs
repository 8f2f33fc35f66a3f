//! Whether packets wait longer and longer on the way: a queue that grows says that more is sent than the line takes.
//!
//! Packets are looked at in groups of `GROUP_NS`. Of each group the fastest counts, so that jitter, which delays most but
//! hardly ever all of them, is no queue. What the fastest of the last while took is the line itself; the rest is queue.

use std::collections::VecDeque;

use crate::congestion::rate_bps;

/// Packets that are judged together were sent within this time.
pub(crate) const GROUP_NS: i64 = 50_000_000;
/// The fastest of this long, at least, is the line without a queue.
const BASE_NS: i64 = 10_000_000_000;
/// Groups whose trend counts.
const SAMPLES: usize = 8;
const MIN_SAMPLES: usize = 4;
/// A queue shorter than this may be chance.
const QUEUE_NS: i64 = 20_000_000;
/// Queue that grows by so many thousandths of the time that passes.
const RISING: i64 = 50;
/// The square of how many times its standard error the growth must be: a line that delays each packet by chance shows
/// growth over a few groups as well.
const CERTAINTY: i128 = 16;
/// A queue that is this long and has grown by `STEEP_NS` since the group before grows steeply.
const STEEP_QUEUE_NS: i64 = 50_000_000;
const STEEP_NS: i64 = 20_000_000;
/// A queue this long that does not shrink, while packets are lost, is full.
const FULL_NS: i64 = 60_000_000;
/// A queue longer than this for `LINGERING` groups, and not shrinking, is ours, if it gets shorter when less is sent.
const LINGERING_NS: i64 = 60_000_000;
const LINGERING: u32 = 10;
/// Packets in a row that took longer and longer, by this much from the first to the last, wait behind each other.
const RISE_NS: i64 = 90_000_000;
/// So many at least, and none of them by more than half of it: one that jumps was held up by something else.
const RISE_STEPS: u32 = 3;
/// A delay that differs by no more than this is the same.
const LEVEL_NS: i64 = 1_000_000;
/// Groups in a row that must say so.
const CERTAIN: u32 = 2;
/// A delay that differs by more from the one before, or by `MAX_DRIFT_NS` from the first, is of another clock: what was
/// known of the line is void.
pub(crate) const MAX_STEP_NS: i64 = 10_000_000_000;
pub(crate) const MAX_DRIFT_NS: i64 = 3_600_000_000_000;

/// What the delay says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Normal,
    /// There is a queue, and it does not grow.
    Hold,
    Overuse,
}

/// Packets that were sent within `GROUP_NS`, as far as they are known to have arrived.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) first_sent_ns: i64,
    pub(crate) last_sent_ns: i64,
    pub(crate) last_arrival_ns: i64,
    min_delay_ns: i64,
    pub(crate) size: i64,
    pub(crate) packets: u64,
    pub(crate) lost: u64,
    pub(crate) lost_bytes: i64,
    /// A probe is in it, or was shortly before.
    pub(crate) is_tried: bool,
}

impl Group {
    pub(crate) fn new(sent_at_ns: i64, arrival_ns: i64, is_tried: bool) -> Self {
        Self {
            first_sent_ns: sent_at_ns,
            last_sent_ns: sent_at_ns,
            last_arrival_ns: arrival_ns,
            min_delay_ns: arrival_ns - sent_at_ns,
            size: 0,
            packets: 0,
            lost: 0,
            lost_bytes: 0,
            is_tried,
        }
    }

    pub(crate) fn add(&mut self, sent_at_ns: i64, arrival_ns: i64, size: u32) {
        self.size += i64::from(size);
        self.packets += 1;
        if sent_at_ns >= self.first_sent_ns {
            self.last_sent_ns = self.last_sent_ns.max(sent_at_ns);
            self.last_arrival_ns = self.last_arrival_ns.max(arrival_ns);
            self.min_delay_ns = self.min_delay_ns.min(arrival_ns - sent_at_ns);
        }
    }
}

/// The fastest of late, and of what comes after it.
#[derive(Clone, Copy, Debug)]
struct Base {
    delay_ns: i64,
    next_ns: i64,
    since_ns: i64,
}

#[derive(Debug, Default)]
pub(crate) struct DelayTrend {
    base: Option<Base>,
    /// (sent at, delay) of the last groups.
    samples: VecDeque<(i64, i64)>,
    in_a_row: u32,
    lingers: u32,
    /// How long the queue was when less was sent because of it the last time.
    lingered_ns: Option<i64>,
    queue_ns: i64,
}

impl DelayTrend {
    pub(crate) fn queue_ns(&self) -> i64 {
        self.queue_ns
    }

    pub(crate) fn update(&mut self, group: &Group) -> Verdict {
        let delay_ns = group.min_delay_ns;
        let queue_ns = delay_ns - self.update_base(group.first_sent_ns, delay_ns);
        self.queue_ns = queue_ns;
        if group.is_tried {
            self.samples.clear();
            self.in_a_row = 0;
            return Verdict::Hold;
        }
        let before_ns = self.samples.back().map_or(delay_ns, |sample| sample.1);
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((group.first_sent_ns, delay_ns));
        let (slope, is_certain) = self.slope();
        let is_rising = slope.is_some_and(|slope| slope >= RISING) && is_certain && queue_ns >= QUEUE_NS;
        let is_steep = queue_ns >= STEEP_QUEUE_NS && delay_ns - before_ns >= STEEP_NS;
        let is_full = queue_ns >= FULL_NS && group.lost > 0 && slope.is_none_or(|slope| slope > -RISING);
        self.in_a_row = if is_rising || is_steep || is_full { self.in_a_row + 1 } else { 0 };
        if self.in_a_row >= CERTAIN || self.is_lingering(delay_ns, slope) {
            return Verdict::Overuse;
        }
        if queue_ns < QUEUE_NS {
            self.lingered_ns = None;
            return Verdict::Normal;
        }
        Verdict::Hold
    }

    /// A queue that neither grows nor shrinks.
    fn is_lingering(&mut self, delay_ns: i64, slope: Option<i64>) -> bool {
        if self.queue_ns < LINGERING_NS || slope.is_none_or(|slope| slope <= -RISING / 2) {
            self.lingers = 0;
            return false;
        }
        self.lingers += 1;
        if self.lingers < LINGERING {
            return false;
        }
        self.lingers = 0;
        let before_ns = self.lingered_ns.replace(self.queue_ns);
        if before_ns.is_some_and(|before_ns| self.queue_ns * 10 >= before_ns * 9) {
            // Less was sent and it is as long as before: of others, or a longer way.
            if let Some(base) = &mut self.base {
                (base.delay_ns, base.next_ns) = (delay_ns, delay_ns);
            }
            self.lingered_ns = None;
            self.queue_ns = 0;
            return false;
        }
        true
    }

    fn update_base(&mut self, now_ns: i64, delay_ns: i64) -> i64 {
        let base = self.base.get_or_insert(Base { delay_ns, next_ns: delay_ns, since_ns: now_ns });
        if now_ns - base.since_ns >= BASE_NS {
            *base = Base { delay_ns: base.next_ns, next_ns: delay_ns, since_ns: now_ns };
        }
        base.delay_ns = base.delay_ns.min(delay_ns);
        base.next_ns = base.next_ns.min(delay_ns);
        base.delay_ns
    }

    /// Thousandths of the passing time that the delay grows by (least squares), None for too few samples; and whether that
    /// is more than chance (Student's t).
    fn slope(&self) -> (Option<i64>, bool) {
        let count = self.samples.len();
        let Some(&(first_ns, first_delay_ns)) = self.samples.front().filter(|_| count >= MIN_SAMPLES) else {
            return (None, false);
        };
        let count = count as i128;
        let (mut sum_x, mut sum_y, mut sum_xx, mut sum_xy, mut sum_yy) = (0, 0, 0, 0, 0);
        for &(sent_ns, delay_ns) in &self.samples {
            let x = i128::from((sent_ns - first_ns).div_euclid(1_000_000));
            let y = i128::from((delay_ns - first_delay_ns).div_euclid(1_000));
            sum_x += x;
            sum_y += y;
            sum_xx += x * x;
            sum_xy += x * y;
            sum_yy += y * y;
        }
        let spread = count * sum_xx - sum_x * sum_x;
        if spread <= 0 {
            return (None, false);
        }
        let growth = count * sum_xy - sum_x * sum_y;
        let unexplained = spread * (count * sum_yy - sum_y * sum_y) - growth * growth;
        (Some(growth.div_euclid(spread) as i64), growth * growth * (count - 2) >= CERTAINTY * unexplained)
    }
}

/// Packet by packet, while each takes longer than the one before: how fast they come out of the queue in which they wait is
/// what the line takes. Known within one picture, long before a trend over groups.
#[derive(Debug, Default)]
pub(crate) struct Rise {
    sent_at_ns: Option<i64>,
    delay_ns: i64,
    first_delay_ns: i64,
    /// When the first of those that waited arrived.
    began_ns: Option<i64>,
    size: i64,
    steps: u32,
    steepest_ns: i64,
}

impl Rise {
    /// A packet has arrived. The bitrate at which those that wait come out, once that is certain.
    #[inline]
    pub(crate) fn add(&mut self, sent_at_ns: i64, arrival_ns: i64, size: u32) -> Option<i64> {
        let before_ns = self.sent_at_ns;
        if before_ns.is_some_and(|before_ns| sent_at_ns < before_ns) {
            return None;
        }
        let delay_ns = arrival_ns - sent_at_ns;
        let step_ns = delay_ns - self.delay_ns;
        if before_ns.is_none() || step_ns < -LEVEL_NS {
            *self = Self { sent_at_ns: Some(sent_at_ns), delay_ns, first_delay_ns: delay_ns, ..Self::default() };
            return None;
        }
        self.delay_ns = delay_ns;
        self.sent_at_ns = Some(sent_at_ns);
        let risen_ns = delay_ns - self.first_delay_ns;
        if risen_ns < LEVEL_NS {
            return None;
        }
        self.steps += 1;
        self.steepest_ns = self.steepest_ns.max(step_ns);
        let Some(began_ns) = self.began_ns else {
            self.began_ns = Some(arrival_ns);
            return None;
        };
        self.size += i64::from(size);
        let is_certain = risen_ns >= RISE_NS && self.steps >= RISE_STEPS && 2 * self.steepest_ns <= risen_ns;
        is_certain.then(|| rate_bps(self.size, (arrival_ns - began_ns).max(1)))
    }
}

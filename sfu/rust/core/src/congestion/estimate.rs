//! The bitrate that a peer's line takes, from its feedback. None until the line has once shown a limit.

use std::collections::VecDeque;

use crate::api::OVERHEAD_BYTES;
use crate::congestion::delay::{DelayTrend, GROUP_NS, Group, MAX_DRIFT_NS, MAX_STEP_NS, Rise, Verdict};
use crate::congestion::history::{SentHistory, SentPacket};
use crate::congestion::pacer::{Pacer, START_BPS};
use crate::congestion::probe::Probe;
use crate::congestion::{NS_PER_S, rate_bps};

/// Groups over which rates are measured.
const WINDOW: usize = 6;
/// The same when the line is too narrow: what was sent before it was is no measure.
const CUT_WINDOW: usize = 4;
const LOSS_WINDOW: usize = 20;
/// Fewer say nothing of the share that is lost.
const MIN_PACKETS: u64 = 60;
/// What is lost beyond this is lost for want of room, whatever the delay; less than that may be a line that loses.
const LOSS_PERCENT: u64 = 40;
/// While so much is lost, no more is tried.
const UNSURE_PERCENT: u64 = 15;
/// What is sent is at least this share of what gets through where a queue grows because of it.
const FILLED_PERCENT: i64 = 104;
/// Share of what gets through that is used afterwards.
const KEPT_PERCENT: i64 = 85;
/// The same of what comes out of a queue that one picture made: its packets say at what rate.
const RISE_KEPT_PERCENT: i64 = 90;
/// A line that takes less than this share of the estimate has become narrower.
const NARROWER_PERCENT: i64 = 60;
/// Who has not given any feedback for so long after the first packet may never give any.
const START_NS: i64 = 500_000_000;
/// Nothing at all arrived of what was sent for so long: the way was gone, and not too narrow.
const OUTAGE_NS: i64 = 500_000_000;
/// A cut needs this long to show.
const CUT_INTERVAL_NS: i64 = 300_000_000;
/// A second, as long as no queue grows.
const GROWTH_PERCENT: i64 = 8;
/// At most so much a second near the bitrate at which a queue grew the last time: an equal step for all who share it.
const NEAR_GROWTH_PERCENT: i64 = 4;
const NEAR_GROWTH_BPS: i64 = 40_000;
/// With a longer queue nothing is probed.
const CALM_QUEUE_NS: i64 = 100_000_000;
/// A queue that was seen so long ago is no more: hardly anything has been sent since.
const STALE_NS: i64 = 1_000_000_000;
/// With a longer queue video leaves slowly.
const DRAIN_QUEUE_NS: i64 = 60_000_000;
const CALM_AFTER_CUT_NS: i64 = 500_000_000;
const PROBE_AFTER_CUT_NS: i64 = 1_000_000_000;
/// What is sent so long after a probe may wait in the queue that the probe made.
const TRIED_NS: i64 = 200_000_000;
const MIN_BPS: i64 = 30_000;
const MAX_BPS: i64 = 1_000_000_000;
/// Between two changes that are told.
const GAP_NS: i64 = 50_000_000;

/// One per transport whose packets carry transport-wide numbers.
#[derive(Debug)]
pub(crate) struct Estimator {
    pub(crate) probe: Probe,
    pub(crate) pacer: Pacer,
    bitrate_bps: Option<i64>,
    /// Nothing is known of the line yet.
    is_starting: bool,
    started_at_ns: Option<i64>,
    packets_lost: u64,
    loss_runs: u64,
    history: SentHistory,
    delay: DelayTrend,
    rise: Rise,
    groups: VecDeque<Group>,
    group: Option<Group>,
    arrival_ns: Option<i64>,
    delay_ns: i64,
    first_delay_ns: i64,
    acked_bps: i64,
    cut_at_ns: Option<i64>,
    /// What got through when a queue grew the last time.
    top_bps: i64,
    judged_at_ns: i64,
    lost_percent: u64,
    tried_until_ns: i64,
    told_bps: Option<i64>,
    told_at_ns: i64,
}

impl Estimator {
    pub(crate) fn new(first_seq: u16) -> Self {
        Self {
            probe: Probe::default(),
            pacer: Pacer::default(),
            bitrate_bps: None,
            is_starting: true,
            started_at_ns: None,
            packets_lost: 0,
            loss_runs: 0,
            history: SentHistory::new(first_seq),
            delay: DelayTrend::default(),
            rise: Rise::default(),
            groups: VecDeque::new(),
            group: None,
            arrival_ns: None,
            delay_ns: 0,
            first_delay_ns: 0,
            acked_bps: 0,
            cut_at_ns: None,
            top_bps: 0,
            judged_at_ns: 0,
            lost_percent: 0,
            tried_until_ns: 0,
            told_bps: None,
            told_at_ns: 0,
        }
    }

    pub(crate) fn bitrate_bps(&self) -> Option<i64> {
        self.bitrate_bps
    }

    /// What arrived lately, bits per second on the line.
    pub(crate) fn acked_bps(&self) -> i64 {
        self.acked_bps
    }

    pub(crate) fn packets_lost(&self) -> u64 {
        self.packets_lost
    }

    pub(crate) fn loss_runs(&self) -> u64 {
        self.loss_runs
    }

    /// A packet leaves with the next transport-wide number.
    #[inline]
    pub(crate) fn sent(&mut self, now_ns: i64, payload_bytes: usize) {
        let size = payload_bytes as u32 + OVERHEAD_BYTES;
        let sent = SentPacket { sent_at_ns: now_ns, size, phase: self.probe.phase() };
        self.history.add(sent);
        if let Some(bitrate_bps) = self.bitrate_bps {
            self.pacer.sent(now_ns, size, bitrate_bps);
        } else if self.is_starting {
            self.started_at_ns.get_or_insert(now_ns);
            self.pacer.sent(now_ns, size, START_BPS);
        }
        if sent.phase != 0 {
            self.probe.sent(sent);
            self.tried_until_ns = now_ns + TRIED_NS;
        }
    }

    /// Whether video waits for its turn.
    pub(crate) fn is_pacing(&self) -> bool {
        self.bitrate_bps.is_some() || self.is_starting
    }

    /// Whether video may leave now.
    #[inline]
    pub(crate) fn may_send(&self, now_ns: i64) -> bool {
        if self.bitrate_bps.is_some() {
            return self.pacer.may_send(now_ns);
        }
        !self.is_starting || self.pacer.may_start(now_ns)
    }

    /// What arrived and when, as `TransportFeedback::received`, on a clock that begins anew every `wrap_ns`. Numbers that
    /// were not sent say nothing. `untimed` have arrived, nobody knows when: they are not lost, and say nothing else.
    pub(crate) fn handle_feedback(&mut self, now_ns: i64, received: &[(u16, i64)], wrap_ns: i64, untimed: &[u16]) {
        let heard_ns = self.history.newest_arrived_ns();
        for &seq in untimed {
            if self.history.acknowledge(seq).is_some() {
                self.is_starting = false;
            }
        }
        for &(seq, arrival_ns) in received {
            if let Some(sent) = self.history.acknowledge(seq) {
                self.is_starting = false;
                let arrival_ns = self.place(sent.sent_at_ns, arrival_ns, wrap_ns);
                self.take(now_ns, sent, arrival_ns);
            }
        }
        let lost = self.history.take_lost();
        self.packets_lost += lost.packets;
        self.loss_runs += lost.runs;
        let had_outage = self.history.newest_arrived_ns() - heard_ns >= OUTAGE_NS;
        if let Some(group) = self.group.as_mut().filter(|_| !had_outage) {
            group.lost += lost.packets;
            group.lost_bytes += lost.size;
        }
    }

    /// An arrival on the receiver's clock, of which only so much comes.
    fn place(&mut self, sent_at_ns: i64, arrival_ns: i64, wrap_ns: i64) -> i64 {
        if let Some(before_ns) = self.arrival_ns {
            let placed_ns = before_ns + (arrival_ns - before_ns + wrap_ns / 2).rem_euclid(wrap_ns) - wrap_ns / 2;
            let delay_ns = placed_ns - sent_at_ns;
            let (step_ns, drift_ns) = ((delay_ns - self.delay_ns).abs(), (delay_ns - self.first_delay_ns).abs());
            if step_ns <= MAX_STEP_NS && drift_ns <= MAX_DRIFT_NS {
                self.arrival_ns = Some(placed_ns);
                self.delay_ns = delay_ns;
                return placed_ns;
            }
            self.delay = DelayTrend::default();
            self.rise = Rise::default();
            self.groups.clear();
            self.group = None;
        }
        self.arrival_ns = Some(arrival_ns);
        self.delay_ns = arrival_ns - sent_at_ns;
        self.first_delay_ns = self.delay_ns;
        arrival_ns
    }

    fn take(&mut self, now_ns: i64, sent: SentPacket, arrival_ns: i64) {
        if sent.phase != 0 && self.probe.is_running() {
            self.probe.arrived(sent, arrival_ns);
        }
        if let Some(group) = self.group.take_if(|group| sent.sent_at_ns - group.first_sent_ns >= GROUP_NS) {
            self.complete(now_ns, group);
        }
        let is_tried = sent.sent_at_ns < self.tried_until_ns;
        let group = self.group.get_or_insert_with(|| Group::new(sent.sent_at_ns, arrival_ns, is_tried));
        group.is_tried |= sent.phase != 0;
        group.add(sent.sent_at_ns, arrival_ns, sent.size);
        let is_tried = group.is_tried;
        let taken_bps = self.rise.add(sent.sent_at_ns, arrival_ns, sent.size);
        if let Some(taken_bps) = taken_bps.filter(|_| !is_tried) {
            self.narrow(now_ns, taken_bps);
        }
    }

    /// Packets wait behind each other, and come out at `taken_bps`.
    #[cold]
    fn narrow(&mut self, now_ns: i64, taken_bps: i64) {
        if self.bitrate_bps.is_some_and(|bitrate_bps| taken_bps * 100 >= bitrate_bps * NARROWER_PERCENT) {
            return;
        }
        self.set((taken_bps * RISE_KEPT_PERCENT).div_euclid(100));
        self.top_bps = taken_bps;
        self.cut_at_ns = Some(now_ns);
        self.probe.hold(now_ns + PROBE_AFTER_CUT_NS);
    }

    fn complete(&mut self, now_ns: i64, group: Group) {
        self.judged_at_ns = now_ns;
        let before_ns = self.groups.back().map(|before| before.first_sent_ns);
        let elapsed_ns = before_ns.map_or(0, |before_ns| (group.first_sent_ns - before_ns).min(NS_PER_S));
        let verdict = self.delay.update(&group);
        let is_tried = group.is_tried;
        if self.groups.len() == LOSS_WINDOW {
            self.groups.pop_front();
        }
        self.groups.push_back(group);
        self.acked_bps = self.rates(WINDOW).1;
        let loss_percent = self.loss_percent();
        self.lost_percent = loss_percent;
        if verdict == Verdict::Overuse || (loss_percent >= LOSS_PERCENT && !is_tried) {
            self.cut(now_ns);
        } else if verdict == Verdict::Normal
            && loss_percent < UNSURE_PERCENT
            && let Some(bitrate_bps) = self.bitrate_bps
        {
            self.grow(now_ns, bitrate_bps, elapsed_ns);
        }
    }

    /// Bits per second that were sent and that arrived, over the last groups.
    fn rates(&self, window: usize) -> (i64, i64) {
        let mut groups = self.groups.iter().skip(self.groups.len().saturating_sub(window));
        let (Some(first), Some(last)) = (groups.next(), self.groups.back()) else { return (0, 0) };
        if groups.len() == 0 {
            return (0, 0);
        }
        let (size, lost) = groups.fold((0, 0), |(size, lost), one| (size + one.size, lost + one.lost_bytes));
        let sent_ns = (last.last_sent_ns - first.last_sent_ns).max(GROUP_NS);
        let took_ns = (last.last_arrival_ns - first.last_arrival_ns).max(sent_ns);
        (rate_bps(size + lost, sent_ns), rate_bps(size, took_ns))
    }

    fn loss_percent(&self) -> u64 {
        let (arrived, lost) = self.groups.iter().fold((0, 0), |(all, lost), one| (all + one.packets, lost + one.lost));
        if arrived + lost >= MIN_PACKETS { 100 * lost / (arrived + lost) } else { 0 }
    }

    fn cut(&mut self, now_ns: i64) {
        if self.cut_at_ns.is_some_and(|cut_at_ns| now_ns - cut_at_ns < CUT_INTERVAL_NS) {
            return;
        }
        let (sent_bps, acked_bps) = self.rates(CUT_WINDOW);
        let mut target_bps = (acked_bps * KEPT_PERCENT).div_euclid(100);
        let is_filled = sent_bps * 100 >= acked_bps * FILLED_PERCENT;
        if is_filled {
            self.top_bps = acked_bps;
        }
        let before_bps = match self.bitrate_bps {
            None if !is_filled => return,
            None => target_bps,
            Some(before_bps) if !is_filled => {
                target_bps = target_bps.max((before_bps * KEPT_PERCENT).div_euclid(100));
                before_bps
            }
            Some(before_bps) => before_bps,
        };
        self.set(before_bps.min(target_bps));
        self.cut_at_ns = Some(now_ns);
        self.probe.hold(now_ns + PROBE_AFTER_CUT_NS);
    }

    fn grow(&mut self, now_ns: i64, bitrate_bps: i64, elapsed_ns: i64) {
        if self.cut_at_ns.is_some_and(|cut_at_ns| now_ns - cut_at_ns < CALM_AFTER_CUT_NS) {
            return;
        }
        let acked_bps = self.acked_bps;
        if acked_bps > bitrate_bps {
            self.set(acked_bps);
        } else if bitrate_bps < (acked_bps * 3).div_euclid(2) {
            let mut growth_bps = (bitrate_bps * GROWTH_PERCENT).div_euclid(100);
            if (self.top_bps * 8..=self.top_bps * 12).contains(&(bitrate_bps * 10)) {
                growth_bps = (bitrate_bps * NEAR_GROWTH_PERCENT).div_euclid(100).min(NEAR_GROWTH_BPS);
            }
            self.set(bitrate_bps + (growth_bps * elapsed_ns).div_euclid(NS_PER_S));
        }
    }

    fn set(&mut self, bitrate_bps: i64) {
        self.bitrate_bps = Some(bitrate_bps.clamp(MIN_BPS, MAX_BPS));
    }

    /// Once every `TICK_NS`: padding packets to send now.
    pub(crate) fn run(&mut self, now_ns: i64) -> usize {
        if self.started_at_ns.is_some_and(|started_at_ns| now_ns - started_at_ns >= START_NS) {
            self.is_starting = false;
        }
        let Some(mut bitrate_bps) = self.bitrate_bps else { return 0 };
        if self.probe.is_over(now_ns, self.history.newest_arrived_ns()) {
            let measured_bps = self.probe.finish(now_ns);
            if measured_bps > bitrate_bps {
                self.set(measured_bps);
                bitrate_bps = self.bitrate_bps.unwrap_or(bitrate_bps);
            }
        }
        self.pacer.is_draining = self.has_queue(now_ns, DRAIN_QUEUE_NS);
        self.probe.run(now_ns, bitrate_bps, !self.has_queue(now_ns, CALM_QUEUE_NS), self.lost_percent)
    }

    fn has_queue(&self, now_ns: i64, long_ns: i64) -> bool {
        self.delay.queue_ns() >= long_ns && now_ns - self.judged_at_ns < STALE_NS
    }

    /// The estimate, when it is due to be told: it fell, or rose by a thirty-second.
    pub(crate) fn take_change(&mut self, now_ns: i64) -> Option<u64> {
        let now_bps = self.bitrate_bps.filter(|_| now_ns - self.told_at_ns >= GAP_NS)?;
        let is_near = |told_bps| (told_bps - told_bps / 64..=told_bps + told_bps / 32).contains(&now_bps);
        if self.told_bps.is_some_and(is_near) {
            return None;
        }
        self.told_bps = Some(now_bps);
        self.told_at_ns = now_ns;
        Some(now_bps.unsigned_abs())
    }
}

//! Trying whether a line takes more: padding in a short cluster, faster than the estimate, and how fast it arrives.
//!
//! What is sent in the first tick of a cluster (phase 1) marks where the measurement begins, the rest (phase 2) is
//! measured. Media that is sent meanwhile belongs to the cluster.

use crate::api::{OVERHEAD_BYTES, TICK_NS};
use crate::congestion::history::SentPacket;
use crate::congestion::{NS_PER_S, rate_bps};

const TICK: i64 = TICK_NS as i64;
const CLUSTER_NS: i64 = 5 * TICK;
/// Of one packet; its count has one byte (RFC 3550 §5.1).
pub(crate) const PADDING_BYTES: usize = 255;
const MAX_PACKETS_PER_TICK: i64 = 64;
/// How many times the estimate is tried at once: a cluster must not fill the queue of a line that is narrow.
const MAX_GROWTH: i64 = 3;
/// A cluster of which nothing more is heard for so long has failed.
const RESULT_NS: i64 = 1_000_000_000;
/// What was sent so long before something that has arrived will not arrive any more.
const LATE_NS: i64 = 100_000_000;
/// So much of a cluster may be lost as the line lost before, and counts as carried.
const MAX_LOST_PERCENT: u64 = 40;
/// After a cluster that the line did not take.
const WAIT_NS: i64 = 1_500_000_000;

#[derive(Debug, Default)]
pub(crate) struct Probe {
    /// What the control plane has use for.
    pub(crate) wanted_bps: i64,
    /// Of packets that are sent now; 0: no cluster is being sent.
    phase: u8,
    /// A cluster is being sent, or awaited.
    is_running: bool,
    next_at_ns: i64,
    clusters: u64,
    begin_ns: i64,
    end_ns: i64,
    rate_bps: i64,
    lost_percent: i64,
    sent_bytes: i64,
    open: i64,
    marked_ns: Option<i64>,
    measured_ns: Option<i64>,
    measured_sent_ns: i64,
    measured_sent_bytes: i64,
    arrived_bytes: i64,
}

impl Probe {
    pub(crate) fn phase(&self) -> u8 {
        self.phase
    }

    pub(crate) fn is_running(&self) -> bool {
        self.is_running
    }

    pub(crate) fn clusters(&self) -> u64 {
        self.clusters
    }

    /// Padding packets to send now. `is_calm`: there is no queue on the way as far as is known; `lost_percent`: what the
    /// line loses all the same.
    pub(crate) fn run(&mut self, now_ns: i64, estimate_bps: i64, is_calm: bool, lost_percent: u64) -> usize {
        if !self.is_running {
            if !is_calm || self.wanted_bps <= estimate_bps || now_ns < self.next_at_ns {
                return 0;
            }
            self.begin(now_ns, estimate_bps);
            self.lost_percent = lost_percent.min(MAX_LOST_PERCENT) as i64;
        }
        if self.phase == 0 {
            return 0;
        }
        let elapsed_ns = now_ns - self.begin_ns;
        if elapsed_ns >= CLUSTER_NS {
            self.phase = 0;
            self.end_ns = now_ns;
            return 0;
        }
        if elapsed_ns > 0 {
            self.phase = 2;
        }
        let due = (self.rate_bps * (elapsed_ns + TICK)).div_euclid(8 * NS_PER_S) - self.sent_bytes;
        let size = PADDING_BYTES as i64 + i64::from(OVERHEAD_BYTES);
        (due + size - 1).div_euclid(size).clamp(0, MAX_PACKETS_PER_TICK) as usize
    }

    fn begin(&mut self, now_ns: i64, estimate_bps: i64) {
        *self = Self {
            wanted_bps: self.wanted_bps,
            next_at_ns: self.next_at_ns,
            clusters: self.clusters + 1,
            is_running: true,
            phase: 1,
            begin_ns: now_ns,
            rate_bps: (self.wanted_bps * 11).div_euclid(10).min(MAX_GROWTH * estimate_bps),
            ..Self::default()
        };
    }

    /// A packet leaves while a cluster is being sent.
    pub(crate) fn sent(&mut self, sent: SentPacket) {
        self.sent_bytes += i64::from(sent.size);
        self.open += 1;
        if sent.phase == 2 {
            self.measured_sent_bytes += i64::from(sent.size);
            self.measured_sent_ns = sent.sent_at_ns;
        }
    }

    /// A packet of the cluster has arrived.
    pub(crate) fn arrived(&mut self, sent: SentPacket, arrival_ns: i64) {
        self.open -= 1;
        let last_ns = if sent.phase == 1 {
            &mut self.marked_ns
        } else {
            self.arrived_bytes += i64::from(sent.size);
            &mut self.measured_ns
        };
        *last_ns = Some(last_ns.map_or(arrival_ns, |before_ns| before_ns.max(arrival_ns)));
    }

    /// Whether everything that will be heard of the cluster has been heard.
    pub(crate) fn is_over(&self, now_ns: i64, newest_arrived_ns: i64) -> bool {
        if !self.is_running || self.phase != 0 {
            return false;
        }
        self.open <= 0 || newest_arrived_ns >= self.end_ns + LATE_NS || now_ns >= self.end_ns + RESULT_NS
    }

    /// The bitrate that the line took, 0 when the cluster failed. The next one may be sent at once only after one that
    /// arrived as fast as it was sent.
    pub(crate) fn finish(&mut self, now_ns: i64) -> i64 {
        self.is_running = false;
        self.next_at_ns = now_ns + WAIT_NS;
        let (Some(marked_ns), Some(measured_ns)) = (self.marked_ns, self.measured_ns) else { return 0 };
        let all_bytes = (self.arrived_bytes * 100).div_euclid(100 - self.lost_percent);
        let carried_bytes = all_bytes.min(self.measured_sent_bytes);
        if carried_bytes * 10 < self.measured_sent_bytes * 6 {
            return 0;
        }
        let sent_ns = self.measured_sent_ns - self.begin_ns;
        let took_ns = (measured_ns - marked_ns).max(sent_ns).max(TICK);
        let measured_bps = rate_bps(carried_bytes, took_ns);
        let sent_bps = rate_bps(self.measured_sent_bytes, sent_ns.max(TICK));
        if measured_bps * 10 >= sent_bps * 9 {
            self.next_at_ns = now_ns;
            return measured_bps.min(self.rate_bps);
        }
        (measured_bps * 9).div_euclid(10)
    }

    /// No cluster before then.
    pub(crate) fn hold(&mut self, until_ns: i64) {
        self.next_at_ns = self.next_at_ns.max(until_ns);
    }
}

//! What a subscription sent lately, and whether it may be sent again (RFC 4585 §6.2.1, RFC 4588).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::api::OutboundPayload;
use crate::packet::{ExtensionPlan, MediaPacket};
use crate::pictures::Picture;

/// Shortest time between two resends of one packet.
pub(crate) const MIN_INTERVAL_NS: i64 = 20_000_000;
/// Resends of one packet.
pub(crate) const MAX_RESENDS: u8 = 10;
/// Resends get one fifth of the bitrate sent, and twice the share that the subscriber reports as lost where that is more:
/// what is sent again gets lost as well.
pub(crate) const SHARE_OF_BITRATE: i64 = 5;
/// Of 256, that counts as lost: nobody gets more than half.
pub(crate) const MAX_LOST: u8 = 64;
/// Where so much is lost, of 256, each resend goes twice if there is room: else one in ten pictures waits for another
/// round trip.
pub(crate) const TWICE_LOST: u8 = 26;
/// Packets are held for so long, and for `KEPT_RTTS` where that is longer: what was asked for then comes too late. A
/// camera of 1.5 Mbit/s fills 512 places in three seconds, and what is held is nearly all that a publisher costs.
pub(crate) const KEPT_NS: i64 = 1_000_000_000;
pub(crate) const KEPT_RTTS: i64 = 3;
/// The newest are held however old they are: of a screen on which nothing moves a picture goes out once a second, and
/// only the next one shows that the end of the last one was lost.
pub(crate) const KEPT_PACKETS: i64 = 32;
/// Places that a full buffer gets more of at once.
const GROWTH: usize = 32;
/// What resends may always have.
pub(crate) const MIN_BYTES_PER_S: i64 = 100_000 / 8;
/// A NACK has 16 bits: a larger buffer would hold what nobody can ask for.
const MAX_SIZE: u32 = 1 << 16;
const NS_PER_S: i128 = 1_000_000_000;

/// How a subscription sent for a while: shared by all packets that left in that way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) plan: Arc<ExtensionPlan>,
    /// What became of the payload type.
    pub(crate) outbound: OutboundPayload,
}

/// One forwarded packet: what it was made of, and with its number all that it takes to make the very same bytes again.
/// There is one for each packet of a second and each subscriber, so that its size counts.
#[derive(Clone, Debug)]
pub(crate) struct SentPacket {
    /// Shared with all subscriptions of the track.
    pub(crate) packet: Arc<MediaPacket>,
    pub(crate) manner: Arc<Manner>,
    pub(crate) sent_at_ns: i64,
    pub(crate) timestamp: u32,
    /// Its transport-cc number.
    pub(crate) twcc_seq: u16,
    /// Marker and payload type.
    pub(crate) second: u8,
    /// The numbers written into it; None: the payload left as it came.
    pub(crate) picture: Option<Picture>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Resends {
    count: u8,
    last_at_ns: i64,
}

/// The last `size` packets by ext_seq, without those that were sent too long before the newest and are not of the last
/// `KEPT_PACKETS`, and the limits on sending them again.
///
/// The share of the bitrate is a token bucket: filled by a share of what `bytes_sent` grows, or at 100 kbit/s when that is
/// more; it holds one second's worth.
#[derive(Debug)]
pub(crate) struct RetransmissionBuffer {
    /// 0: nothing is kept.
    size: usize,
    /// Of the first place in `packets`.
    first: i64,
    /// By ext_seq; None: a number that was left out. Neither begins nor ends with one.
    packets: VecDeque<Option<SentPacket>>,
    resends: HashMap<i64, Resends>,
    /// The keys of `resends`, oldest first.
    resent: VecDeque<i64>,
    budget: i64,
    limit: i64,
    bytes_seen: i64,
    refilled_at_ns: Option<i64>,
}

impl RetransmissionBuffer {
    pub(crate) fn new(size: u32) -> Self {
        Self {
            size: size.min(MAX_SIZE) as usize,
            first: 0,
            packets: VecDeque::new(),
            resends: HashMap::new(),
            resent: VecDeque::new(),
            budget: MIN_BYTES_PER_S,
            limit: MIN_BYTES_PER_S,
            bytes_seen: 0,
            refilled_at_ns: None,
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.size > 0
    }

    /// Keep a packet that leaves now. The caller has looked at `is_on`.
    pub(crate) fn keep(&mut self, ext_seq: i64, sent: SentPacket, rtt_ns: i64) {
        let oldest_ns = sent.sent_at_ns - KEPT_NS.max(KEPT_RTTS * rtt_ns);
        let size = self.size as i64;
        if self.packets.is_empty() || ext_seq - self.first >= self.packets.len() as i64 + size {
            self.packets.clear();
            self.first = ext_seq;
        }
        if self.first - ext_seq + self.packets.len() as i64 > size {
            return;
        }
        while ext_seq < self.first {
            self.packets.push_front(None);
            self.first -= 1;
        }
        // Before there is more than may be: the queue would take room for twice of it.
        while self.first <= ext_seq - size {
            self.packets.pop_front();
            self.first += 1;
        }
        let place = (ext_seq - self.first) as usize;
        if self.packets.capacity() <= place {
            // By itself it would double, and most of its places were empty.
            self.packets.reserve_exact(place + 1 - self.packets.len() + GROWTH);
        }
        while self.packets.len() <= place {
            self.packets.push_back(None);
        }
        if let Some(slot) = self.packets.get_mut(place) {
            *slot = Some(sent);
        }
        let recent = self.first + self.packets.len() as i64 - KEPT_PACKETS;
        while let Some(front) = self.packets.front() {
            if front.as_ref().is_some_and(|front| self.first >= recent || front.sent_at_ns >= oldest_ns) {
                break;
            }
            self.packets.pop_front();
            self.first += 1;
        }
    }

    /// What was sent has other numbers now.
    pub(crate) fn clear(&mut self) {
        self.packets.clear();
    }

    pub(crate) fn find(&self, ext_seq: i64) -> Option<&SentPacket> {
        self.packets.get(usize::try_from(ext_seq - self.first).ok()?)?.as_ref()
    }

    /// Before the resends that one NACK asks for. `bytes_per_s` is the bitrate sent lately, `lost` what is reported as
    /// lost of it, of 256.
    pub(crate) fn refill(&mut self, now_ns: i64, bytes_sent: i64, bytes_per_s: i64, lost: u8) {
        let elapsed_ns = self.refilled_at_ns.map_or(0, |at_ns| now_ns - at_ns);
        self.refilled_at_ns = Some(now_ns);
        let always = i128::from(MIN_BYTES_PER_S) * i128::from(elapsed_ns) / NS_PER_S;
        let earned = i64::try_from(always).unwrap_or(i64::MAX).max(share(bytes_sent - self.bytes_seen, lost));
        self.bytes_seen = bytes_sent;
        self.limit = MIN_BYTES_PER_S.max(share(bytes_per_s, lost));
        self.budget = self.budget.saturating_add(earned).min(self.limit);
    }

    /// Whether the limits allow the packet `ext_seq` with `size_bytes` to go out again now; if so it is counted.
    pub(crate) fn may_resend(&mut self, now_ns: i64, ext_seq: i64, size_bytes: usize, rtt_ns: i64) -> bool {
        let known = self.resends.get(&ext_seq).copied();
        let mut resends = known.unwrap_or_default();
        let interval_ns = rtt_ns.max(MIN_INTERVAL_NS);
        if known.is_some() && (resends.count >= MAX_RESENDS || now_ns - resends.last_at_ns < interval_ns) {
            return false;
        }
        let size_bytes = size_bytes as i64;
        if self.budget < size_bytes {
            return false;
        }
        self.budget -= size_bytes;
        resends.count += 1;
        resends.last_at_ns = now_ns;
        if self.resends.insert(ext_seq, resends).is_none() {
            self.resent.push_back(ext_seq);
        }
        while self.resends.len() > self.size {
            let Some(oldest) = self.resent.pop_front() else { break };
            self.resends.remove(&oldest);
        }
        true
    }

    /// Whether there is room for the same once more, which is never more than half; if so it is counted.
    pub(crate) fn may_repeat(&mut self, size_bytes: usize) -> bool {
        let size_bytes = size_bytes as i64;
        let has_room = self.budget >= size_bytes.max(self.limit / 2);
        if has_room {
            self.budget -= size_bytes;
        }
        has_room
    }
}

fn share(amount: i64, lost: u8) -> i64 {
    (amount / SHARE_OF_BITRATE).max(amount * 2 * i64::from(lost.min(MAX_LOST)) / 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn each_packet_ten_times_and_once_per_round_trip() {
        let mut buffer = RetransmissionBuffer::new(4);
        let sent = (0..100).filter(|i| buffer.may_resend(i * 10 * MS, 7, 1, 0)).collect::<Vec<_>>();
        assert_eq!(sent, (0..10).map(|i| 2 * i).collect::<Vec<_>>());
        assert!(buffer.may_resend(0, 8, 1, 500 * MS));
        assert!(!buffer.may_resend(499 * MS, 8, 1, 500 * MS));
        assert!(buffer.may_resend(500 * MS, 8, 1, 500 * MS));
    }

    #[test]
    fn what_was_resent_is_remembered_for_as_many_as_are_kept() {
        let mut buffer = RetransmissionBuffer::new(2);
        for ext_seq in [1, 2, 3] {
            assert!(buffer.may_resend(0, ext_seq, 1, 0));
        }
        assert_eq!((buffer.resends.len(), buffer.resent.len()), (2, 2));
        assert!(!buffer.may_resend(0, 3, 1, 0));
        assert!(buffer.may_resend(0, 1, 1, 0));
    }

    #[test]
    fn resends_have_a_share_of_the_bitrate() {
        let mut buffer = RetransmissionBuffer::new(512);
        let mut resend = |now_ns: i64, bytes_sent: i64, bytes_per_s: i64| {
            buffer.refill(now_ns, bytes_sent, bytes_per_s, 0);
            (0..1000).filter(|i| buffer.may_resend(now_ns, now_ns + i, 1_000, 0)).count()
        };
        assert_eq!(resend(0, 0, 0), 12);
        assert_eq!(resend(1_000 * MS, 0, 0), 12);
        assert_eq!(resend(1_100 * MS, 1_000_000, 1_000_000), 200);
        assert_eq!(resend(1_200 * MS, 10_000_000, 1_000_000), 200);
    }
}

//! Congestion control feedback by RTP numbers (RFC 8888 §3.1), which the libraries call CCFB.
//!
//! Time on this wire: the report's in 1/65536 s, that of each packet as an offset before it in 1/1024 s. Any clock will
//! do: only differences matter.

/// Packets that one block may report on: a quarter of the numbers (RFC 8888 §3.1).
pub const MAX_REPORTS: u16 = 16_384;
/// The report's time is the middle of an NTP time: 16 bits of seconds.
pub const REPORT_WRAP_NS: i64 = 65_536 * 1_000_000_000;
const TICKS_PER_OFFSET: i64 = 64;
/// From here on an offset says only that the packet has arrived: longer ago than can be told, or nobody knows when.
const NO_TIME: u16 = 0x1FFE;

/// A packet that arrived: its stream, its number there, and when. The time counts from the origin of the receiver's NTP
/// seconds modulo 65536 and may be negative; `None` when it is not known.
pub type Arrived = (u32, u16, Option<i64>);

/// Which packets of which streams arrived, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CongestionFeedback {
    /// Who sent it.
    pub sender_ssrc: u32,
    /// As the report has them: by stream, and there by number. What is not listed was lost, or is of no stream that the
    /// report is about.
    pub received: Vec<Arrived>,
}

/// `body` follows the RTCP header, padding stripped. `None` when a count lies. Work is bounded by the bytes that are
/// there.
#[must_use]
pub fn parse_congestion_feedback(body: &[u8]) -> Option<CongestionFeedback> {
    let (sender_ssrc, rest) = body.split_first_chunk::<4>()?;
    let (mut rest, report_time) = rest.split_last_chunk::<4>()?;
    let report_ticks = i64::from(u32::from_be_bytes(*report_time));
    let mut received = Vec::new();
    while !rest.is_empty() {
        let (&[a, b, c, d, s0, s1, n0, n1], after) = rest.split_first_chunk::<8>()?;
        let (ssrc, begin_seq) = (u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([s0, s1]));
        let count = u16::from_be_bytes([n0, n1]);
        let (metrics, after) = after.split_at_checked((2 * usize::from(count)).next_multiple_of(4))?;
        if count > MAX_REPORTS {
            return None;
        }
        rest = after;
        for (index, metric) in (0..count).zip(metrics.chunks_exact(2)) {
            let metric = u16::from_be_bytes(*metric.first_chunk()?);
            // The first bit says that it has arrived, two are of ECN, which nothing here sets.
            if metric & 0x8000 != 0 {
                received.push((ssrc, begin_seq.wrapping_add(index), arrival_ns(report_ticks, metric & 0x1FFF)));
            }
        }
    }
    Some(CongestionFeedback { sender_ssrc: u32::from_be_bytes(*sender_ssrc), received })
}

fn arrival_ns(report_ticks: i64, offset: u16) -> Option<i64> {
    // 1/65536 s are 1953125/128 ns.
    (offset < NO_TIME).then(|| ((report_ticks - i64::from(offset) * TICKS_PER_OFFSET) * 1_953_125) >> 7)
}

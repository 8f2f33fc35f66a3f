//! How much a peer's line takes, from its feedback: what was sent (`history`, and `rtp_numbers` by what other name), the delay that grows (`delay`),
//! what that means (`estimate`), trying whether it is more (`probe`), and not sending faster (`pacer`). And of a publisher's
//! line, seen from where its packets arrive (`brake`). Whole numbers only, so that both engines agree.

pub(crate) mod brake;
mod delay;
pub(crate) mod estimate;
mod history;
mod pacer;
pub(crate) mod probe;
pub(crate) mod rtp_numbers;

pub(crate) const NS_PER_S: i64 = 1_000_000_000;

/// `bytes` in `duration_ns` (above 0), as bits per second. Neither sizes nor durations come near an overflow: at most
/// 2,048 packets, at least a tick.
pub(crate) fn rate_bps(bytes: i64, duration_ns: i64) -> i64 {
    (i128::from(bytes) * 8 * i128::from(NS_PER_S)).div_euclid(i128::from(duration_ns.max(1))) as i64
}

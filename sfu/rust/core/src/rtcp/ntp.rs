//! NTP times (RFC 3550 §4): seconds since 1900 in 32.32 fixed point, and the middle 32 bits of it.

const NS_PER_S: i128 = 1_000_000_000;

// --- NTP time -----------------------------------------------------------------------------------------------

/// A 64-bit NTP time `elapsed_ns` later.
#[must_use]
pub fn ntp_add_ns(ntp: u64, elapsed_ns: i64) -> u64 {
    ntp.wrapping_add((i128::from(elapsed_ns) << 32).div_euclid(NS_PER_S) as u64)
}

/// `a - b` in ns, for 64-bit NTP times within 68 years of each other.
#[must_use]
pub fn ntp_diff_ns(a: u64, b: u64) -> i64 {
    let ticks = a.wrapping_sub(b).cast_signed();
    ((i128::from(ticks) * NS_PER_S) >> 32) as i64
}

/// The middle 32 bits of a 64-bit NTP time, as LSR has them.
#[must_use]
pub fn ntp_short(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

/// A duration (not negative) in 1/65536 s, as DLSR has it; at most 2^32 - 1.
#[must_use]
pub fn ns_to_short(duration_ns: i64) -> u32 {
    let short = (i128::from(duration_ns) << 16).div_euclid(NS_PER_S);
    u32::try_from(short.max(0)).unwrap_or(u32::MAX)
}

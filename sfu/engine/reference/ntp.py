"""NTP time (RFC 3550 §4) and the parts of it that RTCP carries."""

from __future__ import annotations


def ntp_add_ns(ntp: int, elapsed_ns: int) -> int:
    """A 64-bit NTP time `elapsed_ns` later."""
    return (ntp + (elapsed_ns << 32) // 1_000_000_000) & 0xFFFF_FFFF_FFFF_FFFF


def ntp_diff_ns(a: int, b: int) -> int:
    """`a - b` in ns, for 64-bit NTP times within 68 years of each other."""
    ticks = ((a - b + (1 << 63)) & 0xFFFF_FFFF_FFFF_FFFF) - (1 << 63)
    return (ticks * 1_000_000_000) >> 32


def ntp_short(ntp: int) -> int:
    """The middle 32 bits of a 64-bit NTP time, as LSR has them."""
    return (ntp >> 16) & 0xFFFF_FFFF


def ns_to_short(duration_ns: int) -> int:
    """A duration in 1/65536 s, as DLSR has it; at most 2^32 - 1."""
    return min((duration_ns << 16) // 1_000_000_000, 0xFFFF_FFFF)

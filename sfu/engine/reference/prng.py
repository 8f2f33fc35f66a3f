"""The engine's only source of randomness: SplitMix64, small enough to be the same in every language.

Starting sequence numbers and timestamps need to be unpredictable off-path (RFC 3550 §5.1), which the seed gives;
nothing secret is derived from it.
"""

from __future__ import annotations

_MASK64 = (1 << 64) - 1


class SplitMix64:
    """Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (2014)."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK64

    def next_u64(self) -> int:
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK64
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK64
        return z ^ (z >> 31)

    def next_bits(self, bits: int) -> int:
        """The top `bits` bits of the next number."""
        return self.next_u64() >> (64 - bits)

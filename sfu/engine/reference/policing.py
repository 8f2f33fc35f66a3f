"""Token buckets that police what a publisher sends."""

from __future__ import annotations

_NS_PER_S = 1_000_000_000


class TokenBucket:
    """`rate_per_s` tokens a second and a burst of one second's worth; a rate of 0 is no limit.

    Counts in token-nanoseconds, so that integers suffice and every engine agrees to the last token.
    """

    __slots__ = ("_at_ns", "_level", "_rate")

    def __init__(self, rate_per_s: int) -> None:
        self._rate = rate_per_s
        self._level = rate_per_s * _NS_PER_S
        self._at_ns: int | None = None

    def allows(self, now_ns: int, tokens: int) -> bool:
        """Whether `tokens` are there now. Takes none: a packet pays only after it has proved where it comes from."""
        rate = self._rate
        if rate == 0:
            return True
        if self._at_ns is not None and now_ns > self._at_ns:
            self._level = min(self._level + (now_ns - self._at_ns) * rate, rate * _NS_PER_S)
        self._at_ns = now_ns
        return self._level >= tokens * _NS_PER_S

    def take(self, tokens: int) -> None:
        """Spend what `allows` granted."""
        if self._rate:
            self._level -= tokens * _NS_PER_S

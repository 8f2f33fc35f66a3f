"""Token buckets: what one may ask for at once, and on average."""

from __future__ import annotations

import math


class TokenBucket:
    """Allows `rate_per_s` on average and `burst` at once. Times are monotonic seconds."""

    __slots__ = ("_burst", "_rate_per_s", "_tokens", "_updated_at_s")

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._tokens = burst
        self._updated_at_s: float | None = None

    def take(self, now_s: float, amount: float = 1.0) -> bool:
        self._tokens = self._level(now_s)
        self._updated_at_s = now_s
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True

    def delay_s(self, now_s: float, amount: float = 1.0) -> float:
        """How long until `take` would give `amount`; 0 when it would now."""
        return max(0.0, (amount - self._level(now_s)) / self._rate_per_s)

    def forgive(self, now_s: float, waited_s: float) -> None:
        """Who was made to wait for so long may catch up on that: it comes on top of `burst`."""
        self._tokens = self._level(now_s) + waited_s * self._rate_per_s
        self._updated_at_s = now_s

    def wait_s(self, amount: float = 1.0) -> int:
        """Whole seconds from the last `take` until `amount` will be there, at least one."""
        return max(1, math.ceil((amount - self._tokens) / self._rate_per_s))

    def _level(self, now_s: float) -> float:
        if self._updated_at_s is None:
            return self._tokens
        # What is there on top of the burst stays, and does not grow.
        return max(self._tokens, min(self._burst, self._tokens + (now_s - self._updated_at_s) * self._rate_per_s))

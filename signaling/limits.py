"""Counting what clients may do: a token bucket per address."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from sfu.limits import TokenBucket

Clock = Callable[[], float]
"""Monotonic seconds."""


class AddressLimiter:
    """One bucket per client address; the one that was silent for longest is forgotten beyond `max_addresses`."""

    def __init__(
        self, per_minute: float, max_addresses: int, clock: Clock = time.monotonic, *, burst: float = 0.0
    ) -> None:
        """`burst` is what may come at once; 0 means the first minute's worth."""
        self._per_minute = per_minute
        self._burst = max(1.0, burst or per_minute)
        self._max_addresses = max_addresses
        self._clock = clock
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, address: str) -> int:
        """0 when the request may go on, else the seconds to wait."""
        key = limit_key(address)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._per_minute / 60, self._burst)
            if len(self._buckets) > self._max_addresses:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return 0 if bucket.take(self._clock()) else bucket.wait_s()


def limit_key(address: str) -> str:
    """The address, or the /64 of an IPv6 address: one subscriber has all of it."""
    if ":" not in address:
        return address
    try:
        ip = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False).network_address)

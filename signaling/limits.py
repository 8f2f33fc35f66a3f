"""Counting what clients may do: token buckets, one alone or one per address."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

Clock = Callable[[], float]


class TokenBucket:
    """`rate` units per second, at most `capacity` at once. `clock` is monotonic, in seconds."""

    __slots__ = ("_capacity", "_clock", "_level", "_rate", "_updated_at")

    def __init__(self, rate: float, capacity: float, clock: Clock = time.monotonic) -> None:
        self._rate = rate
        self._capacity = capacity
        self._clock = clock
        self._level = capacity
        self._updated_at = clock()

    def take(self, units: float = 1.0) -> bool:
        """Take `units` if they are there."""
        now = self._clock()
        self._level = min(self._capacity, self._level + (now - self._updated_at) * self._rate)
        self._updated_at = now
        if units > self._level:
            return False
        self._level -= units
        return True

    def wait_s(self, units: float = 1.0) -> int:
        """Whole seconds until `units` will be there, at least one."""
        return max(1, math.ceil((units - self._level) / self._rate))


class AddressLimiter:
    """One bucket per client address; the one that was silent for longest is forgotten beyond `max_addresses`."""

    def __init__(self, per_minute: float, max_addresses: int, clock: Clock = time.monotonic) -> None:
        self._per_minute = per_minute
        self._max_addresses = max_addresses
        self._clock = clock
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, address: str) -> int:
        """0 when the request may go on, else the seconds to wait."""
        key = limit_key(address)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._per_minute / 60, max(1.0, self._per_minute), self._clock)
            if len(self._buckets) > self._max_addresses:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return 0 if bucket.take() else bucket.wait_s()


def limit_key(address: str) -> str:
    """The address, or the /64 of an IPv6 address: one subscriber has all of it."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False).network_address)
    return str(ip)

"""A bus whose hints say that they come from the cluster: whoever can write to the NATS server is not heard for that.

Before each hint stand when it was sent (8 bytes, Unix time in milliseconds, big-endian) and HMAC-SHA-256 (RFC 2104) of
topic, time and hint, under a key derived from the cluster's secret (HKDF, RFC 5869). A hint from more than `MAX_AGE_S`
ago, by the receiver's clock, is one that somebody has kept.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sfu.bus.api import Bus, Entry, Handler, Subscription

_log = logging.getLogger("ting.bus")
MAX_AGE_S = 60.0
"""Nodes whose clocks differ by more than this do not hear each other's hints; the doctor looks at clocks."""
_TIME_BYTES = 8
_MAC_BYTES = 32


class SignedBus:
    """`clock` gives Unix time in seconds."""

    def __init__(self, bus: Bus, secret: str, *, clock: Callable[[], float] = time.time) -> None:
        self._bus = bus
        self._clock = clock
        derive = HKDF(hashes.SHA256(), length=_MAC_BYTES, salt=None, info=b"ting cluster hints 1")
        self._key = derive.derive(secret.encode())

    @property
    def available(self) -> bool:
        return self._bus.available

    @property
    def problem(self) -> str:
        return self._bus.problem

    def on_available(self, callback: Callable[[bool], None]) -> Subscription:
        return self._bus.on_available(callback)

    async def open(self) -> None:
        await self._bus.open()

    async def close(self) -> None:
        await self._bus.close()

    async def get(self, key: str) -> Entry | None:
        return await self._bus.get(key)

    async def create(self, key: str, value: bytes) -> int:
        return await self._bus.create(key, value)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        return await self._bus.update(key, value, revision)

    async def delete(self, key: str, revision: int) -> None:
        await self._bus.delete(key, revision)

    def watch(self, prefix: str, handler: Handler, caught_up: Callable[[], None] | None = None) -> Subscription:
        return self._bus.watch(prefix, handler, caught_up)

    def emit(self, topic: str, payload: bytes) -> bool:
        sent_at = round(self._clock() * 1000).to_bytes(_TIME_BYTES)
        return self._bus.emit(topic, sent_at + self._mac(topic, sent_at, payload) + payload)

    def listen(self, topic: str, handler: Callable[[bytes], None]) -> Subscription:
        def hear(signed: bytes) -> None:
            sent_at, mac = signed[:_TIME_BYTES], signed[_TIME_BYTES : _TIME_BYTES + _MAC_BYTES]
            payload = signed[_TIME_BYTES + _MAC_BYTES :]
            if not hmac.compare_digest(mac, self._mac(topic, sent_at, payload)):
                _log.warning("a hint on %s is not from a node of this cluster", topic)
            elif abs(self._clock() - int.from_bytes(sent_at) / 1000) > MAX_AGE_S:
                _log.warning("a hint on %s is too old, or the clocks of the nodes differ", topic)
            else:
                handler(payload)

        return self._bus.listen(topic, hear)

    def _mac(self, topic: str, sent_at: bytes, payload: bytes) -> bytes:
        name = topic.encode()
        return hmac.digest(self._key, len(name).to_bytes(2) + name + sent_at + payload, hashlib.sha256)

"""The last keyframe of a stream and what followed it, for subscriptions that begin in between."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from sfu.engine.api import KEYFRAME_CACHE_NS, KEYFRAME_CACHE_PACKETS, REPLAY_SPEED
from sfu.engine.reference.packet import MediaPacket


class CachedPacket(NamedTuple):
    """One packet as it arrived. `packet` None: a number that was withheld from everyone."""

    arrived_at_ns: int
    ext_seq: int
    packet: MediaPacket | None
    is_newest: bool
    """No packet with a higher number had arrived before it."""


class KeyframeCache:
    """In the order of arrival, from a keyframe on; empty while it is void."""

    __slots__ = ("_bytes", "_is_open", "entries", "limit_bytes")

    def __init__(self) -> None:
        self.limit_bytes = 0
        """Of payloads; 0: nothing is kept."""
        self.clear()

    def clear(self) -> None:
        """Void until the next `begin`."""
        self.entries: list[CachedPacket] = []
        self._bytes = 0
        self._is_open = False

    def begin(self) -> None:
        """The next packet is the first of a keyframe."""
        self.clear()
        self._is_open = self.limit_bytes > 0

    def set_limit(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        if self._bytes > limit_bytes or not limit_bytes:
            self.clear()

    def add(self, entry: CachedPacket) -> None:
        """Keep what has just arrived; nothing happens while the cache is void."""
        entries = self.entries
        if not self._is_open or (entries and entry.ext_seq < entries[0].ext_seq):
            return
        entries.append(entry)
        self._bytes += len(entry.packet.payload) if entry.packet is not None else 0
        if self._bytes > self.limit_bytes or len(entries) > KEYFRAME_CACHE_PACKETS or self.span_ns > KEYFRAME_CACHE_NS:
            self.clear()

    @property
    def first(self) -> MediaPacket | None:
        """The first packet of the keyframe; None while the cache is void."""
        return self.entries[0].packet if self.entries else None

    @property
    def span_ns(self) -> int:
        """Time from the first packet to the last."""
        return self.entries[-1].arrived_at_ns - self.entries[0].arrived_at_ns if self.entries else 0


class Replay:
    """What one subscription still has to get before it is live; what arrives meanwhile is added at the end."""

    __slots__ = ("_first_at_ns", "_started_at_ns", "_timestamp", "entries")

    def __init__(self, now_ns: int, first: MediaPacket, entries: list[CachedPacket]) -> None:
        self.entries = deque(entries)
        self._started_at_ns = now_ns
        self._first_at_ns = entries[0].arrived_at_ns
        self._timestamp = first.timestamp

    def next_due(self, now_ns: int) -> CachedPacket | None:
        """Take the next one that may leave now: of the first picture any, later ones in quick motion."""
        entries = self.entries
        if not entries:
            return None
        entry = entries[0]
        until_ns = self._first_at_ns + REPLAY_SPEED * (now_ns - self._started_at_ns)
        is_first_picture = entry.packet is not None and entry.packet.timestamp == self._timestamp
        return entries.popleft() if is_first_picture or entry.arrived_at_ns <= until_ns else None

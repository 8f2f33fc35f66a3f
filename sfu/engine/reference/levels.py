"""How loud an audio track was (RFC 6464 levels in, one figure per interval out)."""

from __future__ import annotations

from math import log10

ACTIVE_LEVEL = 45
"""Packets at or below this level (-45 dBov or louder) count as speech."""
SILENCE = 127
_DEFAULT_PACKET_MS = 20
_MAX_PACKET_MS = 120

_AMPLITUDE = tuple(10 ** (-level / 20) for level in range(128))


class LevelMeter:
    """Collects the levels of one track between two calls of `take`.

    The mean is one of amplitudes, not of decibels, so loud packets weigh more. A packet lasts as long as its
    timestamp is ahead of the last one, 20 ms when that says nothing (lost packets, DTX).
    """

    __slots__ = ("_active_ms", "_amplitude_ms", "_last_timestamp", "heard")

    def __init__(self) -> None:
        self.heard = False
        self._active_ms = 0
        self._amplitude_ms = 0.0
        self._last_timestamp: int | None = None

    def add(self, level: int, timestamp: int, clock_rate: int) -> None:
        self.heard = True
        last = self._last_timestamp
        self._last_timestamp = timestamp
        if level > ACTIVE_LEVEL:
            return
        duration_ms = _DEFAULT_PACKET_MS
        if last is not None:
            elapsed_ms = ((timestamp - last) & 0xFFFFFFFF) * 1000 // clock_rate
            if 0 < elapsed_ms <= _MAX_PACKET_MS:
                duration_ms = elapsed_ms
        self._active_ms += duration_ms
        self._amplitude_ms += _AMPLITUDE[level] * duration_ms

    def take(self) -> tuple[int, int]:
        """(level in -dBov, active milliseconds) since the last call, and start again."""
        active_ms, amplitude_ms = self._active_ms, self._amplitude_ms
        self.heard = False
        self._active_ms = 0
        self._amplitude_ms = 0.0
        if active_ms == 0:
            return SILENCE, 0
        level = round(-20 * log10(amplitude_ms / active_ms))
        return max(0, min(SILENCE, level)), active_ms

"""What a client may say, and whether it is being listened to."""

from __future__ import annotations

import time

from sfu.limits import TokenBucket
from signaling.livekit.settings import SignalSettings
from signaling.livekit.wire import Wire


class Incoming:
    """Of one signal connection."""

    def __init__(self, wire: Wire, settings: SignalSettings) -> None:
        self._wire = wire
        self._messages = TokenBucket(settings.max_messages_per_s, 2 * settings.max_messages_per_s)
        self._bytes = TokenBucket(settings.max_message_bytes_per_s, 2 * settings.max_message_bytes_per_s)
        self._handled = 0

    def allows(self, size: int) -> bool:
        """Whether one more message, of this size, is within the limits."""
        now_s = time.monotonic()
        return self._messages.take(now_s) and self._bytes.take(now_s, size)

    def handled(self) -> None:
        """One of those that the wire let through has been dealt with."""
        self._handled += 1

    @property
    def is_done(self) -> bool:
        """All that came so far has been dealt with."""
        return self._handled == self._wire.messages

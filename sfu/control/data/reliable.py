"""Reliable data messages to one participant: what waits for its data channel, and what it may have missed.

SCTP repeats what a network loses, but not what a dead association or a channel that is not open yet takes with it.
So each message stays here for a while. When a channel opens, what waits goes out first, then what the client does not
have of the rest. Clients know a message by its sender and sequence number and drop what comes twice.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sfu.api import LeaveReason
from sfu.control.settings import DataSettings
from sfu.engine.api import NOT_READY, NOT_TAKEN
from sfu.ids import ParticipantId

MAX_EVICTED_SENDERS = 1024


@dataclass(slots=True)
class _Message:
    sender: ParticipantId
    sequence: int
    """0: its sender does not count."""
    payload: bytes
    sent_at_s: float | None = None
    """None: waits for the channel."""


class ReliableOutbox:
    """`send` queues at the channel and tells whether it could; `is_open` whether there is one; `clock` monotonic s.

    Methods return None, or why the participant must go.
    """

    def __init__(
        self,
        config: DataSettings,
        send: Callable[[bytes], bool],
        is_open: Callable[[], bool],
        clock: Callable[[], float],
        counters: Counter[str],
    ) -> None:
        self._config = config
        self._send = send
        self._is_open = is_open
        self._clock = clock
        self._counters = counters
        self._messages: deque[_Message] = deque()
        self._bytes = 0
        self._was_open = False
        self._replaced = False
        """The channel is another one than before, and the client has not said yet what it has."""
        self._received: Mapping[ParticipantId, int] | None = None
        self._evicted: dict[ParticipantId, tuple[int, float]] = {}
        """Highest sequence number, and when it was sent, of messages that the limits pushed out."""

    def push(self, sender: ParticipantId, sequence: int, payload: bytes) -> LeaveReason | None:
        if not self._is_open():
            outcome = NOT_READY
        elif self._send(payload):
            outcome = 0
        else:
            outcome = NOT_TAKEN if self._is_open() else NOT_READY
        return self.note(sender, sequence, payload, outcome)

    def note(self, sender: ParticipantId, sequence: int, payload: bytes, outcome: int) -> LeaveReason | None:
        """What `push` does beside sending, of a message that was sent over the channel (`outcome` 0 or more), that was
        not taken (NOT_TAKEN), or waits here for a channel (NOT_READY)."""
        if outcome == NOT_TAKEN:
            # A reader this slow would miss messages without knowing: let it join again instead.
            return LeaveReason.LIMIT_EXCEEDED
        self._messages.append(_Message(sender, sequence, payload, self._clock() if outcome >= 0 else None))
        self._bytes += len(payload)
        return self._prune()

    def handle_open(self) -> LeaveReason | None:
        """A channel is open: the first one, or one in place of another."""
        received = self._received or {}
        for message in self._messages:
            if (message.sent_at_s is None or self._may_lack(message, received)) and not self._hand_over(message):
                return LeaveReason.LIMIT_EXCEEDED
        self._replaced = self._was_open
        self._was_open = True
        if self._replaced and self._received is not None:
            return self._check_evicted(self._received)
        return None

    def replay(self, received: Mapping[ParticipantId, int]) -> LeaveReason | None:
        """The client is back and has messages up to these sequence numbers, by sender."""
        self._received = received
        if not self._is_open():
            return None
        if self._replaced:
            reason = self._check_evicted(received)
            if reason is not None:
                return reason
        for message in self._messages:
            if self._may_lack(message, received) and not self._hand_over(message):
                return LeaveReason.LIMIT_EXCEEDED
        return None

    def handle_resumed(self) -> None:
        """What the client said at an earlier return does not count any more."""
        self._received = None

    def _hand_over(self, message: _Message) -> bool:
        if not self._send(message.payload):
            return False
        message.sent_at_s = self._clock()
        return True

    def _may_lack(self, message: _Message, received: Mapping[ParticipantId, int]) -> bool:
        """Clients forget a sender after a while, so an old message of one that they do not name has arrived."""
        if message.sent_at_s is None or message.sequence == 0:
            return False
        known = received.get(message.sender)
        return self._is_recent(message.sent_at_s) if known is None else message.sequence > known

    def _is_recent(self, sent_at_s: float) -> bool:
        return self._clock() - sent_at_s < self._config.data_replay_s

    def _check_evicted(self, received: Mapping[ParticipantId, int]) -> LeaveReason | None:
        """What the lost channel took with it must all be here still; else the client has to begin anew."""
        self._replaced = False
        for sender, (sequence, sent_at_s) in self._evicted.items():
            if self._is_recent(sent_at_s) and sequence > received.get(sender, 0):
                self._counters["data_replay_overflow"] += 1
                return LeaveReason.STATE_MISMATCH
        return None

    def _prune(self) -> LeaveReason | None:
        messages, config = self._messages, self._config
        while messages:
            oldest = messages[0]
            full = self._bytes > config.max_data_replay_bytes or len(messages) > config.max_data_replay_messages
            recent = oldest.sent_at_s is None or self._is_recent(oldest.sent_at_s)
            if recent and not full:
                return None
            messages.popleft()
            self._bytes -= len(oldest.payload)
            if oldest.sent_at_s is None:
                # Before its first channel a participant that misses the oldest is as one that came a little later.
                self._counters["data_dropped_reliable"] += 1
                if self._was_open:
                    return LeaveReason.STATE_MISMATCH
            elif recent and oldest.sequence:
                self._evicted.pop(oldest.sender, None)
                self._evicted[oldest.sender] = (oldest.sequence, oldest.sent_at_s)
                if len(self._evicted) > MAX_EVICTED_SENDERS:
                    del self._evicted[next(iter(self._evicted))]
        return None

"""The data messages of one participant: those that its client sends, and those that it is to get."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from sfu.api import DataKind, DataReceived, LeaveReason
from sfu.control.context import ControlContext
from sfu.control.data.brake import Brake, Receiver
from sfu.control.data.reliable import ReliableOutbox
from sfu.control.member import Member
from sfu.engine.api import DataLink
from sfu.errors import RequestError
from sfu.ids import ParticipantId
from sfu.limits import TokenBucket
from sfu.transport.channels import send_to_all

HERE = ""
"""Receivers on this node, where others have a name."""
SERVER = ParticipantId("")
"""Who sends data that is no participant's."""


class DataChannel(Protocol):
    """The way to one client."""

    @property
    def data_open(self) -> bool: ...

    def send_data(self, kind: DataKind, payload: bytes) -> bool:
        """False when it could not be taken."""
        ...

    def unsent_bytes(self) -> int:
        """Of reliable data."""
        ...

    @property
    def data_link(self) -> DataLink | None:
        """What a message to many may go over together with others', where there is such."""
        ...


def deliver_to_all(
    receivers: Sequence[Messages], kind: DataKind, payload: bytes, sender: ParticipantId, sequence: int
) -> Sequence[Receiver]:
    """As `Messages.deliver`, in one step for all whose channels are the engine's; returns those who are behind with
    reliable data now."""
    is_reliable = kind is DataKind.RELIABLE
    behind = []
    links = [receiver.link for receiver in receivers if receiver.link is not None]
    together: Sequence[Messages] = receivers
    if len(links) < len(receivers):
        together = [receiver for receiver in receivers if receiver.link is not None]
        for receiver in receivers:
            if receiver.link is None:
                receiver.deliver(kind, payload, sender, sequence)
                if is_reliable and receiver.load.is_behind(receiver.load.unsent_bytes()):
                    behind.append(receiver.load)
    outcomes = send_to_all(links, kind, payload) if links else ()
    if not is_reliable and min(outcomes, default=0) >= 0:
        return behind
    for receiver, outcome in zip(together, outcomes, strict=True):
        receiver.note_sent(kind, payload, sender, sequence, outcome)
        if is_reliable and receiver.load.is_behind(max(0, outcome)):
            behind.append(receiver.load)
    return behind


class Messages:
    def __init__(
        self,
        member: Member,
        context: ControlContext,
        channel: DataChannel,
        on_track_packet: Callable[[bytes], None],
        set_reading: Callable[[bool], None],
    ) -> None:
        """`channel` leads to the client; `on_track_packet` takes what it sends on its data tracks; `set_reading` lets
        its reliable data come or wait."""
        self._member = member
        self._context = context
        self._channel = channel
        self._on_track_packet = on_track_packet
        rate = context.config.max_data_messages_per_s
        self._bucket = TokenBucket(rate, rate)
        self.last_sequence = 0
        """Of the newest reliable message that was taken from the client."""
        self.load = Receiver(channel, context.config)
        self.link: DataLink | None = None
        """The channel's `data_link` when it last opened; one that was closed since takes nothing."""
        self._set_reading = set_reading
        self._held_by: set[str] = set()
        self._held_since_s = 0.0
        self._brake = Brake(context.loop, lambda is_reading: self.set_reading(HERE, is_reading))
        self._outbox = ReliableOutbox(
            context.config,
            send=self._send_reliable,
            is_open=lambda: channel.data_open,
            clock=context.loop.time,
            counters=context.counters,
        )

    def handle_received(self, kind: DataKind, payload: bytes) -> None:
        """From the client, on its own data channels."""
        if kind is DataKind.TRACK:
            self._on_track_packet(payload)
            return
        if not self._bucket.take(self._context.loop.time()):
            self._context.counters["data_rate_limited"] += 1
            if kind is DataKind.RELIABLE:
                self._member.leave(LeaveReason.LIMIT_EXCEEDED)
            return
        self._member.emit(DataReceived(kind, payload))

    def send(self, kind: DataKind, payload: bytes, sequence: int, receivers: Sequence[Messages]) -> bool:
        """False when it was sent before. Raises not_allowed."""
        if not self._member.info.permissions.can_publish_data:
            raise RequestError("not allowed to send data", code="not_allowed")
        if kind is DataKind.RELIABLE and sequence:
            if sequence <= self.last_sequence:
                # After a resume a client repeats what it cannot know to have arrived.
                self._context.counters["data_duplicates"] += 1
                return False
            self.last_sequence = sequence
        behind = deliver_to_all(receivers, kind, payload, self._member.info.participant_id, sequence)
        self._brake.wait_for(behind)
        return True

    def deliver(self, kind: DataKind, payload: bytes, sender: ParticipantId = SERVER, sequence: int = 0) -> None:
        """Reliable data with a sequence number of its sender comes whole through a resume."""
        if kind is DataKind.RELIABLE:
            self._leave_for(self._outbox.push(sender, sequence, payload))
        elif not self._channel.send_data(kind, payload):
            self._context.counters[f"data_dropped_{kind}"] += 1

    def note_sent(self, kind: DataKind, payload: bytes, sender: ParticipantId, sequence: int, outcome: int) -> None:
        """What `deliver` does beside sending: it was offered to `link`, with this outcome."""
        if kind is DataKind.RELIABLE:
            if outcome >= 0:
                self.load.add(len(payload))
            self._leave_for(self._outbox.note(sender, sequence, payload, outcome))
        elif outcome < 0:
            self._context.counters[f"data_dropped_{kind}"] += 1

    def _send_reliable(self, payload: bytes) -> bool:
        is_taken = self._channel.send_data(DataKind.RELIABLE, payload)
        if is_taken:
            self.load.add(len(payload))
        return is_taken

    def set_reading(self, node: str, is_reading: bool) -> None:
        """The client's reliable data comes as long as no node has receivers that are behind."""
        was_held = bool(self._held_by)
        if is_reading:
            self._held_by.discard(node)
        else:
            self._held_by.add(node)
        if bool(self._held_by) != was_held:
            self._hold_or_read(was_held)

    def _hold_or_read(self, is_reading: bool) -> None:
        now_s = self._context.loop.time()
        if is_reading:
            # What it sent meanwhile comes at once, and was not sent at once.
            self._bucket.forgive(now_s, now_s - self._held_since_s)
        else:
            self._held_since_s = now_s
        self._set_reading(is_reading)

    def release(self) -> None:
        """Nobody is waited for any more: the client is gone, or goes on in another room."""
        self._brake.release()
        for node in list(self._held_by):
            self.set_reading(node, True)

    def handle_open(self) -> None:
        """The client's reliable channel takes messages now."""
        self.link = self._channel.data_link
        self._leave_for(self._outbox.handle_open())

    def handle_resumed(self) -> None:
        self._outbox.handle_resumed()

    def replay(self, received: Mapping[ParticipantId, int]) -> None:
        """As `sfu.api.ParticipantSession.replay_data`."""
        self._leave_for(self._outbox.replay(received))

    def _leave_for(self, reason: LeaveReason | None) -> None:
        if reason is not None:
            self._context.counters["data_dropped_receivers"] += 1
            self._member.leave(reason)

"""What the node lends to its rooms."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sfu.api import (
    ConnectionQuality,
    DataKind,
    LeaveReason,
    Moment,
    NodeEvent,
    ParticipantInfo,
    RoomInfo,
    SubscriptionRights,
    SwitchCause,
)
from sfu.control.histograms import LineHistograms
from sfu.control.member import Member
from sfu.control.settings import ControlSettings
from sfu.engine.api import EngineCommands
from sfu.ids import Identity, ParticipantId, RoomName, SubscriptionHandle, TrackHandle, TrackId
from sfu.transport.transport import Transport, TransportRole


class TrackHolder(Protocol):
    """What events about an engine track are for."""

    @property
    def owner(self) -> Member: ...

    def handle_stream_started(self, track: TrackHandle, payload_type: int) -> None:
        """The first packet of a payload type has come."""
        ...


class Relay(Protocol):
    """Tells other nodes of what is in the rooms here. This one tells nobody: there is no other node."""

    @property
    def has_others(self) -> bool:
        """Whether another node is connected now."""
        return False

    def is_kept_elsewhere(self, room: RoomName) -> bool:
        """Whether another node keeps the room, too."""
        return False

    def leaves_end_to_other(self, room: RoomName) -> bool:
        """Whether it is for another node that keeps the room, too, to end it."""
        return False

    def handle_room_changed(self, room: RoomInfo, changed_at_ms: int) -> None:
        """This node keeps it from now on, or it was set to something else here."""

    def handle_room_let_go(self, room: RoomName) -> None:
        """This node does not keep it any more."""

    def handle_room_ended(self, room: RoomName, reason: LeaveReason) -> None:
        """It has ended for everyone."""

    def handle_changed(self, room: RoomName, info: ParticipantInfo, rights: SubscriptionRights) -> None:
        """Of a participant on this node: it, or what it lets others have."""

    def handle_gone(self, room: RoomName, info: ParticipantInfo) -> None:
        """A participant on this node is not in the room any more."""

    def handle_published(self, room: RoomName, participant_id: ParticipantId, track_id: TrackId) -> None:
        """A participant on this node publishes."""

    def handle_unpublished(self, room: RoomName, track_id: TrackId) -> None: ...

    def handle_qualities(self, qualities: Sequence[ConnectionQuality]) -> None:
        """Connections of participants on this node are better or worse than before."""

    def handle_blob(self, room: RoomName, participant_id: ParticipantId, key: bytes, contents: bytes) -> None:
        """A participant on this node has stored it."""

    def send_data(
        self,
        room: RoomName,
        sender: ParticipantId,
        kind: DataKind,
        payload: bytes,
        sequence: int,
        destinations: Sequence[Identity],
    ) -> None:
        """A message for those of the room who are on other nodes; empty `destinations`: for all of them."""


class NoRelay(Relay):
    pass


@dataclass(slots=True)
class ControlContext:
    """Shared by every room of a node."""

    config: ControlSettings
    engine: EngineCommands
    loop: asyncio.AbstractEventLoop
    make_transport: Callable[[TransportRole, int, bool], Transport]
    """For a room's group (`Room.group`). Raises RequestError (limit_exceeded): too many transports are half open."""
    notify: Callable[[NodeEvent], None]
    """Tell the node's listeners. Never raises."""
    tracks: dict[TrackHandle, TrackHolder] = field(default_factory=dict)
    """Lets events of the engine find what they are about."""
    subscriptions: set[SubscriptionHandle] = field(default_factory=set)
    """Those that the engine has."""
    groups: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    """One for each room."""
    relay: Relay = field(default_factory=NoRelay)
    counters: Counter[str] = field(default_factory=Counter)
    """Events worth a metric, by name."""
    switches: Counter[tuple[Moment, SwitchCause]] = field(default_factory=Counter)
    """How often a video was given another layer to somebody, and why."""
    lines: LineHistograms = field(default_factory=LineHistograms)
    closing: set[asyncio.Task[None]] = field(default_factory=set)
    """Transports on their way out; the node waits for them when it closes."""

    def close_transport(self, transport: Transport) -> None:
        task = self.loop.create_task(transport.close())
        self.closing.add(task)
        task.add_done_callback(self.closing.discard)

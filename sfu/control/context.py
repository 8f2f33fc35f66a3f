"""What the node lends to its rooms."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from sfu.api import NodeEvent
from sfu.control.member import Member
from sfu.control.settings import ControlSettings
from sfu.engine.api import EngineCommands
from sfu.ids import SubscriptionHandle, TrackHandle
from sfu.transport.transport import Transport, TransportRole


class TrackHolder(Protocol):
    """What events about an engine track are for."""

    @property
    def owner(self) -> Member: ...

    def handle_stream_started(self, track: TrackHandle, payload_type: int) -> None:
        """The first packet of a payload type has come."""
        ...


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
    counters: Counter[str] = field(default_factory=Counter)
    """Events worth a metric, by name."""
    closing: set[asyncio.Task[None]] = field(default_factory=set)
    """Transports on their way out; the node waits for them when it closes."""

    def close_transport(self, transport: Transport) -> None:
        task = self.loop.create_task(transport.close())
        self.closing.add(task)
        task.add_done_callback(self.closing.discard)

"""What the node lends to its rooms."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sfu.api import NodeEvent
from sfu.config import SfuConfig
from sfu.control.publication import Publication
from sfu.control.subscription import Subscription
from sfu.engine.api import EngineCommands
from sfu.ids import SubscriptionHandle, TrackHandle
from sfu.transport.transport import Transport, TransportRole


@dataclass(slots=True)
class ControlContext:
    """Shared by every room of a node. The maps let engine events find their objects."""

    config: SfuConfig
    engine: EngineCommands
    loop: asyncio.AbstractEventLoop
    make_transport: Callable[[TransportRole, int, bool], Transport]
    """For a room's group (`Room.group`). Raises RequestError (limit_exceeded): too many transports are half open."""
    notify: Callable[[NodeEvent], None]
    """Tell the node's listeners. Never raises."""
    publications: dict[TrackHandle, Publication] = field(default_factory=dict)
    subscriptions: dict[SubscriptionHandle, Subscription] = field(default_factory=dict)
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

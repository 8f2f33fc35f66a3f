"""Groups: transports that go on in another one with everything that they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sfu.engine.reference.state import State
from sfu.engine.reference.transport import Transport
from sfu.errors import EngineError
from sfu.ids import TransportHandle


def check_group(group: int) -> None:
    if group < 0:
        raise EngineError("a group is not negative", code="invalid_config")


def set_group(state: State, transports: Sequence[Transport], group: int) -> None:
    """Transports of one group, with all their subscriptions among each other, go on in another group. Raises when that
    cannot be; nothing has changed then."""
    if len({transport.config.group for transport in transports}) > 1:
        raise EngineError("transports that move together are of one group", code="invalid_config")
    moving = {transport.handle for transport in transports}
    for transport in transports:
        if _is_bound(state, transport, moving):
            words = f"transport {transport.handle} shares a subscription with one that stays behind"
            raise EngineError(words, code="still_subscribed")
    for transport in transports:
        transport.config = replace(transport.config, group=group)


def _is_bound(state: State, transport: Transport, moving: set[TransportHandle]) -> bool:
    """Whether a transport shares a subscription with one that does not move."""
    tracks = [state.tracks[handle] for handle in transport.tracks]
    takers = [forwarder.transport for track in tracks for forwarder in state.forwarders_of(track)]
    sources = [state.forwarders[handle].track for handle in transport.forwarders]
    givers = [state.tracks[handle].transport for handle in sources]
    return not moving.issuperset(takers + givers)

"""Video that waits for its turn towards a line that has shown a limit (see `congestion.pacer`)."""

from __future__ import annotations

from collections import deque

from sfu.engine.reference import routing
from sfu.engine.reference.forwarder import Forwarder
from sfu.engine.reference.keyframe_cache import CachedPacket
from sfu.engine.reference.packet import MediaPacket
from sfu.engine.reference.state import State
from sfu.engine.reference.stream import InboundStream
from sfu.engine.reference.transport import Transport

THIN_NS = 200_000_000
"""Where the oldest packet has waited for so long, only the lowest temporal layer goes on."""
THIN_FOR_NS = 2_000_000_000
"""Until this long after the last time."""
DROP_NS = 1_000_000_000
"""Where it has waited for so long, all that waits is left out, and it takes a keyframe."""
DROP_KEYFRAME_NS = 2_000_000_000
"""The same while a keyframe is on its way out: another one would take as long."""
MAX_WAITING = 2048
"""Packets of one subscription."""


def holds(forwarder: Forwarder, transport: Transport, now_ns: int) -> bool:
    """Whether what a subscription gets next has to wait in its queue."""
    return forwarder.queue is not None and (bool(forwarder.queue) or not may_send(transport, now_ns))


def may_send(transport: Transport, now_ns: int) -> bool:
    """Whether video may leave now."""
    return transport.estimator is None or transport.estimator.may_send(now_ns)


def deliver(state: State, now_ns: int, forwarder: Forwarder, transport: Transport, entry: CachedPacket) -> None:
    """One packet of the current stream, whenever it arrived: it leaves, or its number is left out."""
    core, packet = state.core, entry.packet
    if packet is None or forwarder.current is None:
        forwarder.withhold_seq(core, transport, now_ns, entry.ext_seq)
        return
    stream = state.streams[forwarder.current]
    is_svc = state.tracks[stream.track].is_svc
    if routing.passes(core, forwarder, stream, packet, is_svc=is_svc, is_newest=entry.is_newest):
        forwarder.forward(core, transport, now_ns, packet)
    else:
        forwarder.withhold(core, transport, now_ns, packet)


def overtake(state: State, now_ns: int, stream: InboundStream, packet: MediaPacket) -> None:
    """`packet` begins a keyframe: what still waits of the stream is of no use any more."""
    for handle in stream.receivers:
        forwarder = state.forwarders[handle]
        if forwarder.queue and forwarder.knows(packet.payload_type):
            state.core.drops["pacer_full"] += len(forwarder.queue)
            routing.begin(state, now_ns, forwarder, stream, packet)


def run(state: State, now_ns: int, transport: Transport) -> None:
    """Once every `TICK_NS`: what may leave now, the longest waiting first."""
    estimator = transport.estimator
    if estimator is None:
        return
    was_paced, transport.is_paced = transport.is_paced, estimator.bitrate_bps is not None or estimator.is_starting
    if not was_paced and not transport.is_paced:
        return
    forwarders = [state.forwarders[handle] for handle in transport.forwarders]
    waiting = [(one.queue, one) for one in forwarders if one.queue]
    while waiting and estimator.may_send(now_ns):
        queue, forwarder = min(waiting, key=lambda one: one[0][0].arrived_at_ns)
        deliver(state, now_ns, forwarder, transport, queue.popleft())
        if not queue:
            waiting.remove((queue, forwarder))
    if waiting:
        state.core.want_clock()
    for queue, forwarder in waiting:
        _relieve(state, now_ns, forwarder, queue)
    for forwarder in forwarders:
        if forwarder.thinned_at_ns is not None and now_ns - forwarder.thinned_at_ns >= THIN_FOR_NS:
            forwarder.thinned_at_ns = None
            routing.refresh_one(state, forwarder)


def _relieve(state: State, now_ns: int, forwarder: Forwarder, queue: deque[CachedPacket]) -> None:
    """More comes than may leave: fewer layers, then nothing until a keyframe."""
    oldest = queue[0]
    waited_ns = now_ns - oldest.arrived_at_ns
    if waited_ns >= THIN_NS:
        is_news = forwarder.thinned_at_ns is None
        forwarder.thinned_at_ns = now_ns
        if is_news:
            routing.refresh_one(state, forwarder)
    limit_ns = DROP_NS
    if oldest.packet is not None and forwarder.current is not None:
        is_keyframe = oldest.packet.timestamp == state.streams[forwarder.current].keyframe_timestamp
        limit_ns = DROP_KEYFRAME_NS if is_keyframe else DROP_NS
    if waited_ns >= limit_ns or len(queue) > MAX_WAITING:
        state.core.drops["pacer_full"] += len(queue)
        routing.stop(state, forwarder)
        routing.refresh_one(state, forwarder)

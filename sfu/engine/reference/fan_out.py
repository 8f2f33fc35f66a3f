"""From one packet of a stream to the subscriptions that get it: begin at its keyframe, remember it, forward it."""

from __future__ import annotations

from sfu.engine.reference import pacing, routing
from sfu.engine.reference.keyframe_cache import CachedPacket
from sfu.engine.reference.packet import MediaPacket
from sfu.engine.reference.state import State
from sfu.engine.reference.stream import InboundStream


def withhold(state: State, now_ns: int, stream: InboundStream, ext_seq: int) -> None:
    """A packet of the stream that goes to nobody: its number is left out."""
    entry = CachedPacket(now_ns, ext_seq, None, is_newest=False)
    _remember(state, stream, entry)
    for handle in stream.receivers:
        forwarder = state.forwarders[handle]
        transport = state.transports[forwarder.transport]
        if forwarder.queue is not None and pacing.holds(forwarder, transport, now_ns):
            forwarder.queue.append(entry)
            state.core.want_clock()
        else:
            forwarder.withhold_seq(state.core, transport, now_ns, ext_seq)


def _remember(state: State, stream: InboundStream, entry: CachedPacket) -> None:
    """For subscriptions that begin later, and for those that are catching up."""
    stream.cache.add(entry)
    for handle in stream.replaying:
        replay = state.forwarders[handle].replay
        if replay is not None:
            replay.entries.append(entry)


def fan_out(state: State, now_ns: int, stream: InboundStream, packet: MediaPacket, *, is_newest: bool) -> None:
    """A packet on its way to everyone who gets its stream."""
    info = packet.info
    has_grown = info.temporal > stream.top_temporal or info.spatial > stream.top_spatial
    if has_grown:
        stream.top_temporal = max(stream.top_temporal, info.temporal)
        stream.top_spatial = max(stream.top_spatial, info.spatial)
    if info.is_keyframe and is_newest:
        if packet.timestamp != stream.keyframe_timestamp:
            stream.keyframe_timestamp = packet.timestamp
            stream.keyframes += 1
            stream.cache.begin()
            stream.nack.forget_before(packet.ext_seq)
            pacing.overtake(state, now_ns, stream, packet)
        state.core.keyframes_wanted.pop(stream.slot, None)
        if stream.waiting or stream.replaying:
            routing.begin_waiting(state, now_ns, stream, packet)
    if stream.cache.limit_bytes or stream.replaying:
        _remember(state, stream, CachedPacket(now_ns, packet.ext_seq, packet, is_newest))
    _forward_to_receivers(state, now_ns, stream, packet, is_newest)
    if has_grown:
        _report_growth(state, stream)


def _forward_to_receivers(
    state: State, now_ns: int, stream: InboundStream, packet: MediaPacket, is_newest: bool
) -> None:
    core, forwarders, transports = state.core, state.forwarders, state.transports
    is_svc = state.tracks[stream.track].is_svc
    temporal, spatial, ext_seq = packet.info.temporal, packet.info.spatial, packet.ext_seq
    for handle in stream.receivers:
        forwarder = forwarders[handle]
        layers = forwarder.layers
        transport = transports[forwarder.transport]
        if forwarder.queue is not None and pacing.holds(forwarder, transport, now_ns):
            forwarder.queue.append(CachedPacket(now_ns, ext_seq, packet, is_newest))
            core.want_clock()
            continue
        if (
            layers.pending
            or temporal > layers.max_temporal
            or spatial > layers.max_spatial
            or ext_seq < layers.raised_at
        ) and not routing.passes(core, forwarder, stream, packet, is_svc=is_svc, is_newest=is_newest):
            forwarder.withhold(core, transport, now_ns, packet)
            continue
        forwarder.forward(core, transport, now_ns, packet)


def _report_growth(state: State, stream: InboundStream) -> None:
    """The stream has a layer more than was known."""
    is_svc = state.tracks[stream.track].is_svc
    for handle in stream.receivers + stream.replaying:
        routing.report(state.core, state.forwarders[handle], stream, is_svc=is_svc)

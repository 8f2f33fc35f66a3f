"""Which streams a track has, and who gets which: begin, switch, stop, and the keyframes that this needs."""

from __future__ import annotations

from collections import deque

from sfu.engine.api import HIGHEST_LAYER, KEYFRAME_INTERVAL_NS, REPLAY_ALONE_NS, InboundLayer, LayerChanged, TrackConfig
from sfu.engine.reference.core import Core
from sfu.engine.reference.forwarder import Forwarder
from sfu.engine.reference.layers import ACTIVE_NS
from sfu.engine.reference.packet import MediaPacket
from sfu.engine.reference.rtcp import build_pli
from sfu.engine.reference.state import State
from sfu.engine.reference.stream import InboundStream
from sfu.engine.reference.track import Track
from sfu.engine.reference.transport import Transport

SLOW_INTERVAL_NS = 2_000_000_000
"""Between two keyframes asked of a publisher whose line has just had a queue."""


def configure(state: State, track: Track, config: TrackConfig) -> list[InboundStream]:
    """Give the track its configuration and the streams for it; returns the streams that are no more."""
    before = track.config
    is_read_anew = list(config.payloads) != list(before.payloads) or config.extensions != before.extensions
    track.set_config(config)
    old = state.streams_of(track)
    streams = [_stream_for(state, track, index, layer, old) for index, layer in enumerate(config.layers)]
    track.streams = [stream.slot for stream in streams]
    for stream in streams:
        stream.cache.set_limit(config.keyframe_cache_bytes if track.is_video else 0)
        if is_read_anew:
            stream.cache.clear()
    for forwarder in state.forwarders_of(track) if is_read_anew else ():
        if forwarder.queue:
            # What waits would be read with the new ids.
            stop(state, forwarder)
    return [stream for stream in old if stream.slot not in track.streams]


def _stream_for(state: State, track: Track, index: int, layer: InboundLayer, old: list[InboundStream]) -> InboundStream:
    """The old stream that a layer goes on with, or a new one."""
    alone = len(old) == 1 and len(track.config.layers) == 1 and layer.rid is None and layer.ssrc is None
    for stream in old:
        by_rid = layer.rid is not None and stream.config.rid == layer.rid
        by_ssrc = layer.ssrc is not None and stream.ssrc == layer.ssrc
        if by_rid or by_ssrc or (alone and stream.config.rid is None):
            stream.config = layer
            stream.layer = index
            if stream.ssrc is None:
                stream.ssrc = layer.ssrc
            if stream.rtx_ssrc is None:
                stream.rtx_ssrc = layer.rtx_ssrc
            return stream
    return state.add_stream(track.handle, index, layer)


def forget_stream(state: State, stream: InboundStream) -> None:
    """The stream is gone: nothing points to it any more, and who got it gets nothing."""
    slot = stream.slot
    state.core.keyframes_wanted.pop(slot, None)
    track = state.tracks[stream.track]
    state.transports[track.transport].unbind(slot)
    for forwarder in state.forwarders_of(track):
        forwarder.timeline.forget_source(slot)
        if forwarder.desired == slot:
            forwarder.desired = None
        if forwarder.current == slot:
            stop(state, forwarder)
    # Layers of one name share a stream, which then goes once for each of them.
    state.streams.pop(slot, None)


def _choose_stream(state: State, track: Track, target_spatial: int) -> InboundStream:
    """The best active stream that is not above the target, else the lowest active one. One is always active."""
    is_any_fresh = state.has_fresh_stream(track)
    active = [stream for stream in state.streams_of(track) if stream.is_fresh or not is_any_fresh]
    fitting = [stream for stream in active if stream.layer <= target_spatial]
    return fitting[-1] if fitting else active[0]


def refresh(state: State, forwarder: Forwarder) -> None:
    """Work out again what a subscription should get. The caller refreshes the track's routes afterwards."""
    track = state.tracks[forwarder.track]
    if forwarder.paused or track.muted or not state.transports[forwarder.transport].is_ready:
        forwarder.desired = None
        stop(state, forwarder)
        return
    # Simulcast layers are streams of their own: all that is inside of one is wanted.
    inner = forwarder.target_spatial if track.is_svc else HIGHEST_LAYER
    temporal = forwarder.target_temporal if forwarder.thinned_at_ns is None else 0
    forwarder.layers.set_target(inner, temporal)
    desired = _choose_stream(state, track, forwarder.target_spatial)
    forwarder.desired = desired.slot
    if desired.slot != forwarder.current and can_replay(state, forwarder, desired):
        state.core.replays[forwarder.handle] = None
        if desired.cache.span_ns > REPLAY_ALONE_NS:
            want_keyframe(state, desired)
    elif desired.slot != forwarder.current or forwarder.layers.wants_spatial(desired.top_spatial):
        want_keyframe(state, desired)


def can_replay(state: State, forwarder: Forwarder, stream: InboundStream) -> bool:
    """Whether a subscription that does not get `stream` yet should begin with the cached keyframe of `stream`."""
    if stream.cache.first is None:
        return False
    estimator = state.transports[forwarder.transport].estimator
    if estimator is not None and estimator.bitrate_bps is not None and state.tracks[stream.track].config.pli:
        # The past in a hurry is what a narrow line takes least.
        return False
    if stream.cache.span_ns <= REPLAY_ALONE_NS:
        return True
    current = forwarder.current
    return current is None or not state.is_active(state.streams[current])


def refresh_one(state: State, forwarder: Forwarder) -> None:
    """What a subscription should get, and the routes of its track."""
    refresh(state, forwarder)
    refresh_routes(state, state.tracks[forwarder.track])


def refresh_transport(state: State, transport: Transport) -> None:
    """The transport became able to send, or unable: its subscriptions start or stop."""
    for handle in transport.forwarders:
        refresh_one(state, state.forwarders[handle])


def refresh_track(state: State, track: Track) -> None:
    """What every subscription of a track should get, and its routes."""
    for forwarder in state.forwarders_of(track):
        refresh(state, forwarder)
    refresh_routes(state, track)


def refresh_routes(state: State, track: Track) -> None:
    """Work out again who receives and who waits for which stream of a track."""
    forwarders = state.forwarders_of(track)
    for stream in state.streams_of(track):
        slot = stream.slot
        getting = [forwarder for forwarder in forwarders if forwarder.current == slot]
        stream.receivers = [forwarder.handle for forwarder in getting if forwarder.replay is None]
        stream.replaying = [forwarder.handle for forwarder in getting if forwarder.replay is not None]
        stream.waiting = [
            forwarder.handle for forwarder in forwarders if forwarder.desired == slot != forwarder.current
        ]


def stop(state: State, forwarder: Forwarder) -> None:
    """The subscription gets nothing until the next keyframe of a stream."""
    if forwarder.current is not None:
        forwarder.current = None
        forwarder.replay = None
        forwarder.queue = None
        report(state.core, forwarder, None, is_svc=False)


def restart(state: State, stream: InboundStream) -> None:
    """The sequence of a stream begins anew: forget it, and let its receivers begin again at a keyframe."""
    stream.reset()
    track = state.tracks[stream.track]
    for forwarder in state.forwarders_of(track):
        forwarder.timeline.forget_source(stream.slot)
    for handle in stream.receivers + stream.replaying:
        stop(state, state.forwarders[handle])
        want_keyframe(state, stream)
    refresh_routes(state, track)


def begin_waiting(state: State, now_ns: int, stream: InboundStream, packet: MediaPacket) -> None:
    """`packet` begins a keyframe of `stream`: everyone who waits for that goes over now, or is still catching up."""
    for handle in stream.waiting + stream.replaying:
        forwarder = state.forwarders[handle]
        if forwarder.knows(packet.payload_type):
            begin(state, now_ns, forwarder, stream, packet)
        else:
            state.core.drops["no_payload_for_subscriber"] += 1
    refresh_routes(state, state.tracks[stream.track])


def begin(state: State, now_ns: int, forwarder: Forwarder, stream: InboundStream, packet: MediaPacket) -> None:
    """The subscription goes over to `stream` with `packet`. The caller refreshes the track's routes afterwards."""
    source = forwarder.timeline.source
    old_report = None if source is None else state.streams[source].sender_report
    forwarder.begin(now_ns, stream, packet, old_report)
    forwarder.queue = deque() if state.tracks[stream.track].is_video else None
    report(state.core, forwarder, stream, is_svc=state.tracks[stream.track].is_svc)


def passes(
    core: Core, forwarder: Forwarder, stream: InboundStream, packet: MediaPacket, *, is_svc: bool, is_newest: bool
) -> bool:
    """Whether the layers that a subscription gets include this packet of `stream`, its current stream."""
    passed = forwarder.layers.passes(packet.info, packet.ext_seq, stream.tops, is_newest=is_newest)
    report(core, forwarder, stream, is_svc=is_svc)
    return passed


def report(core: Core, forwarder: Forwarder, stream: InboundStream | None, *, is_svc: bool) -> None:
    """Tell which layer a subscription gets, if that is news. `stream` is its current stream, `is_svc` what its track
    is."""
    layer: tuple[int | None, int | None] = (None, None)
    if stream is not None:
        spatial = min(forwarder.layers.max_spatial, stream.top_spatial) if is_svc else stream.layer
        layer = (spatial, min(forwarder.layers.max_temporal, stream.top_temporal))
    if layer != forwarder.reported:
        forwarder.reported = layer
        core.events.append(LayerChanged(forwarder.handle, *layer))


def refresh_activity(state: State, now_ns: int, track: Track) -> None:
    """Notice streams of a track that have stopped."""
    has_changed = False
    for stream in state.streams_of(track):
        if stream.is_fresh and now_ns - stream.last_packet_at_ns >= ACTIVE_NS:
            stream.is_fresh = False
            has_changed = True
    if has_changed:
        refresh_track(state, track)


def want_keyframe(state: State, stream: InboundStream, *, is_asked: bool = False) -> None:
    """Ask the publisher for a keyframe, again and again until there is one. What is asked for (by a subscriber, by
    command, by a broken sequence) counts until then; else it counts as long as a subscription waits."""
    if state.tracks[stream.track].is_video:
        wanted = state.core.keyframes_wanted
        wanted[stream.slot] = is_asked or wanted.get(stream.slot, False)


def send_keyframe_requests(state: State, now_ns: int) -> None:
    """PLIs that are due (RFC 4585 §6.3.1). Nothing is asked of a muted track or of a layer that has stopped."""
    core = state.core
    needless = []
    for slot, is_asked in core.keyframes_wanted.items():
        stream = state.streams[slot]
        track = state.tracks[stream.track]
        core.working_for = track.transport
        last_ns, brake = stream.last_pli_at_ns, state.transports[track.transport].brake
        # Where pictures wait at the publisher, the one that was asked for may be among them.
        is_slow = brake is not None and brake.is_recent(now_ns)
        if last_ns is not None and now_ns - last_ns < (SLOW_INTERVAL_NS if is_slow else KEYFRAME_INTERVAL_NS):
            continue
        if not track.config.pli or not (is_asked or _is_awaited(state, stream)):
            needless.append(slot)
            continue
        transport = state.transports[track.transport]
        if stream.ssrc is None or track.muted or not transport.is_ready or not state.is_active(stream):
            continue
        stream.last_pli_at_ns = now_ns
        stream.plis_sent += 1
        transport.send_rtcp(core, build_pli(transport.local_ssrc, stream.ssrc))
    for slot in needless:
        del core.keyframes_wanted[slot]


def _is_awaited(state: State, stream: InboundStream) -> bool:
    """Whether a subscription needs a keyframe of `stream`."""
    if stream.waiting or stream.replaying:
        return True
    return any(state.forwarders[one].layers.wants_spatial(stream.top_spatial) for one in stream.receivers)

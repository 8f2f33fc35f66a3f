"""Who gets which stream: begin, switch, stop, and the keyframes that this needs."""

from __future__ import annotations

from sfu.engine.api import HIGHEST_LAYER, KEYFRAME_INTERVAL_NS, REPLAY_ALONE_NS, LayerChanged
from sfu.engine.reference.core import Core
from sfu.engine.reference.forwarder import Forwarder
from sfu.engine.reference.layers import ACTIVE_NS, choose_stream
from sfu.engine.reference.packet import MediaPacket
from sfu.engine.reference.rtcp import build_pli
from sfu.engine.reference.stream import InboundStream
from sfu.engine.reference.track import Track


def refresh(core: Core, forwarder: Forwarder) -> None:
    """Work out again what a subscription should get. The caller refreshes the track's routes afterwards."""
    track = forwarder.track
    if forwarder.paused or track.muted or not forwarder.transport.is_ready:
        forwarder.desired = None
        stop(core, forwarder)
        return
    # Simulcast layers are streams of their own: all that is inside of one is wanted.
    inner = forwarder.target_spatial if track.is_svc else HIGHEST_LAYER
    forwarder.layers.set_target(inner, forwarder.target_temporal)
    desired = choose_stream(track.streams, forwarder.target_spatial)
    forwarder.desired = desired
    if desired is not forwarder.current and can_replay(forwarder, desired):
        core.replays[forwarder] = None
        if desired.cache.span_ns > REPLAY_ALONE_NS:
            want_keyframe(core, desired)
    elif desired is not forwarder.current or forwarder.layers.wants_spatial(desired):
        want_keyframe(core, desired)


def can_replay(forwarder: Forwarder, stream: InboundStream) -> bool:
    """Whether a subscription that does not get `stream` yet should begin with its cached keyframe."""
    if stream.cache.first is None:
        return False
    current = forwarder.current
    return current is None or not current.is_active or stream.cache.span_ns <= REPLAY_ALONE_NS


def refresh_track(core: Core, track: Track) -> None:
    """The same for every subscription of a track, and its routes."""
    for forwarder in track.forwarders.values():
        refresh(core, forwarder)
    track.refresh_routes()


def stop(core: Core, forwarder: Forwarder) -> None:
    """The subscription gets nothing until the next keyframe of a stream."""
    if forwarder.current is not None:
        forwarder.current = None
        forwarder.replay = None
        report(core, forwarder)


def restart(core: Core, stream: InboundStream) -> None:
    """The sequence of a stream begins anew: forget it, and let its receivers begin again at a keyframe."""
    stream.reset()
    for forwarder in stream.track.forwarders.values():
        forwarder.timeline.forget_source(stream)
    for forwarder in stream.receivers + stream.replaying:
        stop(core, forwarder)
        want_keyframe(core, stream)
    stream.track.refresh_routes()


def begin_waiting(core: Core, now_ns: int, stream: InboundStream, packet: MediaPacket) -> None:
    """`packet` begins a keyframe of `stream`: everyone who waits for that goes over now, or is still catching up."""
    for forwarder in stream.waiting + stream.replaying:
        if packet.payload_type in forwarder.payloads:
            forwarder.begin(now_ns, stream, packet)
            report(core, forwarder)
        else:
            core.drops["no_payload_for_subscriber"] += 1
    stream.track.refresh_routes()


def passes(core: Core, forwarder: Forwarder, stream: InboundStream, packet: MediaPacket, *, is_newest: bool) -> bool:
    """Whether the layers that a subscription gets include this packet of its current stream."""
    passed = forwarder.layers.passes(packet, stream, is_newest=is_newest)
    report(core, forwarder)
    return passed


def report(core: Core, forwarder: Forwarder) -> None:
    """Tell which layer a subscription gets, if that is news."""
    stream = forwarder.current
    layer: tuple[int | None, int | None] = (None, None)
    if stream is not None:
        spatial = min(forwarder.layers.max_spatial, stream.top_spatial) if stream.track.is_svc else stream.layer
        layer = (spatial, min(forwarder.layers.max_temporal, stream.top_temporal))
    if layer != forwarder.reported:
        forwarder.reported = layer
        core.events.append(LayerChanged(forwarder.handle, *layer))


def refresh_activity(core: Core, now_ns: int, track: Track) -> None:
    """Notice streams of a track that have stopped."""
    changed = False
    for stream in track.streams:
        if stream.is_fresh and now_ns - stream.last_packet_at_ns >= ACTIVE_NS:
            stream.is_fresh = False
            changed = True
    if changed:
        refresh_track(core, track)


def want_keyframe(core: Core, stream: InboundStream, *, is_asked: bool = False) -> None:
    """Ask the publisher for a keyframe, again and again until there is one. What is asked for (by a subscriber, by
    command, by a broken sequence) counts until then; else it counts as long as a subscription waits."""
    if stream.track.is_video:
        core.keyframes_wanted[stream] = is_asked or core.keyframes_wanted.get(stream, False)


def send_keyframe_requests(core: Core, now_ns: int) -> None:
    """PLIs that are due (RFC 4585 §6.3.1). Nothing is asked of a muted track or of a layer that has stopped."""
    needless = []
    for stream, is_asked in core.keyframes_wanted.items():
        track = stream.track
        core.working_for = track.transport
        last_ns = stream.last_pli_at_ns
        if last_ns is not None and now_ns - last_ns < KEYFRAME_INTERVAL_NS:
            continue
        needed = (
            is_asked
            or stream.waiting
            or stream.replaying
            or any(one.layers.wants_spatial(stream) for one in stream.receivers)
        )
        if not needed or not track.config.pli:
            needless.append(stream)
            continue
        if stream.ssrc is None or track.muted or not track.transport.is_ready or not stream.is_active:
            continue
        stream.last_pli_at_ns = now_ns
        stream.plis_sent += 1
        track.transport.send_rtcp(build_pli(track.transport.local_ssrc, stream.ssrc))
    for stream in needless:
        del core.keyframes_wanted[stream]

"""Subscriptions that begin in the past, with a cached keyframe, and catch up."""

from __future__ import annotations

from sfu.engine.api import KEYFRAME_INTERVAL_NS
from sfu.engine.reference import routing
from sfu.engine.reference.core import Core
from sfu.engine.reference.forwarder import Forwarder
from sfu.engine.reference.keyframe_cache import Replay


def run_replays(core: Core, now_ns: int) -> None:
    """Start the replays that are due, and go on with those that run."""
    for forwarder in list(core.replays):
        transport = forwarder.transport
        if transport.is_failed:
            del core.replays[forwarder]
            continue
        core.working_for = transport
        transport.work()
        is_waiting = forwarder.desired is not forwarder.current and not _start(core, now_ns, forwarder)
        is_over = forwarder.replay is None or _go_on(core, now_ns, forwarder)
        if is_over and not is_waiting:
            del core.replays[forwarder]


def _start(core: Core, now_ns: int, forwarder: Forwarder) -> bool:
    """Begin if that can be. False: it is too early after the last time."""
    stream = forwarder.desired
    if stream is None:
        return True
    last_ns = forwarder.replayed_at_ns
    if last_ns is not None and now_ns - last_ns < KEYFRAME_INTERVAL_NS:
        return False
    first = stream.cache.first
    if first is None or not routing.can_replay(forwarder, stream):
        # Void by now: it takes a keyframe after all.
        routing.want_keyframe(core, stream)
    elif first.payload_type not in forwarder.payloads:
        core.drops["no_payload_for_subscriber"] += 1
    else:
        forwarder.replayed_at_ns = now_ns
        forwarder.begin(now_ns, stream, first)
        forwarder.replay = Replay(now_ns, first, stream.cache.entries)
        routing.report(core, forwarder)
        stream.track.refresh_routes()
    return True


def _go_on(core: Core, now_ns: int, forwarder: Forwarder) -> bool:
    """Whether the subscription is live now."""
    replay, stream = forwarder.replay, forwarder.current
    if replay is None or stream is None:
        return True
    while (entry := replay.next_due(now_ns)) is not None:
        packet = entry.packet
        if packet is None:
            forwarder.withhold_seq(now_ns, entry.ext_seq)
        elif routing.passes(core, forwarder, stream, packet, is_newest=entry.is_newest):
            forwarder.forward(now_ns, packet)
        else:
            forwarder.withhold(now_ns, packet)
    if replay.entries:
        return False
    forwarder.replay = None
    stream.track.refresh_routes()
    return True

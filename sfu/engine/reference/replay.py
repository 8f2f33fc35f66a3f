"""Subscriptions that begin in the past, with a cached keyframe, and catch up."""

from __future__ import annotations

from sfu.engine.reference import routing
from sfu.engine.reference.core import Core
from sfu.engine.reference.forwarder import Forwarder
from sfu.engine.reference.keyframe_cache import Replay


def run_replays(core: Core, now_ns: int) -> None:
    """Start the replays that are due, and go on with those that run."""
    for forwarder in list(core.replays):
        if forwarder.desired is not forwarder.current:
            _start(core, now_ns, forwarder)
        if forwarder.replay is None or _go_on(core, now_ns, forwarder):
            del core.replays[forwarder]


def _start(core: Core, now_ns: int, forwarder: Forwarder) -> None:
    stream = forwarder.desired
    if stream is None:
        return
    first = stream.cache.first
    if first is None or not routing.can_replay(forwarder, stream):
        # Void by now: it takes a keyframe after all.
        routing.want_keyframe(core, stream)
    elif first.payload_type not in forwarder.payloads:
        core.drops["no_payload_for_subscriber"] += 1
    else:
        forwarder.begin(now_ns, stream, first)
        forwarder.replay = Replay(now_ns, first, stream.cache.entries)
        routing.report(core, forwarder)
        stream.track.refresh_routes()


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

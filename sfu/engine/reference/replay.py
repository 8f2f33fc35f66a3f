"""Subscriptions that begin in the past, with a cached keyframe, and catch up."""

from __future__ import annotations

from sfu.engine.api import KEYFRAME_INTERVAL_NS
from sfu.engine.reference import pacing, routing
from sfu.engine.reference.forwarder import Forwarder
from sfu.engine.reference.keyframe_cache import Replay
from sfu.engine.reference.state import State


def run_replays(state: State, now_ns: int) -> None:
    """Start the replays that are due, and go on with those that run."""
    replays = state.core.replays
    for handle in list(replays):
        forwarder = state.forwarders[handle]
        transport = state.transports[forwarder.transport]
        if transport.is_failed:
            del replays[handle]
            continue
        state.core.working_for = transport.handle
        transport.work()
        is_waiting = forwarder.desired != forwarder.current and not _start(state, now_ns, forwarder)
        is_over = forwarder.replay is None or _go_on(state, now_ns, forwarder)
        if is_over and not is_waiting:
            del replays[handle]


def _start(state: State, now_ns: int, forwarder: Forwarder) -> bool:
    """Begin if that can be. False: it is too early after the last time."""
    if forwarder.desired is None:
        return True
    stream = state.streams[forwarder.desired]
    last_ns = forwarder.replayed_at_ns
    if last_ns is not None and now_ns - last_ns < KEYFRAME_INTERVAL_NS:
        return False
    first = stream.cache.first
    if first is None or not routing.can_replay(state, forwarder, stream):
        # Void by now: it takes a keyframe after all.
        routing.want_keyframe(state, stream)
    elif not forwarder.knows(first.payload_type):
        state.core.drops["no_payload_for_subscriber"] += 1
    else:
        routing.begin(state, now_ns, forwarder, stream, first)
        forwarder.replay = Replay(now_ns, first, stream.cache.entries)
        forwarder.replayed_at_ns = now_ns
        routing.refresh_routes(state, state.tracks[forwarder.track])
    return True


def _go_on(state: State, now_ns: int, forwarder: Forwarder) -> bool:
    """Whether the subscription is live now."""
    replay = forwarder.replay
    if replay is None or forwarder.current is None:
        return True
    transport = state.transports[forwarder.transport]
    while pacing.may_send(transport, now_ns) and (entry := replay.next_due(now_ns)) is not None:
        pacing.deliver(state, now_ns, forwarder, transport, entry)
    if replay.entries:
        return False
    forwarder.replay = None
    routing.refresh_routes(state, state.tracks[forwarder.track])
    return True

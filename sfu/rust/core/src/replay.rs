//! Subscriptions that begin in the past, with a cached keyframe, and catch up.

use std::sync::Arc;

use crate::api::{DropReason, KEYFRAME_INTERVAL_NS};
use crate::pacing;
use crate::routing;
use crate::slots::ForwarderSlot;
use crate::state::State;

/// Start the replays that are due, and go on with those that run.
pub(crate) fn run_replays(state: &mut State, now_ns: i64) {
    for slot in state.core.replays.iter().copied().collect::<Vec<_>>() {
        let owner = state.forwarders.get(slot).map(|forwarder| forwarder.transport);
        let transport = owner.and_then(|owner| state.transports.get(owner)).filter(|transport| !transport.is_failed);
        let Some(transport) = transport else {
            state.core.replays.shift_remove(&slot);
            continue;
        };
        state.core.working_for = owner;
        transport.work();
        let wants_another = state.forwarders.get(slot).is_some_and(|forwarder| forwarder.desired != forwarder.current);
        let is_waiting = wants_another && !start(state, now_ns, slot);
        let is_running = state.forwarders.get(slot).is_some_and(|forwarder| forwarder.replay.is_some());
        let is_over = !is_running || go_on(state, now_ns, slot);
        if is_over && !is_waiting {
            state.core.replays.shift_remove(&slot);
        }
    }
}

/// Begin if that can be. False: it is too early after the last time.
fn start(state: &mut State, now_ns: i64, slot: ForwarderSlot) -> bool {
    let Some(forwarder) = state.forwarders.get(slot) else { return true };
    let Some(stream_slot) = forwarder.desired else { return true };
    let Some(stream) = state.streams.get(stream_slot) else { return true };
    if forwarder.replayed_at_ns.is_some_and(|last_ns| now_ns - last_ns < KEYFRAME_INTERVAL_NS as i64) {
        return false;
    }
    let is_allowed = routing::can_replay(state, forwarder, stream);
    let first = stream.cache.first().filter(|_| is_allowed).map(Arc::clone);
    let Some(first) = first else {
        // Void by now: it takes a keyframe after all.
        routing::want_keyframe(state, stream_slot, false);
        return true;
    };
    if !forwarder.knows(first.payload_type) {
        state.core.drop_one(DropReason::NoPayloadForSubscriber);
        return true;
    }
    routing::begin(state, now_ns, slot, stream_slot, &first);
    let replay = state.streams.get(stream_slot).and_then(|stream| stream.cache.replay(now_ns));
    let Some(forwarder) = state.forwarders.get_mut(slot) else { return true };
    forwarder.replay = replay.map(Box::new);
    forwarder.replayed_at_ns = Some(now_ns);
    let track = forwarder.track;
    routing::refresh_routes(state, track);
    true
}

/// Whether the subscription is live now.
fn go_on(state: &mut State, now_ns: i64, slot: ForwarderSlot) -> bool {
    let may_send = |state: &State| {
        let owner = state.forwarders.get(slot).and_then(|forwarder| state.transports.get(forwarder.transport));
        owner.is_some_and(|transport| pacing::may_send(transport, now_ns))
    };
    while may_send(state)
        && let Some(entry) =
            state.forwarders.get_mut(slot).and_then(|forwarder| forwarder.replay.as_mut()?.next_due(now_ns))
    {
        pacing::deliver(state, now_ns, slot, &entry);
    }
    let Some(forwarder) = state.forwarders.get_mut(slot) else { return true };
    if forwarder.replay.as_ref().is_some_and(|replay| !replay.is_over()) {
        return false;
    }
    forwarder.replay = None;
    let track = forwarder.track;
    routing::refresh_routes(state, track);
    true
}

//! Video that waits for its turn towards a line that has shown a limit (see `congestion::pacer`).

use std::collections::VecDeque;
use std::mem::replace;

use crate::api::DropReason;
use crate::core::Core;
use crate::forwarder::Forwarder;
use crate::keyframe_cache::CachedPacket;
use crate::packet::MediaPacket;
use crate::routing;
use crate::slots::{ForwarderSlot, StreamSlot, TransportSlot};
use crate::state::State;
use crate::transport::Transport;

/// Where the oldest packet has waited for so long, only the lowest temporal layer goes on.
const THIN_NS: i64 = 200_000_000;
/// Until this long after the last time.
const THIN_FOR_NS: i64 = 2_000_000_000;
/// Where it has waited for so long, all that waits is left out, and it takes a keyframe.
const DROP_NS: i64 = 1_000_000_000;
/// The same while a keyframe is on its way out: another one would take as long.
const DROP_KEYFRAME_NS: i64 = 2_000_000_000;
/// Packets of one subscription.
const MAX_WAITING: usize = 2048;

/// Whether what a subscription gets next has to wait in its queue.
#[inline]
pub(crate) fn holds(forwarder: &Forwarder, transport: &Transport, now_ns: i64) -> bool {
    forwarder.queue.as_ref().is_some_and(|queue| !queue.is_empty() || !may_send(transport, now_ns))
}

/// It waits.
pub(crate) fn hold(core: &mut Core, forwarder: &mut Forwarder, entry: CachedPacket) {
    if let Some(queue) = &mut forwarder.queue {
        core.want_clock();
        queue.push_back(entry);
    }
}

/// Whether video may leave now.
#[inline]
pub(crate) fn may_send(transport: &Transport, now_ns: i64) -> bool {
    transport.estimator.as_ref().is_none_or(|estimator| estimator.may_send(now_ns))
}

fn oldest(state: &State, slot: ForwarderSlot) -> Option<&CachedPacket> {
    state.forwarders.get(slot)?.queue.as_ref()?.front()
}

fn waiting(state: &State, slot: ForwarderSlot) -> usize {
    state.forwarders.get(slot).map_or(0, Forwarder::waiting)
}

/// One packet of the current stream, whenever it arrived: it leaves, or its number is left out.
pub(crate) fn deliver(state: &mut State, now_ns: i64, slot: ForwarderSlot, entry: &CachedPacket) {
    let State { core, transports, tracks, streams, forwarders, blocks } = state;
    let Some(forwarder) = forwarders.get_mut(slot) else { return };
    let Some(transport) = transports.get_mut(forwarder.transport) else { return };
    let (packet, is_newest) = match entry {
        CachedPacket::Media { packet, is_newest } => (packet, *is_newest),
        CachedPacket::Withheld { ext_seq, .. } => return forwarder.withhold_seq(core, transport, now_ns, *ext_seq),
    };
    let Some(stream) = forwarder.current.and_then(|stream| streams.get(stream)) else { return };
    let Some(track) = tracks.get(stream.track) else { return };
    blocks.clear();
    if routing::passes(core, forwarder, (stream, track.is_svc), packet, is_newest) {
        forwarder.forward(core, transport, now_ns, packet, blocks);
    } else {
        forwarder.withhold(core, transport, now_ns, packet);
    }
}

/// `packet` begins a keyframe: what still waits of the stream is of no use any more.
pub(crate) fn overtake(state: &mut State, slot: StreamSlot, packet: &MediaPacket) {
    let Some(stream) = state.streams.get(slot) else { return };
    let knows = |one: ForwarderSlot| state.forwarders.get(one).is_some_and(|one| one.knows(packet.payload_type));
    let is_overtaken = |one: &ForwarderSlot| waiting(state, *one) > 0 && knows(*one);
    for forwarder in stream.receivers.iter().copied().filter(is_overtaken).collect::<Vec<_>>() {
        state.core.drops.add(DropReason::PacerFull, waiting(state, forwarder) as u64);
        routing::begin(state, packet.now_ns, forwarder, slot, packet);
    }
}

/// Once every `TICK_NS`: what may leave now, the longest waiting first.
pub(crate) fn run(state: &mut State, now_ns: i64, slot: TransportSlot) {
    let Some(transport) = state.transports.get_mut(slot) else { return };
    let Some(is_paced) = transport.estimator.as_ref().map(|estimator| estimator.is_pacing()) else { return };
    if !replace(&mut transport.is_paced, is_paced) && !is_paced {
        return;
    }
    let forwarders = transport.forwarders.clone();
    while state.transports.get(slot).is_some_and(|transport| may_send(transport, now_ns)) {
        let since = |one: &ForwarderSlot| Some((oldest(state, *one)?.arrived_at_ns(), *one));
        let Some((_, next)) = forwarders.iter().filter_map(since).min_by_key(|(at_ns, _)| *at_ns) else { break };
        let Some(queue) = state.forwarders.get_mut(next).and_then(|forwarder| forwarder.queue.as_mut()) else { break };
        let Some(entry) = queue.pop_front() else { break };
        if queue.is_empty() {
            // Most lines are wide after the first picture: what it took is not kept.
            *queue = VecDeque::new();
        }
        deliver(state, now_ns, next, &entry);
    }
    for forwarder in &forwarders {
        relieve(state, now_ns, *forwarder);
    }
    for forwarder in forwarders {
        let Some(one) = state.forwarders.get_mut(forwarder) else { continue };
        if one.thinned_at_ns.is_some_and(|at_ns| now_ns - at_ns >= THIN_FOR_NS) {
            one.thinned_at_ns = None;
            routing::refresh_one(state, forwarder);
        }
    }
}

/// More comes than may leave: fewer layers, then nothing until a keyframe.
fn relieve(state: &mut State, now_ns: i64, slot: ForwarderSlot) {
    if waiting(state, slot) > 0 {
        state.core.want_clock();
    }
    let Some(entry) = oldest(state, slot) else { return };
    let waited_ns = now_ns - entry.arrived_at_ns();
    let timestamp = entry.media().map(|packet| packet.timestamp);
    let Some(forwarder) = state.forwarders.get_mut(slot) else { return };
    let stream = forwarder.current.and_then(|stream| state.streams.get(stream));
    let is_keyframe = timestamp.is_some() && stream.is_some_and(|stream| stream.keyframe_timestamp == timestamp);
    if waited_ns >= THIN_NS && forwarder.thinned_at_ns.replace(now_ns).is_none() {
        routing::refresh_one(state, slot);
    }
    let limit_ns = if is_keyframe { DROP_KEYFRAME_NS } else { DROP_NS };
    let count = waiting(state, slot);
    if waited_ns >= limit_ns || count > MAX_WAITING {
        state.core.drops.add(DropReason::PacerFull, count as u64);
        routing::stop(state, slot);
        routing::refresh_one(state, slot);
    }
}

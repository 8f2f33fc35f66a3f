//! From one packet of a stream to the subscriptions that get it: begin at its keyframe, remember it, forward it.

use std::sync::Arc;

use crate::keyframe_cache::CachedPacket;
use crate::pacing;
use crate::packet::MediaPacket;
use crate::routing;
use crate::slots::StreamSlot;
use crate::state::State;

/// A packet of the stream that goes to nobody: its number is left out.
pub(crate) fn withhold(state: &mut State, now_ns: i64, slot: StreamSlot, ext_seq: i64) {
    remember(state, slot, || CachedPacket::Withheld { arrived_at_ns: now_ns, ext_seq });
    let Some(stream) = state.streams.get(slot) else { return };
    for receiver in &stream.receivers {
        let Some(forwarder) = state.forwarders.get_mut(*receiver) else { continue };
        let Some(transport) = state.transports.get_mut(forwarder.transport) else { continue };
        if pacing::holds(forwarder, transport, now_ns) {
            pacing::hold(&mut state.core, forwarder, CachedPacket::Withheld { arrived_at_ns: now_ns, ext_seq });
        } else {
            forwarder.withhold_seq(&mut state.core, transport, now_ns, ext_seq);
        }
    }
}

/// For subscriptions that begin later, and for those that are catching up.
fn remember(state: &mut State, slot: StreamSlot, entry: impl Fn() -> CachedPacket) {
    let Some(stream) = state.streams.get_mut(slot) else { return };
    if stream.cache.is_on() {
        stream.cache.add(entry());
    }
    for forwarder in &stream.replaying {
        if let Some(replay) = state.forwarders.get_mut(*forwarder).and_then(|forwarder| forwarder.replay.as_mut()) {
            replay.push(entry());
        }
    }
}

/// A packet on its way to everyone who gets its stream.
pub(crate) fn fan_out(state: &mut State, slot: StreamSlot, packet: Arc<MediaPacket>, is_newest: bool) {
    let Some(stream) = state.streams.get_mut(slot) else { return };
    let info = &packet.info;
    let (temporal, spatial) = (u32::from(info.temporal), u32::from(info.spatial));
    let has_grown = temporal > stream.top_temporal || spatial > stream.top_spatial;
    stream.top_temporal = stream.top_temporal.max(temporal);
    stream.top_spatial = stream.top_spatial.max(spatial);
    if info.is_keyframe && is_newest {
        let is_first = stream.keyframe_timestamp != Some(packet.timestamp);
        if is_first {
            stream.keyframe_timestamp = Some(packet.timestamp);
            stream.keyframes += 1;
            stream.cache.begin();
            stream.nack.forget_before(packet.ext_seq);
        }
        let is_awaited = !stream.waiting.is_empty() || !stream.replaying.is_empty();
        if is_first {
            pacing::overtake(state, slot, &packet);
        }
        state.core.keyframes_wanted.shift_remove(&slot);
        if is_awaited {
            routing::begin_waiting(state, slot, &packet);
        }
    }
    remember(state, slot, || CachedPacket::Media { packet: Arc::clone(&packet), is_newest });
    forward_to_receivers(state, slot, &packet, is_newest);
    if has_grown {
        report_growth(state, slot);
    }
}

fn forward_to_receivers(state: &mut State, slot: StreamSlot, packet: &Arc<MediaPacket>, is_newest: bool) {
    let State { core, transports, tracks, streams, forwarders, blocks } = state;
    let Some(stream) = streams.get(slot) else { return };
    let Some(track) = tracks.get(stream.track) else { return };
    blocks.clear();
    for receiver in &stream.receivers {
        let Some(forwarder) = forwarders.get_mut(*receiver) else { continue };
        let Some(transport) = transports.get_mut(forwarder.transport) else { continue };
        if pacing::holds(forwarder, transport, packet.now_ns) {
            pacing::hold(core, forwarder, CachedPacket::Media { packet: Arc::clone(packet), is_newest });
            continue;
        }
        if forwarder.layers.passes_at_once(&packet.info, packet.ext_seq)
            || routing::passes(core, forwarder, (stream, track.is_svc), packet, is_newest)
        {
            forwarder.forward(core, transport, packet.now_ns, packet, blocks);
        } else {
            forwarder.withhold(core, transport, packet.now_ns, packet);
        }
    }
}

/// The stream has a layer more than was known.
fn report_growth(state: &mut State, slot: StreamSlot) {
    let State { core, tracks, streams, forwarders, .. } = state;
    let Some(stream) = streams.get(slot) else { return };
    let Some(track) = tracks.get(stream.track) else { return };
    for receiver in stream.receivers.iter().chain(&stream.replaying) {
        let Some(forwarder) = forwarders.get_mut(*receiver) else { continue };
        routing::report(core, forwarder, Some((stream, track.is_svc)));
    }
}

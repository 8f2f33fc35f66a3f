//! Who gets which stream: begin, switch, stop, and the keyframes that this needs.

use std::collections::VecDeque;
use std::mem::take;

use crate::api::{
    DropReason, Event, HIGHEST_LAYER, InboundLayer, KEYFRAME_INTERVAL_NS, Kind, REPLAY_ALONE_NS, TrackConfig,
};
use crate::core::Core;
use crate::forwarder::Forwarder;
use crate::layers::ACTIVE_NS;
use crate::packet::MediaPacket;
use crate::rtcp::build_pli;
use crate::slab::Slab;
use crate::slots::{ForwarderSlot, StreamSlot, TrackSlot, TransportSlot};
use crate::state::State;
use crate::stream::InboundStream;
use crate::track::Track;

/// Between two keyframes asked of a publisher whose line has just had a queue.
const SLOW_INTERVAL_NS: i64 = 2_000_000_000;

/// Give the track its configuration and the streams for it; returns the streams that are no more.
pub(crate) fn configure(state: &mut State, slot: TrackSlot, config: TrackConfig) -> Vec<StreamSlot> {
    let Some(track) = state.tracks.get_mut(slot) else { return Vec::new() };
    let is_read_anew = config.payloads != track.config.payloads || config.extensions != track.config.extensions;
    let cache_bytes = if config.kind == Kind::Video { config.keyframe_cache_bytes } else { 0 };
    track.set_config(config);
    let old = std::mem::take(&mut track.streams);
    let layers = track.config.layers.clone();
    let is_alone = old.len() == 1 && layers.len() == 1;
    for (index, layer) in layers.into_iter().enumerate() {
        let stream = stream_for(&mut state.streams, slot, index as u32, layer, &old, is_alone);
        track.streams.push(stream);
        if let Some(stream) = state.streams.get_mut(stream) {
            stream.cache.set_limit(cache_bytes);
            if is_read_anew {
                stream.cache.clear();
            }
        }
    }
    let gone = old.into_iter().filter(|stream| !track.streams.contains(stream)).collect();
    for forwarder in if is_read_anew { forwarders_of(state, slot) } else { Vec::new() } {
        if state.forwarders.get(forwarder).is_some_and(|forwarder| forwarder.waiting() > 0) {
            // What waits would be read with the new ids.
            stop(state, forwarder);
        }
    }
    gone
}

/// The old stream that a layer goes on with, or a new one.
fn stream_for(
    streams: &mut Slab<StreamSlot, InboundStream>,
    track: TrackSlot,
    index: u32,
    layer: InboundLayer,
    old: &[StreamSlot],
    is_alone: bool,
) -> StreamSlot {
    let alone = is_alone && layer.rid.is_none() && layer.ssrc.is_none();
    for slot in old {
        let Some(stream) = streams.get_mut(*slot) else { continue };
        let by_rid = layer.rid.is_some() && stream.config.rid == layer.rid;
        let by_ssrc = layer.ssrc.is_some() && stream.ssrc == layer.ssrc;
        if by_rid || by_ssrc || (alone && stream.config.rid.is_none()) {
            stream.layer = index;
            stream.ssrc = stream.ssrc.or(layer.ssrc);
            stream.rtx_ssrc = stream.rtx_ssrc.or(layer.rtx_ssrc);
            stream.config = layer;
            return *slot;
        }
    }
    streams.insert(InboundStream::new(track, index, layer))
}

/// The stream is gone: nothing points to it any more, and who got it gets nothing.
pub(crate) fn forget_stream(state: &mut State, slot: StreamSlot) {
    state.core.keyframes_wanted.shift_remove(&slot);
    let Some(track_slot) = state.streams.get(slot).map(|stream| stream.track) else { return };
    let transport = state.tracks.get(track_slot).map(|track| track.transport);
    if let Some(transport) = transport.and_then(|slot| state.transports.get_mut(slot)) {
        transport.unbind(slot);
    }
    for forwarder in forwarders_of(state, track_slot) {
        let Some(state_of) = state.forwarders.get_mut(forwarder) else { continue };
        state_of.timeline.forget_source(slot);
        if state_of.desired == Some(slot) {
            state_of.desired = None;
        }
        if state_of.current == Some(slot) {
            stop(state, forwarder);
        }
    }
    state.streams.remove(slot);
}

/// The best active stream that is not above the target, else the lowest active one.
fn choose_stream(state: &State, track: &Track, target_spatial: u32) -> Option<StreamSlot> {
    let is_any_fresh = track.streams.iter().any(|slot| state.streams.get(*slot).is_some_and(|one| one.is_fresh));
    let mut lowest = None;
    let mut best = None;
    for slot in &track.streams {
        let Some(stream) = state.streams.get(*slot) else { continue };
        if stream.is_fresh || !is_any_fresh {
            lowest = lowest.or(Some(*slot));
            if stream.layer <= target_spatial {
                best = Some(*slot);
            }
        }
    }
    best.or(lowest)
}

/// Work out again what a subscription should get. The caller refreshes the track's routes afterwards.
pub(crate) fn refresh(state: &mut State, slot: ForwarderSlot) {
    let Some(forwarder) = state.forwarders.get(slot) else { return };
    let Some(track) = state.tracks.get(forwarder.track) else { return };
    let is_ready = state.transports.get(forwarder.transport).is_some_and(|transport| transport.is_ready());
    let is_stopped = forwarder.paused || track.muted || !is_ready;
    let desired = if is_stopped { None } else { choose_stream(state, track, forwarder.target_spatial) };
    // Simulcast layers are streams of their own: all that is inside of one is wanted.
    let inner = if track.is_svc { forwarder.target_spatial } else { HIGHEST_LAYER };
    let top_spatial = desired.and_then(|desired| state.streams.get(desired)).map_or(0, |stream| stream.top_spatial);
    let Some(forwarder) = state.forwarders.get_mut(slot) else { return };
    forwarder.desired = desired;
    if is_stopped {
        stop(state, slot);
        return;
    }
    let temporal = if forwarder.thinned_at_ns.is_none() { forwarder.target_temporal } else { 0 };
    forwarder.layers.set_target(inner, temporal);
    let Some(desired) = desired else { return };
    let (current, wants_spatial) = (forwarder.current, forwarder.layers.wants_spatial(top_spatial));
    let (Some(stream), Some(forwarder)) = (state.streams.get(desired), state.forwarders.get(slot)) else { return };
    if current != Some(desired) && can_replay(state, forwarder, stream) {
        let is_long = stream.cache.span_ns() > REPLAY_ALONE_NS as i64;
        state.core.replays.insert(slot);
        if is_long {
            want_keyframe(state, desired, false);
        }
    } else if current != Some(desired) || wants_spatial {
        want_keyframe(state, desired, false);
    }
}

/// Whether a subscription that does not get `stream` yet should begin with the cached keyframe of `stream`.
pub(crate) fn can_replay(state: &State, forwarder: &Forwarder, stream: &InboundStream) -> bool {
    if stream.cache.first().is_none() {
        return false;
    }
    let estimator = state.transports.get(forwarder.transport).and_then(|transport| transport.estimator.as_ref());
    let has_limit = estimator.is_some_and(|estimator| estimator.bitrate_bps().is_some());
    if has_limit && state.tracks.get(stream.track).is_some_and(|track| track.config.pli) {
        // The past in a hurry is what a narrow line takes least.
        return false;
    }
    if stream.cache.span_ns() <= REPLAY_ALONE_NS as i64 {
        return true;
    }
    let current = forwarder.current.and_then(|slot| state.streams.get(slot));
    current.is_none_or(|current| !state.is_active(current))
}

/// The same, and the routes of its track.
pub(crate) fn refresh_one(state: &mut State, slot: ForwarderSlot) {
    refresh(state, slot);
    if let Some(track) = state.forwarders.get(slot).map(|forwarder| forwarder.track) {
        refresh_routes(state, track);
    }
}

/// The transport became able to send, or unable: its subscriptions start or stop.
pub(crate) fn refresh_transport(state: &mut State, slot: TransportSlot) {
    let forwarders = state.transports.get(slot).map(|one| one.forwarders.clone()).unwrap_or_default();
    for forwarder in forwarders {
        refresh_one(state, forwarder);
    }
}

/// The same for every subscription of a track.
pub(crate) fn refresh_track(state: &mut State, slot: TrackSlot) {
    for forwarder in forwarders_of(state, slot) {
        refresh(state, forwarder);
    }
    refresh_routes(state, slot);
}

/// Work out again who receives and who waits for which stream of a track.
pub(crate) fn refresh_routes(state: &mut State, slot: TrackSlot) {
    let Some(track) = state.tracks.get(slot) else { return };
    for stream_slot in &track.streams {
        let Some(stream) = state.streams.get_mut(*stream_slot) else { continue };
        stream.receivers.clear();
        stream.waiting.clear();
        stream.replaying.clear();
        for forwarder_slot in &track.forwarders {
            let Some(forwarder) = state.forwarders.get(*forwarder_slot) else { continue };
            let is_current = forwarder.current == Some(*stream_slot);
            if is_current {
                let is_live = forwarder.replay.is_none();
                if is_live { &mut stream.receivers } else { &mut stream.replaying }.push(*forwarder_slot);
            } else if forwarder.desired == Some(*stream_slot) {
                stream.waiting.push(*forwarder_slot);
            }
        }
    }
}

/// The subscriptions of a track.
pub(crate) fn forwarders_of(state: &State, track: TrackSlot) -> Vec<ForwarderSlot> {
    state.tracks.get(track).map(|track| track.forwarders.clone()).unwrap_or_default()
}

/// The subscription gets nothing until the next keyframe of a stream.
pub(crate) fn stop(state: &mut State, slot: ForwarderSlot) {
    if let Some(forwarder) = state.forwarders.get_mut(slot)
        && forwarder.current.take().is_some()
    {
        forwarder.replay = None;
        forwarder.queue = None;
        report(&mut state.core, forwarder, None);
    }
}

/// The sequence of a stream begins anew: forget it, and let its receivers begin again at a keyframe.
pub(crate) fn restart(state: &mut State, slot: StreamSlot) {
    let Some(stream) = state.streams.get_mut(slot) else { return };
    stream.reset();
    let mut receivers = take(&mut stream.receivers);
    receivers.append(&mut stream.replaying);
    let track = stream.track;
    for forwarder in forwarders_of(state, track) {
        if let Some(forwarder) = state.forwarders.get_mut(forwarder) {
            forwarder.timeline.forget_source(slot);
        }
    }
    for forwarder in receivers {
        stop(state, forwarder);
        want_keyframe(state, slot, false);
    }
    refresh_routes(state, track);
}

/// `packet` begins a keyframe of the stream in `slot`: everyone who waits for that goes over now, or is still catching up.
pub(crate) fn begin_waiting(state: &mut State, slot: StreamSlot, packet: &MediaPacket) {
    let Some(stream) = state.streams.get(slot) else { return };
    let track = stream.track;
    for forwarder in [&stream.waiting[..], &stream.replaying].concat() {
        if state.forwarders.get(forwarder).is_some_and(|forwarder| forwarder.knows(packet.payload_type)) {
            begin(state, packet.now_ns, forwarder, slot, packet);
        } else {
            state.core.drop_one(DropReason::NoPayloadForSubscriber);
        }
    }
    refresh_routes(state, track);
}

/// The subscription goes over to `stream` with `packet`. The caller refreshes the track's routes afterwards.
pub(crate) fn begin(
    state: &mut State,
    now_ns: i64,
    slot: ForwarderSlot,
    stream_slot: StreamSlot,
    packet: &MediaPacket,
) {
    let Some(forwarder) = state.forwarders.get_mut(slot) else { return };
    let Some(stream) = state.streams.get(stream_slot) else { return };
    let is_svc = state.tracks.get(stream.track).is_some_and(|track| track.is_svc);
    let old = forwarder.timeline.source().and_then(|source| state.streams.get(source));
    forwarder.begin(now_ns, stream_slot, stream, packet, old.and_then(|old| old.sender_report));
    let is_video = state.tracks.get(stream.track).is_some_and(|track| track.is_video());
    forwarder.queue = is_video.then(VecDeque::new);
    report(&mut state.core, forwarder, Some((stream, is_svc)));
}

/// Whether the layers that a subscription gets include this packet of `stream`, its current stream.
pub(crate) fn passes(
    core: &mut Core,
    forwarder: &mut Forwarder,
    stream: (&InboundStream, bool),
    packet: &MediaPacket,
    is_newest: bool,
) -> bool {
    let passed = forwarder.layers.passes(&packet.info, packet.ext_seq, is_newest, &stream.0.tops());
    report(core, forwarder, Some(stream));
    passed
}

/// Tell which layer a subscription gets, if that is news. `stream` is its current stream, and whether it is an SVC one.
pub(crate) fn report(core: &mut Core, forwarder: &mut Forwarder, stream: Option<(&InboundStream, bool)>) {
    let layer = stream.map(|(stream, is_svc)| {
        let spatial = if is_svc { forwarder.layers.max_spatial.min(stream.top_spatial) } else { stream.layer };
        (spatial, forwarder.layers.max_temporal.min(stream.top_temporal))
    });
    if layer != forwarder.reported {
        forwarder.reported = layer;
        core.events.push_back(Event::LayerChanged { subscription: forwarder.handle, layer });
    }
}

/// Notice streams of a track that have stopped.
pub(crate) fn refresh_activity(state: &mut State, now_ns: i64, slot: TrackSlot) {
    let Some(track) = state.tracks.get(slot) else { return };
    let mut has_changed = false;
    for stream in &track.streams {
        if let Some(stream) = state.streams.get_mut(*stream)
            && stream.is_fresh
            && now_ns - stream.last_packet_at_ns >= ACTIVE_NS
        {
            stream.is_fresh = false;
            has_changed = true;
        }
    }
    if has_changed {
        refresh_track(state, slot);
    }
}

/// Ask the publisher for a keyframe, again and again until there is one. What is asked for (by a subscriber, by command,
/// by a broken sequence) counts until then; else it counts as long as a subscription waits.
pub(crate) fn want_keyframe(state: &mut State, slot: StreamSlot, is_asked: bool) {
    let track = state.streams.get(slot).and_then(|stream| state.tracks.get(stream.track));
    if track.is_some_and(Track::is_video) {
        *state.core.keyframes_wanted.entry(slot).or_insert(false) |= is_asked;
    }
}

/// PLIs that are due (RFC 4585 §6.3.1). Nothing is asked of a muted track or of a layer that has stopped.
pub(crate) fn send_keyframe_requests(state: &mut State, now_ns: i64) {
    let mut needless = Vec::new();
    for index in 0..state.core.keyframes_wanted.len() {
        let Some((slot, is_asked)) = state.core.keyframes_wanted.get_index(index).map(|(slot, asked)| (*slot, *asked))
        else {
            continue;
        };
        let track = state.streams.get(slot).and_then(|stream| state.tracks.get(stream.track));
        state.core.working_for = track.map(|track| track.transport);
        match decide_request(state, now_ns, slot, is_asked) {
            Request::NotNow => (),
            Request::Needless => needless.push(slot),
            Request::Send(ssrc) => send_pli(state, now_ns, slot, ssrc),
        }
    }
    for slot in needless {
        state.core.keyframes_wanted.shift_remove(&slot);
    }
}

enum Request {
    NotNow,
    Needless,
    /// To this SSRC.
    Send(u32),
}

fn decide_request(state: &State, now_ns: i64, slot: StreamSlot, is_asked: bool) -> Request {
    let Some(stream) = state.streams.get(slot) else { return Request::Needless };
    let Some(track) = state.tracks.get(stream.track) else { return Request::Needless };
    let brake = state.transports.get(track.transport).and_then(|transport| transport.brake.as_ref());
    // Where pictures wait at the publisher, the one that was asked for may be among them.
    let is_slow = brake.is_some_and(|brake| brake.is_recent(now_ns));
    let interval_ns = if is_slow { SLOW_INTERVAL_NS } else { KEYFRAME_INTERVAL_NS as i64 };
    if stream.last_pli_at_ns.is_some_and(|last_ns| now_ns - last_ns < interval_ns) {
        return Request::NotNow;
    }
    let wants_spatial = |slot: &ForwarderSlot| {
        state.forwarders.get(*slot).is_some_and(|forwarder| forwarder.layers.wants_spatial(stream.top_spatial))
    };
    let is_awaited = is_asked || !stream.waiting.is_empty() || !stream.replaying.is_empty();
    if !track.config.pli || !is_awaited && !stream.receivers.iter().any(wants_spatial) {
        return Request::Needless;
    }
    let is_ready = state.transports.get(track.transport).is_some_and(|transport| transport.is_ready());
    match stream.ssrc {
        Some(ssrc) if !track.muted && is_ready && state.is_active(stream) => Request::Send(ssrc),
        _ => Request::NotNow,
    }
}

fn send_pli(state: &mut State, now_ns: i64, slot: StreamSlot, ssrc: u32) {
    let Some(stream) = state.streams.get_mut(slot) else { return };
    stream.last_pli_at_ns = Some(now_ns);
    stream.plis_sent += 1;
    let Some(track) = state.tracks.get(stream.track) else { return };
    let Some(transport) = state.transports.get_mut(track.transport) else { return };
    let mut pli = Vec::new();
    build_pli(&mut pli, transport.local_ssrc, ssrc);
    transport.send_rtcp(&mut state.core, pli);
}

//! One published track: its streams, payload types, extension ids, and who subscribes to it.

use std::sync::Arc;

use crate::api::{Codec, Extension, ExtensionIds, InboundLayer, InboundPayload, Kind, TrackConfig, TrackHandle};
use crate::levels::LevelMeter;
use crate::packet::ExtensionPlan;
use crate::policing::TokenBucket;
use crate::slab::Slab;
use crate::state::State;
use crate::stream::InboundStream;

/// State of one track. `configure` may be called again; streams that stay keep their state.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) handle: TrackHandle,
    /// Slot of the transport.
    pub(crate) transport: u32,
    pub(crate) config: TrackConfig,
    pub(crate) muted: bool,
    pub(crate) levels: LevelMeter,
    /// Slots, by layer.
    pub(crate) streams: Vec<u32>,
    /// Slots, in order of their handles.
    pub(crate) forwarders: Vec<u32>,
    pub(crate) has_rids: bool,
    pub(crate) is_svc: bool,
    plans: Vec<Arc<ExtensionPlan>>,
    pub(crate) bit_bucket: TokenBucket,
}

impl Track {
    pub(crate) fn new(transport: u32, handle: TrackHandle, config: TrackConfig) -> Self {
        let mut track = Self {
            handle,
            transport,
            bit_bucket: TokenBucket::new(config.max_bitrate_bps),
            config,
            muted: false,
            levels: LevelMeter::default(),
            streams: Vec::new(),
            forwarders: Vec::new(),
            has_rids: false,
            is_svc: false,
            plans: Vec::new(),
        };
        track.refresh_derived();
        track
    }

    fn refresh_derived(&mut self) {
        let is_svc_codec = |payload: &InboundPayload| matches!(payload.codec, Codec::Vp9 | Codec::Av1);
        self.has_rids = self.config.layers.iter().any(|layer| layer.rid.is_some());
        self.is_svc = self.config.layers.len() == 1 && self.config.payloads.iter().any(is_svc_codec);
    }

    pub(crate) fn is_video(&self) -> bool {
        self.config.kind == Kind::Video
    }

    /// Id of an extension on the publisher's side, or 0.
    pub(crate) fn id(&self, extension: Extension) -> u8 {
        self.config.extensions.get(extension)
    }

    pub(crate) fn media(&self, payload_type: u8) -> Option<&InboundPayload> {
        self.config.payloads.iter().find(|payload| payload.payload_type == payload_type)
    }

    /// The payload type that an RTX payload type stands for.
    pub(crate) fn rtx(&self, payload_type: u8) -> Option<u8> {
        let payloads = self.config.payloads.iter();
        payloads.filter(|one| one.rtx_payload_type == Some(payload_type)).map(|one| one.payload_type).next()
    }

    /// The shared plan for a subscriber with these extension ids.
    pub(crate) fn plan(&mut self, outbound: &ExtensionIds) -> Arc<ExtensionPlan> {
        let plan = ExtensionPlan::new(&self.config.extensions, outbound);
        if let Some(known) = self.plans.iter().find(|known| ***known == plan) {
            return Arc::clone(known);
        }
        let plan = Arc::new(plan);
        self.plans.retain(|known| Arc::strong_count(known) > 1);
        self.plans.push(Arc::clone(&plan));
        plan
    }
}

/// Give the track its configuration and the streams for it; returns the slots of the streams that are no more.
pub(crate) fn configure(state: &mut State, slot: u32, config: TrackConfig) -> Vec<u32> {
    let Some(track) = state.tracks.get_mut(slot) else { return Vec::new() };
    track.bit_bucket = TokenBucket::new(config.max_bitrate_bps);
    let is_read_anew = config.payloads != track.config.payloads || config.extensions != track.config.extensions;
    let cache_bytes = if config.kind == Kind::Video { config.keyframe_cache_bytes } else { 0 };
    track.config = config;
    track.plans.clear();
    track.refresh_derived();
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
    old.into_iter().filter(|stream| !track.streams.contains(stream)).collect()
}

/// The old stream that a layer goes on with, or a new one.
fn stream_for(
    streams: &mut Slab<InboundStream>,
    track: u32,
    index: u32,
    layer: InboundLayer,
    old: &[u32],
    is_alone: bool,
) -> u32 {
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

/// Work out again who receives and who waits for which stream of a track.
pub(crate) fn refresh_routes(state: &mut State, slot: u32) {
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

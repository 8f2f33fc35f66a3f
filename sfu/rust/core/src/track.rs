//! One published track: its streams, payload types, extension ids, and who subscribes to it.

use std::sync::Arc;

use crate::api::{Codec, Extension, ExtensionIds, InboundPayload, Kind, TrackConfig, TrackHandle};
use crate::levels::LevelMeter;
use crate::packet::ExtensionPlan;
use crate::policing::TokenBucket;
use crate::slots::{ForwarderSlot, StreamSlot, TransportSlot};

/// State of one track.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) handle: TrackHandle,
    pub(crate) transport: TransportSlot,
    pub(crate) config: TrackConfig,
    pub(crate) muted: bool,
    /// Some subscription has wanted redundancy: frames are remembered.
    pub(crate) makes_red: bool,
    pub(crate) levels: LevelMeter,
    /// By layer.
    pub(crate) streams: Vec<StreamSlot>,
    /// In order of their handles.
    pub(crate) forwarders: Vec<ForwarderSlot>,
    pub(crate) has_rids: bool,
    pub(crate) is_svc: bool,
    plans: Vec<Arc<ExtensionPlan>>,
    pub(crate) bit_bucket: TokenBucket,
}

impl Track {
    pub(crate) fn new(transport: TransportSlot, handle: TrackHandle, config: TrackConfig) -> Self {
        let mut track = Self {
            handle,
            transport,
            bit_bucket: TokenBucket::new(config.max_bitrate_bps),
            config,
            muted: false,
            makes_red: false,
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

    /// The streams are for the caller to bring in line.
    pub(crate) fn set_config(&mut self, config: TrackConfig) {
        self.bit_bucket = TokenBucket::new(config.max_bitrate_bps);
        self.config = config;
        self.plans.clear();
        self.refresh_derived();
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

//! One association with a peer: keys, paths, SSRC bindings and counters.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::api::{Error, MAX_PATHS, Path, SrtpKeys, TransportConfig, TransportHandle};
use crate::congestion::brake::Brake;
use crate::congestion::estimate::Estimator;
use crate::congestion::rtp_numbers::RtpNumbers;
use crate::congestion_feedback::{Arrived, REPORT_WRAP_NS};
use crate::core::Core;
use crate::policing::TokenBucket;
use crate::seqnum::{ReplayWindow, SeqExtender};
use crate::slots::{ForwarderSlot, Slot, StreamSlot, TrackSlot, TransportSlot};
use crate::srtp::SrtpContext;
use crate::stun::Ice;
use crate::transmit::{Outlet, RtpMade, RtpOut, Transmit};
use crate::twcc::ArrivalRecorder;

/// Outbound SSRCs whose last number is remembered under the present keys, so that no nonce is ever used twice.
pub(crate) const MAX_RETIRED_SSRCS: usize = 4096;

/// Where an SSRC that a subscription had stood at its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetiredSsrc {
    pub(crate) ext_seq: i64,
    /// The last timestamp and when it left; None: it never sent media.
    pub(crate) last_sent: Option<(u32, i64)>,
}

/// SRTP state of one inbound SSRC under the present keys.
#[derive(Debug, Default)]
pub(crate) struct ReceiveContext {
    pub(crate) extender: SeqExtender,
    pub(crate) window: ReplayWindow,
}

/// What an authenticated SSRC of a transport is: a stream's media or its RTX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) stream: StreamSlot,
    pub(crate) is_rtx: bool,
}

/// Keys and what was made of them.
#[derive(Debug)]
struct Security {
    keys: SrtpKeys,
    tx: Arc<SrtpContext>,
    /// The same keys once more: RTCP counts its packets, RTP is sealed on other threads.
    tx_rtcp: SrtpContext,
}

/// State of one transport; output goes through it so that it is counted.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) handle: TransportHandle,
    slot: TransportSlot,
    pub(crate) config: TransportConfig,
    pub(crate) local_ssrc: u32,
    security: Option<Security>,
    pub(crate) rx: Option<SrtpContext>,
    path: Option<Path>,
    ice: Option<Ice>,
    /// The engine failed while it worked for this transport: it has no paths any more and gets none.
    pub(crate) is_failed: bool,
    /// A test asked for a fault.
    pub(crate) is_faulty: bool,
    /// Keys and path, when both are there: only then anything leaves.
    outlet: Option<Arc<Outlet>>,
    /// Oldest first.
    pub(crate) paths: Vec<Path>,
    /// In order of their handles.
    pub(crate) tracks: Vec<TrackSlot>,
    /// In order of their handles.
    pub(crate) forwarders: Vec<ForwarderSlot>,
    pub(crate) forwarders_by_ssrc: IndexMap<u32, ForwarderSlot>,
    pub(crate) bindings: IndexMap<u32, Binding>,
    /// By SSRC: of tracks that were removed as well, so that nothing can be replayed when the SSRC comes back and its
    /// rollover counter is still right.
    pub(crate) contexts: IndexMap<u32, ReceiveContext>,
    /// By SSRC. The first track to name one has it.
    pub(crate) declared: IndexMap<u32, Binding>,
    pub(crate) has_mid: bool,
    pub(crate) packet_bucket: TokenBucket,
    pub(crate) bit_bucket: TokenBucket,
    pub(crate) feedback_bucket: TokenBucket,
    pub(crate) arrivals: ArrivalRecorder,
    /// Once a packet with a send time has arrived whose publisher gets transport-wide feedback.
    pub(crate) brake: Option<Box<Brake>>,
    twcc_seq: u16,
    /// Once something leaves with a transport-wide number.
    pub(crate) estimator: Option<Box<Estimator>>,
    /// Once something leaves that the peer reports on by its RTP number.
    rtp_numbers: Option<Box<RtpNumbers>>,
    /// The line has shown a limit, or nothing is known of it yet: video to it waits for its turn.
    pub(crate) is_paced: bool,
    wanted_bps: i64,
    pub(crate) last_media_ssrc: u32,
    pub(crate) retired_ssrcs: IndexMap<u32, RetiredSsrc>,
    pub(crate) next_report_at_ns: Option<i64>,
    pub(crate) remb_bps: Option<u64>,
    pub(crate) packets_received: u64,
    pub(crate) bytes_received: u64,
    pub(crate) packets_sent: u64,
    pub(crate) bytes_sent: u64,
}

impl Transport {
    /// Something is about to be done for this transport.
    pub(crate) fn work(&self) {
        assert!(!self.is_faulty, "a fault that a test asked for");
    }

    pub(crate) fn new(handle: TransportHandle, config: TransportConfig, local_ssrc: u32) -> Self {
        Self {
            handle,
            slot: TransportSlot::at(0),
            local_ssrc,
            security: None,
            rx: None,
            path: None,
            ice: None,
            is_failed: false,
            is_faulty: false,
            outlet: None,
            paths: Vec::new(),
            tracks: Vec::new(),
            forwarders: Vec::new(),
            forwarders_by_ssrc: IndexMap::new(),
            bindings: IndexMap::new(),
            contexts: IndexMap::new(),
            declared: IndexMap::new(),
            has_mid: false,
            packet_bucket: TokenBucket::new(config.max_packets_per_s),
            bit_bucket: TokenBucket::new(config.max_bitrate_bps),
            feedback_bucket: TokenBucket::new(config.max_feedback_per_s),
            config,
            arrivals: ArrivalRecorder::default(),
            brake: None,
            twcc_seq: 0,
            estimator: None,
            rtp_numbers: None,
            is_paced: false,
            wanted_bps: 0,
            last_media_ssrc: 0,
            retired_ssrcs: IndexMap::new(),
            next_report_at_ns: None,
            remb_bps: None,
            packets_received: 0,
            bytes_received: 0,
            packets_sent: 0,
            bytes_sent: 0,
        }
    }

    /// The slot is known once the transport lies in its table.
    pub(crate) fn set_slot(&mut self, slot: TransportSlot) {
        self.slot = slot;
        self.refresh_outlet();
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.outlet.is_some()
    }

    pub(crate) fn keys(&self) -> Option<&SrtpKeys> {
        self.security.as_ref().map(|security| &security.keys)
    }

    /// Nothing has changed after an error.
    pub(crate) fn install(&mut self, keys: SrtpKeys) -> Result<(), Error> {
        let invalid = |_| Error::InvalidKeys(keys.profile);
        let rx = SrtpContext::new(keys.profile, &keys.rx_key, &keys.rx_salt).map_err(invalid)?;
        let tx = Arc::new(SrtpContext::new(keys.profile, &keys.tx_key, &keys.tx_salt).map_err(invalid)?);
        let tx_rtcp = SrtpContext::new(keys.profile, &keys.tx_key, &keys.tx_salt).map_err(invalid)?;
        self.rx = Some(rx);
        self.security = Some(Security { keys, tx, tx_rtcp });
        self.refresh_outlet();
        self.retired_ssrcs.clear();
        self.contexts = self.bindings.keys().map(|ssrc| (*ssrc, ReceiveContext::default())).collect();
        Ok(())
    }

    pub(crate) fn set_path(&mut self, path: Path) {
        self.path = Some(path);
        self.refresh_outlet();
    }

    fn refresh_outlet(&mut self) {
        self.outlet = match (&self.security, self.path) {
            (Some(security), Some(path)) => {
                Some(Arc::new(Outlet { transport: self.slot, path, srtp: Arc::clone(&security.tx) }))
            }
            _ => None,
        };
    }

    /// Allow `path`; returns the path that had to be forgotten for it.
    pub(crate) fn add_path(&mut self, path: Path) -> Option<Path> {
        if self.paths.contains(&path) {
            return None;
        }
        let mut forgotten = None;
        if self.paths.len() >= MAX_PATHS
            && let Some(oldest) = self.paths.iter().position(|old| Some(*old) != self.path)
        {
            forgotten = Some(self.paths.remove(oldest));
        }
        self.paths.push(path);
        forgotten
    }

    pub(crate) fn drop_path(&mut self, path: &Path) {
        self.paths.retain(|one| one != path);
        if self.path.as_ref() == Some(path) {
            self.path = None;
            self.refresh_outlet();
        }
    }

    /// No output from now on, and no new paths.
    pub(crate) fn fail(&mut self) {
        self.is_failed = true;
        self.path = None;
        self.refresh_outlet();
    }

    pub(crate) fn set_ice(&mut self, mut ice: Ice) {
        if let Some(before) = self.ice.take() {
            ice.take_over(before);
        }
        self.ice = Some(ice);
    }

    pub(crate) fn ice(&self) -> Option<&Ice> {
        self.ice.as_ref()
    }

    /// Answers a binding request on the path that media takes; false: the control plane has to look at it.
    pub(crate) fn answer_check(&mut self, core: &mut Core, now_ns: i64, path: &Path, data: &[u8]) -> bool {
        let (Some(outlet), Some(ice)) = (&self.outlet, &mut self.ice) else { return false };
        if outlet.path != *path {
            return false;
        }
        let Some(reply) = ice.answer(now_ns, path.remote, data) else { return false };
        core.checks_answered += 1;
        core.outgoing.push(Transmit::sealed(outlet, reply));
        true
    }

    /// `ssrc` has proved to be what `binding` says; its SRTP state is `context` from now on.
    pub(crate) fn bind(&mut self, ssrc: u32, binding: Binding) {
        self.bindings.insert(ssrc, binding);
        self.contexts.entry(ssrc).or_default();
        if self.contexts.len() > 2 * self.config.max_ssrcs as usize
            && let Some(oldest) = self.contexts.keys().position(|old| !self.bindings.contains_key(old))
        {
            self.contexts.shift_remove_index(oldest);
        }
    }

    pub(crate) fn unbind(&mut self, stream: StreamSlot) {
        self.bindings.retain(|_, binding| binding.stream != stream);
    }

    pub(crate) fn retire_ssrc(&mut self, ssrc: u32, last: RetiredSsrc) {
        self.retired_ssrcs.insert(ssrc, last);
        if self.retired_ssrcs.len() > MAX_RETIRED_SSRCS {
            self.retired_ssrcs.shift_remove_index(0);
        }
    }

    /// Where an SSRC that this transport has used before ended: who takes it over goes on from there, since a nonce must
    /// never repeat.
    pub(crate) fn resume_ssrc(&mut self, ssrc: u32) -> Option<RetiredSsrc> {
        self.retired_ssrcs.shift_remove(&ssrc)
    }

    /// The next transport-wide number, for a packet with that much payload.
    #[inline]
    pub(crate) fn take_twcc_seq(&mut self, now_ns: i64, payload_bytes: usize) -> u16 {
        self.twcc_seq = self.twcc_seq.wrapping_add(1);
        self.estimator().sent(now_ns, payload_bytes);
        self.twcc_seq
    }

    /// A packet with that much payload leaves, which takes a transport-wide number and does not carry it.
    pub(crate) fn number_rtp(&mut self, now_ns: i64, payload_bytes: usize, ssrc: u32, ext_seq: i64) {
        let number = self.take_twcc_seq(now_ns, payload_bytes);
        self.rtp_numbers.get_or_insert_default().add(ssrc, ext_seq as u16, number);
    }

    /// What the peer says of packets by their RTP numbers.
    pub(crate) fn take_congestion_feedback(&mut self, now_ns: i64, received: &[Arrived]) {
        let (Some(numbers), Some(estimator)) = (&self.rtp_numbers, &mut self.estimator) else { return };
        let (timed, untimed) = numbers.resolve(self.twcc_seq, received);
        estimator.handle_feedback(now_ns, &timed, REPORT_WRAP_NS, &untimed);
    }

    fn estimator(&mut self) -> &mut Estimator {
        self.estimator.get_or_insert_with(|| {
            let mut estimator = Box::new(Estimator::new(self.twcc_seq));
            estimator.probe.wanted_bps = self.wanted_bps;
            estimator
        })
    }

    /// A packet with a transport-wide number has arrived, of `size` bytes on the line.
    #[inline]
    pub(crate) fn watch_line(&mut self, now_ns: i64, size: u32, send_time: Option<&[u8]>) {
        if send_time.is_some() && self.brake.is_none() {
            self.brake = Some(Box::default());
        }
        if let Some(brake) = &mut self.brake {
            brake.arrived(now_ns, size, send_time);
        }
    }

    /// Whether the publisher is to be told something of its line, soon.
    #[inline]
    pub(crate) fn has_pressing_brake(&self) -> bool {
        self.brake.as_ref().is_some_and(|brake| brake.is_pressing())
    }

    /// What there is use for.
    pub(crate) fn set_wanted_bps(&mut self, wanted_bps: i64) {
        self.wanted_bps = wanted_bps;
        if let Some(estimator) = &mut self.estimator {
            estimator.probe.wanted_bps = wanted_bps;
        }
    }

    fn queue(&mut self, core: &mut Core, transmit: Transmit) {
        self.packets_sent += 1;
        self.bytes_sent += transmit.size() as u64;
        core.outgoing.push(transmit);
    }

    /// Queue a packet on the current path; nothing happens before keys and path are there.
    pub(crate) fn send_rtp(&mut self, core: &mut Core, rtp: RtpOut) {
        if let Some(outlet) = &self.outlet {
            let transmit = Transmit::rtp(outlet, rtp);
            self.queue(core, transmit);
        }
    }

    /// The same for a packet that was made here.
    pub(crate) fn send_made(&mut self, core: &mut Core, rtp: RtpMade) {
        if let Some(outlet) = &self.outlet {
            let transmit = Transmit::made(outlet, rtp);
            self.queue(core, transmit);
        }
    }

    /// Protect and queue a compound RTCP packet; nothing happens before keys and path are there.
    pub(crate) fn send_rtcp(&mut self, core: &mut Core, mut compound: Vec<u8>) {
        if let (Some(outlet), Some(security)) = (&self.outlet, &mut self.security)
            && security.tx_rtcp.protect_rtcp(&mut compound)
        {
            let transmit = Transmit::sealed(outlet, compound);
            self.queue(core, transmit);
        }
    }
}

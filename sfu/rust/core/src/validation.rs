//! Misuse of commands, told apart from bad input: these are errors.

use crate::api::{
    Error, ExtensionIds, MAX_FEC_PACKETS, MAX_REDUNDANCY, MAX_REDUNDANCY_STEP, OutboundPayload, SubscriptionConfig,
    TrackConfig, TransportConfig,
};

const MAX_PAYLOAD_TYPE: u8 = 127;
const MAX_NAME_BYTES: usize = 255;

fn refuse(message: &'static str) -> Result<(), Error> {
    Err(Error::InvalidConfig(message))
}

fn are_different<T: PartialEq>(values: &[T]) -> bool {
    values.iter().enumerate().all(|(index, value)| values.iter().skip(index + 1).all(|other| other != value))
}

pub(crate) fn check_transport(config: &TransportConfig) -> Result<(), Error> {
    if config.max_ssrcs < 1 {
        return refuse("a transport needs room for one SSRC and rates that are not negative");
    }
    Ok(())
}

pub(crate) fn check_track(config: &TrackConfig) -> Result<(), Error> {
    if config.layers.is_empty() || config.payloads.is_empty() {
        return refuse("a track needs a layer and a payload type");
    }
    let mut types: Vec<u8> = config.payloads.iter().map(|payload| payload.payload_type).collect();
    types.extend(config.payloads.iter().filter_map(|payload| payload.rtx_payload_type));
    if types.iter().any(|payload_type| *payload_type > MAX_PAYLOAD_TYPE) || !are_different(&types) {
        return refuse("payload types of a track are different and 0..127");
    }
    if config.payloads.iter().any(|payload| payload.clock_rate == 0) {
        return refuse("clock rates are positive");
    }
    check_extensions(&config.extensions)
}

/// `taken` tells whether another subscription of the transport has an SSRC: nonces would repeat.
pub(crate) fn check_subscription(config: &SubscriptionConfig, taken: impl Fn(u32) -> bool) -> Result<(), Error> {
    let fec_ssrc = config.fec.map(|(ssrc, _)| ssrc);
    if !are_different(&[Some(config.ssrc), config.rtx_ssrc, fec_ssrc].into_iter().flatten().collect::<Vec<_>>()) {
        return refuse("SSRCs are different and have 32 bits");
    }
    if [Some(config.ssrc), config.rtx_ssrc, fec_ssrc].into_iter().flatten().any(taken) {
        return refuse("the SSRC is in use on this transport");
    }
    check_payloads(&config.payloads)?;
    if config.fec.is_some_and(|(_, payload_type)| payload_type > MAX_PAYLOAD_TYPE) {
        return refuse("payload types are 0..127");
    }
    if config.mid.len() > MAX_NAME_BYTES || config.cname.len() > MAX_NAME_BYTES {
        return refuse("MID and CNAME have at most 255 bytes");
    }
    check_extensions(&config.extensions)
}

pub(crate) fn check_payloads(payloads: &[(u8, OutboundPayload)]) -> Result<(), Error> {
    let is_too_high = |payload_type: u8| payload_type > MAX_PAYLOAD_TYPE;
    for (_, one) in payloads {
        let types = [one.payload_type, one.frame_type];
        if types.into_iter().chain(one.rtx_payload_type).any(is_too_high) {
            return refuse("payload types are 0..127");
        }
    }
    if payloads.iter().any(|(_, one)| usize::from(one.redundancy) > MAX_REDUNDANCY) {
        return refuse("redundancy is 0..3 frames");
    }
    if payloads.iter().any(|(_, one)| !(1..=MAX_REDUNDANCY_STEP).contains(&usize::from(one.redundancy_step))) {
        return refuse("frames of redundancy are 1..4 apart");
    }
    Ok(())
}

pub(crate) fn check_fec(packets: u32) -> Result<(), Error> {
    if packets == 0 || (2..=MAX_FEC_PACKETS).contains(&packets) {
        Ok(())
    } else {
        refuse("2..15 packets share a repair packet")
    }
}

fn check_extensions(extensions: &ExtensionIds) -> Result<(), Error> {
    let ids: Vec<u8> = extensions.ids().collect();
    if are_different(&ids) { Ok(()) } else { refuse("extension ids are different and 1..255") }
}

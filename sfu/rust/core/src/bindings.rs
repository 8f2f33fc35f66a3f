//! Which stream a packet of an unknown SSRC belongs to.

use crate::api::Extension;
use crate::rtp::RtpHeader;
use crate::slots::{StreamSlot, TransportSlot};
use crate::state::State;
use crate::track::Track;
use crate::transport::{Binding, Transport};

/// What an unknown SSRC would be, by declaration, MID and RID, or payload type (RFC 8843 §9.2).
pub(crate) fn find_binding(state: &State, transport: &Transport, header: &RtpHeader, data: &[u8]) -> Option<Binding> {
    if let Some(declared) = transport.declared.get(&header.ssrc) {
        return Some(*declared);
    }
    let mut tracks = transport.tracks.iter().filter_map(|slot| state.tracks.get(*slot));
    let track = if transport.has_mid {
        tracks.find(|track| {
            let mid = header.extension(data, track.id(Extension::Mid));
            mid.is_some() && mid == track.config.mid.as_deref().map(str::as_bytes)
        })?
    } else {
        let payload_type = header.payload_type;
        let mut having =
            tracks.filter(|track| track.media(payload_type).is_some() || track.rtx(payload_type).is_some());
        let track = having.next()?;
        if having.next().is_some() {
            return None;
        }
        track
    };
    find_layer(state, track, header, data)
}

/// The stream of a packet of this track, by RID or repaired RID (RFC 8852).
fn find_layer(state: &State, track: &Track, header: &RtpHeader, data: &[u8]) -> Option<Binding> {
    let is_rtx_type = track.rtx(header.payload_type).is_some();
    if track.has_rids {
        let repaired = header.extension(data, track.id(Extension::RepairedRid));
        if let Some(rid) = repaired.or_else(|| header.extension(data, track.id(Extension::Rid))) {
            let is_named = |slot: &&StreamSlot| {
                let config = state.streams.get(**slot).map(|stream| &stream.config);
                config.and_then(|config| config.rid.as_deref()).is_some_and(|one| one.as_bytes() == rid)
            };
            let stream = *track.streams.iter().find(is_named)?;
            return Some(Binding { stream, is_rtx: repaired.is_some() || is_rtx_type });
        }
    }
    match track.streams.as_slice() {
        [stream] => Some(Binding { stream: *stream, is_rtx: is_rtx_type }),
        _ => None,
    }
}

/// Work out again which SSRCs and MIDs the tracks of a transport declare.
pub(crate) fn refresh_declared(state: &mut State, slot: TransportSlot) {
    let State { transports, tracks, streams, .. } = state;
    let Some(transport) = transports.get_mut(slot) else { return };
    transport.declared.clear();
    transport.has_mid = false;
    for track in transport.tracks.iter().filter_map(|slot| tracks.get(*slot)) {
        transport.has_mid |= track.id(Extension::Mid) != 0;
        for stream in &track.streams {
            let Some(config) = streams.get(*stream).map(|stream| &stream.config) else { continue };
            for (ssrc, is_rtx) in [(config.ssrc, false), (config.rtx_ssrc, true)] {
                if let Some(ssrc) = ssrc {
                    transport.declared.entry(ssrc).or_insert(Binding { stream: *stream, is_rtx });
                }
            }
        }
    }
}

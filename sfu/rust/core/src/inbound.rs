//! The way of an RTP packet from its transport to the fan-out. Cheap checks come before cryptography.

use std::sync::Arc;

use crate::api::{Codec, DropReason, Event, Extension, OVERHEAD_BYTES};
use crate::bindings::find_binding;
use crate::codecs::describe;
use crate::dependency_descriptor::FRAME_NUMBER_BITS;
use crate::fan_out::{fan_out, withhold};
use crate::packet::{MediaPacket, Redundancy, Span};
use crate::red::{FrameHistory, parse, primary};
use crate::routing;
use crate::rtcp::build_nack;
use crate::rtp::{RtpHeader, parse_audio_level, parse_header};
use crate::seqnum::{Freshness, SeqExtender};
use crate::slots::{StreamSlot, TrackSlot, TransportSlot};
use crate::state::State;
use crate::stream::Arrival;
use crate::transport::Binding;

/// A packet that has passed the checks that need no cryptography.
struct Admitted {
    header: RtpHeader,
    binding: Binding,
    is_bound: bool,
    track: TrackSlot,
    ext_seq: i64,
    /// Size of the datagram.
    bits: u64,
}

/// A packet in its own sequence space: after decryption, and RTX unwrap if it was one.
struct Incoming {
    header: RtpHeader,
    /// The datagram, decrypted.
    data: Vec<u8>,
    payload_type: u8,
    ext_seq: i64,
    /// None when the padding lies.
    payload: Option<Span>,
}

/// One datagram that looks like SRTP, from a path of the transport in `slot`.
pub(crate) fn handle_rtp(state: &mut State, now_ns: i64, slot: TransportSlot, data: &[u8]) {
    let received =
        admit(state, now_ns, slot, data).and_then(|admitted| Ok((unprotect(state, slot, &admitted, data)?, admitted)));
    match received {
        Err(reason) => state.core.drop_one(reason),
        Ok((packet, admitted)) => accept_authentic(state, now_ns, slot, &admitted, packet),
    }
}

fn admit(state: &mut State, now_ns: i64, slot: TransportSlot, data: &[u8]) -> Result<Admitted, DropReason> {
    let transport = state.transports.get(slot).ok_or(DropReason::UnknownPath)?;
    if transport.rx.is_none() {
        return Err(DropReason::NoKeys);
    }
    let header = parse_header(data).ok_or(DropReason::Malformed)?;
    let bound = transport.bindings.get(&header.ssrc).copied();
    let candidate = bound.or_else(|| find_binding(state, transport, &header, data));
    let binding = candidate.ok_or(DropReason::UnknownSsrc)?;
    let stream = state.streams.get(binding.stream).ok_or(DropReason::UnknownSsrc)?;
    let track = state.tracks.get(stream.track).ok_or(DropReason::UnknownSsrc)?;
    let is_declared = if binding.is_rtx {
        track.rtx(header.payload_type).is_some()
    } else {
        track.media(header.payload_type).is_some()
    };
    if !is_declared {
        return Err(DropReason::UnknownPayloadType);
    }
    if bound.is_none() {
        if transport.bindings.len() >= transport.config.max_ssrcs as usize {
            return Err(DropReason::SsrcLimit);
        }
    } else if Some(header.ssrc) != (if binding.is_rtx { stream.rtx_ssrc } else { stream.ssrc }) {
        // The layer has gone over to another SSRC since.
        return Err(DropReason::UnknownSsrc);
    }
    let track = stream.track;
    let bits = data.len() as u64 * 8;
    if !is_within_rates(state, now_ns, slot, track, bits) {
        return Err(DropReason::Policed);
    }
    let context = state.transports.get(slot).and_then(|transport| transport.contexts.get(&header.ssrc));
    let ext_seq = context.map_or(SeqExtender::default(), |context| context.extender).extend(header.seq);
    match context.map_or(Freshness::Fresh, |context| context.window.check(ext_seq)) {
        Freshness::Fresh => Ok(Admitted { header, binding, is_bound: bound.is_some(), track, ext_seq, bits }),
        Freshness::Replayed => Err(DropReason::Replayed),
        Freshness::TooOld => Err(DropReason::TooOld),
    }
}

fn is_within_rates(state: &mut State, now_ns: i64, slot: TransportSlot, track: TrackSlot, bits: u64) -> bool {
    let (Some(transport), Some(track)) = (state.transports.get_mut(slot), state.tracks.get_mut(track)) else {
        return false;
    };
    transport.packet_bucket.allows(now_ns, 1)
        && transport.bit_bucket.allows(now_ns, bits)
        && track.bit_bucket.allows(now_ns, bits)
}

/// Decrypt. Only when that succeeds anything is remembered: the packet is the publisher's.
fn unprotect(state: &mut State, slot: TransportSlot, admitted: &Admitted, data: &[u8]) -> Result<Incoming, DropReason> {
    let Admitted { header, binding, ext_seq, .. } = *admitted;
    let transport = state.transports.get_mut(slot).ok_or(DropReason::UnknownPath)?;
    let rx = transport.rx.as_ref().ok_or(DropReason::NoKeys)?;
    let mut plain = data.to_vec();
    let size = rx.unprotect_rtp(&mut plain, header.header_len, header.ssrc, ext_seq).ok_or(DropReason::AuthFailed)?;
    plain.truncate(header.header_len + size);
    let payload = plain.get(header.header_len..).and_then(|plaintext| header.strip_padding(plaintext));
    let payload = payload.map(|payload| Span::new(header.header_len, header.header_len + payload.len()));
    if !admitted.is_bound {
        transport.bind(header.ssrc, binding);
    }
    if let Some(context) = transport.contexts.get_mut(&header.ssrc) {
        context.extender.commit(ext_seq);
        context.window.commit(ext_seq);
    }
    transport.packet_bucket.take(1);
    transport.bit_bucket.take(admitted.bits);
    Ok(Incoming { header, data: plain, payload_type: header.payload_type, ext_seq, payload })
}

fn accept_authentic(state: &mut State, now_ns: i64, slot: TransportSlot, admitted: &Admitted, packet: Incoming) {
    let Admitted { header, binding, .. } = *admitted;
    if !admitted.is_bound {
        take_over(state, header.ssrc, binding);
    }
    let (Some(transport), Some(track), Some(stream)) =
        (state.transports.get_mut(slot), state.tracks.get_mut(admitted.track), state.streams.get_mut(binding.stream))
    else {
        return;
    };
    track.bit_bucket.take(admitted.bits);
    let number = header.extension(&packet.data, track.id(Extension::TransportCc));
    if let Some([high, low, ..]) = number {
        transport.arrivals.record(now_ns, u16::from_be_bytes([*high, *low]));
        let size = (packet.data.len() - header.header_len) as u32 + OVERHEAD_BYTES;
        transport.watch_line(now_ns, size, header.extension(&packet.data, track.id(Extension::AbsSendTime)));
        if let Some(at_ns) = transport.arrivals.wanted_by_ns() {
            state.core.want_clock_by(at_ns);
        }
        if transport.has_pressing_brake() {
            state.core.want_clock();
        }
    }
    if binding.is_rtx {
        unwrap_rtx(state, now_ns, binding.stream, packet);
        return;
    }
    transport.last_media_ssrc = header.ssrc;
    if !stream.started {
        stream.started = true;
        state.core.events.push_back(Event::StreamStarted {
            track: track.handle,
            layer: stream.layer,
            ssrc: header.ssrc,
            payload_type: header.payload_type,
        });
    }
    accept(state, now_ns, binding.stream, packet);
}

/// The stream goes over to an SSRC that was just bound.
fn take_over(state: &mut State, ssrc: u32, binding: Binding) {
    let Some(stream) = state.streams.get_mut(binding.stream) else { return };
    if binding.is_rtx {
        stream.rtx_ssrc = Some(ssrc);
        return;
    }
    if let Some(old) = stream.ssrc.replace(ssrc)
        && old != ssrc
    {
        stream.started = false;
        routing::restart(state, binding.stream);
    }
}

/// RTX (RFC 4588 §4): the original sequence number stands in front of the payload.
fn unwrap_rtx(state: &mut State, now_ns: i64, slot: StreamSlot, packet: Incoming) {
    let Some(stream) = state.streams.get(slot) else { return };
    let Some(track) = state.tracks.get(stream.track) else { return };
    let Some(payload) = packet.payload else {
        state.core.drop_one(DropReason::Malformed);
        return;
    };
    let (&[high, low, ..], Some(payload_type)) = (payload.of(&packet.data), track.rtx(packet.payload_type)) else {
        state.core.drop_one(DropReason::PaddingOnly);
        return;
    };
    if stream.highest < 0 {
        state.core.drop_one(DropReason::UnknownSsrc);
        return;
    }
    let ext_seq = stream.extend_seq(u16::from_be_bytes([high, low]));
    let payload = Some(Span { start: payload.start + 2, end: payload.end });
    accept(state, now_ns, slot, Incoming { payload_type, ext_seq, payload, ..packet });
}

/// A packet in its own sequence space: register it, describe it, pass it on.
fn accept(state: &mut State, now_ns: i64, slot: StreamSlot, packet: Incoming) {
    let Some(kind) = register(state, now_ns, slot, &packet) else { return };
    let Some(stream) = state.streams.get(slot) else { return };
    if state.tracks.get(stream.track).is_none_or(|track| track.muted) {
        state.core.drop_one(DropReason::Muted);
        return;
    }
    let ext_seq = packet.ext_seq;
    register_nack(state, now_ns, slot, &kind, ext_seq);
    let reason = match packet.payload {
        None => DropReason::Malformed,
        Some(payload) if payload.len() == 0 => DropReason::PaddingOnly,
        Some(payload) => match describe_packet(state, now_ns, slot, packet, payload) {
            Some(packet) => {
                if packet.picture >= 0 {
                    notice_padding(state, now_ns, slot, &packet);
                }
                fan_out(state, slot, packet, kind.is_newest);
                return;
            }
            None => DropReason::Malformed,
        },
    };
    state.core.drop_one(reason);
    withhold(state, now_ns, slot, ext_seq);
}

/// What a packet was to the sequence of its stream.
struct Registered {
    is_newest: bool,
    /// It came as RTX.
    is_rtx: bool,
    /// The highest number before it; -1 when there was none.
    previous: i64,
}

/// Register a packet with its stream; None when it must go no further.
fn register(state: &mut State, now_ns: i64, slot: StreamSlot, packet: &Incoming) -> Option<Registered> {
    let stream = state.streams.get_mut(slot)?;
    let mut previous = stream.highest;
    let mut kind = stream.register(packet.ext_seq);
    if kind == Arrival::Reset {
        routing::restart(state, slot);
        routing::want_keyframe(state, slot, true);
        previous = -1;
        kind = state.streams.get_mut(slot)?.register(packet.ext_seq);
    }
    match kind {
        Arrival::Duplicate => state.core.drop_one(DropReason::Duplicate),
        Arrival::TooOld | Arrival::Reset => state.core.drop_one(DropReason::TooOld),
        Arrival::New | Arrival::Late => {
            let stream = state.streams.get_mut(slot)?;
            stream.reception.add(packet.ext_seq, packet.payload.map_or(0, Span::len));
            stream.last_packet_at_ns = now_ns;
            let track_slot = stream.track;
            if !stream.is_fresh {
                stream.is_fresh = true;
                stream.begin_samples(now_ns);
                if state.tracks.get(track_slot)?.streams.len() > 1 {
                    routing::refresh_track(state, track_slot);
                }
            }
            let stream = state.streams.get_mut(slot)?;
            if kind == Arrival::New {
                stream.highest = packet.ext_seq;
                stream.clock_rate = state.tracks.get(track_slot)?.media(packet.payload_type)?.clock_rate;
                stream.reception.measure_jitter(now_ns, packet.header.timestamp, stream.clock_rate);
            }
            let is_rtx = stream.rtx_ssrc == Some(packet.header.ssrc);
            return Some(Registered { is_newest: kind == Arrival::New, is_rtx, previous });
        }
    }
    None
}

fn register_nack(state: &mut State, now_ns: i64, slot: StreamSlot, kind: &Registered, ext_seq: i64) {
    let Some(stream) = state.streams.get_mut(slot) else { return };
    let is_wanted = state.tracks.get(stream.track).is_some_and(|track| track.config.nack && track.is_video());
    if !is_wanted {
        return;
    }
    if !kind.is_newest {
        stream.nack.arrived(now_ns, ext_seq, kind.is_rtx);
        return;
    }
    if stream.nack.has_fresh_gap {
        send_nack(state, now_ns, slot, true);
    }
    if let Some(stream) = state.streams.get_mut(slot)
        && kind.previous >= 0
        && ext_seq > kind.previous + 1
    {
        stream.nack.add_gap(now_ns, kind.previous + 1, ext_seq);
        state.core.want_clock();
        if stream.nack.asks_at_once() {
            send_nack(state, now_ns, slot, false);
        }
    }
}

/// What is missing between two pictures that follow each other is left out, as if it had arrived.
fn notice_padding(state: &mut State, now_ns: i64, slot: StreamSlot, packet: &MediaPacket) {
    let Some(stream) = state.streams.get_mut(slot) else { return };
    let (info, picture, ext_seq) = (&packet.info, packet.picture, packet.ext_seq);
    let is_first = info.starts_frame && info.spatial == 0;
    let before = if is_first { stream.edges.begin(picture, ext_seq) } else { None };
    let after = if info.ends_picture { stream.edges.end(picture, ext_seq) } else { None };
    if stream.nack.is_empty() {
        return;
    }
    for (last, first) in before.into_iter().chain(after) {
        let Some(stream) = state.streams.get_mut(slot) else { return };
        for missing in stream.nack.take_between(last, first) {
            let Some(stream) = state.streams.get_mut(slot) else { return };
            // One that comes after all is a duplicate: its number must not go out twice.
            if stream.register(missing) == Arrival::Late {
                withhold(state, now_ns, slot, missing);
            }
        }
    }
}

/// Ask the publisher for what is due. `packet_followed`: a packet beyond the newest gap is there.
pub(crate) fn send_nack(state: &mut State, now_ns: i64, slot: StreamSlot, packet_followed: bool) {
    let Some(stream) = state.streams.get_mut(slot) else { return };
    let transport = state.tracks.get(stream.track).and_then(|track| state.transports.get(track.transport));
    if transport.is_some_and(|transport| transport.brake.as_ref().is_some_and(|brake| brake.holds())) {
        // What is sent again now would only make the queue longer, and come too late.
        let is_news = state.streams.get_mut(slot).is_some_and(|stream| stream.nack.give_up_useless(now_ns));
        if is_news && state.streams.get(slot).is_some_and(|stream| !stream.receivers.is_empty()) {
            routing::want_keyframe(state, slot, true);
        }
        return;
    }
    let has_useless = stream.nack.take_useless(now_ns) && !stream.receivers.is_empty();
    let mut seqs = Vec::new();
    stream.nack.due(now_ns, packet_followed, &mut seqs);
    if has_useless {
        routing::want_keyframe(state, slot, true);
    }
    let Some(stream) = state.streams.get_mut(slot) else { return };
    let Some(ssrc) = stream.ssrc.filter(|_| !seqs.is_empty()) else { return };
    let transport = state.tracks.get(stream.track).and_then(|track| state.transports.get_mut(track.transport));
    if let Some(transport) = transport {
        stream.nacks_sent += 1;
        let mut nack = Vec::new();
        build_nack(&mut nack, transport.local_ssrc, ssrc, &seqs);
        transport.send_rtcp(&mut state.core, nack);
    }
}

/// The packet with what its payload says; None when that lies.
fn describe_packet(
    state: &mut State,
    now_ns: i64,
    slot: StreamSlot,
    packet: Incoming,
    payload: Span,
) -> Option<Arc<MediaPacket>> {
    let stream = state.streams.get_mut(slot)?;
    let track = state.tracks.get_mut(stream.track)?;
    let Incoming { header, data, payload_type, ext_seq, .. } = packet;
    let codec = track.media(payload_type)?.codec;
    let content = payload.of(&data);
    let descriptor = header.extension(&data, track.id(Extension::DependencyDescriptor));
    let info = describe(codec, content, header.marker, descriptor, &mut stream.codec_state)?;
    let picture = match (info.picture_id, info.frame_number) {
        (Some(id), _) => stream.extend_picture(id, info.picture_id_bits),
        (None, Some(number)) => stream.extend_picture(number, FRAME_NUMBER_BITS),
        (None, None) => -1,
    };
    let mut primary_span = None;
    if codec == Codec::Red {
        let size = primary(content)?.len() as u32;
        primary_span = Some(Span { start: payload.end - size, end: payload.end });
    }
    let redundancy = track.makes_red.then(|| {
        let frame = primary_span.unwrap_or(payload).of(&data);
        remember_frames(&mut stream.frames, codec, header.timestamp, content, frame)
    });
    if !track.is_video()
        && let Some((level, _)) = header.extension(&data, track.id(Extension::AudioLevel)).and_then(parse_audio_level)
    {
        track.levels.add(level, header.timestamp, stream.clock_rate);
    }
    Some(Arc::new(MediaPacket {
        codec,
        payload_type,
        marker: header.marker,
        ext_seq,
        timestamp: header.timestamp,
        info,
        picture,
        now_ns,
        data,
        header,
        payload,
        primary: primary_span,
        redundancy,
    }))
}

/// Those that came in `payload`, whose newest is `frame`; gives what the packet may be sent with.
fn remember_frames(
    frames: &mut FrameHistory,
    codec: Codec,
    timestamp: u32,
    payload: &[u8],
    frame: &[u8],
) -> Box<Redundancy> {
    if codec == Codec::Red
        && let Some(blocks) = parse(payload)
        && let Some((_, earlier)) = blocks.split_last()
    {
        for block in earlier {
            frames.add(timestamp.wrapping_sub(u32::from(block.timestamp_offset)), block.data);
        }
    }
    let earlier = frames.before(timestamp);
    frames.add(timestamp, frame);
    Box::new(Redundancy::new(earlier))
}

"""The way of an RTP packet from its transport to the fan-out. Cheap checks come before cryptography."""

from __future__ import annotations

from sfu.engine.api import OVERHEAD_BYTES, Codec, StreamStarted
from sfu.engine.reference import red, routing
from sfu.engine.reference.bindings import find_binding
from sfu.engine.reference.codecs import describe
from sfu.engine.reference.dependency_descriptor import FRAME_NUMBER_BITS
from sfu.engine.reference.fan_out import fan_out, withhold
from sfu.engine.reference.packet import MediaPacket
from sfu.engine.reference.rtcp import build_nack
from sfu.engine.reference.rtp import RtpPacket, parse_audio_level, parse_header
from sfu.engine.reference.seqnum import OK
from sfu.engine.reference.state import State
from sfu.engine.reference.stream import DUPLICATE, LATE, NEW, RESET, TOO_OLD, InboundStream
from sfu.engine.reference.track import Track
from sfu.engine.reference.transport import Binding, Transport


def handle_rtp(state: State, now_ns: int, transport: Transport, data: bytes) -> None:
    """One datagram that looks like SRTP, from a path of `transport`."""
    drops = state.core.drops
    rx = transport.rx
    if rx is None:
        drops["no_keys"] += 1
        return
    rtp = parse_header(data)
    if rtp is None:
        drops["malformed"] += 1
        return
    bits = len(data) << 3
    binding = _admit(state, now_ns, transport, rtp, bits)
    if binding is None:
        return
    context = binding.context
    ext_seq = context.extender.extend(rtp.seq)
    verdict = context.window.check(ext_seq)
    if verdict != OK:
        drops[verdict] += 1
        return
    plaintext = rx.unprotect_rtp(data, rtp.header_len, rtp.ssrc, ext_seq)
    if plaintext is None:
        drops["auth_failed"] += 1
        return
    # Only from here on anything is remembered: the packet is the publisher's.
    context.extender.commit(ext_seq)
    context.window.commit(ext_seq)
    transport.packet_bucket.take(1)
    transport.bit_bucket.take(bits)
    state.tracks[state.streams[binding.stream].track].bit_bucket.take(bits)
    _accept_authentic(state, now_ns, transport, binding, rtp, ext_seq, plaintext)


def _accept_authentic(
    state: State, now_ns: int, transport: Transport, binding: Binding, rtp: RtpPacket, ext_seq: int, plaintext: bytes
) -> None:
    ssrc = rtp.ssrc
    stream = state.streams[binding.stream]
    track = state.tracks[stream.track]
    if ssrc not in transport.bindings:
        _take_over(state, transport, ssrc, binding, stream)
    if track.twcc_id:
        number = rtp.extensions.get(track.twcc_id)
        if number is not None and len(number) >= 2:
            transport.arrivals.record(now_ns, number[0] << 8 | number[1])
            send_time = rtp.extensions.get(track.send_time_id) if track.send_time_id else None
            transport.watch_line(now_ns, len(plaintext) + OVERHEAD_BYTES, send_time)
            feedback_by_ns = transport.arrivals.wanted_by_ns()
            if feedback_by_ns is not None:
                state.core.want_clock_by(feedback_by_ns)
            if transport.brake is not None and transport.brake.is_pressing:
                state.core.want_clock()
    is_sound = rtp.set_payload(plaintext)
    if binding.is_rtx:
        _unwrap(state, now_ns, track, stream, rtp, is_sound)
        return
    transport.last_media_ssrc = ssrc
    if not stream.started:
        stream.started = True
        state.core.events.append(StreamStarted(track.handle, stream.layer, ssrc, rtp.payload_type))
    _accept(state, now_ns, track, stream, rtp, ext_seq, is_sound)


def _admit(state: State, now_ns: int, transport: Transport, rtp: RtpPacket, bits: int) -> Binding | None:
    """What the packet's SSRC is, or would be once it has authenticated. None: it was dropped and counted."""
    drops = state.core.drops
    known = transport.bindings.get(rtp.ssrc)
    binding = known or find_binding(state, transport, rtp)
    if binding is None:
        drops["unknown_ssrc"] += 1
        return None
    stream = state.streams[binding.stream]
    track = state.tracks[stream.track]
    if rtp.payload_type not in (track.rtx if binding.is_rtx else track.media):
        drops["unknown_payload_type"] += 1
        return None
    if known is None:
        if len(transport.bindings) >= transport.config.max_ssrcs:
            drops["ssrc_limit"] += 1
            return None
    elif rtp.ssrc != (stream.rtx_ssrc if binding.is_rtx else stream.ssrc):
        # The layer has gone over to another SSRC since.
        drops["unknown_ssrc"] += 1
        return None
    if not (
        transport.packet_bucket.allows(now_ns, 1)
        and transport.bit_bucket.allows(now_ns, bits)
        and track.bit_bucket.allows(now_ns, bits)
    ):
        drops["policed"] += 1
        return None
    return binding


def _take_over(state: State, transport: Transport, ssrc: int, binding: Binding, stream: InboundStream) -> None:
    """The stream goes over to an SSRC that was just bound."""
    transport.bind(ssrc, binding)
    if binding.is_rtx:
        stream.rtx_ssrc = ssrc
    elif stream.ssrc != ssrc:
        if stream.ssrc is not None:
            routing.restart(state, stream)
            stream.started = False
        stream.ssrc = ssrc


def _unwrap(state: State, now_ns: int, track: Track, stream: InboundStream, rtp: RtpPacket, is_sound: bool) -> None:
    """RTX (RFC 4588 §4): the original sequence number stands in front of the payload."""
    drops = state.core.drops
    payload = rtp.payload
    if not is_sound:
        drops["malformed"] += 1
    elif len(payload) < 2:
        drops["padding_only"] += 1
    elif stream.highest < 0:
        drops["unknown_ssrc"] += 1
    else:
        rtp.payload_type = track.rtx[rtp.payload_type]
        rtp.payload = payload[2:]
        _accept(state, now_ns, track, stream, rtp, stream.extend_seq(payload[0] << 8 | payload[1]), True)


def _accept(
    state: State, now_ns: int, track: Track, stream: InboundStream, rtp: RtpPacket, ext_seq: int, is_sound: bool
) -> None:
    """A packet in its own sequence space: register it, describe it, pass it on."""
    drops = state.core.drops
    previous = stream.highest
    kind = stream.register(ext_seq)
    if kind == RESET:
        routing.restart(state, stream)
        routing.want_keyframe(state, stream, is_asked=True)
        previous = -1
        kind = stream.register(ext_seq)
    elif kind in (DUPLICATE, TOO_OLD):
        drops["duplicate" if kind == DUPLICATE else "too_old"] += 1
        return
    is_newest = kind == NEW
    _register(state, now_ns, track, stream, rtp, ext_seq, is_newest)
    if track.muted:
        drops["muted"] += 1
        return
    if track.config.nack and track.is_video:
        if kind == LATE:
            stream.nack.arrived(now_ns, ext_seq, is_rtx=rtp.ssrc == stream.rtx_ssrc)
        else:
            _register_nack(state, now_ns, stream, previous, ext_seq)
    packet = None
    if not is_sound or not rtp.payload:
        drops["malformed" if not is_sound else "padding_only"] += 1
    else:
        packet = _describe(track, stream, rtp, ext_seq)
        if packet is None:
            drops["malformed"] += 1
    if packet is None:
        withhold(state, now_ns, stream, ext_seq)
    else:
        if packet.picture >= 0:
            _notice_padding(state, now_ns, stream, packet)
        fan_out(state, now_ns, stream, packet, is_newest=is_newest)


def _register(
    state: State, now_ns: int, track: Track, stream: InboundStream, rtp: RtpPacket, ext_seq: int, is_newest: bool
) -> None:
    """A packet that the stream has not had yet counts."""
    stream.reception.add(ext_seq, len(rtp.payload))
    stream.last_packet_at_ns = now_ns
    if not stream.is_fresh:
        stream.is_fresh = True
        stream.begin_samples(now_ns)
        if len(track.streams) > 1:
            routing.refresh_track(state, track)
    if is_newest:
        stream.highest = ext_seq
        stream.clock_rate = track.media[rtp.payload_type].clock_rate
        stream.reception.measure_jitter(now_ns, rtp.timestamp, stream.clock_rate)


def _register_nack(state: State, now_ns: int, stream: InboundStream, previous: int, ext_seq: int) -> None:
    """Of the newest packet."""
    nack = stream.nack
    if nack.has_fresh_gap:
        send_nack(state, now_ns, stream, packet_followed=True)
    if previous >= 0 and ext_seq > previous + 1:
        nack.add_gap(now_ns, previous + 1, ext_seq)
        state.core.want_clock()
        if nack.asks_at_once:
            send_nack(state, now_ns, stream, packet_followed=False)


def _notice_padding(state: State, now_ns: int, stream: InboundStream, packet: MediaPacket) -> None:
    """What is missing between two pictures that follow each other is left out, as if it had arrived."""
    info = packet.info
    if info.starts_frame and info.spatial == 0:
        _leave_out(state, now_ns, stream, stream.edges.begin(packet.picture, packet.ext_seq))
    if info.ends_picture:
        _leave_out(state, now_ns, stream, stream.edges.end(packet.picture, packet.ext_seq))


def _leave_out(state: State, now_ns: int, stream: InboundStream, gap: tuple[int, int] | None) -> None:
    if gap is None or not stream.nack:
        return
    for ext_seq in stream.nack.take_between(*gap):
        # One that comes after all is a duplicate: its number must not go out twice.
        if stream.register(ext_seq) == LATE:
            withhold(state, now_ns, stream, ext_seq)


def send_nack(state: State, now_ns: int, stream: InboundStream, *, packet_followed: bool) -> None:
    """Ask the publisher for what is due. `packet_followed`: a packet beyond the newest gap is there."""
    transport = state.transports[state.tracks[stream.track].transport]
    if transport.brake is not None and transport.brake.holds:
        # What is sent again now would only make the queue longer, and come too late.
        if stream.nack.give_up_useless(now_ns) and stream.receivers:
            routing.want_keyframe(state, stream, is_asked=True)
        return
    if stream.nack.take_useless(now_ns) and stream.receivers:
        routing.want_keyframe(state, stream, is_asked=True)
    ext_seqs = stream.nack.due(now_ns, packet_followed=packet_followed)
    if ext_seqs and stream.ssrc is not None:
        stream.nacks_sent += 1
        seqs = [ext_seq & 0xFFFF for ext_seq in ext_seqs]
        transport.send_rtcp(state.core, build_nack(transport.local_ssrc, stream.ssrc, seqs))


def _remember_frames(frames: red.FrameHistory, packet: MediaPacket) -> None:
    """Those that came with it, and what it may be sent with."""
    blocks = red.parse(packet.payload) if packet.codec is Codec.RED else None
    for block in blocks[:-1] if blocks else ():
        frames.add(packet.timestamp - block.timestamp_offset & 0xFFFF_FFFF, block.data)
    packet.earlier = frames.before(packet.timestamp)
    frames.add(packet.timestamp, packet.payload if packet.primary is None else packet.primary)


def _describe(track: Track, stream: InboundStream, rtp: RtpPacket, ext_seq: int) -> MediaPacket | None:
    """The packet with what its payload says; None when that lies."""
    codec = track.media[rtp.payload_type].codec
    extensions = rtp.extensions
    dd_extension = extensions.get(track.dd_id) if track.dd_id else None
    info = describe(codec, rtp.payload, rtp.marker, dd_extension, stream.codec_state)
    if info is None:
        return None
    packet = MediaPacket(codec, rtp.payload_type, rtp.marker, ext_seq, rtp.timestamp, extensions, rtp.payload, info)
    if info.picture_id is not None:
        packet.picture = stream.extend_picture(info.picture_id, info.picture_id_bits)
    elif info.frame_number is not None:
        packet.picture = stream.extend_picture(info.frame_number, FRAME_NUMBER_BITS)
    if codec is Codec.RED:
        packet.primary = red.primary(rtp.payload)
        if packet.primary is None:
            return None
    if track.makes_red:
        _remember_frames(stream.frames, packet)
    if track.audio_level_id and not track.is_video:
        level = parse_audio_level(extensions.get(track.audio_level_id, b""))
        if level is not None:
            track.levels.add(level[0], rtp.timestamp, stream.clock_rate)
    return packet

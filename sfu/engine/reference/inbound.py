"""The way of an RTP packet from its transport to the forwarders. Cheap checks come before cryptography."""

from __future__ import annotations

from sfu.engine.api import Codec, StreamStarted
from sfu.engine.reference import routing
from sfu.engine.reference.codecs import describe
from sfu.engine.reference.core import Core
from sfu.engine.reference.dependency_descriptor import FRAME_NUMBER_BITS
from sfu.engine.reference.keyframe_cache import CachedPacket
from sfu.engine.reference.packet import MediaPacket
from sfu.engine.reference.red import primary
from sfu.engine.reference.rtcp import build_nack
from sfu.engine.reference.rtp import RtpPacket, parse_audio_level, parse_header
from sfu.engine.reference.seqnum import OK
from sfu.engine.reference.stream import DUPLICATE, LATE, NEW, RESET, TOO_OLD, InboundStream
from sfu.engine.reference.track import Track
from sfu.engine.reference.transport import Binding, Transport


def handle_rtp(core: Core, now_ns: int, transport: Transport, data: bytes) -> None:
    """One datagram that looks like SRTP, from a path of `transport`."""
    rx = transport.rx
    if rx is None:
        core.drops["no_keys"] += 1
        return
    rtp = parse_header(data)
    if rtp is None:
        core.drops["malformed"] += 1
        return
    ssrc = rtp.ssrc
    bits = len(data) << 3
    binding = _admit(core, now_ns, transport, rtp, bits)
    if binding is None:
        return
    context = binding.context
    ext_seq = context.extender.extend(rtp.seq)
    verdict = context.window.check(ext_seq)
    if verdict != OK:
        core.drops[verdict] += 1
        return
    plaintext = rx.unprotect_rtp(data, rtp.header_len, ssrc, ext_seq)
    if plaintext is None:
        core.drops["auth_failed"] += 1
        return
    # Only from here on anything is remembered: the packet is the publisher's.
    stream = binding.stream
    track = stream.track
    context.extender.commit(ext_seq)
    context.window.commit(ext_seq)
    transport.packet_bucket.take(1)
    transport.bit_bucket.take(bits)
    track.bit_bucket.take(bits)
    if ssrc not in transport.bindings:
        _bind(core, transport, ssrc, binding)
    if track.twcc_id:
        number = rtp.extensions.get(track.twcc_id)
        if number is not None and len(number) >= 2:
            transport.arrivals.record(now_ns, number[0] << 8 | number[1])
    is_sound = rtp.set_payload(plaintext)
    if binding.is_rtx:
        _unwrap(core, now_ns, stream, rtp, is_sound)
        return
    transport.last_media_ssrc = ssrc
    if not stream.started:
        stream.started = True
        core.events.append(StreamStarted(track.handle, stream.layer, ssrc, rtp.payload_type))
    _accept(core, now_ns, stream, rtp, ext_seq, is_sound)


def _admit(core: Core, now_ns: int, transport: Transport, rtp: RtpPacket, bits: int) -> Binding | None:
    """What the packet's SSRC is, or would be once it has authenticated. None: it was dropped and counted."""
    drops = core.drops
    known = transport.bindings.get(rtp.ssrc)
    binding = known or _find_binding(transport, rtp)
    if binding is None:
        drops["unknown_ssrc"] += 1
        return None
    stream = binding.stream
    track = stream.track
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


def _find_binding(transport: Transport, rtp: RtpPacket) -> Binding | None:
    """What an unknown SSRC would be, by declaration, MID and RID, or payload type (RFC 8843 §9.2)."""
    declared = transport.declared.get(rtp.ssrc)
    if declared is not None:
        return Binding(declared[0], declared[1], transport.context_of(rtp.ssrc))
    track: Track | None = None
    if transport.has_mid:
        extensions = rtp.extensions
        for candidate in transport.tracks.values():
            mid = extensions.get(candidate.mid_id)
            if mid is not None and mid == candidate.mid_bytes:
                track = candidate
                break
    else:
        payload_type = rtp.payload_type
        tracks = [one for one in transport.tracks.values() if payload_type in one.media or payload_type in one.rtx]
        track = tracks[0] if len(tracks) == 1 else None
    if track is None:
        return None
    found = _find_layer(track, rtp)
    return None if found is None else Binding(found[0], found[1], transport.context_of(rtp.ssrc))


def _find_layer(track: Track, rtp: RtpPacket) -> tuple[InboundStream, bool] | None:
    """(stream, is RTX) of a packet of this track by RID or repaired RID (RFC 8852)."""
    if track.has_rids:
        repaired = rtp.extensions.get(track.repaired_rid_id)
        rid = repaired if repaired is not None else rtp.extensions.get(track.rid_id)
        if rid is not None:
            for stream in track.streams:
                if stream.config.rid is not None and stream.config.rid.encode() == rid:
                    return stream, repaired is not None or rtp.payload_type in track.rtx
            return None
    if len(track.streams) != 1:
        return None
    return track.streams[0], rtp.payload_type in track.rtx


def _bind(core: Core, transport: Transport, ssrc: int, binding: Binding) -> None:
    transport.bind(ssrc, binding)
    stream = binding.stream
    if binding.is_rtx:
        stream.rtx_ssrc = ssrc
    elif stream.ssrc != ssrc:
        if stream.ssrc is not None:
            routing.restart(core, stream)
            stream.started = False
        stream.ssrc = ssrc


def _unwrap(core: Core, now_ns: int, stream: InboundStream, rtp: RtpPacket, is_sound: bool) -> None:
    """RTX (RFC 4588 §4): the original sequence number stands in front of the payload."""
    payload = rtp.payload
    if not is_sound:
        core.drops["malformed"] += 1
    elif len(payload) < 2:
        core.drops["padding_only"] += 1
    elif stream.highest < 0:
        core.drops["unknown_ssrc"] += 1
    else:
        rtp.payload_type = stream.track.rtx[rtp.payload_type]
        rtp.payload = payload[2:]
        _accept(core, now_ns, stream, rtp, stream.extend_seq(payload[0] << 8 | payload[1]), True)


def _accept(core: Core, now_ns: int, stream: InboundStream, rtp: RtpPacket, ext_seq: int, is_sound: bool) -> None:
    """A packet in its own sequence space: register it, describe it, pass it on."""
    track = stream.track
    previous = stream.highest
    kind = stream.register(ext_seq)
    if kind == RESET:
        routing.restart(core, stream)
        routing.want_keyframe(core, stream, is_asked=True)
        previous = -1
        kind = stream.register(ext_seq)
    elif kind in (DUPLICATE, TOO_OLD):
        core.drops["duplicate" if kind == DUPLICATE else "too_old"] += 1
        return
    payload = rtp.payload
    stream.reception.add(ext_seq, len(payload))
    stream.last_packet_at_ns = now_ns
    if not stream.is_fresh:
        stream.is_fresh = True
        if len(track.streams) > 1:
            routing.refresh_track(core, track)
    if kind == NEW:
        stream.highest = ext_seq
        stream.clock_rate = track.media[rtp.payload_type].clock_rate
        stream.reception.measure_jitter(now_ns, rtp.timestamp, stream.clock_rate)
    if track.muted:
        core.drops["muted"] += 1
        return
    if track.config.nack and track.is_video:
        _register_nack(now_ns, stream, kind, previous, ext_seq)
    if not is_sound or not payload:
        core.drops["malformed" if not is_sound else "padding_only"] += 1
        _withhold(now_ns, stream, ext_seq)
        return
    packet = _describe(stream, rtp, ext_seq)
    if packet is None:
        core.drops["malformed"] += 1
        _withhold(now_ns, stream, ext_seq)
        return
    _fan_out(core, now_ns, stream, packet, kind == NEW)


def _register_nack(now_ns: int, stream: InboundStream, kind: int, previous: int, ext_seq: int) -> None:
    nack = stream.nack
    if kind == LATE:
        nack.arrived(now_ns, ext_seq)
        return
    if nack.has_fresh_gap:
        send_nack(stream, nack.due(now_ns, packet_followed=True))
    if previous >= 0 and ext_seq > previous + 1:
        nack.add_gap(now_ns, previous + 1, ext_seq)


def send_nack(stream: InboundStream, ext_seqs: list[int]) -> None:
    """Ask the publisher for these."""
    if ext_seqs and stream.ssrc is not None:
        transport = stream.track.transport
        stream.nacks_sent += 1
        seqs = [ext_seq & 0xFFFF for ext_seq in ext_seqs]
        transport.send_rtcp(build_nack(transport.local_ssrc, stream.ssrc, seqs))


def _withhold(now_ns: int, stream: InboundStream, ext_seq: int) -> None:
    _remember(stream, CachedPacket(now_ns, ext_seq, None, is_newest=False))
    for forwarder in stream.receivers:
        forwarder.withhold_seq(now_ns, ext_seq)


def _remember(stream: InboundStream, entry: CachedPacket) -> None:
    """For subscriptions that begin later, and for those that are catching up."""
    stream.cache.add(entry)
    for forwarder in stream.replaying:
        if forwarder.replay is not None:
            forwarder.replay.entries.append(entry)


def _describe(stream: InboundStream, rtp: RtpPacket, ext_seq: int) -> MediaPacket | None:
    """The packet with what its payload says; None when that lies."""
    track = stream.track
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
        packet.primary = primary(rtp.payload)
        if packet.primary is None:
            return None
    if track.audio_level_id and not track.is_video:
        level = parse_audio_level(extensions.get(track.audio_level_id, b""))
        if level is not None:
            track.levels.add(level[0], rtp.timestamp, stream.clock_rate)
    return packet


def _fan_out(core: Core, now_ns: int, stream: InboundStream, packet: MediaPacket, is_newest: bool) -> None:
    info = packet.info
    grown = info.temporal > stream.top_temporal or info.spatial > stream.top_spatial
    if grown:
        stream.top_temporal = max(stream.top_temporal, info.temporal)
        stream.top_spatial = max(stream.top_spatial, info.spatial)
    if info.is_keyframe and is_newest:
        if packet.timestamp != stream.keyframe_timestamp:
            stream.keyframe_timestamp = packet.timestamp
            stream.keyframes += 1
            stream.cache.begin()
        core.keyframes_wanted.pop(stream, None)
        if stream.waiting or stream.replaying:
            routing.begin_waiting(core, now_ns, stream, packet)
    if stream.cache.limit_bytes or stream.replaying:
        _remember(stream, CachedPacket(now_ns, packet.ext_seq, packet, is_newest))
    temporal, spatial, ext_seq = info.temporal, info.spatial, packet.ext_seq
    for forwarder in stream.receivers:
        layers = forwarder.layers
        if (
            layers.pending
            or temporal > layers.max_temporal
            or spatial > layers.max_spatial
            or ext_seq < layers.raised_at
        ) and not routing.passes(core, forwarder, stream, packet, is_newest=is_newest):
            forwarder.withhold(now_ns, packet)
            continue
        forwarder.forward(now_ns, packet)
    if grown:
        for forwarder in stream.receivers + stream.replaying:
            routing.report(core, forwarder)

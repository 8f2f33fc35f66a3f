"""Which stream a packet of an unknown SSRC belongs to."""

from __future__ import annotations

from sfu.engine.reference.rtp import RtpPacket
from sfu.engine.reference.slots import StreamSlot
from sfu.engine.reference.state import State
from sfu.engine.reference.track import Track
from sfu.engine.reference.transport import Binding, Transport


def find_binding(state: State, transport: Transport, rtp: RtpPacket) -> Binding | None:
    """What an unknown SSRC would be, by declaration, MID and RID, or payload type (RFC 8843 §9.2)."""
    found = transport.declared.get(rtp.ssrc)
    if found is None:
        track = _find_track(state, transport, rtp)
        found = None if track is None else _find_layer(state, track, rtp)
    return None if found is None else Binding(found[0], found[1], transport.context_of(rtp.ssrc))


def _find_track(state: State, transport: Transport, rtp: RtpPacket) -> Track | None:
    tracks = [state.tracks[handle] for handle in transport.tracks]
    if transport.has_mid:
        for track in tracks:
            mid = rtp.extensions.get(track.mid_id)
            if mid is not None and mid == track.mid_bytes:
                return track
        return None
    payload_type = rtp.payload_type
    having = [track for track in tracks if payload_type in track.media or payload_type in track.rtx]
    return having[0] if len(having) == 1 else None


def _find_layer(state: State, track: Track, rtp: RtpPacket) -> tuple[StreamSlot, bool] | None:
    """(stream, is RTX) of a packet of this track by RID or repaired RID (RFC 8852)."""
    if track.has_rids:
        repaired = rtp.extensions.get(track.repaired_rid_id)
        rid = repaired if repaired is not None else rtp.extensions.get(track.rid_id)
        if rid is not None:
            for stream in state.streams_of(track):
                if stream.config.rid is not None and stream.config.rid.encode() == rid:
                    return stream.slot, repaired is not None or rtp.payload_type in track.rtx
            return None
    if len(track.streams) != 1:
        return None
    return track.streams[0], rtp.payload_type in track.rtx


def refresh_declared(state: State, transport: Transport) -> None:
    """Work out again which SSRCs and MIDs the tracks of a transport declare. The first track to name an SSRC has it."""
    transport.declared.clear()
    transport.has_mid = False
    for track in (state.tracks[handle] for handle in transport.tracks):
        transport.has_mid = transport.has_mid or bool(track.mid_id)
        for stream in state.streams_of(track):
            if stream.config.ssrc is not None:
                transport.declared.setdefault(stream.config.ssrc, (stream.slot, False))
            if stream.config.rtx_ssrc is not None:
                transport.declared.setdefault(stream.config.rtx_ssrc, (stream.slot, True))

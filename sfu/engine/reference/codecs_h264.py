"""H.264 payloads: single NAL units, STAP-A, FU-A (RFC 6184 §5.6, §5.7.1, §5.8)."""

from __future__ import annotations

from sfu.engine.reference.frame_info import FrameInfo

_NAL_IDR, _NAL_SPS = 5, 7
_STAP_A, _FU_A = 24, 28
_LAST_SINGLE_NAL = 23


def describe_h264(payload: bytes, marker: bool) -> FrameInfo | None:
    """None for empty or cut off payloads and for packet types that packetization mode 1 does not have.

    A keyframe is an SPS, or the first slice of an IDR picture (first_mb_in_slice 0): senders whose parameter sets
    travel in SDP send no SPS. `starts_frame` is false only for continued fragments: H.264 marks no first packet.
    """
    if not payload:
        return None
    nal_type = payload[0] & 0x1F
    starts = True
    if nal_type == _FU_A:
        # A fragment has at least its two headers and one byte.
        if len(payload) < 3:
            return None
        starts = payload[1] >= 0x80
        keyframe = starts and _begins_keyframe(payload[1] & 0x1F, payload[2])
    elif nal_type == _STAP_A:
        found = _stap_has_keyframe(payload)
        if found is None:
            return None
        keyframe = found
    elif 1 <= nal_type <= _LAST_SINGLE_NAL:
        if len(payload) < 2:
            return None
        keyframe = _begins_keyframe(nal_type, payload[1])
    else:
        return None
    return FrameInfo(
        is_keyframe=keyframe,
        starts_frame=starts,
        ends_frame=marker,
        ends_picture=marker,
        switching_point=True,
        spatial_switching_point=keyframe,
    )


def _begins_keyframe(nal_type: int, first_byte: int) -> bool:
    """`first_byte` follows the NAL header. Its top bit set in a slice means first_mb_in_slice 0."""
    return nal_type == _NAL_SPS or (nal_type == _NAL_IDR and first_byte >= 0x80)


def _stap_has_keyframe(payload: bytes) -> bool | None:
    """None when a NAL unit size lies or is 0, or there is no NAL unit."""
    size = len(payload)
    position = 1
    found = False
    while position < size:
        if position + 2 > size:
            return None
        length = payload[position] << 8 | payload[position + 1]
        position += 2
        if length == 0 or position + length > size:
            return None
        if length > 1:
            found = found or _begins_keyframe(payload[position] & 0x1F, payload[position + 1])
        position += length
    return found if size > 1 else None

"""VP9 payload descriptor (RFC 9628 §4.2)."""

from __future__ import annotations

from sfu.engine.reference.frame_info import FrameInfo

_I, _P, _L, _F, _B, _E, _V = 0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02
_MAX_REFERENCES = 3


def describe_vp9(payload: bytes, marker: bool) -> FrameInfo | None:
    """None when the descriptor is cut off, lists more than three references, or nothing follows it."""
    size = len(payload)
    if not size:
        return None
    first = payload[0]
    starts = bool(first & _B)
    info = FrameInfo(starts_frame=starts, ends_frame=bool(first & _E), ends_picture=marker, switching_point=True)
    position = 1
    if first & _I:
        if position >= size:
            return None
        byte = payload[position]
        if byte & 0x80:
            if position + 1 >= size:
                return None
            info.picture_id = (byte & 0x7F) << 8 | payload[position + 1]
            info.picture_id_bits = 15
            position += 2
        else:
            info.picture_id = byte
            info.picture_id_bits = 7
            position += 1
    if first & _L:
        if position >= size:
            return None
        layers = payload[position]
        position += 1
        info.temporal = layers >> 5
        info.switching_point = bool(layers & 0x10)
        info.spatial = layers >> 1 & 0x07
        info.inter_layer_predicted = bool(layers & 0x01)
        if not first & _F:
            if position >= size:
                return None
            info.tl0picidx = payload[position]
            position += 1
    if first & _F and first & _P:
        after = _skip_references(payload, position)
        if after is None:
            return None
        position = after
    if first & _V:
        after = _skip_scalability_structure(payload, position)
        if after is None:
            return None
        position = after
    if position >= size:
        return None
    if starts and not first & _P:
        info.spatial_switching_point = True
        if info.spatial == 0:
            info.is_keyframe = True
            info.switching_point = True
    return info


def _skip_references(payload: bytes, position: int) -> int | None:
    """Past the P_DIFF list; its N bit says that another follows."""
    for _ in range(_MAX_REFERENCES):
        if position >= len(payload):
            return None
        position += 1
        if not payload[position - 1] & 0x01:
            return position
    return None


def _skip_scalability_structure(payload: bytes, position: int) -> int | None:
    """Past N_S, Y and G with what they announce (RFC 9628 §4.2.1)."""
    size = len(payload)
    if position >= size:
        return None
    head = payload[position]
    position += 1
    if head & 0x10:
        position += ((head >> 5) + 1) * 4
    if head & 0x08:
        if position >= size:
            return None
        pictures = payload[position]
        position += 1
        for _ in range(pictures):
            if position >= size:
                return None
            position += 1 + (payload[position] >> 2 & 0x03)
    return position


def rewrite_vp9(payload: bytes, picture_id: int, tl0picidx: int) -> bytes:
    """`payload` with these values where it has such fields; their widths stay, so the values are cut to fit.

    For payloads that `describe_vp9` accepted; others come back as they are.
    """
    if len(payload) < 3 or not payload[0] & _I:
        return payload
    head = bytearray(payload[:5])
    if head[1] & 0x80:
        head[1:3] = ((picture_id & 0x7FFF) | 0x8000).to_bytes(2, "big")
        position = 3
    else:
        head[1] = picture_id & 0x7F
        position = 2
    # TL0PICIDX follows the layer indices, in non-flexible mode only.
    if head[0] & _L and not head[0] & _F:
        if position + 1 >= len(head):
            return payload
        head[position + 1] = tl0picidx & 0xFF
    return bytes(head) + payload[5:]

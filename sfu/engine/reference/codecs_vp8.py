"""VP8 payload descriptor and keyframes (RFC 7741 §4.2, RFC 6386 §9.1)."""

from __future__ import annotations

from sfu.engine.reference.frame_info import FrameInfo

_START_CODE = b"\x9d\x01\x2a"


def describe_vp8(payload: bytes, marker: bool) -> FrameInfo | None:
    """None when the descriptor is cut off or nothing follows it.

    A keyframe needs its start code as well as the P bit, so that a flipped bit starts nobody's decoder. End-to-end
    encryption leaves these first bytes in the clear.
    """
    size = len(payload)
    if size < 2:
        return None
    first = payload[0]
    info = FrameInfo(ends_frame=marker, ends_picture=marker, switching_point=True)
    position = 1
    if first & 0x80:
        flags = payload[1]
        position = 2
        if flags & 0x80:
            if position >= size:
                return None
            if payload[position] & 0x80:
                if position + 1 >= size:
                    return None
                info.picture_id = (payload[position] & 0x7F) << 8 | payload[position + 1]
                info.picture_id_bits = 15
                position += 2
            else:
                info.picture_id = payload[position]
                info.picture_id_bits = 7
                position += 1
        if flags & 0x40:
            if position >= size:
                return None
            info.tl0picidx = payload[position]
            position += 1
        if flags & 0x30:
            if position >= size:
                return None
            layers = payload[position]
            position += 1
            if flags & 0x20:
                info.temporal = layers >> 6
                info.switching_point = bool(layers & 0x20)
            if flags & 0x10:
                info.keyidx = layers & 0x1F
    if position >= size:
        return None
    # S set and PID 0: the first packet of the frame, with the frame header in front.
    if first & 0x17 == 0x10:
        info.starts_frame = True
        if not payload[position] & 0x01 and payload[position + 3 : position + 6] == _START_CODE:
            info.is_keyframe = True
            info.switching_point = True
            info.spatial_switching_point = True
    return info


def rewrite_vp8(payload: bytes, picture_id: int, tl0picidx: int) -> bytes:
    """`payload` with these values where it has such fields; their widths stay, so the values are cut to fit.

    For payloads that `describe_vp8` accepted; others come back as they are.
    """
    if len(payload) < 3 or not payload[0] & 0x80:
        return payload
    flags = payload[1]
    head = bytearray(payload[:5])
    position = 2
    if flags & 0x80:
        if head[position] & 0x80:
            if len(head) < 4:
                return payload
            head[2] = 0x80 | (picture_id >> 8 & 0x7F)
            head[3] = picture_id & 0xFF
            position = 4
        else:
            head[2] = picture_id & 0x7F
            position = 3
    if flags & 0x40:
        if position >= len(head):
            return payload
        head[position] = tl0picidx & 0xFF
    return bytes(head) + payload[5:]

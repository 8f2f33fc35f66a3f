"""AV1 payloads: aggregation header and OBU types ("RTP Payload Format For AV1" §4.4, AV1 specification §5.3).

With a dependency descriptor the descriptor alone decides (the payload may be encrypted end to end); without one
there are no layers, and a keyframe is a new coded video sequence (N bit) whose first packet carries a sequence header.
"""

from __future__ import annotations

from sfu.engine.reference.dependency_descriptor import DependencyDescriptor, parse_dependency_descriptor
from sfu.engine.reference.frame_info import CodecState, FrameInfo

_OBU_SEQUENCE_HEADER = 1
_Z, _N = 0x80, 0x08
_MAX_LEB128_BYTES = 8


def describe_av1(payload: bytes, marker: bool, dd_extension: bytes | None, state: CodecState) -> FrameInfo | None:
    """None when the aggregation header or the descriptor lies. A descriptor that carries a structure is remembered."""
    if len(payload) < 2:
        return None
    if dd_extension is None:
        return _without_descriptor(payload, marker)
    descriptor = parse_dependency_descriptor(dd_extension, state.structure)
    if descriptor is None:
        return None
    if descriptor.structure is None:
        # Joined in the middle: no layers are known before the next keyframe, which brings its structure.
        info = FrameInfo(
            starts_frame=descriptor.start_of_frame,
            ends_frame=descriptor.end_of_frame,
            ends_picture=marker,
            switching_point=True,
        )
        info.frame_number = descriptor.frame_number
        return info
    state.structure = descriptor.structure
    starts = descriptor.start_of_frame
    spatial = descriptor.spatial
    keyframe = starts and descriptor.attached_structure and not descriptor.frame_diffs and spatial == 0
    info = FrameInfo(
        is_keyframe=keyframe,
        starts_frame=starts,
        ends_frame=descriptor.end_of_frame,
        ends_picture=marker,
        spatial=spatial,
        temporal=descriptor.temporal,
        switching_point=starts and _follow_switches(descriptor, state),
        spatial_switching_point=starts and _begins_spatial_layer(descriptor),
    )
    info.frame_number = descriptor.frame_number
    info.active_decode_targets = descriptor.active_decode_targets
    return info


def _follow_switches(descriptor: DependencyDescriptor, state: CodecState) -> bool:
    """Whether forwarding of this frame's temporal layer may begin with it, for who had only lower ones.

    A switch indication promises that later frames of a decode target need nothing older. So the first frame of a
    target that comes after the indication, which sits on the base layer, needs the base layer only.
    """
    spatial, temporal = descriptor.spatial, descriptor.temporal
    if temporal == 0:
        state.raisable[spatial] = descriptor.switch_temporals()
        return True
    raisable = state.raisable.get(spatial, 0)
    # From now on the targets at and above this layer have a frame that others may not have got.
    state.raisable[spatial] = raisable & ((1 << temporal) - 1)
    return bool(raisable >> temporal & 1)


def _begins_spatial_layer(descriptor: DependencyDescriptor) -> bool:
    """Whether the frame needs nothing but lower spatial layers of its own picture, nor will later ones.

    Frame numbers count the layers of a picture one by one, so a difference up to the layer's index stays inside.
    """
    inside = all(diff <= descriptor.spatial for diff in descriptor.frame_diffs)
    return inside and bool(descriptor.switch_temporals() >> descriptor.temporal & 1)


def _without_descriptor(payload: bytes, marker: bool) -> FrameInfo | None:
    has_sequence_header = _find_sequence_header(payload)
    if has_sequence_header is None:
        return None
    starts = not payload[0] & _Z
    keyframe = bool(payload[0] & _N) and has_sequence_header
    return FrameInfo(
        is_keyframe=keyframe,
        starts_frame=starts,
        ends_frame=marker,
        ends_picture=marker,
        switching_point=True,
        spatial_switching_point=keyframe,
    )


def _find_sequence_header(payload: bytes) -> bool | None:
    """Whether an OBU element of this packet is a sequence header. None when an element length lies.

    Aggregation header: Z Y W W N - - -. W counts the elements (the last has no length field); 0 means that each
    has one. Z set: the first element continues an older one (its first byte tells no type, but then N is not set).
    """
    size = len(payload)
    head = payload[0]
    elements = head >> 4 & 0x03
    if head & _Z and head & _N:
        return None
    position = 1
    index = 0
    found = False
    while position < size:
        index += 1
        if index == elements:
            length = size - position
        else:
            read = _read_leb128(payload, position)
            if read is None:
                return None
            length, position = read
            if position + length > size:
                return None
        if length:
            found = found or payload[position] >> 3 & 0x0F == _OBU_SEQUENCE_HEADER
        position += length
        if index == elements:
            break
    return found if index >= elements else None


def _read_leb128(payload: bytes, position: int) -> tuple[int, int] | None:
    """(value, position after it); at most eight bytes (AV1 specification §4.10.5)."""
    value = 0
    for index in range(_MAX_LEB128_BYTES):
        if position >= len(payload):
            return None
        byte = payload[position]
        position += 1
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position
    return None

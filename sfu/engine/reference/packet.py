"""One media packet on its way through the engine: parsed once, shared by everything it is forwarded to."""

from __future__ import annotations

from collections.abc import Mapping

from sfu.engine.api import Codec, Extension
from sfu.engine.reference.dependency_descriptor import write_frame_number
from sfu.engine.reference.frame_info import FrameInfo
from sfu.engine.reference.red import Frame, build
from sfu.engine.reference.rtp import abs_send_time, build_extensions

_CARRIED = (
    Extension.AUDIO_LEVEL,
    Extension.VIDEO_ORIENTATION,
    Extension.PLAYOUT_DELAY,
    Extension.ABS_CAPTURE_TIME,
    Extension.DEPENDENCY_DESCRIPTOR,
)
"""Extensions that leave as they came. MID, transport-cc and abs-send-time are ours to set; RIDs end here."""

_EXTENSION_HEADER_BYTES = 4
ONE_BYTE_PROFILE = b"\xbe\xde"


class ExtensionPlan:
    """How the extensions of one track become those of one subscriber. Subscribers share equal plans, by identity, and
    so the work that a plan makes per packet."""

    __slots__ = ("abs_send_time", "carried", "descriptor")

    def __init__(self, carried: tuple[tuple[int, int], ...], abs_send_time: int, descriptor: int) -> None:
        self.carried = carried
        """(id as it came, id to leave with)."""
        self.descriptor = descriptor
        """Id with which dependency descriptors come, or 0."""
        self.abs_send_time = abs_send_time
        """Id, or 0."""


def carried_extensions(
    inbound: Mapping[Extension, int], outbound: Mapping[Extension, int]
) -> tuple[tuple[int, int], ...]:
    """Pairs of ids of the extensions that leave as they came."""
    return tuple((inbound[ext], outbound[ext]) for ext in _CARRIED if ext in inbound and ext in outbound)


class MediaPacket:
    """A packet after decryption, RTX unwrap and description. `ext_seq` and `picture` count in the inbound stream."""

    __slots__ = (
        "_blocks",
        "_blocks_at_ns",
        "_redundant",
        "codec",
        "earlier",
        "ext_seq",
        "extensions",
        "info",
        "marker",
        "payload",
        "payload_type",
        "picture",
        "primary",
        "timestamp",
    )

    def __init__(
        self,
        codec: Codec,
        payload_type: int,
        marker: bool,
        ext_seq: int,
        timestamp: int,
        extensions: Mapping[int, bytes],
        payload: bytes,
        info: FrameInfo,
    ) -> None:
        self.codec = codec
        self.payload_type = payload_type
        self.marker = marker
        self.ext_seq = ext_seq
        self.timestamp = timestamp
        self.extensions = extensions
        self.payload = payload
        self.info = info
        self.picture = -1
        """Extended picture id (VP8, VP9) or frame number (AV1); -1 without one."""
        self.primary: bytes | None = None
        """The primary block of a RED payload."""
        self.earlier: tuple[Frame, ...] = ()
        """Of sound with redundancy: the frames before it that are known."""
        self._redundant: dict[tuple[int, int, int], MediaPacket] = {}
        self._blocks: dict[ExtensionPlan, bytes | None] = {}
        self._blocks_at_ns = 0

    def redundant(self, frames: int, step: int, frame_type: int) -> MediaPacket:
        """The same packet with so many of the frames before it, `step` apart, as RED (RFC 2198). Made once for all
        subscribers."""
        made = self._redundant.get((frames, step, frame_type))
        if made is None:
            own = self.payload if self.primary is None else self.primary
            payload = build(frame_type, self.timestamp, self.earlier[-step::-step][:frames][::-1], own)
            made = MediaPacket(
                self.codec, self.payload_type, self.marker, self.ext_seq, self.timestamp, self.extensions, payload,
                self.info,
            )  # fmt: skip
            self._redundant[frames, step, frame_type] = made
        return made

    def elements(self, plan: ExtensionPlan, now_ns: int, frame_number: int | None = None) -> list[tuple[int, bytes]]:
        """The extension elements that every subscriber with this plan gets, sent at `now_ns`. `frame_number` goes into
        the dependency descriptor."""
        values: Mapping[int, bytes] = self.extensions
        if frame_number is not None and plan.descriptor in values:
            values = {**values, plan.descriptor: write_frame_number(values[plan.descriptor], frame_number)}
        elements = [(outbound, values[inbound]) for inbound, outbound in plan.carried if inbound in values]
        if plan.abs_send_time:
            elements.append((plan.abs_send_time, abs_send_time(now_ns)))
        return elements

    def one_byte_block(self, plan: ExtensionPlan, now_ns: int) -> bytes | None:
        """`elements` in one-byte form, padded to 32 bits, without the profile; None when they need two-byte form.

        Worked out once for each moment at which the packet is forwarded.
        """
        if now_ns != self._blocks_at_ns:
            self._blocks_at_ns = now_ns
            self._blocks.clear()
        blocks = self._blocks
        if plan in blocks:
            return blocks[plan]
        block: bytes | None = b""
        elements = self.elements(plan, now_ns)
        if elements:
            whole = build_extensions(elements)
            block = whole[_EXTENSION_HEADER_BYTES:] if whole.startswith(ONE_BYTE_PROFILE) else None
        blocks[plan] = block
        return block

"""RTP headers of one subscription, with their extensions."""

from __future__ import annotations

import struct
from functools import lru_cache

from sfu.engine.api import Codec, Extension, SubscriptionConfig
from sfu.engine.reference.packet import ONE_BYTE_PROFILE, ExtensionPlan, MediaPacket
from sfu.engine.reference.rtp import build_extensions, build_header
from sfu.engine.reference.transport import Transport

_ONE_BYTE = int.from_bytes(ONE_BYTE_PROFILE, "big")


@lru_cache(maxsize=64)
def _header_struct(mid_element_bytes: int, with_twcc: bool) -> struct.Struct:
    """Fixed header, one-byte extension header, MID element, transport-cc element, padding to 32 bits."""
    body = mid_element_bytes + (3 if with_twcc else 0)
    return struct.Struct(f"!BBHIIHH{mid_element_bytes}s{'BH' if with_twcc else ''}{-body % 4}x")


class HeaderWriter:
    """Writes the MID of a subscription, transport-cc numbers, and what its packets carry. Every header with a
    transport-cc element takes a number of the transport. `second` is marker and payload type."""

    __slots__ = ("_encoding", "_mid_element", "_struct", "_twcc_byte", "_words", "has_ccfb", "has_twcc", "twcc_id")

    def __init__(self, config: SubscriptionConfig) -> None:
        mid_id = config.extensions.get(Extension.MID, 0)
        twcc_id = config.extensions.get(Extension.TRANSPORT_CC, 0)
        mid = config.mid.encode()
        self._encoding = (mid_id, mid, twcc_id)
        self.twcc_id = twcc_id
        """0: there is none."""
        self.has_twcc = twcc_id != 0
        """Whether each packet takes a transport-cc number."""
        self.has_ccfb = config.ccfb
        """Where its packets carry no transport-wide numbers, the peer reports on them by their RTP numbers."""
        fits = mid_id <= 14 and twcc_id <= 14 and len(mid) <= 16
        self._mid_element = bytes((mid_id << 4 | len(mid) - 1,)) + mid if mid_id and mid and fits else b""
        self._twcc_byte = twcc_id << 4 | 1 if fits and twcc_id else 0
        size = len(self._mid_element) + (3 if twcc_id else 0)
        self._words = (size + 3) // 4 if fits else 0
        """0: no fixed part, or one that only the two-byte form can carry."""
        self._struct = _header_struct(len(self._mid_element), bool(twcc_id))

    def number(self, transport: Transport, now_ns: int, payload_bytes: int, ssrc: int, ext_seq: int) -> None:
        """A packet with so much payload leaves, whose header has been written."""
        if self.has_twcc:
            transport.number_sent(now_ns, payload_bytes)
        elif self.has_ccfb:
            transport.number_rtp(now_ns, payload_bytes, ssrc, ext_seq)

    def forwarded(
        self,
        transport: Transport,
        now_ns: int,
        packet: MediaPacket,
        plan: ExtensionPlan,
        second: int,
        ext_seq: int,
        timestamp: int,
        ssrc: int,
        picture: tuple[int, int] | None,
    ) -> bytes:
        """The header of a packet that is forwarded; `picture` are its new numbers if it has any."""
        if picture is not None and packet.codec is Codec.AV1:
            return self.in_full(
                transport, now_ns, packet, plan, second, ext_seq, timestamp, ssrc, frame_number=picture[0]
            )
        block = packet.one_byte_block(plan, now_ns)
        words = self._words
        if block is None or not words:
            return self.in_full(transport, now_ns, packet, plan, second, ext_seq, timestamp, ssrc)
        words += len(block) >> 2
        if not self._twcc_byte:
            return (
                self._struct.pack(0x90, second, ext_seq & 0xFFFF, timestamp, ssrc, _ONE_BYTE, words, self._mid_element)
                + block
            )
        transport.twcc_seq = number = (transport.twcc_seq + 1) & 0xFFFF
        return self._struct.pack(
            0x90, second, ext_seq & 0xFFFF, timestamp, ssrc, _ONE_BYTE, words, self._mid_element,
            self._twcc_byte, number,
        ) + block  # fmt: skip

    def in_full(
        self,
        transport: Transport,
        now_ns: int,
        packet: MediaPacket | None,
        plan: ExtensionPlan,
        second: int,
        ext_seq: int,
        timestamp: int,
        ssrc: int,
        *,
        frame_number: int | None = None,
        has_padding: bool | None = None,
    ) -> bytes:
        """The header by the general builder: for two-byte extensions, other frame numbers, resends, and padding (no
        packet, unless it is said that it has none)."""
        mid_id, mid, twcc_id = self._encoding
        elements = [(mid_id, mid)] if mid_id and mid else []
        if twcc_id:
            transport.twcc_seq = (transport.twcc_seq + 1) & 0xFFFF
            elements.append((twcc_id, transport.twcc_seq.to_bytes(2, "big")))
        if packet is not None:
            elements += packet.elements(plan, now_ns, frame_number)
        return build_header(
            second & 0x7F,
            second >= 0x80,
            ext_seq & 0xFFFF,
            timestamp,
            ssrc,
            extension_block=build_extensions(elements),
            padding=packet is None if has_padding is None else has_padding,
        )

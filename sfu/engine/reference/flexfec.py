"""Repair packets of video: FlexFEC in the flexible form of draft-ietf-payload-flexible-fec-scheme-03 §4.2.2.1, which is
what libwebrtc reads (RFC 8627 has another header)."""

from __future__ import annotations

from sfu.engine.api import SubscriptionConfig
from sfu.engine.reference.core import Core
from sfu.engine.reference.header import HeaderWriter
from sfu.engine.reference.packet import ONE_BYTE_PROFILE, ExtensionPlan
from sfu.engine.reference.seqnum import EXT_SEQ_START
from sfu.engine.reference.transport import RetiredSsrc, Transport

_FIXED_HEADER_BYTES = 12
_EXTENSION_HEADER_BYTES = 4
_HEAD_BYTES = 8
_MASK_BITS = 15
"""Of the shortest mask, which makes a header of 20 bytes."""
MAX_COVERED_BYTES = 1_300
"""A packet with more behind its fixed header is not covered: its repair packet might be longer than what any line
takes."""


class FecStream:
    """The repair packets of one subscription."""

    __slots__ = ("_group", "_media_ssrc", "_payload_type", "_ssrc", "ext_seq", "is_on", "packets_sent")

    def __init__(self, core: Core, transport: Transport, config: SubscriptionConfig) -> None:
        """Its numbers begin by chance, or where that SSRC ended which this transport has used before."""
        self._media_ssrc = config.ssrc
        self._ssrc = config.fec_ssrc
        self._payload_type = config.fec_payload_type
        self.ext_seq = EXT_SEQ_START
        if self._ssrc is not None:
            self.ext_seq += core.random.next_bits(15)
            last = transport.retired_ssrcs.pop(self._ssrc, None)
            if last is not None:
                self.ext_seq = last.ext_seq
        self.packets_sent = 0
        self.is_on = False
        self._group: _Group | None = None
        """While there are some."""

    def set(self, packets: int) -> None:
        """So many packets of a picture share a repair packet from now on; 0: there are none."""
        self.is_on = packets > 0 and self._ssrc is not None
        self._group = _Group(packets) if self.is_on else None

    def cover(self, ext_seq: int, header: bytes, payload: bytes, mutable: tuple[int, int]) -> bytes | None:
        """A packet leaves. The payload of the repair packet that is to follow it, if one is. `mutable` are ids of the
        header extensions that are set when a packet leaves, or 0: receivers take them for zeros."""
        return None if self._group is None else self._group.add(self._media_ssrc, ext_seq, header, payload, mutable)

    def send(
        self,
        core: Core,
        transport: Transport,
        writer: HeaderWriter,
        plan: ExtensionPlan,
        now_ns: int,
        timestamp: int,
        payload: bytes,
    ) -> None:
        """`timestamp` is that of the picture."""
        ssrc = self._ssrc
        if ssrc is None:
            return
        self.ext_seq += 1
        self.packets_sent += 1
        seq, second = self.ext_seq, self._payload_type
        header = writer.in_full(transport, now_ns, None, plan, second, seq, timestamp, ssrc, has_padding=False)
        writer.number(transport, now_ns, len(payload), ssrc, seq)
        transport.send_rtp(core, header, payload, ssrc, seq)

    def rekey(self) -> None:
        """New keys: the peer counts rollovers from zero again."""
        self.ext_seq = EXT_SEQ_START + (self.ext_seq & 0xFFFF)

    def retire(self, transport: Transport) -> None:
        """The subscription ends: remember where its numbers stood."""
        if self._ssrc is not None:
            transport.retire_ssrc(self._ssrc, RetiredSsrc(self.ext_seq))


class _Group:
    """The packets that the next repair packet covers, `limit` at most."""

    __slots__ = ("_body", "_body_bytes", "_count", "_first", "_head", "_limit", "_mask", "_repaired", "_timestamp")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._repaired = b""
        """Timestamp of the picture that has had one last."""
        self._begin(0, b"")

    def _begin(self, ext_seq: int, timestamp: bytes) -> None:
        self._first = ext_seq
        self._timestamp = timestamp
        self._count = self._mask = self._head = self._body = self._body_bytes = 0

    def add(self, ssrc: int, ext_seq: int, header: bytes, payload: bytes, mutable: tuple[int, int]) -> bytes | None:
        """The payload of a repair packet, when this was the last one that shares it: the last of its picture, or one of
        as many as may. A packet that comes late, or alone in its picture, is not covered."""
        place = ext_seq - self._first
        if not self._count or header[4:8] != self._timestamp or place >= _MASK_BITS:
            self._begin(ext_seq, header[4:8])
        elif place < 0:
            return None
        size = len(header) - _FIXED_HEADER_BYTES + len(payload)
        if size <= MAX_COVERED_BYTES:
            fields = bytes((header[0] & 0x3F, header[1])) + size.to_bytes(2, "big") + header[4:8]
            self._head ^= int.from_bytes(fields, "big")
            self._cover(_blank(header[_FIXED_HEADER_BYTES:], mutable) + payload)
            self._count += 1
            self._mask |= 0x4000 >> ext_seq - self._first
        if header[1] < 0x80 and self._count < self._limit:
            return None
        # What is left over of a picture has one for itself: only the next picture would show that it is missing.
        is_wanted = self._count > 1 or (self._count == 1 and self._repaired == self._timestamp)
        self._count = 0
        if not is_wanted:
            return None
        self._repaired = self._timestamp
        return self._payload(ssrc)

    def _cover(self, body: bytes) -> None:
        # As numbers of which the first byte is the lowest, bodies of different lengths begin at the same place.
        self._body ^= int.from_bytes(body, "little")
        self._body_bytes = max(self._body_bytes, len(body))

    def _payload(self, ssrc: int) -> bytes:
        return b"".join((
            self._head.to_bytes(_HEAD_BYTES, "big"),
            b"\x01\x00\x00\x00",  # one SSRC is covered
            ssrc.to_bytes(4, "big"),
            (self._first & 0xFFFF).to_bytes(2, "big"),
            (0x8000 | self._mask).to_bytes(2, "big"),
            self._body.to_bytes(self._body_bytes, "little"),
        ))  # fmt: skip


def _blank(block: bytes, ids: tuple[int, int]) -> bytes:
    """An extension block that we have written, with zeros in place of the values of these elements."""
    is_one_byte = block[:2] == ONE_BYTE_PROFILE
    blanked = bytearray(block)
    position = _EXTENSION_HEADER_BYTES
    while position < len(block):
        first = block[position]
        position += 1
        if not first:
            continue
        if is_one_byte:
            id, size = first >> 4, (first & 0x0F) + 1
        else:
            id, size = first, block[position]
            position += 1
        if id in ids:
            blanked[position : position + size] = bytes(size)
        position += size
    return bytes(blanked)

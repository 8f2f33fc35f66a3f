"""Picture ids and TL0PICIDX (VP8 RFC 7741, VP9 RFC 9628), and AV1 frame numbers, of one subscription."""

from __future__ import annotations

from sfu.engine.api import Codec
from sfu.engine.reference.codecs import rewrite_vp8, rewrite_vp9
from sfu.engine.reference.packet import MediaPacket
from sfu.engine.reference.sequence_map import NO_PLACE, SequenceMap


class PictureNumbers:
    """Makes picture ids contiguous over switches, pauses and withheld pictures.

    VP9 ids step over withheld pictures as the publisher's did: P_DIFF and the GOF count in them (RFC 9628 §4.2), so
    that there only switches and pauses are smoothed. So it is with AV1, where frame differences count in frame numbers.
    The first number sent is the publisher's own, so a subscription that never switches needs no rewriting at all.
    """

    __slots__ = ("_last_tl0picidx", "_map", "_tl0picidx_offset")

    def __init__(self) -> None:
        self._map: SequenceMap | None = None
        self._last_tl0picidx = -1
        self._tl0picidx_offset = 0

    def begin(self, packet: MediaPacket) -> None:
        """A source starts, or starts again, with this packet."""
        if packet.picture < 0:
            return
        if self._map is None:
            self._map = SequenceMap(packet.picture)
        self._map.begin(packet.picture)
        tl0picidx = packet.info.tl0picidx
        if tl0picidx is not None:
            if self._last_tl0picidx >= 0:
                self._tl0picidx_offset = (self._last_tl0picidx + 1 - tl0picidx) & 0xFF
            self._last_tl0picidx = (tl0picidx + self._tl0picidx_offset) & 0xFF

    def withhold(self, packet: MediaPacket) -> None:
        """The packet, and with it its picture, does not go out."""
        if self._map is not None and packet.codec is Codec.VP8 and packet.picture > self._map.highest_in:
            self._map.withhold(packet.picture)

    def place(self, packet: MediaPacket) -> tuple[int, int] | None:
        """(picture id, TL0PICIDX) to write; None when the payload can leave as it is."""
        picture_map = self._map
        if picture_map is None:
            self.begin(packet)
            return None
        newest = packet.picture > picture_map.highest_in
        out = picture_map.place(packet.picture)
        if out == NO_PLACE:
            out = packet.picture - picture_map.offset
        tl0picidx = packet.info.tl0picidx
        if tl0picidx is None:
            return None if out == packet.picture else (out, 0)
        tl0picidx_out = (tl0picidx + self._tl0picidx_offset) & 0xFF
        if newest:
            self._last_tl0picidx = tl0picidx_out
        if out == packet.picture and tl0picidx_out == tl0picidx:
            return None
        return out, tl0picidx_out


def write_picture(payload: bytes, codec: Codec, picture: tuple[int, int]) -> bytes:
    """`payload` with the numbers that `PictureNumbers.place` gave."""
    if codec is Codec.VP8:
        return rewrite_vp8(payload, picture[0], picture[1])
    if codec is Codec.VP9:
        return rewrite_vp9(payload, picture[0], picture[1])
    # An AV1 frame number is in the dependency descriptor.
    return payload

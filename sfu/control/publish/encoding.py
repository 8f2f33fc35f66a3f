"""One codec that a publication is sent in."""

from __future__ import annotations

from collections.abc import Sequence

from sfu.api import VideoLayerInfo
from sfu.engine.api import Codec, OutboundPayload
from sfu.ids import TrackHandle
from sfu.kind import Kind
from sfu.sdp.capabilities import VARIANTS
from sfu.sdp.model import AcceptedSection, ReceivedMedia, Redundancy
from sfu.sdp.negotiate import outbound_payloads, subscribe_variants

_SVC_CODECS = frozenset({Codec.VP9, Codec.AV1})


def codec_name(mime_type: str) -> str:
    """The codec of a MIME type as clients call it: "vp8" of "video/VP8"."""
    return mime_type.rpartition("/")[2].lower()


class Encoding:
    """One codec that a publication is sent in: its engine track, and what may arrive there."""

    def __init__(
        self, name: str, cid: str, received: ReceivedMedia, track: TrackHandle, layers: Sequence[VideoLayerInfo]
    ) -> None:
        self.name = name
        """As `codec_name` gives it."""
        self.cid = cid
        self.received = received
        self.track = track
        self.layers = tuple(layers)
        """As announced, lowest first."""
        self._codec_in_use: Codec | None = None

    @property
    def codec(self) -> Codec | None:
        """What the publisher sends, or will send by the negotiated order until its first packet tells."""
        if self._codec_in_use is not None:
            return self._codec_in_use
        payloads = self.received.track.payloads
        return payloads[0].codec if payloads else None

    def handle_stream_started(self, payload_type: int) -> bool:
        """Note the codec that really arrives. True if subscribers were offered something else."""
        before = self.codec
        for payload in self.received.track.payloads:
            if payload.payload_type == payload_type:
                self._codec_in_use = payload.codec
        return self.codec is not before

    def variants(self) -> list[str]:
        """What to offer a subscriber: every audio form, but only the video codec in use, so that a room of
        30 stays far below the size limit of a description."""
        keys = subscribe_variants(self.received)
        codec = self.codec
        same = [key for key in keys if VARIANTS[key].codec is codec]
        return same if same and codec not in (Codec.OPUS, Codec.RED) else keys

    def payloads_for(
        self, accepted: AcceptedSection, redundancy: Redundancy | None = None
    ) -> dict[int, OutboundPayload]:
        """What becomes of each payload type for a subscriber; empty when it cannot receive the codec in use."""
        payloads = outbound_payloads(self.received, accepted, redundancy)
        codecs = {VARIANTS[self.received.variants[payload_type]].codec for payload_type in payloads}
        return payloads if self.received.kind is Kind.AUDIO or self.codec in codecs else {}

    def target_layers(self) -> tuple[VideoLayerInfo, ...]:
        """The layers that a spatial target can name, lowest first; empty when there is only one."""
        streams = len(self.received.track.layers)
        if streams > 1:
            return self.layers[-streams:] if len(self.layers) >= streams else self.layers
        return self.layers if self.codec in _SVC_CODECS else ()

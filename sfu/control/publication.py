"""A track offered in a room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sfu.api import AddTrackRequest, CodecInfo, Kind, PublicationInfo, VideoLayerInfo
from sfu.control.dynacast import HIGHEST_QUALITY, OFF, Demand, LayerDemand
from sfu.engine.api import Codec, OutboundPayload
from sfu.ids import ParticipantId, TrackHandle, TrackId
from sfu.sdp.capabilities import VARIANTS
from sfu.sdp.model import AcceptedSection, ReceivedMedia
from sfu.sdp.negotiate import outbound_payloads, subscribe_variants

if TYPE_CHECKING:
    from sfu.control.participant import Participant
    from sfu.control.subscription import Subscription

_SVC_CODECS = frozenset({Codec.VP9, Codec.AV1})
REGRESSION, PREFER_REGRESSION = 2, 0
"""LiveKit's BackupCodecPolicy: everyone gets the backup codec once somebody needs it."""


def sorted_layers(layers: Sequence[VideoLayerInfo]) -> tuple[VideoLayerInfo, ...]:
    return tuple(sorted(layers, key=lambda layer: (layer.width * layer.height, layer.quality)))


def announced(track_id: TrackId, request: AddTrackRequest) -> PublicationInfo:
    """What a publication looks like before its media was negotiated."""
    layers = sorted_layers(request.layers)
    codecs = [CodecInfo(request.mime_type, request.cid, layers=layers)] if request.mime_type else []
    if codecs and request.backup_mime_type and request.kind is Kind.VIDEO:
        codecs.append(CodecInfo(request.backup_mime_type))
    return PublicationInfo(
        track_id=track_id,
        kind=request.kind,
        source=request.source,
        name=request.name,
        muted=request.muted,
        width=request.width,
        height=request.height,
        simulcast=len(layers) > 1,
        layers=layers,
        mime_type=request.mime_type,
        stream=request.stream,
        disable_dtx=request.disable_dtx,
        stereo=request.stereo,
        disable_red=request.disable_red,
        encryption=request.encryption,
        audio_features=request.audio_features,
        packet_trailer_features=request.packet_trailer_features,
        backup_codec_policy=request.backup_codec_policy,
        codecs=tuple(codecs),
    )


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

    def payloads_for(self, accepted: AcceptedSection) -> dict[int, OutboundPayload]:
        """What becomes of each payload type for a subscriber; empty when it cannot receive the codec in use."""
        payloads = outbound_payloads(self.received, accepted)
        codecs = {VARIANTS[self.received.variants[payload_type]].codec for payload_type in payloads}
        return payloads if self.received.kind is Kind.AUDIO or self.codec in codecs else {}

    def target_layers(self) -> tuple[VideoLayerInfo, ...]:
        """The layers that a spatial target can name, lowest first; empty when there is only one."""
        streams = len(self.received.track.layers)
        if streams > 1:
            return self.layers[-streams:] if len(self.layers) >= streams else self.layers
        return self.layers if self.codec in _SVC_CODECS else ()


class Publication:
    """A negotiated track: what it is sent in, and who receives it."""

    def __init__(self, publisher: Participant, info: PublicationInfo, primary: Encoding, stream_label: str) -> None:
        self.publisher = publisher
        self.primary = primary
        self.backup: Encoding | None = None
        """The second codec, once the publisher sends it."""
        self.stream_label = stream_label
        """Ours, not the client's: tracks with the same label are played in sync."""
        self.subscriptions: dict[ParticipantId, Subscription] = {}
        self.demand: LayerDemand | None = None
        """Of a video."""
        self.regressed = False
        """Everyone gets the backup codec who can."""
        received = primary.received
        mime_type = info.mime_type or received.mime_type
        first = CodecInfo(mime_type, primary.cid, received.mid, tuple(info.layers))
        self.info = replace(
            info,
            mid=received.mid,
            mime_type=mime_type,
            simulcast=info.simulcast or len(received.track.layers) > 1,
            codecs=(first, *info.codecs[1:]),
        )

    @property
    def track_id(self) -> TrackId:
        return self.info.track_id

    def end_subscriptions(self) -> None:
        for subscription in list(self.subscriptions.values()):
            subscription.subscriber.subscriber.unsubscribe(self.track_id)

    @property
    def encodings(self) -> list[Encoding]:
        """In the order that subscribers should get them."""
        if self.backup is None:
            return [self.primary]
        return [self.backup, self.primary] if self.regressed else [self.primary, self.backup]

    def set_layers(self, layers: Sequence[VideoLayerInfo]) -> None:
        """What the publisher says of its layers now, of its primary codec."""
        self.primary.layers = sorted_layers(layers)
        codecs = (replace(self.info.codecs[0], layers=self.primary.layers), *self.info.codecs[1:])
        self.info = replace(self.info, layers=self.primary.layers, codecs=codecs)

    def set_backup(self, backup: Encoding | None) -> None:
        self.backup = backup
        mime_type = self.info.codecs[1].mime_type if len(self.info.codecs) > 1 else ""
        second = CodecInfo(mime_type)
        if backup is None:
            self.regressed = False
        else:
            second = CodecInfo(backup.received.mime_type, backup.cid, backup.received.mid, backup.layers)
        self.info = replace(self.info, codecs=(self.info.codecs[0], second))

    @property
    def backup_variants(self) -> list[str]:
        """What to offer beside the primary codec: the backup codec, also before anyone needed it."""
        if self.backup is not None:
            return self.backup.variants()
        if len(self.info.codecs) < 2:
            return []
        name = codec_name(self.info.codecs[1].mime_type)
        keys = [key for key, variant in VARIANTS.items() if variant.codec.value == name]
        return [key for key in keys if name != Codec.H264 or key.endswith("/1")]

    def variants(self) -> list[str]:
        """Codec forms to offer a subscriber, best first."""
        return list(dict.fromkeys([*self.primary.variants(), *self.backup_variants]))

    def measure_demand(self) -> Demand:
        """The best quality that anybody wants, of each codec that the publisher sends or has been asked for."""
        wanted = {self.primary.name: OFF}
        if self.backup is not None:
            wanted[self.backup.name] = OFF
        for subscription in self.subscriptions.values():
            codec, quality = subscription.wants()
            wanted[codec] = max(quality, wanted.get(codec, OFF))
        return wanted

    def note_demand(self, subscription: Subscription) -> None:
        if self.demand is not None:
            self.demand.note(*subscription.wants())

    def note_departure(self, subscription: Subscription) -> None:
        """The subscription has ended or cannot receive anything."""
        if self.demand is not None:
            self.demand.note(subscription.wants()[0], OFF)


def best_quality(layers: Sequence[VideoLayerInfo], spatial: int) -> int:
    """The quality of the layer that a spatial target names."""
    return layers[spatial].quality if spatial < len(layers) else HIGHEST_QUALITY

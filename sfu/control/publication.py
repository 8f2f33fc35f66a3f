"""A track offered in a room."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sfu.api import AddTrackRequest, PublicationInfo, VideoLayerInfo
from sfu.engine.api import Codec
from sfu.ids import ParticipantId, TrackHandle, TrackId
from sfu.sdp.capabilities import VARIANTS
from sfu.sdp.model import ReceivedMedia
from sfu.sdp.negotiate import subscribe_variants

if TYPE_CHECKING:
    from sfu.control.participant import Participant
    from sfu.control.subscription import Subscription

_SVC_CODECS = frozenset({Codec.VP9, Codec.AV1})


def announced(track_id: TrackId, request: AddTrackRequest) -> PublicationInfo:
    """What a publication looks like before its media was negotiated."""
    layers = sorted(request.layers, key=lambda layer: (layer.width * layer.height, layer.quality))
    return PublicationInfo(
        track_id=track_id,
        kind=request.kind,
        source=request.source,
        name=request.name,
        muted=request.muted,
        width=request.width,
        height=request.height,
        simulcast=len(layers) > 1,
        layers=tuple(layers),
        mime_type=request.mime_type,
        stream=request.stream,
        disable_dtx=request.disable_dtx,
        stereo=request.stereo,
        disable_red=request.disable_red,
        encryption=request.encryption,
        audio_features=request.audio_features,
        packet_trailer_features=request.packet_trailer_features,
        backup_codec_policy=request.backup_codec_policy,
    )


class Publication:
    """A negotiated track: its engine handle, what it may arrive as, and who receives it."""

    def __init__(
        self,
        publisher: Participant,
        cid: str,
        info: PublicationInfo,
        received: ReceivedMedia,
        track: TrackHandle,
        stream_label: str,
    ) -> None:
        self.publisher = publisher
        self.cid = cid
        self.track = track
        self.received = received
        self.stream_label = stream_label
        """Ours, not the client's: tracks with the same label are played in sync."""
        self.subscriptions: dict[ParticipantId, Subscription] = {}
        self._codec_in_use: Codec | None = None
        self.info = replace(
            info,
            mid=received.mid,
            mime_type=info.mime_type or received.mime_type,
            simulcast=info.simulcast or len(received.track.layers) > 1,
        )

    @property
    def track_id(self) -> TrackId:
        return self.info.track_id

    @property
    def codec(self) -> Codec | None:
        """What the publisher sends, or will send by the negotiated order until its first packet tells."""
        if self._codec_in_use is not None:
            return self._codec_in_use
        payloads = self.received.track.payloads
        return payloads[0].codec if payloads else None

    def end_subscriptions(self) -> None:
        for subscription in list(self.subscriptions.values()):
            subscription.subscriber.subscriber.unsubscribe(self.track_id)

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

    def target_layers(self) -> tuple[VideoLayerInfo, ...]:
        """The layers that a spatial target can name, lowest first; empty when there is only one."""
        streams = len(self.received.track.layers)
        announced_layers = tuple(self.info.layers)
        if streams > 1:
            return announced_layers[-streams:] if len(announced_layers) >= streams else announced_layers
        return announced_layers if self.codec in _SVC_CODECS else ()

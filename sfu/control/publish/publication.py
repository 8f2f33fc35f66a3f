"""A track offered in a room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from sfu.api import AddTrackRequest, CodecInfo, PublicationInfo, VideoLayerInfo
from sfu.control.member import Member
from sfu.control.publish.dynacast import OFF, Demand, LayerDemand, best_quality
from sfu.control.publish.encoding import Encoding, codec_name
from sfu.engine.api import HIGHEST_LAYER, Codec, EngineCommands
from sfu.ids import ParticipantId, TrackHandle, TrackId
from sfu.kind import Kind
from sfu.sdp.capabilities import VARIANTS

REGRESSION, PREFER_REGRESSION = 2, 0
"""LiveKit's BackupCodecPolicy: everyone gets the backup codec once somebody needs it."""


def sorted_layers(layers: Sequence[VideoLayerInfo]) -> tuple[VideoLayerInfo, ...]:
    return tuple(sorted(layers, key=lambda layer: (layer.width * layer.height, layer.quality)))


def may_be_redundant(info: PublicationInfo) -> bool:
    """Whether earlier sound may go with each packet: not where the publisher wants none, nor where it encrypts packets
    as a whole, which nobody could take apart who knows only Opus."""
    return not info.disable_red and info.encryption == 0


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


class Need(NamedTuple):
    """What has to come for one subscription."""

    codec: str
    spatial: int
    """The layer that it is to get now, as in `set_target_layer`."""
    quality: int
    """The best that its client asked for."""


class Reception(Protocol):
    """One participant receiving a publication, as the publication sees it."""

    def wants(self) -> tuple[str, int]:
        """Codec and quality, for dynacast."""
        ...

    def needs(self) -> Need | None:
        """What has to come for it; None: nothing."""
        ...

    def apply_settings(self, engine: EngineCommands) -> None:
        """The layers that there are have changed."""
        ...

    def reattach(self) -> None:
        """The codecs that there are have changed: take the best of them."""
        ...

    def renegotiate(self) -> None:
        """What is sent is not what the client was offered."""
        ...

    def end(self) -> None: ...


class Publication:
    """A negotiated track: what it is sent in, and who receives it."""

    def __init__(self, owner: Member, info: PublicationInfo, primary: Encoding, stream_label: str) -> None:
        self._owner = owner
        self.primary = primary
        self.backup: Encoding | None = None
        """The second codec, once the publisher sends it."""
        self.stream_label = stream_label
        """Ours, not the client's: tracks with the same label are played in sync."""
        self.subscriptions: dict[ParticipantId, Reception] = {}
        self.demand: LayerDemand | None = None
        """Of a video."""
        self.ceiling = HIGHEST_LAYER
        """The highest layer for which its publisher's line has room."""
        self.heeds_ceiling = True
        """Its publisher sends less when less is asked for, as far as is known: not every client can."""
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
    def owner(self) -> Member:
        return self._owner

    @property
    def track_id(self) -> TrackId:
        return self.info.track_id

    def end_subscriptions(self) -> None:
        for subscription in list(self.subscriptions.values()):
            subscription.end()

    def handle_stream_started(self, track: TrackHandle, payload_type: int) -> None:
        encoding = next((one for one in self.encodings if one.track == track), None)
        if encoding is not None and encoding.handle_stream_started(payload_type):
            for subscription in list(self.subscriptions.values()):
                subscription.renegotiate()

    def reattach_all(self) -> None:
        """Who should get another codec now gets it."""
        for subscription in list(self.subscriptions.values()):
            subscription.reattach()

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
        keys = [*self.primary.variants(), *self.backup_variants]
        if "opus" in keys and may_be_redundant(self.info):
            # It is made here where a line loses, also of what comes as plain Opus.
            keys.append("red")
        return list(dict.fromkeys(keys))

    def measure_demand(self) -> Demand:
        """The best quality that anybody wants, of each codec that the publisher sends or has been asked for."""
        wanted = {self.primary.name: OFF}
        if self.backup is not None:
            wanted[self.backup.name] = OFF
        for subscription in self.subscriptions.values():
            codec, quality = self._limited(subscription.wants())
            wanted[codec] = max(quality, wanted.get(codec, OFF))
        return wanted

    def _limited(self, wanted: tuple[str, int]) -> tuple[str, int]:
        """Codec and quality, as far as the publisher's line has room for it."""
        codec, quality = wanted
        return codec, min(quality, best_quality(self.primary.target_layers(), self.ceiling))

    @property
    def is_limited(self) -> bool:
        return self.ceiling != HIGHEST_LAYER

    def set_ceiling(self, engine: EngineCommands, layer: int) -> None:
        """No higher layer is wanted of the publisher from now on, nor given to anybody."""
        self.ceiling = layer if layer < len(self.primary.target_layers()) - 1 else HIGHEST_LAYER
        if self.demand is not None:
            self.demand.refresh()
        for subscription in self.subscriptions.values():
            subscription.apply_settings(engine)

    def note_target(self) -> None:
        """What is sent to a subscription has changed."""

    def note_demand(self, subscription: Reception) -> None:
        if self.demand is not None:
            self.demand.note(*self._limited(subscription.wants()))

    def note_departure(self, subscription: Reception) -> None:
        """The subscription has ended or cannot receive anything."""
        if self.demand is not None:
            self.demand.note(subscription.wants()[0], OFF)

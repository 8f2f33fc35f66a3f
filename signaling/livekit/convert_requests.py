"""LiveKit's protobuf messages as the SFU's dataclasses. Pure functions; the way back is `convert`."""

from __future__ import annotations

from collections.abc import Mapping

from livekit.protocol import models, rtc

from sfu.api import AddTrackRequest, Kind, Permissions, TrackSettings, TrackSource, VideoLayerInfo
from sfu.ids import TrackId
from signaling.livekit.convert import CODEC_NAMES, SOURCES

MAX_LAYERS = 8
MAX_FEATURES = 32
MAX_TEXT = 256
_SOURCES: Mapping[int, TrackSource] = {int(number): source for source, number in SOURCES.items()}
_KINDS: Mapping[int, Kind] = {int(models.TrackType.AUDIO): Kind.AUDIO, int(models.TrackType.VIDEO): Kind.VIDEO}


def add_track_request(message: rtc.AddTrackRequest) -> AddTrackRequest:
    """Raises `ValueError` for what no client of ours would send."""
    kind = _KINDS.get(message.type)
    if kind is None:
        raise ValueError("the track is neither audio nor video")
    primary = message.simulcast_codecs[0] if message.simulcast_codecs else None
    backup = message.simulcast_codecs[1].codec.lower() if len(message.simulcast_codecs) > 1 else ""
    layers = message.layers or (primary.layers if primary else [])
    codec = primary.codec.lower() if primary else ""
    for text in (message.cid, message.sid, message.name, message.stream, codec, backup):
        if len(text) > MAX_TEXT:
            raise ValueError("a text of the track is too long")
    if not message.cid:
        raise ValueError("the track has no cid")
    if len(layers) > MAX_LAYERS or len(message.audio_features) > MAX_FEATURES:
        raise ValueError("the track has too many layers or features")
    if len(message.packet_trailer_features) > MAX_FEATURES:
        raise ValueError("the track has too many features")
    return AddTrackRequest(
        cid=message.cid,
        kind=kind,
        source=_SOURCES.get(message.source, TrackSource.UNKNOWN),
        name=message.name,
        muted=message.muted,
        width=message.width,
        height=message.height,
        layers=[_layer_info(layer) for layer in layers],
        mime_type=_mime_type(kind, codec),
        stream=message.stream,
        disable_dtx=message.disable_dtx,
        stereo=message.stereo,
        disable_red=message.disable_red,
        encryption=message.encryption,
        audio_features=tuple(message.audio_features),
        packet_trailer_features=tuple(message.packet_trailer_features),
        backup_codec_policy=message.backup_codec_policy,
        backup_mime_type=_mime_type(kind, backup) if backup.rpartition("/")[2] in CODEC_NAMES else "",
        track_id=TrackId(message.sid) if message.sid else None,
    )


def _mime_type(kind: Kind, codec: str) -> str:
    """LiveKit clients name a codec as "vp8" or "video/vp8"."""
    name = codec.rpartition("/")[2]
    return f"{kind}/{CODEC_NAMES.get(name, name)}" if name else ""


def video_layers(message: rtc.UpdateVideoLayers) -> list[VideoLayerInfo]:
    """Raises `ValueError` for what no client of ours would send."""
    if not 0 < len(message.layers) <= MAX_LAYERS:
        raise ValueError("the track has no layers, or too many")
    return [_layer_info(layer) for layer in message.layers]


def _layer_info(layer: models.VideoLayer) -> VideoLayerInfo:
    if layer.quality not in (models.VideoQuality.LOW, models.VideoQuality.MEDIUM, models.VideoQuality.HIGH):
        raise ValueError("a layer has no quality")
    return VideoLayerInfo(
        quality=int(layer.quality),
        width=layer.width,
        height=layer.height,
        bitrate_bps=layer.bitrate,
        rid=layer.rid if len(layer.rid) <= 16 else "",
    )


def permissions(message: models.ParticipantPermission) -> Permissions:
    """`hidden` is refused before (`undone`). A source that we do not know stays in the set as "unknown": dropping it
    could leave the set empty, which means all."""
    return Permissions(
        can_publish=message.can_publish,
        can_subscribe=message.can_subscribe,
        can_publish_data=message.can_publish_data,
        can_publish_sources=frozenset(
            _SOURCES.get(source, TrackSource.UNKNOWN) for source in message.can_publish_sources
        ),
        can_update_metadata=message.can_update_metadata,
        can_subscribe_metrics=message.can_subscribe_metrics,
        can_manage_agent_session=message.can_manage_agent_session,
        recorder=message.recorder,
        agent=message.agent,
    )


def track_settings(message: rtc.UpdateTrackSettings) -> TrackSettings:
    """Quality counts only when no size is given: clients that know the size send a default quality with it."""
    by_size = bool(message.width or message.height)
    quality = min(int(message.quality), int(models.VideoQuality.HIGH))
    return TrackSettings(
        disabled=message.disabled or message.quality == models.VideoQuality.OFF,
        quality=None if by_size else quality,
        width=message.width,
        height=message.height,
        fps=message.fps,
        priority=message.priority,
    )

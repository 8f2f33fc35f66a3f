"""Between the SFU's dataclasses and LiveKit's protobuf messages. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from livekit.protocol import models, rtc

from sfu.api import (
    AddTrackRequest,
    ConnectionGrade,
    ConnectionQuality,
    DataTrackInfo,
    DataTrackSource,
    Kind,
    LayersWanted,
    LeaveReason,
    ParticipantInfo,
    ParticipantState,
    Permissions,
    PublicationInfo,
    RoomInfo,
    Speaker,
    StreamState,
    TrackSettings,
    TrackSource,
    VideoLayerInfo,
)
from sfu.config import SfuConfig
from sfu.ids import TrackId
from signaling.devices import BrokenCodecs
from signaling.turn import IceServer

PROTOCOL = 17
"""Version of the LiveKit protocol that this server speaks (dual peer connection, "v0")."""
COMPATIBLE_VERSION = "1.8.4"
"""Clients switch features by LiveKit's server version: RPC needs 1.8.0; rid-based VP9/AV1 simulcast, which we do not
take, begins after 1.13.6."""

MAX_LAYERS = 8
MAX_FEATURES = 32
MAX_TEXT = 256

_STATES: Mapping[ParticipantState, models.ParticipantInfo.State] = {
    ParticipantState.JOINING: models.ParticipantInfo.JOINING,
    ParticipantState.JOINED: models.ParticipantInfo.JOINED,
    ParticipantState.ACTIVE: models.ParticipantInfo.ACTIVE,
    ParticipantState.DISCONNECTED: models.ParticipantInfo.DISCONNECTED,
}
_SOURCES: Mapping[TrackSource, models.TrackSource] = {
    TrackSource.UNKNOWN: models.TrackSource.UNKNOWN,
    TrackSource.CAMERA: models.TrackSource.CAMERA,
    TrackSource.MICROPHONE: models.TrackSource.MICROPHONE,
    TrackSource.SCREEN_SHARE: models.TrackSource.SCREEN_SHARE,
    TrackSource.SCREEN_SHARE_AUDIO: models.TrackSource.SCREEN_SHARE_AUDIO,
}
_SOURCES_BACK: Mapping[int, TrackSource] = {int(number): source for source, number in _SOURCES.items()}
_REASONS: Mapping[LeaveReason, models.DisconnectReason] = {
    LeaveReason.CLIENT_INITIATED: models.DisconnectReason.CLIENT_INITIATED,
    LeaveReason.DUPLICATE_IDENTITY: models.DisconnectReason.DUPLICATE_IDENTITY,
    LeaveReason.SERVER_SHUTDOWN: models.DisconnectReason.SERVER_SHUTDOWN,
    LeaveReason.PARTICIPANT_REMOVED: models.DisconnectReason.PARTICIPANT_REMOVED,
    LeaveReason.ROOM_DELETED: models.DisconnectReason.ROOM_DELETED,
    LeaveReason.STATE_MISMATCH: models.DisconnectReason.STATE_MISMATCH,
    LeaveReason.SIGNAL_CLOSE: models.DisconnectReason.SIGNAL_CLOSE,
    LeaveReason.CONNECTION_TIMEOUT: models.DisconnectReason.CONNECTION_TIMEOUT,
    LeaveReason.MEDIA_FAILURE: models.DisconnectReason.MEDIA_FAILURE,
    LeaveReason.ROOM_CLOSED: models.DisconnectReason.ROOM_CLOSED,
    LeaveReason.MIGRATION: models.DisconnectReason.MIGRATION,
    # The protocol has no word for it.
    LeaveReason.LIMIT_EXCEEDED: models.DisconnectReason.UNKNOWN_REASON,
}
_RECONNECT_REASONS = frozenset({LeaveReason.STATE_MISMATCH, LeaveReason.MEDIA_FAILURE})
"""Reasons after which a client should come back with a full reconnect; after all others it should stay away."""
_KINDS: Mapping[int, Kind] = {int(models.TrackType.AUDIO): Kind.AUDIO, int(models.TrackType.VIDEO): Kind.VIDEO}
_QUALITIES = (models.VideoQuality.LOW, models.VideoQuality.MEDIUM, models.VideoQuality.HIGH)
_GRADES: Mapping[ConnectionGrade, models.ConnectionQuality] = {
    ConnectionGrade.EXCELLENT: models.ConnectionQuality.EXCELLENT,
    ConnectionGrade.GOOD: models.ConnectionQuality.GOOD,
    ConnectionGrade.POOR: models.ConnectionQuality.POOR,
    ConnectionGrade.LOST: models.ConnectionQuality.LOST,
}
_CODEC_NAMES = {"vp8": "VP8", "vp9": "VP9", "h264": "H264", "av1": "AV1"}


# --- to the client --------------------------------------------------------------------------------------


def room(info: RoomInfo, config: SfuConfig) -> models.Room:
    return models.Room(
        sid=info.room_id,
        name=info.name,
        empty_timeout=info.empty_timeout_s,
        departure_timeout=info.departure_timeout_s,
        max_participants=info.max_participants,
        creation_time=info.created_at_ms // 1000,
        creation_time_ms=info.created_at_ms,
        enabled_codecs=codecs(config),
        metadata=info.metadata,
        num_participants=info.num_participants,
        num_publishers=info.num_publishers,
    )


def codecs(config: SfuConfig, without: frozenset[str] = frozenset()) -> list[models.Codec]:
    """What may be published, as MIME types."""
    names = [f"video/{_CODEC_NAMES.get(name, name)}" for name in config.video_codecs if name not in without]
    return [models.Codec(mime=mime) for mime in [*names, *(f"audio/{name}" for name in config.audio_codecs)]]


def participant(info: ParticipantInfo) -> models.ParticipantInfo:
    return models.ParticipantInfo(
        sid=info.participant_id,
        identity=info.identity,
        state=_STATES[info.state],
        tracks=[track(publication) for publication in info.tracks],
        data_tracks=[data_track(one) for one in info.data_tracks],
        metadata=info.metadata,
        joined_at=info.joined_at_ms // 1000,
        joined_at_ms=info.joined_at_ms,
        name=info.name,
        version=info.version,
        permission=permission(info.permissions),
        is_publisher=info.is_publisher,
        kind=info.kind,  # type: ignore[arg-type]
        kind_details=info.kind_details,  # type: ignore[arg-type]
        attributes=dict(info.attributes),
        disconnect_reason=disconnect_reason(info.leave_reason),
    )


def permission(permissions: Permissions) -> models.ParticipantPermission:
    return models.ParticipantPermission(
        can_subscribe=permissions.can_subscribe,
        can_publish=permissions.can_publish,
        can_publish_data=permissions.can_publish_data,
        can_publish_sources=sorted(_SOURCES[source] for source in permissions.can_publish_sources),
        can_update_metadata=permissions.can_update_metadata,
        can_subscribe_metrics=permissions.can_subscribe_metrics,
        can_manage_agent_session=permissions.can_manage_agent_session,
        recorder=permissions.recorder,
        agent=permissions.agent,
    )


def track(info: PublicationInfo) -> models.TrackInfo:
    layers = [_layer(layer) for layer in info.layers]
    # Enums of proto3 are open: numbers that only travel through may be of a newer protocol.
    message = models.TrackInfo(
        sid=info.track_id,
        type=models.TrackType.AUDIO if info.kind is Kind.AUDIO else models.TrackType.VIDEO,
        name=info.name,
        muted=info.muted,
        width=info.width,
        height=info.height,
        simulcast=info.simulcast,
        disable_dtx=info.disable_dtx,
        source=_SOURCES[info.source],
        layers=layers,
        mime_type=info.mime_type,
        mid=info.mid,
        stereo=info.stereo,
        disable_red=info.disable_red,
        stream=info.stream,
        encryption=info.encryption,  # type: ignore[arg-type]
        backup_codec_policy=info.backup_codec_policy,  # type: ignore[arg-type]
        audio_features=info.audio_features,  # type: ignore[arg-type]
        packet_trailer_features=info.packet_trailer_features,  # type: ignore[arg-type]
    )
    if info.mime_type and not info.codecs:
        message.codecs.add(mime_type=info.mime_type, mid=info.mid, layers=layers)
    for codec in info.codecs:
        message.codecs.add(
            mime_type=codec.mime_type, mid=codec.mid, cid=codec.cid, layers=[_layer(layer) for layer in codec.layers]
        )
    return message


def data_track(info: DataTrackInfo) -> models.DataTrackInfo:
    message = models.DataTrackInfo(
        sid=info.track_id,
        pub_handle=info.handle,
        name=info.name,
        encryption=info.encryption,  # type: ignore[arg-type]
    )
    if info.frame_encoding:
        message.frame_encoding.MergeFromString(info.frame_encoding)
    if info.schema:
        message.schema.MergeFromString(info.schema)
    return message


def data_track_source(source: DataTrackSource) -> rtc.DataTrackSubscriberHandles.PublishedDataTrack:
    return rtc.DataTrackSubscriberHandles.PublishedDataTrack(
        publisher_identity=source.publisher_identity,
        publisher_sid=source.publisher_id,
        track_sid=source.track_id,
    )


def _layer(layer: VideoLayerInfo) -> models.VideoLayer:
    return models.VideoLayer(
        quality=layer.quality,  # type: ignore[arg-type]
        width=layer.width,
        height=layer.height,
        bitrate=layer.bitrate_bps,
        spatial_layer=layer.quality,
        rid=layer.rid,
    )


def client_configuration(broken: BrokenCodecs, *, relay_only: bool) -> models.ClientConfiguration | None:
    """None when there is nothing to say. `relay_only`: the client shall use TURN alone."""
    configuration = models.ClientConfiguration()
    if broken.all or broken.publish:
        codecs = models.DisabledCodecs(codecs=_disabled(broken.all), publish=_disabled(broken.publish))
        configuration.disabled_codecs.CopyFrom(codecs)
    if relay_only:
        configuration.force_relay = models.ClientConfigSetting.ENABLED
    return configuration if configuration.ByteSize() else None


def _disabled(names: frozenset[str]) -> list[models.Codec]:
    return [models.Codec(mime=f"video/{name}") for name in sorted(names)]


def speakers(changed: Sequence[Speaker]) -> rtc.SpeakersChanged:
    return rtc.SpeakersChanged(
        speakers=[
            models.SpeakerInfo(sid=speaker.participant_id, level=speaker.level, active=speaker.active)
            for speaker in changed
        ]
    )


def disconnect_reason(reason: LeaveReason | None) -> models.DisconnectReason:
    return models.DisconnectReason.UNKNOWN_REASON if reason is None else _REASONS[reason]


def leave(reason: LeaveReason, protocol: int) -> rtc.LeaveRequest:
    """The goodbye for an ended session. Clients before protocol 13 know `can_reconnect` only."""
    reconnect = reason in _RECONNECT_REASONS
    message = rtc.LeaveRequest(
        reason=disconnect_reason(reason),
        action=rtc.LeaveRequest.RECONNECT if reconnect else rtc.LeaveRequest.DISCONNECT,
    )
    if protocol < 13:
        message.can_reconnect = reconnect
    return message


def ice_servers(servers: Sequence[IceServer]) -> list[rtc.ICEServer]:
    return [
        rtc.ICEServer(urls=server.urls, username=server.username, credential=server.credential) for server in servers
    ]


def server_info(node_id: str) -> models.ServerInfo:
    return models.ServerInfo(version=COMPATIBLE_VERSION, protocol=PROTOCOL, node_id=node_id)


def layers_wanted(event: LayersWanted) -> rtc.SubscribedQualityUpdate:
    """Clients before protocol 9 know one codec only: that is the first one."""
    codecs = [
        rtc.SubscribedCodec(
            codec=codec,
            qualities=[rtc.SubscribedQuality(quality=quality, enabled=quality <= best) for quality in _QUALITIES],
        )
        for codec, best in event.codecs.items()
    ]
    return rtc.SubscribedQualityUpdate(
        track_sid=event.track_id, subscribed_qualities=codecs[0].qualities, subscribed_codecs=codecs
    )


def connection_qualities(qualities: Sequence[ConnectionQuality]) -> rtc.ConnectionQualityUpdate:
    return rtc.ConnectionQualityUpdate(
        updates=[
            rtc.ConnectionQualityInfo(
                participant_sid=quality.participant_id, quality=_GRADES[quality.grade], score=quality.score
            )
            for quality in qualities
        ]
    )


def stream_states(states: Sequence[StreamState]) -> rtc.StreamStateUpdate:
    return rtc.StreamStateUpdate(
        stream_states=[
            rtc.StreamStateInfo(
                participant_sid=state.participant_id,
                track_sid=state.track_id,
                state=rtc.StreamState.PAUSED if state.paused else rtc.StreamState.ACTIVE,
            )
            for state in states
        ]
    )


# --- from the client ------------------------------------------------------------------------------------


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
        source=_SOURCES_BACK.get(message.source, TrackSource.UNKNOWN),
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
        backup_mime_type=_mime_type(kind, backup) if backup.rpartition("/")[2] in _CODEC_NAMES else "",
        track_id=TrackId(message.sid) if message.sid else None,
    )


def _mime_type(kind: Kind, codec: str) -> str:
    """LiveKit clients name a codec as "vp8" or "video/vp8"."""
    name = codec.rpartition("/")[2]
    return f"{kind}/{_CODEC_NAMES.get(name, name)}" if name else ""


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
    """`hidden` has no effect: nobody is invisible here. A source that we do not know stays in the set as "unknown":
    dropping it could leave the set empty, which means all."""
    return Permissions(
        can_publish=message.can_publish,
        can_subscribe=message.can_subscribe,
        can_publish_data=message.can_publish_data,
        can_publish_sources=frozenset(
            _SOURCES_BACK.get(source, TrackSource.UNKNOWN) for source in message.can_publish_sources
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

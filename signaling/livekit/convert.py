"""The SFU's dataclasses as LiveKit's protobuf messages. Pure functions; the way back is `convert_requests`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from livekit.protocol import models, rtc

from sfu.api import (
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
    TrackSource,
    VideoLayerInfo,
)
from sfu.config import SfuConfig
from signaling.devices import BrokenCodecs
from signaling.turn import IceServer

PROTOCOL = 17
"""Version of the LiveKit protocol that this server speaks (dual peer connection, "v0")."""
COMPATIBLE_VERSION = "1.8.4"
"""Clients switch features by LiveKit's server version: RPC needs 1.8.0; rid-based VP9/AV1 simulcast, which we do not
take, begins after 1.13.6."""

_STATES: Mapping[ParticipantState, models.ParticipantInfo.State] = {
    ParticipantState.JOINING: models.ParticipantInfo.JOINING,
    ParticipantState.JOINED: models.ParticipantInfo.JOINED,
    ParticipantState.ACTIVE: models.ParticipantInfo.ACTIVE,
    ParticipantState.DISCONNECTED: models.ParticipantInfo.DISCONNECTED,
}
SOURCES: Mapping[TrackSource, models.TrackSource] = {
    TrackSource.UNKNOWN: models.TrackSource.UNKNOWN,
    TrackSource.CAMERA: models.TrackSource.CAMERA,
    TrackSource.MICROPHONE: models.TrackSource.MICROPHONE,
    TrackSource.SCREEN_SHARE: models.TrackSource.SCREEN_SHARE,
    TrackSource.SCREEN_SHARE_AUDIO: models.TrackSource.SCREEN_SHARE_AUDIO,
}
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
    LeaveReason.NODE_SHUTDOWN: models.DisconnectReason.MIGRATION,
    # The protocol has no word for it.
    LeaveReason.LIMIT_EXCEEDED: models.DisconnectReason.UNKNOWN_REASON,
}
_RECONNECT_REASONS = frozenset({LeaveReason.STATE_MISMATCH, LeaveReason.MEDIA_FAILURE, LeaveReason.NODE_SHUTDOWN})
"""Reasons after which a client should come back with a full reconnect; after all others it should stay away."""
_QUALITIES = (models.VideoQuality.LOW, models.VideoQuality.MEDIUM, models.VideoQuality.HIGH)
_GRADES: Mapping[ConnectionGrade, models.ConnectionQuality] = {
    ConnectionGrade.EXCELLENT: models.ConnectionQuality.EXCELLENT,
    ConnectionGrade.GOOD: models.ConnectionQuality.GOOD,
    ConnectionGrade.POOR: models.ConnectionQuality.POOR,
    ConnectionGrade.LOST: models.ConnectionQuality.LOST,
}
CODEC_NAMES = {"vp8": "VP8", "vp9": "VP9", "h264": "H264", "av1": "AV1"}


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
    names = [f"video/{CODEC_NAMES.get(name, name)}" for name in config.video_codecs if name not in without]
    return [models.Codec(mime=mime) for mime in [*names, *(f"audio/{name}" for name in config.audio_codecs)]]


def participant(info: ParticipantInfo) -> models.ParticipantInfo:
    message = models.ParticipantInfo(
        sid=info.participant_id,
        identity=info.identity,
        tracks=[track(publication) for publication in info.tracks],
        data_tracks=[data_track(one) for one in info.data_tracks],
        metadata=info.metadata,
        joined_at=info.joined_at_ms // 1000,
        joined_at_ms=info.joined_at_ms,
        name=info.name,
        permission=permission(info.permissions),
        is_publisher=info.is_publisher,
        kind=info.kind,  # type: ignore[arg-type]
        kind_details=info.kind_details,  # type: ignore[arg-type]
        attributes=dict(info.attributes),
        disconnect_reason=disconnect_reason(info.leave_reason),
    )
    set_state(message, info)
    return message


def set_state(message: models.ParticipantInfo, info: ParticipantInfo) -> None:
    message.state = _STATES[info.state]
    message.version = info.version


def permission(permissions: Permissions) -> models.ParticipantPermission:
    return models.ParticipantPermission(
        can_subscribe=permissions.can_subscribe,
        can_publish=permissions.can_publish,
        can_publish_data=permissions.can_publish_data,
        can_publish_sources=sorted(SOURCES[source] for source in permissions.can_publish_sources),
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
        source=SOURCES[info.source],
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

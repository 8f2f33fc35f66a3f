"""Messages in which a participant says something new of itself and of its tracks."""

from __future__ import annotations

from livekit.protocol import rtc

from sfu.api import ParticipantChanges, RequestError
from sfu.ids import TrackId
from signaling.livekit.context import Context
from signaling.livekit.convert_requests import MAX_FEATURES
from signaling.participants import check_changes

MAX_PIXELS = 65_535
"""Width and height of a video that a client may claim."""


async def update_metadata(context: Context, message: rtc.UpdateParticipantMetadata) -> None:
    """The participant hears its new state first, then that the request is done."""
    session = context.session
    if not session.info.permissions.can_update_metadata:
        raise RequestError("does not have permission to update own metadata", code="not_allowed")
    changes = ParticipantChanges(message.name, message.metadata, dict(message.attributes))
    check_changes(session.info, changes, context.max_metadata_bytes)
    session.update(changes)
    done = rtc.RequestResponse(request_id=message.request_id, reason=rtc.RequestResponse.OK)
    done.update_metadata.CopyFrom(message)
    context.send(rtc.SignalResponse(request_response=done))


async def update_audio_track(context: Context, message: rtc.UpdateLocalAudioTrack) -> None:
    if len(message.features) > MAX_FEATURES:
        raise RequestError("the track has too many features", code="limit_exceeded")
    context.session.update_audio_features(TrackId(message.track_sid), tuple(dict.fromkeys(message.features)))


async def update_video_track(context: Context, message: rtc.UpdateLocalVideoTrack) -> None:
    if max(message.width, message.height) > MAX_PIXELS:
        raise RequestError("the video is too large", code="limit_exceeded")
    context.session.update_video_size(TrackId(message.track_sid), message.width, message.height)

"""Each event of a session as the message that tells a client of it."""

from __future__ import annotations

from livekit.protocol import models, rtc

from sfu.api import (
    ConnectionQualitiesChanged,
    DataTrackHandles,
    DataTrackUnpublished,
    LayersWanted,
    MediaSectionsRequired,
    ParticipantsUpdated,
    RoomUpdated,
    SessionEvent,
    SpeakersChanged,
    StreamStatesChanged,
    SubscriberOffer,
    SubscriptionAllowed,
    SubscriptionRefused,
    TrackMuted,
    TrackPublished,
    TrackSubscribed,
    TrackUnpublished,
)
from sfu.config import SfuConfig
from signaling.livekit import convert, data_requests
from signaling.livekit.frames import Frames


def response(event: SessionEvent, frames: Frames, config: SfuConfig) -> rtc.SignalResponse:
    """The message that tells the client of this event."""
    match event:
        case ParticipantsUpdated(participants):
            infos = frames.participants(participants)
            return rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=infos))
        case SubscriberOffer(sdp, offer_id, mid_to_track_id):
            return rtc.SignalResponse(
                offer=rtc.SessionDescription(type="offer", sdp=sdp, id=offer_id, mid_to_track_id=dict(mid_to_track_id))
            )
        case MediaSectionsRequired(num_audios, num_videos):
            requirement = rtc.MediaSectionsRequirement(num_audios=num_audios, num_videos=num_videos)
            return rtc.SignalResponse(media_sections_requirement=requirement)
        case TrackPublished(cid, publication):
            published = rtc.TrackPublishedResponse(cid=cid, track=convert.track(publication))
            return rtc.SignalResponse(track_published=published)
        case TrackUnpublished(track_id):
            return rtc.SignalResponse(track_unpublished=rtc.TrackUnpublishedResponse(track_sid=track_id))
        case TrackMuted(track_id, muted):
            return rtc.SignalResponse(mute=rtc.MuteTrackRequest(sid=track_id, muted=muted))
        case SpeakersChanged(speakers):
            return rtc.SignalResponse(speakers_changed=convert.speakers(speakers))
        case TrackSubscribed(track_id):
            return rtc.SignalResponse(track_subscribed=rtc.TrackSubscribed(track_sid=track_id))
        case SubscriptionAllowed(publisher_id, track_id, allowed):
            sids = {"participant_sid": publisher_id, "track_sid": track_id}
            permission = rtc.SubscriptionPermissionUpdate(**sids, allowed=allowed)
            return rtc.SignalResponse(subscription_permission_update=permission)
        case SubscriptionRefused(track_id):
            refusal = rtc.SubscriptionResponse(track_sid=track_id, err=models.SubscriptionError.SE_CODEC_UNSUPPORTED)
            return rtc.SignalResponse(subscription_response=refusal)
        case DataTrackHandles(sources):
            handles = {handle: convert.data_track_source(source) for handle, source in sources.items()}
            return rtc.SignalResponse(data_track_subscriber_handles=rtc.DataTrackSubscriberHandles(sub_handles=handles))
        case DataTrackUnpublished(info):
            return data_requests.unpublished(info)
        case LayersWanted():
            return rtc.SignalResponse(subscribed_quality_update=convert.layers_wanted(event))
        case ConnectionQualitiesChanged(qualities):
            return rtc.SignalResponse(connection_quality=convert.connection_qualities(qualities))
        case StreamStatesChanged(states):
            return rtc.SignalResponse(stream_state_update=convert.stream_states(states))
        case RoomUpdated(room):
            return rtc.SignalResponse(room_update=rtc.RoomUpdate(room=convert.room(room, config)))
    raise AssertionError(f"no message for {type(event).__name__}")

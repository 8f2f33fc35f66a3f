"""Messages about data tracks and data blobs, and whom a participant lets have its tracks."""

from __future__ import annotations

from livekit.protocol import models, rtc

from sfu.api import DataTrackInfo, DataTrackRequest, RequestError, SubscriptionRights, TrackGrant
from sfu.ids import Identity, TrackId
from signaling.livekit import convert
from signaling.livekit.context import Context, require_encrypted

MAX_UPDATES = 1000
"""Data tracks in one message, grants in one, and tracks in one grant."""
MAX_OPAQUE_BYTES = 1024
"""Encoding and schema of a data track, which everyone in the room is sent."""


async def subscription_permission(context: Context, message: rtc.SubscriptionPermission) -> None:
    grants = message.track_permissions
    if len(grants) > MAX_UPDATES or any(len(grant.track_sids) > MAX_UPDATES for grant in grants):
        raise RequestError("too many permissions", code="limit_exceeded")
    rights = SubscriptionRights(
        all_participants=message.all_participants,
        grants=tuple(
            TrackGrant(
                identity=grant.participant_identity,
                participant_id=grant.participant_sid,
                all_tracks=grant.all_tracks,
                track_ids=frozenset(grant.track_sids),
            )
            for grant in grants
        ),
    )
    context.session.set_subscription_rights(rights)


async def publish_data_track(context: Context, message: rtc.PublishDataTrackRequest) -> None:
    encoding = message.frame_encoding.SerializeToString() if message.HasField("frame_encoding") else b""
    schema = message.schema.SerializeToString() if message.HasField("schema") else b""
    if len(encoding) + len(schema) > MAX_OPAQUE_BYTES:
        raise RequestError("encoding and schema are too long", code="limit_exceeded")
    require_encrypted(context, message.encryption)
    request = DataTrackRequest(message.pub_handle, message.name, int(message.encryption), encoding, schema)
    info = context.session.publish_data_track(request)
    response = rtc.PublishDataTrackResponse(info=convert.data_track(info))
    context.send(rtc.SignalResponse(publish_data_track_response=response))


async def unpublish_data_track(context: Context, message: rtc.UnpublishDataTrackRequest) -> None:
    context.send(unpublished(context.session.unpublish_data_track(message.pub_handle)))


def unpublished(info: DataTrackInfo) -> rtc.SignalResponse:
    response = rtc.UnpublishDataTrackResponse(info=convert.data_track(info))
    return rtc.SignalResponse(unpublish_data_track_response=response)


async def update_data_subscription(context: Context, message: rtc.UpdateDataSubscription) -> None:
    """Every update that can be made is made; the first that cannot is what the client hears of."""
    if len(message.updates) > MAX_UPDATES:
        raise RequestError("too many updates", code="limit_exceeded")
    failed: RequestError | None = None
    for update in message.updates:
        try:
            track_id = TrackId(update.track_sid)
            context.session.update_data_subscription(track_id, update.subscribe, update.options.target_fps)
        except RequestError as error:
            failed = failed or error
    if failed is not None:
        raise failed


async def store_data_blob(context: Context, message: rtc.StoreDataBlobRequest) -> None:
    key = _blob_key(message.blob.key)
    if not message.blob.contents:
        raise RequestError("the blob is empty", code="invalid_request")
    if context.sealed:
        raise RequestError("this room is sealed: a blob cannot be encrypted", code="sealed_room")
    context.session.store_blob(key, message.blob.contents)
    response = rtc.StoreDataBlobResponse(request_id=message.request_id, key=message.blob.key)
    context.send(rtc.SignalResponse(store_data_blob_response=response))


async def get_data_blob(context: Context, message: rtc.GetDataBlobRequest) -> None:
    contents = context.session.find_blob(Identity(message.participant_identity), _blob_key(message.key))
    blob = models.DataBlob(key=message.key, contents=contents)
    response = rtc.GetDataBlobResponse(request_id=message.request_id, blob=blob)
    context.send(rtc.SignalResponse(get_data_blob_response=response))


def _blob_key(key: models.DataBlobKey) -> bytes:
    if key.WhichOneof("key") is None:
        raise RequestError("the blob has no key", code="invalid_request")
    return key.SerializeToString(deterministic=True)

"""What happens on each message of a client: one small handler per message of SignalRequest.

`ROUTES` is the whole table. A handler may raise `Violation` (the client broke the protocol), `SdpError` or
`RequestError`; `dispatch` turns each into an answer to the sender alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from livekit.protocol import models, rtc

from sfu.api import LeaveReason, RequestError, SdpError, Target
from sfu.ids import ParticipantId, TrackId
from signaling import strict_json
from signaling.livekit import convert_requests, data_requests, own_state, pings
from signaling.livekit.context import Context, Handler, Violation, require_encrypted
from signaling.livekit.simulate import simulate

MAX_CANDIDATE_BYTES = 4096
MAX_SUBSCRIPTIONS = 1000
"""Tracks in one message."""

_Reason = rtc.RequestResponse
_REASONS = {
    "not_allowed": _Reason.NOT_ALLOWED,
    "sealed_room": _Reason.NOT_ALLOWED,
    "unknown_track": _Reason.NOT_FOUND,
    "unknown_participant": _Reason.NOT_FOUND,
    "limit_exceeded": _Reason.LIMIT_EXCEEDED,
    "try_later": _Reason.LIMIT_EXCEEDED,
    "unknown_blob": _Reason.NOT_FOUND,
    "invalid_name": _Reason.INVALID_NAME,
    "duplicate_name": _Reason.DUPLICATE_NAME,
    "invalid_handle": _Reason.INVALID_HANDLE,
    "duplicate_handle": _Reason.DUPLICATE_HANDLE,
    "invalid_request": _Reason.INVALID_REQUEST,
}
"""`RequestError` codes in the protocol's words."""


async def dispatch(context: Context, request: rtc.SignalRequest) -> None:
    """Handle one message. Never raises for anything that the client did."""
    name = request.WhichOneof("message")
    handler = ROUTES.get(name or "")
    if name is None or handler is None:
        context.count_refusal("unknown_message")
        if request.ByteSize():  # of a newer protocol
            response = rtc.RequestResponse(reason=_Reason.UNSUPPORTED_TYPE, message="the message is not known here")
            context.send(rtc.SignalResponse(request_response=response))
        return
    message = getattr(request, name)
    try:
        await handler(context, message)
    except Violation as error:
        context.count_violation("invalid_message")
        _refuse(context, name, message, _Reason.INVALID_REQUEST, str(error))
    except SdpError as error:
        context.count_violation("invalid_sdp")
        _refuse(context, name, message, _Reason.INVALID_REQUEST, str(error))
    except RequestError as error:
        context.count_refusal(error.code if error.code in _REASONS else "refused")
        reason = _REASONS.get(error.code, _Reason.UNCLASSIFIED_ERROR)
        _refuse(context, name, message, reason, str(error))
        if name == "offer" and error.code != "left":
            # No SDK looks for the refusal of an offer: it would wait for an answer. Now it joins anew.
            context.leave(LeaveReason.MEDIA_FAILURE, tell=True)


_ECHO = {
    "trickle": "trickle",
    "add_track": "add_track",
    "mute": "mute",
    "update_metadata": "update_metadata",
    "update_audio_track": "update_audio_track",
    "update_video_track": "update_video_track",
    "publish_data_track_request": "publish_data_track",
    "unpublish_data_track_request": "unpublish_data_track",
}
"""Messages that RequestResponse has a place for, so that the client finds the request that was refused."""
_MAX_ECHO_BYTES = 4096


def _refuse(context: Context, name: str, message: Any, reason: Any, text: str) -> None:
    response = rtc.RequestResponse(reason=reason, message=text, request_id=getattr(message, "request_id", 0))
    if name in _ECHO and message.ByteSize() <= _MAX_ECHO_BYTES:
        getattr(response, _ECHO[name]).CopyFrom(message)
    context.send(rtc.SignalResponse(request_response=response))


# --- negotiation ----------------------------------------------------------------------------------------


async def _offer(context: Context, message: rtc.SessionDescription) -> None:
    if message.type != "offer":
        raise Violation("an offer was expected")
    answer = await context.session.handle_offer(message.sdp)
    description = rtc.SessionDescription(
        type="answer", sdp=answer.sdp, id=message.id, mid_to_track_id=dict(answer.mid_to_track_id)
    )
    context.send(rtc.SignalResponse(answer=description))


async def _answer(context: Context, message: rtc.SessionDescription) -> None:
    if message.type != "answer":
        raise Violation("an answer was expected")
    context.session.handle_answer(message.sdp, message.id)


async def _trickle(context: Context, message: rtc.TrickleRequest) -> None:
    """candidateInit is an RTCIceCandidateInit as JSON (W3C WebRTC §4.8.1)."""
    if not message.candidateInit:
        if message.final:
            return
        raise Violation("a candidate was expected")
    if len(message.candidateInit) > MAX_CANDIDATE_BYTES:
        raise Violation("the candidate is too long")
    try:
        init = strict_json.loads(message.candidateInit)
    except ValueError:
        raise Violation("the candidate is not JSON") from None
    candidate = init.get("candidate", "") if isinstance(init, dict) else None
    if not isinstance(candidate, str):
        raise Violation("the candidate is not a text")
    target = Target.SUBSCRIBER if message.target == rtc.SignalTarget.SUBSCRIBER else Target.PUBLISHER
    if candidate:
        context.session.handle_candidate(target, candidate)


# --- tracks ---------------------------------------------------------------------------------------------


async def _add_track(context: Context, message: rtc.AddTrackRequest) -> None:
    try:
        request = convert_requests.add_track_request(message)
    except ValueError as error:
        raise Violation(str(error)) from None
    require_encrypted(context, request.encryption)
    try:
        context.session.add_track(request)
    except RequestError as error:
        if error.code != "try_later" or not context.add_track_later(message):
            raise


async def _update_layers(context: Context, message: rtc.UpdateVideoLayers) -> None:
    """Deprecated in the protocol, and still what says that a video changed its sizes."""
    try:
        layers = convert_requests.video_layers(message)
    except ValueError as error:
        raise Violation(str(error)) from None
    context.session.update_video_layers(TrackId(message.track_sid), layers)


async def _mute(context: Context, message: rtc.MuteTrackRequest) -> None:
    context.session.set_track_muted(TrackId(message.sid), message.muted)


async def _subscription(context: Context, message: rtc.UpdateSubscription) -> None:
    for track_id in _subscribed_tracks(message):
        try:
            context.session.update_subscription([track_id], message.subscribe)
        except RequestError as error:
            if error.code != "unknown_track":
                raise
            # The track ended while the request was on its way.
            context.count_refusal(error.code)
            response = rtc.SubscriptionResponse(track_sid=track_id, err=models.SubscriptionError.SE_TRACK_NOTFOUND)
            context.send(rtc.SignalResponse(subscription_response=response))


def _subscribed_tracks(message: rtc.UpdateSubscription) -> list[TrackId]:
    """JS names each track twice, Rust only per participant."""
    named: Iterable[str] = message.track_sids
    per_participant = (sid for tracks in message.participant_tracks for sid in tracks.track_sids)
    track_ids = [TrackId(sid) for sid in dict.fromkeys([*named, *per_participant])]
    if len(track_ids) > MAX_SUBSCRIPTIONS:
        raise Violation("too many tracks")
    return track_ids


async def _track_setting(context: Context, message: rtc.UpdateTrackSettings) -> None:
    track_ids = [TrackId(sid) for sid in dict.fromkeys(message.track_sids)]
    try:
        context.session.update_track_settings(track_ids, convert_requests.track_settings(message))
    except RequestError as error:
        if error.code != "unknown_track":
            raise
        context.count_refusal(error.code)


# --- connection -----------------------------------------------------------------------------------------


async def _leave(context: Context, message: rtc.LeaveRequest) -> None:
    context.leave(LeaveReason.CLIENT_INITIATED, tell=False)


async def _ping(context: Context, message: int) -> None:
    context.send(pings.pong())


async def _ping_req(context: Context, message: rtc.Ping) -> None:
    context.send(pings.pong_resp(message))


async def _sync_state(context: Context, message: rtc.SyncState) -> None:
    """After a resume the client repeats what it believes. The session kept its state, so only what differs counts:
    tracks that the client does not want, or wants beside auto_subscribe, and the reliable data that it has."""
    states = message.datachannel_receive_states
    context.session.replay_data({ParticipantId(state.publisher_sid): state.last_seq for state in states})
    track_ids = _subscribed_tracks(message.subscription)
    if track_ids:
        await _subscription(context, message.subscription)
    await data_requests.update_data_subscription(context, message.data_subscription)


ROUTES: dict[str, Handler] = {
    "offer": _offer,
    "answer": _answer,
    "trickle": _trickle,
    "add_track": _add_track,
    "mute": _mute,
    "subscription": _subscription,
    "track_setting": _track_setting,
    "leave": _leave,
    "ping": _ping,
    "ping_req": _ping_req,
    "update_metadata": own_state.update_metadata,
    "update_audio_track": own_state.update_audio_track,
    "update_video_track": own_state.update_video_track,
    "sync_state": _sync_state,
    "simulate": simulate,
    "subscription_permission": data_requests.subscription_permission,
    "publish_data_track_request": data_requests.publish_data_track,
    "unpublish_data_track_request": data_requests.unpublish_data_track,
    "update_data_subscription": data_requests.update_data_subscription,
    "store_data_blob_request": data_requests.store_data_blob,
    "get_data_blob_request": data_requests.get_data_blob,
    "update_layers": _update_layers,
}

"""What a client asks for when it connects: the query of v0, or the `join_request` of v1.

The latter is base64url of a livekit.WrappedJoinRequest, which holds a livekit.JoinRequest, plain or in gzip. It comes
from someone with a valid token, and nothing else is known of it: every step has a limit.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from sfu.api import ClientDescription, RequestError
from signaling.grants import Grants
from signaling.livekit.settings import SignalSettings
from signaling.participants import RESERVED, check_attributes, check_metadata
from signaling.rooms.calls import JoinOptions

_BASE64URL = re.compile(r"[0-9A-Za-z_-]*={0,2}")
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_MAX_PARAMETER_LENGTH = 64
_MAX_PROTOCOL = 9999
_NONE, _GZIP = rtc.WrappedJoinRequest.NONE, rtc.WrappedJoinRequest.GZIP


class JoinRequestError(Exception):
    """The join request cannot be taken; the text is for the client."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How a connection begins. `resume_id` is the participant id that a returning client names; empty for a join.
    `requests` are handled once it has joined or resumed, as if they were its first messages."""

    options: JoinOptions
    resume_id: str = ""
    requests: Sequence[rtc.SignalRequest] = ()
    metadata: str = ""
    """What the participant says of itself, if it may."""
    attributes: Mapping[str, str] = field(default_factory=dict)


def parse_join_request(parameter: str, settings: SignalSettings, max_tracks: int) -> Opening:
    """`max_tracks` is how many tracks may be announced. Raises `JoinRequestError`."""
    if len(parameter) > settings.max_join_request_url_bytes:
        raise JoinRequestError("the join request is too large")
    request = _decode(parameter, settings.max_join_request_bytes)
    if len(request.add_track_requests) > max_tracks:
        raise JoinRequestError("the join request announces too many tracks")
    return Opening(
        _options(request),
        request.participant_sid if request.reconnect else "",
        _requests(request),
        request.metadata,
        dict(request.participant_attributes),
    )


def own_state(grants: Grants, opening: Opening, max_bytes: int) -> Grants:
    """The grants with the client's own metadata and attributes in place of the token's, where the token allows that.
    An empty value takes nothing away. Raises `JoinRequestError` when they exceed the limits."""
    if not grants.can_update_own_metadata:
        return grants
    set_attributes = {key: value for key, value in opening.attributes.items() if value and not key.startswith(RESERVED)}
    metadata, attributes = opening.metadata or grants.metadata, {**grants.attributes, **set_attributes}
    try:
        check_metadata(metadata, max_bytes)
        check_attributes(attributes, max_bytes)
    except RequestError as error:
        raise JoinRequestError(str(error)) from None
    return replace(grants, metadata=metadata, attributes=attributes)


def _decode(parameter: str, max_bytes: int) -> rtc.JoinRequest:
    try:
        if _BASE64URL.fullmatch(parameter) is None:
            raise JoinRequestError("the join request is not base64url")
        text = parameter.rstrip("=")
        wrapped = rtc.WrappedJoinRequest.FromString(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        data = wrapped.join_request
        if wrapped.compression == _GZIP:
            data = _decompress(data, max_bytes)
        elif wrapped.compression != _NONE:
            raise JoinRequestError("the compression of the join request is not known")
        if len(data) > max_bytes:
            raise JoinRequestError("the join request is too large")
        return rtc.JoinRequest.FromString(data)
    except binascii.Error:
        raise JoinRequestError("the join request is not base64url") from None
    except DecodeError:
        raise JoinRequestError("the join request is not a protocol message") from None


def _decompress(data: bytes, max_bytes: int) -> bytes:
    """Never makes more than one byte above the limit."""
    decompressor = zlib.decompressobj(_GZIP_WINDOW)
    try:
        plain = decompressor.decompress(data, max_bytes + 1)
    except zlib.error:
        raise JoinRequestError("the join request is not gzip") from None
    if len(plain) > max_bytes:
        raise JoinRequestError("the join request is too large")
    if not decompressor.eof or decompressor.unused_data:
        raise JoinRequestError("the gzip of the join request is incomplete or goes on behind its end")
    return plain


def _options(request: rtc.JoinRequest) -> JoinOptions:
    settings, client = request.connection_settings, request.client_info
    return JoinOptions(
        auto_subscribe=settings.auto_subscribe,
        auto_subscribe_data_tracks=settings.auto_subscribe_data_track,
        adaptive_stream=settings.adaptive_stream,
        allow_pause=not settings.HasField("subscriber_allow_pause") or settings.subscriber_allow_pause,
        client=ClientDescription(
            sdk=_sdk_name(client.sdk),
            version=client.version[:_MAX_PARAMETER_LENGTH],
            protocol=client.protocol if 0 <= client.protocol <= _MAX_PROTOCOL else 0,
            browser=client.browser[:_MAX_PARAMETER_LENGTH],
            browser_version=client.browser_version[:_MAX_PARAMETER_LENGTH],
            os=client.os[:_MAX_PARAMETER_LENGTH],
            device_model=client.device_model[:_MAX_PARAMETER_LENGTH],
        ),
        single_connection=True,
    )


def _sdk_name(sdk: models.ClientInfo.SDK) -> str:
    """As it stands in the query of v0; empty for a number of a newer protocol."""
    values = models.ClientInfo.SDK.DESCRIPTOR.values_by_number
    return values[sdk].name.lower() if sdk in values else ""


def _requests(request: rtc.JoinRequest) -> list[rtc.SignalRequest]:
    requests = [rtc.SignalRequest(add_track=track) for track in request.add_track_requests]
    if request.reconnect and request.HasField("sync_state"):
        requests.append(rtc.SignalRequest(sync_state=request.sync_state))
    if request.HasField("publisher_offer"):
        requests.append(rtc.SignalRequest(offer=request.publisher_offer))
    return requests

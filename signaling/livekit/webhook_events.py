"""Webhook events and the two forms in which they travel.

    livekit      POST application/webhook+json: livekit.WebhookEvent as protojson; `Authorization` is a raw JWT
    cloudevents  POST application/cloudevents+json: a CloudEvents 1.0 envelope (structured mode) with the same object
                 as `data`; `Authorization` is `Bearer` and the JWT (CloudEvents HTTP 1.1 Web Hooks §3.1)

The JWT is signed with the secret of an API key; its claim `sha256` is the base64 of the body's SHA-256.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf import json_format
from livekit.protocol import webhook

from sfu.api import (
    NodeEvent,
    ParticipantAborted,
    ParticipantJoined,
    ParticipantLeft,
    PublicationEnded,
    PublicationStarted,
    RoomFinished,
    RoomStarted,
)
from sfu.config import SfuConfig
from sfu.ids import random_id
from signaling.livekit import convert
from signaling.livekit.webhook_settings import WEBHOOK_EVENTS, WebhookTarget

_NAMES: Mapping[type[NodeEvent], str] = {
    RoomStarted: "room_started",
    RoomFinished: "room_finished",
    ParticipantJoined: "participant_joined",
    ParticipantLeft: "participant_left",
    ParticipantAborted: "participant_connection_aborted",
    PublicationStarted: "track_published",
    PublicationEnded: "track_unpublished",
}
assert frozenset(_NAMES.values()) == WEBHOOK_EVENTS
CLOUDEVENT_PREFIX = "ting."
"""Before the event's name in the envelope's `type`."""


@dataclass(frozen=True, slots=True)
class Request:
    """One POST, but for its signature."""

    body: bytes
    content_type: str
    scheme: str
    """Goes before the JWT in the Authorization header."""


def event_name(event: NodeEvent) -> str:
    return _NAMES[type(event)]


def webhook_event(event: NodeEvent, config: SfuConfig) -> webhook.WebhookEvent:
    message = webhook.WebhookEvent(
        event=event_name(event),
        id=random_id("EV_"),
        created_at=time.time_ns() // 1_000_000_000,
        room=convert.room(event.room, config),
    )
    if not isinstance(event, RoomStarted | RoomFinished):
        message.participant.CopyFrom(convert.participant(event.participant))
    if isinstance(event, PublicationStarted | PublicationEnded):
        message.track.CopyFrom(convert.track(event.publication))
    return message


def render(message: webhook.WebhookEvent, target: WebhookTarget, source: str) -> Request:
    """`source` is the CloudEvents attribute of that name: which Ting says so."""
    if target.format == "livekit":
        text = json_format.MessageToJson(message, indent=None)
        return Request(text.encode(), "application/webhook+json", "")
    envelope = {
        "specversion": "1.0",
        "id": message.id,
        "source": source,
        "type": CLOUDEVENT_PREFIX + message.event,
        "subject": message.room.name,
        "time": datetime.fromtimestamp(message.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "datacontenttype": "application/json",
        "data": json_format.MessageToDict(message),
    }
    return Request(json.dumps(envelope).encode(), "application/cloudevents+json; charset=utf-8", "Bearer ")

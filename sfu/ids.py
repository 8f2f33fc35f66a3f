"""Identifier types, one per kind of thing, so that mypy tells them apart."""

from __future__ import annotations

import secrets
import string
from typing import NewType

RoomName = NewType("RoomName", str)
RoomId = NewType("RoomId", str)
Identity = NewType("Identity", str)
ParticipantId = NewType("ParticipantId", str)
TrackId = NewType("TrackId", str)

# Handles that an engine gives out: small integers, never reused by one engine.
TransportHandle = NewType("TransportHandle", int)
TrackHandle = NewType("TrackHandle", int)
SubscriptionHandle = NewType("SubscriptionHandle", int)

_ALPHABET = string.ascii_letters + string.digits
_RANDOM_LENGTH = 12


def random_id(prefix: str) -> str:
    """`prefix` plus 12 characters from a CSPRNG (71 bits), the shape LiveKit clients expect."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))


def new_room_id() -> RoomId:
    return RoomId(random_id("RM_"))


def new_participant_id() -> ParticipantId:
    return ParticipantId(random_id("PA_"))


def new_track_id(prefix: str = "TR_") -> TrackId:
    return TrackId(random_id(prefix))

"""Links that fetch a file without a token: for what cannot send a header, such as a browser's own download.

A link says which file, for whom and until when, in the open, with an HMAC-SHA256 over it. It lives for minutes, and not
longer than its owner's right: whoever was put out, or has ended the device, has no link any more.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sfu.ids import RoomName
from signaling import strict_json
from signaling.errors import ApiError
from signaling.files.records import StoredFile
from signaling.grants import Grants
from signaling.rooms.calls import RoomService
from signaling.rooms.door import Door
from signaling.rooms.roles import Actor

_PURPOSE = b"ting file link"
MAX_LINK_LENGTH = 2048


class IsAlive(Protocol):
    async def __call__(self, room: RoomName, member_id: str, device_id: str, since_s: float) -> bool:
        """Whether this member still has the right to the room that was there at `since_s` (Unix time) and, unless
        `device_id` is empty, the device is still signed in."""
        ...


class AtTheDoor:
    """Asks the door, which knows bans and devices, and looks for a kick since then."""

    def __init__(self, door: Door, calls: RoomService) -> None:
        self._door = door
        self._calls = calls

    async def __call__(self, room: RoomName, member_id: str, device_id: str, since_s: float) -> bool:
        grants = Grants(identity=member_id, room=room, room_join=True, door=True, device=device_id, issued_at=since_s)
        if self._calls.is_revoked(grants):
            return False
        try:
            return await self._door.actor(room, grants) is not None
        except ApiError:
            return False


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose link it is."""

    room_key: int
    room: RoomName
    member_id: str
    device_id: str
    since_s: float
    """When the link was made; Unix time."""


class Links:
    """`secret` is the same after a restart and on other nodes. `clock` gives Unix time in seconds."""

    def __init__(self, secret: bytes, ttl_s: float, clock: Callable[[], float] = time.time) -> None:
        self._key = hmac.digest(secret, _PURPOSE, "sha256")
        self._ttl_s = ttl_s
        self._clock = clock

    def make(self, actor: Actor, row: StoredFile) -> tuple[str, int]:
        """The link, and the Unix time in milliseconds at which it ends."""
        expires_at_ms = int((self._clock() + self._ttl_s) * 1000)
        fields = [row.file_id, row.room_key, actor.room, actor.member_id, actor.device_id, expires_at_ms]
        payload = json.dumps(fields, separators=(",", ":")).encode()
        return f"{_encode(payload)}.{_encode(self._sign(payload))}", expires_at_ms

    def check(self, link: str, file_id: str) -> Bearer:
        """Raises `ApiError` link_invalid for everything but a link of ours for this file, in its time."""
        payload, _, signature = link.partition(".")
        try:
            if len(link) > MAX_LINK_LENGTH or not link.isascii():
                raise ValueError
            signed = _decode(payload)
            if not hmac.compare_digest(self._sign(signed), _decode(signature)):
                raise ValueError
            linked_id, room_key, room, member_id, device_id, expires_at_ms = strict_json.loads(signed)
        except (ValueError, binascii.Error):
            raise invalid() from None
        if linked_id != file_id or self._clock() * 1000 >= expires_at_ms:
            raise invalid()
        return Bearer(room_key, RoomName(room), member_id, device_id, expires_at_ms / 1000 - self._ttl_s)

    def _sign(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, "sha256")


def invalid() -> ApiError:
    return ApiError("link_invalid", "This link is not valid any more.")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)

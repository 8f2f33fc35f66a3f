"""Settings of rooms that last."""

from __future__ import annotations

from dataclasses import dataclass

from signaling.rooms.policy import Kind


@dataclass(frozen=True, slots=True)
class LastingRoomSettings:
    guest_rooms: bool = True
    """Whether anybody may make a room that lasts; its owner is whoever has the key."""
    default_kind: str = Kind.SEALED.value
    """Of rooms that the web app makes: sealed or open. Applications say it in the room's policy, or make open ones."""
    rooms_per_hour: float = 30.0
    """That one address may make."""
    max_members: int = 1000
    """With a role above guest, in one room."""
    max_invitations: int = 100
    """Of one room at once."""
    max_knocks: int = 100
    """That wait at one door."""
    max_breakout_rooms: int = 50
    """Of one call at once."""
    max_breakout_s: float = 86_400.0
    """The longest time after which they end by themselves."""
    knock_absence_s: float = 15.0
    """A guest whose page is silent for so long is no longer shown at the door."""
    denial_s: float = 600.0
    """How long whoever was denied may not knock again."""
    kick_s: float = 600.0
    """How long whoever was put out may not come back."""
    password_tries_per_minute: float = 10.0
    """From one address at one door."""

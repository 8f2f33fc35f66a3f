"""What the parts of a participant may ask of it, and what is asked of the participant behind a publication.

Every part takes a `Member`, never the participant itself: so that no part can reach another one through it.
"""

from __future__ import annotations

from typing import Protocol

from sfu.api import ClientDescription, LeaveReason, ParticipantInfo, SessionEvent, Target
from sfu.ids import RoomName, TrackId


class Member(Protocol):
    """One participant, as its parts and the subscribers of its publications see it."""

    @property
    def info(self) -> ParticipantInfo: ...

    @property
    def client(self) -> ClientDescription: ...

    @property
    def broken_codecs(self) -> frozenset[str]:
        """Codecs that its client cannot do, whatever it says."""
        ...

    @property
    def room_group(self) -> int:
        """The engine's group of its transports."""
        ...

    @property
    def tcp_only(self) -> bool:
        """It is offered no candidates but those over TCP."""
        ...

    def emit(self, event: SessionEvent) -> None:
        """To its client."""
        ...

    def leave(self, reason: LeaveReason) -> None:
        """End its session."""
        ...

    def seen_in(self) -> list[RoomName]:
        """The room that it is in, and those that it is forwarded to."""
        ...

    def lets(self, other: Member, track_id: TrackId) -> bool:
        """Whether the rights that it gives let the other have its track."""
        ...

    def announce_subscribed(self, track_id: TrackId) -> None:
        """Somebody receives its track."""
        ...

    def handle_connected(self) -> None:
        """One of its transports carries media."""
        ...

    def handle_data_open(self) -> None:
        """Its client's reliable channel takes messages now."""
        ...

    def handle_transport_closed(self, target: Target, reason: str) -> None:
        """A dead transport cannot be revived from here."""
        ...

    def handle_negotiation_timeout(self) -> None:
        """Its client did not answer an offer, or did not offer when it had to."""
        ...

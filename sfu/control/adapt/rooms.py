"""What adaptation sees of rooms and participants."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from sfu.api import ConnectionGrade, ConnectionQuality, ParticipantInfo, SessionEvent, Speaker
from sfu.control.publish.publication import Publication
from sfu.control.subscribe.subscription import Subscription
from sfu.control.timelines import Timeline
from sfu.ids import ParticipantId, TransportHandle


class AdaptedParticipant(Protocol):
    told_grades: Mapping[ParticipantId, ConnectionGrade]
    """How good the client believes the connections are: its own and those of whom it receives."""

    timeline: Timeline

    @property
    def info(self) -> ParticipantInfo: ...

    @property
    def publications(self) -> Sequence[Publication]: ...

    @property
    def subscriptions(self) -> Collection[Subscription]: ...

    @property
    def downlink(self) -> TransportHandle | None:
        """The transport that its subscriptions go out on, once there is one."""
        ...

    @property
    def uplink(self) -> TransportHandle | None:
        """The transport that its publications come in on, once there is one."""
        ...

    @property
    def allow_pause(self) -> bool:
        """Its client knows that a video may be paused for want of room."""
        ...

    @property
    def simulated_bandwidth_bps(self) -> int | None:
        """What a test of the client lets it have at most."""
        ...

    def is_silent(self, now_s: float, timeout_s: float) -> bool:
        """Whether a connected transport has not been heard of for that long."""
        ...

    def emit(self, event: SessionEvent) -> None: ...


class AdaptedRoom(Protocol):
    def participants(self) -> Sequence[AdaptedParticipant]: ...

    def qualities_elsewhere(self) -> Sequence[ConnectionQuality]:
        """Of the connections of those on other nodes."""
        ...

    def tell_qualities(self, changed: Sequence[ConnectionQuality]) -> None:
        """Other nodes hear of connections here."""
        ...

    def active_speakers(self) -> Sequence[Speaker]: ...

"""What a handler of a client's message may use of its connection, and how it says that the protocol was broken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from livekit.protocol import models, rtc

from sfu.api import LeaveReason, ParticipantSession, RequestError


class Violation(Exception):
    """The client sent what the protocol does not allow. Enough of them end its connection."""


class Context(Protocol):
    @property
    def session(self) -> ParticipantSession:
        """Raises `RequestError` left."""
        ...

    @property
    def sealed(self) -> bool:
        """Whether all that is published must be encrypted. Raises `RequestError` left."""
        ...

    @property
    def max_metadata_bytes(self) -> int:
        """For the metadata, and for all attributes together."""
        ...

    def send(self, response: rtc.SignalResponse) -> None:
        """Queue a message in the encoding that the client used last."""
        ...

    def count_violation(self, reason: str) -> None: ...

    def count_refusal(self, reason: str) -> None: ...

    def add_track_later(self, message: rtc.AddTrackRequest) -> bool:
        """Handle it again when there may be a place for the track. False when it has waited for long enough."""
        ...

    def leave(self, reason: LeaveReason, *, tell: bool) -> None:
        """End the session; with `tell` the client gets a leave message first."""
        ...

    def break_next_resume(self, *, silent: bool) -> None:
        """For tests of clients: cut the connection that resumes this session, `silent` before the first message."""
        ...

    def prefer_protocol(self, protocol: rtc.CandidateProtocol) -> None:
        """From the next join on. Raises `RequestError` not_supported: there is no server that speaks it."""
        ...


def require_encrypted(context: Context, encryption: int) -> None:
    """What is published in a sealed room (`encryption` is an Encryption.Type). Raises `RequestError` sealed_room."""
    if context.sealed and encryption != models.Encryption.GCM:
        raise RequestError("this room is sealed: only what is encrypted with GCM is published here", code="sealed_room")


Handler = Callable[[Context, Any], Awaitable[None]]

"""Data channels of an engine: SCTP without the interpreter's hand in every packet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DataOptions:
    """What the data channels of one peer may take and hold. Sizes in bytes."""

    is_dtls_client: bool
    """Our role; it decides who has which streams (RFC 8832 §6)."""
    opens_channels: bool
    """We open them, else the peer does."""
    max_message_bytes: int
    remote_max_message_bytes: int
    """The peer's a=max-message-size; 0 means any (RFC 8841 §6.1)."""
    max_buffered_bytes: int
    """Unsent, of the reliable and of the lossy channel."""
    max_track_buffered_bytes: int
    """Unsent, of the channel for data tracks."""


DataOutcome = tuple[list[bytes], list[tuple[int, bytes] | str], int | None]
"""Packets to send; what has happened, in order: messages as (kind, payload), "ready", "closed", or the name of a
counter that goes up by one; when `handle_timeout` is due, None for not before something else happens."""


class DataAssociation(Protocol):
    """One peer's SCTP association with its channels. Kinds are 0 reliable, 1 lossy, 2 data tracks; times are of the
    runtime's clock. Whatever a packet holds, nothing is raised; an association that fails says "closed"."""

    @property
    def is_ready(self) -> bool:
        """The reliable and the lossy channel were opened, and the reliable one still is."""
        ...

    def handle_packet(self, now_ns: int, packet: bytes) -> DataOutcome: ...
    def handle_timeout(self, now_ns: int) -> DataOutcome: ...
    def send(self, kind: int, payload: bytes) -> bool:
        """Queue one message; False when it was not taken (counted). `poll` says what is to be sent."""
        ...

    def abort(self) -> None:
        """End it; the packet that tells the peer comes with `poll`."""
        ...

    def poll(self, now_ns: int) -> DataOutcome: ...

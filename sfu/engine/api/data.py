"""Data channels of an engine: SCTP, and the DTLS records around it, without the interpreter's hand in every packet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sfu.engine.api.config import Path

NOT_READY = -1
"""The link is not ready for reliable messages."""
NOT_TAKEN = -2
"""There is no channel, the message is too large, or too much waits (counted)."""


@dataclass(frozen=True, slots=True)
class DataOptions:
    """What the data channels of one peer may take and hold. Sizes in bytes."""

    opens_channels: bool
    """We open them, else the peer does."""
    max_message_bytes: int
    remote_max_message_bytes: int
    """The peer's a=max-message-size; 0 means any (RFC 8841 §6.1)."""
    max_buffered_bytes: int
    """Unsent, of the reliable and of the lossy channel."""
    max_track_buffered_bytes: int
    """Unsent, of the channel for data tracks."""


@dataclass(frozen=True, slots=True)
class DtlsSecrets:
    """What OpenSSL says of a session of DTLS 1.2: enough to read and write its records (RFC 5246 §6.3)."""

    suite: str
    """OpenSSL's name."""
    is_client: bool
    """Our role; it also decides who has which streams (RFC 8832 §6)."""
    master_secret: bytes = field(repr=False)
    client_random: bytes
    server_random: bytes
    used_nonce: int
    """The explicit nonce of the last record that OpenSSL sealed; 0 for suites without."""


@dataclass(frozen=True, slots=True)
class DataNews:
    """What has happened at a link."""

    became_ready: bool
    ended: bool
    """The peer said close_notify, or an alert that it could protect: the session is over."""
    messages: list[tuple[int, bytes]]
    """(kind, payload), in order. Kinds are 0 reliable, 1 lossy, 2 data tracks."""
    counts: dict[str, int]
    """By how much counters go up."""


class DataLink(Protocol):
    """One peer's data channels. Whatever a packet holds, nothing is raised. What is sent leaves at once, as far as
    congestion and the peer's window let it."""

    @property
    def is_ready(self) -> bool:
        """The reliable and the lossy channel were opened, and the reliable one still is; only once `take_news` has said
        so, and not while it has to say so again of another one."""
        ...

    def handle_packet(self, packet: bytes) -> None:
        """An SCTP packet that OpenSSL opened: it came before the engine read this session's records."""
        ...

    def send(self, kind: int, payload: bytes) -> bool:
        """Queue one message; False when it was not taken (counted)."""
        ...

    def send_to_all(self, links: Sequence[DataLink], kind: int, payload: bytes) -> Sequence[int]:
        """`send` one message to each of `links`, all of this one's runtime: for each the bytes that are unsent with it
        if it is reliable, else 0, or `NOT_READY` or `NOT_TAKEN`. Unlike `send` it leaves reliable messages to its
        caller where `is_ready` is not so."""
        ...

    def take_news(self, limit: int) -> DataNews:
        """With up to `limit` messages, reliable ones last; the listener is called again when more is left."""
        ...

    def unsent_bytes(self, kind: int) -> int:
        """What waits for the peer's acknowledgement, or to be sent."""
        ...

    def set_reading(self, is_reading: bool) -> None:
        """Whether reliable messages are to be taken. Else they stay where they are, and the peer's window closes."""
        ...

    def set_path(self, path: Path) -> None:
        """Datagrams go there from now on."""
        ...

    def close(self) -> None:
        """Tell the peer that association and session end; nothing is sent or told afterwards. Idempotent."""
        ...


class DataListener(Protocol):
    """Who uses a link. The runtime keeps no reference of its own to it."""

    def handle_waiting(self) -> None:
        """There is something to take."""
        ...

"""What a transport asks of its data channels, whichever SCTP is below them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sfu.api import DataKind
from sfu.engine.api import DataLink, Path

KINDS = (DataKind.RELIABLE, DataKind.LOSSY, DataKind.TRACK)
"""By the engine's numbers."""
NUMBERS = {kind: number for number, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class ChannelsConfig:
    """Sizes in bytes."""

    initiate: bool
    """We open the channels, else the peer does."""
    remote_max_message_size: int
    """The peer's a=max-message-size; 0 means any (RFC 8841 §6.1)."""
    max_message_bytes: int
    max_buffered_bytes: int
    """Unsent, of the reliable and of the lossy channel."""
    max_track_buffered_bytes: int


def send_to_all(links: Sequence[DataLink], kind: DataKind, payload: bytes) -> Sequence[int]:
    """One message over all of these; there is one at least. As `DataLink.send_to_all`."""
    return links[0].send_to_all(links, NUMBERS[kind], payload)


class Channels(Protocol):
    """The data channels of a LiveKit transport, `_reliable`, `_lossy` and `_data_track` (RFC 8831, RFC 8832), on a
    connected DTLS session.

    Channels with other labels are accepted and what they carry is counted (`data_unknown_label`) and ignored.
    `on_ready` is called when reliable and lossy are open, and again whenever a new reliable channel has taken the place
    of the old.
    """

    @property
    def ready(self) -> bool:
        """`on_ready` was called, and the reliable channel is still open."""
        ...

    @property
    def link(self) -> DataLink | None:
        """The engine's, where it has them: one message to many may go to all of these at once (`send_to_all`)."""
        ...

    def start(self) -> None: ...

    def send(self, kind: DataKind, payload: bytes) -> bool:
        """Queue one binary message; what comes before the peer's ACK of our own channel waits for it.

        False when there is no such channel, or a limit is reached (counted).
        """
        ...

    def unsent_bytes(self, kind: DataKind) -> int:
        """What waits for the peer's acknowledgement, or to be sent."""
        ...

    def set_reading(self, is_reading: bool) -> None:
        """Take reliable messages, or leave them where they make the peer wait, as far as that is possible."""
        ...

    def set_path(self, path: Path) -> None:
        """Datagrams go there from now on."""
        ...

    async def stop(self) -> None:
        """Abort the association; its timers end."""
        ...

"""The open signal connections, and which of them serves which participant."""

from __future__ import annotations

import asyncio
from typing import Protocol

from aiohttp import WSCloseCode

from sfu.ids import ParticipantId


class Connection(Protocol):
    """What others may ask of a signal connection."""

    def close(self, code: int, reason: str) -> None:
        """Close the socket after what is queued; `reason` is a metrics label."""

    def abort(self) -> None:
        """Cut the socket."""

    def supersede(self) -> None:
        """Another connection has taken over the session."""

    async def wait_done(self) -> None:
        """Returns when the connection is closed and forgotten."""


class Connections:
    """One per application."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self._serving: dict[ParticipantId, Connection] = {}

    def __len__(self) -> int:
        return len(self._open)

    @property
    def serving(self) -> int:
        """How many participants have a connection now."""
        return len(self._serving)

    def add(self, connection: Connection) -> None:
        self._open.add(connection)

    def discard(self, connection: Connection) -> None:
        self._open.discard(connection)

    def of(self, participant_id: ParticipantId) -> Connection | None:
        return self._serving.get(participant_id)

    def attach(self, participant_id: ParticipantId, connection: Connection) -> None:
        """From now on this one serves the participant."""
        self._serving[participant_id] = connection

    def detach(self, participant_id: ParticipantId, connection: Connection) -> bool:
        """Whether it was this one that served the participant; then nobody does now."""
        if self._serving.get(participant_id) is not connection:
            return False
        del self._serving[participant_id]
        return True

    async def shut_down(self, timeout_s: float) -> None:
        """Close them all; those that have not taken their goodbye within `timeout_s` are cut."""
        connections = list(self._open)
        for connection in connections:
            connection.close(WSCloseCode.GOING_AWAY, "shutdown")
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*(connection.wait_done() for connection in connections))
        except TimeoutError:
            for connection in list(self._open):
                connection.abort()

"""What a connection to `/api/v1/sync` knows of a room that it follows."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from signaling.log.live import Listener
from signaling.rooms.roles import Actor, Role


class FollowedRoom:
    """A room that a connection follows: `signaling.log.handing.Holder`. `send` reaches its client."""

    _places = itertools.count()

    def __init__(
        self,
        send: Callable[[dict[str, Any]], Awaitable[None]],
        actor: Actor,
        token: str,
        listener: Listener,
        task: asyncio.Task[None],
        *,
        stale: bool,
    ) -> None:
        self.place = next(self._places)
        self._send = send
        self.actor = actor
        self.token = token
        self.listener = listener
        self.task = task
        self.stale = stale
        self.typed_at_s = 0.0

    @property
    def member_id(self) -> str:
        return self.actor.member_id

    @property
    def name(self) -> str:
        return self.actor.name

    @property
    def role(self) -> Role:
        return self.actor.role

    async def want(self, message: dict[str, Any]) -> None:
        await self._send({**message, "room": self.actor.room})

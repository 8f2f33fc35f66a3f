"""Titles of rooms for link previews: only of rooms that anybody may enter and read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from signaling.addresses import ClientAddresses
from signaling.errors import ApiError, DatabaseError
from signaling.limits import AddressLimiter
from signaling.rooms.calls import clean_room_name


class PublicTitles:
    """`find` is `LastingRooms.public_title`; `wait_s` is how long it may take."""

    def __init__(
        self,
        find: Callable[[str], Awaitable[str]],
        addresses: ClientAddresses,
        limiter: AddressLimiter,
        wait_s: float,
    ) -> None:
        self._find = find
        self._addresses = addresses
        self._limiter = limiter
        self._wait_s = wait_s

    async def of(self, request: web.Request, room: str) -> str:
        """Empty where there is none to show, also when too many ask or the database is away or slow: the page itself
        must come in any case."""
        if self._limiter.take(self._addresses.of(request)):
            return ""
        finding = asyncio.ensure_future(self._found(room))
        # One that takes too long may be opening the database, which others need: it is left to end by itself.
        await asyncio.wait({finding}, timeout=self._wait_s)
        return finding.result() if finding.done() else ""

    async def _found(self, room: str) -> str:
        try:
            return await self._find(clean_room_name(room))
        except (ApiError, DatabaseError):
            return ""

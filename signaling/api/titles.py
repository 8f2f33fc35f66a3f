"""Titles of rooms for link previews: only of rooms that anybody may enter and read."""

from __future__ import annotations

from aiohttp import web

from signaling.addresses import ClientAddresses
from signaling.errors import ApiError, DatabaseError
from signaling.limits import AddressLimiter
from signaling.rooms.calls import clean_room_name
from signaling.rooms.lasting import LastingRooms


class PublicTitles:
    def __init__(self, rooms: LastingRooms, addresses: ClientAddresses, limiter: AddressLimiter) -> None:
        self._rooms = rooms
        self._addresses = addresses
        self._limiter = limiter

    async def of(self, request: web.Request, room: str) -> str:
        """Empty where there is none to show, also when too many ask or the database is away: the page itself must
        come in any case."""
        if self._limiter.take(self._addresses.of(request)):
            return ""
        try:
            return await self._rooms.public_title(clean_room_name(room))
        except (ApiError, DatabaseError):
            return ""

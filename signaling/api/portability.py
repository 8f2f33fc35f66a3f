"""A room as an archive over HTTP: what its owner takes along, and brings in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from aiohttp import ClientError, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from signaling.accounts.devices import AccountSession
from signaling.accounts.service import Accounts
from signaling.api.downloads import content_disposition
from signaling.api.typed import Access, Struct, route
from signaling.errors import ApiError, ArchiveError, DatabaseError
from signaling.files.store import StoreError
from signaling.portability.belongings import profile_of
from signaling.portability.owners import OwnerArchives
from signaling.rooms.lasting import LastingRooms
from signaling.rooms.roles import Actor

_log = logging.getLogger("ting.archives")

_ARCHIVE = "application/x-tar"
_BODIES = (_ARCHIVE, "application/octet-stream")
EXPECTED_BYTES = "Ting-Expected-Bytes"


class Imported(Struct):
    entries: int
    """Written now."""
    repeated: int
    """There already, from an earlier import of the same."""
    files: int
    left_out: dict[str, int]
    """What was not taken in, and how often."""


async def send_archive(
    request: web.Request, chunks: AsyncGenerator[bytes], name: str, stall_timeout_s: float, expected: list[int]
) -> web.StreamResponse:
    """As it comes; `expected` has, with the first bytes, about how many there will be of each room, or nothing. Raises
    `ApiError` unavailable as long as nothing was sent."""
    async with aclosing(chunks):
        try:
            first = await anext(chunks)
        except (ArchiveError, StoreError, DatabaseError) as error:
            _log.error("an archive could not be made: %s", error)
            raise ApiError("unavailable", "What is asked for could not be read.", retry_after_s=10) from None
        response = web.StreamResponse(headers={"X-Content-Type-Options": "nosniff"})
        response.content_type = _ARCHIVE
        response.headers[hdrs.CONTENT_DISPOSITION] = content_disposition(f"{name}.tar")
        response.headers[hdrs.CACHE_CONTROL] = "no-store"
        if expected:
            response.headers[EXPECTED_BYTES] = str(sum(expected))
        await response.prepare(request)
        try:
            async with asyncio.timeout(stall_timeout_s):
                await response.write(first)
            async for chunk in chunks:
                async with asyncio.timeout(stall_timeout_s):
                    await response.write(chunk)
            await response.write_eof()
        except (ArchiveError, StoreError, DatabaseError, TimeoutError, ConnectionError) as error:
            _log.warning("an export was broken off: %s", type(error).__name__)
            # Only a broken connection tells the client that this is not all.
            if request.transport is not None:
                request.transport.abort()
    return response


class AccountArchiveEndpoint:
    def __init__(self, archives: OwnerArchives, accounts: Accounts, stall_timeout_s: float) -> None:
        self._archives = archives
        self._accounts = accounts
        self._stall_timeout_s = stall_timeout_s

    @route("GET", "/api/v1/account/export", access=Access.ACCOUNT, gives=_ARCHIVE)
    async def export_account(self, request: web.Request, actor: AccountSession) -> web.StreamResponse:
        """Take along what belongs to the account: a tar file, signed by the server.

        Its profile and devices, and of each room what it wrote and sent, and what was said to it in private. What
        others said is not in it.
        """
        profile = await profile_of(self._accounts, actor.account_id)
        with self._archives.transfer():
            chunks = self._archives.export_account(profile)
            return await send_archive(request, chunks, "account", self._stall_timeout_s, [])


class PortabilityEndpoint:
    """`stall_timeout_s` is for each piece of a body."""

    def __init__(self, archives: OwnerArchives, rooms: LastingRooms, stall_timeout_s: float) -> None:
        self._archives = archives
        self._rooms = rooms
        self._stall_timeout_s = stall_timeout_s

    @route("GET", "/api/v1/rooms/{room}/export", access=Access.OWNER, gives=_ARCHIVE)
    async def export_room(self, request: web.Request, actor: Actor) -> web.StreamResponse:
        """Take a room along: a tar file with its log and its files, signed by the server.

        Private messages of others are not in it. It is one moment of the room, which goes on meanwhile. The header
        `Ting-Expected-Bytes` says about how many bytes come: a little more, for what frames the parts of the file.
        """
        expected: list[int] = []
        with self._archives.transfer():
            chunks = self._archives.export(actor, expected.append)
            return await send_archive(request, chunks, str(actor.room), self._stall_timeout_s, expected)

    @route(
        "POST", "/api/v1/rooms/{room}/import", access=Access.OWNER,
        errors=("invalid_archive", "body_too_large", "request_timeout", "storage_full"), takes=_BODIES,
    )  # fmt: skip
    async def import_room(self, request: web.Request, actor: Actor) -> Imported:
        """Bring what was said in another room into this one; the body is the tar file that the export gave.

        It is added at the end of the log with its times and authors. Server notes, members and bans of the other room
        are not taken in. The archive must be signed by this server, or by one that its operator trusts. An import that
        was broken off may be repeated: nothing is doubled.
        """
        if request.content_type not in _BODIES:
            raise ApiError("invalid_archive", f"The body must be {_ARCHIVE}.")
        room = await self._rooms.require(actor)
        with self._archives.transfer():
            report = await self._archives.take_in(actor, room, self._body(request), request.content_length)
        return Imported(entries=report.entries, repeated=report.repeated, files=report.files, left_out=report.left_out)

    async def _body(self, request: web.Request) -> AsyncIterator[bytes]:
        try:
            while True:
                async with asyncio.timeout(self._stall_timeout_s):
                    chunk = await request.content.readany()
                if not chunk:
                    return
                yield chunk
        except TimeoutError:
            raise ApiError("request_timeout", "The body took too long.") from None
        except (ClientError, HttpProcessingError) as error:
            raise ConnectionResetError(type(error).__name__) from None

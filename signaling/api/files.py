"""Files of a room over HTTP: uploads by tus 1.0.0, downloads, links.

Bodies are of any size and never read as a whole; `client_max_size` of the application is not for them.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from signaling.addresses import ClientAddresses
from signaling.api.downloads import send_file
from signaling.api.tus import (
    RESUMABLE,
    RequestBody,
    abilities,
    number,
    read_checksum,
    read_metadata,
    require_piece,
    require_version,
    speaking_tus,
    upload_headers,
)
from signaling.api.typed import Access, Input, Struct, route
from signaling.errors import ApiError
from signaling.files.files import Files
from signaling.files.links import IsAlive, Links, invalid
from signaling.files.records import StoredFile
from signaling.files.settings import FileSettings
from signaling.limits import AddressLimiter
from signaling.rooms.roles import Actor

_ROOM_FILES = "/api/v1/rooms/{room}/files"
_ROOM_FILE = "/api/v1/rooms/{room}/files/{file}"
_LINKED_FILE = "/api/v1/files/{file}"
_PIECE_ERRORS = (
    "file_not_found", "invalid_upload", "tus_version_unknown", "upload_type_wrong", "upload_conflict",
    "upload_too_long", "checksum_mismatch", "request_timeout", "file_refused", "storage_full", "unavailable",
)  # fmt: skip


class FileLink(Struct):
    path: str
    """Path and query on this server."""
    expires_at_ms: int


class LinkQuery(Input):
    link: str


class FilesEndpoint:
    def __init__(
        self,
        settings: FileSettings,
        files: Files,
        links: Links,
        is_alive: IsAlive,
        addresses: ClientAddresses,
        creation_limiter: AddressLimiter,
    ) -> None:
        self._settings = settings
        self._files = files
        self._links = links
        self._is_alive = is_alive
        self._addresses = addresses
        self._creation_limiter = creation_limiter

    # --- tus --------------------------------------------------------------------------------------------

    @route("OPTIONS", _ROOM_FILES, access=Access.ANYONE, status=204)
    async def describe_uploads(self) -> web.StreamResponse:
        """What the server can do of tus 1.0.0, and how large a file may be."""
        return web.Response(status=204, headers=abilities(self._settings.max_file_bytes))

    @route("OPTIONS", _ROOM_FILE, access=Access.ANYONE, status=204)
    async def describe_upload(self, file: str) -> web.StreamResponse:
        """What the server can do of tus 1.0.0, and how large a file may be."""
        return web.Response(status=204, headers=abilities(self._settings.max_file_bytes))

    @route(
        "POST",
        _ROOM_FILES,
        access=Access.GUEST,
        status=201,
        errors=(*_PIECE_ERRORS, "sealed_room", "file_too_large", "quota_exceeded", "rate_limited"),
    )
    @speaking_tus
    async def create_file(self, request: web.Request, actor: Actor) -> web.StreamResponse:
        """Begin to send a file (tus creation, and creation-with-upload).

        `Upload-Length` is its length, `Upload-Metadata` may have `name` (or `filename`) and `type` (or `filetype`).
        `Location` of the answer is where its bytes go. An unfinished file is removed after `Upload-Expires`.
        In a sealed room the bytes are encrypted, and name and type are in the sealed entry and not here.
        """
        require_version(request)
        self._limit(request)
        if not actor.may_send_files:
            raise ApiError("forbidden", "Nobody sends files in this room.")
        if "Upload-Length" not in request.headers:
            raise ApiError("invalid_upload", "Upload-Length is needed; its deferral is not supported.")
        header = request.headers.get("Upload-Metadata", "")
        size_bytes, metadata = number(request, "Upload-Length"), read_metadata(header)
        has_piece = request.body_exists and request.can_read_body
        checksum = read_checksum(request) if has_piece else None
        if has_piece:
            require_piece(request)
        name = metadata.get("name") or metadata.get("filename", "")
        media_type = metadata.get("type") or metadata.get("filetype", "")
        if actor.sealed:
            name, media_type = _sealed_names(metadata)
        upload = await self._files.create(actor, size_bytes, name, media_type, header)
        file_id = upload.row.file_id
        if has_piece and size_bytes:
            try:
                upload = await self._files.receive(
                    actor, file_id, 0, RequestBody(request, self._alive(actor)), checksum
                )
            except (ApiError, ConnectionError):
                # The client does not know where it is, so it could not go on.
                await self._files.remove(file_id)
                raise
        headers = {**upload_headers(upload), hdrs.LOCATION: f"{request.rel_url.raw_path}/{file_id}"}
        return web.Response(status=201, headers=headers)

    @route(
        "HEAD",
        _ROOM_FILE,
        access=Access.GUEST,
        errors=("file_not_found", "tus_version_unknown", "file_refused", "unavailable"),
    )
    @speaking_tus
    async def look_at_file(self, request: web.Request, actor: Actor, file: str) -> web.StreamResponse:
        """How far a file is (tus).

        Ends a request that still sends to it. An unfinished file is there for its sender alone.
        """
        require_version(request)
        upload = await self._files.look(actor, file)
        headers = {**upload_headers(upload), "Upload-Length": str(upload.row.size_bytes)}
        if upload.row.metadata and upload.row.member_id == actor.member_id:
            headers["Upload-Metadata"] = upload.row.metadata
        return web.Response(headers=headers)

    @route("PATCH", _ROOM_FILE, access=Access.GUEST, status=204, errors=(*_PIECE_ERRORS, "forbidden"))
    @speaking_tus
    async def add_to_file(self, request: web.Request, actor: Actor, file: str) -> web.StreamResponse:
        """Send the next bytes of a file, from `Upload-Offset` on (tus).

        With `Upload-Checksum` all of them arrive or none. Complete, the file is there for everybody in the room.
        """
        require_version(request)
        require_piece(request)
        offset, checksum = number(request, "Upload-Offset"), read_checksum(request)
        upload = await self._files.receive(actor, file, offset, RequestBody(request, self._alive(actor)), checksum)
        return web.Response(status=204, headers=upload_headers(upload))

    @route("DELETE", _ROOM_FILE, access=Access.GUEST, status=204, errors=("file_not_found", "forbidden", "unavailable"))
    @speaking_tus
    async def remove_file(self, actor: Actor, file: str) -> web.StreamResponse:
        """Remove a file, complete or not (tus termination).

        Its sender and moderators may.
        """
        await self._files.delete(actor, file)
        return web.Response(status=204, headers=RESUMABLE)

    @route("POST", _ROOM_FILE, access=Access.GUEST, status=204, errors=(*_PIECE_ERRORS, "forbidden"))
    @speaking_tus
    async def override_method(self, request: web.Request, actor: Actor, file: str) -> web.StreamResponse:
        """PATCH or DELETE for clients that cannot send these: the header `X-HTTP-Method-Override` names it (tus)."""
        method = request.headers.get("X-HTTP-Method-Override", "").upper()
        if method == hdrs.METH_PATCH:
            return await self.add_to_file(request, actor, file)
        if method == hdrs.METH_DELETE:
            return await self.remove_file(actor, file)
        raise ApiError("method_not_allowed", "X-HTTP-Method-Override must be PATCH or DELETE.")

    # --- fetching ---------------------------------------------------------------------------------------

    @route(
        "GET",
        _ROOM_FILE,
        access=Access.GUEST,
        errors=("file_not_found", "range_not_satisfiable", "unavailable"),
        gives="application/octet-stream",
    )
    async def get_file(self, request: web.Request, actor: Actor, file: str) -> web.StreamResponse:
        """Fetch a complete file, or a `Range` of it.

        Always an attachment of the type application/octet-stream; `ETag` has its SHA-256.
        """
        row = await self._files.complete_file(actor.room_key, file)
        return await self._send(request, row, actor.member_id, self._alive(actor))

    @route("POST", _ROOM_FILE + "/links", access=Access.GUEST, status=201, errors=("file_not_found", "unavailable"))
    async def create_link(self, actor: Actor, file: str) -> FileLink:
        """A link that fetches a complete file without a token.

        It ends after minutes, and with the right of whoever made it.
        """
        row = await self._files.complete_file(actor.room_key, file)
        link, expires_at_ms = self._links.make(actor, row)
        return FileLink(path=f"{_LINKED_FILE.format(file=row.file_id)}?link={link}", expires_at_ms=expires_at_ms)

    @route(
        "GET",
        _LINKED_FILE,
        access=Access.ANYONE,
        errors=("link_invalid", "file_not_found", "range_not_satisfiable", "unavailable"),
        gives="application/octet-stream",
    )
    async def get_linked_file(self, request: web.Request, file: str, query: LinkQuery) -> web.StreamResponse:
        """Fetch a file by a link."""
        bearer = self._links.check(query.link, file)
        alive = functools.partial(self._is_alive, bearer.room, bearer.member_id, bearer.device_id, bearer.since_s)
        if not await alive():
            raise invalid()
        row = await self._files.complete_file(bearer.room_key, file)
        return await self._send(request, row, bearer.member_id, alive)

    async def _send(
        self, request: web.Request, row: StoredFile, member_id: str, alive: Callable[[], Awaitable[bool]]
    ) -> web.StreamResponse:
        settings = self._settings
        return await send_file(
            request,
            self._files,
            row,
            member_id,
            alive,
            block_bytes=settings.file_block_bytes,
            stall_timeout_s=settings.file_stall_timeout_s,
        )

    def _alive(self, actor: Actor) -> Callable[[], Awaitable[bool]]:
        return functools.partial(self._is_alive, actor.room, actor.member_id, actor.device_id, time.time())

    def _limit(self, request: web.Request) -> None:
        wait_s = self._creation_limiter.take(self._addresses.of(request))
        if wait_s:
            raise ApiError("rate_limited", "Too many files; please wait a moment.", retry_after_s=wait_s)


_SEALED_METADATA = {"name": "sealed", "filename": "sealed", "type": "application/octet-stream",
                    "filetype": "application/octet-stream"}  # fmt: skip


def _sealed_names(metadata: dict[str, str]) -> tuple[str, str]:
    """What a file of a sealed room is called here. Raises `ApiError` sealed_room when its metadata says more."""
    if any(_SEALED_METADATA.get(key) != value for key, value in metadata.items()):
        raise ApiError("sealed_room", "This room is sealed: name and type of a file go into its encrypted entry.")
    return _SEALED_METADATA["name"], _SEALED_METADATA["type"]

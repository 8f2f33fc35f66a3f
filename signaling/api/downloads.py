"""A file on its way out: always as a download of bytes that nobody may take for a page, a script or a picture."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import hdrs, web

from signaling.api import tus
from signaling.errors import ApiError
from signaling.files.files import Files
from signaling.files.records import StoredFile

_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")
_QUOTED = re.compile(r"[^ !#$&\'()+,.0-9;=@A-Z\[\]^_`a-z{}~-]")
HEADERS = {
    hdrs.CONTENT_TYPE: "application/octet-stream",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    hdrs.ACCEPT_RANGES: "bytes",
    # What retention removed must not live on in a browser's cache.
    hdrs.CACHE_CONTROL: "no-store",
}


@dataclass(frozen=True, slots=True)
class Piece:
    status: int
    start: int
    length: int


def content_disposition(name: str) -> str:
    """RFC 6266, with the name in UTF-8 (RFC 8187) and, for those who cannot read that, what of it is ASCII."""
    return f"attachment; filename=\"{_QUOTED.sub('_', name)}\"; filename*=UTF-8''{quote(name, safe='!#$&+-.^_`|~')}"


def requested_piece(request: web.Request, row: StoredFile) -> Piece:
    """RFC 9110, section 14: one range; a header with several, or one that is none, is as if it were not there. Raises
    `ApiError` range_not_satisfiable."""
    whole = Piece(200, 0, row.size_bytes)
    found = _RANGE.fullmatch(request.headers.get(hdrs.RANGE, "").strip())
    if found is None or found.group(1, 2) == ("", ""):
        return whole
    if request.headers.get(hdrs.IF_RANGE, etag(row)) != etag(row):
        return whole
    first, last = found.group(1, 2)
    if first:
        start, end = int(first), min(int(last), row.size_bytes - 1) if last else row.size_bytes - 1
        if last and int(last) < start:
            return whole
    else:
        start, end = max(0, row.size_bytes - int(last)), row.size_bytes - 1
    if start > end:
        raise ApiError(
            "range_not_satisfiable",
            "There is nothing in this range.",
            headers={hdrs.CONTENT_RANGE: f"bytes */{row.size_bytes}"},
        )
    return Piece(206, start, end - start + 1)


def etag(row: StoredFile) -> str:
    return f'"{row.sha256}"'


async def send_file(
    request: web.Request,
    files: Files,
    row: StoredFile,
    member_id: str,
    is_alive: Callable[[], Awaitable[bool]],
    *,
    block_bytes: int,
    stall_timeout_s: float,
) -> web.StreamResponse:
    """To a member. `is_alive` is asked all the way: whoever loses the right to the file gets no more of it. Raises
    `ApiError` range_not_satisfiable, unavailable."""
    if etag(row) in (tag.strip() for tag in request.headers.get(hdrs.IF_NONE_MATCH, "").split(",")):
        return web.Response(status=304, headers={hdrs.ETAG: etag(row), hdrs.CACHE_CONTROL: "no-store"})
    piece = requested_piece(request, row)
    async with files.transfer(row.room_key, member_id):
        # The first block before the head of the answer, as long as an error can still be said.
        block = await files.read(row, piece.start, min(block_bytes, piece.length)) if piece.length else b""
        response = web.StreamResponse(status=piece.status, headers=HEADERS)
        response.headers[hdrs.CONTENT_DISPOSITION] = content_disposition(row.name)
        response.headers[hdrs.ETAG] = etag(row)
        if piece.status == 206:
            end = piece.start + piece.length - 1
            response.headers[hdrs.CONTENT_RANGE] = f"bytes {piece.start}-{end}/{row.size_bytes}"
        response.content_length = piece.length
        await response.prepare(request)
        try:
            await _send(response, files, row, piece, block, is_alive, block_bytes, stall_timeout_s)
        except (ApiError, TimeoutError, ConnectionError):
            # The head promised more: only a broken connection tells the client that this is not all.
            if request.transport is not None:
                request.transport.abort()
    return response


async def _send(
    response: web.StreamResponse,
    files: Files,
    row: StoredFile,
    piece: Piece,
    block: bytes,
    is_alive: Callable[[], Awaitable[bool]],
    block_bytes: int,
    stall_timeout_s: float,
) -> None:
    loop = asyncio.get_running_loop()
    position, end = piece.start, piece.start + piece.length
    asked_at = loop.time()
    while block:
        async with asyncio.timeout(stall_timeout_s):
            await response.write(block)
        position += len(block)
        if loop.time() - asked_at > tus.ALIVE_INTERVAL_S:
            if not await is_alive():
                raise ConnectionAbortedError
            asked_at = loop.time()
        block = await files.read(row, position, min(block_bytes, end - position)) if position < end else b""
    await response.write_eof()

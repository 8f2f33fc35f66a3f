"""tus 1.0.0, resumable uploads (https://tus.io/protocols/resumable-upload): its headers, read and written."""

from __future__ import annotations

import base64
import binascii
import functools
import re
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import ParamSpec, TypeVar

from aiohttp import ClientError, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from signaling.errors import ApiError
from signaling.files.intake import CHECKSUMS, Checksum
from signaling.files.uploads import Upload

_P = ParamSpec("_P")
_T = TypeVar("_T")
VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,termination,checksum,expiration"
PIECE = "application/offset+octet-stream"
RESUMABLE = {"Tus-Resumable": VERSION}
ALIVE_INTERVAL_S = 0.5
"""How often a long transfer asks whether its member may still be here."""
MAX_METADATA_LENGTH = 2048
_DIGITS = re.compile(r"[0-9]{1,15}")
_KEY = re.compile(r"[!-+\--~]{1,64}")
"""ASCII without spaces and commas."""


def speaking_tus(function: Callable[_P, Awaitable[_T]]) -> Callable[_P, Awaitable[_T]]:
    """Refusals say their version too."""

    @functools.wraps(function)
    async def answer(*arguments: _P.args, **named: _P.kwargs) -> _T:
        try:
            return await function(*arguments, **named)
        except ApiError as error:
            error.headers.update(RESUMABLE)
            raise

    return answer


def abilities(max_file_bytes: int) -> dict[str, str]:
    """What OPTIONS announces."""
    return {
        **RESUMABLE,
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(max_file_bytes),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }


def require_version(request: web.Request) -> None:
    """Raises `ApiError` tus_version_unknown."""
    if request.headers.get("Tus-Resumable") != VERSION:
        raise ApiError("tus_version_unknown", f"Tus-Resumable: {VERSION} is needed.", headers={"Tus-Version": VERSION})


def require_piece(request: web.Request) -> None:
    """The body is what it says, and not packed. Raises `ApiError` upload_type_wrong."""
    if request.content_type != PIECE or request.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
        raise ApiError("upload_type_wrong", f"The body must be {PIECE}.")


def number(request: web.Request, header: str) -> int:
    """Raises `ApiError` invalid_upload."""
    text = request.headers.get(header, "")
    if not _DIGITS.fullmatch(text):
        raise ApiError("invalid_upload", f"{header} must be a whole number.")
    return int(text)


def read_metadata(header: str) -> dict[str, str]:
    """`Upload-Metadata`: pairs of a key and, unless it is empty, a value in base64, which is UTF-8 where we read it.
    Raises `ApiError` invalid_upload."""
    found: dict[str, str] = {}
    if len(header) > MAX_METADATA_LENGTH or not header.isascii():
        raise ApiError("invalid_upload", f"Upload-Metadata has up to {MAX_METADATA_LENGTH} ASCII characters.")
    for pair in header.split(",") if header.strip() else []:
        key, _, value = pair.strip().partition(" ")
        try:
            if not _KEY.fullmatch(key) or key in found:
                raise ValueError
            found[key] = base64.b64decode(value, validate=True).decode("utf-8", "replace")
        except (ValueError, binascii.Error):
            raise ApiError("invalid_upload", "Upload-Metadata is not as tus 1.0.0 wants it.") from None
    return found


def read_checksum(request: web.Request) -> Checksum | None:
    """Raises `ApiError` invalid_upload."""
    header = request.headers.get("Upload-Checksum")
    if header is None:
        return None
    algorithm, _, value = header.partition(" ")
    try:
        digest = base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        digest = b""
    if algorithm not in CHECKSUMS or len(digest) != CHECKSUMS[algorithm]().digest_size:
        raise ApiError("invalid_upload", f"Upload-Checksum must be one of {', '.join(CHECKSUMS)}, in base64.")
    return Checksum(algorithm, digest)


def upload_headers(upload: Upload) -> dict[str, str]:
    """After each request: how far it is, and how long it waits for the next."""
    headers = {**RESUMABLE, "Upload-Offset": str(upload.offset), hdrs.CACHE_CONTROL: "no-store"}
    if not upload.row.complete:
        headers["Upload-Expires"] = formatdate(upload.row.expires_at_ms / 1000, usegmt=True)
    return headers


class RequestBody:
    """A request's body as a `Source`, for as long as its sender `is_alive`."""

    def __init__(self, request: web.Request, is_alive: Callable[[], Awaitable[bool]]) -> None:
        self._content = request.content
        self._is_alive = is_alive
        self._asked_at = time.monotonic()

    async def read(self) -> bytes:
        if time.monotonic() - self._asked_at > ALIVE_INTERVAL_S:
            if not await self._is_alive():
                raise ApiError("forbidden", "You are not in this room any more.")
            self._asked_at = time.monotonic()
        try:
            return await self._content.readany()
        except (ClientError, HttpProcessingError, ConnectionError) as error:
            raise ConnectionResetError(type(error).__name__) from None

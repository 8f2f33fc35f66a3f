"""Files on their way in: received piece by piece, whole at some time, or given up.

What is durably in the store decides how far an upload is, nothing else: neither memory nor the database could be right
after a crash. The SHA-256 runs along; when a restart or too many other uploads lost it, the whole file is read once
more at its end.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signaling.errors import ApiError
from signaling.files.intake import Checksum, Intake, Source, Use, Uses, checked, too_long
from signaling.files.records import FileRecords, StoredFile
from signaling.files.scanner import ScanFailed, Scanner
from signaling.files.settings import FileSettings
from signaling.files.store import Appender, FileStore, StoredFileMissing, StoreError, StoreFull
from signaling.metrics import Metrics

_log = logging.getLogger("ting.files")
_MAX_RUNNING_HASHES = 1000
_SWEPT_AT_ONCE = 100
RETRY_AFTER_S = 5
OpenRows = Callable[[], Awaitable[FileRecords]]


@dataclass(frozen=True, slots=True)
class Upload:
    """How far a file has come."""

    row: StoredFile
    offset: int


class Uploads:
    """`folder` is for bodies that wait until their checksum was checked."""

    def __init__(
        self, settings: FileSettings, store: FileStore, open_rows: OpenRows, metrics: Metrics, folder: Path
    ) -> None:
        self._settings = settings
        self._store = store
        self._open_rows = open_rows
        self._metrics = metrics
        self._folder = folder
        self._scanner = Scanner(settings.file_scanner, settings.file_scan_timeout_s)
        self._uses = Uses()
        self._hashes: OrderedDict[str, tuple[int, Any]] = OrderedDict()
        """SHA-256 of the first so many bytes."""

    async def look(self, file_id: str) -> Upload:
        """Ends a request that still adds to the file, so that the offset stays what it is. Raises `ApiError`
        file_not_found, unavailable."""
        async with self._working_on(file_id):
            row = await self._load(file_id)
            if row.complete:
                return Upload(row, row.size_bytes)
            appender = await self._store.appender(file_id)
            await appender.close()
            if appender.offset < row.size_bytes:
                return Upload(row, appender.offset)
            return await self._complete(row)

    async def receive(self, file_id: str, offset: int, source: Source, checksum: Checksum | None = None) -> Upload:
        """Add a piece that begins at `offset`. What arrived before a failure stays. Raises `ApiError` file_not_found,
        upload_conflict, upload_too_long, checksum_mismatch, request_timeout, storage_full (then the upload is gone),
        unavailable; `ConnectionError` when the client is."""
        async with self._working_on(file_id) as use:
            row = await self._load(file_id)
            if row.complete:
                raise ApiError("upload_conflict", "The file is complete already.")
            try:
                return await self._receive(row, offset, source, checksum, use)
            except StoreFull:
                await self._discard(file_id, "full")
                raise ApiError("storage_full", "The server has no room left for files.") from None

    async def discard(self, file_id: str) -> None:
        """Remove whatever there is of a file, then its row: what a crash leaves in between can be removed again. Raises
        `ApiError` unavailable, `DatabaseError`."""
        async with self._working_on(file_id):
            await self._discard(file_id, "removed")

    async def sweep(self) -> int:
        """Remove unfinished files whose time is over, and what a room left behind; how many. One that is just being
        received is not among them. Raises `DatabaseError`, `StoreError`."""
        rows = await self._open_rows()
        expired = await rows.list_expired_files(_SWEPT_AT_ONCE)
        homeless = await rows.list_homeless_files(_SWEPT_AT_ONCE)
        # A file is made before its row, and left behind when that could not be written.
        orphans = await rows.list_unknown_files(await self._store.incoming(self._settings.upload_expiry_s))
        idle = [file_id for file_id in {*expired, *homeless, *orphans} if file_id not in self._uses]
        for file_id in idle:
            async with self._uses.use(file_id):
                row = await rows.load_file(file_id)
                if row is None or row.expired or file_id in homeless:
                    await self._discard(file_id, "expired")
        return len(idle)

    # --- one piece --------------------------------------------------------------------------------------

    async def _receive(
        self, row: StoredFile, offset: int, source: Source, checksum: Checksum | None, use: Use
    ) -> Upload:
        appender = await self._store.appender(row.file_id)
        try:
            if appender.offset != offset:
                raise ApiError("upload_conflict", "The upload is at another offset.")
            intake = Intake(source, self._settings, use)
            async with AsyncExitStack() as stack:
                if checksum is not None:
                    body = await stack.enter_async_context(
                        checked(intake, checksum, self._folder, row.size_bytes - offset)
                    )
                    intake = Intake(body, self._settings, use)
                problem = await self._fill(row, appender, intake)
        finally:
            await appender.close()
        if appender.offset == row.size_bytes:
            return await self._complete(row)
        if appender.offset > offset:
            # Asking alone, or sending nothing, keeps no unfinished file alive.
            await (await self._open_rows()).prolong_file(row.file_id, self._settings.upload_expiry_s)
        if problem is not None:
            raise problem
        return Upload(await self._load(row.file_id), appender.offset)

    async def _fill(self, row: StoredFile, appender: Appender, intake: Intake) -> Exception | None:
        """Until the source ends; what went wrong, beside the store."""
        loop = asyncio.get_running_loop()
        prolong_at = loop.time() + self._settings.upload_expiry_s / 4
        at, digest = self._hashes.pop(row.file_id, (0, hashlib.sha256()))
        running = at == appender.offset
        while block := await intake.block():
            if appender.offset + len(block) > row.size_bytes:
                return too_long()
            writing = appender.write(block)
            if running:
                await asyncio.gather(writing, asyncio.to_thread(digest.update, block))
            else:
                await writing
            if loop.time() > prolong_at:
                await (await self._open_rows()).prolong_file(row.file_id, self._settings.upload_expiry_s)
                prolong_at = loop.time() + self._settings.upload_expiry_s / 4
        if running:
            self._hashes[row.file_id] = (appender.offset, digest)
            if len(self._hashes) > _MAX_RUNNING_HASHES:
                self._hashes.popitem(last=False)
        return intake.problem

    async def _complete(self, row: StoredFile) -> Upload:
        """All bytes are there: after the last piece, or when a crash came between it and this."""
        await self._store.finish(row.file_id)
        at, digest = self._hashes.pop(row.file_id, (-1, None))
        if at != row.size_bytes:
            digest = hashlib.sha256()
            async for block in self._blocks(row):
                await asyncio.to_thread(digest.update, block)
        await self._require_clean(row)
        whole = await (await self._open_rows()).complete_file(row.file_id, digest.hexdigest())
        if whole is None:
            raise not_found()
        self._metrics.files.labels("completed").inc()
        return Upload(whole, whole.size_bytes)

    async def _blocks(self, row: StoredFile) -> AsyncIterator[bytes]:
        block_bytes = self._settings.file_block_bytes
        for start in range(0, row.size_bytes, block_bytes):
            yield await self._store.read(row.file_id, start, min(block_bytes, row.size_bytes - start))

    async def _require_clean(self, row: StoredFile) -> None:
        """What the operator's scanner refuses is removed; without its answer the file stays unfinished, and asking how
        far it is asks the scanner again. Raises `ApiError` file_refused, unavailable."""
        try:
            clean = await self._scanner.is_clean(self._blocks(row))
        except ScanFailed:
            self._metrics.files.labels("scan_failed").inc()
            raise ApiError(
                "unavailable", "The file cannot be checked at the moment.", retry_after_s=RETRY_AFTER_S
            ) from None
        if not clean:
            await self._discard(row.file_id, "refused")
            raise ApiError("file_refused", "This server does not take this file.")

    # --- the parts --------------------------------------------------------------------------------------

    async def _load(self, file_id: str) -> StoredFile:
        row = await (await self._open_rows()).load_file(file_id)
        if row is None or row.expired:
            raise not_found()
        return row

    @asynccontextmanager
    async def _working_on(self, file_id: str) -> AsyncIterator[Use]:
        """Alone. A failing store becomes an answer."""
        async with self._uses.use(file_id) as use:
            try:
                yield use
            except StoredFileMissing:
                raise not_found() from None
            except StoreError as error:
                raise store_failed(error, self._metrics) from None

    async def _discard(self, file_id: str, why: str) -> None:
        self._hashes.pop(file_id, None)
        await self._store.remove(file_id)
        await (await self._open_rows()).delete_file(file_id)
        self._metrics.files.labels(why).inc()


def not_found() -> ApiError:
    return ApiError("file_not_found", "There is no such file.")


def store_failed(error: StoreError, metrics: Metrics) -> ApiError:
    """The answer to the client; the operator reads why."""
    metrics.files.labels("store_error").inc()
    _log.error("the file store failed: %s", error)
    return ApiError("unavailable", "Files cannot be reached at the moment.", retry_after_s=RETRY_AFTER_S)

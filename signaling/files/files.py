"""The files of rooms: who may do what with them, and everything that other parts of Ting ask of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from signaling.errors import ApiError, DatabaseError
from signaling.files.intake import Checksum, Source
from signaling.files.names import clean_file_name, clean_media_type
from signaling.files.records import NewFile, Quotas, StoredFile
from signaling.files.s3 import S3Store
from signaling.files.settings import FileSettings
from signaling.files.store import FileStore, LocalStore, StoredFileMissing, StoreError, StoreFull
from signaling.files.uploads import RETRY_AFTER_S, OpenRows, Upload, Uploads, not_found, store_failed
from signaling.metrics import Metrics
from signaling.rooms.roles import Actor, Role

_log = logging.getLogger("ting.files")
_FILE_ID = re.compile(r"[0-9a-f]{32}")
_SENTENCES = {
    "room": "The files of this room have reached their limit.",
    "member": "Your files in this room have reached their limit.",
    "server": "The files on this server have reached their limit.",
    "files": "This room has as many files as it may have.",
    "uploads": "You have too many unfinished files in this room.",
}


def create_store(settings: FileSettings, folder: Path) -> FileStore:
    """S3 when the settings name a bucket; `folder` has the files, or what is on its way there."""
    return S3Store(folder, settings) if settings.s3_bucket else LocalStore(folder, settings.min_free_bytes)


class Files:
    """`folder` is on the local disk, whatever the store is. Methods raise `ApiError` and `DatabaseError`."""

    def __init__(
        self, settings: FileSettings, store: FileStore, open_rows: OpenRows, metrics: Metrics, folder: Path
    ) -> None:
        self._settings = settings
        self._store = store
        self._open_rows = open_rows
        self._metrics = metrics
        self._uploads = Uploads(settings, store, open_rows, metrics, folder)
        self._transfers: Counter[tuple[int, str]] = Counter()
        self._used = False
        self._sweeper: asyncio.Task[None] | None = None
        self._removing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._sweeper = asyncio.create_task(self._sweep_on())

    async def close(self) -> None:
        await asyncio.gather(*self._removing, return_exceptions=True)
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
            self._sweeper = None

    # --- what people do ---------------------------------------------------------------------------------

    async def create(self, actor: Actor, size_bytes: int, name: str, media_type: str, metadata: str) -> Upload:
        """A place for a file of this length; an empty one is complete at once. Raises file_too_large, quota_exceeded,
        storage_full, unavailable."""
        self._used = True
        if size_bytes > self._settings.max_file_bytes:
            raise ApiError("file_too_large", f"A file has up to {self._settings.max_file_bytes} bytes here.")
        new = NewFile(
            file_id=secrets.token_hex(16),
            room_key=actor.room_key,
            member_id=actor.member_id,
            name=clean_file_name(name),
            media_type=clean_media_type(media_type),
            metadata=metadata,
            size_bytes=size_bytes,
        )
        try:
            await self._require_space(size_bytes)
            # Before the row: the sweeper finds a file without a row, but without a file it has no reason to look.
            await self._store.create(new.file_id)
            return await self._add(new)
        except StoreFull:
            raise ApiError("storage_full", "The server has no room left for files.") from None
        except StoreError as error:
            raise store_failed(error, self._metrics) from None

    async def find(self, actor: Actor, file_id: str) -> StoredFile:
        """A file of the actor's room: a complete one, or the actor's own. Raises file_not_found."""
        row = await self._find(actor.room_key, file_id)
        if not row.complete and row.member_id != actor.member_id:
            raise not_found()
        return row

    async def look(self, actor: Actor, file_id: str) -> Upload:
        """How far it is. Raises as `find` and `Uploads.look`."""
        await self.find(actor, file_id)
        return await self._uploads.look(file_id)

    async def receive(
        self, actor: Actor, file_id: str, offset: int, source: Source, checksum: Checksum | None = None
    ) -> Upload:
        """The next piece, from whoever began the file. Raises as `find` and `Uploads.receive`."""
        row = await self.find(actor, file_id)
        if row.member_id != actor.member_id:
            raise ApiError("forbidden", "This is somebody else's file.")
        await self._guard_space(row)
        async with self.transfer(row.room_key, row.member_id):
            return await self._uploads.receive(file_id, offset, source, checksum)

    async def delete(self, actor: Actor, file_id: str) -> None:
        """Who sent it and moderators may. Raises forbidden, and as `find`; an unfinished file of somebody else is not
        there even for moderators."""
        row = await self.find(actor, file_id)
        if row.member_id != actor.member_id and not actor.role.reaches(Role.MODERATOR):
            raise ApiError("forbidden", "Only its sender and moderators can remove a file.")
        await self._uploads.discard(file_id)

    # --- what other parts ask ---------------------------------------------------------------------------

    async def complete_file(self, room_key: int, file_id: str) -> StoredFile:
        """One that everybody in the room may have. Raises file_not_found."""
        row = await self._find(room_key, file_id)
        if not row.complete:
            raise not_found()
        return row

    async def read(self, row: StoredFile, start: int, length: int) -> bytes:
        """At most one block at a time. Raises file_not_found when it was removed, unavailable."""
        try:
            return await self._store.read(row.file_id, start, length)
        except StoredFileMissing:
            raise not_found() from None
        except StoreError as error:
            raise store_failed(error, self._metrics) from None

    async def remove(self, file_id: str) -> None:
        """Bytes and row; also one that is being sent or fetched. No error when it is gone."""
        await self._uploads.discard(file_id)

    async def remove_room(self, room_key: int) -> None:
        """All files of a room."""
        for file_id in await (await self._open_rows()).list_room_files(room_key):
            await self._uploads.discard(file_id)

    def room_deleted(self, room_key: int) -> None:
        """Begins to remove its files. What fails, the sweeper repeats."""
        removing = asyncio.create_task(self._remove_room(room_key))
        self._removing.add(removing)
        removing.add_done_callback(self._removing.discard)

    async def _remove_room(self, room_key: int) -> None:
        try:
            await self.remove_room(room_key)
        except (ApiError, DatabaseError) as error:
            _log.error("the files of a deleted room could not be removed: %s", error)

    async def sweep(self) -> int:
        """Remove what was never finished; how many. Raises `StoreError`."""
        return await self._uploads.sweep()

    @contextlib.asynccontextmanager
    async def transfer(self, room_key: int, member_id: str) -> AsyncIterator[None]:
        """A place among the uploads and downloads that go on. Raises unavailable."""
        member, settings = (room_key, member_id), self._settings
        many = self._transfers.total() >= settings.max_file_transfers
        if many or self._transfers[member] >= settings.max_member_file_transfers:
            raise ApiError("unavailable", "Too many files are on their way.", retry_after_s=RETRY_AFTER_S)
        self._transfers[member] += 1
        try:
            yield
        finally:
            self._transfers[member] -= 1
            if not self._transfers[member]:
                del self._transfers[member]

    # --- the parts --------------------------------------------------------------------------------------

    async def _add(self, new: NewFile) -> Upload:
        settings = self._settings
        quotas = Quotas(
            room_bytes=settings.room_file_bytes,
            member_bytes=settings.member_file_bytes,
            server_bytes=settings.server_file_bytes,
            room_files=settings.max_files_per_room,
            open_uploads=settings.max_open_uploads,
        )
        added: StoredFile | str = ""
        try:
            added = await (await self._open_rows()).add_file(new, quotas, settings.upload_expiry_s)
        finally:
            if isinstance(added, str):
                await self._store.remove(new.file_id)
        if isinstance(added, str):
            self._metrics.files.labels("quota").inc()
            raise ApiError("quota_exceeded", _SENTENCES[added])
        self._metrics.files.labels("created").inc()
        return Upload(added, 0) if new.size_bytes else await self._uploads.look(new.file_id)

    async def _find(self, room_key: int, file_id: str) -> StoredFile:
        self._used = True
        # Also for what the store makes of it: an id is never more than 32 digits.
        row = await (await self._open_rows()).load_file(file_id) if _FILE_ID.fullmatch(file_id) else None
        if row is None or row.room_key != room_key or row.expired:
            raise not_found()
        return row

    async def _require_space(self, size_bytes: int) -> None:
        """The database is on this disk too. Raises `StoreFull`."""
        if not await self._store.fits(size_bytes):
            raise StoreFull

    async def _guard_space(self, row: StoredFile) -> None:
        """Others have written since it was created."""
        try:
            await self._require_space(0)
        except StoreFull:
            await self._uploads.discard(row.file_id)
            raise ApiError("storage_full", "The server has no room left for files.") from None
        except StoreError as error:
            raise store_failed(error, self._metrics) from None

    async def _sweep_on(self) -> None:
        """A server that never had a file does not open its database for this."""
        while True:
            try:
                if self._used or await self._store.incoming(0):
                    await self._uploads.sweep()
            except (DatabaseError, StoreError) as error:
                self._metrics.database_errors.labels("files").inc()
                _log.error("unfinished files could not be removed: %s", error)
            await asyncio.sleep(self._settings.file_sweep_interval_s)

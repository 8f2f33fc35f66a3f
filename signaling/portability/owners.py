"""What an owner takes along of a room, and brings into one."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from signaling.errors import ApiError, ArchiveError
from signaling.files.records import FileRecords, Quotas
from signaling.files.settings import FileSettings
from signaling.files.store import FileStore, StoreError
from signaling.log.live import Live
from signaling.portability.appending import Appender
from signaling.portability.archive import Kind, Seal, as_tar
from signaling.portability.belongings import Profile, belongings
from signaling.portability.export import Exporter
from signaling.portability.importing import ArchivedRooms, Report
from signaling.portability.reading import Archive
from signaling.portability.settings import PortabilitySettings
from signaling.portability.signing import Signer
from signaling.portability.store import ArchiveStores
from signaling.rooms.policy import Keeps
from signaling.rooms.records import Chronicle, Room
from signaling.rooms.roles import Actor


class OwnerArchives:
    """`folder` is for what waits on disk."""

    def __init__(
        self,
        stores: ArchiveStores,
        open_records: Callable[[], Awaitable[FileRecords]],
        files: FileStore,
        live: Live,
        chronicle: Chronicle,
        signer: Signer,
        quotas: FileSettings,
        settings: PortabilitySettings,
        folder: Path,
    ) -> None:
        self._stores = stores
        self._open_records = open_records
        self._files = files
        self._live = live
        self._chronicle = chronicle
        self._signer = signer
        self._quotas = Quotas(
            room_bytes=quotas.room_file_bytes,
            member_bytes=quotas.member_file_bytes,
            server_bytes=quotas.server_file_bytes,
            room_files=quotas.max_files_per_room,
            open_uploads=quotas.max_open_uploads,
        )
        self._settings = settings
        self._folder = folder
        self._transfers = 0

    @contextmanager
    def transfer(self) -> Iterator[None]:
        """A place among the exports and imports that go on. Raises `ApiError` unavailable."""
        if self._transfers >= self._settings.max_archive_transfers:
            raise ApiError("unavailable", "Too many archives are on their way.", retry_after_s=10)
        self._transfers += 1
        try:
            yield
        finally:
            self._transfers -= 1

    def export(self, actor: Actor, expect: Callable[[int], None]) -> AsyncGenerator[bytes]:
        """A tar file; `expect` is told before its first bytes about how many there will be. Raises `ArchiveError`,
        `DatabaseError`, `StoreError`."""
        parts = Exporter(self._stores, self._files, self._folder).parts([actor.room], actor.member_id, expect)
        return as_tar(parts, Seal(self._signer, Kind.ROOMS))

    def export_account(self, profile: Profile) -> AsyncGenerator[bytes]:
        """A tar file. Raises as `export`."""
        parts = belongings(Exporter(self._stores, self._files, self._folder), profile)
        return as_tar(parts, Seal(self._signer, Kind.ACCOUNT))

    async def take_in(self, actor: Actor, room: Room, chunks: AsyncIterator[bytes], size: int | None) -> Report:
        """`size` is what the sender says of it, if anything. Nothing is used before all of it is here and checked.
        Raises `ApiError` invalid_archive, body_too_large, forbidden, storage_full."""
        if room.policy.keeps is Keeps.NOTHING:
            raise ApiError("forbidden", "This room keeps nothing.")
        limit = self._settings.max_import_bytes
        if (size or 0) > limit:
            raise _too_large(limit)
        try:
            if not await self._files.fits(limit if size is None else size):
                raise ApiError("storage_full", "The server has no room left for it.")
            with self._spool() as spool:
                await _receive(spool, chunks, limit)
                archive = await asyncio.to_thread(Archive.open_file, spool, self._signer, self._settings)
                try:
                    return await self._append(actor, room, archive)
                finally:
                    archive.close()
        except ArchiveError as error:
            raise ApiError("invalid_archive", f"The archive is not taken in: {error}.") from None
        except StoreError:
            raise ApiError("unavailable", "The files could not be stored.", retry_after_s=10) from None

    async def _append(self, actor: Actor, room: Room, archive: Archive) -> Report:
        source = ArchivedRooms(archive)
        await self._chronicle.note_act(room.room_key, actor.member_id, actor.name, "import", {})
        appender = Appender(
            await self._stores.archives(),
            await self._open_records(),
            self._files,
            self._live,
            self._quotas,
            max_entries=self._settings.max_import_entries,
        )
        return await appender.take_in(source, room.room_key, room.policy)

    def _spool(self) -> IO[bytes]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self._folder)


async def _receive(spool: IO[bytes], chunks: AsyncIterator[bytes], limit: int) -> None:
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        if received > limit:
            raise _too_large(limit)
        await asyncio.to_thread(spool.write, chunk)
    await asyncio.to_thread(spool.flush)


def _too_large(limit: int) -> ApiError:
    return ApiError("body_too_large", f"An archive has up to {limit} bytes here.")

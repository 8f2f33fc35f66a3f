"""What survives a restart, opened when somebody needs it: SQLAlchemy costs 25 MiB, which a server that nobody uses does
not pay for."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from signaling.accounts.records import AccountStore
from signaling.db.settings import FILE, DatabaseSettings
from signaling.db.sqlite_file import look
from signaling.revocations import RevocationRow

if TYPE_CHECKING:
    from signaling.db.admin import AdminRepository
    from signaling.db.backup import BackupRepository
    from signaling.db.bots import BotRepository
    from signaling.db.database import Database
    from signaling.db.files import FileRepository
    from signaling.db.log import LogRepository
    from signaling.db.portability import ArchiveRepository
    from signaling.db.repository import Repository
    from signaling.db.retention import RetentionRepository
    from signaling.db.rooms import RoomRepository
    from signaling.db.sealed import SealedRepository
    from signaling.db.timelines import TimelineRepository

_REPOSITORIES = ("repository", "rooms", "log", "files", "accounts", "retention", "bots", "admin", "sealed")


class Storage:
    """The database of the settings. `folder` is where SQLite's file is, when the settings name no URL."""

    def __init__(self, settings: DatabaseSettings, folder: Path) -> None:
        self._url = settings.database_url
        self._path = folder / FILE
        self._timeout_s = settings.database_timeout_s
        self._queue_s = settings.database_queue_s
        self._settings = settings
        self._opening = asyncio.Lock()
        self._database: Database | None = None
        self._is_open = False
        self._has_data = True

    @property
    def database(self) -> Database:
        """Not open yet; whoever takes it makes `start` open it."""
        if self._database is None:
            from signaling.db.database import Database
            from signaling.db.url import sqlite_url

            self._database = Database(
                self._url or sqlite_url(self._path), timeout_s=self._timeout_s, queue_s=self._queue_s
            )
        return self._database

    async def start(self) -> bool:
        """Open the database, unless nobody has taken it and SQLite's file has nothing to tell yet. Whether it is open.
        Raises `DatabaseError`."""
        if self._url:
            await self.open()
            return True
        found = look(self._path, self._timeout_s)
        self._has_data = found.has_rooms
        if self._database is not None or not found.can_wait:
            await self.open()
        return self._is_open

    @property
    def has_data(self) -> bool:
        """False while there are certainly no rooms that last: nobody has asked for them, and the file has none."""
        return self._has_data

    async def close(self) -> None:
        if self._database is not None:
            await self._database.close()

    async def open(self) -> Database:
        """The database, opened by the first who needs it. Raises `DatabaseError`."""
        async with self._opening:
            if not self._is_open:
                # The import takes a second, in which calls must go on.
                for module in (
                    "repository",
                    "rooms",
                    "log",
                    "files",
                    "accounts",
                    "retention",
                    "bots",
                    "admin",
                    "sealed",
                ):
                    await asyncio.to_thread(importlib.import_module, f"signaling.db.{module}")
                await self.database.open()
                self._is_open = True
        return self.database

    async def rooms(self) -> RoomRepository:
        from signaling.db.rooms import RoomRepository

        database = await self.open()
        self._has_data = True
        return RoomRepository(database)

    async def accounts(self) -> AccountStore:
        from signaling.db.accounts import account_store

        return account_store(await self.open())

    async def log(self) -> LogRepository:
        from signaling.db.log import LogRepository

        return LogRepository(await self.open())

    async def timelines(self) -> TimelineRepository:
        from signaling.db.timelines import TimelineRepository

        return TimelineRepository(await self.open())

    async def backups(self) -> BackupRepository:
        from signaling.db.backup import BackupRepository

        return BackupRepository(await self.open())

    async def archives(self) -> ArchiveRepository:
        from signaling.db.portability import ArchiveRepository

        database = await self.open()
        self._has_data = True
        return ArchiveRepository(database)

    async def files(self) -> FileRepository:
        from signaling.db.files import FileRepository

        return FileRepository(await self.open())

    async def bots(self) -> BotRepository:
        from signaling.db.bots import BotRepository

        return BotRepository(await self.open())

    async def sealed(self) -> SealedRepository:
        from signaling.db.sealed import SealedRepository

        return SealedRepository(await self.open())

    async def admin(self) -> AdminRepository:
        from signaling.db.admin import AdminRepository

        return AdminRepository(await self.open())

    async def retention(self) -> RetentionRepository:
        from signaling.db.retention import RetentionRepository

        return RetentionRepository(await self.open(), self._settings)

    async def _revocations(self) -> Repository:
        from signaling.db.repository import Repository

        return Repository(await self.open())

    # --- revocations: each opens the database first, and may raise `DatabaseError` ------------------------

    async def save_revocations(self, rows: Sequence[RevocationRow]) -> None:
        await (await self._revocations()).save_revocations(rows)

    async def load_revocations(self, limit: int) -> list[RevocationRow]:
        return await (await self._revocations()).load_revocations(limit)

    async def delete_revocations(self, before_ms: int) -> None:
        await (await self._revocations()).delete_revocations(before_ms)

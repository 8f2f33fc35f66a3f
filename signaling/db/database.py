"""One database: connections, transactions, migrations. SQLite in a file, or PostgreSQL.

SQLite runs in a thread of its own per connection, with a write-ahead log and `synchronous=FULL`: what was committed
survives a power failure, and readers never wait for the writer. There is one writer at a time, in this process by a
lock and towards others by `BEGIN IMMEDIATE` and a busy timeout.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from signaling.db.schema import MigrationError, bring_up_to_date
from signaling.db.scrub import erasure_of_postgres, scrub_postgres, scrub_sqlite
from signaling.db.url import parse_url
from signaling.errors import DatabaseError
from signaling.retention.store import Erasure

_log = logging.getLogger("ting.database")
_POOL_SIZE = 5
_DIRECT_POOL_SIZE = 3
"""Threads that work for requests take turns with the event loop; one of them may wait for the disk."""
_START = {"sqlite_begin": "BEGIN"}
_START_SNAPSHOT = {"isolation_level": "REPEATABLE READ"}
_START_WRITING = {"sqlite_begin": "BEGIN IMMEDIATE"}
_START_NOTHING = {"sqlite_begin": ""}
_T = TypeVar("_T")


class Database:
    """`timeout_s` bounds every wait: for another writer, for one statement of PostgreSQL. For a connection transactions
    queue up, in the order in which they came, up to `queue_s`."""

    def __init__(self, url: str, *, timeout_s: float = 5.0, queue_s: float = 30.0) -> None:
        self._url = parse_url(url)
        self._timeout_s = timeout_s
        self._queue_s = queue_s
        # In front of the pools: they would refuse whoever waits longer than `timeout_s`, and in no order.
        self._free = asyncio.Semaphore(_POOL_SIZE)
        self._free_directly = asyncio.Semaphore(_DIRECT_POOL_SIZE)
        self._engine: AsyncEngine | None = None
        self._direct: Engine | None = None
        """SQLite without the thread of each connection, for `read` and `write`."""
        self._writer = asyncio.Lock()

    @property
    def is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    async def open(self) -> None:
        """Connect and bring the tables up to date. Raises `DatabaseError`."""
        try:
            self._engine = self._create_engine()
            await self._bring_up_to_date(self._engine)
        except MigrationError as error:
            await self.close()
            _log.error("migration failed: %s", error)
            raise DatabaseError("the database is of another version of Ting") from None
        except ImportError as error:
            raise DatabaseError(f"the database cannot be opened: {error.name} is not installed") from None
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            await self.close()
            raise DatabaseError(f"the database cannot be opened: {_reason(error)}") from None

    async def probe(self) -> str:
        """For `ting doctor`: whether the database could be opened, without making or migrating one. Raises
        `DatabaseError`."""
        if self.is_sqlite and not _is_there(Path(self._url.database or "")):
            return "made at the first start"
        try:
            self._engine = self._create_engine()
            async with self.reading() as connection:
                await connection.execute(text("SELECT 1"))
        except ImportError as error:
            raise DatabaseError(f"the database cannot be opened: {error.name} is not installed") from None
        finally:
            await self.close()
        return "answers"

    async def close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()
        direct, self._direct = self._direct, None
        if direct is not None:
            await asyncio.to_thread(direct.dispose)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that reads. Every database error inside becomes `DatabaseError`."""
        async with self._transaction(_START) as connection:
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that reads, and sees nothing that others commit meanwhile. To be short: what is deleted cannot
        leave the disk before it ends."""
        async with self._transaction(_START if self.is_sqlite else _START_SNAPSHOT) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes: committed when the block ends well, and durable then."""
        async with self._writer, self._transaction(_START_WRITING) as connection:
            yield connection

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """`reading` for what is read most often, as one piece of work: with SQLite one thread does it from BEGIN to the
        end, where `reading` goes there and back for every statement."""
        if not self.is_sqlite:
            async with self.reading() as connection:
                return await connection.run_sync(work)
        return await self._directly(_START, work)

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        """`writing` for what is written most often, as `read` is for `reading`."""
        if not self.is_sqlite:
            async with self.writing() as connection:
                return await connection.run_sync(work)
        async with self._writer:
            return await self._directly(_START_WRITING, work)

    async def _directly(self, options: dict[str, Any], work: Callable[[Connection], _T]) -> _T:
        if self._direct is None:
            raise DatabaseError("the database is not open")
        try:
            async with self._turn(self._free_directly):
                return await asyncio.to_thread(_transact, self._direct.execution_options(**options), work)
        except (SQLAlchemyError, OSError) as error:
            raise DatabaseError(f"the database failed: {_reason(error)}") from None

    async def scrub(self, tables: Sequence[str], max_bytes: int, timeout_s: float) -> bool:
        """Take what was removed out of the files, too (`signaling.db.scrub`). False: a reader was in the way."""
        async with self._writer, self._bare() as bare:
            return await (scrub_sqlite(bare) if self.is_sqlite else scrub_postgres(bare, tables, max_bytes, timeout_s))

    async def erasure(self, tables: Sequence[str], max_bytes: int) -> Erasure:
        """Where `scrub` leaves nothing, as the database is set up and as large as it is now."""
        if self.is_sqlite:
            return Erasure.FILES
        async with self._bare() as bare:
            return await erasure_of_postgres(bare, tables, max_bytes)

    @asynccontextmanager
    async def _bare(self) -> AsyncIterator[AsyncConnection]:
        """A connection that begins no transaction."""
        if self._engine is None:
            raise DatabaseError("the database is not open")
        try:
            async with self._turn(self._free), self._engine.connect() as connection:
                yield await connection.execution_options(isolation_level="AUTOCOMMIT", **_START_NOTHING)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            raise DatabaseError(f"the database failed: {_reason(error)}") from None

    @asynccontextmanager
    async def _transaction(self, options: dict[str, Any]) -> AsyncIterator[AsyncConnection]:
        if self._engine is None:
            raise DatabaseError("the database is not open")
        try:
            async with self._turn(self._free), self._engine.execution_options(**options).begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            raise DatabaseError(f"the database failed: {_reason(error)}") from None

    @asynccontextmanager
    async def _turn(self, free: asyncio.Semaphore) -> AsyncIterator[None]:
        """Raises `DatabaseError` for whoever has queued too long."""
        try:
            async with asyncio.timeout(self._queue_s):
                await free.acquire()
        except TimeoutError:
            raise DatabaseError("too many transactions queue up") from None
        try:
            yield
        finally:
            free.release()

    async def _bring_up_to_date(self, engine: AsyncEngine) -> None:
        """SQLite refuses at once, whatever its busy timeout, while another process turns a new file to WAL: try again
        for as long as any other wait may take."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._timeout_s
        while True:
            try:
                async with engine.connect() as connection:
                    writing = await connection.execution_options(**_START_WRITING)
                    async with writing.begin():
                        await writing.run_sync(bring_up_to_date)
                return
            except OperationalError as error:
                if "database is locked" not in str(error.orig) or loop.time() >= deadline_s:
                    raise
                await asyncio.sleep(0.05)

    def _create_engine(self) -> AsyncEngine:
        if self.is_sqlite:
            return self._create_sqlite_engine()
        return create_async_engine(
            self._url,
            pool_size=_POOL_SIZE,
            max_overflow=0,
            pool_timeout=self._timeout_s,
            pool_pre_ping=True,
            connect_args={"timeout": self._timeout_s, "command_timeout": self._timeout_s},
        )

    def _create_sqlite_engine(self) -> AsyncEngine:
        path = Path(self._url.database or "")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        engine = create_async_engine(self._url, pool_size=_POOL_SIZE, max_overflow=0, pool_timeout=self._timeout_s)
        self._direct = create_engine(
            self._url.set(drivername="sqlite"),
            pool_size=_DIRECT_POOL_SIZE,
            max_overflow=0,
            pool_timeout=self._timeout_s,
        )
        self._configure(engine.sync_engine)
        self._configure(self._direct)
        return engine

    def _configure(self, engine: Engine) -> None:
        timeout_ms = round(self._timeout_s * 1000)

        @event.listens_for(engine, "connect")
        def configure(connection: Any, _record: object) -> None:
            # Without this the driver begins transactions by itself, later than it should.
            connection.isolation_level = None
            cursor = connection.cursor()
            for pragma in (
                f"busy_timeout={timeout_ms}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON",
                "secure_delete=ON",
            ):  # fmt: skip
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            statement = connection.get_execution_options()["sqlite_begin"]
            if statement:
                connection.exec_driver_sql(statement)


def _transact(engine: Engine, work: Callable[[Connection], _T]) -> _T:
    with engine.begin() as connection:
        return work(connection)


def _is_there(path: Path) -> bool:
    """Whether the file exists. Raises `DatabaseError` when it does not and could not be made."""
    if path.exists():
        return True
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise DatabaseError("the folder of the database cannot be written to")
    return False


def _reason(error: BaseException) -> str:
    """One line without values, statements and addresses."""
    cause: BaseException = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.Error):
        return str(cause)
    if isinstance(cause, OSError):
        return os.strerror(cause.errno) if cause.errno else type(cause).__name__
    # asyncpg puts the server's sentence after the class; that sentence can hold values.
    return type(cause.__cause__ or cause).__name__

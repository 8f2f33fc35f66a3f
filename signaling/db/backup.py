"""All tables, row by row: `signaling.portability.backup.BackupStore` over SQLAlchemy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, MetaData, Table, func, insert, select, text, tuple_
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from signaling.db import schema
from signaling.db.database import Database
from signaling.db.models import Base, FileRow
from signaling.db.repository import parts, table
from signaling.db.sqlite_file import HEAD
from signaling.errors import ArchiveError
from signaling.portability.backup import KeptFile
from signaling.portability.backup import Table as TableDump

LEFT_OUT = frozenset({"account_devices", "webhook_deliveries"})
"""A device that was ended must not come back, nor an event be delivered again that was delivered since."""
_PAGE = 1000
_TYPES: dict[type[Any], tuple[type[Any], ...]] = {int: (int,), bool: (bool, int), str: (str,), bytes: (bytes,)}


class BackupRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def version(self) -> str:
        return HEAD

    @asynccontextmanager
    async def dump(self) -> AsyncIterator[DatabaseDump]:
        async with self._database.snapshot() as connection:
            yield DatabaseDump(connection)

    @asynccontextmanager
    async def restoring(self, version: str, *, replace: bool) -> AsyncIterator[DatabaseRestoring]:
        async with self._database.writing() as connection:
            if not replace and await _has_rows(connection):
                raise ArchiveError("this server has something in its database already, which would be lost")
            try:
                await connection.run_sync(schema.make_again, version)
            except schema.MigrationError:
                raise ArchiveError("the backup is of a newer version of Ting") from None
            restoring = DatabaseRestoring(await connection.run_sync(_reflect), connection)
            yield restoring
            await restoring.number_on(is_sqlite=self._database.is_sqlite)
            await connection.run_sync(schema.bring_up_to_date)


class DatabaseDump:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def tables(self) -> AsyncIterator[TableDump]:
        for one in Base.metadata.sorted_tables:
            if one.name not in LEFT_OUT:
                yield TableDump(str(one.name), [str(column.name) for column in one.columns], self._pages(one))

    async def files(self) -> AsyncIterator[Sequence[KeptFile]]:
        query = select(FileRow.file_id, FileRow.size_bytes).where(FileRow.completed_at_ms > 0).order_by(FileRow.file_id)
        yield [KeptFile(*row) for row in (await self._connection.execute(query)).all()]

    async def _pages(self, one: Table) -> AsyncIterator[Sequence[Sequence[Any]]]:
        key = list(one.primary_key.columns)
        query = select(one).order_by(*key).limit(_PAGE)
        if one is table(FileRow):
            query = query.where(one.c.completed_at_ms > 0)
        places = [list(one.columns).index(column) for column in key]
        page = query
        while rows := (await self._connection.execute(page)).all():
            yield rows
            after = tuple(rows[-1][place] for place in places)
            page = query.where(tuple_(*key) > after)


class DatabaseRestoring:
    def __init__(self, metadata: MetaData, connection: AsyncConnection) -> None:
        self.order = [str(one.name) for one in metadata.sorted_tables]
        self._tables = metadata.tables
        self._connection = connection

    async def put(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        target = self._tables[table]
        if not set(columns) <= set(target.c.keys()) or len(set(columns)) != len(columns):
            raise ArchiveError(f"the backup has a table {table} with columns that this version does not know")
        values = [self._values(target, columns, row) for row in rows]
        try:
            for part in parts(values):
                await self._connection.execute(insert(target), part)
        except SQLAlchemyError:
            raise ArchiveError(f"the rows of table {table} contradict each other") from None

    def _values(self, target: Table, columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
        values = dict(zip(columns, row, strict=True))
        for name, value in values.items():
            wanted = target.c[name].type.python_type
            if value is not None and not isinstance(value, _TYPES.get(wanted, (wanted,))):
                raise ArchiveError(f"a row of table {target.name} is not what it should be")
        return values

    async def number_on(self, *, is_sqlite: bool) -> None:
        """New rows get numbers behind those that came."""
        if is_sqlite:
            return
        for one in self._tables.values():
            for column in one.columns:
                if column.identity is not None:
                    newest = select(func.max(column)).scalar_subquery()
                    sequence = func.pg_get_serial_sequence(one.name, column.name)
                    await self._connection.execute(select(func.setval(sequence, func.coalesce(newest, 1))))


async def _has_rows(connection: AsyncConnection) -> bool:
    for one in Base.metadata.sorted_tables:
        if (await connection.execute(select(text("1")).select_from(one).limit(1))).first() is not None:
            return True
    return False


def _reflect(connection: Connection) -> MetaData:
    metadata = MetaData()
    metadata.reflect(connection)
    return metadata

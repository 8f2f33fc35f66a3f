"""Leaves nothing in the database's files of what was removed.

SQLite overwrites it at once (`secure_delete`) and has copies in the write-ahead log only, which is emptied here.
PostgreSQL keeps it where it stood: a VACUUM frees the place and leaves the bytes, so the tables are rewritten after it.
Its write-ahead log has them until its segment is removed, which takes rights and a setting that the operator gives
(`Erasure.FILES`); without those they go when the server gets around to it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from signaling.retention.store import Erasure

_log = logging.getLogger("ting.database")
_LOCK_WAIT_MS = 1000
"""Everybody else waits behind a rewrite that waits for its table."""
_SWITCHES_WAL = """
SELECT current_setting('wal_recycle') = 'off' AND current_setting('wal_keep_size') = '0'
    AND current_setting('archive_mode') = 'off' AND NOT EXISTS (SELECT FROM pg_replication_slots)
    AND has_function_privilege('pg_switch_wal()', 'EXECUTE')
    AND EXISTS (SELECT FROM pg_roles WHERE (rolname = 'pg_checkpoint' OR rolsuper) AND pg_has_role(oid, 'USAGE'))
"""


class _Locked(Exception):
    """Somebody else has the table."""


async def scrub_sqlite(connection: AsyncConnection) -> bool:
    """False: a reader was in the way."""
    busy = (await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))).one()[0]
    return not busy


async def erasure_of_postgres(connection: AsyncConnection, tables: Sequence[str], max_bytes: int) -> Erasure:
    if await _size_bytes(connection, tables) > max_bytes:
        return Erasure.ROWS
    return Erasure.FILES if await _may_clean_wal(connection) else Erasure.TABLES


async def _may_clean_wal(connection: AsyncConnection) -> bool:
    return bool((await connection.execute(text(_SWITCHES_WAL))).scalar_one())


async def _size_bytes(connection: AsyncConnection, tables: Sequence[str]) -> int:
    size = " + ".join(f"pg_total_relation_size('{table}')" for table in tables)
    return int((await connection.execute(text(f"SELECT {size}"))).scalar_one())


async def scrub_postgres(connection: AsyncConnection, tables: Sequence[str], max_bytes: int, timeout_s: float) -> bool:
    """`connection` commits each statement. Tables of more than `max_bytes` are not rewritten: nobody could read or
    write them for too long. False: a reader was in the way."""
    names = ", ".join(tables)
    await _run(connection, f"VACUUM {names}", timeout_s)
    counted = " + ".join(f"pg_stat_get_dead_tuples('{table}'::regclass)" for table in tables)
    if (await connection.execute(text(f"SELECT {counted}"))).scalar_one():
        # A rewrite would carry along what an older transaction still sees.
        return False
    size_bytes = await _size_bytes(connection, tables)
    if size_bytes > max_bytes:
        _log.warning("what was removed stays in the files of PostgreSQL: %d bytes are too many to rewrite", size_bytes)
    else:
        await _run(connection, f"SET lock_timeout = {_LOCK_WAIT_MS}", timeout_s)
        try:
            await _run(connection, f"VACUUM (FULL) {names}", timeout_s)
        except _Locked:
            return False
        finally:
            await _run(connection, "RESET lock_timeout", timeout_s)
    if await _may_clean_wal(connection):
        await _run(connection, "SELECT pg_switch_wal()", timeout_s)
        await _run(connection, "CHECKPOINT", timeout_s)
    return True


async def _run(connection: AsyncConnection, statement: str, timeout_s: float) -> None:
    """Without the driver's limit for a statement, which is meant for those that somebody waits for. Raises
    `_Locked`, `OSError`."""
    from asyncpg import InterfaceError, LockNotAvailableError, PostgresError

    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        await driver.execute(statement, timeout=timeout_s)
    except LockNotAvailableError:
        raise _Locked from None
    except (InterfaceError, PostgresError) as error:
        raise ConnectionError(type(error).__name__) from None

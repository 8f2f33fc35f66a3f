"""What the rest of signaling asks of the database; for webhooks see `deliveries`. Every method may raise
`DatabaseError`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from signaling.db.database import Database
from signaling.db.models import Base, Revocation
from signaling.revocations import RevocationRow

_ROWS_PER_STATEMENT = 500
_T = TypeVar("_T")


class Repository:
    def __init__(self, database: Database) -> None:
        self._database = database

    # --- revocations ------------------------------------------------------------------------------------

    async def save_revocations(self, rows: Sequence[RevocationRow]) -> None:
        """Insert, or move to the new time when there is one for this room and identity."""
        make = sqlite.insert if self._database.is_sqlite else postgresql.insert
        statement: Any = make(table(Revocation))
        statement = statement.on_conflict_do_update(
            index_elements=["room", "identity"], set_={"revoked_at_ms": statement.excluded.revoked_at_ms}
        )
        values = [{"room": row.room, "identity": row.identity, "revoked_at_ms": row.revoked_at_ms} for row in rows]
        async with self._database.writing() as connection:
            for part in parts(values):
                await connection.execute(statement, part)

    async def load_revocations(self, limit: int) -> list[RevocationRow]:
        """The newest `limit`, oldest of them first."""
        query = select(Revocation.room, Revocation.identity, Revocation.revoked_at_ms)
        query = query.order_by(Revocation.revoked_at_ms.desc()).limit(limit)
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return [RevocationRow(*row) for row in reversed(found)]

    async def delete_revocations(self, before_ms: int) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(Revocation).where(Revocation.revoked_at_ms < before_ms))


def table(model: type[Base]) -> Table:
    """The table behind a model, for statements that SQLAlchemy has for single databases only."""
    found = model.__table__
    assert isinstance(found, Table)
    return found


def parts(values: Sequence[_T]) -> Iterable[Sequence[_T]]:
    """Pieces that fit into one statement."""
    return (values[start : start + _ROWS_PER_STATEMENT] for start in range(0, len(values), _ROWS_PER_STATEMENT))

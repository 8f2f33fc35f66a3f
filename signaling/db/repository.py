"""What the rest of signaling asks of the database. Every method may raise `DatabaseError`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Table, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from signaling.db.database import Database
from signaling.db.models import Base, Delivery, Revocation

_ROWS_PER_STATEMENT = 500
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RevocationRow:
    room: str
    identity: str
    revoked_at_ms: int


@dataclass(frozen=True, slots=True)
class NewDelivery:
    url: str
    room: str
    event: bytes
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    delivery_id: int
    url: str
    room: str
    event: bytes
    created_at_ms: int
    attempts: int


class Repository:
    def __init__(self, database: Database) -> None:
        self._database = database

    # --- revocations ------------------------------------------------------------------------------------

    async def save_revocations(self, rows: Sequence[RevocationRow]) -> None:
        """Insert, or move to the new time when there is one for this room and identity."""
        make = sqlite.insert if self._database.is_sqlite else postgresql.insert
        statement: Any = make(_table(Revocation))
        statement = statement.on_conflict_do_update(
            index_elements=["room", "identity"], set_={"revoked_at_ms": statement.excluded.revoked_at_ms}
        )
        values = [{"room": row.room, "identity": row.identity, "revoked_at_ms": row.revoked_at_ms} for row in rows]
        async with self._database.writing() as connection:
            for part in _parts(values):
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

    # --- webhook deliveries -----------------------------------------------------------------------------

    async def add_deliveries(self, deliveries: Sequence[NewDelivery]) -> list[int]:
        """Their ids, in the same order; each is higher than those before."""
        statement = insert(Delivery).returning(Delivery.delivery_id)
        ids = []
        async with self._database.writing() as connection:
            for new in deliveries:
                values = {
                    "url": new.url, "room": new.room, "event": new.event, "created_at_ms": new.created_at_ms,
                    "attempts": 0,
                }  # fmt: skip
                ids.append((await connection.execute(statement.values(values))).scalar_one())
        return ids

    async def load_deliveries(self, url: str, limit: int) -> list[DeliveryRow]:
        """The oldest `limit` for this URL, in order."""
        query = select(
            Delivery.delivery_id, Delivery.url, Delivery.room, Delivery.event, Delivery.created_at_ms, Delivery.attempts
        )
        query = query.where(Delivery.url == url).order_by(Delivery.delivery_id).limit(limit)
        async with self._database.reading() as connection:
            return [DeliveryRow(*row) for row in (await connection.execute(query)).all()]

    async def count_deliveries(self) -> int:
        async with self._database.reading() as connection:
            return (await connection.execute(select(func.count()).select_from(Delivery))).scalar_one()

    async def save_attempts(self, delivery_id: int, attempts: int) -> None:
        statement = update(Delivery).where(Delivery.delivery_id == delivery_id).values(attempts=attempts)
        async with self._database.writing() as connection:
            await connection.execute(statement)

    async def delete_deliveries(self, ids: Iterable[int]) -> None:
        async with self._database.writing() as connection:
            for part in _parts(list(ids)):
                await connection.execute(delete(Delivery).where(Delivery.delivery_id.in_(part)))

    async def delete_old_deliveries(self, before_ms: int) -> int:
        """Those that were created before; how many."""
        async with self._database.writing() as connection:
            done = await connection.execute(delete(Delivery).where(Delivery.created_at_ms < before_ms))
        return done.rowcount


def _table(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


def _parts(values: Sequence[_T]) -> Iterable[Sequence[_T]]:
    return (values[start : start + _ROWS_PER_STATEMENT] for start in range(0, len(values), _ROWS_PER_STATEMENT))

"""Webhook deliveries in the database, which several processes share. Every method may raise `DatabaseError`.

Each row has an owner, the process that delivers it, and a lease. An owner renews its leases; when one runs out, the
next process that asks takes the row over. Those of one (url, room) go to one owner at a time: a row that is added
while another owner, or nobody yet, has earlier ones of its room begins without an owner and is claimed after them.
Times are Unix times in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, delete, func, insert, select, text, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from signaling.db.database import Database
from signaling.db.models import Delivery, ReceiverGone
from signaling.db.repository import parts, table

_CLAIM_LOCK = 0x54696E68
"""PostgreSQL advisory lock: two claims at once could share out the rows of one room. SQLite has one writer anyway."""
_COLUMNS = (
    Delivery.delivery_id, Delivery.url, Delivery.room, Delivery.event, Delivery.created_at_ms, Delivery.attempts,
)  # fmt: skip


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


class DeliveryRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, deliveries: Sequence[NewDelivery], owner: str, until_ms: int) -> list[int | None]:
        """Their ids, in the same order, each higher than those before; None for one that waits behind those of
        another owner, to be claimed."""
        statement = insert(Delivery).returning(Delivery.delivery_id)
        ids: list[int | None] = []
        async with self._database.writing() as connection:
            wanted = tuple_(Delivery.url, Delivery.room).in_({(new.url, new.room) for new in deliveries})
            query = select(Delivery.url, Delivery.room).where(wanted, Delivery.owner != owner).distinct()
            elsewhere = {(url, room) for url, room in (await connection.execute(query)).all()}
            for new in deliveries:
                ours = (new.url, new.room) not in elsewhere
                values = {
                    "url": new.url, "room": new.room, "event": new.event, "created_at_ms": new.created_at_ms,
                    "attempts": 0, "owner": owner if ours else "", "leased_until_ms": until_ms if ours else 0,
                }  # fmt: skip
                delivery_id = (await connection.execute(statement.values(values))).scalar_one()
                ids.append(delivery_id if ours else None)
        return ids

    async def claim(self, url: str, owner: str, now_ms: int, until_ms: int, limit: int) -> list[DeliveryRow]:
        """Make the oldest `limit` that nobody has a lease of `owner`'s, in order; none of a room of which another has
        some. Answers without writing when there are none."""
        free = and_(Delivery.url == url, Delivery.owner != owner, Delivery.leased_until_ms <= now_ms)
        async with self._database.reading() as connection:
            if (await connection.execute(select(Delivery.delivery_id).where(free).limit(1))).first() is None:
                return []
        theirs = select(Delivery.room).where(
            Delivery.url == url, Delivery.owner.not_in(["", owner]), Delivery.leased_until_ms > now_ms
        )
        chosen = select(Delivery.delivery_id).where(free, Delivery.room.not_in(theirs))
        chosen = chosen.order_by(Delivery.delivery_id).limit(limit)
        statement = update(Delivery).where(Delivery.delivery_id.in_(chosen), Delivery.leased_until_ms <= now_ms)
        async with self._database.writing() as connection:
            if not self._database.is_sqlite:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CLAIM_LOCK})
            claimed = await connection.execute(
                statement.values(owner=owner, leased_until_ms=until_ms).returning(*_COLUMNS)
            )
            rows = [DeliveryRow(*row) for row in claimed.all()]
        return sorted(rows, key=lambda row: row.delivery_id)

    async def renew(self, owner: str, until_ms: int) -> set[int]:
        """Prolong the leases of the owner; the ids of all that it still has."""
        statement = update(Delivery).where(Delivery.owner == owner).values(leased_until_ms=until_ms)
        async with self._database.writing() as connection:
            return set((await connection.execute(statement.returning(Delivery.delivery_id))).scalars())

    async def release(self, owner: str) -> None:
        """Let others claim at once what the owner has."""
        statement = update(Delivery).where(Delivery.owner == owner).values(owner="", leased_until_ms=0)
        async with self._database.writing() as connection:
            await connection.execute(statement)

    async def count(self, owner: str | None = None, url: str | None = None) -> int:
        """All, or those of this owner (empty: that nobody has claimed yet) or for this URL."""
        query = select(func.count()).select_from(Delivery)
        if owner is not None:
            query = query.where(Delivery.owner == owner)
        if url is not None:
            query = query.where(Delivery.url == url)
        async with self._database.reading() as connection:
            return (await connection.execute(query)).scalar_one()

    async def save_attempts(self, owner: str, delivery_id: int, attempts: int) -> None:
        ours = and_(Delivery.delivery_id == delivery_id, Delivery.owner == owner)
        async with self._database.writing() as connection:
            await connection.execute(update(Delivery).where(ours).values(attempts=attempts))

    async def delete(self, owner: str, ids: Iterable[int]) -> None:
        """Those that are still the owner's: SQLite gives the id of a deleted row to a new one."""
        async with self._database.writing() as connection:
            for part in parts(list(ids)):
                ours = and_(Delivery.delivery_id.in_(part), Delivery.owner == owner)
                await connection.execute(delete(Delivery).where(ours))

    async def delete_old(self, before_ms: int) -> int:
        """Those that were created before; how many."""
        async with self._database.writing() as connection:
            done = await connection.execute(delete(Delivery).where(Delivery.created_at_ms < before_ms))
        return done.rowcount

    # --- receivers that are gone ------------------------------------------------------------------------

    async def save_gone(self, fingerprint: str, gone_at_ms: int) -> None:
        make = sqlite.insert if self._database.is_sqlite else postgresql.insert
        statement: Any = make(table(ReceiverGone)).values(fingerprint=fingerprint, gone_at_ms=gone_at_ms)
        statement = statement.on_conflict_do_update(
            index_elements=["fingerprint"], set_={"gone_at_ms": statement.excluded.gone_at_ms}
        )
        async with self._database.writing() as connection:
            await connection.execute(statement)

    async def load_gone(self, before_ms: int) -> set[str]:
        """Fingerprints of the receivers that said so; older ones are forgotten."""
        async with self._database.writing() as connection:
            await connection.execute(delete(ReceiverGone).where(ReceiverGone.gone_at_ms < before_ms))
            return set((await connection.execute(select(ReceiverGone.fingerprint))).scalars())

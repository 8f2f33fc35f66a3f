"""Devices that are signed in; the promises are in `signaling.accounts.records`. Every method may raise
`DatabaseError`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, insert, or_, select, update

from signaling.accounts.records import AccountRow, DeviceRow, EndedDevice
from signaling.db.database import Database
from signaling.db.models import Account, Device

ACCOUNT_COLUMNS = (
    Account.account_id, Account.name, Account.name_key, Account.password_hash, Account.is_admin, Account.is_disabled,
    Account.created_at_ms,
)  # fmt: skip
DEVICE_COLUMNS = (
    Device.device_id, Device.account_id, Device.secret_hash, Device.name, Device.created_at_ms, Device.seen_at_ms,
    Device.proved_at_ms,
)  # fmt: skip
_ALIVE = Device.ended_at_ms == 0


class DeviceRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, row: DeviceRow, limit: int) -> list[str]:
        others = select(Device.device_id).where(Device.account_id == row.account_id, _ALIVE)
        # The newest of the others stay, with room for one more.
        others = others.order_by(Device.seen_at_ms.desc(), Device.created_at_ms.desc()).offset(limit - 1)
        async with self._database.writing() as connection:
            ended = list((await connection.execute(others)).scalars())
            if ended:
                statement = update(Device).where(Device.device_id.in_(ended))
                await connection.execute(statement.values(ended_at_ms=row.created_at_ms))
            await connection.execute(
                insert(Device).values(**{column.key: getattr(row, column.key) for column in DEVICE_COLUMNS})
            )
        return ended

    async def find(self, *, secret_hash: str = "", device_id: str = "") -> tuple[DeviceRow, AccountRow] | None:
        named = Device.secret_hash == secret_hash if secret_hash else Device.device_id == device_id
        query = select(*DEVICE_COLUMNS, *ACCOUNT_COLUMNS).join(Account, Account.account_id == Device.account_id)
        async with self._database.reading() as connection:
            row = (await connection.execute(query.where(named, _ALIVE, ~Account.is_disabled))).first()
        if row is None:
            return None
        values: list[Any] = list(row)
        return DeviceRow(*values[: len(DEVICE_COLUMNS)]), AccountRow(*values[len(DEVICE_COLUMNS) :])

    async def of_account(self, account_id: str) -> list[DeviceRow]:
        query = select(*DEVICE_COLUMNS).where(Device.account_id == account_id, _ALIVE)
        async with self._database.reading() as connection:
            found = await connection.execute(query.order_by(Device.created_at_ms.desc(), Device.device_id))
            return [DeviceRow(*row) for row in found]

    async def touch(self, device_id: str, **values: int) -> None:
        async with self._database.writing() as connection:
            await connection.execute(update(Device).where(Device.device_id == device_id).values(**values))

    async def end(self, account_id: str, now_ms: int, *, only: str = "", but: str = "") -> list[str]:
        wanted: list[Any] = [Device.account_id == account_id, _ALIVE]
        if only:
            wanted.append(Device.device_id == only)
        if but:
            wanted.append(Device.device_id != but)
        statement = update(Device).where(*wanted).values(ended_at_ms=now_ms).returning(Device.device_id)
        async with self._database.writing() as connection:
            return list((await connection.execute(statement)).scalars())

    async def ended_since(self, at_ms: int) -> list[EndedDevice]:
        # Above 0 in any case: those that are alive have 0.
        query = select(Device.device_id, Device.account_id).where(Device.ended_at_ms >= max(at_ms, 1))
        async with self._database.reading() as connection:
            return [EndedDevice(*row) for row in await connection.execute(query)]

    async def prune(self, *, ended_before_ms: int, seen_before_ms: int, created_before_ms: int) -> None:
        past = or_(
            (Device.ended_at_ms > 0) & (Device.ended_at_ms < ended_before_ms),
            Device.seen_at_ms < seen_before_ms,
            Device.created_at_ms < created_before_ms,
        )
        async with self._database.writing() as connection:
            await connection.execute(delete(Device).where(past))

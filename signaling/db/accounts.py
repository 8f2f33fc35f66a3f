"""Accounts in the database; the promises are in `signaling.accounts.records`. Every method may raise `DatabaseError`.

Names, passkeys and subjects are kept apart by the tables' own constraints, limits and the last admin by a transaction
that nobody else's runs beside: SQLite has one writer, for PostgreSQL there is a lock.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from signaling.accounts.records import AccountRow, AccountStore, AuditEntry, InvitationRow, NewAccount, Outcome
from signaling.db.account_devices import ACCOUNT_COLUMNS, DeviceRepository
from signaling.db.credentials import CredentialRepository, passkey_values
from signaling.db.database import Database
from signaling.db.models import Account, Audit, Invitation, OpenidLink, Passkey

_LOCK = 0x54696E61
"""PostgreSQL advisory lock of whoever counts before writing."""


def account_store(database: Database) -> AccountStore:
    """All tables of accounts of an open database."""
    return AccountStore(
        accounts=AccountRepository(database),
        devices=DeviceRepository(database),
        credentials=CredentialRepository(database),
        audit=AuditRepository(database),
    )


class AccountRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: NewAccount, limit: int) -> Outcome:
        row = new.row
        async with self._database.writing() as connection:
            await self._lock(connection)
            if await _count(connection, Account.account_id) >= limit:
                return Outcome.FULL
            taken = select(Account.account_id).where(Account.name_key == row.name_key)
            if (await connection.execute(taken)).first() is not None or await _is_taken(connection, new):
                return Outcome.TAKEN
            if new.invitation and not await _use_up(connection, new.invitation, row.created_at_ms):
                return Outcome.MISSING
            await connection.execute(insert(Account).values(**_values(row)))
            if new.passkey is not None:
                await connection.execute(insert(Passkey).values(**passkey_values(new.passkey)))
            if new.link is not None:
                issuer, subject = new.link
                link = insert(OpenidLink).values(issuer=issuer, subject=subject, account_id=row.account_id)
                await connection.execute(link)
        return Outcome.DONE

    async def find(self, account_id: str) -> AccountRow | None:
        return await self._find(Account.account_id == account_id)

    async def find_by_name(self, name_key: str) -> AccountRow | None:
        return await self._find(Account.name_key == name_key)

    async def page(self, after: str, limit: int) -> list[AccountRow]:
        query = select(*ACCOUNT_COLUMNS).where(Account.name_key > after).order_by(Account.name_key).limit(limit)
        async with self._database.reading() as connection:
            return [AccountRow(*row) for row in await connection.execute(query)]

    async def change(self, account_id: str, **values: Any) -> Outcome:
        async with self._database.writing() as connection:
            await self._lock(connection)
            name_key = values.get("name_key")
            if name_key is not None:
                others = select(Account.account_id).where(
                    Account.name_key == name_key, Account.account_id != account_id
                )
                if (await connection.execute(others)).first() is not None:
                    return Outcome.TAKEN
            if values.get("is_admin") is False or values.get("is_disabled"):
                refusal = await _unless_last_admin(connection, account_id)
                if refusal is not None:
                    return refusal
            statement = update(Account).where(Account.account_id == account_id).values(**values)
            changed = (await connection.execute(statement)).rowcount
        return Outcome.DONE if changed else Outcome.MISSING

    async def delete(self, account_id: str) -> Outcome:
        async with self._database.writing() as connection:
            await self._lock(connection)
            refusal = await _unless_last_admin(connection, account_id)
            if refusal is not None:
                return refusal
            gone = (await connection.execute(delete(Account).where(Account.account_id == account_id))).rowcount
        return Outcome.DONE if gone else Outcome.MISSING

    async def add_invitation(self, row: InvitationRow, limit: int) -> Outcome:
        async with self._database.writing() as connection:
            await self._lock(connection)
            await connection.execute(delete(Invitation).where(Invitation.expires_at_ms <= row.created_at_ms))
            if await _count(connection, Invitation.code_hash) >= limit:
                return Outcome.FULL
            await connection.execute(
                insert(Invitation).values(
                    code_hash=row.code_hash,
                    created_by=row.created_by,
                    created_at_ms=row.created_at_ms,
                    expires_at_ms=row.expires_at_ms,
                )
            )
        return Outcome.DONE

    async def _find(self, condition: Any) -> AccountRow | None:
        async with self._database.reading() as connection:
            row = (await connection.execute(select(*ACCOUNT_COLUMNS).where(condition))).first()
        return None if row is None else AccountRow(*row)

    async def _lock(self, connection: AsyncConnection) -> None:
        if not self._database.is_sqlite:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


class AuditRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, entry: AuditEntry) -> None:
        statement = insert(Audit).values(
            at_ms=entry.at_ms,
            actor=entry.actor,
            act=entry.act,
            subject=entry.subject,
            details=json.dumps(dict(entry.details)),
        )
        async with self._database.writing() as connection:
            await connection.execute(statement)

    async def page(self, before_id: int, limit: int) -> Sequence[tuple[int, AuditEntry]]:
        query = select(Audit.entry_id, Audit.at_ms, Audit.actor, Audit.act, Audit.subject, Audit.details)
        if before_id:
            query = query.where(Audit.entry_id < before_id)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query.order_by(Audit.entry_id.desc()).limit(limit))).all()
        return [(row[0], AuditEntry(row[1], row[2], row[3], row[4], json.loads(row[5]))) for row in rows]


def _values(row: AccountRow) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in ACCOUNT_COLUMNS}


async def _count(connection: AsyncConnection, column: Any) -> int:
    return int((await connection.execute(select(func.count(column)))).scalar_one())


async def _is_taken(connection: AsyncConnection, new: NewAccount) -> bool:
    if new.passkey is not None:
        known: Any = select(Passkey.passkey_id).where(Passkey.credential_id == new.passkey.credential_id)
    elif new.link is not None:
        issuer, subject = new.link
        known = select(OpenidLink.account_id).where(OpenidLink.issuer == issuer, OpenidLink.subject == subject)
    else:
        return False
    return (await connection.execute(known)).first() is not None


async def _use_up(connection: AsyncConnection, code_hash: str, now_ms: int) -> bool:
    statement = delete(Invitation).where(Invitation.code_hash == code_hash, Invitation.expires_at_ms > now_ms)
    return (await connection.execute(statement)).rowcount == 1


async def _unless_last_admin(connection: AsyncConnection, account_id: str) -> Outcome | None:
    """None when the account may stop being an admin that can sign in."""
    admins = select(Account.account_id).where(Account.is_admin, ~Account.is_disabled)
    found = set((await connection.execute(admins)).scalars())
    return Outcome.LAST_ADMIN if found == {account_id} else None

"""Passkeys and providers of accounts; the promises are in `signaling.accounts.records`. Every method may raise
`DatabaseError`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from signaling.accounts.records import Outcome, PasskeyRow
from signaling.db.database import Database
from signaling.db.models import Account, OpenidLink, Passkey

_COLUMNS = (
    Passkey.passkey_id, Passkey.account_id, Passkey.credential_id, Passkey.public_key, Passkey.sign_count, Passkey.name,
    Passkey.created_at_ms, Passkey.used_at_ms,
)  # fmt: skip


class CredentialRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_passkey(self, row: PasskeyRow, limit: int) -> Outcome:
        async with self._database.writing() as connection:
            if await _lock_account(connection, row.account_id) is None:
                return Outcome.MISSING
            taken = select(Passkey.passkey_id).where(Passkey.credential_id == row.credential_id)
            if (await connection.execute(taken)).first() is not None:
                return Outcome.TAKEN
            if await _count_passkeys(connection, row.account_id) >= limit:
                return Outcome.FULL
            await connection.execute(insert(Passkey).values(**passkey_values(row)))
        return Outcome.DONE

    async def find_passkey(self, credential_id: bytes) -> PasskeyRow | None:
        query = select(*_COLUMNS).where(Passkey.credential_id == credential_id)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else PasskeyRow(*row)

    async def list_passkeys(self, account_id: str) -> list[PasskeyRow]:
        query = select(*_COLUMNS).where(Passkey.account_id == account_id)
        async with self._database.reading() as connection:
            found = await connection.execute(query.order_by(Passkey.created_at_ms, Passkey.passkey_id))
            return [PasskeyRow(*row) for row in found]

    async def use_passkey(self, passkey_id: str, sign_count: int, used_at_ms: int) -> None:
        statement = update(Passkey).where(Passkey.passkey_id == passkey_id)
        async with self._database.writing() as connection:
            await connection.execute(statement.values(sign_count=sign_count, used_at_ms=used_at_ms))

    async def delete_passkey(self, account_id: str, passkey_id: str) -> Outcome:
        mine = (Passkey.account_id == account_id) & (Passkey.passkey_id == passkey_id)
        async with self._database.writing() as connection:
            password_hash = await _lock_account(connection, account_id)
            if (await connection.execute(select(Passkey.passkey_id).where(mine))).first() is None:
                return Outcome.MISSING
            passkeys, links = await _count_passkeys(connection, account_id), await _count_links(connection, account_id)
            if not password_hash and passkeys == 1 and not links:
                return Outcome.LAST_SIGN_IN
            await connection.execute(delete(Passkey).where(mine))
        return Outcome.DONE

    async def link(self, account_id: str, issuer: str, subject: str) -> Outcome:
        async with self._database.writing() as connection:
            if await _lock_account(connection, account_id) is None:
                return Outcome.MISSING
            there = select(OpenidLink.account_id).where(OpenidLink.issuer == issuer, OpenidLink.subject == subject)
            owner = (await connection.execute(there)).scalar()
            if owner is not None:
                return Outcome.DONE if owner == account_id else Outcome.TAKEN
            values = {"issuer": issuer, "subject": subject, "account_id": account_id}
            await connection.execute(insert(OpenidLink).values(**values))
        return Outcome.DONE

    async def unlink(self, account_id: str, issuer: str) -> Outcome:
        mine = (OpenidLink.account_id == account_id) & (OpenidLink.issuer == issuer)
        async with self._database.writing() as connection:
            password_hash = await _lock_account(connection, account_id)
            here = await _count_links(connection, account_id, issuer)
            if not here:
                return Outcome.MISSING
            passkeys, links = await _count_passkeys(connection, account_id), await _count_links(connection, account_id)
            if not password_hash and not passkeys and links == here:
                return Outcome.LAST_SIGN_IN
            await connection.execute(delete(OpenidLink).where(mine))
        return Outcome.DONE

    async def find_linked(self, issuer: str, subject: str) -> str | None:
        query = select(OpenidLink.account_id).where(OpenidLink.issuer == issuer, OpenidLink.subject == subject)
        async with self._database.reading() as connection:
            found: str | None = (await connection.execute(query)).scalar()
        return found

    async def linked_issuers(self, account_id: str) -> list[str]:
        query = select(OpenidLink.issuer).where(OpenidLink.account_id == account_id).order_by(OpenidLink.issuer)
        async with self._database.reading() as connection:
            return list((await connection.execute(query)).scalars())


def passkey_values(row: PasskeyRow) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in _COLUMNS}


async def _lock_account(connection: AsyncConnection, account_id: str) -> str | None:
    """Its password's hash; None when it is not there. Nobody else changes it until the transaction ends."""
    query = select(Account.password_hash).where(Account.account_id == account_id).with_for_update()
    found: str | None = (await connection.execute(query)).scalar()
    return found


async def _count_passkeys(connection: AsyncConnection, account_id: str) -> int:
    query = select(func.count(Passkey.passkey_id)).where(Passkey.account_id == account_id)
    return int((await connection.execute(query)).scalar_one())


async def _count_links(connection: AsyncConnection, account_id: str, issuer: str = "") -> int:
    """Of all issuers, or of one."""
    query = select(func.count(OpenidLink.subject)).where(OpenidLink.account_id == account_id)
    if issuer:
        query = query.where(OpenidLink.issuer == issuer)
    return int((await connection.execute(query)).scalar_one())

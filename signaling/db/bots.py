"""Bots and hooks: `signaling.bots.records.BotStore` over SQLAlchemy."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, insert, select, update

from sfu.ids import RoomName
from signaling.bots.records import Bot, Hook, Scope
from signaling.db.database import Database
from signaling.db.models import BotRow, HookRow, RoomRow
from signaling.rooms import policy as policies
from signaling.rooms.policy import Kind

_BOT = (
    BotRow.bot_id,
    BotRow.room_key,
    RoomRow.name.label("room"),
    BotRow.name,
    BotRow.scopes,
    BotRow.created_at_ms,
    RoomRow.policy,
)
_HOOK = (
    HookRow.hook_id, HookRow.room_key, RoomRow.name.label("room"), HookRow.url, HookRow.verbs, HookRow.delivered_seq,
    HookRow.failures, HookRow.is_gone,
)  # fmt: skip


class BotRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_bot(self, bot: Bot, secret_hash: str, limit: int) -> bool:
        values = {
            "bot_id": bot.bot_id, "room_key": bot.room_key, "name": bot.name,
            "scopes": " ".join(sorted(scope.value for scope in bot.scopes)), "secret_hash": secret_hash,
            "created_at_ms": bot.created_at_ms,
        }  # fmt: skip
        return await self._add(BotRow, values, limit)

    async def find_bot(self, secret_hash: str) -> Bot | None:
        found = await self._read(_bots().where(BotRow.secret_hash == secret_hash))
        return _bot(found[0]) if found else None

    async def bots(self, room_key: int) -> list[Bot]:
        query = _bots().where(BotRow.room_key == room_key).order_by(BotRow.created_at_ms)
        return [_bot(row) for row in await self._read(query)]

    async def remove_bot(self, room_key: int, bot_id: str) -> bool:
        return await self._remove(delete(BotRow).where(BotRow.room_key == room_key, BotRow.bot_id == bot_id))

    async def add_hook(self, hook: Hook, limit: int) -> bool:
        values = {
            "hook_id": hook.hook_id, "room_key": hook.room_key, "url": hook.url, "verbs": " ".join(hook.verbs),
            "delivered_seq": hook.delivered_seq, "failures": 0, "is_gone": False,
        }  # fmt: skip
        return await self._add(HookRow, values, limit)

    async def hooks(self, room_key: int | None = None) -> list[Hook]:
        query = select(*_HOOK).join(RoomRow, RoomRow.room_key == HookRow.room_key).order_by(HookRow.hook_id)
        query = query.where(~HookRow.is_gone) if room_key is None else query.where(HookRow.room_key == room_key)
        return [_hook(row) for row in await self._read(query)]

    async def remove_hook(self, room_key: int, hook_id: str) -> bool:
        return await self._remove(delete(HookRow).where(HookRow.room_key == room_key, HookRow.hook_id == hook_id))

    async def note_delivery(self, hook_id: str, *, delivered_seq: int, failures: int, is_gone: bool) -> None:
        statement = update(HookRow).where(HookRow.hook_id == hook_id)
        async with self._database.writing() as connection:
            await connection.execute(statement.values(delivered_seq=delivered_seq, failures=failures, is_gone=is_gone))

    async def _add(self, model: type[Any], values: dict[str, Any], limit: int) -> bool:
        count = select(func.count()).where(model.room_key == values["room_key"])
        lock = select(RoomRow.room_key).where(RoomRow.room_key == values["room_key"]).with_for_update()
        async with self._database.writing() as connection:
            await connection.execute(lock)
            if ((await connection.execute(count)).scalar_one() or 0) >= limit:
                return False
            await connection.execute(insert(model).values(**values))
        return True

    async def _read(self, query: Any) -> list[Any]:
        async with self._database.reading() as connection:
            return list((await connection.execute(query)).all())

    async def _remove(self, statement: Any) -> bool:
        async with self._database.writing() as connection:
            return bool((await connection.execute(statement)).rowcount)


def _bots() -> Any:
    return select(*_BOT).join(RoomRow, RoomRow.room_key == BotRow.room_key)


def _bot(row: Any) -> Bot:
    scopes = frozenset(Scope(word) for word in row.scopes.split())
    sealed = policies.decode(row.policy).kind is Kind.SEALED
    return Bot(row.bot_id, row.room_key, RoomName(row.room), row.name, scopes, row.created_at_ms, sealed)


def _hook(row: Any) -> Hook:
    verbs = tuple(row.verbs.split())
    return Hook(
        row.hook_id, row.room_key, RoomName(row.room), row.url, verbs, row.delivered_seq, row.failures, row.is_gone
    )

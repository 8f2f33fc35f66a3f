"""Bots: made by a room's owner, with the scopes that they need and no others."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable

from sfu.ids import Identity
from signaling.bots.records import Bot, BotStores, Scope
from signaling.bots.settings import BotSettings
from signaling.errors import ApiError
from signaling.rooms.keys import hash_secret
from signaling.rooms.records import Chronicle
from signaling.rooms.roles import Actor, Role

TOKEN_PREFIX = "tb_"  # noqa: S105
_READING = frozenset({"GET", "HEAD"})


class Bots:
    """`clock` gives Unix time in seconds."""

    def __init__(
        self,
        stores: BotStores,
        chronicle: Chronicle,
        settings: BotSettings,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._chronicle = chronicle
        self._settings = settings
        self._clock = clock

    async def create(self, actor: Actor, name: str, scopes: Iterable[Scope]) -> tuple[Bot, str]:
        """The bot, and its token, which is shown this once. Raises `ApiError` limit_reached."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        now_ms = round(self._clock() * 1000)
        bot = Bot(secrets.token_hex(8), actor.room_key, actor.room, name, frozenset(scopes), now_ms)
        if not await (await self._stores.bots()).add_bot(bot, hash_secret(token), self._settings.max_bots):
            raise ApiError("limit_reached", "The room has as many bots as it may have.")
        details = {"name": name, "scopes": sorted(scope.value for scope in bot.scopes)}
        await self._chronicle.note_act(actor.room_key, actor.member_id, actor.name, "add_bot", details)
        return bot, token

    async def list(self, actor: Actor) -> list[Bot]:
        return await (await self._stores.bots()).bots(actor.room_key)

    async def remove(self, actor: Actor, bot_id: str) -> None:
        """Its token opens nothing from now on. Raises `ApiError` not_found."""
        if not await (await self._stores.bots()).remove_bot(actor.room_key, bot_id):
            raise ApiError("not_found", "There is no such bot.")
        await self._chronicle.note_act(actor.room_key, actor.member_id, actor.name, "remove_bot", {"bot": bot_id})

    async def find(self, token: str) -> Bot | None:
        """Whose token it is."""
        if not token.startswith(TOKEN_PREFIX) or len(token) > 128 or not self._stores.has_data:
            return None
        return await (await self._stores.bots()).find_bot(hash_secret(token))

    async def actor(self, token: str, room: str, method: str) -> Actor | None:
        """The bot as somebody in its room; None for a token that is no bot's, or of another room's. Raises `ApiError`
        forbidden when it lacks the scope for this method of HTTP."""
        bot = await self.find(token)
        if bot is None or bot.room != room:
            return None
        needed = Scope.READ if method in _READING else Scope.WRITE
        if not bot.scopes & {needed, Scope.MODERATE}:
            raise ApiError("forbidden", f"The bot lacks the scope {needed.value}.")
        return as_actor(bot)


def as_actor(bot: Bot) -> Actor:
    role = Role.MODERATOR if Scope.MODERATE in bot.scopes else Role.MEMBER
    may_write = bool(bot.scopes & {Scope.WRITE, Scope.MODERATE, Scope.POST})
    return Actor(
        room_key=bot.room_key,
        room=bot.room,
        identity=Identity(f"bot_{bot.bot_id}"),
        name=bot.name,
        role=role,
        may_write=may_write,
        sealed=bot.sealed,
    )

"""Bots, incoming webhooks and outgoing hooks of a room over REST."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Annotated

import msgspec
from aiohttp import web

from signaling import strict_json
from signaling.addresses import Network
from signaling.api.log import EntryView, view
from signaling.api.typed import Access, Input, Struct, route
from signaling.bots.bots import Bots, as_actor
from signaling.bots.deliveries import HookDeliveries
from signaling.bots.guarded import is_acceptable
from signaling.bots.records import Bot, BotStores, Hook, Scope
from signaling.bots.settings import BotSettings
from signaling.errors import ApiError
from signaling.log.entries import Verb
from signaling.log.log import Log
from signaling.log.reading import LogReader
from signaling.rooms.calls import clean_guest_name
from signaling.rooms.records import Chronicle
from signaling.rooms.roles import Actor

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class NewBot(Input):
    name: Name
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=4)]


class BotView(Struct):
    bot_id: str
    name: str
    scopes: list[Scope]
    created_at_ms: int
    token: str = ""
    """Only in the answer to its making: the bearer token of the bot."""
    post_path: str = ""
    """The same for the scope `post`: where anybody who knows it posts messages, as `{"text": …}` or plain text."""


class BotList(Struct):
    bots: list[BotView]


class NewHook(Input):
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    verbs: Annotated[tuple[Verb, ...], msgspec.Meta(max_length=len(Verb))] = ()
    """Empty: all."""


class HookView(Struct):
    hook_id: str
    url: str
    verbs: list[str]
    delivered_seq: int
    failures: int
    gone: bool


class HookList(Struct):
    hooks: list[HookView]


class BotsEndpoint:
    def __init__(
        self,
        bots: Bots,
        stores: BotStores,
        deliveries: HookDeliveries,
        chronicle: Chronicle,
        log: Log,
        reader: LogReader,
        settings: BotSettings,
        networks: Sequence[Network],
        body_timeout_s: float,
    ) -> None:
        self._bots = bots
        self._stores = stores
        self._deliveries = deliveries
        self._chronicle = chronicle
        self._log = log
        self._reader = reader
        self._settings = settings
        self._networks = networks
        self._body_timeout_s = body_timeout_s

    @route("POST", "/api/v1/rooms/{room}/bots", access=Access.OWNER, status=201, errors=("limit_reached",))
    async def create_bot(self, actor: Actor, body: NewBot) -> BotView:
        """Make a bot, or an incoming webhook (the scope `post`)."""
        bot, token = await self._bots.create(actor, clean_guest_name(body.name), body.scopes)
        path = f"/api/v1/hooks/{token}" if Scope.POST in bot.scopes else ""
        return msgspec.structs.replace(_bot(bot), token=token, post_path=path)

    @route("GET", "/api/v1/rooms/{room}/bots", access=Access.MODERATOR)
    async def get_bots(self, actor: Actor) -> BotList:
        """Which programs have a token of this room."""
        return BotList(bots=[_bot(bot) for bot in await self._bots.list(actor)])

    @route("DELETE", "/api/v1/rooms/{room}/bots/{bot}", access=Access.OWNER, errors=("not_found",))
    async def remove_bot(self, actor: Actor, bot: str) -> None:
        """Take a bot's token back."""
        await self._bots.remove(actor, bot)

    @route("POST", "/api/v1/hooks/{token}", access=Access.ANYONE, errors=("not_found", "invalid_body", "sealed_room"))
    async def post(self, request: web.Request, token: str) -> EntryView:
        """Post a message by the address of an incoming webhook.

        The body is `{"text": …}` as JSON, or the text itself as text/plain.
        """
        bot = await self._bots.find(token)
        if bot is None or Scope.POST not in bot.scopes:
            raise ApiError("not_found", "There is nothing here.")
        text = await self._read_text(request)
        actor = as_actor(bot)
        draft = self._log.draft(actor, Verb.MESSAGE, {"text": text}, secrets.token_hex(8))
        return view(await self._log.write(draft), actor.member_id)

    async def _read_text(self, request: web.Request) -> str:
        try:
            async with asyncio.timeout(self._body_timeout_s):
                body = await request.read()
            if request.content_type != "application/json":
                return body.decode("utf-8")
            value = strict_json.loads(body)
        except TimeoutError:
            raise ApiError("request_timeout", "The body took too long.") from None
        except ValueError:
            raise ApiError("invalid_body", "The body is neither JSON nor text.") from None
        if not isinstance(value, dict) or set(value) != {"text"} or not isinstance(value["text"], str):
            raise ApiError("invalid_body", "A JSON body is an object with the field text.")
        return value["text"]

    # --- outgoing hooks -------------------------------------------------------------------------------------

    @route("POST", "/api/v1/rooms/{room}/hooks", access=Access.OWNER, status=201, errors=("limit_reached",))
    async def create_hook(self, actor: Actor, body: NewHook) -> HookView:
        """Have a URL told of every new entry.

        A delivery is `{"room", "hook", "entries"}`, signed as the webhooks of rooms are. It is repeated until the
        receiver answers 2xx; 410 ends it for good. Private messages are nobody's business but theirs.
        """
        if not is_acceptable(body.url, self._networks):
            raise ApiError("invalid_body", "An http or https URL of the Internet is needed.")
        newest = (await self._reader.page(actor, limit=1)).newest
        verbs = tuple(verb.value for verb in body.verbs)
        hook = Hook(secrets.token_hex(8), actor.room_key, actor.room, body.url, verbs, newest, 0, False)
        if not await (await self._stores.bots()).add_hook(hook, self._settings.max_hooks):
            raise ApiError("limit_reached", "The room has as many hooks as it may have.")
        self._deliveries.add(hook)
        await self._chronicle.note_act(
            actor.room_key, actor.member_id, actor.name, "add_hook", {"hook": hook.hook_id, "verbs": list(verbs)}
        )
        return _hook(hook)

    @route("GET", "/api/v1/rooms/{room}/hooks", access=Access.OWNER)
    async def get_hooks(self, actor: Actor) -> HookList:
        """Which URLs are told, and how far they have taken it."""
        return HookList(hooks=[_hook(hook) for hook in await (await self._stores.bots()).hooks(actor.room_key)])

    @route("DELETE", "/api/v1/rooms/{room}/hooks/{hook}", access=Access.OWNER, errors=("not_found",))
    async def remove_hook(self, actor: Actor, hook: str) -> None:
        """Tell a URL no more."""
        if not await (await self._stores.bots()).remove_hook(actor.room_key, hook):
            raise ApiError("not_found", "There is no such hook.")
        self._deliveries.remove(actor.room_key, hook)
        await self._chronicle.note_act(actor.room_key, actor.member_id, actor.name, "remove_hook", {"hook": hook})


def _bot(bot: Bot) -> BotView:
    return BotView(bot_id=bot.bot_id, name=bot.name, scopes=sorted(bot.scopes), created_at_ms=bot.created_at_ms)


def _hook(hook: Hook) -> HookView:
    return HookView(
        hook_id=hook.hook_id,
        url=hook.url,
        verbs=list(hook.verbs),
        delivered_seq=hook.delivered_seq,
        failures=hook.failures,
        gone=hook.is_gone,
    )

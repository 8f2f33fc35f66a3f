"""The delivery service of MLS groups (RFC 9420, section 14): one commit for each epoch, told to all in their order.

It sees who commits, when, and how large it is. What a commit says, whom it adds and whom it removes, is for the members
to judge: the server can neither make one nor read one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from signaling.errors import ApiError
from signaling.limits import AddressLimiter
from signaling.log.live import Live
from signaling.rooms.roles import Actor
from signaling.sealed.presence import Presence
from signaling.sealed.records import Commit, Group, KeptCommit, KeptEpoch, Outcome, SealedStore, SealedStores
from signaling.sealed.settings import SealedSettings


@dataclass(frozen=True, slots=True)
class Welcome:
    """What lets newcomers into the epoch that a commit makes."""

    message: str
    devices: frozenset[str]


class Delivery:
    """`max_limits` members are remembered for the limits; `clock` gives Unix time in seconds."""

    def __init__(
        self,
        stores: SealedStores,
        live: Live,
        presence: Presence,
        settings: SealedSettings,
        max_limits: int,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._live = live
        self._presence = presence
        self._settings = settings
        self._clock = clock
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._commits = AddressLimiter(settings.seal_commits_per_minute, max_limits)
        self._joins = AddressLimiter(settings.seal_joins_per_minute, max_limits)
        self._asks = AddressLimiter(settings.seal_asks_per_minute, max_limits)
        self._gives = AddressLimiter(settings.seal_gives_per_minute, max_limits)

    # --- groups ---------------------------------------------------------------------------------------------

    async def group(self, actor: Actor) -> Group:
        return await (await self._store(actor)).group(actor.room_key)

    async def epoch(self, actor: Actor) -> tuple[str, int]:
        """Id and epoch of the group. Raises `ApiError` not_sealed."""
        return await (await self._store(actor)).epoch(actor.room_key)

    async def commit(self, actor: Actor, commit: Commit, welcome: Welcome) -> int:
        """The epoch that it has made, once it is on disk. Raises `ApiError` not_sealed, taken, epoch_conflict,
        link_required, rate_limited, room_not_found."""
        store = await self._store(actor)
        self._presence.require_own(actor, commit.device)
        _limit(self._commits, actor)
        lock = self._locks.get(actor.room_key)
        if lock is None:
            lock = self._locks[actor.room_key] = asyncio.Lock()
        settings = self._settings
        async with lock:  # So that the news are in the order of the transactions.
            outcome = await store.commit(
                actor.room_key, commit, self._now_ms(), keep=settings.kept_commits,
                keep_epochs=settings.max_history_epochs,
            )  # fmt: skip
            if outcome is Outcome.DONE:
                self._tell(actor.room_key, commit, welcome)
        _require_done(outcome, "Another commit was first.")
        return commit.epoch

    def _tell(self, room_key: int, commit: Commit, welcome: Welcome) -> None:
        self._presence.welcome(room_key, welcome.devices | {commit.device})
        about: dict[str, Any] = {"group": commit.group_id, "epoch": commit.epoch, "from": commit.member_id}
        step = {"type": "seal_commit", **about, "device": commit.device, "commit": commit.message}
        # Newcomers first: they hear and see nothing yet.
        if welcome.message:
            news = {"type": "seal_welcome", **about, "welcome": welcome.message}
            self._live.tell(room_key, news, to=lambda one: one.device in welcome.devices)
        # Who waits to be let in can do nothing with it; a commit that lets in many is large.
        others = welcome.devices | self._presence.waiting(room_key)
        self._live.tell(room_key, step, to=lambda one: bool(one.device) and one.device not in others)

    async def commits(self, actor: Actor, group_id: str, since: int, limit: int) -> tuple[list[KeptCommit], bool]:
        """Those after the epoch `since`, and whether there are more. Raises `ApiError` not_sealed, epoch_gone."""
        found = await (await self._store(actor)).commits(actor.room_key, group_id, since, limit + 1)
        if found is None:
            raise ApiError("epoch_gone", "What came after this epoch is not kept any more, or the group is another.")
        return found[:limit], len(found) > limit

    async def wait(self, actor: Actor, device: str, key_package: str, proof: str) -> None:
        """Raises `ApiError` not_sealed, body_too_large, not_present, taken, limit_reached, rate_limited."""
        require_sealed(actor)
        require_size(key_package, self._settings.max_key_package_bytes)
        _limit(self._joins, actor)
        self._presence.wait(actor, device, key_package, proof)

    # --- keys of earlier epochs -----------------------------------------------------------------------------

    async def history(self, actor: Actor, since: int, limit: int) -> tuple[list[KeptEpoch], bool]:
        """Raises `ApiError` not_sealed, forbidden."""
        store = await self._store(actor)
        if not actor.may_read_history:
            raise ApiError("forbidden", "Guests of this room do not read what was said before they came.")
        found = await store.history(actor.room_key, since, limit + 1)
        return found[:limit], len(found) > limit

    async def forget_gate(self, actor: Actor) -> None:
        """Whoever commits next decides which link is the room's. Raises `ApiError` not_sealed."""
        await (await self._store(actor)).forget_gate(actor.room_key)

    # --- what a member keeps for its other devices ----------------------------------------------------------

    async def backup(self, actor: Actor) -> str:
        """Raises `ApiError` not_sealed, not_found."""
        found = await (await self._store(actor)).backup(actor.room_key, actor.member_id)
        if found is None:
            raise ApiError("not_found", "Nothing is kept here for you.")
        return found

    async def put_backup(self, actor: Actor, blob: str) -> None:
        """Raises `ApiError` not_sealed, limit_reached, rate_limited."""
        store = await self._store(actor)
        _limit(self._gives, actor)
        limit = self._settings.max_seal_backups
        if not await store.put_backup(actor.room_key, actor.member_id, blob, self._now_ms(), limit):
            raise ApiError("limit_reached", "The room keeps as many backups of keys as it may.")

    async def remove_backup(self, actor: Actor) -> None:
        """Raises `ApiError` not_sealed."""
        await (await self._store(actor)).remove_backup(actor.room_key, actor.member_id)

    # --- from device to device ------------------------------------------------------------------------------

    def ask(self, actor: Actor, device: str, ask: dict[str, Any]) -> None:
        """Tell all other devices. Raises `ApiError` not_sealed, not_present, rate_limited, body_too_large."""
        self._require_speech(actor, device, ask, self._asks)
        news = {"type": "seal_ask", "device": device, "from": actor.member_id, "ask": ask}
        self._live.tell(actor.room_key, news, to=lambda one: one.device not in ("", device))

    def give(self, actor: Actor, device: str, to: str, give: dict[str, Any]) -> None:
        """Tell the device `to`. Raises as `ask`; not_present also when that one is not there."""
        self._require_speech(actor, device, give, self._gives)
        if all(one.device != to for one in self._presence.present(actor.room_key)):
            raise ApiError("not_present", "That device is not here any more.")
        news = {"type": "seal_give", "device": device, "from": actor.member_id, "give": give}
        self._live.tell(actor.room_key, news, to=lambda one: one.device == to)

    def _require_speech(self, actor: Actor, device: str, said: dict[str, Any], limiter: AddressLimiter) -> None:
        require_sealed(actor)
        self._presence.require_there(actor, device)
        if len(msgspec.json.encode(said)) > self._settings.max_seal_ask_bytes:
            raise ApiError("body_too_large", f"That has up to {self._settings.max_seal_ask_bytes} bytes.")
        _limit(limiter, actor)

    async def _store(self, actor: Actor) -> SealedStore:
        require_sealed(actor)
        return await self._stores.sealed()

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)


def require_size(text: str, max_bytes: int) -> None:
    """Of base64. Raises `ApiError` body_too_large."""
    if len(text) * 3 > max_bytes * 4 + 8:
        raise ApiError("body_too_large", f"A part of the body has up to {max_bytes} bytes.")


def require_sealed(actor: Actor) -> None:
    """Raises `ApiError` not_sealed."""
    if not actor.sealed:
        raise ApiError("not_sealed", "This room is open: it has no keys.")


def _require_done(outcome: Outcome, conflict: str) -> None:
    """Raises `ApiError` room_not_found, link_required, epoch_conflict."""
    if outcome is Outcome.NO_ROOM:
        raise ApiError("room_not_found", "There is no such room now.")
    if outcome is Outcome.NO_LINK:
        raise ApiError("link_required", "That is not this room's link: nothing was changed.")
    if outcome is Outcome.CONFLICT:
        raise ApiError("epoch_conflict", conflict)


def _limit(limiter: AddressLimiter, actor: Actor) -> None:
    wait_s = limiter.take(f"{actor.room_key} {actor.member_id}")
    if wait_s:
        raise ApiError("rate_limited", "Too many requests; please wait a moment.", retry_after_s=wait_s)

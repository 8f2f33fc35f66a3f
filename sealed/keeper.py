"""A program that keeps a room's group, as the pages do: it founds it or goes in alone where nobody is, lets in who
holds the link, puts out who is gone, and hands on the keys of before, where the room shares its history.

    keeper = SealedKeeper(http, link, "Bot")
    await keeper.come()
    await keeper.inside()
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from http import HTTPStatus
from typing import Any

import aiohttp

from sealed.content import SECRET_BYTES, SealBroken, derive, open_bytes, proof_of, seal_bytes, to_bytes, to_text
from sealed.member import SealedMember
from sealed.mls import Changes, Group, MlsError

GATHER_S = 0.05
"""Who comes and goes within this time is one commit; the server's news have gathered for as long as many take."""
TURN_S = 1.5
"""So much later than the one before it takes each present member's turn."""
ABSENT_S = 1.5
"""Away for so long is gone."""
PATIENCE_S = 6.0
"""Nobody let us in: we go in alone."""


class SealedKeeper(SealedMember):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._present: set[str] = set()
        self._wishes: set[str] = set()
        """Devices that wait, and were not refused."""
        self._absent: dict[str, float] = {}
        """Devices in the group that are not there, and since when (the loop's time)."""
        self._planned: asyncio.TimerHandle | None = None
        self._committing: set[asyncio.Task[None]] = set()
        self._shares_history = False
        self._history_secrets = [derive(self._link, "ting history")]
        """Newest last."""
        self._put_out: set[str] = set()
        """Members that were put out since the last history secret: from the next epoch on the link is not enough."""
        self._is_behind = False
        """Others have a newer history secret than we, who have it from the link alone."""

    async def close(self) -> None:
        if self._planned is not None:
            self._planned.cancel()
        for task in self._committing:
            task.cancel()
        await super().close()

    # --- who is there -------------------------------------------------------------------------------------------

    async def _hear(self, news: dict[str, Any]) -> None:
        if news["type"] == "opened":
            self._shares_history = bool(news["policy"]["history"])
        elif news["type"] == "seal_present":
            self._present = {one["device"] for one in news["present"]}
            self._wishes = set(news["waiting"])
        elif news["type"] == "seal_changed":
            self._present -= {one["device"] for one in news["left"]}
            self._present |= {one["device"] for one in news["came"]}
            self._wishes = (self._wishes | set(news["waiting"])) & self._present
        elif news["type"] == "entry" and news["verb"] == "moderation":
            body = news.get("body") or {}
            if body.get("act") in ("kick", "ban"):
                self._put_out.add(body["who"])
        self._wishes.discard(self._device.device)
        await super()._hear(news)
        self._plan()

    def _plan(self) -> None:
        """When it is our turn to commit what is due; those before us may have done it by then."""
        if self._planned is not None:
            self._planned.cancel()
        if self._group is None:
            return
        loop, members = asyncio.get_running_loop(), self._group.members()
        away = {one.device for one in members} - self._present - {self._device.device}
        self._absent = {device: self._absent.get(device, loop.time()) for device in away}
        due = [since + ABSENT_S for since in self._absent.values()] + [loop.time() for _ in self._wishes]
        due += [loop.time()] if self._put_out else []
        if due:
            own = self._group.state().leaf
            ahead = sum(one.leaf < own and one.device in self._present - self._wishes for one in members)
            at = max(min(due), loop.time()) + GATHER_S + ahead * TURN_S
            self._planned = loop.call_at(at, self._begin_commit)

    def _begin_commit(self) -> None:
        task = asyncio.create_task(self._commit_due())
        self._committing.add(task)
        task.add_done_callback(self._committing.discard)

    # --- commits ------------------------------------------------------------------------------------------------

    async def _commit_due(self) -> None:
        async with self._step:
            if self._group is None:
                return
            state = self._group.state()
            wishes = await self._wanted()
            changes, following = self._prepare(wishes)
            if following is None:
                self._plan()
                return
            following_group, commit, welcome = following
            where = {"group": to_text(state.id), "epoch": state.epoch, "commit": to_text(commit)}
            devices = [wish["device"] for wish in wishes] if changes.adds else []
            if await self._post(following_group, {**where, "welcome": to_text(welcome), "welcomed": devices}):
                self._group.forget()
                self._group = following_group
                await self._enter_epoch()
            else:
                following_group.forget()
                await self._catch_up()

    async def _wanted(self) -> list[dict[str, Any]]:
        """Of those who wait the ones that hold the link."""
        joins = (await self._call("GET", "seal/joins"))["joins"] if self._wishes else []
        good = [
            wish
            for wish in joins
            if wish["device"] in self._wishes
            and hmac.compare_digest(proof_of(self._link, to_bytes(wish["key_package"])), to_bytes(wish["proof"]))
        ]
        self._wishes &= {wish["device"] for wish in good}
        return good

    def _prepare(self, wishes: list[dict[str, Any]]) -> tuple[Changes, tuple[Group, bytes, bytes] | None]:
        """What is to change, and the group after it with commit and welcome; None: nothing is due, or somebody who is
        left out from now on was in the way."""
        now_s, names = asyncio.get_running_loop().time(), {wish["device"] for wish in wishes}
        gone = {device for device, since in self._absent.items() if now_s - since >= ABSENT_S} | names
        own = self._inside.state().leaf
        is_out = [one for one in self._inside.members() if one.device in gone or one.identity in self._put_out]
        changes = Changes(
            adds=[to_bytes(wish["key_package"]) for wish in wishes],
            removes=[one.leaf for one in is_out if one.leaf != own],
        )
        if not (changes.adds or changes.removes or self._put_out):
            return changes, None
        following = Group.restore(self._library, self._inside.save())
        try:
            made = following.commit(changes)
            following.apply()
        except MlsError:
            made = None
        there = {(one.device, one.identity) for one in following.members()}
        if made is None or any((wish["device"], wish["from"]) not in there for wish in wishes):
            following.forget()
            self._wishes.clear()  # Those who are who they say ask again.
            return changes, None
        return changes, (following, made.message, made.welcome)

    async def _post(self, following: Group, step: dict[str, Any]) -> bool:
        """False: another commit was first."""
        history, put_out = None, set(self._put_out)
        if self._shares_history:
            if put_out or self._is_behind:
                # Under the link's secret whoever was put out would read it.
                self._history_secrets.append(secrets.token_bytes(SECRET_BYTES))
            state = following.state()
            aad = _history_aad(to_text(state.id), state.epoch)
            listed = json.dumps([to_text(one) for one in self._history_secrets]).encode()
            wrap = seal_bytes(self._history_secrets[-1], following.exporter("ting chat", b"", 32), aad)
            kept = seal_bytes(following.exporter("ting history", b"", 32), listed, aad)
            history = {"wrap": to_text(wrap), "secrets": to_text(kept)}
        about = {"device": self._device.device, "gate": self._gate}
        body = {**about, "group_info": to_text(following.group_info()), "history": history}
        try:
            await self._call("POST", "seal/commits", {**body, **step})
        except aiohttp.ClientResponseError as error:
            if error.status == HTTPStatus.CONFLICT:
                return False
            raise
        self._put_out -= put_out
        self._is_behind = False
        return True

    async def _follow(self, message: bytes) -> None:
        before = {one.device: one.identity for one in self._inside.members()}
        await super()._follow(message)
        after = set() if self._group is None else {one.device for one in self._group.members()}
        # Another's commit without a member, or that changed nothing but keys, has renewed the secret: all do not again.
        was_there = self._put_out if after == set(before) else self._put_out & set(before.values())
        self._put_out -= was_there - {before[device] for device in after & set(before)}

    # --- coming in ----------------------------------------------------------------------------------------------

    async def _ask(self) -> None:
        asking = asyncio.create_task(super()._ask()) if self._present - {self._device.device} else None
        try:
            if asking is not None:
                await asyncio.wait({asking}, timeout=PATIENCE_S)
            while self._group is None:
                async with self._step:
                    if self._group is None:
                        await self._go_in_alone()
        finally:
            if asking is not None:
                asking.cancel()

    async def _go_in_alone(self) -> None:
        if self._shares_history:
            await self._read_history(None)
        link, state = derive(self._link, "ting psk"), await self._call("GET", "seal")
        at = {"group": state["group"], "epoch": state["epoch"]}
        if state["epoch"] < 0:
            group_id = secrets.token_bytes(16)
            group = Group.create(self._library, self._device, group_id, link, b"")
            step = {**at, "new_group": True, "group_id": to_text(group_id), "commit": ""}
        else:
            group, commit = Group.external(self._library, self._device, to_bytes(state["group_info"]), link)
            step = {**at, "commit": to_text(commit)}
        if await self._post(group, step):
            self._group = group
            await self._enter_epoch()
        else:
            group.forget()

    async def _enter_epoch(self) -> None:
        await super()._enter_epoch()
        self._wishes -= {one.device for one in self._inside.members()}
        self._plan()

    async def _learn(self) -> None:
        if self._shares_history and not self._is_inside.is_set():
            await self._read_history(self._group)

    async def _read_history(self, group: Group | None) -> None:
        """The keys of epochs that we were not there in; of `group` also what its members hand on."""
        state = None if group is None else group.state()
        since, more = 0, True
        kept: list[dict[str, Any]] = []
        while more:
            page = await self._call("GET", f"seal/history?since={since}&limit=500")
            kept += page["epochs"]
            more, since = page["more"], max([since, *(one["n"] for one in page["epochs"])])
        for one in kept:
            if state is not None and (one["group"], one["epoch"]) == (to_text(state.id), state.epoch):
                self._take_secrets(one)
        for one in kept:
            self._is_behind = True
            for secret in reversed(self._history_secrets):
                try:
                    key = open_bytes(secret, to_bytes(one["wrap"]), _history_aad(one["group"], one["epoch"]))
                except SealBroken:
                    continue
                self._chat_keys.setdefault((one["group"], one["epoch"]), key)
                self._is_behind = False
                break

    def _take_secrets(self, one: dict[str, Any]) -> None:
        own = self._exported("ting history")
        try:
            listed = json.loads(open_bytes(own, to_bytes(one["secrets"]), _history_aad(one["group"], one["epoch"])))
        except (SealBroken, ValueError):
            return  # Whoever made the epoch could not hand them on.
        known = [to_bytes(text) for text in listed]
        self._history_secrets = [*known, *(mine for mine in self._history_secrets if mine not in known)]


def _history_aad(group: str, epoch: int) -> bytes:
    return f"ting history {group} {epoch}".encode()

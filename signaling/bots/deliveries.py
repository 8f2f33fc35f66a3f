"""Outgoing hooks: new entries of a room are told to a URL, in order, until it has taken them.

The log is the queue: a hook remembers up to which entry its receiver has taken it. So nothing is kept twice, what is
removed from the log is removed from here, and a restart goes on where it was. One delivery may come twice, never out of
order; its signature is that of room webhooks (`Authorization`: a token over the body's SHA-256).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import aiohttp

from signaling.addresses import Network
from signaling.bots.guarded import guarded_session
from signaling.bots.records import BotStores, Hook
from signaling.bots.settings import BotSettings
from signaling.errors import DatabaseError
from signaling.log.entries import Entry, wire
from signaling.log.store import LogStores
from signaling.metrics import Metrics
from signaling.tokens import TokenService

_log = logging.getLogger("ting.hooks")
_GONE = 410


class HookDeliveries:
    def __init__(
        self,
        stores: BotStores,
        logs: LogStores,
        tokens: TokenService,
        metrics: Metrics,
        settings: BotSettings,
        networks: Sequence[Network],
    ) -> None:
        self._stores = stores
        self._logs = logs
        self._tokens = tokens
        self._metrics = metrics
        self._settings = settings
        self._networks = networks
        self._session: aiohttp.ClientSession | None = None
        self._working: dict[str, asyncio.Task[None]] = {}
        self._news: dict[str, asyncio.Event] = {}
        self._of_room: dict[int, set[str]] = {}

    async def start(self) -> None:
        """Go on with what was not taken before. Raises `DatabaseError`."""
        if self._stores.has_data:
            for hook in await (await self._stores.bots()).hooks():
                self.add(hook)

    async def close(self) -> None:
        for task in self._working.values():
            task.cancel()
        await asyncio.gather(*self._working.values(), return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def add(self, hook: Hook) -> None:
        self._news[hook.hook_id] = asyncio.Event()
        self._of_room.setdefault(hook.room_key, set()).add(hook.hook_id)
        self._working[hook.hook_id] = asyncio.get_running_loop().create_task(self._deliver_on(hook))

    def remove(self, room_key: int, hook_id: str) -> None:
        self._of_room.get(room_key, set()).discard(hook_id)
        self._news.pop(hook_id, None)
        task = self._working.pop(hook_id, None)
        if task is not None:
            task.cancel()

    def remove_room(self, room_key: int) -> None:
        for hook_id in list(self._of_room.pop(room_key, ())):
            self.remove(room_key, hook_id)

    def handle_entry(self, room_key: int, _entry: Entry) -> None:
        """A new entry of any log."""
        for hook_id in self._of_room.get(room_key, ()):
            self._news[hook_id].set()

    async def _deliver_on(self, hook: Hook) -> None:
        while not hook.is_gone:
            news = self._news[hook.hook_id]
            news.clear()
            try:
                hook = await self._deliver(hook)
            except DatabaseError as error:
                self._metrics.database_errors.labels("hooks").inc()
                _log.error("entries for a hook could not be read: %s", error)
                hook = replace(hook, failures=hook.failures + 1)
            if hook.failures:
                wait_s = self._settings.hook_retry_initial_s * 2.0 ** min(hook.failures - 1, 30)
                await asyncio.sleep(min(wait_s, self._settings.hook_retry_max_s))
            else:
                await news.wait()

    async def _deliver(self, hook: Hook) -> Hook:
        """All that waits, or up to the first failure."""
        while True:
            log = await self._logs.log()
            # As a member who is nobody: what is for one person alone goes to no hook.
            entries, _ = await log.since(hook.room_key, hook.delivered_seq, self._settings.hook_batch, "", 0)
            entries = [entry for entry in entries if not entry.recipient]
            if not entries:
                return hook
            wanted = [entry for entry in entries if not hook.verbs or entry.verb in hook.verbs]
            outcome = await self._post(hook, wanted) if wanted else "delivered"
            self._metrics.hook_deliveries.labels(outcome).inc()
            delivered = outcome == "delivered"
            hook = replace(
                hook,
                delivered_seq=entries[-1].seq if delivered else hook.delivered_seq,
                failures=0 if delivered else hook.failures + 1,
                is_gone=outcome == "gone",
            )
            await (await self._stores.bots()).note_delivery(
                hook.hook_id, delivered_seq=hook.delivered_seq, failures=hook.failures, is_gone=hook.is_gone
            )
            if not delivered:
                return hook

    async def _post(self, hook: Hook, entries: list[Entry]) -> str:
        if self._session is None:
            self._session = guarded_session(self._networks, self._settings.hook_timeout_s)
        document = {"room": hook.room, "hook": hook.hook_id, "entries": [_told(entry) for entry in entries]}
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "Authorization": self._tokens.sign_body(body)}
        try:
            async with self._session.post(hook.url, data=body, headers=headers, allow_redirects=False) as response:
                if response.status == _GONE:
                    return "gone"
                return "delivered" if 200 <= response.status < 300 else "refused"
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return "failed"


def _told(entry: Entry) -> dict[str, Any]:
    """Of a sealed entry that there is one; its ciphertext is for its readers."""
    told = wire(entry, own=False)
    if entry.body is not None and "sealed" in entry.body:
        told["body"] = {"sealed": True}
    return told

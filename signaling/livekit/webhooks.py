"""Webhooks: what happens in rooms is told to the URLs of the settings.

The SFU's listener puts events into memory and returns at once. One task writes them to the database and hands them
to the `Endpoint` of each URL that wants them, and takes out of the database what is over. So an event survives a
restart, and one may be delivered twice (with the same id) when the process dies at the wrong moment. When the
database fails, events go out all the same; they only do not survive.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from urllib.parse import urlsplit

from livekit.protocol import webhook

from sfu.api import NodeEvent
from signaling.config import Settings
from signaling.db.repository import NewDelivery, Repository
from signaling.errors import DatabaseError
from signaling.livekit.webhook_events import event_name, webhook_event
from signaling.livekit.webhook_sender import Endpoint, Queued
from signaling.metrics import Metrics
from signaling.tokens import TokenService

_log = logging.getLogger("ting.webhooks")
BATCH = 100
DRAIN_S = 2.0
"""How long a stop waits for deliveries that need no second attempt."""
PRUNE_INTERVAL_S = 3600.0
RETRY_S = 5.0


class Webhooks:
    def __init__(self, settings: Settings, repository: Repository, tokens: TokenService, metrics: Metrics) -> None:
        self._settings = settings
        self._repository = repository
        self._metrics = metrics
        origin = urlsplit(settings.public_url).hostname or "ting"
        self._endpoints = [
            Endpoint(target, settings, tokens, metrics, origin, self._handle_done, self._handle_attempt)
            for target in settings.webhooks
        ]
        self._intake: deque[webhook.WebhookEvent] = deque()
        self._done: set[int] = set()
        self._attempts: dict[int, int] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._pruned_at = 0.0
        self._unstored_until = 0.0
        self._stopping = False

    @property
    def configured(self) -> bool:
        return bool(self._endpoints)

    async def start(self) -> None:
        """Take up what waits in the database. Raises `DatabaseError`."""
        if not self._endpoints:
            return
        await self._prune()
        for endpoint in self._endpoints:
            rows = await self._repository.load_deliveries(endpoint.target.url, self._settings.webhook_max_queued)
            endpoint.start()
            for row in rows:
                endpoint.restore(Queued(row.room, row.event, row.created_at_ms, row.attempts, row.delivery_id))
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Store what came last, deliver what can be delivered at once, and stop."""
        if self._task is None:
            return
        self._stopping = True
        self._changed.set()
        await self._task
        self._task = None
        await self._take_in()
        await asyncio.gather(*(endpoint.close(DRAIN_S) for endpoint in self._endpoints))
        with contextlib.suppress(DatabaseError):
            await self._write_results()

    def handle(self, event: NodeEvent) -> None:
        """The SFU's listener."""
        if len(self._intake) >= self._settings.webhook_max_queued:
            for endpoint in self._endpoints:
                endpoint.drop(event_name(event))
            return
        self._intake.append(webhook_event(event, self._settings.sfu))
        self._changed.set()

    def _handle_done(self, item: Queued) -> None:
        if item.delivery_id is not None:
            self._attempts.pop(item.delivery_id, None)
            self._done.add(item.delivery_id)
            self._changed.set()

    def _handle_attempt(self, item: Queued) -> None:
        if item.delivery_id is not None:
            self._attempts[item.delivery_id] = item.attempts
            self._changed.set()

    # --- the task ---------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PRUNE_INTERVAL_S):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self._take_in()
                await self._write_results()
                if time.monotonic() - self._pruned_at > PRUNE_INTERVAL_S:
                    await self._prune()
            except DatabaseError as error:
                self._note_failure(error)
                asyncio.get_running_loop().call_later(RETRY_S, self._changed.set)

    async def _take_in(self) -> None:
        """Events in order to the database and to the endpoints. Fails never: without the database they go unstored."""
        while self._intake:
            batch = list(self._intake)[:BATCH]
            wanted = [(endpoint, item) for event in batch for endpoint, item in self._fan_out(event)]
            try:
                if wanted and time.monotonic() >= self._unstored_until:
                    new = [NewDelivery(e.target.url, i.room, i.event, i.created_at_ms) for e, i in wanted]
                    for (_, item), delivery_id in zip(wanted, await self._repository.add_deliveries(new), strict=True):
                        item.delivery_id = delivery_id
            except DatabaseError as error:
                self._note_failure(error)
            for _ in batch:
                self._intake.popleft()
            for endpoint, item in wanted:
                endpoint.put(item)

    def _fan_out(self, event: webhook.WebhookEvent) -> list[tuple[Endpoint, Queued]]:
        items = []
        for endpoint in self._endpoints:
            if endpoint.reserve(event.event):
                event.num_dropped = endpoint.take_dropped()
                items.append(
                    (endpoint, Queued(event.room.name, event.SerializeToString(), time.time_ns() // 1_000_000))
                )
        return items

    async def _write_results(self) -> None:
        done, self._done = self._done, set()
        attempts, self._attempts = self._attempts, {}
        try:
            if done:
                await self._repository.delete_deliveries(done)
                done = set()
            for delivery_id, count in attempts.items():
                await self._repository.save_attempts(delivery_id, count)
        except DatabaseError:
            self._done |= done
            raise

    async def _prune(self) -> None:
        """Also what waits for URLs that the settings do not name any more."""
        before_ms = round((time.time() - self._settings.webhook_max_age_s) * 1000)
        await self._repository.delete_old_deliveries(before_ms)
        self._pruned_at = time.monotonic()

    def _note_failure(self, error: DatabaseError) -> None:
        """Deliveries must not wait for a database that is away: for a while it is not asked."""
        self._unstored_until = time.monotonic() + RETRY_S
        self._metrics.database_errors.labels("webhooks").inc()
        _log.error("webhooks: %s", error)

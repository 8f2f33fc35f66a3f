"""Webhooks: what happens in rooms is told to the URLs of the settings.

The SFU's listener puts events into memory and returns at once. One task writes them to the database and hands them
to the `Endpoint` of each URL that wants them, and takes out of the database what is over. So an event survives a
restart, and one may be delivered twice (with the same id) when the process dies at the wrong moment. When the
database fails, events go out all the same; they only do not survive.

Several processes may share the database: each delivers what it has a lease of (`signaling.db.deliveries`), renews that
lease, and claims what others have left. A URL that answered 410 is remembered by the fingerprint of its configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping

from livekit.protocol import webhook

from sfu.api import NodeEvent
from sfu.config import SfuConfig
from sfu.ids import random_id
from signaling.db.deliveries import DeliveryRepository, NewDelivery
from signaling.errors import DatabaseError
from signaling.livekit.webhook_events import event_name, webhook_event
from signaling.livekit.webhook_sender import Endpoint, Queued
from signaling.livekit.webhook_settings import WebhookSettings, WebhookTarget
from signaling.metrics import Metrics
from signaling.tokens import TokenService

_log = logging.getLogger("ting.webhooks")
BATCH = 100
DRAIN_S = 2.0
"""How long a stop waits for deliveries that need no second attempt."""
PRUNE_INTERVAL_S = 3600.0
RETRY_S = 5.0
GONE_KEEP_S = 365 * 86_400.0
"""After so long a URL that answered 410 is tried again at the next start."""


class Webhooks:
    """`keys` are the API keys with their secrets, `origin` is who says so: this Ting's host name, `config` is for the
    codecs of rooms, `clock` gives Unix time in seconds."""

    def __init__(
        self,
        settings: WebhookSettings,
        repository: DeliveryRepository,
        tokens: TokenService,
        metrics: Metrics,
        *,
        keys: Mapping[str, str],
        origin: str,
        config: SfuConfig,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._repository = repository
        self._metrics = metrics
        self._clock = clock
        self._owner = random_id("WH_")
        self._keys = keys
        self._config = config
        self._endpoints = [Endpoint(target, settings, tokens, metrics, origin, self) for target in settings.webhooks]
        self._intake: deque[webhook.WebhookEvent] = deque()
        self._done: set[int] = set()
        self._attempts: dict[int, int] = {}
        self._gone: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._pruned_at = 0.0
        self._unstored_until = 0.0
        self._shared_at = 0.0
        self._leased_until_ms = 0
        self._leasing = asyncio.Lock()
        self._stopping = False

    async def start(self) -> None:
        """Take up what waits in the database. Raises `DatabaseError`."""
        await self._prune()
        gone = await self._repository.load_gone(self._now_ms() - round(GONE_KEEP_S * 1000))
        for endpoint in self._endpoints:
            endpoint.gone = fingerprint(endpoint.target, self._keys) in gone
            endpoint.start()
        await self._share()
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
            await self._repository.release(self._owner)

    def handle(self, event: NodeEvent) -> None:
        """The SFU's listener."""
        if len(self._intake) >= self._settings.webhook_max_queued:
            for endpoint in self._endpoints:
                endpoint.drop(event_name(event))
            return
        self._intake.append(webhook_event(event, self._config))
        self._changed.set()

    def handle_done(self, item: Queued) -> None:
        if item.delivery_id is not None:
            self._attempts.pop(item.delivery_id, None)
            self._done.add(item.delivery_id)
            self._changed.set()

    def handle_attempt(self, item: Queued) -> None:
        if item.delivery_id is not None:
            self._attempts[item.delivery_id] = item.attempts
            self._changed.set()

    def handle_gone(self, endpoint: Endpoint) -> None:
        self._gone[fingerprint(endpoint.target, self._keys)] = self._now_ms()
        self._changed.set()

    async def confirm(self) -> None:
        """While the database is away nobody else can take anything over, so deliveries need not wait for it."""
        if self._now_ms() < self._leased_until_ms or time.monotonic() < self._unstored_until:
            return
        try:
            await self._renew()
        except DatabaseError as error:
            self._note_failure(error)

    # --- the task ---------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._share_interval_s):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self._take_in()
                await self._write_results()
                if time.monotonic() - self._shared_at >= self._share_interval_s:
                    await self._share()
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
                    wanted = await self._store(wanted)
            except DatabaseError as error:
                self._note_failure(error)
            for _ in batch:
                self._intake.popleft()
            for endpoint, item in wanted:
                endpoint.put(item)

    async def _store(self, wanted: list[tuple[Endpoint, Queued]]) -> list[tuple[Endpoint, Queued]]:
        """Those of them that this process delivers itself."""
        new = [NewDelivery(e.target.url, i.room, i.event, i.created_at_ms) for e, i in wanted]
        ids = await self._repository.add(new, self._owner, self._lease_end_ms())
        ours = []
        for (endpoint, item), delivery_id in zip(wanted, ids, strict=True):
            item.delivery_id = delivery_id
            if delivery_id is None:
                endpoint.defer()
            else:
                ours.append((endpoint, item))
        return ours

    def _fan_out(self, event: webhook.WebhookEvent) -> list[tuple[Endpoint, Queued]]:
        items = []
        for endpoint in self._endpoints:
            if endpoint.reserve(event.event):
                event.num_dropped = endpoint.take_dropped()
                items.append((endpoint, Queued(event.room.name, event.SerializeToString(), self._now_ms())))
        return items

    async def _write_results(self) -> None:
        done, self._done = self._done, set()
        attempts, self._attempts = self._attempts, {}
        try:
            if done:
                await self._repository.delete(self._owner, done)
                done = set()
            for delivery_id, count in attempts.items():
                await self._repository.save_attempts(self._owner, delivery_id, count)
            for name, gone_at_ms in list(self._gone.items()):
                await self._repository.save_gone(name, gone_at_ms)
                del self._gone[name]
        except DatabaseError:
            self._done |= done
            raise

    # --- sharing with other processes -------------------------------------------------------------------

    async def _share(self) -> None:
        """Show life, and claim what nobody delivers."""
        await self._renew()
        for endpoint in self._endpoints:
            url, places = endpoint.target.url, self._settings.webhook_max_queued - endpoint.pending
            if places > 0:
                rows = await self._repository.claim(url, self._owner, self._now_ms(), self._lease_end_ms(), places)
                for row in rows:
                    endpoint.restore(Queued(row.room, row.event, row.created_at_ms, row.attempts, row.delivery_id))
            if endpoint.deferred:
                endpoint.deferred = await self._repository.count(owner="", url=url)
        self._shared_at = time.monotonic()

    async def _renew(self) -> None:
        """Prolong our leases; what another process has taken over is not ours any more."""
        async with self._leasing:
            until_ms = self._lease_end_ms()
            held = {delivery_id for endpoint in self._endpoints for delivery_id in endpoint.held()}
            if held:
                lost = held - await self._repository.renew(self._owner, until_ms)
                for endpoint in self._endpoints:
                    endpoint.withdraw(lost)
            self._leased_until_ms = until_ms

    @property
    def _share_interval_s(self) -> float:
        return self._settings.webhook_lease_s / 3

    def _lease_end_ms(self) -> int:
        return self._now_ms() + round(self._settings.webhook_lease_s * 1000)

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)

    async def _prune(self) -> None:
        """Also what waits for URLs that the settings do not name any more."""
        await self._repository.delete_old(self._now_ms() - round(self._settings.webhook_max_age_s * 1000))
        self._pruned_at = time.monotonic()

    def _note_failure(self, error: DatabaseError) -> None:
        """Deliveries must not wait for a database that is away: for a while it is not asked."""
        self._unstored_until = time.monotonic() + RETRY_S
        self._metrics.database_errors.labels("webhooks").inc()
        _log.error("webhooks: %s", error)


def fingerprint(target: WebhookTarget, keys: Mapping[str, str]) -> str:
    """Changes with anything of a receiver's configuration, also with the secret that signs. Tells nothing of it."""
    key = target.api_key or next(iter(keys))
    parts = [target.url, target.format, key, *sorted(target.events)]
    return hmac.new(keys[key].encode(), "\n".join(parts).encode(), hashlib.sha256).hexdigest()

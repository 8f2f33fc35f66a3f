"""Deliveries to one URL: in order per room, a few rooms at once, each repeated until it is taken.

Answers: 2xx done; 410 the URL wants nothing any more, until its configuration changes; 429 and 503 with Retry-After
make the whole URL wait; everything else, a redirect too, is repeated later. Answers are not read beyond their header.
A CloudEvents URL is asked for its consent first (CloudEvents HTTP 1.1 Web Hooks §4).
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import logging
import random
import time
from collections import deque
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from google.protobuf.message import DecodeError
from livekit.protocol import webhook

from sfu.limits import TokenBucket
from signaling.livekit.webhook_events import render
from signaling.livekit.webhook_settings import WebhookSettings, WebhookTarget
from signaling.metrics import Metrics
from signaling.tokens import TokenService

_log = logging.getLogger("ting.webhooks")
_GONE = 410
_MAX_HEADER_BYTES = 8190


@dataclass(slots=True)
class Queued:
    """`delivery_id` is its row in the database; None when that could not be written."""

    room: str
    event: bytes
    created_at_ms: int
    attempts: int = 0
    delivery_id: int | None = None
    lost: bool = False
    """Another process has taken it over."""


class Keeper(Protocol):
    """Who keeps the deliveries in the database."""

    def handle_done(self, item: Queued) -> None:
        """It is over."""

    def handle_attempt(self, item: Queued) -> None:
        """It failed and will be repeated."""

    def handle_gone(self, endpoint: Endpoint) -> None:
        """The URL answered 410."""

    async def confirm(self) -> None:
        """Before each attempt: mark those `lost` whose lease ran out and was taken by another process."""


class _NotTaken(Exception):
    """`wait_s` is what the receiver asks for, `label` is for the metrics."""

    def __init__(self, label: str, wait_s: float = 0.0) -> None:
        super().__init__(label)
        self.label = label
        self.wait_s = wait_s


class _Gone(Exception):
    pass


class Endpoint:
    """One URL."""

    def __init__(
        self,
        target: WebhookTarget,
        settings: WebhookSettings,
        tokens: TokenService,
        metrics: Metrics,
        origin: str,
        keeper: Keeper,
    ) -> None:
        self.target = target
        self.gone = False
        self._settings = settings
        self._tokens = tokens
        self._metrics = metrics
        self._origin = origin
        self._keeper = keeper
        self._rooms: dict[str, deque[Queued]] = {}
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._delayed: dict[str, asyncio.TimerHandle] = {}
        self._paused_until = 0.0
        self._consent = asyncio.Lock()
        self._consented = target.format == "livekit"
        self._rate: TokenBucket | None = None
        self._dropped = 0
        self.pending = 0
        self.deferred = 0
        """Those in the database that wait for another process to be through with their room."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._session: aiohttp.ClientSession | None = None
        self._workers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._settings.webhook_timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
        )
        count = self._settings.webhook_connections
        self._workers = [asyncio.create_task(self._work()) for _ in range(count)]

    async def close(self, drain_s: float) -> None:
        """Let what is under way finish for `drain_s`; what is left stays in the database."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_s):
                await self._idle.wait()
        if self.pending:
            _log.info("%d webhook deliveries wait for the next start", self.pending)
        for timer in self._delayed.values():
            timer.cancel()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    # --- the queue --------------------------------------------------------------------------------------

    def reserve(self, event: str) -> bool:
        """A place for an event of this name, which `put` will fill; False when the URL does not want it or has too
        many waiting. The latter is counted, and the next event tells of it (num_dropped)."""
        if not self._wants(event):
            return False
        if self.pending + self.deferred >= self._settings.webhook_max_queued:
            self.drop(event)
            return False
        self.pending += 1
        self._metrics.webhook_queue.inc()
        self._idle.clear()
        return True

    def drop(self, event: str) -> None:
        """There was no place for an event of this name."""
        if self._wants(event):
            self._dropped += 1
            self._count("dropped")

    def _wants(self, event: str) -> bool:
        return not self.gone and (not self.target.events or event in self.target.events)

    def take_dropped(self) -> int:
        dropped, self._dropped = self._dropped, 0
        return dropped

    def restore(self, item: Queued) -> None:
        """One that waited in the database."""
        self.pending += 1
        self._metrics.webhook_queue.inc()
        self._idle.clear()
        self.put(item)

    def defer(self) -> None:
        """Give a place back: its delivery waits in the database."""
        self._leave()
        self.deferred += 1
        self._note_idle()

    def held(self) -> set[int]:
        """Ids of the deliveries that are this process's to make."""
        items = (item for waiting in self._rooms.values() for item in waiting if not item.lost)
        return {item.delivery_id for item in items if item.delivery_id is not None}

    def withdraw(self, lost: Set[int]) -> None:
        """Another process has taken these over. Each is passed over when its turn comes, which is now when it only
        waits for its next attempt."""
        for room, waiting in self._rooms.items():
            for item in waiting:
                item.lost = item.lost or item.delivery_id in lost
            if waiting[0].lost and room in self._delayed:
                self._delayed[room].cancel()
                self._again(room)

    def put(self, item: Queued) -> None:
        """Fill a place."""
        waiting = self._rooms.setdefault(item.room, deque())
        waiting.append(item)
        if self.gone:
            self._finish(item.room, "gone")
        elif len(waiting) == 1:
            self._ready.put_nowait(item.room)

    def _finish(self, room: str, result: str) -> None:
        """The first delivery of the room is over; the next one's turn."""
        waiting = self._rooms[room]
        item = waiting.popleft()
        self._leave()
        self._count(result)
        if result != "taken_over":
            self._keeper.handle_done(item)
        if waiting:
            self._ready.put_nowait(room)
        else:
            del self._rooms[room]
        self._note_idle()

    def _leave(self) -> None:
        self.pending -= 1
        self._metrics.webhook_queue.dec()

    def _note_idle(self) -> None:
        """Idle: nothing is under way, and what is queued waits for its next attempt."""
        if len(self._rooms) == len(self._delayed):
            self._idle.set()

    def _count(self, result: str) -> None:
        self._metrics.webhook_deliveries.labels(result).inc()

    # --- delivering -------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            room = await self._ready.get()
            if room not in self._rooms:
                continue
            item = self._rooms[room][0]
            try:
                await self._wait_for_turn()
                if item.delivery_id is not None:
                    await self._keeper.confirm()
                if room not in self._rooms:
                    continue
                if item.lost:
                    self._finish(room, "taken_over")
                    continue
                if self._is_over(item):
                    self._finish(room, "expired")
                    continue
                await self._deliver(item)
            except _Gone:
                self._give_up()
            except _NotTaken as error:
                self._repeat_later(room, item, error)
            except Exception:
                _log.exception("a webhook delivery failed")
                self._repeat_later(room, item, _NotTaken("internal"))
            else:
                if room in self._rooms:
                    self._finish(room, "delivered")

    async def _wait_for_turn(self) -> None:
        await asyncio.sleep(max(0.0, self._paused_until - asyncio.get_running_loop().time()))
        if not self._consented:
            async with self._consent:
                if not self._consented:
                    await self._ask_for_consent()
        if self._rate is not None:
            async with self._consent:
                while not self._rate.take(time.monotonic()):  # noqa: ASYNC110 - a bucket fills with time alone
                    await asyncio.sleep(self._rate.wait_s())

    def _is_over(self, item: Queued) -> bool:
        age_s = time.time() - item.created_at_ms / 1000
        return item.attempts >= self._settings.webhook_max_attempts or age_s > self._settings.webhook_max_age_s

    def _repeat_later(self, room: str, item: Queued, error: _NotTaken) -> None:
        if room not in self._rooms:
            return
        item.attempts += 1
        self._metrics.webhook_failures.labels(error.label).inc()
        _log.debug("a webhook delivery was not taken: %s", error.label)
        if item.attempts >= self._settings.webhook_max_attempts:
            self._finish(room, "expired")
            return
        if item.lost:
            self._finish(room, "taken_over")
            return
        self._keeper.handle_attempt(item)
        settings, loop = self._settings, asyncio.get_running_loop()
        backoff_s = settings.webhook_retry_initial_s * 2 ** min(item.attempts - 1, 30)
        wait_s = min(max(backoff_s, error.wait_s), settings.webhook_retry_max_s)
        if error.wait_s:
            self._paused_until = max(self._paused_until, loop.time() + wait_s)
        # Rooms that failed together should not come back together.
        wait_s *= random.uniform(1.0, 1.2)  # noqa: S311
        self._delayed[room] = loop.call_later(wait_s, self._again, room)
        self._note_idle()

    def _again(self, room: str) -> None:
        self._delayed.pop(room, None)
        self._idle.clear()
        self._ready.put_nowait(room)

    def _give_up(self) -> None:
        """The URL is gone: forget everything that waits for it."""
        if self.gone:
            return
        self.gone = True
        _log.warning("a webhook URL answered 410 and gets nothing more until its configuration changes")
        self._keeper.handle_gone(self)
        for timer in self._delayed.values():
            timer.cancel()
        self._delayed.clear()
        for room in list(self._rooms):
            while room in self._rooms:
                self._finish(room, "gone")

    async def _deliver(self, item: Queued) -> None:
        try:
            message = webhook.WebhookEvent.FromString(item.event)
        except DecodeError:
            raise _NotTaken("unreadable") from None
        request = render(message, self.target, self._origin)
        token = self._tokens.sign_body(request.body, self.target.api_key)
        headers = {"Authorization": request.scheme + token, "Content-Type": request.content_type}
        status, answer = await self._request("POST", headers, request.body)
        self._judge(status, answer)

    def _judge(self, status: int, headers: Mapping[str, str]) -> None:
        if 200 <= status < 300:
            return
        if status == _GONE:
            raise _Gone
        wait_s = retry_after_s(headers.get("Retry-After", "")) if status in (429, 503) else 0.0
        raise _NotTaken(f"status_{status // 100}xx", wait_s)

    async def _request(
        self, method: str, headers: Mapping[str, str], body: bytes = b""
    ) -> tuple[int, Mapping[str, str]]:
        assert self._session is not None
        try:
            async with self._session.request(
                method, self.target.url, headers=headers, data=body, allow_redirects=False
            ) as response:
                return response.status, response.headers
        except TimeoutError:
            raise _NotTaken("timeout") from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise _NotTaken("connection") from None

    async def _ask_for_consent(self) -> None:
        headers = {"WebHook-Request-Origin": self._origin}
        status, answer = await self._request("OPTIONS", headers)
        self._judge(status, answer)
        if answer.get("WebHook-Allowed-Origin", "") not in ("*", self._origin):
            raise _NotTaken("no_consent")
        rate = answer.get("WebHook-Allowed-Rate", "*")
        if rate.isascii() and rate.isdecimal() and 0 < int(rate) < 10**9:
            self._rate = TokenBucket(int(rate) / 60, max(1.0, int(rate) / 60))
        self._consented = True


def retry_after_s(text: str, now: float | None = None) -> float:
    """Retry-After (RFC 9110 §10.2.3) in seconds from now, a number or a date; 0 when it is neither."""
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    return max(0.0, moment - (time.time() if now is None else now))

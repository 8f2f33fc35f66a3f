"""Writing to the logs of rooms: commit, then acknowledge, then fan out.

One transaction carries what all rooms want to write at that moment (group commit): each costs a write-through to the
disk, and while one is on its way the next batch gathers by itself.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from sfu.limits import TokenBucket
from signaling.errors import ApiError, DatabaseError
from signaling.log.entries import BODIES, DRAWN, MAX_CLIENT_ID_LENGTH, SEALED_BODIES, Draft, Entry, FileFacts, Verb
from signaling.log.live import Live
from signaling.log.rules import check_draft, check_text
from signaling.log.settings import RoomLogSettings
from signaling.log.store import LogStores, Written
from signaling.metrics import Metrics
from signaling.rooms.records import RoomChange
from signaling.rooms.roles import Actor, Role

_log = logging.getLogger("ting.log")
_MAX_BATCH = 500
_MAX_BUCKETS = 10_000
Observer = Callable[[int, Entry], None]
FileFinder = Callable[[int, str], Awaitable[FileFacts]]
FileRemover = Callable[[str], Awaitable[None]]


@dataclass(slots=True)
class _Waiting:
    draft: Draft
    done: asyncio.Future[Written]


class Log:
    """`clock` gives Unix time in seconds: entries carry the server's time, whatever a client's clock says."""

    def __init__(
        self,
        stores: LogStores,
        live: Live,
        settings: RoomLogSettings,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._live = live
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._unsettled: set[asyncio.Future[Written]] = set()
        self._work = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._buckets: OrderedDict[tuple[int, str, bool], TokenBucket] = OrderedDict()
        self._observers: list[Observer] = []
        self._find_file: FileFinder | None = None
        self._remove_file: FileRemover | None = None
        self._removing: set[asyncio.Task[None]] = set()

    def use_files(self, find: FileFinder, remove: FileRemover) -> None:
        """`find` raises `ApiError` file_not_found; `remove` is called with the id of a file whose entry was deleted."""
        self._find_file, self._remove_file = find, remove

    def add_observer(self, observer: Observer) -> None:
        """Called with each new entry after its commit, in the order of the log."""
        self._observers.append(observer)

    async def close(self) -> None:
        """What waits is still written, if the database lets us."""
        if self._writer is None:
            return
        while waiting := self._unsettled | self._removing:
            await asyncio.wait(waiting)
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)
        self._writer = None

    # --- what people write --------------------------------------------------------------------------------

    def draft(
        self,
        actor: Actor,
        verb: str,
        body: object,
        client_id: str,
        *,
        target: int | None = None,
        recipient: str = "",
        ttl_s: int | None = None,
    ) -> Draft:
        """Checked, as far as it can be without the log. Raises `ApiError` invalid_body, sealed_room or forbidden."""
        known, fields = _read_body(verb, body, sealed=actor.sealed)
        if not 0 < len(client_id) <= MAX_CLIENT_ID_LENGTH or not client_id.isascii() or not client_id.isprintable():
            raise ApiError("invalid_body", f"A client id has 1 to {MAX_CLIENT_ID_LENGTH} printable ASCII characters.")
        if "text" in fields:
            fields["text"] = check_text(fields["text"], self._settings.max_entry_bytes)
        if len(msgspec.json.encode(fields)) > self._max_bytes(known, fields):
            raise ApiError("invalid_body", "The entry is too long.")
        draft = Draft(
            room_key=actor.room_key,
            verb=known,
            sender=actor.member_id,
            name=actor.name,
            client_id=client_id,
            body=fields,
            target=target,
            recipient=recipient,
            moderates=actor.role.reaches(Role.MODERATOR),
            ttl_s=ttl_s,
        )
        check_draft(draft)
        if not actor.may_write and known is not Verb.HAND:
            raise ApiError("forbidden", "Only members write in this room.")
        return draft

    async def write(self, draft: Draft) -> Entry:
        """The entry once it is on disk. Raises `ApiError`: what the log says against it, rate_limited, unavailable."""
        self._limit(draft)
        if draft.verb is Verb.FILE and self._find_file is not None:
            facts = await self._find_file(draft.room_key, draft.body["file_id"])
            known = {} if "sealed" in draft.body else {"name": facts.name, "type": facts.type}
            body = {**draft.body, **known, "size": facts.size}
            draft = dataclasses.replace(draft, body=body)
        return (await self._commit(draft)).entry

    def _max_bytes(self, verb: Verb, body: dict[str, Any]) -> int:
        if "sealed" in body:
            return self._settings.max_sealed_entry_bytes
        return self._settings.max_drawn_bytes if verb in DRAWN else 2 * self._settings.max_entry_bytes

    def _limit(self, draft: Draft) -> None:
        """Whoever draws can still say something, and the other way round."""
        settings, is_drawn = self._settings, draft.verb in DRAWN
        key = draft.room_key, draft.sender, is_drawn
        bucket = self._buckets.get(key)
        if bucket is None:
            rate = settings.drawn_per_second if is_drawn else settings.entries_per_second
            bucket = self._buckets[key] = TokenBucket(rate, settings.drawn_burst if is_drawn else settings.entry_burst)
            while len(self._buckets) > _MAX_BUCKETS:
                self._buckets.popitem(last=False)
        if not bucket.take(time.monotonic()):
            raise ApiError("rate_limited", "Too many messages; please wait a moment.", retry_after_s=1)

    # --- what the server notes ------------------------------------------------------------------------------

    async def note(
        self,
        room_key: int,
        verb: Verb,
        body: dict[str, Any],
        *,
        client_id: str,
        sender: str = "",
        name: str = "",
        room_change: RoomChange | None = None,
    ) -> Entry:
        """An entry of the server's own, or of what somebody did with its help; always written. Raises `ApiError`."""
        draft = Draft(room_key, verb, sender, name, client_id, body, room_change=room_change, silent=True)
        return (await self._commit(draft)).entry

    # --- writing --------------------------------------------------------------------------------------------

    async def _commit(self, draft: Draft) -> Written:
        if len(self._waiting) >= self._settings.max_pending_entries:
            raise ApiError("unavailable", "The server is busy; please try again.", retry_after_s=1)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_on())
        waiting = _Waiting(draft, asyncio.get_running_loop().create_future())
        self._unsettled.add(waiting.done)
        waiting.done.add_done_callback(self._unsettled.discard)
        self._waiting.append(waiting)
        self._work.set()
        # Whoever stops waiting (a closed connection) does not undo it: the client will ask again with the same id.
        return await asyncio.shield(waiting.done)

    async def _write_on(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MAX_BATCH))]
                await self._write_batch(batch)

    async def _write_batch(self, batch: list[_Waiting]) -> None:
        first, later = _without_repeats(batch)
        try:
            store = await self._stores.log()
            outcomes = await store.append([one.draft for one in first], round(self._clock() * 1000))
        except DatabaseError as error:
            self._metrics.database_errors.labels("log").inc()
            _log.error("entries could not be written: %s", error)
            for one in batch:
                _settle(one.done, ApiError("unavailable", "The message could not be stored.", retry_after_s=2))
            return
        except Exception:
            _log.exception("a batch of entries failed")
            for one in batch:
                _settle(one.done, ApiError("internal", "Something went wrong here."))
            return
        for one, outcome in zip(first, outcomes, strict=True):
            _settle(one.done, outcome)
            if isinstance(outcome, Written) and not outcome.repeated:
                self._metrics.entries.labels(outcome.entry.verb.value).inc()
                self._live.publish(one.draft.room_key, outcome.entry)
                for observer in self._observers:
                    observer(one.draft.room_key, outcome.entry)
                if outcome.file_id and self._remove_file is not None:
                    self._remove_in_background(self._remove_file, outcome.file_id)
        self._waiting.extendleft(reversed(later))

    def _remove_in_background(self, remove: FileRemover, file_id: str) -> None:
        async def work() -> None:
            try:
                await remove(file_id)
            except (ApiError, DatabaseError) as error:
                _log.error("the file of a deleted entry could not be removed: %s", error)

        task = asyncio.create_task(work())
        self._removing.add(task)
        task.add_done_callback(self._removing.discard)


def _read_body(verb: str, body: object, *, sealed: bool) -> tuple[Verb, dict[str, Any]]:
    """Raises `ApiError` invalid_body, and sealed_room for what a sealed room does not take."""
    try:
        known = Verb(verb)
        bodies = SEALED_BODIES if sealed else BODIES
        return known, msgspec.to_builtins(msgspec.convert(body, bodies[known]))
    except (ValueError, KeyError):
        if sealed:
            raise ApiError("sealed_room", "This room is sealed: what is written here is encrypted first.") from None
        raise ApiError("invalid_body", "There is no such verb, or its body has other fields.") from None


def _without_repeats(batch: list[_Waiting]) -> tuple[list[_Waiting], list[_Waiting]]:
    """A client may repeat itself before the first try is through: the second waits for the next batch and finds it."""
    seen: set[tuple[int, str, str]] = set()
    first: list[_Waiting] = []
    later: list[_Waiting] = []
    for one in batch:
        key = one.draft.room_key, one.draft.sender, one.draft.client_id
        (later if key in seen else first).append(one)
        seen.add(key)
    return first, later


def _settle(done: asyncio.Future[Written], outcome: Written | ApiError) -> None:
    if done.done():
        return
    if isinstance(outcome, ApiError):
        done.set_exception(outcome)
        done.exception()  # Nobody may be waiting any more.
    else:
        done.set_result(outcome)


def expired(entry: Entry, now_ms: int) -> Entry:
    """As a tombstone, once its time is over."""
    over = entry.expires_at_ms is not None and entry.expires_at_ms <= now_ms
    return dataclasses.replace(entry, body=None) if over else entry

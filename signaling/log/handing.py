"""What was said in a room that keeps nothing, handed by a member who has it to somebody who came later.

The server asks one member after the other, owners first and then whoever is there for longest, until one of them
has something; it looks the answer over, passes it to the one who asked, and forgets it. It cannot know whether it is
true: each such entry says which member it is from.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

import msgspec

from sfu.limits import TokenBucket
from signaling.errors import ApiError
from signaling.log.entries import BODIES, Verb
from signaling.log.rules import check_text
from signaling.log.settings import RoomLogSettings
from signaling.rooms.policy import Keeps, Kind, Policy
from signaling.rooms.roles import Actor, Role

_MAX_BUCKETS = 10_000
_MAX_NAME_BYTES = 512
_CLOCK_SLACK_MS = 5_000
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Millis = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


class HandedEntry(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One entry as a member has it. There is nothing that could be said of an entry without a number, and what is for
    one person alone is nobody else's to hand on."""

    verb: Literal["message", "file", "poll"]
    sender: Word = msgspec.field(name="from")
    name: Annotated[str, msgspec.Meta(max_length=512)] = ""
    """Of whoever hands on what they said themselves the server knows it."""
    at_ms: Millis
    body: dict[str, Any]
    expires_at_ms: Millis | None = None


class Holder(Protocol):
    """A connection of a member who may have what was said."""

    @property
    def member_id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def role(self) -> Role: ...

    @property
    def place(self) -> int:
        """Lower for those who are there for longer."""
        ...

    async def want(self, message: dict[str, Any]) -> None:
        """Pass a question on."""
        ...


@dataclass(frozen=True, slots=True)
class Handed:
    """`member_id` is whose it is; empty: nobody has anything."""

    member_id: str
    entries: list[dict[str, Any]]
    """Oldest first, as clients get entries."""


@dataclass(frozen=True, slots=True)
class _Question:
    holder: Holder
    policy: Policy
    answer: asyncio.Future[list[dict[str, Any]]]


class Handing:
    """`clock` gives Unix time in seconds."""

    def __init__(self, settings: RoomLogSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._questions: dict[str, _Question] = {}
        self._asking: Counter[int] = Counter()
        """By room: how many wait for an answer."""
        self._buckets: OrderedDict[tuple[int, str], TokenBucket] = OrderedDict()

    async def ask(self, actor: Actor, policy: Policy, holders: Sequence[Holder]) -> Handed:
        """Raises `ApiError` forbidden, rate_limited."""
        # Of a sealed room members would hand on what the server must not read.
        if policy.keeps is not Keeps.NOTHING or not policy.member_history or policy.kind is Kind.SEALED:
            raise ApiError("forbidden", "Members do not hand on what was said in this room.")
        if not policy.history and not actor.role.reaches(Role.MEMBER):
            raise ApiError("forbidden", "What was said before is for members of this room.")
        self._limit(actor)
        self._asking[actor.room_key] += 1
        try:
            for holder in sorted(holders, key=lambda one: (-one.role.rank, one.place)):
                if entries := await self._ask(holder, policy):
                    return Handed(holder.member_id, [{**one, "from_member": holder.member_id} for one in entries])
        finally:
            self._asking[actor.room_key] -= 1
            self._asking += Counter()  # Rooms in which nobody asks are forgotten.
        return Handed("", [])

    def answer(self, holder: Holder, question: str, entries: object, size_bytes: int) -> None:
        """What a member has. Raises `ApiError` not_found for an answer that nobody waits for, invalid_body; whoever
        asked gets it from somebody else then."""
        asked = self._questions.get(question)
        if asked is None or asked.holder is not holder or asked.answer.done():
            raise ApiError("not_found", "Nobody waits for this.")
        try:
            asked.answer.set_result(self._check(entries, size_bytes, asked))
        except ApiError:
            asked.answer.set_result([])
            raise

    def forget(self, holder: Holder) -> None:
        """Its connection is gone: nobody waits for it."""
        for asked in self._questions.values():
            if asked.holder is holder and not asked.answer.done():
                asked.answer.set_result([])

    def _limit(self, actor: Actor) -> None:
        settings, key = self._settings, (actor.room_key, actor.member_id)
        if self._asking[actor.room_key] >= settings.max_handing_asks:
            raise ApiError("rate_limited", "Many ask for it now; please wait a moment.", retry_after_s=5)
        bucket = self._buckets.get(key)
        if bucket is None:
            per_minute = settings.handing_asks_per_minute
            bucket = self._buckets[key] = TokenBucket(per_minute / 60, per_minute)
            while len(self._buckets) > _MAX_BUCKETS:
                self._buckets.popitem(last=False)
        if not bucket.take(time.monotonic()):
            raise ApiError("rate_limited", "You have asked for it often; please wait.", retry_after_s=bucket.wait_s())

    async def _ask(self, holder: Holder, policy: Policy) -> list[dict[str, Any]]:
        settings, question = self._settings, secrets.token_urlsafe(12)
        answer: asyncio.Future[list[dict[str, Any]]] = asyncio.get_running_loop().create_future()
        self._questions[question] = _Question(holder, policy, answer)
        try:
            async with asyncio.timeout(settings.handing_answer_s):
                limits = {"max_entries": settings.max_handed_entries, "max_bytes": settings.max_handed_bytes}
                await holder.want({"type": "history_wanted", "question": question, **limits})
                return await answer
        except TimeoutError:
            return []
        finally:
            del self._questions[question]

    def _check(self, entries: object, size_bytes: int, asked: _Question) -> list[dict[str, Any]]:
        settings = self._settings
        if size_bytes > settings.max_handed_bytes:
            raise ApiError("invalid_body", f"What is handed on has at most {settings.max_handed_bytes} bytes.")
        try:
            given = msgspec.convert(entries, list[HandedEntry])
            if len(given) > settings.max_handed_entries:
                raise ApiError("invalid_body", f"At most {settings.max_handed_entries} entries are handed on.")
            now_ms = round(self._clock() * 1000)
            checked = [self._entry(one, asked, now_ms) for one in given]
        except ValueError:
            raise ApiError("invalid_body", "What is handed on is not as entries are.") from None
        found = [one for one in checked if one.get("expires_at_ms", now_ms + 1) > now_ms]
        return sorted(found, key=lambda one: int(one["at_ms"]))

    def _entry(self, one: HandedEntry, asked: _Question, now_ms: int) -> dict[str, Any]:
        """As `signaling.log.entries.wire`. Raises `ValueError`, `ApiError`."""
        if one.at_ms > now_ms + _CLOCK_SLACK_MS:
            raise ApiError("invalid_body", "What was said was not said later than now.")
        body = msgspec.to_builtins(msgspec.convert(one.body, BODIES[Verb(one.verb)]))
        if "text" in body:
            body["text"] = check_text(body["text"], self._settings.max_entry_bytes)
        name = one.name or (asked.holder.name if one.sender == asked.holder.member_id else "")
        name = " ".join(check_text(name, _MAX_NAME_BYTES).split())
        entry = {"seq": 0, "verb": one.verb, "from": one.sender, "name": name, "at_ms": one.at_ms, "body": body}
        ends = [] if one.expires_at_ms is None else [one.expires_at_ms]
        if asked.policy.retention_s is not None:
            ends.append(one.at_ms + 1000 * asked.policy.retention_s)
        return {**entry, "expires_at_ms": min(ends)} if ends else entry

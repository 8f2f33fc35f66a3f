"""What is kept of how a call went for somebody: in the entry of who left, where the room's policy says so.

It goes when the entry goes. Others who read the log learn that there is one; what it says is for whom it is about, and
for owners and moderators.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from sfu.api import Moment, ParticipantInfo, TimelineEntry
from signaling.errors import ApiError
from signaling.rooms.policy import Keeps, Policy
from signaling.rooms.roles import Actor, Role, member_id_of
from signaling.rooms.timelines import whose

MAX_PAGE = 50


@dataclass(frozen=True, slots=True)
class Kept:
    seq: int
    """Of the entry."""
    member_id: str
    name: str
    left_at_ms: int
    body: Mapping[str, Any]
    """As `kept_of` made it."""


class TimelineStore(Protocol):
    """Both may raise `DatabaseError`."""

    async def page(
        self, room_key: int, member_id: str, before: int | None, limit: int, now_ms: int
    ) -> tuple[list[Kept], int | None]:
        """The newest `limit` of a member, or of everybody where none is named, with `seq` < `before`; newest first.
        And before which `seq` there may be others: it looks at a part of a long log only."""
        ...

    async def forget(self, member_id: str, room_key: int | None = None) -> int:
        """Remove what is kept of a member, in one room or in all. How much it was."""
        ...


class TimelineStores(Protocol):
    async def timelines(self) -> TimelineStore: ...


def keeps_timelines(policy: Policy) -> bool:
    """A room that keeps nothing keeps none of them either."""
    return policy.call_timelines and policy.keeps is Keeps.LOG


def kept_of(person: ParticipantInfo, entries: Sequence[TimelineEntry], max_bytes: int) -> dict[str, Any]:
    """Fields of the body of the entry that says that somebody has left, of at most so many bytes in JSON: of more
    figures every second one goes, in the end the oldest entries."""
    reason = None if person.leave_reason is None else person.leave_reason.value
    said: dict[str, Any] = {"joined_at_ms": person.joined_at_ms, "leave_reason": reason}
    left = list(entries)
    while left:
        body = {**said, "timeline": [_told(one) for one in left]}
        if len(msgspec.json.encode(body)) <= max_bytes:
            return body
        lines = [at for at, one in enumerate(left) if one.what is Moment.LINE]
        gone = set(lines[1::2]) or set(range(1 + len(left) // 8))
        left = [one for at, one in enumerate(left) if at not in gone]
    return {}


def _told(entry: TimelineEntry) -> dict[str, Any]:
    """Without what is not known, and with members instead of participants."""
    said = msgspec.to_builtins(entry)
    line = said.pop("line") or {}
    del said["track_id"]
    if entry.of is not None:
        said["of"] = member_id_of(entry.of)
    if entry.line is not None:
        line |= {"sent_loss": round(entry.line.sent_loss, 4), "received_loss": round(entry.line.received_loss, 4)}
    return {key: value for key, value in {**line, **said}.items() if value is not None}


class KeptTimelines:
    """`clock` gives Unix time in seconds; `note_removal` is called when something is to go from the disk."""

    def __init__(
        self, stores: TimelineStores, note_removal: Callable[[], None], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._stores = stores
        self._note_removal = note_removal
        self._clock = clock

    async def page(self, actor: Actor, member_id: str, before: int | None, limit: int) -> tuple[list[Kept], int | None]:
        """As `TimelineStore.page`. Raises `ApiError` forbidden."""
        store = await self._stores.timelines()
        wanted, now_ms = whose(actor, member_id), round(self._clock() * 1000)
        return await store.page(actor.room_key, wanted, before, min(limit, MAX_PAGE), now_ms)

    async def forget(self, actor: Actor, member_id: str) -> int:
        """What is kept of oneself in a room; owners and moderators may do it for others. Raises `ApiError`
        forbidden."""
        if member_id != actor.member_id and not actor.role.reaches(Role.MODERATOR):
            raise ApiError("forbidden", "Only owners and moderators remove what is kept of others.")
        return await self._forget(member_id, actor.room_key)

    async def forget_everywhere(self, member_id: str) -> None:
        """Of an account that is gone."""
        await self._forget(member_id, None)

    async def _forget(self, member_id: str, room_key: int | None) -> int:
        forgotten = await (await self._stores.timelines()).forget(member_id, room_key)
        if forgotten:
            self._note_removal()
        return forgotten

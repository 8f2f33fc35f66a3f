"""Who waits at the door of a room, and what becomes of it.

A knock lives while its guest's page asks for it: whoever goes away disappears from the door. Nothing is stored, so a
restart of the server makes those who wait knock again.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from signaling.errors import ApiError
from signaling.rooms.policy import Entry, Policy

NewsListener = Callable[[int], None]
"""Called with the room's key when somebody came to its door or went from it."""


class Answer(StrEnum):
    WAITING = "waiting"
    ADMITTED = "admitted"
    DENIED = "denied"


@dataclass(slots=True)
class Knock:
    room_key: int
    member_id: str
    identity: str
    name: str
    note: str
    address: str
    at_s: float
    """Monotonic seconds of its beginning."""
    knock_id: str
    sealed: bool = False
    """Whether they encrypt what they send to a sealed room."""
    answer: Answer = Answer.WAITING
    seen_at_s: float = 0.0
    watchers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Knocks:
    """`absence_s` is how long a guest's page may be silent; `clock` gives monotonic seconds."""

    def __init__(self, *, max_per_room: int, absence_s: float, denial_s: float, clock: Callable[[], float]) -> None:
        self._max_per_room = max_per_room
        self._absence_s = absence_s
        self._denial_s = denial_s
        self._clock = clock
        self._knocks: dict[int, dict[str, Knock]] = {}
        self._denied: dict[tuple[int, str], float] = {}
        self._listeners: list[NewsListener] = []
        self._timer: asyncio.TimerHandle | None = None

    def add_listener(self, listener: NewsListener) -> None:
        self._listeners.append(listener)

    def knock(
        self, room_key: int, member_id: str, identity: str, name: str, note: str, address: str, *, sealed: bool = False
    ) -> Knock:
        """The one that waits already, or a new one. Raises `ApiError` denied, limit_reached."""
        now_s = self._clock()
        if now_s < self._denied.get((room_key, member_id), 0.0):
            raise ApiError("denied", "You were not let in.")
        self._sweep(room_key)
        knocks = self._knocks.setdefault(room_key, {})
        for earlier in knocks.values():
            if earlier.member_id == member_id and earlier.answer is Answer.WAITING:
                earlier.seen_at_s, earlier.sealed = now_s, sealed
                self._touched(earlier)
                return earlier
        if len(knocks) >= self._max_per_room:
            raise ApiError("limit_reached", "Too many wait at this door.")
        knock = Knock(room_key, member_id, identity, name, note, address, now_s, secrets.token_hex(8), sealed)
        knock.seen_at_s = now_s
        knocks[knock.knock_id] = knock
        self._added(knock)
        self._sweep_later()
        self._tell(room_key)
        return knock

    def waiting(self, room_key: int) -> list[Knock]:
        self._sweep(room_key)
        return [one for one in self._knocks.get(room_key, {}).values() if one.answer is Answer.WAITING]

    def view(self, room_key: int) -> list[dict[str, str]]:
        """Those who wait, as clients get them."""
        return [
            {"knock_id": one.knock_id, "member_id": one.member_id, "name": one.name, "note": one.note}
            for one in self.waiting(room_key)
        ]

    def find(self, room_key: int, knock_id: str) -> Knock:
        """Raises `ApiError` knock_not_found."""
        self._sweep(room_key)
        knock = self._knocks.get(room_key, {}).get(knock_id)
        if knock is None:
            raise ApiError("knock_not_found", "Nobody waits there any more.")
        return knock

    def answer(self, knock: Knock, answer: Answer) -> bool:
        """False when somebody answered before."""
        if knock.answer is not Answer.WAITING:
            return False
        knock.answer = answer
        knock.seen_at_s = self._clock()
        self._note_answer(knock.room_key, knock.member_id, answer)
        knock.changed.set()
        self._answered(knock)
        self._tell(knock.room_key)
        return True

    def _note_answer(self, room_key: int, member_id: str, answer: Answer) -> None:
        if answer is Answer.DENIED:
            self._denied[room_key, member_id] = self._clock() + self._denial_s

    async def wait(self, knock: Knock, timeout_s: float) -> Answer:
        """Its answer, or WAITING after a while. Its guest is there as long as somebody waits here."""
        knock.watchers += 1
        self._touched(knock)
        try:
            async with asyncio.timeout(timeout_s):
                await knock.changed.wait()
        except TimeoutError:
            pass
        finally:
            knock.watchers -= 1
            knock.seen_at_s = self._clock()
            self._touched(knock)
        return knock.answer

    def withdraw(self, knock: Knock) -> None:
        """Its guest went, or came in."""
        if self._knocks.get(knock.room_key, {}).pop(knock.knock_id, None) is not None:
            self._removed(knock)
            self._tell(knock.room_key)

    async def handle_policy(self, room_key: int, policy: Policy) -> None:
        """A room's policy is another one now: where the door stands open, nobody goes on waiting."""
        if policy.entry is Entry.OPEN and not policy.locked:
            for knock in self.waiting(room_key):
                self.answer(knock, Answer.ADMITTED)

    def _sweep_later(self) -> None:
        """As long as somebody is at a door: whoever went away is no longer shown."""
        if self._timer is None and self._knocks:
            self._timer = asyncio.get_running_loop().call_later(self._absence_s / 2, self._sweep_all)

    def _sweep_all(self) -> None:
        self._timer = None
        now_s = self._clock()
        self._denied = {key: until_s for key, until_s in self._denied.items() if until_s > now_s}
        for room_key in list(self._knocks):
            self._sweep(room_key)
        self._sweep_later()

    def _sweep(self, room_key: int) -> None:
        knocks = self._knocks.get(room_key)
        if knocks is None:
            return
        earliest_s = self._clock() - self._absence_s
        gone = [one for one in knocks.values() if not self._is_present(one, earliest_s)]
        for knock in gone:
            del knocks[knock.knock_id]
            self._removed(knock)
        if not knocks:
            del self._knocks[room_key]
        if gone:
            self._tell(room_key)

    def _is_present(self, knock: Knock, earliest_s: float) -> bool:
        """Whether its guest is still there."""
        return bool(knock.watchers) or knock.seen_at_s >= earliest_s

    # --- for those who keep knocks on other nodes, too (`spread`) ---------------------------------------------

    def _added(self, knock: Knock) -> None:
        """A new one."""

    def _touched(self, knock: Knock) -> None:
        """Its guest's page was heard of, or waits for an answer, or waits no longer."""

    def _removed(self, knock: Knock) -> None:
        """Nobody waits there any more."""

    def _answered(self, knock: Knock) -> None:
        """By a host, here."""

    def _tell(self, room_key: int) -> None:
        for listener in self._listeners:
            listener(room_key)

"""Breakout rooms: the people of a call go on in smaller ones for a while, and come back.

A breakout room is a call of the SFU whose home is the lasting room (`Homes`). Who belongs where is kept here, in
memory, as long as the call; people are moved with their connections and tracks. Whoever cannot be moved now (their
connection is being made, or is lost for a moment) is moved when it can be: the worker compares where people are with
where they belong until both are the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sfu.api import (
    LeaveReason,
    NodeEvent,
    ParticipantInfo,
    ParticipantJoined,
    ParticipantLeft,
    RequestError,
    RoomFinished,
    Sfu,
)
from sfu.ids import Identity, RoomName
from signaling.errors import ApiError, DatabaseError
from signaling.rooms.door import ROLE_ATTRIBUTE
from signaling.rooms.homes import Homes
from signaling.rooms.records import Chronicle
from signaling.rooms.roles import Actor, Role, member_id_of
from signaling.rooms.settings import LastingRoomSettings

_log = logging.getLogger("ting.breakouts")
MAIN = 0
"""The number of the room from which all others were made."""
_TICK_S = 1.0
"""How often those who could not be moved are tried again."""
_GATHER_S = 0.1
"""How long news wait for company."""


class How(StrEnum):
    """How people come into their rooms."""

    HAND = "hand"
    RANDOM = "random"
    CHOICE = "choice"


@dataclass(slots=True)
class Division:
    """Of one call: its rooms, and who belongs where."""

    room_key: int
    home: RoomName
    rooms: tuple[RoomName, ...]
    how: How
    ends_at_s: float | None = None
    """By the monotonic clock."""
    places: dict[str, int] = field(default_factory=dict)
    """By member; whoever is not named belongs to the main room."""
    help: dict[str, str] = field(default_factory=dict)
    """Who asks for a host: by member, their name."""
    former: tuple[RoomName, ...] = ()
    """Of a division before this one, in which there may still be somebody."""
    is_open: bool = True
    is_told: bool = False

    @property
    def all_rooms(self) -> tuple[RoomName, ...]:
        return (self.home, *self.rooms, *self.former)

    def room(self, number: int) -> RoomName:
        return self.rooms[number - 1] if number else self.home

    def wanted(self, member_id: str) -> RoomName:
        return self.room(self.places.get(member_id, MAIN) if self.is_open else MAIN)


class Breakouts:
    """`tell` gets a room's key and a message for all who follow the room; `clock` is a monotonic one, in seconds;
    `shuffle` puts a list into another order."""

    def __init__(
        self,
        sfu: Sfu,
        homes: Homes,
        tell: Callable[[int, dict[str, Any]], None],
        chronicle: Chronicle,
        settings: LastingRoomSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        shuffle: Callable[[list[str]], None] = random.shuffle,
    ) -> None:
        self._sfu = sfu
        self._homes = homes
        self._tell = tell
        self._chronicle = chronicle
        self._settings = settings
        self._clock = clock
        self._shuffle = shuffle
        self._divisions: dict[RoomName, Division] = {}
        """By home; one that is closed stays until everybody is back."""
        self._work = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    # --- what hosts do --------------------------------------------------------------------------------------

    async def open(
        self, actor: Actor, count: int, how: How, places: Mapping[str, int], ends_in_s: float | None
    ) -> None:
        """`places` names the room of members where they are divided by hand. Raises `ApiError` not_found without a
        call, limit_reached, invalid_body."""
        if self._sfu.find_room(actor.room) is None:
            raise ApiError("not_found", "There is no call now.")
        if not 1 <= count <= self._settings.max_breakout_rooms:
            raise ApiError("limit_reached", f"There may be {self._settings.max_breakout_rooms} breakout rooms.")
        if self._is_open(actor.room):
            raise ApiError("limit_reached", "There are breakout rooms already.")
        if any(not 0 <= number <= count for number in places.values()):
            raise ApiError("invalid_body", "There is no such breakout room.")
        ends_at_s = self._end_of(ends_in_s)
        await self._chronicle.note_act(
            actor.room_key, actor.member_id, actor.name, "open_breakouts", {"rooms": count, "how": how.value}
        )
        before = self._divisions.get(actor.room)
        former = () if before is None else (*before.rooms, *before.former)
        rooms = tuple(RoomName(f"breakout-{secrets.token_hex(12)}") for _ in range(count))
        division = Division(actor.room_key, actor.room, rooms, how, ends_at_s, former=former)
        if how is How.HAND:
            division.places.update(places)
        elif how is How.RANDOM:
            division.places.update(self._divide(actor.room, count))
        for room in rooms:
            self._homes.add(room, actor.room)
        # The main room waits for its people, however long nobody is in it.
        self._sfu.hold_room(actor.room, True)
        self._divisions[actor.room] = division
        self._handle_changed(division)

    def _divide(self, home: RoomName, count: int) -> dict[str, int]:
        """Everybody but hosts, as evenly as it goes."""
        people = self._sfu.participants(home)
        members = list(dict.fromkeys(member_id_of(one.identity) for one in people if not _is_host(one)))
        self._shuffle(members)
        return {member: 1 + place % count for place, member in enumerate(members)}

    async def close(self, actor: Actor) -> None:
        """Everybody comes back. Raises `ApiError` not_found."""
        await self._close(self._require(actor), actor.member_id, actor.name)

    async def _close(self, division: Division, by: str, name: str) -> None:
        division.is_open = False
        division.help.clear()
        self._sfu.hold_room(division.home, False)
        self._handle_changed(division)
        await self._chronicle.note_act(division.room_key, by, name, "close_breakouts", {})

    def end_in(self, actor: Actor, ends_in_s: float | None) -> None:
        """With None there is no end by itself. Raises `ApiError` not_found, limit_reached."""
        division = self._require(actor)
        division.ends_at_s = self._end_of(ends_in_s)
        self._handle_changed(division)

    def move(self, actor: Actor, member_id: str, number: int) -> None:
        """Raises `ApiError` not_found."""
        self._put(self._require(actor), member_id, number)

    # --- what everybody does --------------------------------------------------------------------------------

    def choose(self, actor: Actor, number: int) -> None:
        """Go to a room oneself: hosts to every one, others where people choose, and everybody back to the main room.
        Raises `ApiError` not_found, forbidden."""
        division = self._require(actor)
        if number != MAIN and division.how is not How.CHOICE and not actor.role.reaches(Role.MODERATOR):
            raise ApiError("forbidden", "Hosts say who goes where.")
        if actor.role.reaches(Role.MODERATOR):
            for member in [one for one in division.help if division.places.get(one, MAIN) == number]:
                del division.help[member]
        self._put(division, actor.member_id, number)

    def ask_for_help(self, actor: Actor, on: bool) -> None:
        """Raises `ApiError` not_found."""
        division = self._require(actor)
        self._require_present(division, actor.member_id)
        if on:
            division.help[actor.member_id] = actor.name
        else:
            division.help.pop(actor.member_id, None)
        self._handle_changed(division)

    def _put(self, division: Division, member_id: str, number: int) -> None:
        if not 0 <= number <= len(division.rooms):
            raise ApiError("not_found", "There is no such breakout room.")
        self._require_present(division, member_id)
        division.places[member_id] = number
        division.help.pop(member_id, None)
        self._handle_changed(division)

    # --- what everybody sees --------------------------------------------------------------------------------

    def view(self, room: RoomName) -> dict[str, Any]:
        """The state as clients get it: without a division, that there is none. `ends_in_ms` counts from now, because
        clocks differ."""
        division = self._divisions.get(room)
        if division is None or not division.is_open:
            return {"open": False}
        ends_at_s, everybody = division.ends_at_s, []
        rooms = []
        for number in range(len(division.rooms) + 1):
            people = self._sfu.participants(division.room(number))
            everybody += people
            named = {member_id_of(one.identity): one.name for one in people}
            rooms.append({"number": number, "people": [{"member_id": key, "name": named[key]} for key in named]})
        return {
            "open": True,
            "how": division.how.value,
            "rooms": rooms,
            "ends_in_ms": None if ends_at_s is None else max(0, round(1000 * (ends_at_s - self._clock()))),
            "help": [{"member_id": key, "name": name} for key, name in division.help.items()],
            "hosts": sorted({member_id_of(one.identity) for one in everybody if _is_host(one)}),
        }

    # --- the worker -----------------------------------------------------------------------------------------

    def handle(self, event: NodeEvent) -> None:
        if not isinstance(event, ParticipantJoined | ParticipantLeft | RoomFinished):
            return
        division = self._divisions.get(self._homes.home_of(event.room.name))
        if division is None:
            return
        match event:
            case ParticipantJoined(room, participant):
                self._leave_elsewhere(division, room.name, participant.identity)
            case RoomFinished(room) if room.name == division.home:
                self._forget(division.home)
                return
            case _:
                pass
        self._wake(division)

    async def stop(self) -> None:
        """Nobody is moved any more."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
            self._worker = None

    def _leave_elsewhere(self, division: Division, here: RoomName, identity: Identity) -> None:
        """Whoever comes anew, after a reload for example, is nowhere else any more."""
        for room in division.all_rooms:
            session = self._sfu.find_participant(room, identity) if room != here else None
            if session is not None:
                with contextlib.suppress(RequestError):
                    session.leave(LeaveReason.DUPLICATE_IDENTITY)

    def _wake(self, division: Division) -> None:
        division.is_told = False
        self._work.set()
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work_on())

    async def _work_on(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._work.wait(), _TICK_S if self._divisions else None)
            self._work.clear()
            await asyncio.sleep(_GATHER_S)
            for division in list(self._divisions.values()):
                try:
                    await self._look_after(division)
                except (ApiError, DatabaseError) as error:
                    _log.error("breakout rooms could not be noted: %s", error)
                except Exception:
                    _log.exception("breakout rooms could not be looked after")

    async def _look_after(self, division: Division) -> None:
        is_over = division.ends_at_s is not None and self._clock() >= division.ends_at_s
        if division.is_open and is_over and self._ends_what_is_over():
            await self._close(division, "", "")
        if not division.is_told:
            division.is_told = True
            self._tell(division.room_key, {"type": "breakouts", **self.view(division.home)})
        self._settle(division)
        if not division.is_open and not any(self._sfu.participants(room) for room in division.all_rooms[1:]):
            self._forget(division.home)

    def _settle(self, division: Division) -> None:
        for here in division.all_rooms:
            for person in self._sfu.participants(here):
                wanted = division.wanted(member_id_of(person.identity))
                if wanted != here and self._moves(here, person):
                    self._move(division, here, person, wanted)

    def _move(self, division: Division, here: RoomName, person: ParticipantInfo, wanted: RoomName) -> None:
        try:
            self._sfu.move_participant(here, person.identity, wanted, create=True)
        except RequestError as error:
            if error.code == "limit_exceeded":
                _log.warning("a breakout room had no place: %s", error)
                division.places.pop(member_id_of(person.identity), None)
                self._handle_changed(division)
            # Whoever is not connected now is tried again; whoever left is not there any more.

    # --- helpers --------------------------------------------------------------------------------------------

    def _is_open(self, room: RoomName) -> bool:
        division = self._divisions.get(room)
        return division is not None and division.is_open

    def _require(self, actor: Actor) -> Division:
        division = self._divisions.get(actor.room)
        if division is None or not division.is_open:
            raise ApiError("not_found", "There are no breakout rooms now.")
        return division

    def _require_present(self, division: Division, member_id: str) -> None:
        people = (one for room in division.all_rooms for one in self._sfu.participants(room))
        if not any(member_id_of(one.identity) == member_id for one in people):
            raise ApiError("not_found", "There is nobody of this identity in the call.")

    def _end_of(self, ends_in_s: float | None) -> float | None:
        if ends_in_s is None:
            return None
        if ends_in_s > self._settings.max_breakout_s:
            raise ApiError("limit_reached", "Breakout rooms do not stay so long.")
        return self._clock() + ends_in_s

    def _forget(self, home: RoomName) -> None:
        division = self._divisions.pop(home, None)
        if division is None:
            return
        for room in division.all_rooms[1:]:
            self._homes.remove(room)
            with contextlib.suppress(RequestError):
                self._sfu.end_room(room)
        self._handle_forgotten(home)
        if division.is_open:
            self._tell(division.room_key, {"type": "breakouts", "open": False})

    # --- for those that are divided over several nodes, too (`spread_breakouts`) -------------------------------

    def _handle_changed(self, division: Division) -> None:
        """Somebody has changed it here."""
        self._wake(division)

    def _handle_forgotten(self, home: RoomName) -> None:
        """There is none any more."""

    def _moves(self, room: RoomName, person: ParticipantInfo) -> bool:
        """Whether it is for us to move them."""
        return True

    def _ends_what_is_over(self) -> bool:
        """Whether it is for us to end what was to last until now."""
        return True


def _is_host(person: ParticipantInfo) -> bool:
    return person.attributes.get(ROLE_ATTRIBUTE) in (Role.MODERATOR, Role.OWNER)

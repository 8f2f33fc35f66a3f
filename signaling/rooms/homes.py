"""Which lasting room a call belongs to.

A breakout room is a call of its own for the SFU, and for everybody else a part of the room that it was made from: the
same door, roles, bans, log and keys.
"""

from __future__ import annotations

from sfu.ids import RoomName


class Homes:
    def __init__(self) -> None:
        self._homes: dict[str, RoomName] = {}

    def add(self, breakout: RoomName, home: RoomName) -> None:
        self._homes[breakout] = home

    def remove(self, breakout: RoomName) -> None:
        self._homes.pop(breakout, None)

    def home_of(self, room: str) -> RoomName:
        """The room itself where it is no breakout room."""
        return self._homes.get(room, RoomName(room))

    def is_breakout(self, room: str) -> bool:
        return room in self._homes

    def rooms_of(self, home: RoomName) -> list[RoomName]:
        """The room and its breakout rooms."""
        return [home, *(RoomName(name) for name, of in self._homes.items() if of == home)]

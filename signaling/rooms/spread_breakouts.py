"""Breakout rooms of a call that is on several nodes: each of them knows the division, and moves those who are on it.

Whatever node a host's request comes to, what it changes is told to the others as the whole state; of two changes at
once the one that is told last counts. Each node tells those who follow the room there. What is to end by itself is
ended by the node whose name comes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sfu.api import ParticipantInfo, Sfu
from sfu.ids import RoomName
from signaling.rooms.breakouts import Breakouts, Division, How

TOPIC = "breakouts"


class _State(msgspec.Struct, tag_field="kind", tag="state"):
    room_key: int
    home: str
    rooms: Sequence[str]
    how: How
    ends_in_s: float | None
    """From when it is sent."""
    places: Mapping[str, int]
    help: Mapping[str, str]
    former: Sequence[str]
    is_open: bool


class _Over(msgspec.Struct, tag_field="kind", tag="over"):
    home: str


_decode = msgspec.msgpack.Decoder(_State | _Over).decode
_encode = msgspec.msgpack.Encoder().encode


class SpreadBreakouts(Breakouts):
    """A `sfu.api.NodeTopicListener`. `node` is the name of this one; the `tell` of `Breakouts` is for those here."""

    def __init__(self, node: str, sfu: Sfu, *arguments: Any, **options: Any) -> None:
        super().__init__(sfu, *arguments, **options)
        self._node = node
        self._others: set[str] = set()
        sfu.listen_to_nodes(TOPIC, self)

    def _handle_changed(self, division: Division) -> None:
        super()._handle_changed(division)
        self._sfu.send_to_nodes(TOPIC, _encode(self._state(division)))

    def _handle_forgotten(self, home: RoomName) -> None:
        self._sfu.send_to_nodes(TOPIC, _encode(_Over(home)))

    def _moves(self, room: RoomName, person: ParticipantInfo) -> bool:
        return self._sfu.find_session(room, person.participant_id) is not None

    def _ends_what_is_over(self) -> bool:
        return all(self._node < other for other in self._others)

    def _state(self, division: Division) -> _State:
        ends_in_s = None if division.ends_at_s is None else division.ends_at_s - self._clock()
        return _State(
            division.room_key,
            division.home,
            division.rooms,
            division.how,
            ends_in_s,
            division.places,
            division.help,
            division.former,
            division.is_open,
        )

    def handle_node_up(self, node: str) -> None:
        self._others.add(node)
        for division in self._divisions.values():
            self._sfu.send_to_nodes(TOPIC, _encode(self._state(division)), node)

    def handle_node_down(self, node: str) -> None:
        """Whoever was on it comes back on another one, and belongs where they belonged."""
        self._others.discard(node)

    def handle_node_message(self, node: str, payload: bytes) -> None:
        match _decode(payload):
            case _State() as state:
                self._take(state)
            case _Over(home=home):
                division = self._divisions.pop(RoomName(home), None)
                if division is not None and division.is_open:
                    self._tell(division.room_key, {"type": "breakouts", "open": False})

    def _take(self, state: _State) -> None:
        home = RoomName(state.home)
        division = Division(
            state.room_key,
            home,
            tuple(RoomName(room) for room in state.rooms),
            state.how,
            None if state.ends_in_s is None else self._clock() + state.ends_in_s,
            dict(state.places),
            dict(state.help),
            tuple(RoomName(room) for room in state.former),
            state.is_open,
        )
        before = self._divisions.get(home)
        self._divisions[home] = division
        if before is None or before.is_open is not division.is_open:
            # A room that waits for its people outlives the node on which it was divided.
            self._sfu.hold_room(home, division.is_open)
        self._wake(division)

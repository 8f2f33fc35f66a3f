"""Of a cluster: what a node remembers of rooms and who waits at their doors, told to the others.

Each node keeps what it was told first-hand and tells of it; what others have told is kept until they take it back or
are gone. Who waits is asked after by a guest's page at whatever node its requests come to: the node that it came to
first keeps the knock, and hears from the others that the guest is still there, and what a host has answered.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from sfu.api import Sfu
from sfu.ids import RoomName
from signaling.rooms.homes import Homes
from signaling.rooms.knocks import Answer, Knock, Knocks

_log = logging.getLogger("ting.cluster")


class _Message(msgspec.Struct, tag_field="kind"):
    pass


class _Home(_Message, tag="home"):
    breakout: str
    home: str
    """Empty: it is no breakout room any more."""


class SpreadHomes(Homes):
    """A `sfu.api.NodeTopicListener`. A breakout room outlives the node that made it, as long as somebody is there."""

    TOPIC = "homes"

    def __init__(self, sfu: Sfu) -> None:
        super().__init__()
        self._sfu = sfu
        self._own: dict[RoomName, RoomName] = {}
        sfu.listen_to_nodes(self.TOPIC, self)

    def add(self, breakout: RoomName, home: RoomName) -> None:
        super().add(breakout, home)
        self._own[breakout] = home
        self._sfu.send_to_nodes(self.TOPIC, msgspec.msgpack.encode(_Home(breakout, home)))

    def remove(self, breakout: RoomName) -> None:
        super().remove(breakout)
        self._own.pop(breakout, None)
        self._sfu.send_to_nodes(self.TOPIC, msgspec.msgpack.encode(_Home(breakout, "")))

    def handle_node_up(self, node: str) -> None:
        for breakout, home in self._own.items():
            self._sfu.send_to_nodes(self.TOPIC, msgspec.msgpack.encode(_Home(breakout, home)), node)

    def handle_node_down(self, node: str) -> None:
        """What it said stays true."""

    def handle_node_message(self, node: str, payload: bytes) -> None:
        message = msgspec.msgpack.decode(payload, type=_Home)
        if message.home:
            super().add(RoomName(message.breakout), RoomName(message.home))
        else:
            super().remove(RoomName(message.breakout))


class _Waits(_Message, tag="waits"):
    """Somebody has come to a door on the sender, or still waits there."""

    room_key: int
    member_id: str
    identity: str
    name: str
    note: str
    address: str
    knock_id: str
    sealed: bool


class _Gone(_Message, tag="gone"):
    """Nobody waits there any more on the sender; or, to the node that keeps it: the guest has withdrawn."""

    room_key: int
    knock_id: str


class _Seen(_Message, tag="seen"):
    """The guest's page has asked on the sender; `watchers` requests of it wait there now."""

    room_key: int
    knock_id: str
    watchers: int


class _Answered(_Message, tag="answered"):
    room_key: int
    knock_id: str
    answer: Answer
    member_id: str


_decode = msgspec.msgpack.Decoder(_Waits | _Gone | _Seen | _Answered).decode
_encode = msgspec.msgpack.Encoder().encode


class SpreadKnocks(Knocks):
    """A `sfu.api.NodeTopicListener`."""

    TOPIC = "knocks"

    def __init__(self, sfu: Sfu, **settings: Any) -> None:
        super().__init__(**settings)
        self._sfu = sfu
        self._keepers: dict[str, str] = {}
        """The node that keeps a knock, of those that this one does not keep."""
        self._watched: dict[tuple[str, str], int] = {}
        """Requests of a guest that wait on other nodes, by node and knock, of those that this one keeps."""
        sfu.listen_to_nodes(self.TOPIC, self)

    # --- here -----------------------------------------------------------------------------------------------

    def _added(self, knock: Knock) -> None:
        self._sfu.send_to_nodes(self.TOPIC, _encode(_waits(knock)))

    def _touched(self, knock: Knock) -> None:
        keeper = self._keepers.get(knock.knock_id)
        if keeper is not None:
            self._sfu.send_to_nodes(self.TOPIC, _encode(_Seen(knock.room_key, knock.knock_id, knock.watchers)), keeper)

    def _removed(self, knock: Knock) -> None:
        self._keepers.pop(knock.knock_id, None)
        self._watched = {key: number for key, number in self._watched.items() if key[1] != knock.knock_id}
        self._sfu.send_to_nodes(self.TOPIC, _encode(_Gone(knock.room_key, knock.knock_id)))

    def _answered(self, knock: Knock) -> None:
        answered = _Answered(knock.room_key, knock.knock_id, knock.answer, knock.member_id)
        self._sfu.send_to_nodes(self.TOPIC, _encode(answered))

    def _is_present(self, knock: Knock, earliest_s: float) -> bool:
        """One that another node keeps is there until that one says otherwise."""
        if knock.knock_id in self._keepers:
            return True
        watched = any(number for (_, knock_id), number in self._watched.items() if knock_id == knock.knock_id)
        return watched or super()._is_present(knock, earliest_s)

    # --- on other nodes ---------------------------------------------------------------------------------------

    def handle_node_up(self, node: str) -> None:
        for knocks in self._knocks.values():
            for knock in knocks.values():
                if knock.knock_id not in self._keepers and knock.answer is Answer.WAITING:
                    self._sfu.send_to_nodes(self.TOPIC, _encode(_waits(knock)), node)

    def handle_node_down(self, node: str) -> None:
        """Whoever waited there knocks again: their page asks for what is gone."""
        self._watched = {key: number for key, number in self._watched.items() if key[0] != node}
        for room_key, knocks in list(self._knocks.items()):
            for knock in [one for one in knocks.values() if self._keepers.get(one.knock_id) == node]:
                self._forget(room_key, knock)

    def handle_node_message(self, node: str, payload: bytes) -> None:
        message = _decode(payload)
        knock = self._knocks.get(message.room_key, {}).get(message.knock_id)
        match message:
            case _Waits() if knock is None:
                self._take(node, message)
            case _Gone() if knock is not None:
                self._forget(message.room_key, knock)
                if self._keepers.get(message.knock_id) is None:
                    self._sfu.send_to_nodes(self.TOPIC, payload)
            case _Seen(watchers=watchers) if knock is not None:
                knock.seen_at_s = self._clock()
                self._watched[node, message.knock_id] = watchers
            case _Answered(answer=answer, member_id=member_id):
                self._note_answer(message.room_key, member_id, answer)
                if knock is not None and knock.answer is Answer.WAITING:
                    knock.answer, knock.seen_at_s = answer, self._clock()
                    knock.changed.set()
                    self._tell(message.room_key)
            case _:
                _log.debug("node %s tells of a knock that is not there", node)

    def _take(self, node: str, told: _Waits) -> None:
        now_s = self._clock()
        knock = Knock(
            told.room_key, told.member_id, told.identity, told.name, told.note, told.address, now_s, told.knock_id,
            told.sealed,
        )  # fmt: skip
        knock.seen_at_s = now_s
        self._keepers[knock.knock_id] = node
        self._knocks.setdefault(told.room_key, {})[knock.knock_id] = knock
        self._tell(told.room_key)

    def _forget(self, room_key: int, knock: Knock) -> None:
        self._keepers.pop(knock.knock_id, None)
        knocks = self._knocks.get(room_key, {})
        if knocks.pop(knock.knock_id, None) is not None:
            if not knocks:
                self._knocks.pop(room_key, None)
            self._tell(room_key)


def _waits(knock: Knock) -> _Waits:
    return _Waits(
        knock.room_key,
        knock.member_id,
        knock.identity,
        knock.name,
        knock.note,
        knock.address,
        knock.knock_id,
        knock.sealed,
    )

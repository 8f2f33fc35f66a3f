"""Of a cluster: whom the door of one node has let in, and which rooms were opened, told to the other nodes.

A guest's requests may come to any node. A ban that is spoken on one is to hold for the addresses that others have seen;
a room that is sealed no longer is open on all of them at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence

import msgspec

from sfu.api import Sfu
from sfu.ids import RoomName
from signaling.errors import DatabaseError
from signaling.rooms.admissions import Admissions
from signaling.rooms.homes import Homes
from signaling.rooms.kinds import SealedRooms
from signaling.rooms.records import RoomStores

_MAX_TOGETHER = 500
"""Entries of one message."""


class _Message(msgspec.Struct, tag_field="kind"):
    pass


class _Admitted(_Message, tag="admitted"):
    entries: Sequence[tuple[int, str, Sequence[str]]]
    """Of each the room's key, the member, and hashes of addresses."""


class _Left(_Message, tag="forgotten"):
    room_key: int
    member_id: str | None


class _Opened(_Message, tag="opened"):
    room_key: int


_encode = msgspec.msgpack.Encoder().encode
_decode_admission = msgspec.msgpack.Decoder(_Admitted | _Left).decode
_decode_kind = msgspec.msgpack.Decoder(_Opened).decode


class SpreadAdmissions(Admissions):
    """A `sfu.api.NodeTopicListener`."""

    TOPIC = "admissions"

    def __init__(self, sfu: Sfu) -> None:
        super().__init__()
        self._sfu = sfu
        self._own = Admissions()
        """Those of this node's door."""
        sfu.listen_to_nodes(self.TOPIC, self)

    def add(self, room_key: int, member_id: str, addresses: Iterable[str]) -> None:
        addresses = list(addresses)
        super().add(room_key, member_id, addresses)
        self._own.add(room_key, member_id, addresses)
        self._sfu.send_to_nodes(self.TOPIC, _encode(_Admitted([(room_key, member_id, addresses)])))

    def forget(self, room_key: int, member_id: str | None = None) -> None:
        self._forget(room_key, member_id)
        self._sfu.send_to_nodes(self.TOPIC, _encode(_Left(room_key, member_id)))

    def _forget(self, room_key: int, member_id: str | None) -> None:
        super().forget(room_key, member_id)
        self._own.forget(room_key, member_id)

    def handle_node_up(self, node: str) -> None:
        entries = [(*key, list(addresses)) for key, addresses in self._own.all().items()]
        for begin in range(0, len(entries), _MAX_TOGETHER):
            self._sfu.send_to_nodes(self.TOPIC, _encode(_Admitted(entries[begin : begin + _MAX_TOGETHER])), node)

    def handle_node_down(self, node: str) -> None:
        """Whom it has let in stay so."""

    def handle_node_message(self, node: str, payload: bytes) -> None:
        match _decode_admission(payload):
            case _Admitted(entries):
                for room_key, member_id, addresses in entries:
                    super().add(room_key, member_id, addresses)
            case _Left(room_key, member_id):
                self._forget(room_key, member_id)


class SpreadSealedRooms(SealedRooms):
    """A `sfu.api.NodeTopicListener`."""

    TOPIC = "kinds"

    def __init__(self, stores: RoomStores, homes: Homes, sfu: Sfu) -> None:
        super().__init__(stores, homes)
        self._sfu = sfu
        self._looks: set[asyncio.Task[None]] = set()
        sfu.listen_to_nodes(self.TOPIC, self)

    def forget(self, room_key: int) -> None:
        super().forget(room_key)
        self._sfu.send_to_nodes(self.TOPIC, _encode(_Opened(room_key)))

    def handle_node_up(self, node: str) -> None:
        """What was opened on it before is in the database."""
        if self._keys:
            look = asyncio.get_running_loop().create_task(self._look_again())
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)

    async def _look_again(self) -> None:
        with contextlib.suppress(DatabaseError):
            for name in list(self._keys):
                await self.look(RoomName(name))

    def handle_node_down(self, node: str) -> None:
        """What it said stays true."""

    def handle_node_message(self, node: str, payload: bytes) -> None:
        super().forget(_decode_kind(payload).room_key)

"""`Live` over several nodes: who follows a room on another node is a listener here as well, a far one.

So all that is said to listeners reaches them wherever they are, and whoever watches listeners (the presence of sealed
rooms) sees those of all nodes. What is said to many of one node leaves once. Entries go to every node whole, and are
told there in the order of the log. A follower that may have missed something is closed: its client starts over from the
last entry that it has.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from sfu.api import Sfu
from signaling.log.entries import Entry
from signaling.log.live import Listener, Live, News, offer_entry
from signaling.rooms.roles import Role

TOPIC = "live"
MAX_GAP_S = 1.0
"""How long an entry waits for those before it."""


class _Message(msgspec.Struct, tag_field="kind"):
    pass


class _Come(_Message, tag="come"):
    number: int
    """The sender's, of this listener."""
    room_key: int
    member_id: str
    identity: str
    role: str
    device_id: str
    name: str
    device: str


class _Go(_Message, tag="go"):
    number: int


class _Say(_Message, tag="say"):
    numbers: Sequence[int]
    """Of the receiver's listeners."""
    message: Mapping[str, Any]


class _End(_Message, tag="end"):
    number: int
    code: str


class _Written(_Message, tag="written"):
    room_key: int
    entry: Entry


_decode = msgspec.msgpack.Decoder(_Come | _Go | _Say | _End | _Written).decode
_encode = msgspec.msgpack.Encoder().encode


class FarListener(Listener):
    """One whose connection is on another node."""

    def __init__(
        self, node: str, come: _Come, say: Callable[[FarListener, News], None], end: Callable[[FarListener, str], None]
    ):
        super().__init__(
            come.room_key,
            come.member_id,
            come.identity,
            Role(come.role),
            come.device_id,
            max_queue=1,
            name=come.name,
            device=come.device,
        )
        self.node = node
        self.number = come.number
        self._say = say
        self._tell_end = end

    def offer(self, news: News) -> None:
        self._say(self, news)

    def end(self, code: str) -> None:
        if self.ended is None:
            self.ended = code
            self._tell_end(self, code)


class _Order:
    """The entries of one room, put into the order of its log."""

    def __init__(self) -> None:
        self.next_seq: int | None = None
        """None before the first."""
        self.held: dict[int, Entry] = {}
        self.timer: asyncio.TimerHandle | None = None

    def take(self, entry: Entry) -> list[Entry]:
        """Those that can be told now."""
        if entry.seq == 0:
            return [entry]
        if self.next_seq is None:
            self.next_seq = entry.seq
        if entry.seq < self.next_seq:
            return []
        self.held[entry.seq] = entry
        return self.release()

    def release(self) -> list[Entry]:
        released = []
        while self.next_seq is not None and self.next_seq in self.held:
            released.append(self.held.pop(self.next_seq))
            self.next_seq += 1
        return released


class SpreadLive(Live):
    """Hears of other nodes as a `sfu.api.NodeTopicListener`."""

    def __init__(self, sfu: Sfu) -> None:
        super().__init__()
        self._sfu = sfu
        self._numbers = itertools.count(1)
        self._own: dict[int, Listener] = {}
        self._number_of: dict[Listener, int] = {}
        self._far: dict[str, dict[int, FarListener]] = {}
        self._orders: dict[int, _Order] = {}
        self._lost: set[str] = set()
        """Nodes that were here once and are not."""
        self._said: list[tuple[str, int, News]] = []
        """What leaves for other nodes at the end of this turn of the loop."""
        sfu.listen_to_nodes(TOPIC, self)

    # --- listeners here -------------------------------------------------------------------------------------------

    def add(self, listener: Listener) -> None:
        number = next(self._numbers)
        self._own[number], self._number_of[listener] = listener, number
        super().add(listener)
        self._sfu.send_to_nodes(TOPIC, _encode(_come(number, listener)))

    def remove(self, listener: Listener) -> None:
        number = self._number_of.pop(listener, None)
        super().remove(listener)
        if number is not None:
            del self._own[number]
            self._sfu.send_to_nodes(TOPIC, _encode(_Go(number)))
        if not self._here(listener.room_key):
            order = self._orders.pop(listener.room_key, None)
            if order is not None and order.timer is not None:
                order.timer.cancel()

    def _here(self, room_key: int) -> list[Listener]:
        return [listener for listener in self.of(room_key) if not isinstance(listener, FarListener)]

    def shut_down(self) -> None:
        """Of those here: the others are not concerned."""
        for far in self._far.values():
            for listener in far.values():
                super().remove(listener)
        self._far.clear()
        super().shut_down()

    # --- entries ----------------------------------------------------------------------------------------------------

    def publish(self, room_key: int, entry: Entry) -> None:
        nodes = {listener.node for listener in self.of(room_key) if isinstance(listener, FarListener)}
        if nodes:
            written = _encode(_Written(room_key, entry))
            for node in nodes:
                self._sfu.send_to_nodes(TOPIC, written, node)
        self._publish_here(room_key, entry)

    def _publish_here(self, room_key: int, entry: Entry) -> None:
        here = self._here(room_key)
        if not here:
            return
        order = self._orders.setdefault(room_key, _Order())
        self._tell_entries(order.take(entry), here)
        if order.held and order.timer is None:
            order.timer = asyncio.get_running_loop().call_later(MAX_GAP_S, self._give_up, room_key)
        elif not order.held and order.timer is not None:
            order.timer.cancel()
            order.timer = None

    def _give_up(self, room_key: int) -> None:
        """Something between has not come: who follows the room gets it by starting over."""
        self._orders.pop(room_key, None)
        self._start_over(self._here(room_key))

    @staticmethod
    def _start_over(listeners: Sequence[Listener]) -> None:
        for listener in listeners:
            listener.overflow()

    @staticmethod
    def _tell_entries(entries: Sequence[Entry], listeners: Sequence[Listener]) -> None:
        for entry in entries:
            offer_entry(entry, listeners)

    def tell_here(self, room_key: int, message: dict[str, Any]) -> None:
        """What every node tells its own."""
        news = News(message)
        for listener in self._here(room_key):
            listener.offer(news)

    # --- listeners on other nodes -----------------------------------------------------------------------------------

    def handle_node_up(self, node: str) -> None:
        self._far[node] = {}
        for number, listener in self._own.items():
            self._sfu.send_to_nodes(TOPIC, _encode(_come(number, listener)), node)
        if node in self._lost:
            # What it wrote while it was not connected was not told here.
            self._lost.discard(node)
            self._start_over(list(self._own.values()))

    def handle_node_down(self, node: str) -> None:
        """What it wrote last may not have been told here."""
        self._lost.add(node)
        self._start_over(list(self._own.values()))
        for listener in self._far.pop(node, {}).values():
            super().remove(listener)

    def handle_node_message(self, node: str, payload: bytes) -> None:
        message = _decode(payload)
        far = self._far.setdefault(node, {})
        match message:
            case _Come(number=number):
                listener = FarListener(
                    node,
                    message,
                    lambda one, news: self._say(node, one.number, news),
                    lambda one, code: self._sfu.send_to_nodes(TOPIC, _encode(_End(one.number, code)), node),
                )
                far[number] = listener
                super().add(listener)
            case _Go(number=number):
                gone = far.pop(number, None)
                if gone is not None:
                    super().remove(gone)
            case _Say(numbers=numbers, message=said):
                news = News(dict(said))
                for number in numbers:
                    if number in self._own:
                        self._own[number].offer(news)
            case _End(number=number, code=code):
                if number in self._own:
                    self._end(self._own[number], code)
            case _Written(room_key=room_key, entry=entry):
                self._publish_here(room_key, entry)

    def _say(self, node: str, number: int, news: News) -> None:
        if not self._said:
            asyncio.get_running_loop().call_soon(self._flush)
        self._said.append((node, number, news))

    def _flush(self) -> None:
        said, self._said = self._said, []
        for (node, _), group in itertools.groupby(said, key=lambda one: (one[0], id(one[2]))):
            together = list(group)
            numbers = [number for _, number, _ in together]
            self._sfu.send_to_nodes(TOPIC, _encode(_Say(numbers, together[0][2].message)), node)


def _come(number: int, listener: Listener) -> _Come:
    return _Come(
        number,
        listener.room_key,
        listener.member_id,
        listener.identity,
        listener.role.value,
        listener.device_id,
        listener.name,
        listener.device,
    )

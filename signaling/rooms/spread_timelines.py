"""Of a cluster: how a call goes for those who are on other nodes, asked of these when somebody wants to know."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import msgspec

from sfu.api import CallTimeline, Sfu
from sfu.ids import RoomName
from signaling.rooms.homes import Homes
from signaling.rooms.timelines import CallTimelines

ANSWER_S = 2.0
"""How long another node may take; what it says later is not waited for."""
MAX_QUESTIONS = 100
"""Of this node that wait at once. Who asks then hears of this node's people alone."""


class _Message(msgspec.Struct, tag_field="kind"):
    pass


class _Ask(_Message, tag="ask"):
    number: int
    """The sender's."""
    rooms: Sequence[RoomName]
    member_id: str
    """Empty: everybody's."""


class _One(_Message, tag="one"):
    """Each by itself, so that no message is long."""

    number: int
    timeline: CallTimeline


class _Done(_Message, tag="done"):
    number: int


_decode = msgspec.msgpack.Decoder(_Ask | _One | _Done).decode
_encode = msgspec.msgpack.Encoder().encode


class _Question:
    def __init__(self, nodes: set[str]) -> None:
        self.open = nodes
        self.found: list[CallTimeline] = []
        self.answered = asyncio.Event()
        self.close("")

    def close(self, node: str) -> None:
        self.open.discard(node)
        if not self.open:
            self.answered.set()


class SpreadTimelines(CallTimelines):
    """A `sfu.api.NodeTopicListener`."""

    TOPIC = "timelines"

    def __init__(self, sfu: Sfu, homes: Homes) -> None:
        super().__init__(sfu, homes)
        self._nodes: set[str] = set()
        self._questions: dict[int, _Question] = {}
        self._numbers = itertools.count(1)
        sfu.listen_to_nodes(self.TOPIC, self)

    async def _elsewhere(self, rooms: Sequence[RoomName], member_id: str) -> Sequence[CallTimeline]:
        if not self._nodes or len(self._questions) >= MAX_QUESTIONS:
            return ()
        number, question = next(self._numbers), _Question(set(self._nodes))
        self._questions[number] = question
        self._sfu.send_to_nodes(self.TOPIC, _encode(_Ask(number, rooms, member_id)))
        try:
            async with asyncio.timeout(ANSWER_S):
                await question.answered.wait()
        except TimeoutError:
            pass
        finally:
            del self._questions[number]
        return question.found

    # --- other nodes ----------------------------------------------------------------------------------------

    def handle_node_up(self, node: str) -> None:
        self._nodes.add(node)

    def handle_node_down(self, node: str) -> None:
        self._nodes.discard(node)
        for question in self._questions.values():
            question.close(node)

    def handle_node_message(self, node: str, payload: bytes) -> None:
        message = _decode(payload)
        if isinstance(message, _Ask):
            for one in self.here(message.rooms, message.member_id):
                self._sfu.send_to_nodes(self.TOPIC, _encode(_One(message.number, one)), node)
            self._sfu.send_to_nodes(self.TOPIC, _encode(_Done(message.number)), node)
            return
        question = self._questions.get(message.number)
        if question is None or node not in question.open:
            return
        if isinstance(message, _One):
            question.found.append(message.timeline)
        else:
            question.close(node)

"""One message to many: what becomes of it at each of them, wherever their channels are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from sfu.api import DataKind, LeaveReason
from sfu.config import SfuConfig
from sfu.control.data.messages import Messages as Outbox
from sfu.control.data.messages import deliver_to_all
from sfu.engine.api import NOT_READY, NOT_TAKEN
from sfu.ids import ParticipantId
from sfu.transport.channels import NUMBERS

ALICE = ParticipantId("PA_alice")
CONFIG = SfuConfig(data_wait_from_bytes=1000)


class Receiver:
    """Somebody with a channel, that of an engine or not."""

    def __init__(self, *, has_link: bool = True) -> None:
        self.got: list[tuple[DataKind, bytes]] = []
        self.outcome: int | None = None
        """What happens to messages instead of being taken."""
        self.unsent = 0
        self.left: list[LeaveReason] = []
        self.counters: Counter[str] = Counter()
        self.data_link: Any = self if has_link else None
        member: Any = SimpleNamespace(leave=self.left.append)
        context: Any = SimpleNamespace(config=CONFIG, loop=SimpleNamespace(time=lambda: 10.0), counters=self.counters)
        self.messages = Outbox(member, context, self, lambda _packet: None, lambda _is_reading: None)
        self.messages.handle_open()

    @property
    def data_open(self) -> bool:
        return self.outcome != NOT_READY

    def unsent_bytes(self) -> int:
        return self.unsent

    def send_data(self, kind: DataKind, payload: bytes) -> bool:
        if self.outcome is not None:
            return False
        self.got.append((kind, payload))
        return True

    def send_to_all(self, links: Sequence[Receiver], kind: int, payload: bytes) -> list[int]:
        kinds = {number: kind for kind, number in NUMBERS.items()}
        outcomes = []
        for link in links:
            took = link.outcome is None and link.send_data(kinds[kind], payload)
            outcomes.append(link.unsent if took else link.outcome or NOT_TAKEN)
        return outcomes


def deliver(receivers: list[Receiver], kind: DataKind, payload: bytes, sequence: int = 0) -> list[Receiver]:
    """Those who are behind."""
    behind = deliver_to_all([one.messages for one in receivers], kind, payload, ALICE, sequence)
    return [one for one in receivers if one.messages.load in behind]


@pytest.fixture
def receivers() -> list[Receiver]:
    return [Receiver(has_link=index != 1) for index in range(4)]


@pytest.mark.parametrize("kind", [DataKind.RELIABLE, DataKind.LOSSY])
def test_all_get_it(receivers: list[Receiver], kind: DataKind) -> None:
    assert deliver(receivers, kind, b"to all") == []
    assert [one.got for one in receivers] == [[(kind, b"to all")]] * 4
    assert deliver([], kind, b"to nobody") == []


@pytest.mark.parametrize("which", [0, 1], ids=["of the engine", "another"])
def test_reliable_waits_for_a_channel_that_is_not_ready_and_is_not_overtaken(
    receivers: list[Receiver], which: int
) -> None:
    late = receivers[which]
    late.outcome = NOT_READY
    deliver(receivers, DataKind.RELIABLE, b"first", 1)
    deliver(receivers, DataKind.LOSSY, b"passes by")
    late.outcome = None
    late.messages.handle_open()
    deliver(receivers, DataKind.RELIABLE, b"second", 2)
    assert [payload for _kind, payload in late.got] == [b"first", b"second"]
    assert late.counters == {"data_dropped_lossy": 1}
    assert not any(one.left for one in receivers)
    assert [payload for _kind, payload in receivers[3].got] == [b"first", b"passes by", b"second"]


def test_a_slow_reader_goes_and_the_others_have_it(receivers: list[Receiver]) -> None:
    for slow in receivers[:2]:
        slow.outcome = NOT_TAKEN
    deliver(receivers, DataKind.LOSSY, b"lossy")
    assert [one.counters["data_dropped_lossy"] for one in receivers] == [1, 1, 0, 0]
    assert not any(one.left for one in receivers)
    deliver(receivers, DataKind.RELIABLE, b"reliable")
    assert [one.left for one in receivers] == [[LeaveReason.LIMIT_EXCEEDED]] * 2 + [[]] * 2
    assert [len(one.got) for one in receivers] == [0, 0, 2, 2]


def test_who_is_behind_with_reliable_data_is_told(receivers: list[Receiver]) -> None:
    for one in receivers[:3]:
        one.unsent = 1001
    assert deliver(receivers, DataKind.LOSSY, b"x") == []
    assert deliver(receivers, DataKind.RELIABLE, b"x") == receivers[:3]
    receivers[0].unsent = 1000
    assert deliver(receivers, DataKind.RELIABLE, b"x") == receivers[1:3]


def test_what_went_to_many_is_repeated_where_a_channel_was_lost(receivers: list[Receiver]) -> None:
    one = receivers[0]
    one.messages.handle_open()
    deliver(receivers, DataKind.RELIABLE, b"first", 1)
    deliver(receivers, DataKind.RELIABLE, b"second", 2)
    one.got.clear()
    one.messages.replay({ALICE: 1})
    one.messages.handle_open()
    assert [payload for _kind, payload in one.got if payload == b"second"] == [b"second"] * len(one.got)
    assert one.got

"""Who sends more than a receiver takes waits for it, and not for ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from sfu.api import DataKind, LeaveReason
from sfu.control.data.brake import LOOK_INTERVAL_S, PROGRESS_INTERVAL_S, Brake, Receiver
from sfu.control.data.messages import Messages
from sfu.control.settings import DataSettings

SETTINGS = DataSettings(data_wait_from_bytes=1000, min_data_drain_bytes_per_s=100)


class Timer:
    def __init__(self, cancel: Callable[[], None]) -> None:
        self.cancel = cancel


class Loop:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 10.0
        self.due: list[tuple[float, Any]] = []

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, call: Any) -> Any:
        entry = (self.now_s + delay_s, call)
        self.due.append(entry)
        return Timer(lambda: self.due.remove(entry))

    def turn(self) -> None:
        """To the next timer."""
        (self.now_s, call), self.due = self.due[0], self.due[1:]
        call()


class Load:
    def __init__(self, unsent: int) -> None:
        self.unsent = unsent

    def unsent_bytes(self) -> int:
        return self.unsent


def look(brake: Brake, receivers: list[Receiver]) -> None:
    """After something was sent to these."""
    brake.wait_for([receiver for receiver in receivers if receiver.is_behind(receiver.unsent_bytes())])


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def told() -> list[bool]:
    return []


@pytest.fixture
def brake(loop: Loop, told: list[bool]) -> Brake:
    return Brake(loop, told.append)  # type: ignore[arg-type]


def test_a_sender_waits_from_the_mark_on_until_half_has_left(loop: Loop, told: list[bool], brake: Brake) -> None:
    load, idle = Load(1000), Load(0)
    receivers = [Receiver(idle, SETTINGS), Receiver(load, SETTINGS)]
    look(brake, receivers)
    assert told == []
    assert loop.due == []
    load.unsent = 1001
    look(brake, receivers)
    look(brake, receivers)
    assert told == [False]
    for load.unsent in (900, 501):
        loop.turn()
        assert told == [False]
    load.unsent = 500
    loop.turn()
    assert told == [False, True]
    assert loop.due == []


def test_nobody_waits_for_one_that_takes_next_to_nothing(loop: Loop, told: list[bool], brake: Brake) -> None:
    load = Load(5000)
    receiver = Receiver(load, SETTINGS)
    look(brake, [receiver])
    began_s = loop.now_s
    while told == [False]:
        loop.turn()
        load.unsent -= 1
    assert told == [False, True]
    assert loop.now_s - began_s <= PROGRESS_INTERVAL_S + 3 * LOOK_INTERVAL_S
    look(brake, [receiver])
    assert told == [False, True]
    # One that has caught up is waited for again.
    load.unsent = 0
    look(brake, [receiver])
    load.unsent = 5000
    look(brake, [receiver])
    assert told == [False, True, False]


def test_a_slow_one_is_waited_for_as_long_as_it_takes_something(loop: Loop, told: list[bool], brake: Brake) -> None:
    load = Load(5000)
    receiver = Receiver(load, SETTINGS)
    look(brake, [receiver])
    began_s = loop.now_s
    while told == [False]:
        load.unsent = 5000 - int(150 * (loop.now_s - began_s))
        loop.turn()
    assert load.unsent <= 500
    assert told == [False, True]


def test_a_sender_that_goes_waits_for_nobody(loop: Loop, told: list[bool], brake: Brake) -> None:
    look(brake, [Receiver(Load(5000), SETTINGS)])
    brake.release()
    assert told == [False, True]
    assert loop.due == []
    brake.release()
    assert told == [False, True]


def test_others_that_begin_to_wait_do_not_make_it_longer(loop: Loop, told: list[bool], brake: Brake) -> None:
    load = Load(5000)
    receiver = Receiver(load, SETTINGS)
    look(brake, [receiver])
    began_s, later = loop.now_s, 0
    while told == [False]:
        loop.turn()
        if loop.now_s - began_s > 0.3 * (later + 1):
            later += 1
            load.unsent += 500
            receiver.add(500)
            look(Brake(loop, lambda _is_reading: None), [receiver])  # type: ignore[arg-type]
    assert later >= 3
    assert loop.now_s - began_s <= PROGRESS_INTERVAL_S + 3 * LOOK_INTERVAL_S


def test_what_others_send_meanwhile_hides_nothing_that_it_takes(loop: Loop, told: list[bool], brake: Brake) -> None:
    load = Load(5000)
    receiver = Receiver(load, SETTINGS)
    look(brake, [receiver])
    began_s = loop.now_s
    while loop.now_s - began_s < 5 * PROGRESS_INTERVAL_S:
        loop.turn()
        # 150 bytes a second leave, and more than that comes.
        receiver.add(4)
        load.unsent += 1
    assert told == [False]


class Side:
    """What `Messages` asks of a participant, and of the way to its client."""

    def __init__(self, loop: Loop, config: DataSettings) -> None:
        self.load = Load(0)
        self.left: list[LeaveReason] = []
        self.got: list[bytes] = []
        self.reading: list[bool] = []
        info = SimpleNamespace(participant_id="p", permissions=SimpleNamespace(can_publish_data=True))
        member: Any = SimpleNamespace(
            info=info, leave=self.left.append, emit=lambda event: self.got.append(event.payload)
        )
        context: Any = SimpleNamespace(config=config, loop=loop, counters=Counter())
        self.data_open = True
        self.data_link = None
        self.unsent_bytes = self.load.unsent_bytes
        self.messages = Messages(member, context, self, lambda _packet: None, self.reading.append)

    def send_data(self, _kind: DataKind, payload: bytes) -> bool:
        self.load.unsent += len(payload)
        return True


def test_who_had_to_wait_may_catch_up_on_its_messages(loop: Loop) -> None:
    config = DataSettings(data_wait_from_bytes=1000, min_data_drain_bytes_per_s=100, max_data_messages_per_s=10)
    sender, receiver = Side(loop, config), Side(loop, config)
    receiver.load.unsent = 3000
    sender.messages.send(DataKind.RELIABLE, b"x", 1, [receiver.messages])
    assert sender.reading == [False]
    began_s = loop.now_s
    while sender.reading == [False]:
        receiver.load.unsent = 3000 - int(150 * (loop.now_s - began_s))
        loop.turn()
    waited_s = int(loop.now_s - began_s)
    assert waited_s > 10
    for _ in range(10 * waited_s):
        sender.messages.handle_received(DataKind.RELIABLE, b"x")
    assert sender.left == []
    # Not more than that.
    for _ in range(40):
        sender.messages.handle_received(DataKind.RELIABLE, b"x")
    assert LeaveReason.LIMIT_EXCEEDED in sender.left

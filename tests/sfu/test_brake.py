"""Who sends more than a receiver takes waits for it, and not for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sfu.control.data.brake import LOOK_INTERVAL_S, PROGRESS_INTERVAL_S, Brake, Receiver
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
    brake.look(receivers)
    assert told == []
    assert loop.due == []
    load.unsent = 1001
    brake.look(receivers)
    brake.look(receivers)
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
    brake.look([receiver])
    began_s = loop.now_s
    while told == [False]:
        loop.turn()
        load.unsent -= 1
    assert told == [False, True]
    assert loop.now_s - began_s <= PROGRESS_INTERVAL_S + 3 * LOOK_INTERVAL_S
    brake.look([receiver])
    assert told == [False, True]
    # One that has caught up is waited for again.
    load.unsent = 0
    brake.look([receiver])
    load.unsent = 5000
    brake.look([receiver])
    assert told == [False, True, False]


def test_a_slow_one_is_waited_for_as_long_as_it_takes_something(loop: Loop, told: list[bool], brake: Brake) -> None:
    load = Load(5000)
    receiver = Receiver(load, SETTINGS)
    brake.look([receiver])
    began_s = loop.now_s
    while told == [False]:
        load.unsent = 5000 - int(150 * (loop.now_s - began_s))
        loop.turn()
    assert load.unsent <= 500
    assert told == [False, True]


def test_a_sender_that_goes_waits_for_nobody(loop: Loop, told: list[bool], brake: Brake) -> None:
    brake.look([Receiver(Load(5000), SETTINGS)])
    brake.release()
    assert told == [False, True]
    assert loop.due == []
    brake.release()
    assert told == [False, True]

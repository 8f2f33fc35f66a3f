"""Reliable data over channels that come late, close and are replaced: nothing lost or out of order, all bounded."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.api import LeaveReason
from sfu.config import SfuConfig
from sfu.control.data.reliable import MAX_EVICTED_SENDERS, ReliableOutbox
from sfu.ids import ParticipantId

ALICE, BOB, SERVER = ParticipantId("PA_alice"), ParticipantId("PA_bob"), ParticipantId("")
CONFIG = SfuConfig(max_data_replay_bytes=10_000, max_data_replay_messages=100, data_replay_s=30.0)


class Rig:
    """A receiver with a channel that tests open and break; it drops doubles as SDKs do."""

    def __init__(self, config: SfuConfig = CONFIG) -> None:
        self.open = False
        self.writable = True
        self.now_s = 0.0
        self.sent: list[bytes] = []
        self.counters: Counter[str] = Counter()
        self.outbox = ReliableOutbox(config, self._send, lambda: self.open, lambda: self.now_s, self.counters)

    def _send(self, payload: bytes) -> bool:
        if self.writable:
            self.sent.append(payload)
        return self.writable

    def reopen(self) -> LeaveReason | None:
        self.open = True
        return self.outbox.handle_open()

    def lose(self) -> None:
        """The channel is gone, and with it whatever the client did not take."""
        self.open = False
        self.sent.clear()


def numbered(count: int, first: int = 1) -> list[tuple[int, bytes]]:
    return [(number, b"%d" % number) for number in range(first, first + count)]


def push(rig: Rig, count: int, first: int = 1, sender: ParticipantId = ALICE) -> None:
    for sequence, payload in numbered(count, first):
        assert rig.outbox.push(sender, sequence, payload) is None


def test_messages_before_the_channel_wait_and_come_in_order() -> None:
    rig = Rig()
    push(rig, 3)
    assert rig.outbox.push(SERVER, 0, b"server") is None
    assert rig.sent == []
    assert rig.reopen() is None
    push(rig, 1, first=4)
    assert rig.sent == [b"1", b"2", b"3", b"server", b"4"]


@pytest.mark.parametrize(
    "config", [replace(CONFIG, max_data_replay_messages=3), replace(CONFIG, max_data_replay_bytes=3)]
)
def test_one_that_is_joining_keeps_the_newest_of_too_many(config: SfuConfig) -> None:
    rig = Rig(config)
    push(rig, 5)
    assert rig.reopen() is None
    assert rig.sent == [b"3", b"4", b"5"]
    assert rig.counters["data_dropped_reliable"] == 2


def test_a_replaced_channel_gets_what_the_client_lacks() -> None:
    rig = Rig()
    rig.reopen()
    push(rig, 5)
    push(rig, 2, sender=BOB)
    rig.lose()
    push(rig, 2, first=6)
    assert rig.outbox.replay({ALICE: 3, BOB: 2}) is None
    assert rig.sent == []
    assert rig.reopen() is None
    assert rig.sent == [b"4", b"5", b"6", b"7"]


def test_a_channel_that_opens_before_the_client_tells_gets_everything_recent() -> None:
    rig = Rig()
    rig.reopen()
    push(rig, 2)
    rig.now_s = CONFIG.data_replay_s
    push(rig, 2, first=3)
    rig.lose()
    assert rig.reopen() is None
    assert rig.sent == [b"3", b"4"]
    assert rig.outbox.replay({ALICE: 4}) is None
    assert rig.sent == [b"3", b"4"]


def test_an_open_channel_repeats_what_the_client_names_as_missing() -> None:
    rig = Rig()
    rig.reopen()
    push(rig, 4)
    rig.outbox.push(SERVER, 0, b"uncounted")
    rig.sent.clear()
    assert rig.outbox.replay({ALICE: 2}) is None
    assert rig.sent == [b"3", b"4"]


def test_old_messages_of_a_sender_that_the_client_forgot_are_not_repeated() -> None:
    rig = Rig()
    rig.reopen()
    push(rig, 2)
    rig.now_s = CONFIG.data_replay_s
    rig.sent.clear()
    assert rig.outbox.replay({}) is None
    assert rig.sent == []


@pytest.mark.parametrize("told_first", [True, False])
def test_a_replay_that_is_not_here_any_more_means_beginning_anew(told_first: bool) -> None:
    rig = Rig(replace(CONFIG, max_data_replay_messages=3))
    rig.reopen()
    push(rig, 10)
    rig.lose()
    reasons = [rig.outbox.replay({ALICE: 6}), rig.reopen()] if told_first else [rig.reopen()]
    reasons.append(rig.outbox.replay({ALICE: 6}))
    assert LeaveReason.STATE_MISMATCH in reasons
    assert rig.counters["data_replay_overflow"] == 1


def test_a_replay_that_is_just_here_is_enough() -> None:
    rig = Rig(replace(CONFIG, max_data_replay_messages=3))
    rig.reopen()
    push(rig, 10)
    rig.lose()
    rig.outbox.replay({ALICE: 7})
    assert rig.reopen() is None
    assert rig.sent == [b"8", b"9", b"10"]


def test_too_much_for_a_lost_channel_means_beginning_anew() -> None:
    rig = Rig(replace(CONFIG, max_data_replay_messages=3))
    rig.reopen()
    rig.lose()
    push(rig, 3)
    assert rig.outbox.push(ALICE, 4, b"4") is LeaveReason.STATE_MISMATCH


def test_a_slow_reader_goes() -> None:
    rig = Rig()
    rig.reopen()
    push(rig, 1)
    rig.writable = False
    assert rig.outbox.push(ALICE, 2, b"2") is LeaveReason.LIMIT_EXCEEDED
    assert rig.outbox.replay({}) is LeaveReason.LIMIT_EXCEEDED
    assert rig.reopen() is LeaveReason.LIMIT_EXCEEDED


def test_memory_is_bounded_whoever_sends() -> None:
    rig = Rig()
    rig.reopen()
    for index in range(3 * MAX_EVICTED_SENDERS):
        rig.outbox.push(ParticipantId(f"PA_{index}"), 1, bytes(100))
    assert sum(len(message.payload) for message in rig.outbox._messages) <= CONFIG.max_data_replay_bytes
    assert len(rig.outbox._messages) <= CONFIG.max_data_replay_messages
    assert len(rig.outbox._evicted) <= MAX_EVICTED_SENDERS


@given(st.lists(st.sampled_from(["push", "lose", "reopen", "resume"]), max_size=60), st.randoms(use_true_random=False))
def test_whatever_happens_a_client_that_drops_doubles_has_all_in_order(steps: list[str], random: object) -> None:
    rig, had, pushed = Rig(), 0, 0
    for step in steps:
        if step == "push":
            pushed += 1
            assert rig.outbox.push(ALICE, pushed, b"%d" % pushed) is None
        elif step == "reopen" and not rig.open:
            assert rig.reopen() is None
        elif step == "resume":
            rig.outbox.handle_resumed()
            assert rig.outbox.replay({ALICE: had} if had else {}) is None
        arrived = random.randint(0, len(rig.sent)) if step == "lose" else len(rig.sent)  # type: ignore[attr-defined]
        for payload in rig.sent[:arrived]:
            if int(payload) > had:
                assert int(payload) == had + 1, "a gap"
                had = int(payload)
        rig.sent.clear()
        if step == "lose":
            rig.lose()
    if not rig.open:
        assert rig.reopen() is None
    for payload in rig.sent:
        had = max(had, int(payload))
    assert had == pushed

"""Counting who is in a room as people come, change and go."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sfu.api import ParticipantInfo, ParticipantState, Permissions
from sfu.control.roster import DEPENDENT_KINDS, Roster
from sfu.ids import Identity, ParticipantId

STEPS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["come", "note", "tell", "go"]), st.booleans(), st.booleans()),
    max_size=40,
)


def info(name: str, *, kind: int = 0, is_publisher: bool = False, can_publish: bool = False) -> ParticipantInfo:
    return ParticipantInfo(
        participant_id=ParticipantId(name),
        identity=Identity(name),
        name=name,
        state=ParticipantState.JOINED,
        joined_at_ms=1,
        version=1,
        permissions=Permissions(can_publish=can_publish),
        kind=kind,
        is_publisher=is_publisher,
    )


@given(STEPS)
def test_counts_and_lists_are_those_of_whoever_is_there(steps: list[tuple[str, str, bool, bool]]) -> None:
    roster, there, audience = Roster(), dict[str, ParticipantInfo](), set[str]()
    for name, act, flag, crowded in steps:
        one = replace(info(name, kind=2 if name == "d" else 0), is_publisher=flag)
        if act == "come" and name not in there:
            roster.come(one)
            there[name] = one
        elif act == "note":
            roster.note(one)
            if name in there:
                there[name] = one
        elif act == "tell" and name in there:
            roster.note(one)
            there[name] = one
            (audience.add if roster.is_audience(one, crowded=crowded) else audience.discard)(name)
        elif act == "go":
            assert roster.go(ParticipantId(name)) is (name not in audience)
            there.pop(name, None)
            audience.discard(name)
        people = sum(one.kind not in DEPENDENT_KINDS for one in there.values())
        assert roster.counts == (people, sum(one.is_publisher for one in there.values()))
        assert sorted(roster.not_audience()) == sorted(set(there) - audience)
        assert roster.has_audience == bool(audience)


def test_who_was_told_of_stays_so_and_who_may_speak_is_no_audience() -> None:
    roster = Roster()
    for name in "ab":
        roster.come(info(name))
    assert not roster.is_audience(info("a"), crowded=False)
    assert not roster.is_audience(info("a"), crowded=True)
    assert roster.is_audience(info("b"), crowded=True)
    assert roster.is_audience(info("b"), crowded=False), "a room that empties announces nobody by itself"
    assert not roster.is_audience(info("b", can_publish=True), crowded=True)
    assert not roster.is_audience(info("b"), crowded=True)

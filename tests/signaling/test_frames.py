"""Messages for many connections are made once, and never the wrong one."""

from dataclasses import replace

from livekit.protocol import rtc

from sfu.api import LeaveReason, ParticipantInfo, ParticipantState, ParticipantsUpdated, Permissions
from sfu.ids import Identity, ParticipantId
from signaling.livekit import convert, frames

INFO = ParticipantInfo(
    participant_id=ParticipantId("PA_1"),
    identity=Identity("ada"),
    name="Ada",
    state=ParticipantState.JOINED,
    joined_at_ms=1,
    version=1,
    permissions=Permissions(),
)


def test_a_frame_is_made_once_per_event_and_encoding() -> None:
    cache, made = frames.Frames(), 0

    def make() -> rtc.SignalResponse:
        nonlocal made
        made += 1
        return rtc.SignalResponse(pong=made)

    first, second = ParticipantsUpdated([INFO]), ParticipantsUpdated([INFO])
    assert cache.frame(first, make, text=False) is cache.frame(first, make, text=False)
    assert cache.frame(first, make, text=True) == '{"pong": "2"}'
    # Equal is not the same.
    assert cache.frame(second, make, text=False) != cache.frame(first, make, text=False)
    assert made == 4


def test_a_participant_that_changed_is_converted_anew() -> None:
    cache = frames.Frames()
    assert cache.participants([INFO]) == [convert.participant(INFO)]
    # Even where somebody forgot the version.
    renamed = replace(INFO, name="Ada L.")
    assert cache.participants([renamed])[0].name == "Ada L."
    assert cache.participants([INFO])[0].name == "Ada"


def test_a_new_state_is_all_that_is_new_in_the_message_and_the_one_before_stays_as_it_was() -> None:
    cache = frames.Frames()
    coming = replace(INFO, state=ParticipantState.JOINING, version=0, attributes={"a": "b"})
    active = replace(coming, state=ParticipantState.ACTIVE, version=2)
    first = cache.participant(coming)
    encoded = cache.other_participants([coming])
    assert cache.participant(active) == convert.participant(active)
    assert first == convert.participant(coming)
    assert cache.other_participants([active]) != encoded
    gone = replace(active, state=ParticipantState.DISCONNECTED, leave_reason=LeaveReason.ROOM_CLOSED, version=3)
    assert cache.participant(gone) == convert.participant(gone)


def test_the_cache_is_bounded() -> None:
    cache = frames.Frames()
    cache.participants(
        replace(INFO, participant_id=ParticipantId(f"PA_{index}")) for index in range(frames.MAX_PARTICIPANTS + 10)
    )
    assert len(cache._participants) == frames.MAX_PARTICIPANTS


def test_encoded_pieces_of_participants_are_what_the_whole_would_be() -> None:
    cache = frames.Frames()
    infos = [INFO, replace(INFO, participant_id=ParticipantId("PA_2"), name="Bob" * 100)]
    for _ in range(2):
        joined = rtc.JoinResponse.FromString(cache.other_participants(infos))
        assert list(joined.other_participants) == [convert.participant(info) for info in infos]
    renamed = replace(INFO, name="Ada L.")
    pieces = frames.as_field(rtc.SignalResponse.JOIN_FIELD_NUMBER, cache.other_participants([renamed] * 300))
    others = rtc.SignalResponse.FromString(pieces).join.other_participants
    assert [one.name for one in others] == ["Ada L."] * 300

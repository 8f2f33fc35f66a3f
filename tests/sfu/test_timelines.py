"""How a call went for a participant: what is noted, what is kept, and what a real call says of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from sfu.api import (
    CallTimeline,
    ConnectionGrade,
    LeaveReason,
    LineFigures,
    Moment,
    NodeEvent,
    ParticipantInfo,
    ParticipantLeft,
    ParticipantState,
    Permissions,
    SwitchCause,
    TimelineEntry,
    TrackSettings,
    TrackSource,
)
from sfu.control.timelines import Timeline
from sfu.ids import Identity, ParticipantId, RoomName
from tests.harness.raw_caller import RawCaller, all_joined
from tests.harness.waiting import eventually
from tests.sfu.test_state import close_all

ROOM = RoomName("den")
ADA = ParticipantInfo(ParticipantId("PA_1"), Identity("ada"), "Ada", ParticipantState.ACTIVE, 5, 1, Permissions())
LINE = LineFigures(1, None, 0.0, None, 2, 0.0)
GOOD, POOR = ConnectionGrade.GOOD, ConnectionGrade.POOR


def test_a_changed_grade_is_noted_at_once_and_figures_now_and_then() -> None:
    timeline = Timeline(60)
    for now_s, grade in ((100.0, GOOD), (104.0, GOOD), (108.0, POOR), (112.0, POOR), (168.0, POOR), (172.0, GOOD)):
        timeline.update(now_s, 60.0, grade, LINE)
    told = timeline.of(ADA)
    assert [(one.what, one.grade) for one in told.entries] == [
        (Moment.QUALITY, GOOD), (Moment.QUALITY, POOR), (Moment.LINE, POOR), (Moment.QUALITY, GOOD),
    ]  # fmt: skip
    assert (told.identity, told.joined_at_ms, told.line) == ("ada", 5, LINE)


def test_when_it_is_full_what_says_least_goes_first() -> None:
    timeline = Timeline(3)
    for at_ms, what in enumerate((Moment.PAUSED, Moment.LINE, Moment.RESUMED, Moment.LINE, Moment.LOWERED)):
        timeline.note(TimelineEntry(at_ms, what))
    assert [one.at_ms for one in timeline.of(ADA).entries] == [0, 2, 4]
    timeline.note(TimelineEntry(5, Moment.RAISED))
    assert [one.at_ms for one in timeline.of(ADA).entries] == [2, 4, 5]


def test_who_has_left_has_no_figures_of_now() -> None:
    timeline = Timeline(3)
    timeline.update(1.0, 60.0, GOOD, LINE)
    timeline.end()
    told = timeline.of(ADA)
    assert told.line is None
    assert told.left_at_ms is not None
    assert len(told.entries) == 1


async def test_a_call_says_how_it_goes_and_went(start_node: Callable[..., Any]) -> None:
    node = await start_node(connection_quality_interval_s=0.2, max_timelines_per_room=1)
    events: list[NodeEvent] = []
    node.add_listener(events.append)
    ada, cem = await all_joined(node, ROOM, ["ada", "cem"])
    bob = await RawCaller(node).join(ROOM, "bob", allow_pause=True)
    await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    picture = await ada.publish(VideoStreamTrack(), TrackSource.CAMERA)

    def of(caller: RawCaller) -> CallTimeline:
        (found,) = [one for one in node.call_timelines(ROOM) if one.identity == caller.session.info.identity]
        return found

    def video() -> Any:
        return next((one for one in of(bob).subscriptions if one.source is TrackSource.CAMERA), None)

    async def until(what: str, probe: Callable[[], object]) -> None:
        await eventually(probe, what, 40)

    await until("bob is sent a picture", lambda: video() is not None and video().sent_bps > 0)
    assert (video().layer, video().paused, video().cause, video().of) == (0, False, SwitchCause.START, "ada")
    await until("bob's line is known", lambda: of(bob).line is not None and of(bob).line.sent_bps > 0)
    await until("ada's line is known", lambda: of(ada).line is not None and of(ada).line.received_bps > 0)

    bob.session.simulate_bandwidth(1)
    await until("there is no room for it", lambda: video().paused and video().layer is None)
    assert video().cause is SwitchCause.LINE
    bob.session.simulate_bandwidth(0)
    await until("there is room again", lambda: not video().paused and video().layer is not None)
    moments = [one for one in of(bob).entries if one.track_id is not None]
    # On a machine that is busy aiortc may find its line narrow as well.
    assert [one.what for one in moments][-2:] == [Moment.PAUSED, Moment.RESUMED]
    assert {(one.track_id, one.of) for one in moments} == {(picture.track_id, "ada")}
    assert not any(one.track_id for one in of(cem).entries)
    switched_at_ms = video().switched_at_ms
    bob.session.update_track_settings([picture.track_id], TrackSettings(disabled=True))
    assert (video().cause, video().paused) == (SwitchCause.WISH, False)
    assert video().switched_at_ms >= switched_at_ms

    at_the_end = of(bob).entries
    bob.session.leave()
    gone = of(bob)
    assert (gone.leave_reason, gone.line, gone.subscriptions) == (LeaveReason.CLIENT_INITIATED, None, ())
    assert gone.entries == at_the_end
    (left,) = [event for event in events if isinstance(event, ParticipantLeft)]
    assert left.timeline == gone
    cem.session.leave()
    assert [one.identity for one in node.call_timelines(ROOM)] == ["cem", "ada"], "of those who left, the last alone"
    await close_all(ada, bob, cem)
    assert node.call_timelines(RoomName("nowhere")) == []

"""How a call went for a participant: what is noted, what is kept, and what a real call says of itself."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
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
    VideoLayerInfo,
)
from sfu.control.histograms import LineHistograms
from sfu.control.subscribe.subscription import Subscription
from sfu.control.timelines import SETTLING_MS, Picture, Switch, Timeline
from sfu.engine.api import HIGHEST_LAYER
from sfu.ids import Identity, ParticipantId, RoomName, SubscriptionHandle, TrackId
from sfu.kind import Kind
from sfu.sdp.model import Ssrcs
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


@pytest.mark.parametrize(("now", "noted"), [
    ({}, False), ({"estimate_bps": 390_000}, False), ({"estimate_bps": 240_000}, True),
    ({"estimate_bps": 450_000}, True), ({"estimate_bps": None}, True), ({"sent_loss": 0.04}, False),
    ({"sent_loss": 0.06}, True), ({"received_loss": 0.06}, True), ({"sent_bps": 9}, False),
])  # fmt: skip
def test_figures_that_differ_are_noted_at_once(now: dict[str, Any], noted: bool) -> None:
    timeline, line = Timeline(60), dataclasses.replace(LINE, estimate_bps=320_000)
    timeline.update(100.0, 60.0, None, line)
    timeline.update(104.0, 60.0, None, dataclasses.replace(line, **now))
    assert len(timeline.of(ADA).entries) == 1 + noted


def test_figures_that_are_left_span_the_call_and_events_stay_beside_them() -> None:
    timeline = Timeline(20)
    timeline.note(TimelineEntry(5, Moment.PAUSED, cause=SwitchCause.LINE))
    for second in range(1000):
        timeline.note(TimelineEntry(1000 * second, Moment.LINE))
    entries = timeline.of(ADA).entries
    assert (len(entries), entries[0].what) == (20, Moment.PAUSED)
    times_s = [one.at_ms // 1000 for one in entries[1:]]
    assert (times_s[0], times_s[-1]) == (0, 999)
    assert max(later - earlier for earlier, later in itertools.pairwise(times_s)) <= 4 * 1000 / 20


def test_of_too_many_events_those_of_the_line_stay_longest() -> None:
    timeline = Timeline(4)
    for at_ms, cause in enumerate((SwitchCause.LINE, SwitchCause.WISH, SwitchCause.LINE, SwitchCause.SOURCE)):
        timeline.note(TimelineEntry(at_ms, Moment.LOWERED, cause=cause))
    for at_ms, left in ((4, [0, 2, 3, 4]), (5, [0, 2, 4, 5]), (6, [2, 4, 5, 6])):
        timeline.note(TimelineEntry(at_ms, Moment.RAISED, cause=SwitchCause.LINE))
        assert [one.at_ms for one in timeline.of(ADA).entries] == left


def test_wishes_that_follow_each_other_closely_are_one() -> None:
    timeline, sizes = Timeline(60), [Picture(2, 720), Picture(1, 360), Picture(0, 180), Picture(2, 720)]

    def switch(at_ms: int, before: int, now: int, cause: SwitchCause = SwitchCause.WISH) -> list[tuple[Any, ...]]:
        one = Switch(TrackId("TR_1"), Identity("bob"), TrackSource.CAMERA, cause, sizes[before], sizes[now])
        timeline.note_switch(one, at_ms)
        return [(entry.at_ms, entry.what, entry.from_height, entry.height) for entry in timeline.of(ADA).entries]

    assert switch(0, 0, 1) == [(0, Moment.LOWERED, 720, 360)]
    assert switch(100, 1, 2) == [(100, Moment.LOWERED, 720, 180)]
    assert switch(200, 2, 3) == [], "back where it was"
    first = (9000, Moment.LOWERED, 720, 360)
    assert switch(9000, 0, 1) == [first]
    assert switch(9100, 1, 2, SwitchCause.LINE) == [first, (9100, Moment.LOWERED, 360, 180)], "the line is the line"
    assert len(switch(9200, 2, 3)) == 3
    assert len(switch(9200 + SETTLING_MS, 3, 2)) == 4, "what stayed so long counts"


class Engine:
    def add_subscription(self, *_: object) -> SubscriptionHandle:
        return SubscriptionHandle(1)

    def set_target_layer(self, *_: object) -> None: ...

    def set_subscription_paused(self, *_: object) -> None: ...


HEIGHTS = (180, 360, 720)


def subscription_of(switches: list[Switch]) -> tuple[Subscription, Callable[[], list[tuple[Any, ...]]]]:
    """To a camera in three layers; gives what is noted of it since the last time, too."""
    layers = [VideoLayerInfo(quality, 16 * height // 9, height) for quality, height in enumerate(HEIGHTS)]
    primary = SimpleNamespace(target_layers=lambda: tuple(layers))
    owner = SimpleNamespace(info=ADA)
    info = SimpleNamespace(kind=Kind.VIDEO, source=TrackSource.CAMERA)
    publication: Any = SimpleNamespace(
        primary=primary,
        owner=owner,
        info=info,
        track_id="TR_1",
        note_target=lambda: None,
        layers=layers,
        ceiling=HIGHEST_LAYER,
    )
    subscription = Subscription(publication, SimpleNamespace(note_switch=switches.append), Ssrcs(1))
    subscription.handle = SubscriptionHandle(1)

    def noted() -> list[tuple[Any, ...]]:
        subscription.apply_settings(Engine())  # type: ignore[arg-type]
        said = [(one.what, one.cause, one.before.height, one.now.height) for one in switches]
        switches.clear()
        return said

    assert noted() == []
    assert subscription.switch_cause is SwitchCause.START
    return subscription, noted


def test_each_switch_says_what_decided_it() -> None:
    subscription, noted = subscription_of([])
    line, wish, source = SwitchCause.LINE, SwitchCause.WISH, SwitchCause.SOURCE
    subscription.allowed_spatial = 1
    assert noted() == [(Moment.LOWERED, line, 720, 360)]
    subscription.settings = TrackSettings(quality=0)
    assert noted() == [(Moment.LOWERED, wish, 360, 180)]
    subscription.allowed_spatial = 2
    assert noted() == [], "it has no need of that"
    subscription.settings = TrackSettings(quality=2)
    assert noted() == [(Moment.RAISED, wish, 180, 720)], "the line had allowed it before"
    subscription.set_paused(True)
    assert noted() == [(Moment.PAUSED, line, 720, None)]
    at_ms, subscription.settings = subscription.switched_at_ms, TrackSettings(disabled=True)
    assert noted() == []
    subscription.set_paused(False)
    assert (noted(), subscription.switch_cause, subscription.switched_at_ms) == ([], line, at_ms)
    subscription.settings = TrackSettings()
    assert noted() == [(Moment.RESUMED, wish, None, 720)]
    del subscription.publication.layers[2]  # type: ignore[attr-defined]
    subscription.settings = TrackSettings(quality=1)
    assert noted() == [(Moment.LOWERED, wish, 720, 360)]
    del subscription.publication.layers[1]  # type: ignore[attr-defined]
    assert noted() == [(Moment.LOWERED, source, 360, 180)]


def test_lines_are_counted_in_buckets() -> None:
    histograms = LineHistograms()
    for estimate_bps, loss, rtt_ms in ((None, 0.0, None), (100_000, 0.03, 30.0), (99_000_000, 1.0, 30.5)):
        histograms.observe(LineFigures(1, estimate_bps, loss, rtt_ms, 0, 0.0))
    series = histograms.series()
    assert series['ting_line_estimate_bps_bucket{le="50000.0"}'] == 0
    assert series['ting_line_estimate_bps_bucket{le="100000.0"}'] == 1, "the limit is in its bucket"
    assert series['ting_line_estimate_bps_bucket{le="12000000.0"}'] == 1
    assert series['ting_line_estimate_bps_bucket{le="+Inf"}'] == 2
    assert series["ting_line_estimate_bps_sum"] == 99_100_000
    assert series['ting_line_sent_loss_ratio_bucket{le="0.0"}'] == 1
    assert series['ting_line_sent_loss_ratio_bucket{le="0.05"}'] == 2
    assert series['ting_line_rtt_ms_bucket{le="50.0"}'] == 2
    assert series['ting_line_received_loss_ratio_bucket{le="+Inf"}'] == 0, "nothing came from them"


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
    assert video().target_bps > 0
    await until("bob's line is known", lambda: of(bob).line is not None and of(bob).line.sent_bps > 0)
    await until("ada's line is known", lambda: of(ada).line is not None and of(ada).line.received_bps > 0)

    bob.session.simulate_bandwidth(1)
    await until("there is no room for it", lambda: video().paused and video().layer is None)
    assert (video().cause, video().target_bps) == (SwitchCause.LINE, 0)
    bob.session.simulate_bandwidth(0)
    await until("there is room again", lambda: not video().paused and video().layer is not None)
    moments = [one for one in of(bob).entries if one.track_id is not None]
    assert {one.cause for one in moments} == {SwitchCause.LINE}
    # On a machine that is busy aiortc may find its line narrow as well.
    assert [one.what for one in moments][-2:] == [Moment.PAUSED, Moment.RESUMED]
    assert {(one.track_id, one.of) for one in moments} == {(picture.track_id, "ada")}
    assert not any(one.track_id for one in of(cem).entries)
    switched_at_ms = video().switched_at_ms
    bob.session.update_track_settings([picture.track_id], TrackSettings(disabled=True))
    assert (video().cause, video().paused) == (SwitchCause.WISH, False)
    assert video().switched_at_ms >= switched_at_ms
    hidden = [one for one in of(bob).entries if one.track_id is not None][-1]
    assert (hidden.what, hidden.cause, hidden.source) == (Moment.PAUSED, SwitchCause.WISH, TrackSource.CAMERA)
    for _ in range(2):
        bob.session.signal_lost()
    bob.session.resume(lambda _: None)
    assert [one.what for one in of(bob).entries if one.what in (Moment.AWAY, Moment.BACK)] == [Moment.AWAY, Moment.BACK]
    counted = node.metrics()
    assert counted['ting_video_switches_total{what="paused",cause="wish"}'] == 1
    assert counted['ting_video_switches_total{what="paused",cause="line"}'] >= 1
    assert counted['ting_line_sent_loss_ratio_bucket{le="+Inf"}'] > 0

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

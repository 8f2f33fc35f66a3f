"""What follows from the engine's estimate of a line, without a network: which video a subscriber gets, at once."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from sfu.api import (
    StreamStatesChanged,
    TrackSettings,
    TrackSource,
)
from sfu.control.adapt.adaptation import AUDIO_OVERHEAD_BPS, Adaptation, _audio_bps
from sfu.control.adapt.figures import Flow
from sfu.control.adapt.measured_line import GROWN, PATIENCE_S, SPARE, VIDEO_OVERHEAD, MeasuredLine
from sfu.control.timelines import Timeline
from sfu.engine.api import EngineStats, LayerStats, SubscriptionStats, TrackStats, TransportStats
from sfu.ids import SubscriptionHandle, TrackHandle, TransportHandle
from sfu.kind import Kind
from sfu.metrics import _lines

LINE = TransportHandle(7)
VIDEO, SOUND = TrackHandle(1), TrackHandle(2)
VIDEO_BPS, SOUND_BPS = 500_000, 40_000
NEEDED_BPS = VIDEO_BPS * VIDEO_OVERHEAD + SOUND_BPS + AUDIO_OVERHEAD_BPS


def track(handle: TrackHandle, bitrate_bps: int) -> TrackStats:
    return TrackStats(handle, [LayerStats(0, 1, 1, 1, 0, 0.0, 0, 0, 0, bitrate_bps, True)])


@dataclass
class Engine:
    video_bps: int = VIDEO_BPS
    wanted_bps: list[int] = field(default_factory=list)
    asked: int = 0

    def stats(self) -> EngineStats:
        self.asked += 1
        tracks = [track(VIDEO, self.video_bps), track(SOUND, SOUND_BPS)]
        return EngineStats([], tracks, [], {}, 0, 0, 0, 0, 0, 0)

    def set_wanted_bitrate(self, transport: TransportHandle, bitrate_bps: int) -> None:
        assert transport == LINE
        self.wanted_bps.append(bitrate_bps)


class Received:
    """A subscription as adaptation sees it."""

    def __init__(self, handle: TrackHandle, kind: Kind) -> None:
        self.handle = handle
        self.encoding = SimpleNamespace(track=handle, target_layers=tuple)
        owner = SimpleNamespace(info=SimpleNamespace(participant_id="PA_1", identity="ada"))
        info = SimpleNamespace(kind=kind, muted=False, source=TrackSource.CAMERA)
        self.publication = SimpleNamespace(info=info, owner=owner, primary=self.encoding, track_id="TR_1")
        self.settings = TrackSettings()
        self.desired_spatial = 0
        self.allowed_spatial = 255
        self.can_add_redundancy = self.takes_fec = False
        self.paused = False
        self.applied: list[bool] = []

    def set_paused(self, paused: bool) -> None:
        self.paused = paused

    def stream_state(self) -> Any:
        return self.paused

    def apply_settings(self, engine: Engine) -> None:
        self.applied.append(self.paused)


class Call:
    """A subscriber of one picture and one sound."""

    def __init__(self, *, allow_pause: bool = True) -> None:
        self.now_s = 100.0
        self.engine = Engine()
        self.video = Received(VIDEO, Kind.VIDEO)
        self.told: list[Any] = []
        self.participant = SimpleNamespace(
            downlink=LINE, subscriptions=[self.video, Received(SOUND, Kind.AUDIO)], emit=self.told.append,
            allow_pause=allow_pause, simulated_bandwidth_bps=None, timeline=Timeline(60),
        )  # fmt: skip
        room = SimpleNamespace(participants=lambda: [self.participant], active_speakers=list)
        config = SimpleNamespace(
            downlink_probe_interval_s=4.0, downlink_probe_backoff_s=30.0, connection_quality_interval_s=1e9
        )
        self.counters: Counter[str] = Counter()
        loop = SimpleNamespace(time=lambda: self.now_s)
        context: Any = SimpleNamespace(loop=loop, config=config, engine=self.engine, counters=self.counters)
        rooms: Any = lambda: [room]  # noqa: E731
        self.adaptation = Adaptation(context, rooms)
        self.adaptation._quality_due_s = math.inf

    def estimate(self, bitrate_bps: float) -> None:
        self.adaptation.handle_line(LINE, int(bitrate_bps))


def test_what_does_not_fit_is_paused_with_the_event_and_comes_back_with_one() -> None:
    call = Call()
    call.estimate(0.8 * NEEDED_BPS)
    assert call.video.applied == [True]
    assert call.told == [StreamStatesChanged([True])]  # type: ignore[list-item]
    assert call.engine.wanted_bps == [int(SPARE * NEEDED_BPS)]
    assert call.participant.timeline.limit_bps < VIDEO_BPS
    call.estimate(NEEDED_BPS - 1_000)
    assert call.video.applied[-1]
    call.estimate(NEEDED_BPS + 1_000)
    assert not call.video.applied[-1]
    assert call.told[1:] == [StreamStatesChanged([False])]  # type: ignore[list-item]
    assert call.engine.wanted_bps[-1] == 0
    assert call.counters == {"downlink_cuts": 1, "video_paused": 1, "video_resumed": 1}
    assert call.participant.timeline.limit_bps > VIDEO_BPS


SHORT = 0.84
"""Of what is needed: what is left for video is too little by more than `TOLERANCE`, and by less than `PATIENT`."""


def test_a_queue_that_is_gone_soon_pauses_nothing() -> None:
    call = Call()
    for _ in range(5):
        call.estimate(SHORT * NEEDED_BPS)
        call.now_s += PATIENCE_S - 0.1
        call.estimate(SHORT * NEEDED_BPS - 1_000)
        call.estimate(0.9 * NEEDED_BPS)
    assert not any(call.video.applied)
    assert call.told == []


def test_what_is_too_little_for_longer_pauses() -> None:
    call = Call()
    call.estimate(SHORT * NEEDED_BPS)
    call.now_s += PATIENCE_S
    call.adaptation.run()
    assert call.video.applied == [False, True]


def test_redundancy_that_does_not_go_out_takes_no_room() -> None:
    """Of sound, what is sent counts once it is known, and before that what comes."""
    call = Call()
    call.estimate(NEEDED_BPS)
    sound = [one for one in call.participant.subscriptions if one.publication.info.kind is Kind.AUDIO]
    layers = {SOUND: [track(SOUND, SOUND_BPS).layers[0]]}
    assert _audio_bps(sound, layers, None) == SOUND_BPS + AUDIO_OVERHEAD_BPS
    for packets, expected_bps in ((50, SOUND_BPS / 2), (0, SOUND_BPS)):
        figures: Any = SimpleNamespace(flow=lambda _, packets=packets: Flow(packets, SOUND_BPS / 2, 0.0, 0.0, None))
        assert _audio_bps(sound, layers, figures) == expected_bps + AUDIO_OVERHEAD_BPS


def test_what_fits_is_left_alone_and_nothing_is_probed() -> None:
    call = Call()
    call.estimate(1.1 * NEEDED_BPS)
    call.estimate(1.2 * NEEDED_BPS)
    assert not any(call.video.applied)
    assert call.told == []
    assert set(call.engine.wanted_bps) == {0}


@pytest.mark.parametrize(("announced_bps", "estimate_bps", "paused"), [
    (None, 250_000, True),  # a camera takes more than that
    (None, 600_000, False),
    (500_000, 450_000, True),
    (200_000, 450_000, False),
])  # fmt: skip
def test_what_has_only_just_begun_takes_what_was_announced(
    announced_bps: int | None, estimate_bps: int, paused: bool
) -> None:
    """The engine has not measured it yet: it is not free."""
    call = Call()
    call.engine.video_bps = 0
    if announced_bps is not None:
        call.video.encoding.target_layers = lambda: (SimpleNamespace(bitrate_bps=announced_bps),)
    call.estimate(estimate_bps)
    assert call.video.applied == [paused]


def test_figures_are_looked_at_until_it_is_known_what_is_sent() -> None:
    call = Call()
    call.estimate(10 * NEEDED_BPS)
    asked = call.engine.asked
    for _ in range(3):
        call.now_s += 1
        call.adaptation.run()
    assert call.engine.asked == asked + 3


def test_who_forbids_it_is_not_paused() -> None:
    call = Call(allow_pause=False)
    call.estimate(30_000)
    assert not any(call.video.applied)


def test_remb_says_nothing_where_there_is_an_estimate() -> None:
    call = Call()
    call.estimate(2 * NEEDED_BPS)
    for _ in range(3):
        call.adaptation.handle_estimate(LINE, 10_000)
        call.now_s += 1
        call.adaptation.run()
    assert not call.video.paused


def test_many_estimates_ask_the_engine_for_figures_once_a_second() -> None:
    call = Call()
    for step in range(100):
        call.now_s += 0.02
        call.estimate(NEEDED_BPS * (0.5 if step % 2 else 2.0))
    assert call.engine.asked <= 3
    assert call.counters["downlink_cuts"] == 51


def test_a_stranger_or_one_who_has_left_is_no_error() -> None:
    call = Call()
    call.adaptation.handle_line(TransportHandle(9), 30_000)
    call.participant.downlink = None
    call.estimate(30_000)
    assert call.video.applied == []
    call.adaptation.run()


@pytest.mark.parametrize(("estimate_bps", "sent_bps", "suspicious"), [(None, 1e9, False), (10**6, 10**6, True),
                                                                      (10**7, 10**5, False)])  # fmt: skip
def test_figures_are_looked_at_near_the_limit(estimate_bps: int | None, sent_bps: float, suspicious: bool) -> None:
    line = MeasuredLine()
    if estimate_bps is not None:
        line.handle_estimate(estimate_bps)
    assert line.is_suspicious(sent_bps) is suspicious
    line.try_more(0.0, 10.0**6)
    assert line.is_suspicious(sent_bps) is (estimate_bps is not None)


def tries(line: MeasuredLine, seconds: int, *, from_s: int = 0, is_paused: bool = False) -> list[int]:
    """In which seconds a better layer is tried."""
    tried = []
    for second in range(from_s, from_s + seconds):
        line.try_more(float(second), 10.0**6, is_paused=is_paused)
        assert line.needs_more
        if line.wanted_bps:
            tried.append(second)
    return tried


def test_a_better_layer_is_tried_less_and_less_often() -> None:
    line = MeasuredLine()
    line.handle_estimate(500_000)
    assert tries(line, 50) == [0, 2, *range(5, 50, 5)]
    # Who sees nothing of somebody does not wait for it, nor for the picture after that to get better.
    assert tries(line, 5, from_s=50, is_paused=True) == [50, 51, 52, 53, 54]
    assert tries(line, 12, from_s=55) == [56, 59, 64]
    line.try_more(67.0, None)
    assert (line.wanted_bps, line.needs_more) == (0, False)


def test_a_line_that_has_grown_is_another_one() -> None:
    line = MeasuredLine()
    line.handle_estimate(500_000)
    assert tries(line, 17) == [0, 2, 5, 10, 15]
    line.handle_estimate(int(GROWN * 500_000) - 1)
    assert tries(line, 2, from_s=17) == []
    line.handle_estimate(int(GROWN * 500_000))
    assert tries(line, 5, from_s=19) == [19, 21]


def test_metrics_tell_of_lines() -> None:
    """Limits of those that have one; loss and round trip of all subscriptions that send."""
    transports = [
        TransportStats(TransportHandle(number), 0, 0, 0, 0, None, estimate_bps, 200_000, 0, 0)
        for number, estimate_bps in enumerate((None, 300_000, 100_000))
    ]
    subscriptions = [
        SubscriptionStats(SubscriptionHandle(number), int(rtt_ms != 0), 0, 0, 0, 0, 0, loss, rtt_ms, 0, 0)
        for number, (loss, rtt_ms) in enumerate(((0.0, 20.0), (0.1, None), (0.02, 90.0), (1.0, 0.0)))
    ]
    assert _lines(EngineStats(transports, [], subscriptions, {}, 0, 0, 0, 0, 0, 0)) == {
        "ting_lines_heard": 3,
        "ting_lines_limited": 2,
        "ting_lines_limited_estimate_bps": 400_000,
        "ting_lines_limited_acknowledged_bps": 400_000,
        'ting_subscription_loss_ratio{quantile="0.5"}': 0.02,
        'ting_subscription_loss_ratio{quantile="0.95"}': 0.1,
        'ting_subscription_rtt_ms{quantile="0.5"}': 90.0,
        'ting_subscription_rtt_ms{quantile="0.95"}': 90.0,
    }
    assert len(_lines(EngineStats([], [], [], {}, 0, 0, 0, 0, 0, 0))) == 4

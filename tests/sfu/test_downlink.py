"""Downlinks and connection quality, without a network: policy on figures."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from sfu.api import ConnectionGrade
from sfu.control.adapt import quality
from sfu.control.adapt.allocation import PATIENT, TOLERANCE, Allocation, Want, allocate, fit, pauses
from sfu.control.adapt.downlink import JUDGED_S, KEPT, SETTLE_S, Downlink, SteadyBitrates
from sfu.control.adapt.figures import REPORTED_AFTER_S, Figures
from sfu.engine.api import HIGHEST_LAYER, EngineStats, LayerStats, SubscriptionStats, TrackStats
from sfu.ids import SubscriptionHandle, TrackHandle

PROBE_S, MAX_PROBE_S = 4.0, 30.0
COSTS = (100.0, 400.0, 1500.0)


def downlink(*estimates_bps: int, at_s: float = 0.0) -> Downlink:
    link = Downlink(PROBE_S, MAX_PROBE_S)
    for estimate_bps in estimates_bps:
        link.handle_remb(at_s, estimate_bps)
    return link


@pytest.mark.parametrize(
    ("estimates_bps", "sent_bps", "loss"),
    [
        ((), 1500, 0.9),  # nothing is known of the other end
        ((2000,), 1500, 0.3),  # loss that has nothing to do with the amount
        ((300, 320, 340), 1500, 0.0),  # it only lags behind
        ((340,), 1500, 0.0),  # the first one says little
        ((2000, 1900), 1950, 0.0),  # one small fall
        ((2000, 1200), 1100, 0.0),  # still more than what is sent
    ],
)
def test_what_is_no_congestion(estimates_bps: Sequence[int], sent_bps: float, loss: float) -> None:
    link = downlink(*estimates_bps)
    assert not link.update(1.0, sent_bps, loss)
    assert link.limit_bps is None


@pytest.mark.parametrize(
    ("estimates_bps", "loss", "limit_bps"),
    [
        ((2000, 900), 0.0, 900),
        ((2000, 1400, 1300), 0.0, 0.85 * 1500),  # twice a little
        ((300, 320), 0.5, 0.85 * 750),  # it lags behind, and half is lost
    ],
)
def test_what_is_congestion(estimates_bps: Sequence[int], loss: float, limit_bps: float) -> None:
    link = downlink(*estimates_bps)
    assert link.update(1.0, 1500, loss)
    assert link.limit_bps == pytest.approx(limit_bps)


def test_more_is_tried_later_each_time_that_it_failed() -> None:
    link = downlink(2000, 340)
    assert link.update(0.0, 1500, 0.0)
    now_s = 0.0
    waits = []
    for _ in range(5):
        began_s = now_s
        while not link.may_try(now_s):
            now_s += 0.25
        waits.append(now_s - began_s)
        link.try_more(now_s, 500)
        assert link.limit_bps == 500
        now_s += SETTLE_S
        link.handle_remb(now_s, 1000)
        link.handle_remb(now_s, 200)
        assert link.update(now_s, 500, 0.0)
    assert waits == [PROBE_S, 8.0, 16.0, MAX_PROBE_S, MAX_PROBE_S]


@pytest.mark.parametrize(
    "seconds",
    [
        [(747, 1126), (781, 1097), (842, 258), (856, 1144), (971, 1123), (1006, 1143)],
        [(677, 2194), (699, 569), (711, 735), (776, 1988), (826, 1053), (924, 2006)],
        [(773, 522), (821, 1097), (903, 1660)],
        [(1190, 1974), (1295, 1239), (1398, 1377)],
    ],
)
def test_a_bursty_video_on_a_good_line_is_left_alone(seconds: Sequence[tuple[int, int]]) -> None:
    """Estimates of receivers that got everything, and what was sent meanwhile, as recorded."""
    link = Downlink(PROBE_S, MAX_PROBE_S)
    for second, (estimate_kbps, sent_kbps) in enumerate(seconds):
        link.handle_remb(float(second), 1000 * estimate_kbps)
        assert not link.update(float(second), 1000.0 * sent_kbps, 0.0)
    assert link.limit_bps is None


def test_after_a_try_that_failed_it_is_as_before_however_much_seemed_to_arrive() -> None:
    """As recorded on a line of 400 kbit/s: the loss that the try made was not reported whole yet."""
    link = downlink(600_000, 245_000)
    assert link.update(0.0, 1_288_000, 0.949)
    fits = link.limit_bps
    assert not link.update(PROBE_S, 170_000, 0.0)
    assert link.may_try(PROBE_S)
    link.try_more(PROBE_S, 1_479_000)
    assert link.update(PROBE_S + SETTLE_S, 1_605_000, 0.198)
    assert link.limit_bps == fits


def test_what_works_for_long_is_not_blamed_on_the_try() -> None:
    link = downlink(2000, 340)
    link.update(0.0, 1500, 0.0)
    link.try_more(PROBE_S, 1000)
    later_s = PROBE_S + JUDGED_S
    assert link.update(later_s, 1000, 0.2)
    assert link.limit_bps == pytest.approx(0.85 * 800)


def test_a_layer_that_pauses_for_a_second_is_not_cheap() -> None:
    bitrates = SteadyBitrates()
    track, other = TrackHandle(1), TrackHandle(2)
    bitrates.update(10.0, {track: [100.0, 400.0], other: [50.0]})
    assert (bitrates.of(track), bitrates.of(other)) == ([100.0, 400.0], [50.0])
    bitrates.update(11.0, {track: [150.0, 0.0]})
    assert bitrates.of(track) == [150.0, 400 * KEPT]
    assert not bitrates.of(other)
    bitrates.update(14.0, {track: [10.0, 300.0]})
    assert bitrates.of(track) == [pytest.approx(150 * KEPT**3), 300.0]
    bitrates.update(15.0, {track: [10.0]})
    assert bitrates.of(track) == [10.0]


def test_more_is_not_tried_while_much_is_lost_unless_that_never_ends() -> None:
    link = downlink(2000, 340)
    link.update(0.0, 1500, 0.5)
    link.update(PROBE_S, 300, 0.5)
    assert not link.may_try(PROBE_S)
    assert link.may_try(MAX_PROBE_S)
    link.update(PROBE_S, 300, 0.05)
    assert link.may_try(PROBE_S)


def test_when_everything_fits_there_is_no_limit() -> None:
    link = downlink(2000, 340)
    link.update(0.0, 1500, 0.0)
    assert link.may_try(PROBE_S)
    link.try_more(PROBE_S, None)
    assert link.limit_bps is None
    assert not link.may_try(1e9)


def test_the_queue_may_drain_after_a_cut() -> None:
    link = downlink(2000, 340)
    assert link.update(0.0, 1500, 0.0)
    link.handle_remb(0.5, 90)
    assert not link.update(1.0, 300, 0.9)
    assert link.update(SETTLE_S, 300, 0.9)


def want(held: int | None = 2, *, may_pause: bool = False, costs: Sequence[float] = COSTS) -> Want:
    return Want(costs, held, may_pause)


@pytest.mark.parametrize(
    ("wants", "limit_bps", "allocation"),
    [
        ([], 100, Allocation([], None)),
        ([want(None)], 5000, Allocation([2], None)),
        ([want(None)], 500, Allocation([1], 1500)),
        ([want(None)], 50, Allocation([0], 400)),
        ([want(None, may_pause=True)], 50, Allocation([None], 100)),
        # Everyone is seen before anyone is seen better; then the first.
        ([want(None), want(None)], 600, Allocation([1, 0], 1600)),
        ([want(None), want(None)], 2000, Allocation([2, 1], 3000)),
        ([want(None, may_pause=True)] * 3, 250, Allocation([0, 0, None], 300)),
        # What one has is not taken away for a little more than the limit.
        ([want(1)], 400 / TOLERANCE + 1, Allocation([1], 1500)),
        ([want(0)], 400 / TOLERANCE + 1, Allocation([0], 400)),
        ([want(255, costs=(700.0,))], 500, Allocation([0], None)),
    ],
)
def test_sharing(wants: list[Want], limit_bps: float, allocation: Allocation) -> None:
    assert allocate(wants, limit_bps) == allocation


def test_a_video_may_be_kept_where_an_upper_layer_may_not() -> None:
    wants = [want(0, may_pause=True), want(1, may_pause=True)]
    limit_bps = 200 / PATIENT + 1
    assert pauses(wants, fit(wants, limit_bps))
    patient = fit(wants, limit_bps, lowest_tolerance=PATIENT)
    assert list(patient) == [0, 0]
    assert not pauses(wants, patient)
    assert not pauses([want(None, may_pause=True)], [None])


@pytest.mark.parametrize(
    ("loss", "rtt_ms", "jitter_ms", "missing", "paused", "grade"),
    [
        (0.0, 0.0, 0.0, 0, False, ConnectionGrade.EXCELLENT),
        (0.02, 200.0, 5.0, 0, False, ConnectionGrade.EXCELLENT),
        (0.06, 50.0, 5.0, 0, False, ConnectionGrade.GOOD),
        (0.2, 50.0, 5.0, 0, False, ConnectionGrade.POOR),
        (0.0, 600.0, 10.0, 0, False, ConnectionGrade.GOOD),
        (0.0, 1000.0, 10.0, 0, False, ConnectionGrade.POOR),
        (0.0, 0.0, 200.0, 0, False, ConnectionGrade.GOOD),
        (0.0, 0.0, 0.0, 1, False, ConnectionGrade.GOOD),
        (0.0, 0.0, 0.0, 3, False, ConnectionGrade.POOR),
        (0.0, 0.0, 0.0, 0, True, ConnectionGrade.POOR),
    ],
)
def test_grades(
    loss: float, rtt_ms: float, jitter_ms: float, missing: int, paused: bool, grade: ConnectionGrade
) -> None:
    points = quality.points(loss, rtt_ms=rtt_ms, jitter_ms=jitter_ms, missing_layers=missing, paused=paused)
    assert 0 <= points <= quality.BEST
    assert quality.grade(points) is grade
    assert 1 <= quality.mean_opinion_score(points) <= 5


def test_worse_is_believed_at_once_and_better_slowly() -> None:
    assert quality.smoothed(90, 20) == 20
    assert quality.smoothed(20, 100) == 60


TRACK, SUBSCRIPTION = TrackHandle(1), SubscriptionHandle(2)


def figures(now_s: float, received: int, lost: int, reported: float, before: Figures | None) -> Figures:
    """Of one track and its one subscription: packets so far, and what the last report of the receiver says."""
    layer = LayerStats(0, 1, received, 0, lost, 0.0, 0, 0, 0, 0, True)
    sent = SubscriptionStats(SUBSCRIPTION, received, 0, 0, 0, 0, 0, reported, 0.0, 0, 0)
    stats = EngineStats([], [TrackStats(TRACK, [layer])], [sent], {}, 0, 0, 0, 0, 0, 0)
    return Figures(stats, now_s, before)


def test_who_receives_is_not_blamed_for_what_the_publisher_lost() -> None:
    """The report of the receiver is of some seconds ago, and stays for a while."""
    subscription: Any = SimpleNamespace(handle=SUBSCRIPTION, encoding=SimpleNamespace(track=TRACK))

    def loss(now: Figures) -> float:
        flow = now.flow(subscription)
        assert flow is not None
        return flow.loss

    now = figures(0.0, 0, 0, 0.0, None)
    now = figures(1.0, 40, 10, 0.0, now)
    assert loss(now) == 0
    for second in range(2, 11):
        now = figures(float(second), 40 + 50 * second, 10, 0.19, now)
        assert loss(now) == 0, second
    # By now it is its own.
    now = figures(1.0 + REPORTED_AFTER_S, 1000, 10, 0.19, now)
    assert loss(now) == pytest.approx(0.19)


def test_the_least_of_the_limits_counts() -> None:
    wants = [Want([100.0, 300.0, 900.0], None, False)]
    given = [fit(wants, own, simulated)[0] for own, simulated in ((None, 400.0), (1000.0, 400.0), (150.0, 400.0))]
    assert given == [1, 1, 0]
    assert fit(wants, None, None) == [HIGHEST_LAYER]
    assert fit([Want([100.0], None, True)], None, 50.0) == [None]


def test_what_was_asked_for_is_counted() -> None:
    subscription: Any = SimpleNamespace(handle=SUBSCRIPTION, encoding=SimpleNamespace(track=TRACK))

    def asked(now_s: float, resent: int, nacks: int, before: Figures | None) -> Figures:
        sent = SubscriptionStats(SUBSCRIPTION, int(100 * now_s), 0, resent, nacks, 0, 0, 0.0, 0.0, 0, 0)
        stats = EngineStats([], [TrackStats(TRACK, [])], [sent], {}, 0, 0, 0, 0, 0, 0)
        return Figures(stats, now_s, before)

    now = asked(1, 22, 13, asked(0, 10, 10, None))
    flow = now.flow(subscription)
    assert flow is not None
    assert (flow.nacks, flow.resent, flow.loss) == (3, 12, 0.12)

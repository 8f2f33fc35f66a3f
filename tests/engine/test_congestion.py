"""The estimator on simulated lines, on a virtual clock: never far above what a line takes, back soon, steady, fair."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from sfu.engine.reference.congestion.delay import MAX_DRIFT_NS, DelayTrend, Group, Rise, Verdict
from sfu.engine.reference.congestion.estimate import MIN_BPS, Estimator
from sfu.engine.reference.congestion.history import MAX_SENT, MAX_UNHEARD, SentHistory, SentPacket
from sfu.engine.reference.congestion.probe import CLUSTER_NS, Probe
from sfu.engine.reference.transport_feedback import REFERENCE_NS
from tests.engine.line import MS, SECOND, Flow, Line, run

LAYERS_BPS = (150_000, 500_000, 1_400_000)


def at(*steps: tuple[int, int]) -> Callable[[int], int]:
    """Bits per second by the time in ms: (from when, how much)."""
    return lambda now_ms: next(bps for begin_ms, bps in reversed(steps) if now_ms >= begin_ms)


def estimates(flow: Flow, from_ms: int, until_ms: int) -> list[int]:
    return [bps for at_ms, bps, _ in flow.history if from_ms <= at_ms < until_ms and bps is not None]


@pytest.mark.parametrize("rate_bps", [150_000, 300_000, 1_000_000, 3_000_000])
@pytest.mark.parametrize("queue_ms", [150, 300, 1_000])
@pytest.mark.parametrize("seed", [1, 2])
def test_what_fills_a_line_stays_within_it(rate_bps: int, queue_ms: int, seed: int) -> None:
    """A sender of any rate: about nine tenths of the line, never far above it, and nobody hears a second of queue."""
    flow = Flow(Line(lambda _: rate_bps, queue_ms), 10_000_000, seed=seed)
    run([flow], 20_000)
    steady = estimates(flow, 5_000, 20_000)
    assert max(steady) <= 1.1 * rate_bps
    assert 0.85 * rate_bps <= sum(steady) / len(steady) <= 1.02 * rate_bps
    delays = [ms for at_ms, ms in flow.audio_delays_ms if at_ms > 5_000 and ms is not None]
    assert sum(delays) / len(delays) <= 40 + 200
    assert max(delays) <= 40 + 400


@pytest.mark.parametrize("low_bps", [220_000, 300_000, 600_000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_back_to_nine_tenths_within_five_seconds(low_bps: int, seed: int) -> None:
    flow = Flow(Line(at((0, 1_500_000), (8_000, low_bps), (16_000, 1_500_000))), 4_000_000, seed=seed)
    run([flow], 24_000)
    assert min(estimates(flow, 8_500, 10_000)) <= low_bps
    assert max(estimates(flow, 10_000, 16_000)) <= 1.15 * low_bps
    assert max(estimates(flow, 16_000, 21_000)) >= 0.9 * 1_500_000


def test_a_layer_that_does_not_fit_is_left_out_and_comes_back_within_two_seconds() -> None:
    """The line of which everything began: sound needs a tenth of it, and loses little."""
    flow = Flow(Line(at((0, 10_000_000), (12_000, 220_000), (30_000, 10_000_000))), 600_000, layers_bps=(500_000,))
    run([flow], 36_000)
    sent = {at_ms: video_bps for at_ms, _, video_bps in flow.history}
    assert all(sent[at_ms] == 0 for at_ms in range(13_000, 30_000, 10))
    assert all(sent[at_ms] == 500_000 for at_ms in range(32_000, 36_000, 10))
    sound = [ms for at_ms, ms in flow.audio_delays_ms if 12_000 <= at_ms < 30_000]
    assert sum(ms is None for ms in sound) <= 0.02 * len(sound)
    assert max(ms for ms in sound[50:] if ms is not None) <= 150


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("loss", "within_ms"), [(0.1, 2_500), (0.2, 4_000), (0.3, 8_000)])
def test_a_layer_comes_back_on_a_line_that_loses(loss: float, within_ms: int, seed: int) -> None:
    """What it loses all the same says nothing of the room on it. Without that the layer came back after up to 10 s at
    20 %, and never at 30 %."""
    line = Line(lambda now_ms: 200_000 if 3_000 <= now_ms < 5_000 else 10_000_000, loss=loss)
    flow = Flow(line, 620_000, seed=seed, layers_bps=(500_000,))
    run([flow], 5_000 + within_ms)
    assert any(at_ms >= 5_000 and video_bps >= 500_000 for at_ms, _, video_bps in flow.history)


@pytest.mark.parametrize("loss", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("jitter_ms", [0, 80])
def test_a_wide_line_that_loses_or_delays_is_not_narrow(loss: float, jitter_ms: int) -> None:
    flow = Flow(Line(lambda _: 10_000_000, jitter_ms=jitter_ms, loss=loss), 1_600_000, layers_bps=LAYERS_BPS)
    run([flow], 20_000)
    assert all(video_bps == LAYERS_BPS[-1] for _, _, video_bps in flow.history if video_bps)


@pytest.mark.parametrize("seed", range(5))
def test_delays_by_chance_are_no_queue_that_grows(seed: int) -> None:
    """36 s of groups of two packets, each delayed by up to 80 ms: a few groups in a row always show some trend."""
    chance, trend, overused = random.Random(seed), DelayTrend(), 0
    for number in range(600):
        sent_ns = number * 60_000_000
        delay_ns = 40_000_000 + min(chance.randrange(80_000_000) for _ in range(2))
        overused += trend.update(Group(sent_ns, sent_ns + delay_ns)) is Verdict.OVERUSE
    assert overused <= 4


@pytest.mark.parametrize("seed", range(5))
def test_a_way_that_is_gone_for_a_while_is_not_narrow(seed: int) -> None:
    """A NAT that is restarted: nothing arrives for a second and a half, then all does."""
    line = Line(lambda _: 5_000_000)
    flow = Flow(line, 1_600_000, layers_bps=LAYERS_BPS, seed=seed)
    run([flow], 3_000)
    line.loss = 1.0
    run([flow], 4_500, 3_000)
    line.loss = 0.0
    run([flow], 9_000, 4_500)
    assert all(video_bps == LAYERS_BPS[-1] for at_ms, _, video_bps in flow.history if at_ms > 100)


def test_two_share_a_line_fairly() -> None:
    """One comes five seconds after the other."""
    line = Line(lambda _: 3_000_000)
    first, second = Flow(line, 5_000_000, seed=1), Flow(line, 5_000_000, seed=2)
    run([first], 5_000)
    run([first, second], 75_000, 5_000)
    shares = [sum(estimates(flow, 30_000, 75_000)) for flow in (first, second)]
    assert min(shares) / sum(shares) >= 0.45


def test_a_way_that_is_longer_is_no_queue() -> None:
    """The delay grows once and stays: after one cut or two that is what the line is like."""
    line = Line(lambda _: 5_000_000)
    flow = Flow(line, 600_000, layers_bps=(500_000,))
    run([flow], 5_000)
    line.delay_ms = 140
    run([flow], 20_000, 5_000)
    assert all(video_bps == 500_000 for at_ms, _, video_bps in flow.history if at_ms > 12_000)


def test_numbers_go_round() -> None:
    flow = Flow(Line(at((0, 10_000_000), (1_000, 200_000))), 700_000, layers_bps=(500_000,))
    flow.next_seq = 65_500
    flow.estimator = Estimator(65_500)
    run([flow], 3_000)
    assert flow.next_seq > 65_600
    assert estimates(flow, 2_000, 3_000)


def test_the_receivers_clock_goes_round_and_may_jump() -> None:
    estimator = Estimator(0)
    wrap_ns = REFERENCE_NS << 24
    now_ns = 0
    for start_ns in (wrap_ns // 2 - SECOND, -MAX_DRIFT_NS * 2, 5):
        for _ in range(200):
            estimator.sent(now_ns, 1_000)
            arrival_ns = (start_ns + now_ns + wrap_ns // 2) % wrap_ns - wrap_ns // 2
            estimator.handle_feedback(now_ns, [(now_ns // (10 * MS) & 0xFFFF, arrival_ns)])
            now_ns += 10 * MS
        assert estimator.acked_bps == pytest.approx(1_070 * 8 * 100, rel=0.05)
    assert estimator.bitrate_bps is None


def test_what_is_never_acknowledged_is_forgotten() -> None:
    history = SentHistory(1)
    for number in range(MAX_UNHEARD + 10):
        history.add(SentPacket(number * MS, 100, 0))
    assert history.acknowledge(10) is None
    assert history.acknowledge(11) is not None
    assert history.acknowledge(11) is None
    assert history.acknowledge(MAX_UNHEARD + 11) is None
    for number in range(MAX_SENT):
        history.add(SentPacket(number * MS, 100, 0))
    assert history.acknowledge(MAX_UNHEARD + 10) is None
    assert history.acknowledge(MAX_UNHEARD + 11) is not None


def test_a_packet_is_lost_when_one_of_much_later_has_arrived() -> None:
    history = SentHistory(0)
    for at_ms in (0, 50, 100, 101):
        history.add(SentPacket(at_ms * MS, 100, 0))
    assert history.acknowledge(2) is not None
    assert history.take_lost() == (0, 0, 0)
    assert history.acknowledge(3) is not None
    assert history.take_lost() == (1, 1, 100)
    assert history.acknowledge(0) is None
    assert history.acknowledge(1) is not None


def test_losses_in_a_row_are_one_run_however_they_are_heard_of() -> None:
    history = SentHistory(0)
    for number in range(20):
        history.add(SentPacket(number * 10 * MS, 100, 0))
    runs = []
    for arrived in (0, 6, 12, 13, 19):
        history.acknowledge(arrived)
        runs.append(history.take_lost()[:2])
    # 1 to 5, of which the first was certain when 12 arrived; 7, 8 when 19 did.
    assert runs == [(0, 0), (0, 0), (1, 1), (1, 0), (5, 1)]


def trend(*delays_ms: int, lost: int = 0) -> list[Verdict]:
    delay, verdicts = DelayTrend(), []
    for index, delay_ms in enumerate(delays_ms):
        group = Group(index * 50 * MS, (index * 50 + delay_ms) * MS)
        group.lost = lost
        verdicts.append(delay.update(group))
    return verdicts


def test_verdicts() -> None:
    assert set(trend(*[40] * 20)) == {Verdict.NORMAL}
    assert trend(40, 40, 40, 45, 42, 50, 41, 40)[-1] is Verdict.NORMAL
    assert trend(40, 40, 100)[-1] is Verdict.HOLD
    assert trend(40, 40, 100, 160)[-1] is Verdict.OVERUSE
    assert trend(40, 40, 45, 50, 55, 60, 65, 70)[-1] is Verdict.OVERUSE
    assert trend(40, *[80] * 8)[-1] is Verdict.HOLD
    assert Verdict.OVERUSE in trend(40, *[140] * 30)
    assert trend(40, *[140] * 30)[-1] is Verdict.NORMAL


def rise(*packets: tuple[int, int], size: int = 1_100) -> list[int | None]:
    """Of packets (sent at, arrived at, in ms): what each of them says."""
    one = Rise()
    return [one.add(sent_ms * MS, arrival_ms * MS, size) for sent_ms, arrival_ms in packets]


def test_one_picture_tells_what_the_line_takes() -> None:
    """Five packets that leave together and come out one by one: 1,100 bytes in 40 ms."""
    picture = [(80, 120 + 40 * index) for index in range(1, 6)]
    assert rise((0, 40), (20, 60), (40, 80), *picture) == [None] * 5 + [220_000] * 3
    assert rise((0, 40), *((one - 10, at) for one, at in picture)) == [None] * 3 + [220_000] * 3
    assert rise((0, 40), (80, 120), (80, 120), (80, 121), (80, 122)) == [None] * 5


def test_what_stops_and_goes_on_is_no_queue() -> None:
    """A radio that is silent for 150 ms, and one that jumps; packets that come out of order say nothing."""
    assert set(rise((0, 40), *((sent, 190) for sent in range(0, 140, 20)), (160, 200), (180, 220))) == {None}
    assert set(rise((0, 40), (20, 61), (20, 62), (20, 160), (40, 180), (60, 200))) == {None}
    assert set(rise((80, 120), (60, 180), (40, 240), (20, 300), (0, 360))) == {None}


def test_a_probe_that_is_lost_ends() -> None:
    probe = Probe()
    probe.wanted_bps = 1_000_000
    assert probe.run(0, 100_000, is_calm=False, lost_percent=0) == 0
    assert probe.run(0, 100_000, is_calm=True, lost_percent=0) > 0
    now_ns = 0
    while not probe.is_over(now_ns, 0):
        now_ns += 10 * MS
        probe.run(now_ns, 100_000, is_calm=True, lost_percent=0)
        assert now_ns <= CLUSTER_NS + 2 * SECOND
    assert probe.finish(now_ns) == 0
    assert probe.run(now_ns, 100_000, is_calm=True, lost_percent=0) == 0


def test_an_estimate_has_a_floor() -> None:
    flow = Flow(Line(at((0, 1_000_000), (2_000, 8_000))), 900_000)
    run([flow], 10_000)
    assert min(estimates(flow, 0, 10_000)) >= MIN_BPS

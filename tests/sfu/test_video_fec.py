"""Which videos have repair packets: those to lines that lose and are long, and to who takes them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sfu.control.adapt.fec import CALM_S, Need, VideoFec
from sfu.control.adapt.figures import Flow
from sfu.control.settings import AdaptSettings
from sfu.ids import SubscriptionHandle

SETTINGS = AdaptSettings(fec_packets=7, fec_loss=0.04, fec_rtt_ms=50.0)


def flow(loss: float, rtt_ms: float = 80.0, packets: int = 50, nacks: int = 10, resent: int = 11) -> Flow:
    return Flow(packets, 500_000, loss, rtt_ms, None, nacks, resent)


@pytest.mark.parametrize(
    ("loss", "rtt_ms", "packets"),
    [(0.0, 80, 0), (0.039, 80, 0), (0.04, 80, 7), (0.14, 80, 7), (0.15, 80, 3), (0.1, 49, 0), (0.1, 0, 0)],
)
def test_a_line_that_loses_and_is_long_needs_them_at_once(loss: float, rtt_ms: float, packets: int) -> None:
    assert Need(SETTINGS).update(100.0, flow(loss, rtt_ms)) == packets


def test_it_stops_after_a_calm_while_with_less_than_half_of_that() -> None:
    need = Need(SETTINGS)
    assert need.update(0.0, flow(0.04))
    assert need.update(10.0, flow(0.021))
    assert need.update(10.0 + CALM_S - 0.1, flow(0.019))
    assert not need.update(10.0 + CALM_S, flow(0.019))
    assert not need.update(11.0 + CALM_S, flow(0.021))
    assert need.update(12.0 + CALM_S, flow(0.04))
    # A way that has become short.
    assert not need.update(12.0 + 2 * CALM_S, flow(0.5, rtt_ms=10))


def test_where_much_is_lost_fewer_share_one_and_chance_does_not_count() -> None:
    need = Need(SETTINGS)
    assert [need.update(at, flow(loss)) for at, loss in enumerate((0.1, 0.22, 0.08, 0.1))] == [7, 7, 7, 7]
    assert [need.update(4 + at, flow(0.2)) for at in range(4)] == [7, 3, 3, 3]
    assert [need.update(8 + at, flow(0.13)) for at in range(9)] == [3] * 9
    assert [need.update(17 + at, flow(0.05)) for at in range(2)] == [7, 7]
    few = Need(AdaptSettings(fec_packets=2, fec_loss=0.04, fec_rtt_ms=50.0))
    assert few.update(0.0, flow(0.3)) == 2


def test_what_is_lost_in_a_row_is_not_to_be_mended() -> None:
    need = Need(SETTINGS)
    assert not need.update(0.0, flow(0.1, nacks=3, resent=12))
    # Once does not count, and then it does.
    assert not need.update(1.0, flow(0.1, nacks=1, resent=1))
    assert need.update(2.0, flow(0.1, nacks=10, resent=11))
    # It ends at once, without a calm while.
    assert not need.update(3.0, flow(0.1, nacks=10, resent=40))
    # Who asks for nothing may lose one by one.
    assert Need(SETTINGS).update(0.0, flow(0.1, nacks=0, resent=0))


class Video:
    """A subscription as it is seen here."""

    def __init__(self, handle: int | None, *, takes_fec: bool = True) -> None:
        self.handle = None if handle is None else SubscriptionHandle(handle)
        self.takes_fec = takes_fec
        self.fec_packets = 0

    def set_fec(self, engine: Any, packets: int) -> None:
        self.fec_packets = packets


def run(fec: VideoFec, lines: list[list[Any]], now_s: float, losses: dict[int, Flow]) -> None:
    figures: Any = SimpleNamespace(flow=lambda one: None if one.handle is None else losses.get(one.handle))
    fec.run(lines, figures, now_s)


def test_each_video_by_itself() -> None:
    fec = VideoFec(SimpleNamespace(), SETTINGS)  # type: ignore[arg-type]
    bad, good, unready, unable = Video(1), Video(2), Video(None), Video(3, takes_fec=False)
    lines: list[list[Any]] = [[bad, unready, unable], [good]]
    run(fec, lines, 0.0, {1: flow(0.1), 2: flow(0.0), 3: flow(0.1)})
    assert [one.fec_packets for one in (bad, good, unready, unable)] == [7, 0, 0, 0]
    # A picture that does not move says nothing of the line.
    run(fec, lines, CALM_S + 1, {1: flow(0.0, packets=0), 2: flow(0.0)})
    assert bad.fec_packets == 7
    run(fec, lines, CALM_S + 2, {1: flow(0.0), 2: flow(0.1)})
    assert [bad.fec_packets, good.fec_packets] == [0, 7]
    run(fec, [], CALM_S + 3, {})
    assert fec._needs == {}

"""The best layer from the start: who has the room for it sees it within two seconds."""

from __future__ import annotations

import pytest

from sfu.engine import create_engine
from sfu.engine.api import OVERHEAD_BYTES
from sfu.engine.reference import rtcp
from tests.engine.line import Line
from tests.engine.test_engine_congestion import Call

TOP_BPS, FRAMES_PER_S, PACKETS = 1_500_000, 12, 16
OVERHEAD_PERCENT, SOUND_BPS = 107, 60_000
NEEDED_BPS = TOP_BPS * OVERHEAD_PERCENT // 100 + SOUND_BPS


class Top(Call):
    """A picture of 1.5 Mbit/s; keyframes, which come when they are asked for, are two and a half times as large."""

    shown = 0

    def send_picture(self) -> None:
        if self.now_ms * FRAMES_PER_S // 1_000 > self.shown:
            self.shown += 1
            is_key = bool(self.camera.peer.take_rtcp(rtcp.Pli))
            size = TOP_BPS // FRAMES_PER_S // 8 // PACKETS - OVERHEAD_BYTES
            for packet in self.camera.make_frame(key=is_key, packets=40 if is_key else PACKETS, step=7_500):
                packet.payload += bytes(size - len(packet.payload))
                self.camera.peer.send(packet)

    def judge(self, bitrate_bps: int) -> None:
        fits = bitrate_bps >= NEEDED_BPS
        self.net.engine.set_subscription_paused(self.picture, not fits)
        self.net.engine.set_wanted_bitrate(self.subscriber.transport, 0 if fits else NEEDED_BPS * 105 // 100)


@pytest.mark.parametrize("queue_ms", [100, 300])
@pytest.mark.parametrize("line_bps", [1_800_000, 2_000_000, 2_500_000, 5_000_000, 20_000_000])
def test_the_best_layer_is_there_within_two_seconds(engine_kind: str, line_bps: int, queue_ms: int) -> None:
    """From the first packet where there is room to spare; after one probe where a keyframe alone filled the line."""
    call = Top(create_engine(engine_kind, seed=1), Line(lambda _: line_bps, queue_ms=queue_ms))
    call.run(3_500)
    refused = [at_ms for at_ms, bps in call.told if bps < NEEDED_BPS]
    allowed = [at_ms for at_ms, bps in call.told if bps >= NEEDED_BPS]
    assert not refused or (allowed and refused[-1] < allowed[-1] <= 2_000)
    assert not refused or line_bps < 2_000_000
    assert len({at_ms for at_ms in call.pictures_ms if at_ms >= 2_000}) >= FRAMES_PER_S

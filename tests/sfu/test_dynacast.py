"""Dynacast: more is told at once, less after a while, and nothing is told twice."""

from __future__ import annotations

import asyncio

from sfu.control.publish.dynacast import HIGHEST_QUALITY, OFF, LayerDemand
from tests.harness.waiting import eventually

DELAY_S = 0.05
HIGH, MEDIUM, LOW = HIGHEST_QUALITY, 1, 0


class Rig:
    """`wanted` is what all subscriptions together want."""

    def __init__(self) -> None:
        self.wanted = {"vp9": HIGH}
        self.told: list[dict[str, int]] = []
        self.demand = LayerDemand(
            "vp9",
            lambda: self.wanted,
            lambda codecs: self.told.append(dict(codecs)),
            asyncio.get_running_loop(),
            DELAY_S,
        )

    def change(self, codec: str, quality: int) -> None:
        self.wanted = {**self.wanted, codec: quality}
        self.demand.note(codec, quality)

    async def until_told(self, count: int) -> dict[str, int]:
        await eventually(lambda: len(self.told) >= count, f"{count} messages")
        assert len(self.told) == count
        return self.told[-1]


async def test_less_is_told_late_and_more_at_once() -> None:
    rig = Rig()
    began = asyncio.get_running_loop().time()
    rig.change("vp9", LOW)
    assert rig.told == []
    assert await rig.until_told(1) == {"vp9": LOW}
    assert asyncio.get_running_loop().time() - began >= DELAY_S
    rig.change("vp9", HIGH)
    assert rig.told[1:] == [{"vp9": HIGH}]


async def test_what_comes_back_in_time_is_not_told() -> None:
    rig = Rig()
    rig.change("vp9", OFF)
    rig.change("vp9", HIGH)
    rig.change("vp9", LOW)
    assert await rig.until_told(1) == {"vp9": LOW}


async def test_a_second_codec_is_asked_for_at_once_and_given_up_late() -> None:
    rig = Rig()
    rig.change("vp8", HIGH)
    assert rig.told == [{"vp9": HIGH, "vp8": HIGH}]
    rig.change("vp9", MEDIUM)
    rig.change("vp8", OFF)
    assert await rig.until_told(2) == {"vp9": MEDIUM, "vp8": OFF}
    rig.demand.repeat()
    assert rig.told[2:] == [{"vp9": MEDIUM, "vp8": OFF}]


async def test_nothing_is_told_after_the_end() -> None:
    rig, other = Rig(), Rig()
    rig.change("vp9", OFF)
    rig.demand.close()
    other.change("vp9", OFF)
    await other.until_told(1)
    assert rig.told == []

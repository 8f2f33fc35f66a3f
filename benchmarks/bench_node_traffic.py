"""What goes over the link of two nodes, by what is watched there: a camera in three layers, libwebrtc as clients.

    python -m benchmarks.bench_node_traffic [--seconds 8]

On the first node one publishes and three watch, each another layer, so that all layers are sent all the time; on the
second node nobody watches, then one, then several. For each: kbit/s over the link, those of the layers that are wanted
there, as the first node gets them from the camera, and the one by the other.
"""

from __future__ import annotations

import argparse
import asyncio

from livekit import rtc

from sfu.node import Node
from tests.harness.caller import Caller
from tests.harness.media import PatternReader
from tests.harness.server import EmbeddedCluster

LOW, MEDIUM, HIGH = range(3)
WIDTHS = (320, 640, 960)
"""That the SDK makes of 960 x 540."""
QUALITIES = (
    rtc.VideoQuality.VIDEO_QUALITY_LOW, rtc.VideoQuality.VIDEO_QUALITY_MEDIUM, rtc.VideoQuality.VIDEO_QUALITY_HIGH,
)  # fmt: skip
CASES: dict[str, tuple[int, ...]] = {
    "nobody": (),
    "one, low": (LOW,),
    "one, high": (HIGH,),
    "four, high": (HIGH, HIGH, HIGH, HIGH),
    "four, low, low, low, high": (LOW, LOW, LOW, HIGH),
    "four, low, medium, high, high": (LOW, MEDIUM, HIGH, HIGH),
}
TIMEOUT_S = 30.0
SETTLE_S = 4.0
"""Less is asked for a little later (`dynacast_pause_delay_s`)."""


class Watcher:
    def __init__(self, publication: rtc.RemoteTrackPublication, eye: PatternReader) -> None:
        self._publication = publication
        self._eye = eye

    async def want(self, layer: int) -> None:
        """Returns when it is had."""
        self._publication.set_video_quality(QUALITIES[layer])
        await self._eye.until(
            lambda: self._eye.frames and self._eye.frames[-1].width == WIDTHS[layer], f"layer {layer}", TIMEOUT_S
        )


def layer_bytes(node: Node) -> list[int]:
    """Of the camera, as they have come from it."""
    [track] = [one for one in node._runtime.commands.stats().tracks if len(one.layers) == len(WIDTHS)]
    return [layer.bytes_received for layer in track.layers]


def link_bytes(node: Node) -> int:
    return sum(other.sent_bytes for other in node.nodes())


async def measure(node: Node, name: str, wanted: tuple[int, ...], seconds: float) -> None:
    await asyncio.sleep(SETTLE_S)
    layers, sent = layer_bytes(node), link_bytes(node)
    await asyncio.sleep(seconds)
    came = [after - before for before, after in zip(layers, layer_bytes(node), strict=True)]
    over_link, needed = link_bytes(node) - sent, sum(came[layer] for layer in set(wanted))
    share = f"{over_link / needed:.2f}" if needed else "–"
    rates = " / ".join(f"{8 * one / seconds / 1e3:.0f}" for one in came)
    print(f"| {name} | {rates} | {8 * needed / seconds / 1e3:.0f} | {8 * over_link / seconds / 1e3:.0f} | {share} |",
          flush=True)  # fmt: skip


async def watch(url: str, name: str, callers: list[Caller]) -> Watcher:
    caller = await Caller(url, "hall", name).join()
    callers.append(caller)
    eye = await caller.watch("alice")
    _, publication = await caller.subscribed("alice", rtc.TrackKind.KIND_VIDEO)
    return Watcher(publication, eye)


async def run(seconds: float) -> None:
    cluster = EmbeddedCluster("one", "two", default_kind="open")
    await cluster.start()
    one, two = cluster.servers
    assert isinstance(one.sfu, Node)
    callers = [await Caller(one.url, "hall", "alice").join()]
    try:
        await callers[0].publish_pattern(3, size=(960, 540), fps=15, simulcast=True, bitrate_bps=1_500_000, noisy=True)
        for layer in (LOW, MEDIUM, HIGH):
            await (await watch(one.url, f"near{layer}", callers)).want(layer)
        print("| on the other node | layers as they come, kbit/s | wanted there | over the link | one by the other |")
        print("|---|---|---|---|---|")
        for name, wanted in CASES.items():
            watchers = [await watch(two.url, f"w{number}", callers) for number in range(len(wanted))]
            await asyncio.gather(*(watcher.want(layer) for watcher, layer in zip(watchers, wanted, strict=True)))
            await measure(one.sfu, name, wanted, seconds)
            await asyncio.gather(*(callers.pop().leave() for _ in watchers))
    finally:
        await asyncio.gather(*(caller.leave() for caller in callers))
        await cluster.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=8.0)
    asyncio.run(run(parser.parse_args().seconds))


if __name__ == "__main__":
    main()

"""Whether repair packets (FlexFEC-03) help a video on its way to a browser: real Chromium behind a line that loses.

    python -m benchmarks.bench_fec [--lines loss5 loss10 loss20 bursts] [--runs 4] [--seconds 20] [--packets 10]

One publishes a picture (480x270, 12 a second, one layer of 500 kbit/s) over LiveKit's Python SDK, Chromium receives it
over a line of 40 ms each way (`sfu/rust/line`). Each line has two servers in turns, one without repair packets and one
with, `--runs` times each, with the same seeds. Printed for each run, from eight seconds on: pictures decoded a second,
the longest time between two that were shown, freezes (W3C `freezeCount`) and how long they were, the deviation of the
times between pictures, how long a picture was in the jitter buffer, what arrived, NACKs, and repair packets.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import statistics
from typing import Any

from playwright.async_api import Browser, async_playwright

from benchmarks.line import LineProcess, build
from tests.harness.browser import launch
from tests.harness.caller import Caller
from tests.harness.proxy import SignalProxy
from tests.harness.sdk_page import SdkPage
from tests.harness.server import ServerProcess

SOURCE, SIZE, FPS, BITRATE_BPS = 3, (480, 270), 12, 500_000
SETTLE_S = 8.0
"""Until the server knows what the line loses."""
LINES = {
    "clean": "delay_ms=40",
    "loss5": "delay_ms=40 loss_permille=50",
    "loss10": "delay_ms=40 loss_permille=100",
    "loss20": "delay_ms=40 loss_permille=200",
    "bursts": "delay_ms=40 loss_permille=50 burst=4",
}
WATCH = """() => {
    const element = document.body.appendChild(remote('video').track.attach());
    element.muted = true;
    window.shownAt = [];
    const note = (now, frame) => {
        shownAt.push(now);
        element.requestVideoFrameCallback(note);
    };
    element.requestVideoFrameCallback(note);
    return element.play();
}"""
STATS = """async () => {
    const transport = room.engine.pcManager.subscriber ?? room.engine.pcManager.publisher;
    for (const one of (await transport.getStats()).values())
        if (one.type === 'inbound-rtp' && one.kind === 'video') return {...one, now: performance.now()};
}"""
GAP = """since => {
    const times = [...shownAt.filter(at => at >= since), performance.now()];
    return Math.max(...times.map((at, index) => at - (times[index - 1] ?? since)));
}"""
FIGURES = (
    "frames/s",
    "longest gap, ms",
    "freezes",
    "frozen, s",
    "deviation, ms",
    "in buffer, ms",
    "kbit/s",
    "nacks",
    "repair packets",
)


async def measure(browser: Browser, server: ServerProcess, line: str, seed: int, seconds: float) -> list[float]:
    between = await LineProcess(server.ports.udp, seed).start()
    between.set("up", "delay_ms=40")
    between.set("down", line)
    proxy = await SignalProxy(server.url, between.rewrite).start()
    room = secrets.token_hex(4)
    sender = Caller(server.url, room, "sender")
    await sender.join()
    page = await SdkPage.open(browser, server.url)
    try:
        await sender.publish_pattern(SOURCE, size=SIZE, fps=FPS, bitrate_bps=BITRATE_BPS, noisy=True, simulcast=False)
        await page.join(room, "receiver", url=proxy.url)
        await page.until("async () => (await inbound()).some(one => one.kind === 'video' && one.frames > 5)")
        await page.page.evaluate(WATCH)
        await asyncio.sleep(SETTLE_S)
        before = await page.page.evaluate(STATS)
        await asyncio.sleep(seconds)
        after = await page.page.evaluate(STATS)
        gap_ms = await page.page.evaluate(GAP, before["now"])
    finally:
        await page.close()
        await sender.leave()
        await proxy.stop()
        await between.stop()
    return figures(before, after, gap_ms)


def figures(before: dict[str, Any], after: dict[str, Any], gap_ms: float) -> list[float]:
    def grown(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    elapsed_s = (after["timestamp"] - before["timestamp"]) / 1000
    frames = grown("framesDecoded")
    mean_s = grown("totalInterFrameDelay") / frames
    variance = grown("totalSquaredInterFrameDelay") / frames - mean_s * mean_s
    received = grown("bytesReceived") + grown("headerBytesReceived")
    return [
        frames / elapsed_s,
        gap_ms,
        grown("freezeCount"),
        grown("totalFreezesDuration"),
        1000 * max(0.0, variance) ** 0.5,
        1000 * grown("jitterBufferDelay") / max(1, grown("jitterBufferEmittedCount")),
        8 * received / elapsed_s / 1000,
        grown("nackCount"),
        grown("fecPacketsReceived"),
    ]


async def run(lines: list[str], runs: int, seconds: float, packets: int) -> None:
    servers = [ServerProcess(environment={"TING_FEC_PACKETS": str(number)}) for number in (0, packets)]
    for server in servers:
        await server.start()
    print("| line | | " + " | ".join(FIGURES) + " |\n|---|---" + "|---" * len(FIGURES) + "|", flush=True)
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        for line in lines:
            results: list[list[list[float]]] = [[], []]
            for number in range(runs):
                for which, server in enumerate(servers):
                    cells = await measure(browser, server, LINES[line], number + 1, seconds)
                    results[which].append(cells)
                    print_row(line, ("without", "with")[which], cells)
            for which, name in enumerate(("without, median", "with, median")):
                print_row(line, name, [statistics.median(column) for column in zip(*results[which], strict=True)])
        await browser.close()
    for server in servers:
        await server.stop()


def print_row(line: str, name: str, cells: list[float]) -> None:
    print(f"| {line} | {name} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", nargs="*", choices=list(LINES), default=list(LINES))
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--packets", type=int, default=10)
    arguments = parser.parse_args()
    build()
    asyncio.run(run(arguments.lines, arguments.runs, arguments.seconds, arguments.packets))


if __name__ == "__main__":
    main()

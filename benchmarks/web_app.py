"""What the web app asks of a browser, in headless Chromium on loopback.

    python -m benchmarks.web_app load       bytes and requests, of the start page and until in a call: in a room by its
                                            name, and in one that the start page makes, which lasts and is sealed
    python -m benchmarks.web_app join       from the click on Join to the first picture of somebody else
    python -m benchmarks.web_app busy       how long the page's main thread works while nine tiles play

Each round is a browser profile of its own with nothing in its cache; medians, and each round in brackets. `busy` has
eight people of `ting load-test` in the call, and the processor seems four times slower to the page; decoding is not on
the main thread.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from statistics import median

from playwright.async_api import Browser, async_playwright, expect

from tests.harness.browser import Tab, launch
from tests.harness.page_weight import NO_WORKER, PageWeight
from tests.harness.server import ServerProcess

SLOWER = 4
TILES = 9
BUSY_S = 10.0
PARTS = {
    "all tasks": "TaskDuration",
    "scripts": "ScriptDuration",
    "layout": "LayoutDuration",
    "style": "RecalcStyleDuration",
}
TING = "import sys; from signaling.cli import main; sys.exit(main())"
FIRST_PICTURE = """() => new Promise((resolve) => {
    const begin = performance.now();
    document.querySelector('[data-testid="join-call"]').click();
    const look = () => {
        const video = document.querySelector('[data-testid="tile"][data-name="Ada"] video');
        if (video === null) requestAnimationFrame(look);
        else video.requestVideoFrameCallback((now) => resolve(now - begin));
    };
    look();
})"""

Figures = dict[str, float]


async def load_once(browser: Browser, url: str, coding: str) -> Figures:
    by_name = await _load(browser, url, coding, "den")
    return by_name | await _load(browser, url, coding, "")


async def _load(browser: Browser, url: str, coding: str, room: str) -> Figures:
    """Into `room`, or into a new one."""
    tab = await Tab.open(browser, url)
    await tab.context.add_init_script(NO_WORKER)
    weight = await PageWeight.follow(tab.page, url, coding)
    await tab.page.goto(url)
    await expect(tab.get("new-room")).to_be_visible()
    await tab.page.wait_for_load_state("networkidle")
    start = _weigh("start page", weight)
    if room:
        await tab.get("room-input").fill(room)
        await tab.get("join-room").click()
    else:
        await tab.get("new-room").click()
    await tab.pass_lobby("Ada")
    await tab.expect_moving("Ada")
    await tab.page.wait_for_load_state("networkidle")
    await tab.close()
    return start | _weigh("until in a call" if room else "until in a call of a new room", weight)


def _weigh(until: str, weight: PageWeight) -> Figures:
    return {
        f"{until}: JavaScript, bytes": weight.script_bytes(),
        f"{until}: everything, bytes": weight.all_bytes(),
        f"{until}: requests": weight.requests,
        f"{until}: requests to others": len(weight.foreign),
    }


async def join_once(browser: Browser, url: str, _coding: str) -> Figures:
    ada = await (await Tab.open(browser, url)).join("hall", "Ada")
    bob = await Tab.open(browser, url)
    await bob.page.goto(f"{url}/r/hall")
    await bob.get("name-input").fill("Bob")
    await expect(bob.get("preview-video")).to_be_visible()
    await bob.page.wait_for_load_state("networkidle")
    waited_ms = await bob.page.evaluate(FIRST_PICTURE)
    await bob.close()
    await ada.close()
    return {"click on Join to the first picture, ms": waited_ms}


async def busy_once(browser: Browser, url: str, _coding: str) -> Figures:
    async with _others(url):
        tab = await Tab.open(browser, url, viewport={"width": 1280, "height": 800})
        session = await tab.page.context.new_cdp_session(tab.page)
        await session.send("Performance.enable")
        await tab.join("load-1", "Ada")
        await expect(tab.page.locator('[data-testid="tile"] video')).to_have_count(TILES)
        for video in await tab.page.locator('[data-testid="tile"] video').all():
            await tab.expect_frames(video)
        await session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        before = await _metrics(session.send)
        await asyncio.sleep(BUSY_S)
        after = await _metrics(session.send)
        await tab.close()
    passed_s = after["Timestamp"] - before["Timestamp"]
    return {
        f"main thread, {TILES} tiles, 1/{SLOWER} of the processor: {part}, %": 100
        * (after[name] - before[name])
        / passed_s
        for part, name in PARTS.items()
    }


async def _metrics(send: Callable[[str], Awaitable[Mapping[str, Sequence[Mapping[str, float]]]]]) -> dict[str, float]:
    answer = await send("Performance.getMetrics")
    return {str(metric["name"]): metric["value"] for metric in answer["metrics"]}


@asynccontextmanager
async def _others(url: str) -> AsyncIterator[None]:
    words = f"--url {url} --dev --publishers {TILES - 1} --subscribers 0 --video 360p --audio --duration 10m --quiet"
    command = (sys.executable, "-c", TING, "load-test", *words.split())
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


ONCE: Mapping[str, Callable[[Browser, str, str], Awaitable[Figures]]] = {
    "load": load_once,
    "join": join_once,
    "busy": busy_once,
}


async def measure(what: str, rounds: int, coding: str) -> None:
    server = ServerProcess()
    await server.start()
    try:
        async with async_playwright() as playwright:
            browser = await launch(playwright)
            found = [await ONCE[what](browser, server.url, coding) for _ in range(rounds)]
            await browser.close()
    finally:
        await server.stop()
    for name in found[0]:
        values = [figures[name] for figures in found]
        print(f"{name:60} {median(values):9,.0f} ({', '.join(f'{value:,.0f}' for value in values)})")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=sorted(ONCE))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--coding", default="gzip", help="what the browser takes: gzip, br")
    options = parser.parse_args()
    asyncio.run(measure(options.what, options.rounds, options.coding))


if __name__ == "__main__":
    main()

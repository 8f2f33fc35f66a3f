"""How long a room with a long history takes to open in the web app, in headless Chromium.

    python -m benchmarks.open_room [--entries 100000] [--rounds 5]

Each round is a browser profile of its own, without anything in its cache. Two times: from the navigation until the page
in front of the room can be used, and from the click that opens the chat until the first messages are painted.
"""

from __future__ import annotations

import argparse
import asyncio
from statistics import median

from playwright.async_api import Browser, async_playwright

from benchmarks.archives import fill
from signaling.db.settings import DatabaseSettings
from signaling.db.storage import Storage
from tests.harness.browser import Tab, launch
from tests.harness.server import ServerProcess

PAINTED = """() => new Promise((resolve) => {
    const begin = performance.now();
    document.querySelector('[data-testid="open-chat"]').click();
    const look = () => {
        const lines = document.querySelectorAll('[data-testid="chat-message"]').length;
        if (lines === 0) requestAnimationFrame(look);
        // The frame after the one in which they were there has been painted.
        else requestAnimationFrame(() => setTimeout(() => resolve([performance.now() - begin, lines])));
    };
    look();
})"""


async def open_once(browser: Browser, url: str) -> tuple[float, float, int]:
    """Milliseconds until the door can be used, and until messages are painted; how many lines the page has then."""
    tab = await Tab.open(browser, url)
    await tab.page.goto(f"{url}/r/hall")
    await tab.get("name-input").fill("Ada")
    door_ms = await tab.page.evaluate("performance.getEntriesByType('paint').at(-1).startTime")
    chat_ms, lines = await tab.page.evaluate(PAINTED)
    await tab.close()
    return door_ms, chat_ms, lines


async def measure(entries: int, rounds: int) -> None:
    server = ServerProcess()
    storage = Storage(DatabaseSettings(), server.data_folder)
    await fill(storage, server.data_folder, entries, 0)
    await storage.close()
    await server.start()
    try:
        async with async_playwright() as playwright:
            browser = await launch(playwright)
            found = [await open_once(browser, server.url) for _ in range(rounds)]
            await browser.close()
    finally:
        await server.stop()
    print(f"{entries} entries, {rounds} rounds; milliseconds: median (each)")
    for number, name in enumerate(("navigation to first paint", "click to messages painted")):
        times = [one[number] for one in found]
        print(f"{name:26} {median(times):6.0f} ({', '.join(f'{one:.0f}' for one in times)})")
    print(f"{'lines in the page':26} {found[0][2]:6}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    asyncio.run(measure(options.entries, options.rounds))


if __name__ == "__main__":
    main()

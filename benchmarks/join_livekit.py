"""From the click on Join to the first picture of somebody else: our page, and one of LiveKit's own React components.

    python -m benchmarks.join_livekit [--rounds 5]

In turn, in one headless Chromium on loopback, each round with a profile of its own, the device check shown and at rest
before the click. Needs `livekit-server` on PATH; LiveKit's page (`livekit_page/`: `PreJoin`, then `VideoConference`) is
built in a folder of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlencode

from playwright.async_api import Browser, BrowserContext, async_playwright

from benchmarks.peers.livekit import LiveKitServer
from benchmarks.web_app import join_once
from tests.harness.browser import launch
from tests.harness.server import ServerProcess

PAGE = Path(__file__).resolve().parent / "livekit_page"
REST_MS = 1_500
FIRST_PICTURE = """() => new Promise((resolve) => {
    const begin = performance.now();
    document.querySelector('.lk-join-button').click();
    const look = () => {
        const videos = [...document.querySelectorAll('.lk-participant-tile video')];
        const video = videos.find((one) => one.dataset.lkLocalParticipant === 'false');
        if (video === undefined) requestAnimationFrame(look);
        else video.requestVideoFrameCallback((now) => resolve(now - begin));
    };
    look();
})"""


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Tokens are in the addresses."""


def build(folder: Path) -> Path:
    """LiveKit's page, ready to be served."""
    shutil.copytree(PAGE, folder, dirs_exist_ok=True)
    for command in (("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"), ("npm", "run", "build")):
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "dist"


async def open_page(browser: Browser, page_url: str, server: LiveKitServer, name: str) -> BrowserContext:
    context = await browser.new_context(permissions=["camera", "microphone"])
    page = await context.new_page()
    token = server.token("hall", name)
    socket_url = server.url.replace("http", "ws", 1)
    await page.goto(f"{page_url}/?{urlencode({'name': name, 'token': token, 'url': socket_url})}")
    await page.locator(".lk-prejoin video").wait_for()
    await page.wait_for_load_state("networkidle")
    return context


async def join_theirs(browser: Browser, page_url: str, server: LiveKitServer) -> float:
    ada = await open_page(browser, page_url, server, "Ada")
    await ada.pages[0].locator(".lk-join-button").click()
    await ada.pages[0].locator(".lk-participant-tile video").first.wait_for()
    await ada.pages[0].wait_for_timeout(REST_MS)
    bob = await open_page(browser, page_url, server, "Bob")
    waited_ms = float(await bob.pages[0].evaluate(FIRST_PICTURE))
    await bob.close()
    await ada.close()
    return waited_ms


async def run(rounds: int) -> None:
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory(prefix="livekit-page-") as name:
        web = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(build(Path(name) / "page"))))
        Thread(target=web.serve_forever, daemon=True).start()
        page_url = f"http://localhost:{web.server_address[1]}"
        server, ting = LiveKitServer(), ServerProcess(environment={"TING_DEFAULT_KIND": "open"})
        await server.start(Path(name), os.sched_getaffinity(0))
        await ting.start()
        try:
            async with async_playwright() as playwright:
                browser = await launch(playwright)
                for _ in range(rounds):
                    (waited_ms,) = (await join_once(browser, ting.url, "gzip")).values()
                    ours.append(waited_ms)
                    theirs.append(await join_theirs(browser, page_url, server))
                await browser.close()
        finally:
            await ting.stop()
            await server.stop()
            web.shutdown()
    for who, times in (("Ting", ours), ("LiveKit's components", theirs)):
        print(f"{who:22} {statistics.median(times):7,.0f} ms ({', '.join(f'{one:,.0f}' for one in times)})")
    print(f"{statistics.median(ours) / statistics.median(theirs):.2f} of theirs")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if shutil.which("livekit-server") is None:
        sys.exit("livekit-server is not on PATH")
    asyncio.run(run(options.rounds))


if __name__ == "__main__":
    main()

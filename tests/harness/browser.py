"""The web app in headless Chromium with fake devices: one `Tab` per person."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Playwright, expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream=fps=10",
    "--autoplay-policy=no-user-gesture-required",
]
ACCEPT_PROMPTS = "--use-fake-ui-for-media-stream"
DENY_PROMPTS = "--deny-permission-prompts"
TIMEOUT_MS = 30_000
POLL_S = 0.05

expect.set_options(timeout=TIMEOUT_MS)

SMALL_CAMERA = """(() => {
    const devices = navigator.mediaDevices;
    if (!devices) return;
    const ask = devices.getUserMedia.bind(devices);
    const small = {width: 320, height: 180, frameRate: 10};
    devices.getUserMedia = ({video, ...wanted}) =>
        ask(video ? {...wanted, video: {...(video === true ? {} : video), ...small}} : wanted);
})()"""
"""A camera of 320 × 180 for tests in which many people come together: 720p from each of them, encoded and decoded in
software, is more than two cores do."""

ENDED_BY_THE_SERVER = re.compile(r"^DataChannel error on |^publisher data channel '\w+' closed unexpectedly")
"""What livekit-client 2.23 logs as errors where the server ends the connection and the end of its data channels arrives
before the message that says why."""

FRAME_IN_HAND = re.compile(r"^A VideoFrame was garbage collected without being closed")
"""What @livekit/track-processors 0.8 has not passed on yet when a camera or its background is switched off."""

NOT_INSTALLED = re.compile(r"^An (SSL certificate|unknown) error occurred when fetching the script\.")
"""Of a service worker: `ignore_https_errors` lets a page through whose certificate nobody has signed, and not those;
and a page that is left while it installs one gives it up. `test_installed` sees that it is there where it can be."""

EXPECTED_404 = "/api/v1/rooms/"
"""An empty room is not found."""

LOST_RACE = re.compile(r"^/api/v1/rooms/[^/]+/seal/")
"""Where two members change the group of a sealed room at once, one of them is answered 409 and goes on from there."""

INBOUND = """async () => {
    const pc = window.__tingRoom.engine.pcManager;
    const transport = pc.subscriber ?? pc.publisher;
    const out = [];
    for (const stat of (await transport.getStats()).values())
        if (stat.type === 'inbound-rtp')
            out.push({kind: stat.kind, frames: stat.framesDecoded ?? 0, energy: stat.totalAudioEnergy ?? 0,
                      width: stat.frameWidth ?? 0, lost: stat.packetsLost, received: stat.packetsReceived});
    return out;
}"""


async def launch(playwright: Playwright, prompts: str = ACCEPT_PROMPTS, extra: Sequence[str] = ()) -> Browser:
    return await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, prompts, *extra])


async def until(page: Page, condition: str, argument: object = None, timeout_ms: int = TIMEOUT_MS) -> None:
    """Evaluate an async function in the page again and again until it gives something true. Playwright's own
    `wait_for_function` takes the promise for an answer, and a promise is always true."""
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            while not await page.evaluate(condition, argument):  # noqa: ASYNC110 - pages have no event for it
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_ms / 1000} s: {condition} of {argument!r}") from None


@dataclass
class Tab:
    """One person's browser profile with one page, and everything suspicious that it did."""

    context: BrowserContext
    page: Page
    origin: str
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    @classmethod
    async def open(
        cls, browser: Browser, origin: str, *, locale: str = "en-US", small_camera: bool = True, **options: object
    ) -> Tab:
        context = await browser.new_context(locale=locale, **options)  # type: ignore[arg-type]
        if small_camera:
            await context.add_init_script(SMALL_CAMERA)
        page = await context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        tab = cls(context, page, origin)
        host = urlsplit(origin).netloc
        page.on("console", tab._console)
        page.on("pageerror", lambda error: tab.errors.append(str(error)))
        page.on("request", lambda r: None if _is_own(r.url, host) else tab.foreign.append(r.url))
        page.on("websocket", lambda w: None if _is_own(w.url, host) else tab.foreign.append(w.url))
        return tab

    def _console(self, message: ConsoleMessage) -> None:
        path = urlsplit(message.location.get("url", "")).path
        if "404" in message.text and path.startswith(EXPECTED_404):
            return
        if "409" in message.text and LOST_RACE.match(path):
            return
        if any(known.match(message.text) for known in (ENDED_BY_THE_SERVER, FRAME_IN_HAND, NOT_INSTALLED)):
            return
        if message.type == "error" or "Content Security Policy" in message.text:
            self.errors.append(message.text)

    def get(self, test_id: str) -> Locator:
        return self.page.get_by_test_id(test_id)

    def tile(self, name: str) -> Locator:
        return self.page.locator(f'[data-testid="tile"][data-name="{name}"]')

    async def join(self, room: str, name: str) -> Tab:
        """Through the device check into the call."""
        await self.page.goto(f"{self.origin}/r/{room}?debug=1")
        return await self.pass_lobby(name)

    async def pass_lobby(self, name: str) -> Tab:
        await self.get("name-input").fill(name)
        await self.get("join-call").click()
        await expect(self.get("call")).to_be_visible()
        return self

    async def make_room(self, name: str) -> str:
        """From the start page into the call of a new sealed room; its whole link."""
        await self.page.goto(f"{self.origin}/?debug=1")
        await self.get("new-room").click()
        await expect(self.get("recovery")).to_be_visible(timeout=60_000)
        link = self.page.url
        await self.pass_lobby(name)
        return link

    async def come(self, link: str, name: str) -> None:
        await self.page.goto(link)
        await self.pass_lobby(name)

    async def expect_moving(self, name: str) -> None:
        """The picture in the tile of `name` shows new frames."""
        video = self.tile(name).locator("video")
        await expect(video).to_be_visible()
        await self.expect_frames(video)

    async def expect_frames(self, video: Locator, frames: int = 10) -> None:
        handle = await video.element_handle()
        await self.page.wait_for_function(
            """([video, frames]) => {
                const shown = video.getVideoPlaybackQuality().totalVideoFrames;
                video.__first ??= shown;
                return video.videoWidth > 0 && shown >= video.__first + frames;
            }""",
            arg=[handle, frames],
        )

    async def expect_sound(self, tracks: int) -> None:
        """That many received audio tracks carry energy above silence."""
        await until(
            self.page,
            f"async n => (await ({INBOUND})()).filter(s => s.kind === 'audio' && s.energy > 1e-4).length >= n",
            tracks,
        )

    async def close(self) -> None:
        await self.context.close()


def _is_own(url: str, host: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob", "about") or parts.netloc == host


async def close_clean(tabs: Sequence[Tab]) -> None:
    """None may have asked another host or logged an error; what a tab logs while the others are being closed is not the
    test's (livekit-client logs an error for a track of one who has just gone)."""
    errors = [list(tab.errors) for tab in tabs if tab.errors]
    for tab in tabs:
        await tab.close()
    assert [tab.foreign for tab in tabs if tab.foreign] == []
    assert errors == [], errors

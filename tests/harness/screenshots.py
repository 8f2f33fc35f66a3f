"""Pictures of the web app for its README, taken of a real server and browser.

    python -m tests.harness.screenshots [FOLDER]

Whoever is in them is drawn: each camera is a canvas. The web app must have been built; a font with emoji shows them.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
from pathlib import Path

from playwright.async_api import Browser, async_playwright, expect

from tests.harness.browser import Tab, launch
from tests.harness.server import ROOT, ServerProcess

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
QUALITY = 72

DRAWN_CAMERA = """hue => {
    const portrait = () => {
        const canvas = Object.assign(document.createElement('canvas'), {width: 640, height: 360});
        const ink = canvas.getContext('2d');
        const oval = (color, x, y, width, height) => {
            ink.fillStyle = color;
            ink.beginPath();
            ink.ellipse(x, y, width, height, 0, 0, 7);
            ink.fill();
        };
        let turn = 0;
        setInterval(() => {
            const sky = ink.createLinearGradient(0, 0, 640, 360);
            sky.addColorStop(0, `hsl(${hue} 45% 72%)`);
            sky.addColorStop(1, `hsl(${hue + 40} 40% 42%)`);
            ink.fillStyle = sky;
            ink.fillRect(0, 0, 640, 360);
            const x = 320 + 4 * Math.sin(turn++ / 9);
            oval(`hsl(${hue + 190} 35% 34%)`, x, 380, 150, 130);
            oval(`hsl(${20 + hue / 20} 30% 22%)`, x, 165, 82, 92);
            oval(`hsl(25 ${30 + hue % 20}% ${42 + hue % 35}%)`, x, 182, 66, 82);
            oval('#222', x - 25, 172, 6, 8);
            oval('#222', x + 25, 172, 6, 8);
            ink.strokeStyle = '#5a2a22';
            ink.lineWidth = 5;
            ink.beginPath();
            ink.arc(x, 205, 22, 0.3, 2.84);
            ink.stroke();
        }, 100);
        return canvas.captureStream(10).getVideoTracks()[0];
    };
    const devices = navigator.mediaDevices;
    const ask = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async wanted => {
        const found = await ask(wanted);
        for (const track of found.getVideoTracks()) {
            found.removeTrack(track);
            track.stop();
            found.addTrack(portrait());
        }
        return found;
    };
}"""

SHARED_PAGE = """() => {
    navigator.mediaDevices.getDisplayMedia = async () => {
        const canvas = Object.assign(document.createElement('canvas'), {width: 1280, height: 720});
        const ink = canvas.getContext('2d');
        setInterval(() => {
            ink.fillStyle = '#fbfaf7';
            ink.fillRect(0, 0, 1280, 720);
            ink.fillStyle = '#22303a';
            ink.font = '600 44px sans-serif';
            ink.fillText('Visitors of the reading room', 80, 110);
            ink.font = '24px sans-serif';
            ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'].forEach((day, at) => {
                const height = [180, 240, 210, 320, 380, 460][at];
                ink.fillStyle = '#3d8f83';
                ink.fillRect(110 + at * 185, 620 - height, 110, height);
                ink.fillStyle = '#22303a';
                ink.fillText(day, 140 + at * 185, 665);
            });
        }, 100);
        return canvas.captureStream(10);
    };
}"""


SETTLED = """() => Promise.all(document.getAnimations()
    .filter(one => one.effect.getTiming().iterations !== Infinity).map(one => one.finished.catch(() => undefined)))"""


class Photographer:
    def __init__(self, browser: Browser, url: str, folder: Path) -> None:
        self._browser, self._url, self._folder = browser, url, folder
        self._opened = 0

    async def person(self, viewport: dict[str, int], locale: str = "en-US", look: str = "light") -> Tab:
        tab = await Tab.open(
            self._browser, self._url, locale=locale, small_camera=False, viewport=viewport, color_scheme=look,
            has_touch=viewport is PHONE,
        )  # fmt: skip
        await tab.context.add_init_script(f"({DRAWN_CAMERA})({35 + 83 * self._opened})")
        await tab.context.add_init_script(f"({SHARED_PAGE})()")
        self._opened += 1
        return tab

    async def take(self, tab: Tab, name: str) -> None:
        """Without hints of what the mouse is over."""
        await tab.page.mouse.move(2, 2)
        await tab.page.evaluate(SETTLED)
        session = await tab.context.new_cdp_session(tab.page)
        shot = await session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
        path = self._folder / f"{name}.webp"
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))
        print(path.name, path.stat().st_size)


async def take_all(browser: Browser, url: str, folder: Path) -> None:
    pictures = Photographer(browser, url, folder)
    mei = await pictures.person(DESKTOP, "zh-CN")
    await mei.page.goto(url)
    await expect(mei.get("new-room")).to_be_visible()
    await pictures.take(mei, "start-zh")
    ada = await pictures.person(DESKTOP)
    omar = await pictures.person(PHONE, "ar", "dark")
    ben = await pictures.person(PHONE, "zh-CN")
    link = await ada.make_room("Ada")
    for tab, name, shot in ((omar, "عمر", "check-ar-phone"), (ben, "小本", ""), (mei, "美玲", "check-zh")):
        await tab.page.goto(link)
        await tab.get("name-input").fill(name)
        await expect(tab.get("preview-video")).to_be_visible()
        if shot:
            await pictures.take(tab, shot)
        await tab.pass_lobby(name)
        await ada.expect_moving(name)
    await call(pictures, ada, omar, ben)
    await work(pictures, ada, mei)
    await hosts(pictures, ada, omar)


async def call(pictures: Photographer, ada: Tab, omar: Tab, ben: Tab) -> None:
    await ada.get("toggle-chat").click()
    for tab, words in ((ada, "Shall we begin with the **reading room**?"), (ada, "https://example.org/plan")):
        await tab.get("chat-input").fill(words)
        await tab.page.keyboard.press("Enter")
        await expect(tab.get("chat-message").last).to_be_visible()
    for tab, emoji in ((omar, "clap"), (ben, "heart")):
        await tab.get("toggle-reactions").click()
        for _ in range(2):
            await tab.get(f"react-{emoji}").click()
    for tab in (ada, ben):
        await expect(tab.get("reaction-line")).to_have_count(2)
    await pictures.take(ada, "call")
    await pictures.take(ben, "call-zh-phone")
    for tab in (omar, ben):
        await tab.page.keyboard.press("Escape")
    await ada.get("toggle-chat").click()


async def work(pictures: Photographer, ada: Tab, mei: Tab) -> None:
    await ada.get("toggle-screen").click()
    await ada.get("draw-everyone").check()
    await ada.get("draw-stays").check()
    await mei.get("pen").click()
    box = await mei.page.locator('[data-testid="screen-tile"] .draw-picture').bounding_box()
    assert box is not None
    places = [(0.74, 0.2), (0.9, 0.16), (0.97, 0.3), (0.9, 0.42), (0.78, 0.38), (0.74, 0.24)]
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    await mei.page.mouse.move(*at[0])
    await mei.page.mouse.down()
    for place in at[1:]:
        await mei.page.mouse.move(*place, steps=6)
    await mei.page.mouse.up()
    await expect(mei.get("stroke")).to_have_count(1)
    await pictures.take(mei, "drawing-zh")
    await ada.get("toggle-screen").click()


async def hosts(pictures: Photographer, ada: Tab, omar: Tab) -> None:
    await omar.get("toggle-people").click()
    await expect(omar.get("people-item")).to_have_count(4)
    await pictures.take(omar, "people-ar-phone")
    await ada.get("room-menu").click()
    await expect(ada.get("room-dialog")).to_be_visible()
    await pictures.take(ada, "room")


async def main(folder: Path) -> None:
    server = ServerProcess()
    await server.start()
    try:
        async with async_playwright() as playwright:
            browser = await launch(playwright)
            await take_all(browser, server.url, folder)
            await browser.close()
    finally:
        await server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "web" / "screenshots")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    asyncio.run(main(options.folder))

"""What the other tests of a call do in Chromium alone, in Firefox: reactions, a pen on somebody's screen, the
whiteboard, what hosts do to one, breakout rooms. Ada has Chromium and Bob has Firefox; the room is sealed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.harness.browser import Tab, close_clean
from tests.harness.firefox import FIREFOX
from tests.harness.server import ServerProcess
from tests.harness.window import FirefoxWindow, element

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(240),
    pytest.mark.skipif(not Path(FIREFOX).exists(), reason="needs Firefox"),
]

DESKTOP = (1280, 800)
ESCAPE = "\ue00c"
"""As WebDriver names the key."""
CANVAS = ".board canvas.interactive"
MOVING = "[...document.querySelectorAll('[data-testid=tile] video')].every(one => one.videoWidth > 0 && !one.paused)"


@pytest_asyncio.fixture(loop_scope="session")
async def ada(browser: Browser, sealed_server: ServerProcess) -> AsyncIterator[Tab]:
    tab = await Tab.open(browser, sealed_server.url, viewport={"width": DESKTOP[0], "height": DESKTOP[1]})
    yield tab
    await close_clean([tab])


@pytest_asyncio.fixture(loop_scope="session")
async def bob(tmp_path: Path) -> AsyncIterator[FirefoxWindow]:
    window = FirefoxWindow(tmp_path / "bob", "en-US", DESKTOP)
    await window.start()
    yield window
    await window.close()


async def test_what_people_do_together_in_firefox(ada: Tab, bob: FirefoxWindow) -> None:
    link = await ada.make_room("Ada")
    await bob.open(link)
    await bob.fill("name-input", "Bob")
    await bob.click("join-call")
    await bob.until(f"document.querySelectorAll('[data-testid=tile] video').length === 2 && {MOVING}")
    await ada.expect_moving("Bob")

    await react(ada, bob)
    await draw(ada, bob)
    await draw_on_a_board(ada, bob)
    await be_moderated(ada, bob)
    await be_divided(ada, bob)


async def react(ada: Tab, bob: FirefoxWindow) -> None:
    """By keys, as the button would."""
    await bob.type("e")
    await bob.until("document.activeElement?.dataset.testid === 'react-thumbsUp'")
    await bob.click("react-party")
    await bob.type(ESCAPE)
    await bob.until(f"{element('reaction-picker')} === null")
    await expect(ada.get("reaction-line")).to_contain_text("Bob")
    await ada.get("toggle-reactions").click()
    await ada.get("react-heart").click()
    await bob.until(f"{element('reactions-said')}.innerText.includes('Ada: red heart')")


async def draw(ada: Tab, bob: FirefoxWindow) -> None:
    await ada.get("toggle-screen").click()
    await ada.get("draw-own").click()
    await ada.get("draw-everyone").check()
    await bob.click("pen")
    await bob.until(f"{element('pen')}.getAttribute('aria-pressed') === 'true'")
    box = await bob.box(".draw-picture")
    await bob.draw([(box["x"] + at * box["width"], box["y"] + at * box["height"]) for at in (0.2, 0.4, 0.6)])
    await expect(ada.get("own-screen").get_by_test_id("stroke")).to_have_count(1)
    await ada.get("toggle-screen").click()
    await bob.until(f"{element('pen')} === null")


async def draw_on_a_board(ada: Tab, bob: FirefoxWindow) -> None:
    await bob.click("open-board")
    await bob.until(f"document.querySelector('{CANVAS}') !== null")
    await ada.get("open-board-too").click()
    await expect(ada.page.locator(CANVAS)).to_be_visible()
    box = await bob.box(CANVAS)
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await bob.evaluate("document.querySelector('[data-testid=\"toolbar-rectangle\"]').click()")
    await bob.draw([middle, (middle[0] + 80, middle[1] + 60)])
    await expect(ada.get("board")).to_have_attribute("data-elements", "1")
    await bob.click("close-board")
    await ada.get("close-board").click()


async def be_moderated(ada: Tab, bob: FirefoxWindow) -> None:
    await ada.get("toggle-people").click()
    await ada.page.locator('[data-testid="people-item"][data-name="Bob"]').get_by_test_id("person-menu").click()
    await ada.get("host-mute").click()
    await bob.until(f"{element('toggle-mic')}.getAttribute('aria-pressed') === 'false'")
    await bob.click("toggle-people")
    await bob.until(f"{element('people-panel')} !== null && {element('host-lock')} === null")
    await ada.page.locator('[data-testid="people-item"][data-name="Bob"]').get_by_test_id("person-menu").click()
    await ada.get("host-moderator").click()
    await bob.until(f"{element('host-lock')} !== null")


async def be_divided(ada: Tab, bob: FirefoxWindow) -> None:
    """By Bob, who is a moderator now: both come back at the end."""
    await bob.click("host-breakouts")
    await bob.click("breakout-how-hand")
    await bob.until("document.querySelector('.breakout-people [data-name=\"Ada\"]') !== null")
    await bob.evaluate(
        """(() => {
            const list = document.querySelector('.breakout-people [data-name="Ada"] select');
            list.value = '1';
            list.dispatchEvent(new Event('change', {bubbles: true}));
        })()"""
    )
    await bob.click("start-breakouts")
    await expect(ada.get("breakout-bar")).to_have_attribute("data-room", "1")
    await bob.until(f"{element('breakout-bar')}?.dataset.room === '0'")
    await bob.until("document.querySelectorAll('[data-testid=tile]').length === 1")
    await bob.click("end-breakouts")
    await expect(ada.get("breakout-bar")).to_have_count(0)
    await bob.until(f"document.querySelectorAll('[data-testid=tile] video').length === 2 && {MOVING}")

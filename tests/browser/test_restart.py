"""A server that goes away and comes again: the call goes on without a click, and never louder than before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.harness.browser import Tab
from tests.harness.firefox import FIREFOX, Firefox, own_address
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

BACK_MS = 90_000


@pytest_asyncio.fixture(loop_scope="session")
async def own_server() -> AsyncIterator[ServerProcess]:
    """A server for one test, which may stop and start it."""
    server = ServerProcess(rtc_addresses=f"127.0.0.1,{own_address()}")
    await server.start()
    yield server
    await server.kill()
    server.assert_healthy()


async def test_a_call_survives_a_restart_muted_and_without_a_click(
    browser: Browser, own_server: ServerProcess, room: str
) -> None:
    ada = await (await Tab.open(browser, own_server.url)).join(room, "Ada")
    bob = await (await Tab.open(browser, own_server.url)).join(room, "Bob")
    await bob.expect_moving("Ada")
    await ada.expect_moving("Bob")
    await ada.get("toggle-mic").click()
    await expect(bob.tile("Ada")).to_have_attribute("data-muted", "true")

    assert await own_server.stop() == 0
    for tab, other in ((ada, "Bob"), (bob, "Ada")):
        await expect(tab.get("away")).to_have_attribute("data-reason", "server_shutdown")
        await expect(tab.get("away").locator("p").first).not_to_be_empty()
        await expect(tab.tile(other)).to_be_visible()
    # Whoever switches something off meanwhile comes back without it.
    await bob.get("toggle-camera").click()

    await own_server.start()
    for tab, other in ((ada, "Bob"), (bob, "Ada")):
        await expect(tab.get("away")).to_have_count(0, timeout=BACK_MS)
        await expect(tab.tile(other)).to_have_count(1)
        await expect(tab.get("tile")).to_have_count(2)
    await bob.expect_moving("Ada")
    await ada.expect_sound(1)
    await expect(bob.tile("Ada")).to_have_attribute("data-muted", "true")
    await expect(ada.get("toggle-mic")).to_have_attribute("aria-pressed", "false")
    await expect(ada.tile("Bob")).to_have_attribute("data-muted", "false")
    await expect(ada.tile("Bob")).to_have_attribute("data-camera", "false")
    for tab in (ada, bob):
        await tab.close()


async def test_a_killed_server_is_waited_for_too(browser: Browser, own_server: ServerProcess, room: str) -> None:
    ada = await (await Tab.open(browser, own_server.url)).join(room, "Ada")
    await ada.expect_moving("Ada")
    await ada.get("toggle-mic").click()
    await own_server.kill()
    await expect(ada.get("banner-reconnecting")).to_be_visible(timeout=60_000)
    await expect(ada.get("away")).to_have_attribute("data-reason", "unreachable", timeout=120_000)
    await own_server.start()
    # The network's return is announced: nobody waits for the end of a pause.
    await ada.page.evaluate("() => window.dispatchEvent(new Event('online'))")
    await expect(ada.get("away")).to_have_count(0, timeout=BACK_MS)
    await ada.expect_moving("Ada")
    await expect(ada.get("toggle-mic")).to_have_attribute("aria-pressed", "false")
    await ada.close()


@pytest.mark.skipif(not Path(FIREFOX).exists(), reason="needs Firefox")
async def test_firefox_survives_a_restart_muted_and_without_a_click(
    browser: Browser, own_server: ServerProcess, room: str
) -> None:
    bob = await (await Tab.open(browser, own_server.url)).join(room, "Bob")
    async with Firefox() as firefox:
        await firefox.open(f"{own_server.url}/r/{room}?debug=1")
        await firefox.fill("name-input", "Ada")
        await firefox.click("join-call")
        await bob.expect_moving("Ada")
        await firefox.click("toggle-mic")
        await expect(bob.tile("Ada")).to_have_attribute("data-muted", "true")

        assert await own_server.stop() == 0
        await firefox.until("document.querySelector('[data-testid=away]')?.dataset.reason === 'server_shutdown'")
        await own_server.start()
        await firefox.until("document.querySelector('[data-testid=away]') === null", BACK_MS / 1000)
        await expect(bob.get("away")).to_have_count(0, timeout=BACK_MS)
        await bob.expect_moving("Ada")
        await expect(bob.tile("Ada")).to_have_attribute("data-muted", "true")
        muted = "document.querySelector('[data-testid=toggle-mic]').getAttribute('aria-pressed') === 'false'"
        assert await firefox.evaluate(muted)
        # Its own switch brings the microphone back: the devices were not lost.
        await firefox.click("toggle-mic")
        await expect(bob.tile("Ada")).to_have_attribute("data-muted", "false")
    await bob.close()

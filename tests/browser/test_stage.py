"""The stage while screens are shared: nothing leaves it, the layout can be chosen, and who speaks is named."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenTab

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


def screen_of(name: str) -> str:
    return f'[data-testid="screen-tile"][data-name="{name}"]'


async def test_two_screens_a_pin_and_the_layout(open_tab: OpenTab, room: str) -> None:
    ada, bob = await (await open_tab()).join(room, "Ada"), await (await open_tab()).join(room, "Bob")
    cleo = await (await open_tab(viewport={"width": 1280, "height": 800})).join(room, "Cleo")
    ada_screen, bob_screen = (cleo.page.locator(screen_of(name)) for name in ("Ada", "Bob"))
    await bob.get("toggle-screen").click()
    await expect(bob_screen).to_have_attribute("data-large", "true")
    await ada.get("toggle-screen").click()
    # The second screen does not push the first aside, and is there to be made large.
    await expect(ada_screen).to_have_attribute("data-large", "false")
    await expect(bob_screen).to_have_attribute("data-large", "true")
    await ada_screen.get_by_test_id("show-large").click()
    await expect(ada_screen).to_have_attribute("data-large", "true")
    await expect(bob_screen).to_have_attribute("data-large", "false")
    await cleo.expect_frames(ada_screen.locator("video"), frames=2)

    # Tabs name those who share; by keyboard as by mouse.
    tabs = cleo.get("screen-tab")
    ada_tab, bob_tab = (cleo.page.get_by_role("tab", name=name) for name in ("Ada", "Bob"))
    await expect(tabs).to_have_count(2)
    await expect(ada_tab).to_have_attribute("aria-selected", "true")
    await expect(bob_tab).to_have_attribute("tabindex", "-1")
    await ada_tab.press("ArrowRight")
    await expect(bob_tab).to_be_focused()
    await expect(bob_screen).to_have_attribute("data-large", "true")
    await expect(ada_screen).to_be_visible()
    await bob_tab.press("End")
    await expect(ada_tab).to_be_focused()
    await expect(ada_screen).to_have_attribute("data-large", "true")

    # A pinned person has the main place; both screens stay.
    await cleo.tile("Bob").hover()
    await cleo.tile("Bob").get_by_test_id("pin").click()
    for screen in (ada_screen, bob_screen):
        await expect(screen).to_have_attribute("data-large", "false")
        await expect(screen).to_be_visible()
    await expect(cleo.page.get_by_role("tab", selected=True)).to_have_count(0)
    await cleo.tile("Bob").get_by_test_id("pin").click()
    await expect(bob_screen).to_have_attribute("data-large", "true")

    # The layout works during a share, and what is remembered stays.
    await expect(cleo.get("call")).to_have_attribute("data-layout", "sidebar")
    await cleo.get("toggle-layout").click()
    await expect(cleo.get("call")).to_have_attribute("data-layout", "grid")
    boxes = [await tile.bounding_box() for tile in (ada_screen, bob_screen, cleo.tile("Ada"))]
    assert len({(box["width"], box["height"]) for box in boxes if box is not None}) == 1
    await expect(cleo.get("tile")).to_have_count(3)
    await cleo.get("toggle-layout").click()
    await expect(bob_screen).to_have_attribute("data-large", "true")
    await ada.get("toggle-screen").click()
    await expect(tabs).to_have_count(0)
    await bob.get("toggle-screen").click()
    await expect(cleo.get("screen-tile")).to_have_count(0)
    await expect(cleo.get("call")).to_have_attribute("data-layout", "grid")


async def test_who_speaks_beside_a_share_is_named(open_tab: OpenTab, room: str) -> None:
    """Chromium's fake microphone beeps once a second."""
    ada, bob = await (await open_tab()).join(room, "Ada"), await (await open_tab()).join(room, "Bob")
    await ada.get("toggle-screen").click()
    await expect(bob.get("screen-tile")).to_be_visible()
    await expect(bob.get("speaking-now")).to_contain_text("Ada")


async def test_pictures_as_one_wants_them(open_tab: OpenTab, room: str) -> None:
    """Pinned by a double click, oneself in a corner or hidden, and without the cameras of others."""
    ada, bob = await (await open_tab()).join(room, "Ada"), await (await open_tab()).join(room, "Bob")
    await ada.expect_moving("Bob")
    await ada.tile("Bob").dblclick()
    await expect(ada.tile("Bob").get_by_test_id("pin")).to_have_attribute("aria-pressed", "true")
    await ada.tile("Bob").dblclick()
    await expect(ada.tile("Bob").get_by_test_id("pin")).to_have_attribute("aria-pressed", "false")

    await ada.tile("Bob").get_by_test_id("tile-info").click()
    for figure in ("size", "rate", "codec", "path"):
        await expect(ada.tile("Bob").locator(f'[data-figure="{figure}"]')).to_be_visible()
    await ada.tile("Bob").get_by_test_id("tile-info").click()

    await ada.get("open-settings").click()
    await ada.get("choose-own-view").select_option("hidden")
    await expect(ada.tile("Ada")).to_have_count(0)
    await ada.get("choose-own-view").select_option("float")
    await expect(ada.get("own-float").locator("video")).to_be_visible()
    await ada.get("choose-layout").select_option("speaker")
    await expect(ada.get("call")).to_have_attribute("data-layout", "speaker")

    # What is not shown is not sent either.
    await ada.get("audio-only").check()
    await expect(ada.tile("Bob").locator("video")).to_have_count(0)
    off = "on => [...window.__tingRoom.remoteParticipants.values()][0].getTrackPublication('camera').isEnabled === on"
    await ada.page.wait_for_function(off, arg=False)
    await ada.get("audio-only").uncheck()
    await ada.page.wait_for_function(off, arg=True)
    await ada.expect_moving("Bob")
    await bob.expect_moving("Ada")

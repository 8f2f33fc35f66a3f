"""A call in a small window over other programs."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenTab
from tests.harness.browser import until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

STAND_IN = """
    window.documentPictureInPicture = Object.assign(new EventTarget(), {
        window: null,
        requestWindow({width, height}) {
            this.window = open("about:blank", "", `popup,width=${width},height=${height}`);
            return Promise.resolve(this.window);
        },
    });
"""
"""Chromium without a screen has no such windows: this one is an ordinary one, empty and of the same origin as well."""


async def test_who_speaks_stays_in_sight_and_one_can_mute_and_leave(open_tab: OpenTab, room: str) -> None:
    tab, other = await open_tab(viewport={"width": 1280, "height": 800}), await open_tab()
    await tab.context.add_init_script(STAND_IN)
    ada, bob = await tab.join(room, "Ada"), await other.join(room, "Bob")
    await ada.expect_moving("Bob")
    async with ada.page.expect_popup() as opening:
        await ada.get("toggle-floating").click()
    small = await opening.value
    floating = small.get_by_test_id("floating")
    await expect(floating).to_contain_text("Bob")
    await expect(floating.locator("video")).to_be_visible()
    await until(small, "async () => document.querySelector('video')?.getVideoPlaybackQuality().totalVideoFrames > 5")
    assert await floating.evaluate("main => getComputedStyle(main).position") == "fixed"

    await small.get_by_test_id("floating-mic").click()
    await expect(bob.tile("Ada")).to_have_attribute("data-muted", "true")
    await bob.get("toggle-screen").click()
    await expect(floating.locator(".floating-screen")).to_be_visible()
    await small.close()
    await expect(ada.get("toggle-floating")).to_have_attribute("aria-pressed", "false")

    async with ada.page.expect_popup() as opening:
        await ada.get("toggle-floating").click()
    small = await opening.value
    async with small.expect_event("close"):
        await small.get_by_test_id("floating-leave").click()
    await expect(ada.get("left-page")).to_be_visible()
    await expect(bob.tile("Ada")).to_have_count(0)

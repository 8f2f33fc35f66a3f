"""Calls between real browser tabs, as a caller sees them."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenTab
from tests.harness.browser import INBOUND

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_two_people_from_the_landing_page_see_and_hear_each_other(open_tab: OpenTab) -> None:
    ada, bob = await open_tab(), await open_tab()
    await ada.page.goto(f"{ada.origin}/?debug=1")
    await ada.get("new-room").click()
    await ada.page.wait_for_url(re.compile(r"/r/[^/?]+"))
    await expect(ada.get("preview-video")).to_be_visible()
    await ada.pass_lobby("Ada")
    await bob.page.goto(ada.page.url)
    await expect(bob.get("room-count")).to_contain_text("1")
    await bob.pass_lobby("Bob")
    for tab, other in ((ada, "Bob"), (bob, "Ada")):
        await tab.expect_moving(other)
        await tab.expect_sound(1)
        await expect(tab.get("tile")).to_have_count(2)
    stats = await bob.page.evaluate(INBOUND)
    assert all(s["lost"] <= s["received"] // 100 for s in stats), stats


async def test_three_people(open_tab: OpenTab, room: str) -> None:
    names = ["Ada", "Bob", "Cleo"]
    tabs = [await (await open_tab()).join(room, name) for name in names]
    for tab, own in zip(tabs, names, strict=True):
        for other in names:
            if other != own:
                await tab.expect_moving(other)
        await tab.expect_sound(2)


async def test_mute_and_camera_off_are_seen_by_the_other(open_tab: OpenTab, room: str) -> None:
    ada, bob = await (await open_tab()).join(room, "Ada"), await (await open_tab()).join(room, "Bob")
    await bob.expect_moving("Ada")
    await expect(bob.tile("Ada")).to_have_attribute("data-muted", "false")
    await ada.get("toggle-mic").click()
    await expect(bob.tile("Ada")).to_have_attribute("data-muted", "true")
    await ada.get("toggle-camera").click()
    await expect(bob.tile("Ada")).to_have_attribute("data-camera", "false")
    await expect(bob.tile("Ada").locator("video")).to_have_count(0)
    await ada.get("toggle-camera").click()
    await bob.expect_moving("Ada")
    await ada.get("toggle-mic").click()
    await expect(bob.tile("Ada")).to_have_attribute("data-muted", "false")


async def test_speaking_is_shown(open_tab: OpenTab, room: str) -> None:
    """Chromium's fake microphone beeps once a second."""
    await (await open_tab()).join(room, "Ada")
    bob = await (await open_tab()).join(room, "Bob")
    await expect(bob.tile("Ada")).to_have_attribute("data-speaking", "true")


async def test_screen_share_takes_the_main_place_and_ends(open_tab: OpenTab, room: str) -> None:
    ada, bob = await (await open_tab()).join(room, "Ada"), await (await open_tab()).join(room, "Bob")
    await bob.expect_moving("Ada")
    await ada.get("toggle-screen").click()
    screen = bob.get("screen-tile")
    await bob.expect_frames(screen.locator("video"), frames=2)
    box, tile = await screen.bounding_box(), await bob.tile("Ada").bounding_box()
    assert box is not None
    assert tile is not None
    assert box["width"] * box["height"] > 2 * tile["width"] * tile["height"]
    await ada.get("toggle-screen").click()
    await expect(screen).to_have_count(0)


async def test_chat_reaches_the_other_as_text(open_tab: OpenTab, room: str) -> None:
    ada, bob = await (await open_tab()).join(room, "Ada"), await (await open_tab()).join(room, "Bob")
    await bob.expect_moving("Ada")
    text = "<img src=x onerror=alert(1)> 你好 https://example.org/a?b=c"
    await ada.get("toggle-chat").click()
    await ada.get("chat-input").fill(text)
    await ada.get("chat-send").click()
    await expect(ada.get("chat-message")).to_have_count(1)
    await expect(bob.get("toggle-chat-badge")).to_have_text("1")
    await bob.get("toggle-chat").click()
    await expect(bob.get("chat-message")).to_contain_text(text)
    await expect(bob.get("chat-message").locator("img")).to_have_count(0)
    link = bob.get("chat-message").locator("a")
    await expect(link).to_have_attribute("href", "https://example.org/a?b=c")
    await expect(link).to_have_attribute("rel", re.compile("noopener"))
    await bob.get("chat-input").fill("and back")
    await bob.get("chat-input").press("Enter")
    await expect(ada.get("chat-message").last).to_contain_text("and back")


async def test_a_reload_replaces_the_person_instead_of_doubling_it(open_tab: OpenTab, room: str) -> None:
    ada, bob = await (await open_tab()).join(room, "Ada"), await (await open_tab()).join(room, "Bob")
    await bob.expect_moving("Ada")
    before = await bob.tile("Ada").get_attribute("data-identity")
    await ada.page.reload()
    await ada.pass_lobby("Ada")
    await ada.expect_moving("Bob")
    await expect(bob.tile("Ada")).to_have_count(1)
    await expect(bob.tile("Ada")).to_have_attribute("data-identity", before or "")
    await bob.expect_moving("Ada")
    await expect(bob.get("tile")).to_have_count(2)


async def test_leaving_is_seen_and_one_can_come_back(open_tab: OpenTab, room: str) -> None:
    ada, bob = await (await open_tab()).join(room, "Ada"), await (await open_tab()).join(room, "Bob")
    await bob.expect_moving("Ada")
    await ada.get("leave").click()
    await expect(ada.get("left-page")).to_be_visible()
    await expect(bob.tile("Ada")).to_have_count(0)
    await ada.get("rejoin").click()
    await expect(ada.get("call")).to_be_visible()
    await bob.expect_moving("Ada")


async def test_people_panel_and_layouts(open_tab: OpenTab, room: str) -> None:
    ada, bob = await (await open_tab()).join(room, "Ada"), await (await open_tab()).join(room, "Bob")
    await bob.expect_moving("Ada")
    await bob.get("toggle-people").click()
    await expect(bob.get("people-item")).to_have_count(2)
    await expect(bob.get("call")).to_have_attribute("data-layout", "grid")
    await bob.get("toggle-layout").click()
    await expect(bob.get("call")).to_have_attribute("data-layout", "sidebar")
    await bob.expect_moving("Ada")
    await ada.get("leave").click()
    await expect(bob.get("people-item")).to_have_count(1)


async def test_a_small_tile_asks_for_a_small_picture(open_tab: OpenTab, room: str) -> None:
    """Adaptive stream: the layer follows the size of the tile, so simulcast and track_setting work end to end."""
    await (await open_tab(viewport={"width": 1280, "height": 800}, small_camera=False)).join(room, "Ada")
    large = await (await open_tab(viewport={"width": 1600, "height": 1000})).join(room, "Large")
    small = await (await open_tab(viewport={"width": 360, "height": 500})).join(room, "Small")
    await large.expect_moving("Ada")
    await small.expect_moving("Ada")

    for tab, wanted in ((small, "video.videoWidth > 0 && video.videoWidth <= 320"), (large, "video.videoWidth > 320")):
        video = await tab.tile("Ada").locator("video").element_handle()
        await tab.page.wait_for_function(f"video => {wanted}", arg=video, timeout=60_000)

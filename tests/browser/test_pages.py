"""Pages around the call: languages, problems with devices, a server that goes away."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.async_api import async_playwright, expect

from tests.browser.conftest import OpenTab
from tests.harness.browser import DENY_PROMPTS, Tab, launch
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

HAN = re.compile(r"[一-鿿]")


async def test_the_browser_s_language_is_taken_and_can_be_changed(open_tab: OpenTab) -> None:
    english, chinese = await open_tab(locale="en-GB"), await open_tab(locale="zh-CN")
    await english.page.goto(english.origin)
    await chinese.page.goto(chinese.origin)
    await expect(english.page.locator("html")).to_have_attribute("lang", "en")
    await expect(chinese.page.locator("html")).to_have_attribute("lang", "zh-CN")
    assert not HAN.search(await english.get("new-room").inner_text())
    assert HAN.search(await chinese.get("new-room").inner_text())
    await english.get("lang-switch").first.select_option("zh-CN")
    await expect(english.page.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(english.get("new-room")).to_have_text(await chinese.get("new-room").inner_text())
    await english.page.reload()
    await expect(english.page.locator("html")).to_have_attribute("lang", "zh-CN")


async def test_a_call_in_chinese(open_tab: OpenTab, room: str) -> None:
    tab = await open_tab(locale="zh-CN")
    await tab.join(room, "小明")
    await tab.expect_moving("小明")
    labels = await tab.page.locator("button[aria-label]").evaluate_all("all => all.map(b => b.ariaLabel)")
    assert labels
    assert [label for label in labels if not HAN.search(label)] == []


async def test_a_room_name_or_a_link_opens_the_device_check(open_tab: OpenTab, room: str) -> None:
    tab = await open_tab()
    for text in (room, f"{tab.origin}/r/{room}"):
        await tab.page.goto(tab.origin)
        await tab.get("room-input").fill(text)
        await tab.get("join-room").click()
        await expect(tab.page).to_have_url(f"{tab.origin}/r/{room}")
        await expect(tab.get("preview-video")).to_be_visible()
        await expect(tab.get("level-meter").first).to_be_visible()


async def test_denied_devices_say_what_to_do_and_do_not_keep_one_out(server: ServerProcess, room: str) -> None:
    async with async_playwright() as playwright:
        browser = await launch(playwright, DENY_PROMPTS)
        tab = await Tab.open(browser, server.url)
        await tab.page.goto(f"{server.url}/r/{room}?debug=1")
        problems = tab.get("device-error")
        await expect(problems.first).to_contain_text("allow the")
        await tab.pass_lobby("Ada")
        await expect(tab.tile("Ada")).to_have_attribute("data-muted", "true")
        await expect(tab.tile("Ada")).to_have_attribute("data-camera", "false")
        await browser.close()


async def test_a_lost_server_is_told_and_the_call_comes_back(open_tab: OpenTab, room: str) -> None:
    """The tab's connection is cut (offline), then restored: the banner comes and goes and the media is back."""
    ada, bob = await (await open_tab()).join(room, "Ada"), await (await open_tab()).join(room, "Bob")
    await bob.expect_moving("Ada")
    await bob.page.evaluate("() => window.__tingRoom.simulateScenario('signal-reconnect')")
    await expect(bob.get("banner-reconnecting")).to_have_count(0)
    await bob.expect_moving("Ada")
    await ada.expect_moving("Bob")


async def test_an_address_that_leads_nowhere_says_so_and_shows_ways_on(open_tab: OpenTab) -> None:
    tab = await open_tab()
    for path in ("/rooms/den", "/r/%E0%A4%A"):
        response = await tab.page.goto(tab.origin + path)
        assert response is not None
        await expect(tab.get("not-found-page")).to_contain_text(path)
    await tab.get("home").click()
    await expect(tab.get("new-room")).to_be_visible()
    # The browser notes the status 404 of the first address.
    tab.errors[:] = [error for error in tab.errors if "404" not in error]


async def test_a_room_name_that_is_not_allowed_says_why_and_offers_a_better_one(open_tab: OpenTab) -> None:
    tab = await open_tab()
    await tab.page.goto(f"{tab.origin}/r/{quote('my room!')}")
    await expect(tab.get("bad-room-page").get_by_role("alert")).to_contain_text("characters")
    await tab.get("better-room").click()
    await expect(tab.page).to_have_url(f"{tab.origin}/r/my-room")
    await expect(tab.get("preview-video")).to_be_visible()


async def test_pages_carry_a_strict_policy(open_tab: OpenTab) -> None:
    tab = await open_tab()
    for path in ("/", "/r/den"):
        response = await tab.page.goto(tab.origin + path)
        assert response is not None
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"


async def test_the_check_says_whether_a_call_would_work(open_tab: OpenTab) -> None:
    tab = await open_tab()
    await tab.page.goto(tab.origin)
    await tab.get("to-check").click()
    await tab.get("run-check").click()
    await expect(tab.get("copy-report")).to_be_visible()
    states = await tab.get("check-step").evaluate_all("all => all.map(step => [step.dataset.step, step.dataset.state])")
    assert states == [[step, "good"] for step in ("browser", "server", "camera", "mic", "call", "media")]
    report = await tab.get("copy-report").get_attribute("data-text")
    assert report is not None
    assert "media: good" in report

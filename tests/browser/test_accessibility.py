"""Every screen by WCAG 2.2 AA as axe-core judges it, and a call from its link to its end with the keyboard alone."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.harness.axe import LOOKS, findings
from tests.harness.browser import Tab
from tests.harness.server import ServerProcess
from tests.signaling.account_rig import PASSWORD, running_accounts

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

MAX_TABS = 60
FOCUSED = "() => document.activeElement?.dataset?.testid ?? ''"
OUTLINED = """() => {
    const one = document.activeElement;
    return [one, one.parentElement].some(shown => {
        const {outlineStyle, outlineWidth, boxShadow} = getComputedStyle(shown);
        return (outlineStyle !== 'none' && parseFloat(outlineWidth) > 0) || boxShadow !== 'none';
    });
}"""
"""The ring is around what has the focus, or around a list's frame."""


async def expect_accessible(page: Page, what: str) -> None:
    assert await findings(page) == [], what


async def test_a_picture_without_words_is_found(sealed_server: ServerProcess, browser: Browser) -> None:
    tab = await Tab.open(browser, sealed_server.url)
    try:
        await tab.page.goto(f"{tab.origin}/check")
        await expect(tab.get("run-check")).to_be_visible()
        await tab.page.evaluate("() => document.querySelector('main').append(new Image(9, 9))")
        found = await findings(tab.page)
        assert [line.split(": ")[1] for line in found] == ["image-alt"] * len(LOOKS)
    finally:
        await tab.close()


async def test_screens_around_a_call_have_no_findings(sealed_server: ServerProcess, browser: Browser) -> None:
    tab = await Tab.open(browser, sealed_server.url)
    try:
        for path, shown in (("/", "new-room"), ("/nowhere/at/all", "home"), ("/check", "run-check")):
            await tab.page.goto(tab.origin + path)
            await expect(tab.get(shown).first).to_be_visible()
            await expect_accessible(tab.page, path)
    finally:
        await tab.close()


async def test_a_call_and_its_panels_have_no_findings(sealed_server: ServerProcess, browser: Browser) -> None:
    ada, bob = await Tab.open(browser, sealed_server.url), await Tab.open(browser, sealed_server.url)
    try:
        await ada.page.goto(f"{ada.origin}/?debug=1")
        await ada.get("new-room").click()
        await expect(ada.get("recovery")).to_be_visible()
        await expect_accessible(ada.page, "device check")
        await ada.pass_lobby("Ada")
        await bob.page.goto(ada.page.url)
        await bob.pass_lobby("Bob")
        await ada.expect_moving("Bob")
        await expect_accessible(ada.page, "call")
        await ada.get("toggle-chat").click()
        await ada.get("chat-input").fill("**hello** https://example.org")
        await ada.page.keyboard.press("Enter")
        await expect(ada.get("chat-message")).to_be_visible()
        await expect_accessible(ada.page, "chat")
        await ada.get("toggle-people").click()
        await expect(ada.get("people-item")).to_have_count(2)
        await expect_accessible(ada.page, "people")
        await ada.get("person-menu").last.click()
        await ada.get("host-connection").click()
        await expect(ada.get("line-chart")).to_be_visible()
        await ada.get("connection-table").locator("summary").click()
        await expect_accessible(ada.page, "connection")
        await ada.page.keyboard.press("Escape")
        await expect(ada.get("connection")).to_have_count(0)
        for button, dialog in (
            ("open-settings", "settings"),
            ("show-invite", "invite"),
            ("room-menu", "room-dialog"),
            ("seal-badge", "seal-dialog"),
        ):
            await ada.get(button).click()
            await expect(ada.get(dialog)).to_be_visible()
            await expect_accessible(ada.page, dialog)
            await ada.page.keyboard.press("Escape")
            await expect(ada.get(dialog)).to_have_count(0)
        await ada.get("leave").click()
        await expect(ada.get("rejoin")).to_be_visible()
        await expect_accessible(ada.page, "end")
    finally:
        await ada.close()
        await bob.close()


async def test_pages_of_accounts_have_no_findings(browser: Browser) -> None:
    async with running_accounts(registration="open") as rig:
        await rig.make("Ada", is_admin=True)
        tab = await Tab.open(browser, rig.server.url)
        try:
            await tab.page.goto(f"{tab.origin}/account")
            await expect(tab.get("sign-in-password")).to_be_visible()
            await expect_accessible(tab.page, "sign in")
            await tab.get("account-name").fill("Ada")
            await tab.get("account-password").fill(PASSWORD)
            await tab.get("sign-in-password").click()
            await expect(tab.get("sign-out")).to_be_visible()
            await expect_accessible(tab.page, "account")
            await tab.page.goto(f"{tab.origin}/admin")
            await expect(tab.get("sum-rooms")).to_be_visible()
            for part in ("overview", "accounts", "rooms", "nodes", "audit"):
                await tab.get(f"admin-{part}").click()
                await expect_accessible(tab.page, f"admin {part}")
        finally:
            await tab.close()


async def test_the_keyboard_alone_leads_from_the_link_to_the_end(
    sealed_server: ServerProcess, browser: Browser
) -> None:
    tab = await Tab.open(browser, sealed_server.url)
    page = tab.page

    async def go_to(test_id: str) -> None:
        """By Tab; wherever it stops can be seen."""
        for _ in range(MAX_TABS):
            if await page.evaluate(FOCUSED) == test_id:
                return
            await page.keyboard.press("Tab")
            assert await page.evaluate(OUTLINED), await page.evaluate(
                "() => document.activeElement.outerHTML.slice(0, 200)"
            )
        raise AssertionError(f"{test_id} is not reached")

    try:
        await page.goto(f"{tab.origin}/?debug=1")
        await expect(tab.get("new-room")).to_be_enabled()
        await go_to("new-room")
        await page.keyboard.press("Enter")
        await expect(tab.get("join-call")).to_be_visible()
        await go_to("name-input")
        await page.keyboard.type("Ada")
        await go_to("join-call")
        await page.keyboard.press("Enter")
        await expect(tab.get("call")).to_be_visible()
        await go_to("toggle-mic")
        await page.keyboard.press("Space")
        await expect(tab.get("toggle-mic")).to_have_attribute("aria-pressed", "false")
        await go_to("toggle-chat")
        await page.keyboard.press("Enter")
        await expect(tab.get("chat-input")).to_be_visible()
        await go_to("chat-input")
        await page.keyboard.type("by keys")
        await page.keyboard.press("Enter")
        await expect(tab.get("chat-message")).to_contain_text("by keys")
        await go_to("open-settings")
        await page.keyboard.press("Enter")
        await expect(tab.get("settings")).to_be_visible()
        assert await page.evaluate("() => document.activeElement.closest('dialog') !== null"), "focus is in the dialog"
        await go_to("key-mic")
        await page.keyboard.press("Enter")
        await page.keyboard.press("c")
        await expect(tab.get("key-note")).to_contain_text("Chat")
        await page.keyboard.press("x")
        await expect(tab.get("key-mic")).to_have_text("X")
        await page.keyboard.press("Escape")
        await expect(tab.get("settings")).to_have_count(0)
        await page.keyboard.press("m")
        await page.keyboard.press("x")
        await expect(tab.get("toggle-mic")).to_have_attribute("aria-pressed", "true")
        assert await page.evaluate(FOCUSED) == "open-settings", "and back where it was"
        await go_to("leave")
        await page.keyboard.press("Enter")
        await expect(tab.get("rejoin")).to_be_visible()
    finally:
        await tab.close()

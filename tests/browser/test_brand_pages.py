"""A branded server: its name, colours and links are shown, and nothing says what the product is called otherwise."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.harness.browser import Tab
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

OWN_NAME = re.compile(r"\bting\b", re.IGNORECASE)
BRAND = {
    "TING_DEFAULT_KIND": "open",
    "TING_BRAND_NAME": "Nordhalle",
    "TING_BRAND_ACCENT": "#7a1f5c",
    "TING_BRAND_TITLE": "Moin in the north hall",
    "TING_BRAND_SUBTITLE": "Rooms of the harbour town.",
    "TING_BRAND_IMPRINT": "https://north.example/imprint",
    "TING_BRAND_MAIL": "help@north.example",
}
SAID = """() => [document.title, document.body.innerText,
    ...[...document.querySelectorAll('*')].flatMap(one =>
        ['aria-label', 'title', 'alt', 'placeholder', 'content'].map(name => one.getAttribute(name) ?? ''))
    ].join('\\n')"""
"""All that a person can read or hear on a page."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def branded() -> AsyncIterator[ServerProcess]:
    process = ServerProcess(environment=BRAND)
    await process.start()
    yield process
    assert await process.stop() == 0, "\n".join(process.log[-40:])
    process.assert_healthy()


async def expect_brand(tab: Tab) -> None:
    said: str = await tab.page.evaluate(SAID)
    assert "Nordhalle" in said
    assert OWN_NAME.findall(said) == []


async def test_no_page_says_another_name(branded: ServerProcess, browser: Browser, room: str) -> None:
    tab = await Tab.open(browser, branded.url)
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    try:
        await tab.page.goto(tab.origin)
        await expect(tab.page.get_by_role("heading", level=1)).to_have_text("Moin in the north hall")
        await expect(tab.page).to_have_title("Nordhalle")
        await expect_brand(tab)
        links = tab.get("legal-links").get_by_role("link")
        assert await links.evaluate_all("all => all.map(link => link.getAttribute('href'))") == [
            "https://north.example/imprint",
            "mailto:help@north.example",
        ]
        colour = await tab.get("new-room").evaluate("button => getComputedStyle(button).backgroundColor")
        assert colour == "rgb(122, 31, 92)"
        logo = await tab.page.locator(".brand img").first.evaluate("image => image.decode().then(() => image.src)")
        assert "/brand/logo-" in logo
        assert [url for url in asked if url.endswith("/api/v1/config")] == []

        address = await tab.page.locator('link[rel="manifest"]').evaluate("link => link.href")
        manifest = await (await tab.page.request.get(address)).text()
        assert json.loads(manifest)["name"] == "Nordhalle"
        assert OWN_NAME.findall(manifest) == []

        await tab.page.goto(f"{tab.origin}/check")
        await expect(tab.get("check-page")).to_be_visible()
        await expect_brand(tab)

        await tab.page.goto(f"{tab.origin}/r/{room}?debug=1")
        await expect(tab.get("name-input")).to_be_visible()
        await expect_brand(tab)

        await tab.pass_lobby("Ana")
        await expect(tab.page).to_have_title(re.compile("Nordhalle$"))
        await expect_brand(tab)
        assert (tab.errors, tab.foreign) == ([], [])
    finally:
        await tab.close()

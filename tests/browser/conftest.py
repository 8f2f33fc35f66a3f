from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.harness.browser import Tab, close_clean, launch
from tests.harness.fixtures import room, sealed_server, server
from tests.harness.server import ServerProcess

__all__ = ["browser", "open_tab", "room", "sealed_server", "server"]

OpenTab = Callable[..., Awaitable[Tab]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def open_tab(browser: Browser, server: ServerProcess) -> AsyncIterator[OpenTab]:
    """`await open_tab(**options of Tab.open)`."""
    tabs: list[Tab] = []

    async def open_one(**options: object) -> Tab:
        tab = await Tab.open(browser, server.url, **options)  # type: ignore[arg-type]
        tabs.append(tab)
        return tab

    yield open_one
    await close_clean(tabs)

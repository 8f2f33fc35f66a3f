"""A sealed call over three nodes, one of which is killed: nobody loses the call, and the chat is complete."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.harness.browser import Tab
from tests.harness.nodes import ClusterProcesses

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

NAMES = ("Ada", "Bob", "Cat", "Dan")
BACK_MS = 60_000


@pytest_asyncio.fixture(loop_scope="session")
async def cluster() -> AsyncIterator[ClusterProcesses]:
    cluster = ClusterProcesses("one", "two", "three")
    await cluster.start()
    yield cluster
    await cluster.stop()
    for node in cluster.nodes.values():
        node.assert_healthy()


async def say(tab: Tab, text: str) -> None:
    if not await tab.get("chat-input").is_visible():
        await tab.get("toggle-chat").click()
    await tab.get("chat-input").fill(text)
    await tab.get("chat-send").click()


async def expect_all(tabs: dict[str, Tab], messages: int) -> None:
    """Everybody sees everybody, and has every message."""
    for name, tab in tabs.items():
        await expect(tab.get("tile")).to_have_count(len(tabs), timeout=BACK_MS)
        for other in tabs:
            if other != name:
                await tab.expect_moving(other)
        await expect(tab.get("chat-message")).to_have_count(messages, timeout=BACK_MS)


async def test_a_call_outlives_one_of_its_nodes(browser: Browser, cluster: ClusterProcesses) -> None:
    tabs = {name: await Tab.open(browser, cluster.balancer.url) for name in NAMES}
    link = await tabs["Ada"].make_room("Ada")
    for name in NAMES[1:]:
        await tabs[name].come(link, name)
    for name, tab in tabs.items():
        await say(tab, f"hello from {name}")
    await expect_all(tabs, messages=len(NAMES))
    # Ada and Dan are on the first node, the others on one each.
    await cluster.nodes["three"].kill()
    await say(tabs["Ada"], "is everybody there?")
    await expect_all(tabs, messages=len(NAMES) + 1)
    assert [tab.errors for name, tab in tabs.items() if name in ("Ada", "Bob", "Dan")] == [[], [], []]
    for tab in tabs.values():
        await tab.close()

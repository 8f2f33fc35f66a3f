"""The whiteboard of a room: everybody hears of it, what is drawn is kept for all, and nothing is asked of others."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.harness.axe import findings
from tests.harness.browser import Tab, close_clean
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
SVG = '<svg version="1.1" xmlns="http://www.w3.org/2000/svg"'

STORED = """async () => {
    const room = location.pathname.slice(3);
    const headers = {Authorization: `Bearer ${sessionStorage.getItem(`ting.token.${room}`)}`};
    const answer = await fetch(`/api/v1/rooms/${room}/entries?drawn=only`, {headers});
    return (await answer.json()).entries;
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def people(browser: Browser, sealed_server: ServerProcess) -> AsyncIterator[list[Tab]]:
    """Three of them, one with a phone in Arabic. None logs an error or asks another host."""
    tabs = [
        await Tab.open(browser, sealed_server.url, viewport=WIDE),
        await Tab.open(browser, sealed_server.url, viewport=WIDE),
        await Tab.open(browser, sealed_server.url, viewport=PHONE, locale="ar", has_touch=True),
    ]
    yield tabs
    await close_clean(tabs)


async def opened(tab: Tab) -> None:
    await expect(tab.page.locator(".board canvas.interactive")).to_be_visible()


async def shows(tab: Tab, elements: int) -> None:
    await expect(tab.get("board")).to_have_attribute("data-elements", str(elements))


async def write(tab: Tab, text: str, x: float, y: float) -> None:
    """With Excalidraw's own keys, which are not those of the call."""
    canvas = tab.page.locator(".board canvas.interactive")
    box = await canvas.bounding_box()
    assert box is not None
    await canvas.click(position={"x": 300, "y": box["height"] - 80})
    await tab.page.keyboard.press("t")
    await tab.page.mouse.click(box["x"] + x, box["y"] + y)
    await expect(tab.page.locator(".board textarea.excalidraw-wysiwyg")).to_be_visible()
    await tab.page.keyboard.type(text)
    await tab.page.keyboard.press("Escape")


async def saved(tab: Tab, kind: str, path: Path) -> bytes:
    async with tab.page.expect_download() as started:
        await tab.get(f"board-{kind}").click()
    await (await started.value).save_as(path)
    return await asyncio.to_thread(path.read_bytes)


async def test_two_draw_at_once_and_nothing_is_lost(people: list[Tab], tmp_path: Path) -> None:
    ada, bob, cleo = people
    fetched: list[str] = []
    ada.page.on("request", lambda request: fetched.append(request.url))
    link = await ada.make_room("Ada")
    await bob.come(link, "Bob")
    await ada.expect_moving("Bob")
    assert [url for url in fetched if "Whiteboard" in url or "excalidraw" in url] == [], "only who opens it fetches it"

    await ada.get("open-board").click()
    await opened(ada)
    await expect(bob.get("board-notice")).to_contain_text("Ada opened the whiteboard")
    await bob.get("open-board-too").click()
    await opened(bob)
    await expect(bob.get("board-notice")).to_have_count(0)

    await write(ada, "muted by Ada", 400, 200)
    await write(bob, "and by Bob 你好", 700, 300)
    for tab in (ada, bob):
        await shows(tab, 2)
        svg = (await saved(tab, "svg", tmp_path / "board.svg")).decode()
        assert svg.startswith(SVG)
        assert "muted by Ada" in svg
        assert "and by Bob 你好" in svg
    # Typing is no shortcut: M would have muted.
    await expect(ada.tile("Ada")).to_have_attribute("data-muted", "false")
    png = await saved(ada, "png", tmp_path / "board.png")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    assert width > height > 0

    # Who comes later has all of it, and who comes back too. The server has none of it.
    await cleo.come(link, "Cleo")
    await cleo.get("room-menu").click()
    await cleo.get("room-open-board").click()
    await opened(cleo)
    await shows(cleo, 2)
    await bob.page.reload()
    await bob.pass_lobby("Bob")
    await bob.get("open-board").click()
    await opened(bob)
    await shows(bob, 2)
    stored = await ada.page.evaluate(STORED)
    assert len(stored) >= 4
    assert {field for entry in stored for field in entry["body"]} == {"sealed"}

    # Where the others are is seen at once; hosts wipe everything off, for all, when they are sure.
    await expect(cleo.get("wipe-board")).to_have_count(0)
    await ada.get("wipe-board").click()
    await shows(bob, 2)
    await ada.get("wipe-board").click()
    for tab in people:
        await shows(tab, 0)
    # A change of before does not bring it back.
    await write(bob, "anew", 500, 300)
    for tab in people:
        await shows(tab, 1)
    await ada.get("close-board").click()
    await expect(ada.get("board")).to_have_count(0)
    await ada.expect_moving("Bob")


async def test_the_board_is_accessible(people: list[Tab]) -> None:
    """On phones and desktops, whatever size the window had when it was opened."""
    ada = people[0]
    await ada.make_room("Ada")
    await ada.get("open-board").click()
    await opened(ada)
    # Excalidraw (0.18) calls the button that says how large everything is shown by something else.
    assert [line for line in await findings(ada.page) if "reset-zoom-button" not in line] == []

"""Sealed rooms, as the start page makes them: people see, hear, write and send without touching a setting, and whoever
runs the server cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.harness.browser import Tab
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE = {"width": 390, "height": 844}
CANARY = "canary-7f3a9c"
CONTENT = f"the {CANARY} sings in the file\n".encode() * 4000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sealed_server() -> AsyncIterator[ServerProcess]:
    """Whose page makes sealed rooms."""
    server = ServerProcess(environment={"TING_DEFAULT_KIND": "sealed"})
    await server.start()
    yield server
    await server.kill()
    server.assert_healthy()


@pytest_asyncio.fixture(loop_scope="session")
async def people(browser: Browser, sealed_server: ServerProcess) -> AsyncIterator[list[Tab]]:
    """Three of them, one with a phone that speaks Chinese. None logs an error or asks another host."""
    tabs = [
        await Tab.open(browser, sealed_server.url),
        await Tab.open(browser, sealed_server.url),
        await Tab.open(browser, sealed_server.url, locale="zh-CN", viewport=PHONE),
    ]
    yield tabs
    errors = [list(tab.errors) for tab in tabs if tab.errors]
    for tab in tabs:
        await tab.close()
    assert [tab.foreign for tab in tabs if tab.foreign] == []
    assert errors == []


async def make_room(tab: Tab) -> str:
    """From the start page to the device check of a new room; its whole link."""
    await tab.page.goto(f"{tab.origin}/?debug=1")
    await tab.get("new-room").click()
    await expect(tab.get("recovery")).to_be_visible(timeout=60_000)
    await expect(tab.get("seal-badge")).to_have_attribute("data-kind", "sealed")
    return tab.page.url


async def come(tab: Tab, link: str, name: str) -> None:
    await tab.page.goto(link)
    await expect(tab.get("seal-badge")).to_have_attribute("data-kind", "sealed")
    await tab.pass_lobby(name)


async def code_of(tab: Tab) -> str:
    await tab.get("seal-badge").click()
    await expect(tab.get("seal-code")).to_be_visible()
    code = await tab.get("seal-code").inner_text() + await tab.get("seal-pictures").inner_text()
    await tab.page.keyboard.press("Escape")
    await expect(tab.get("seal-dialog")).to_have_count(0)
    return "".join(code.split())


async def one_code(*tabs: Tab) -> str:
    """Once all are in the same epoch."""
    async with asyncio.timeout(30):
        while len(codes := {await code_of(tab) for tab in tabs}) > 1:  # noqa: ASYNC110 - pages have no event for it
            await asyncio.sleep(0.2)
    return codes.pop()


async def open_chat(tab: Tab) -> None:
    """Its inside comes later than its button says that it is open."""
    if await tab.get("toggle-chat").get_attribute("aria-pressed") != "true":
        await tab.get("toggle-chat").click()
    await expect(tab.get("chat-input")).to_be_visible()


async def say(tab: Tab, text: str) -> None:
    await open_chat(tab)
    await tab.get("chat-input").fill(text)
    await tab.page.keyboard.press("Enter")


async def heard(tab: Tab, text: str) -> None:
    await open_chat(tab)
    await expect(tab.get("chat-message").filter(has_text=text)).to_be_visible()


def raw(server: ServerProcess) -> bytes:
    """Everything that the server keeps, and everything in its memory that can be read."""
    files = [path.read_bytes() for path in Path(server._data.name).rglob("*") if path.is_file()]
    memory = []
    with open(f"/proc/{server.pid}/mem", "rb", 0) as source:
        for line in Path(f"/proc/{server.pid}/maps").read_text().splitlines():
            span, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            first, last = (int(part, 16) for part in span.split("-"))
            try:
                source.seek(first)
                memory.append(source.read(last - first))
            except (OSError, ValueError, OverflowError):
                continue
    return b"\0".join([*files, *memory, "\n".join(server.log).encode()])


async def test_people_meet_write_and_send_and_the_server_knows_nothing_of_it(
    people: list[Tab], sealed_server: ServerProcess, tmp_path: Path
) -> None:
    ada, bob, cleo = people
    link = await make_room(ada)
    assert "#s=" in link
    await ada.pass_lobby("Ada")
    await come(bob, link, "Bob")
    await come(cleo, link, "Cleo")
    for tab in people:
        for name in ("Ada", "Bob", "Cleo"):
            await tab.expect_moving(name)
        await tab.expect_sound(2)
        await expect(tab.get("media-seal-banner")).to_have_count(0)
    with_three = await one_code(*people)

    await say(ada, f"hello {CANARY}")
    for tab in (bob, cleo):
        await heard(tab, CANARY)
    source = tmp_path / f"{CANARY}.txt"
    await asyncio.to_thread(source.write_bytes, CONTENT)
    await ada.page.locator('input[type="file"]').set_input_files(source)
    for tab in (bob, cleo):
        file = tab.page.locator(f'[data-testid="file"][data-name="{CANARY}.txt"]')
        await expect(file).to_be_visible()
    async with bob.page.expect_download() as started:
        await bob.get("file").get_by_test_id("download").click()
    fetched = tmp_path / "fetched"
    await (await started.value).save_as(fetched)
    assert await asyncio.to_thread(fetched.read_bytes) == CONTENT

    everything = await asyncio.to_thread(raw, sealed_server)
    # What the server does know shows that the search finds what is there.
    assert b"Cleo" in everything
    assert CANARY.encode() not in everything
    assert urlsplit(link).fragment.removeprefix("s=").encode() not in everything

    await cleo.page.goto("about:blank")
    async with asyncio.timeout(15):
        while await code_of(ada) == with_three:  # noqa: ASYNC110 - pages have no event for it
            await asyncio.sleep(0.2)
    await one_code(ada, bob)
    await ada.expect_moving("Bob")


async def test_who_comes_back_reads_what_was_said_and_half_a_link_opens_nothing(people: list[Tab]) -> None:
    ada, bob, cleo = people
    link = await make_room(ada)
    await ada.pass_lobby("Ada")
    await say(ada, "the first word")
    await heard(ada, "the first word")
    await ada.page.goto("about:blank")

    # Nobody is there: by the link alone.
    await come(bob, link, "Bob")
    await heard(bob, "the first word")
    await say(bob, "the second word")
    await heard(bob, "the second word")

    await cleo.page.goto(link.split("#")[0])
    await cleo.get("name-input").fill("Cleo")
    await cleo.get("join-call").click()
    await expect(cleo.get("join-problem")).to_contain_text("#")

    await ada.page.goto(link)
    await ada.pass_lobby("Ada")
    await heard(ada, "the second word")
    await ada.expect_moving("Bob")
    for tab in (ada, bob):
        await expect(tab.get("media-seal-banner")).to_have_count(0)

"""A room that lasts, from its making to its end: knocked at, talked in, kept over a restart, taken along, forgotten."""

from __future__ import annotations

import asyncio
import io
import secrets
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from playwright.async_api import Playwright, async_playwright

from tests.browser.test_room_files import png
from tests.harness.firefox import FIREFOX, own_address
from tests.harness.server import ServerProcess
from tests.harness.window import ChromiumWindow, FirefoxWindow, Window, element

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
    # Of a whole evening; a busy machine takes its time for each of its steps.
    pytest.mark.timeout(400),
    pytest.mark.skipif(not Path(FIREFOX).exists(), reason="needs Firefox"),
]

PHONE, DESKTOP = (390, 844), (1280, 800)
SLOW_S = 90.0

ENTRIES = """(async () => {
    const room = location.pathname.split('/')[2];
    const headers = {Authorization: 'Bearer ' + sessionStorage.getItem('ting.token.' + room)};
    const answer = await fetch(`/api/v1/rooms/${room}/entries?limit=500`, {headers});
    return (await answer.json()).entries;
})()"""

LINES = """[...document.querySelectorAll('[data-testid="timeline"] [data-testid="chat-message"]')].map(
    (line) => (line.querySelector('[data-testid="file"]')?.dataset.name ?? line.querySelector('.markdown')?.innerText)
)"""

PICTURE_SHOWN = f"{element('file-picture')}?.naturalWidth === 320"


def there(test_id: str) -> str:
    return f"{element(test_id)} !== null"


def shown(text: str) -> str:
    return f"{LINES}.some((line) => line.includes({msgspec.json.encode(text).decode()}))"


@asynccontextmanager
async def ting(**environment: str) -> AsyncIterator[ServerProcess]:
    environment = {"TING_DEFAULT_KIND": "open", **environment}  # What is kept is looked for on the disk.
    server = ServerProcess(rtc_addresses=f"127.0.0.1,{own_address()}", environment=environment)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()
    server.assert_healthy()


async def make_room(ada: Window, server: ServerProcess) -> str:
    """Its path; Ada is at its door."""
    await ada.open(f"{server.url}/")
    await ada.click("new-room")
    await ada.until(there("dismiss-recovery"), SLOW_S)
    await ada.shoot("made")
    await ada.click("dismiss-recovery")
    await ada.fill("name-input", "Ada")
    return urlsplit(str(await ada.evaluate("location.href"))).path


async def come_in(ada: Window, bob: Window, url: str) -> None:
    """Ada is in the call and lets Bob in, who knocks."""
    await ada.click("join-call")
    await ada.until(there("room-menu"))
    await ada.click("room-menu")
    await ada.fill("title-input", "Choir 合唱团")
    await ada.click("save-title")
    await ada.choose("room-entry", "knock")
    await ada.until(f"{element('room-entry')}.value === 'knock' && {element('room-saved')}.textContent !== ''")
    await ada.shoot("room")
    await ada.click("close-room-dialog")
    await bob.open(url)
    await bob.fill("name-input", "Bob")
    await bob.fill("knock-note", "from the choir")
    await bob.shoot("door")
    await bob.click("join-call")
    await bob.until(there("knocking"))
    await bob.shoot("waiting")
    await ada.until(there("knock"))
    await ada.shoot("knock")
    await ada.click("admit")
    await bob.until(there("call"))


async def talk(ada: Window, bob: Window, canary: str, picture: Path) -> None:
    await bob.click("toggle-chat")
    await ada.click("toggle-chat")
    await bob.fill("chat-input", f"我们在茶馆见面 {canary}")
    await bob.click("chat-send")
    await ada.until(shown(canary))
    await ada.fill("chat-input", "Tea at **four**")
    await ada.click("chat-send")
    await bob.until(shown("Tea at four"))
    await ada.give("files-input", picture)
    for one in (ada, bob):
        await one.until(PICTURE_SHOWN)
        await one.shoot("talk")


FORGET_ADMISSIONS = """Object.keys(localStorage).filter(key => key.startsWith('ting.admission.'))
    .forEach(key => localStorage.removeItem(key))"""


async def come_back(ada: Window, bob: Window, url: str, lines: list[str]) -> None:
    """With browsers that were closed, to everything that was said: an owner at once, a guest through the door, because
    the token with which one need not knock is gone, as it is after hours."""
    for one in (ada, bob):
        await one.start()
        await one.open(url)
        await one.until(there("open-chat"))
        await one.evaluate(FORGET_ADMISSIONS)
        await one.click("open-chat")
    await ada.until(there("knock"))
    await ada.shoot("knock-outside")
    await ada.click("admit")
    for one in (ada, bob):
        await one.until(PICTURE_SHOWN)
        assert await one.evaluate(LINES) == lines
        await one.shoot("back")


def said(entries: list[dict[str, Any]]) -> list[Any]:
    """What of a room's entries is the same wherever they are taken."""
    kept = [one for one in entries if one["verb"] in ("message", "file") and one["body"] is not None]
    return [[one["verb"], one["from"], one["name"], one["at_ms"], {**one["body"], "file_id": ""}] for one in kept]


def parts_of(archive: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            yield member.name, file.read()


async def bring_elsewhere(ada: Window, archive: bytes, lines: list[str], entries: list[Any], picture: bytes) -> None:
    """Into a room of a Ting that has nothing yet and trusts the first one."""
    key = msgspec.json.decode(dict(parts_of(archive))["signature.json"])["public_key"]
    path = ada.folder / "choir.tar"
    await asyncio.to_thread(path.write_bytes, archive)
    async with ting(TING_TRUSTED_ARCHIVE_KEYS=key) as empty:
        await make_room(ada, empty)
        await ada.click("open-chat")
        await ada.until(there("room-menu"))
        await ada.click("room-menu")
        await ada.give("archive-input", path)
        await ada.until(f"{element('archive')}.dataset.state === 'brought'")
        await ada.evaluate(f"{element('archive')}.scrollIntoView()")
        await ada.shoot("brought")
        await ada.click("close-room-dialog")
        await ada.until(PICTURE_SHOWN)
        assert await ada.evaluate(LINES) == lines
        assert said(await ada.evaluate(ENTRIES)) == entries
        assert await ada.download("download") == picture
        await ada.shoot("elsewhere")


async def forget_after_a_minute(ada: Window) -> None:
    await ada.choose("room-retention", "60")
    await ada.until(f"/1 (minute|分钟)/.test({element('room-kept')}.textContent)")
    await ada.evaluate(f"{element('room-kept')}.scrollIntoView()")
    await ada.shoot("timer")


def places_of(canaries: list[bytes], folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if any(canary in path.read_bytes() for canary in canaries)]


async def eventually(check: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SLOW_S):
        while not await check():  # noqa: ASYNC110 - a folder has no event for it
            await asyncio.sleep(0.2)


async def the_whole_way(ada: Window, bob: Window, server: ServerProcess, picture: Path) -> None:
    canary = f"canary{secrets.token_hex(8)}"
    content = await asyncio.to_thread(picture.read_bytes)
    canaries = [canary.encode(), content[-64:]]
    for one in (ada, bob):
        await one.start()
    url = server.url + await make_room(ada, server)
    await come_in(ada, bob, url)
    await talk(ada, bob, canary, picture)
    lines = await ada.evaluate(LINES)
    assert len(lines) == 3
    for one in (ada, bob):
        await one.close()

    assert await server.stop() == 0
    assert await asyncio.to_thread(places_of, canaries, server.data_folder)
    await server.start()
    await come_back(ada, bob, url, lines)
    entries = said(await ada.evaluate(ENTRIES))
    assert await bob.download("download") == content

    await ada.click("room-menu")
    archive = await ada.download("take-archive")
    await ada.until(f"{element('archive')}.dataset.state === 'taken'")
    await forget_after_a_minute(ada)
    await bring_elsewhere(ada, archive, lines, entries, content)

    # Bob looks on; Ada comes again.
    await bob.until(f"{there('gone')} && {LINES}.length === 0", SLOW_S)
    await bob.shoot("gone")
    await ada.open(url)
    await ada.click("open-chat")
    await ada.until(there("gone"))
    assert said(await ada.evaluate(ENTRIES)) == []
    await eventually(lambda: asyncio.to_thread(lambda: not places_of(canaries, server.data_folder)))


Seat = Callable[[Playwright, Path], Window]


def chromium(locale: str, size: tuple[int, int]) -> Seat:
    return lambda playwright, folder: ChromiumWindow(playwright, folder, locale, size)


def firefox(locale: str, size: tuple[int, int]) -> Seat:
    return lambda _playwright, folder: FirefoxWindow(folder, locale, size)


@pytest.mark.parametrize(
    ("seat", "other_seat"),
    [
        pytest.param(chromium("en-US", PHONE), firefox("en-US", PHONE), id="chromium"),
        pytest.param(firefox("zh-CN", DESKTOP), chromium("zh-CN", DESKTOP), id="firefox"),
    ],
)
async def test_from_a_newcomers_room_to_an_archive_and_an_empty_disk(
    seat: Seat, other_seat: Seat, tmp_path: Path
) -> None:
    picture = tmp_path / "garden.png"
    picture.write_bytes(png(320, 200) + secrets.token_bytes(256))
    async with async_playwright() as playwright, ting(TING_RETENTION_SCRUB_S="1") as server:
        ada, bob = seat(playwright, tmp_path / "ada"), other_seat(playwright, tmp_path / "bob")
        try:
            await the_whole_way(ada, bob, server, picture)
        finally:
            for one in (ada, bob):
                await one.close()

"""Sealed rooms, as the start page makes them without a setting: people with several browsers and a program see, hear,
write and send, and whoever runs the server cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio
from livekit import rtc
from playwright.async_api import Browser, expect

from sealed.media import MediaKeys
from sealed.member import SealedMember
from tests.harness import tone
from tests.harness.browser import INBOUND, Tab, close_clean
from tests.harness.caller import Caller
from tests.harness.firefox import FIREFOX
from tests.harness.server import ServerProcess
from tests.harness.window import FirefoxWindow, element

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

TIMEOUT_S = 60.0
POLL_S = 0.2
PHONE = {"width": 390, "height": 844}
CANARY = "canary-7f3a9c"
CONTENT = f"the {CANARY} sings in the file\n".encode() * 4000


@pytest_asyncio.fixture(loop_scope="session")
async def people(browser: Browser, sealed_server: ServerProcess) -> AsyncIterator[list[Tab]]:
    """Three of them, one with a phone that speaks Chinese. None logs an error or asks another host."""
    tabs = [
        await Tab.open(browser, sealed_server.url),
        await Tab.open(browser, sealed_server.url),
        await Tab.open(browser, sealed_server.url, locale="zh-CN", viewport=PHONE),
    ]
    yield tabs
    await close_clean(tabs)


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
    pictures = await tab.get("seal-pictures").get_attribute("data-pictures")
    code = f"{await tab.get('seal-code').inner_text()} {pictures}"
    await tab.page.keyboard.press("Escape")
    await expect(tab.get("seal-dialog")).to_have_count(0)
    return "".join(code.split())


async def one_code(*tabs: Tab) -> str:
    """Once all are in the same epoch."""
    async with asyncio.timeout(TIMEOUT_S):
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


class Program:
    """A client with the `livekit` SDK, which has its keys from `sealed`."""

    def __init__(self, http: aiohttp.ClientSession, link: str, name: str) -> None:
        self.member = SealedMember(http, link, name, self._give_keys)
        self._caller = Caller(link.split("/r/")[0], "", "")
        self._keys = MediaKeys(self._caller.room)

    async def _give_keys(self, member: SealedMember) -> None:
        if self._caller.room.isconnected():
            await self._keys.set_epoch(member.epoch, member.media_key, member.identities())

    async def join(self) -> None:
        await self.member.come()
        async with asyncio.timeout(TIMEOUT_S):
            await self.member.inside()
        await self._caller.join(token=self.member.token, encryption=self._keys.options)
        await self._give_keys(self.member)
        await self._caller.publish_pattern(5, fps=10)
        await self._caller.publish_tone(700)

    async def expect_moving_and_sounding(self, others: int) -> None:
        room = self._caller.room
        await self._caller.until(lambda: len(room.remote_participants) == others, f"{others} others", TIMEOUT_S)
        for identity in list(room.remote_participants):
            await self._expect_moving(identity)
            ear = await self._caller.listen(identity, TIMEOUT_S)
            await ear.until(lambda ear=ear: tone.rms(ear.since(0)) > tone.SILENCE_RMS, "sound", TIMEOUT_S)
        await self._caller.close_readers()

    async def _expect_moving(self, identity: str) -> None:
        """By what is decoded, which takes the right key: the SDK (1.2.1) at times decodes and gives a video stream
        nothing. Whoever had to connect anew has another track."""
        at_first: dict[str, int] = {}
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                track, _ = await self._caller.subscribed(identity, rtc.TrackKind.KIND_VIDEO, TIMEOUT_S)
                decoded = sum(one.inbound_rtp.inbound.frames_decoded for one in await track.get_stats())
                if decoded >= at_first.setdefault(track.sid, decoded) + 10:
                    return
                await asyncio.sleep(POLL_S)

    async def heard(self, verb: str) -> dict[str, Any]:
        """The body of the next entry of that kind."""
        async with asyncio.timeout(TIMEOUT_S):
            while (entry := await self.member.entries.get())["verb"] != verb:
                pass
        body: dict[str, Any] = entry["body"]
        return body

    async def close(self) -> None:
        self._keys.close()
        await self._caller.leave()
        await self.member.close()


@pytest_asyncio.fixture(loop_scope="session")
async def fox(tmp_path: Path) -> AsyncIterator[FirefoxWindow]:
    window = FirefoxWindow(tmp_path / "fox", "en-US", (1280, 800))
    await window.start()
    yield window
    await window.close()


@pytest_asyncio.fixture(loop_scope="session")
async def programs() -> AsyncIterator[Callable[[str, str], Awaitable[Program]]]:
    """`await programs(link, name)`: in the room and in its call."""
    found: list[Program] = []
    async with aiohttp.ClientSession() as http:

        async def join(link: str, name: str) -> Program:
            found.append(Program(http, link, name))
            await found[-1].join()
            return found[-1]

        yield join
        for program in found:
            await program.close()


async def fox_comes(fox: FirefoxWindow, link: str, name: str) -> None:
    await fox.open(link)
    await fox.fill("name-input", name)
    await fox.click("join-call")
    await fox.until(f"{element('call')} !== null && {element('seal-badge')}?.dataset.kind === 'sealed'")


async def fox_sees_and_hears(fox: FirefoxWindow, others: int) -> None:
    for what in ("s.kind === 'video' && s.frames > 10", "s.kind === 'audio' && s.energy > 1e-4"):
        await fox.until(f"(await ({INBOUND})()).filter(s => {what}).length >= {others}")
    assert await fox.evaluate(f"{element('media-seal-banner')} === null")


async def fox_code(fox: FirefoxWindow) -> str:
    await fox.click("seal-badge")
    await fox.until(f"{element('seal-code')} !== null")
    code: str = await fox.evaluate(f"{element('seal-code')}.innerText + {element('seal-pictures')}.dataset.pictures")
    await fox.evaluate(f"{element('seal-dialog')}.dispatchEvent(new Event('cancel', {{cancelable: true}}))")
    return "".join(code.split())


@pytest.mark.skipif(not Path(FIREFOX).exists(), reason="needs Firefox")
@pytest.mark.timeout(240)
async def test_people_meet_write_and_send_and_the_server_knows_nothing_of_it(
    people: list[Tab],
    fox: FirefoxWindow,
    programs: Callable[[str, str], Awaitable[Program]],
    sealed_server: ServerProcess,
    tmp_path: Path,
) -> None:
    """Four browsers and a program, in a room that the start page made."""
    ada, eve, cleo = people
    link = await make_room(ada)
    assert "#s=" in link
    await ada.pass_lobby("Ada")
    await fox_comes(fox, link, "Bob")
    await come(cleo, link, "Cleo")
    await come(eve, link, "Eve")
    dan = await programs(link, "Dan")
    for tab, own in ((ada, "Ada"), (cleo, "Cleo"), (eve, "Eve")):
        for name in {"Ada", "Bob", "Cleo", "Dan", "Eve"} - {own}:
            await tab.expect_moving(name)
        await tab.expect_sound(4)
        await expect(tab.get("media-seal-banner")).to_have_count(0)
    await fox_sees_and_hears(fox, 4)
    await dan.expect_moving_and_sounding(4)
    with_all = await one_code(ada, cleo, eve)
    assert await fox_code(fox) == with_all
    assert with_all.startswith("".join(dan.member.code))

    await say(ada, f"hello {CANARY}")
    for tab in (cleo, eve):
        await heard(tab, CANARY)
    await fox.click("toggle-chat")
    await fox.until(f"{element('timeline')}?.innerText.includes('{CANARY}')")
    assert await dan.heard("message") == {"text": f"hello {CANARY}"}
    await dan.member.write("message", {"text": f"{CANARY} from a program"})
    await heard(ada, f"{CANARY} from a program")
    source = tmp_path / f"{CANARY}.txt"
    await asyncio.to_thread(source.write_bytes, CONTENT)
    await fox.give("files-input", source)
    file = f'[data-testid="file"][data-name="{CANARY}.txt"]'
    for tab in (ada, cleo, eve):
        await expect(tab.page.locator(file)).to_be_visible()
    async with ada.page.expect_download() as started:
        await ada.get("file").get_by_test_id("download").click()
    fetched = tmp_path / "fetched"
    await (await started.value).save_as(fetched)
    assert await asyncio.to_thread(fetched.read_bytes) == CONTENT
    assert await fox.download("download") == CONTENT
    assert await dan.member.fetch(await dan.heard("file")) == CONTENT

    everything = await asyncio.to_thread(raw, sealed_server)
    # What the server does know shows that the search finds what is there.
    assert b"Cleo" in everything
    assert CANARY.encode() not in everything
    assert urlsplit(link).fragment.removeprefix("s=").encode() not in everything

    await cleo.page.goto("about:blank")
    async with asyncio.timeout(TIMEOUT_S):
        while await code_of(ada) == with_all:  # noqa: ASYNC110 - pages have no event for it
            await asyncio.sleep(0.2)
    await ada.expect_moving("Bob")
    await ada.expect_moving("Dan")


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


async def test_a_part_that_cannot_be_fetched_says_so_and_the_call_goes_on(
    browser: Browser, sealed_server: ServerProcess
) -> None:
    # A service worker would have fetched the parts beforehand.
    tab = await Tab.open(browser, sealed_server.url, service_workers="block")
    try:
        await make_room(tab)
        await tab.pass_lobby("Ada")
        for button, part, shown in (
            ("toggle-chat", "RoomChat", "chat-input"),
            ("room-menu", "RoomDialog", "room-dialog"),
            ("seal-badge", "SealDialog", "seal-dialog"),
        ):
            address = f"**/assets/{part}-*.js"
            await tab.page.route(address, lambda route: route.abort())
            await tab.get(button).click()
            await expect(tab.get("not-loaded")).to_be_visible()
            await expect(tab.get("call")).to_be_visible()
            await tab.page.unroute(address)
            await tab.get("load-again").click()
            await expect(tab.get(shown)).to_be_visible()
            await tab.page.keyboard.press("Escape")
    finally:
        await tab.close()

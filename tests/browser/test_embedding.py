"""A room in a frame of a page of another origin: Jitsi's own React component with another domain, and `<ting-room>`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, FrameLocator, Page, expect

from tests.browser.conftest import OpenTab
from tests.browser.test_lasting_rooms import make_room, said, say
from tests.harness.browser import Tab, until
from tests.harness.bundle import bundle
from tests.harness.coturn import write_certificate
from tests.harness.server import ROOT, ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PAGE = ROOT / "tests/harness/embedding"
JOIN_TIMEOUT_MS = 90_000


class TlsServer(ServerProcess):
    """Jitsi's component knows https only."""

    @property
    def url(self) -> str:
        return super().url.replace("http:", "https:")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    write_certificate(folder / "cert.pem", folder / "key.pem")
    return folder / "cert.pem", folder / "key.pem"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embedding")
    await bundle(PAGE, folder)
    return folder


@pytest_asyncio.fixture(loop_scope="session")
async def home(built: Path, certificate: tuple[Path, Path]) -> AsyncIterator[str]:
    """The origin of the page that shows calls."""

    async def index(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(built / "index.html")

    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_static("/", built)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest_asyncio.fixture(loop_scope="session")
async def server(home: str, certificate: tuple[Path, Path]) -> AsyncIterator[ServerProcess]:
    cert, key = certificate
    settings = {"TING_DEFAULT_KIND": "open", "TING_FRAME_ANCESTORS": home}
    server = TlsServer("--tls-cert", str(cert), "--tls-key", str(key), environment=settings)
    await server.start()
    yield server
    await server.kill()
    server.assert_healthy()


HEARD = """async ([name, part]) => {
    const has = (value, wanted) => typeof wanted === 'object' && wanted !== null
        ? value != null && Object.entries(wanted).every(([key, one]) => has(value[key], one))
        : value === wanted;
    return (window.heard ?? []).some(([heard, data]) => heard === name && has(data, part));
}"""


SHARING_FAILS = """() => {
    navigator.mediaDevices.getDisplayMedia = () => Promise.reject(new DOMException("in use", "NotReadableError"));
}"""


LOADED = "(part) => performance.getEntriesByType('resource').filter(({name}) => name.includes(part)).length"


async def heard(page: Page, event: str, /, **part: Any) -> None:
    """An event of that name with at least this in it has come, or comes."""
    await until(page, HEARD, [event, part], JOIN_TIMEOUT_MS)


async def command(page: Page, name: str, *args: object) -> None:
    await page.evaluate("([name, args]) => window.api.executeCommand(name, ...args)", [name, list(args)])


async def open_home(browser: Browser, home: str) -> Page:
    page = await (await browser.new_context(ignore_https_errors=True)).new_page()
    await page.goto(home)
    return page


async def meet(page: Page, server: ServerProcess, room: str, **config: object) -> FrameLocator:
    domain = server.url.removeprefix("https://")
    await page.evaluate("([domain, room, config]) => window.meet(domain, room, config)", [domain, room, config])
    return page.frame_locator("iframe")


async def test_jitsis_react_component_joins_mutes_talks_and_hangs_up(
    browser: Browser, home: str, server: ServerProcess, open_tab: OpenTab
) -> None:
    page = await open_home(browser, home)
    frame = await meet(page, server, "Team talk")
    await heard(page, "videoConferenceJoined", displayName="Ada")
    await heard(page, "videoMuteStatusChanged", muted=True)
    bob = await open_tab(ignore_https_errors=True)
    await bob.join("Team-talk", "Bob")
    await heard(page, "participantJoined", displayName="Bob")
    assert await bob.page.evaluate(LOADED, "embedding-") == 0
    assert await page.evaluate("() => window.api.getNumberOfParticipants()") == 2
    names = await page.evaluate("() => window.api.getParticipantsInfo().map((one) => one.displayName)")
    assert sorted(names) == ["Ada", "Bob"]

    await expect(bob.tile("Ada")).to_have_attribute("data-muted", "false")
    await expect(frame.get_by_test_id("toggle-mic")).to_have_attribute("aria-pressed", "true")
    await command(page, "toggleAudio")
    await heard(page, "audioMuteStatusChanged", muted=True)
    assert await page.evaluate("() => window.api.isAudioMuted()") is True
    await expect(bob.tile("Ada")).to_have_attribute("data-muted", "true")
    await command(page, "toggleVideo")
    await heard(page, "videoMuteStatusChanged", muted=False)
    await bob.expect_moving("Ada")

    await command(page, "sendChatMessage", "from the page around")
    await heard(page, "outgoingMessage", message="from the page around")
    await bob.get("toggle-chat").click()
    await expect(bob.get("chat-message")).to_contain_text("from the page around")
    await say(bob, "from within")
    await heard(page, "incomingMessage", message="from within", nick="Bob")
    await command(page, "setTileView", False)
    await heard(page, "tileViewChanged", enabled=False)
    await command(page, "setTileView", True)
    await heard(page, "tileViewChanged", enabled=True)
    # Chromium's fake microphone beeps once a second.
    bobs = await bob.page.evaluate("() => window.__tingRoom.localParticipant.identity")
    await heard(page, "dominantSpeakerChanged", id=bobs)
    await command(page, "pinParticipant", bobs)
    await expect(frame.locator('.focus-main [data-name="Bob"]')).to_be_visible()
    await command(page, "pinParticipant", "")
    await expect(frame.locator(".focus-main")).to_have_count(0)

    for name, args, code in (
        ("toggleLobby", [True], "ting.not_lasting"),
        ("startRecording", [{}], "ting.unknown_command"),
        ("displayName", ["Bea"], "ting.forbidden"),
    ):
        await command(page, name, *args)
        await heard(page, "errorOccurred", name=code)
    (inside,) = [one for one in page.frames if one.url.startswith(server.url)]
    await inside.evaluate(SHARING_FAILS)
    await command(page, "toggleShareScreen")
    await heard(page, "errorOccurred", name="ting.screen_share_busy")
    refused = await page.evaluate("() => window.api.getAvailableDevices().catch((error) => error.message)")
    assert "getAvailableDevices" in refused
    await heard(page, "errorOccurred", name="ting.unknown_function")

    await bob.get("leave").click()
    await heard(page, "participantLeft")
    await command(page, "hangup")
    for name in ("videoConferenceLeft", "readyToClose", "onReadyToClose"):
        await heard(page, name)
    await page.evaluate("() => window.api.dispose()")
    await expect(page.locator("iframe")).to_have_count(0)
    await page.context.close()


async def test_a_host_in_a_frame_rules_the_room(
    browser: Browser, home: str, server: ServerProcess, open_tab: OpenTab
) -> None:
    ada: Tab = await open_tab(ignore_https_errors=True)
    room = await make_room(ada)
    page = await ada.context.new_page()
    await page.goto(home)
    frame = await meet(page, server, room)
    await heard(page, "participantRoleChanged", role="moderator")
    await command(page, "subject", "Choir")
    await heard(page, "subjectChange", subject="Choir")
    await command(page, "toggleRaiseHand")
    await expect(frame.get_by_test_id("toggle-hand")).to_have_attribute("aria-pressed", "true")
    await heard(page, "raiseHandUpdated")
    await command(page, "toggleLobby", True)
    await expect(frame.get_by_test_id("call")).to_be_visible()

    bob: Tab = await open_tab(ignore_https_errors=True)
    await bob.page.goto(f"{bob.origin}/r/{room}?debug=1")
    await expect(bob.get("knock-note")).to_be_visible()
    await bob.get("name-input").fill("Bob")
    await bob.get("join-call").click()
    await heard(page, "knockingParticipant", participant={"name": "Bob"})
    await page.evaluate("""() => {
        const [, {participant}] = window.heard.find(([name]) => name === 'knockingParticipant');
        window.api.executeCommand('answerKnockingParticipant', participant.id, true);
    }""")
    await expect(bob.get("call")).to_be_visible()
    await heard(page, "participantJoined", displayName="Bob")
    await command(page, "sendChatMessage", "welcome")
    await heard(page, "outgoingMessage", message="welcome")
    await bob.get("toggle-chat").click()
    await say(bob, "thank you")
    await heard(page, "incomingMessage", message="thank you", nick="Bob")
    await expect(said(bob, "welcome")).to_have_count(1)

    await command(page, "muteEveryone", "audio")
    await expect(bob.get("toggle-mic")).to_have_attribute("aria-pressed", "false")
    await page.evaluate("""() => {
        const [, {id}] = window.heard.find(([name]) => name === 'participantJoined');
        window.api.executeCommand('kickParticipant', id);
    }""")
    await expect(bob.get("disconnected-page")).to_have_attribute("data-reason", "kicked")
    await heard(page, "participantKickedOut", kicked={"local": False})
    await command(page, "endConference")
    await heard(page, "readyToClose")
    bob.errors.clear()


ELEMENTS = """async ([server, names]) => {
    await new Promise((resolve, reject) => {
        const script = document.createElement('script');
        Object.assign(script, {src: server + '/external_api.js', onload: resolve, onerror: reject});
        document.head.append(script);
    });
    window.heard = [];
    for (const name of names) {
        const room = document.createElement('ting-room');
        Object.assign(room, {id: name});
        for (const [key, value] of Object.entries({room: 'duet', name, 'no-check': '', 'no-camera': '', muted: ''}))
            room.setAttribute(key, value);
        for (const type of ['participantJoined', 'endpointTextMessageReceived', 'readyToClose'])
            room.addEventListener(type, ({detail}) => window.heard.push([name + ' ' + type, detail]));
        document.body.append(room);
    }
}"""


async def test_two_elements_talk_and_an_origin_that_is_not_allowed_sees_nothing(
    browser: Browser, home: str, server: ServerProcess
) -> None:
    page = await open_home(browser, home)
    await page.evaluate(ELEMENTS, [server.url, ["Ada"]])
    other = await open_home(browser, home)
    await other.evaluate(ELEMENTS, [server.url, ["Bob"]])
    await heard(page, "Ada participantJoined", displayName="Bob")
    await heard(other, "Bob participantJoined", displayName="Ada")
    await other.evaluate("() => document.getElementById('Bob').command('sendEndpointTextMessage', '', 'psst')")
    await heard(page, "Ada endpointTextMessageReceived", data={"eventData": {"text": "psst"}})
    await page.evaluate("() => document.getElementById('Ada').command('hangup')")
    await heard(page, "Ada readyToClose")

    # The same page by another name is another origin.
    stranger = await open_home(browser, home.replace("127.0.0.1", "localhost"))
    await stranger.evaluate(ELEMENTS, [server.url, ["Eve"]])
    await until(stranger, "async () => document.querySelector('iframe') !== null")
    async with asyncio.timeout(JOIN_TIMEOUT_MS / 1000):
        while not any(frame.url.startswith("chrome-error:") for frame in stranger.frames):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await stranger.evaluate("() => window.heard") == []
    for one in (page, other, stranger):
        await one.context.close()

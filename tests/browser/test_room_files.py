"""Files in the chat of a room that lasts: sent by one person, seen and fetched by another."""

from __future__ import annotations

import asyncio
import struct
import zlib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Locator, Route, expect

from tests.browser.conftest import OpenTab
from tests.harness.browser import Tab

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE = {"width": 390, "height": 844}
TEXT = "Tea at four, 茶\n".encode()


def png(width: int, height: int) -> bytes:
    """A picture of one colour (PNG, RFC 2083)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x08\x71\x5c" * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


async def open_chat(tab: Tab, room: str, name: str) -> None:
    await tab.page.goto(f"{tab.origin}/r/{room}")
    await tab.get("name-input").fill(name)
    await tab.get("open-chat").click()
    await expect(tab.get("chat-page")).to_be_visible()


async def make_room(tab: Tab, name: str) -> str:
    """A new room whose chat is open; its name."""
    await tab.page.goto(f"{tab.origin}/")
    await tab.get("new-room").click()
    await expect(tab.get("recovery")).to_be_visible(timeout=60_000)
    await tab.get("dismiss-recovery").click()
    await tab.get("name-input").fill(name)
    await tab.get("open-chat").click()
    await expect(tab.get("chat-page")).to_be_visible()
    return urlsplit(tab.page.url).path.removeprefix("/r/")


def file(tab: Tab, name: str) -> Locator:
    return tab.page.locator(f'[data-testid="file"][data-name="{name}"]')


async def download(tab: Tab, name: str) -> bytes:
    async with tab.page.expect_download() as started:
        await file(tab, name).get_by_test_id("download").click()
    fetched = await started.value
    assert fetched.suggested_filename == name
    return await asyncio.to_thread(Path(await fetched.path()).read_bytes)


async def test_a_picture_and_a_text_are_sent_seen_and_fetched(open_tab: OpenTab, tmp_path: Path) -> None:
    ada, bob = await open_tab(), await open_tab(viewport=PHONE)
    room = await make_room(ada, "Ada")
    await open_chat(bob, room, "Bob")
    picture, text = tmp_path / "garden.png", tmp_path / "plan.txt"
    picture.write_bytes(png(320, 200))
    text.write_bytes(TEXT)
    await ada.get("files-input").set_input_files([picture, text])

    shown = file(bob, "garden.png").get_by_test_id("file-picture")
    await expect(shown).to_be_visible()
    await expect(shown).to_have_js_property("naturalWidth", 320)
    await expect(file(bob, "plan.txt").get_by_test_id("file-picture")).to_have_count(0)
    await expect(ada.get("upload")).to_have_count(0)
    assert await download(bob, "garden.png") == picture.read_bytes()
    assert await download(bob, "plan.txt") == TEXT
    await expect(file(ada, "garden.png").get_by_test_id("file-picture")).to_be_visible()
    await ada.page.screenshot(path=tmp_path / "desktop.png")
    await bob.page.screenshot(path=tmp_path / "phone.png")

    # Removed, it is gone for both.
    line = ada.get("chat-message").filter(has=file(ada, "plan.txt"))
    await line.get_by_test_id("message-actions").click()
    await ada.get("action-delete").click()
    await expect(file(bob, "plan.txt")).to_have_count(0)
    await expect(bob.page.locator('[data-testid="chat-message"][data-removed="true"]')).to_have_count(1)


async def test_what_is_cancelled_never_arrives_and_what_was_cut_is_gone_on_with(
    open_tab: OpenTab, tmp_path: Path
) -> None:
    ada = await open_tab()
    room = await make_room(ada, "Ada")

    async def hold(route: Route) -> None:
        """Bytes of a file go nowhere until the test ends it; all else goes through."""
        if route.request.method != "PATCH":
            await route.continue_()

    await ada.page.route("**/files/*", hold)
    files = [{"name": name, "mimeType": "text/plain", "buffer": TEXT} for name in ("wrong.txt", "right.txt")]
    async with ada.page.expect_request(lambda request: request.method == "PATCH"):
        await ada.get("files-input").set_input_files(files)  # type: ignore[arg-type]
    await expect(ada.get("upload")).to_have_count(2)
    async with ada.page.expect_request(lambda request: request.method == "DELETE"):
        await ada.get("upload").first.get_by_test_id("cancel-upload").click()
    await expect(ada.get("upload")).to_have_count(1)
    await ada.get("upload").get_by_test_id("cancel-upload").click()
    await expect(ada.get("upload")).to_have_count(0)
    await ada.page.unroute("**/files/*", hold)

    # The first try of another file is lost with its connection; the next one asks how far it came.
    lost: list[str] = []

    async def lose(route: Route) -> None:
        if route.request.method == "PATCH" and not lost:
            lost.append(route.request.url)
            await route.abort("connectionreset")
        else:
            await route.continue_()

    await ada.page.route("**/files/*", lose)
    async with ada.page.expect_request(lambda request: request.method == "HEAD"):
        await ada.get("files-input").set_input_files([files[1]])  # type: ignore[arg-type]
    await expect(file(ada, "right.txt")).to_have_count(1)
    await expect(file(ada, "wrong.txt")).to_have_count(0)
    assert len(lost) == 1
    assert await download(ada, "right.txt") == TEXT
    await ada.page.unroute("**/files/*", lose)

    # A reload cuts two: the small one goes on by itself, the large one when it is chosen again.
    small, large = tmp_path / "small.txt", tmp_path / "large.bin"
    small.write_bytes(TEXT)
    with large.open("wb") as sparse:
        sparse.truncate(65 * 2**20)
    await ada.page.route("**/files/*", hold)
    for path in (large, small):
        await ada.get("files-input").set_input_files(path)
    async with ada.page.expect_request(lambda request: request.method == "PATCH"):
        await expect(ada.get("upload")).to_have_count(2)
    await ada.page.reload()
    await open_chat(ada, room, "Ada")
    await expect(ada.get("upload-again")).to_have_count(1)
    await expect(ada.page.locator('[data-testid="upload"][data-state="sending"]')).to_have_count(1)
    await ada.get("upload-again-input").set_input_files(small)
    await expect(ada.get("upload-problem")).to_be_visible()
    await ada.get("upload-again-input").set_input_files(large)
    await expect(ada.get("upload-again")).to_have_count(0)
    async with ada.page.expect_request(lambda request: request.method == "DELETE"):
        await ada.get("upload").filter(has_text="large.bin").get_by_test_id("cancel-upload").click()
    await ada.page.unroute("**/files/*", hold)
    await ada.page.reload()
    await open_chat(ada, room, "Ada")
    await expect(file(ada, "small.txt")).to_have_count(1)
    await expect(ada.get("upload")).to_have_count(0)
    assert await download(ada, "small.txt") == TEXT
    ada.errors[:] = [error for error in ada.errors if "ERR_CONNECTION_RESET" not in error]


async def test_a_room_without_files_has_no_button_for_them(open_tab: OpenTab) -> None:
    ada, bob = await open_tab(), await open_tab()
    room = await make_room(ada, "Ada")
    await open_chat(bob, room, "Bob")
    await expect(bob.get("send-files")).to_be_visible()
    status = await ada.page.evaluate(
        """async (room) => (await fetch(`/api/v1/rooms/${room}`, {
            method: 'PATCH',
            headers: {'Content-Type': 'application/json',
                      Authorization: 'Bearer ' + sessionStorage.getItem('ting.token.' + room)},
            body: JSON.stringify({policy: {files: false}}),
        })).status""",
        room,
    )
    assert status == 200
    await expect(bob.get("send-files")).to_have_count(0)
    # Moderators and owners may still.
    await expect(ada.get("send-files")).to_be_visible()


GIVE = """(element, [kind, name]) => {
    const data = new DataTransfer();
    data.items.add(new File(['Tea'], name, {type: 'text/plain'}));
    const options = {bubbles: true, cancelable: true};
    const event = kind === 'paste'
        ? new ClipboardEvent(kind, {...options, clipboardData: data})
        : new DragEvent(kind, {...options, dataTransfer: data});
    return !element.dispatchEvent(event);
}"""


async def test_files_are_dropped_and_pasted_and_one_that_misses_the_chat_opens_nothing(open_tab: OpenTab) -> None:
    ada = await open_tab()
    await make_room(ada, "Ada")
    await expect(ada.get("send-files")).to_be_visible()
    assert await ada.get("timeline").evaluate(GIVE, ["dragover", "dropped.txt"])
    await expect(ada.get("drop-here")).to_be_visible()
    assert await ada.get("timeline").evaluate(GIVE, ["drop", "dropped.txt"])
    await expect(ada.get("drop-here")).to_have_count(0)
    assert await ada.get("chat-input").evaluate(GIVE, ["paste", "pasted.txt"])
    await expect(file(ada, "dropped.txt")).to_have_count(1)
    await expect(file(ada, "pasted.txt")).to_have_count(1)
    assert await ada.page.locator("body").evaluate(GIVE, ["drop", "beside.txt"])
    await expect(ada.get("upload")).to_have_count(0)
    await expect(ada.get("file")).to_have_count(2)

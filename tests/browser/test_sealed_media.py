"""Media that the server cannot read, between the app's own code in Chromium and the `livekit` SDK in Python."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from livekit import rtc
from playwright.async_api import Browser

from sealed.media import MediaKeys
from tests.harness import sealed_page
from tests.harness.caller import Caller
from tests.harness.fixtures import Join, join
from tests.harness.link import Conditions, Link
from tests.harness.proxy import SignalProxy
from tests.harness.sealed_page import SealedPage, key_of
from tests.harness.server import ServerProcess

__all__ = ["join"]

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

Enter = Callable[..., Awaitable[SealedPage]]
Keyed = Callable[..., Awaitable[tuple[Caller, MediaKeys]]]

EPOCH = 15
"""The next one begins again at index 0."""
ALL = ["ada", "bob", "cleo", "eve"]
SMALL = (320, 180)
CODECS = {"vp8": rtc.VideoCodec.VP8, "h264": rtc.VideoCodec.H264, "vp9": rtc.VideoCodec.VP9}

LOUDNESS = """async () => {
    const track = remote('audio')?.track;
    if (!track) return 0;
    const report = await track.receiver.getStats();
    return [...report.values()].find(one => one.type === 'inbound-rtp')?.totalAudioEnergy ?? 0;
}"""

PACKETS_SENT = """async () => {
    const report = await room.localParticipant.videoTrackPublications.values().next().value.track.sender.getStats();
    return [...report.values()].find(one => one.type === 'outbound-rtp').packetsSent;
}"""
"""Not frames: those are counted before they are encrypted."""

REPAIRED = """async () => {
    const report = await remote('video').track.receiver.getStats();
    const now = [...report.values()].find(one => one.type === 'inbound-rtp');
    return now.nackCount > 0 && now.retransmittedPacketsReceived > 0;
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """Serves the page of `tests/harness/sealed` in place of the app."""
    root: Path = tmp_path_factory.mktemp("sealed")
    await sealed_page.build(root)
    process = ServerProcess(environment={"TING_WEB_ROOT": str(root)})
    await process.start()
    yield process
    assert await process.stop() == 0, "\n".join(process.log[-40:])
    process.assert_healthy()


@pytest_asyncio.fixture(loop_scope="session")
async def enter(browser: Browser, server: ServerProcess, room: str) -> AsyncIterator[Enter]:
    """`await enter("bob", secret="right")`: a page in the call; with `secret=""` it has no keys."""
    pages: list[SealedPage] = []

    async def enter_one(own: str, secret: str = "right", **options: Any) -> SealedPage:
        page = await SealedPage.enter(browser, server.url, room, own, **options)
        pages.append(page)
        if secret:
            await page.epoch(EPOCH, ALL, secret)
        return await page.connect()

    yield enter_one
    for page in pages:
        await page.close()


@pytest_asyncio.fixture(loop_scope="session")
async def keyed(server: ServerProcess, room: str) -> AsyncIterator[Keyed]:
    """`await keyed("ada")`: an SDK client with the keys of the group."""
    callers: list[tuple[Caller, MediaKeys]] = []

    async def join_one(own: str) -> tuple[Caller, MediaKeys]:
        caller = Caller(server.url, room, own)
        keys = MediaKeys(caller.room)
        await caller.join(encryption=keys.options)
        callers.append((caller, keys))
        await keys.set_epoch(EPOCH, key_of("right", EPOCH), ALL)
        return caller, keys

    yield join_one
    for caller, keys in callers:
        keys.close()
        await caller.leave()


@pytest.mark.parametrize("codec", CODECS)
async def test_page_and_sdk_see_each_other(enter: Enter, keyed: Keyed, codec: str) -> None:
    ada, _ = await keyed("ada")
    bob = await enter("bob")
    await ada.publish_pattern(7, codec=CODECS[codec], size=SMALL)
    await bob.sees("ada", codec=f"video/{codec.upper()}", width=SMALL[0])
    await bob.publish_video(f"{{videoCodec: '{codec}', simulcast: false}}", SMALL)
    eye = await ada.watch("bob", timeout=20)
    await eye.until(lambda: sum(one.width == SMALL[0] for one in eye.frames) >= 10, "ten pictures of the page", 20)
    assert await bob.problems() == []


async def test_keys_change_without_a_frame_that_cannot_be_opened(enter: Enter, keyed: Keyed) -> None:
    """The one who speaks waits for those who hear: no frame comes for which they have no key, in either direction."""
    (ada, keys), bob = await keyed("ada"), await enter("bob")
    await ada.publish_pattern(8, size=SMALL)
    await bob.publish_video("{simulcast: false}", SMALL)
    await bob.sees("ada")
    eye = await ada.watch("bob", timeout=20)
    await eye.until(lambda: len(eye.frames) >= 10, "pictures of the page", 20)
    before = await bob.failures()
    for epoch in (EPOCH + 1, EPOCH + 2):
        # He is the last to hear of it, and the first to be spoken to with it.
        await keys.set_epoch(epoch, key_of("right", epoch), ALL)
        await bob.epoch(epoch, ALL)
        senders = [one for one in ada.room.e2ee_manager.frame_cryptors() if one.participant_identity == "ada"]
        assert [one.key_index for one in senders] == [(epoch - 1) % 16]
        await bob.sees("ada", frames=20)
        seen = len(eye.frames)
        await eye.until(lambda seen=seen: len(eye.frames) >= seen + 20, "twenty more pictures", 20)
        senders = [one for one in ada.room.e2ee_manager.frame_cryptors() if one.participant_identity == "ada"]
        assert [one.key_index for one in senders] == [epoch % 16]
    assert await bob.failures() == before
    assert await bob.problems() == []


@pytest.mark.parametrize(("secret", "kind"), [("", "missing_key"), ("wrong", "cannot_decrypt")])
async def test_who_cannot_be_opened_is_named_and_heals(enter: Enter, secret: str, kind: str) -> None:
    ada, bob = await enter("ada"), await enter("bob", secret)
    await ada.publish_tone()
    await ada.publish_video("{simulcast: false}", SMALL)
    await bob.until(f"() => problems.includes('{kind} ada')")
    assert await bob.page.evaluate(LOUDNESS) == 0
    assert {one["frames"] for one in await bob.inbound() if one["kind"] == "video"} == {0}
    await bob.epoch(EPOCH, ALL)
    await bob.until("() => problems.at(-1) === 'healed ada'")
    await bob.sees("ada")
    await bob.until(f"async () => await ({LOUDNESS})() > 0.01")
    assert await bob.problems() == [f"{kind} ada", "healed ada"]


async def test_who_has_no_key_sends_nothing_and_is_told(enter: Enter) -> None:
    ada = await enter("ada", secret="", dynacast=False)
    await ada.publish_video("{simulcast: false}", SMALL)
    await ada.until("() => problems.includes('missing_key ada')")
    await ada.until("async () => (await outbound())['VP8/'] > 20")
    assert await ada.page.evaluate(PACKETS_SENT) == 0
    await ada.epoch(EPOCH, ALL)
    await ada.until("() => problems.at(-1) === 'healed ada'")
    await ada.until(f"async () => await ({PACKETS_SENT})() > 20")


@pytest.mark.parametrize("stranger", ["an old SDK's derivation", "no encryption"])
async def test_what_is_not_encrypted_as_here_is_not_shown(
    enter: Enter, server: ServerProcess, join: Join, stranger: str
) -> None:
    bob = await enter("bob")
    options = rtc.E2EEOptions() if stranger != "no encryption" else None
    ada = await join(server.url, "ada", encryption=options)
    if options:
        key = await key_of("right", EPOCH)("ada")
        provider = ada.room.e2ee_manager.key_provider
        assert provider is not None
        provider.set_key("ada", key, 0)
    await ada.publish_pattern(9, size=SMALL)
    await bob.until("() => problems.some(one => one.endsWith(' ada'))")
    assert {one["frames"] for one in await bob.inbound() if one["kind"] == "video"} == {0}


async def test_what_is_lost_is_sent_again(browser: Browser, server: ServerProcess, keyed: Keyed, room: str) -> None:
    link = await Link(("127.0.0.1", server.ports.udp), Conditions(loss=0.08)).start()
    proxy = await SignalProxy(server.url, link.rewrite).start()
    ada, _ = await keyed("ada")
    bob = await SealedPage.enter(browser, server.url, room, "bob", url=proxy.url)
    await bob.epoch(EPOCH, ALL)
    await bob.connect()
    await ada.publish_pattern(10, size=SMALL, bitrate_bps=1_000_000, noisy=True)
    await bob.sees("ada", frames=30)
    await bob.until(REPAIRED)
    assert await bob.problems() == []
    await bob.close()
    await proxy.stop()
    await link.stop()

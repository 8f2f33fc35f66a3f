"""livekit-client as publisher and subscriber: it sends what somebody wants, in a codec that everybody can take."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.harness.link import Conditions, Link
from tests.harness.proxy import SignalProxy
from tests.harness.sdk_page import DIST, WITHOUT_CODEC, SdkPage
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

OpenPage = Callable[..., Awaitable[SdkPage]]

SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.4 Safari/605.1.15"

STANDS_STILL = """async keys => {
    const now = await outbound();
    const at = performance.now();
    const same = window.__before && keys.every(key => (now[key] ?? 0) === (window.__before.now[key] ?? 0));
    if (!same) window.__before = {now, at};
    return same && at - window.__before.at > 1000;
}"""
"""None of these encodings has sent a frame for a second."""

GOES_ON = """async ([key, frames]) => ((await outbound())[key] ?? 0) >= frames"""


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser, server: ServerProcess) -> AsyncIterator[OpenPage]:
    pages: list[SdkPage] = []

    async def open_one(**options: object) -> SdkPage:
        page = await SdkPage.open(browser, server.url, **options)
        pages.append(page)
        return page

    yield open_one
    for page in pages:
        await page.close()


async def test_layers_that_nobody_watches_are_not_sent(open_page: OpenPage, room: str) -> None:
    ada = await (await open_page()).join(room, "ada", "{dynacast: true}")
    bob = await (await open_page()).join(room, "bob")
    await ada.publish_video("{videoCodec: 'vp8', simulcast: true}")
    await bob.until("async () => (await inbound()).some(s => s.kind === 'video' && s.width === 960)")

    await bob.page.evaluate("() => remote('video').setVideoQuality(LivekitClient.VideoQuality.LOW)")
    await ada.until(STANDS_STILL, ["VP8/h", "VP8/f"])
    before = await ada.outbound()
    await bob.until("async () => (await inbound()).some(s => s.kind === 'video' && s.width === 320)")
    await ada.until(GOES_ON, ["VP8/q", before["VP8/q"] + 10])

    await bob.page.evaluate("() => remote('video').setVideoQuality(LivekitClient.VideoQuality.HIGH)")
    await ada.until(GOES_ON, ["VP8/f", before["VP8/f"] + 5], timeout_ms=3000)
    await bob.until("async () => (await inbound()).some(s => s.kind === 'video' && s.width === 960)")

    await bob.page.evaluate("() => remote('video').setSubscribed(false)")
    await ada.until(STANDS_STILL, ["VP8/q", "VP8/h", "VP8/f"])
    await bob.page.evaluate("() => remote('video').setSubscribed(true)")
    await bob.until("async () => (await inbound()).some(s => s.kind === 'video' && s.width === 960)")


@pytest.mark.parametrize("single", ["true", "false"])
async def test_who_lacks_the_codec_gets_the_backup(open_page: OpenPage, room: str, single: str) -> None:
    ada = await (await open_page()).join(room, "ada", "{dynacast: true}")
    bob = await (await open_page()).join(room, "bob")
    await ada.publish_video("{videoCodec: 'vp9', backupCodec: {codec: 'vp8'}}")
    await bob.until("async () => (await inbound()).some(s => s.codec === 'video/VP9' && s.frames > 10)")
    assert not any(key.startswith("VP8") for key in await ada.outbound())

    cleo = await open_page()
    await cleo.page.evaluate(WITHOUT_CODEC, "VP9")
    await cleo.join(room, "cleo", f"{{singlePeerConnection: {single}}}")
    await cleo.until("async () => (await inbound()).some(s => s.codec === 'video/VP8' && s.frames > 10)")
    (before,) = [s["frames"] for s in await bob.inbound() if s["codec"] == "video/VP9"]
    await bob.until(f"async () => (await inbound()).some(s => s.codec === 'video/VP9' && s.frames > {before + 10})")
    assert await bob.page.evaluate("() => remote('video').trackInfo.codecs.map(c => c.mimeType)") == [
        "video/VP9", "video/VP8",
    ]  # fmt: skip

    await cleo.page.evaluate("() => room.disconnect()")
    await ada.until(STANDS_STILL, ["VP8/q", "VP8/h", "VP8/f"])


async def test_who_can_receive_no_codec_is_told(open_page: OpenPage, room: str) -> None:
    ada = await (await open_page()).join(room, "ada", "{dynacast: true}")
    bob, cleo = await (await open_page()).join(room, "bob"), await open_page()
    await cleo.page.evaluate(WITHOUT_CODEC, "VP8")
    await cleo.join(
        room,
        "cleo",
        prepare="room.on('trackSubscriptionFailed', (sid, who, why) => window.failed = [who.identity, why]);",
    )
    await ada.publish_video("{videoCodec: 'vp8', backupCodec: false, simulcast: false}")
    await cleo.until("() => window.failed")
    unsupported = await cleo.page.evaluate("() => LivekitClient.SubscriptionError.SE_CODEC_UNSUPPORTED")
    assert await cleo.page.evaluate("() => window.failed") == ["ada", unsupported]
    await bob.until("async () => (await inbound()).some(s => s.codec === 'video/VP8' && s.frames > 10)")


async def test_end_to_end_encryption_passes_through(open_page: OpenPage, room: str) -> None:
    options = "{e2ee: {keyProvider: window.keys = new LivekitClient.ExternalE2EEKeyProvider(), worker}}"
    prepare = "await keys.setKey(%r); await room.setE2EEEnabled(true);"
    ada, bob, eve = await open_page(), await open_page(), await open_page()
    for page, name, key in ((ada, "ada", "right"), (bob, "bob", "right"), (eve, "eve", "wrong")):
        await page.use_worker(DIST / "livekit-client.e2ee.worker.js")
        await page.join(room, name, options, prepare % key)
    await ada.publish_video("{videoCodec: 'vp8', simulcast: true}")
    await bob.until("async () => (await inbound()).some(s => s.kind === 'video' && s.frames > 20)")
    assert await bob.page.evaluate("() => remote('video').isEncrypted")
    await eve.until("async () => (await inbound()).some(s => s.kind === 'video' && s.packets > 50)")
    assert all(s["frames"] == 0 for s in await eve.inbound() if s["kind"] == "video")


async def test_a_device_with_a_broken_codec_does_not_meet_it(open_page: OpenPage, room: str) -> None:
    """A page that calls itself Safari neither sends nor gets AV1."""
    safari = await open_page(user_agent=SAFARI)
    await safari.join(room, "safari", "{dynacast: true}")
    bob = await (await open_page()).join(room, "bob", "{dynacast: true}")
    await safari.publish_video("{videoCodec: 'av1', backupCodec: false}")
    await bob.until("async () => (await inbound()).some(s => s.kind === 'video' && s.frames > 5)")
    assert {s["codec"] for s in await bob.inbound()} & {"video/AV1"} == set()
    await bob.publish_video("{videoCodec: 'av1', backupCodec: {codec: 'vp8'}}")
    await safari.until("async () => (await inbound()).some(s => s.codec === 'video/VP8' && s.frames > 5)")


async def test_a_video_that_does_not_fit_is_paused_and_comes_back(
    open_page: OpenPage, server: ServerProcess, room: str
) -> None:
    link = await Link(("127.0.0.1", server.ports.udp), Conditions()).start()
    proxy = await SignalProxy(server.url, link.rewrite).start()
    ada, bob = await (await open_page()).join(room, "ada"), await open_page()
    watch = "window.states = []; room.on('trackStreamStateChanged', (pub, state) => states.push(state));"
    await bob.join(room, "bob", "{singlePeerConnection: false}", watch, "{subscriberAllowPause: true}", proxy.url)
    await ada.publish_video("{videoCodec: 'vp8', simulcast: true}")
    await bob.until("async () => (await inbound()).some(s => s.kind === 'video' && s.width === 960)")

    link.conditions = Conditions(rate_bps=40_000)
    await bob.until("() => states.at(-1) === 'paused'", timeout_ms=30_000)
    (before,) = [s["frames"] for s in await bob.inbound() if s["kind"] == "video"]
    link.conditions = Conditions()
    await bob.until("() => states.at(-1) === 'active'", timeout_ms=40_000)
    await bob.until(f"async () => (await inbound()).some(s => s.frames > {before + 20})")
    await proxy.stop()
    await link.stop()

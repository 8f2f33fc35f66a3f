"""Repair packets (FlexFEC-03) for real Chromium: what a line loses it has without asking for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.harness.link import Conditions, Link
from tests.harness.proxy import SignalProxy
from tests.harness.sdk_page import SdkPage
from tests.harness.server import EmbeddedServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PICTURES, LOST = 60, 15
EACH = 13
"""One of so many packets is lost: not two of those that share a repair packet."""
RECEIVED = """window.received = async () => {
    const transport = room.engine.pcManager.subscriber ?? room.engine.pcManager.publisher;
    for (const one of (await transport.getStats()).values())
        if (one.type === 'inbound-rtp' && one.kind === 'video') return one;
    return {};
}"""
HAS_REPAIR = """async () => (window.before = await received()).fecPacketsReceived > 0"""
HAS_LOST = """async ([pictures, lost]) => {
    const now = await received();
    return now.framesDecoded - before.framesDecoded >= pictures && now.packetsLost - before.packetsLost >= lost;
}"""


class HolesLink(Link):
    """Loses one of `EACH` packets of a video on its way to the clients, and nothing else."""

    def __init__(self, server: tuple[str, int]) -> None:
        super().__init__(server, Conditions())
        self.ssrc = b""

    def from_server(self, data: bytes, client: tuple[str, int]) -> None:
        if self.ssrc and data[8:12] == self.ssrc and int.from_bytes(data[2:4], "big") % EACH == 0:
            return
        super().from_server(data, client)


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[EmbeddedServer]:
    """It resends nothing, so that only repair packets can mend."""
    inside = EmbeddedServer(fec_rtt_ms="0", retransmission_packets="0", connection_quality_interval_s="1")
    await inside.start()
    yield inside
    await inside.stop()


@pytest.mark.parametrize("single", ["true", "false"])
async def test_what_is_lost_is_there_all_the_same(
    browser: Browser, server: EmbeddedServer, room: str, single: str
) -> None:
    link = HolesLink(("127.0.0.1", server.ports.udp))
    await link.start()
    proxy = await SignalProxy(server.url, link.rewrite).start()
    ada, bob = [await SdkPage.open(browser, server.url) for _ in range(2)]
    await ada.join(room, "ada")
    await bob.join(room, "bob", f"{{singlePeerConnection: {single}}}", url=proxy.url)
    await ada.publish_video("{videoCodec: 'vp8', simulcast: false}", (640, 360))
    await bob.until("async () => (await inbound()).some(one => one.kind === 'video' && one.frames > 10)")
    await bob.page.evaluate(RECEIVED)
    link.ssrc = (await bob.page.evaluate("async () => (await received()).ssrc")).to_bytes(4, "big")
    await bob.until(HAS_REPAIR)

    await bob.until(HAS_LOST, [PICTURES, LOST])
    before, after = await bob.page.evaluate("async () => [before, await received()]")
    grown = {key: after[key] - before[key] for key in ("framesDecoded", "keyFramesDecoded", "packetsLost")}
    assert after.get("retransmittedPacketsReceived", 0) == 0
    # Without repair a picture that misses a packet takes a keyframe.
    assert grown["keyFramesDecoded"] <= grown["packetsLost"] // 5, grown
    for page in (ada, bob):
        await page.close()
    await proxy.stop()
    await link.stop()

"""Data between livekit-client in Chromium and the Python SDK: over a resume, on data tracks, and with rights."""

from __future__ import annotations

import asyncio

import pytest
from livekit import rtc
from playwright.async_api import Browser

from tests.browser.conftest import OpenTab
from tests.harness.browser import Tab, until
from tests.harness.caller import Caller
from tests.harness.fixtures import Join, join
from tests.harness.sdk_page import DIST, SdkPage
from tests.harness.server import ServerProcess

__all__ = ["join"]

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

LISTEN = """() => {
    const room = window.__tingRoom;
    window.heard = [];
    room.on('dataReceived', (payload, from, kind, topic) => {
        if (topic === 'test') window.heard.push(new TextDecoder().decode(payload));
    });
    window.say = async words => {
        for (const word of words)
            await room.localParticipant.publishData(new TextEncoder().encode(word), {reliable: true, topic: 'test'});
    };
}"""


def words(who: str, first: int, count: int = 20) -> list[str]:
    return [f"{who} {number}" for number in range(first, first + count)]


async def pair(server: ServerProcess, open_tab: OpenTab, join: Join, room: str) -> tuple[Tab, Caller]:
    tab = await (await open_tab()).join(room, "Ada")
    bob = await join(server.url, "bob")
    await until(tab.page, "async () => window.__tingRoom.remoteParticipants.size === 1")
    await tab.page.evaluate(LISTEN)
    return tab, bob


def heard(caller: Caller) -> list[str]:
    packets = [args[0] for name, args in caller.events if name == "data_received"]
    return [packet.data.decode() for packet in packets if packet.topic == "test"]


async def say(caller: Caller, said: list[str]) -> None:
    for word in said:
        await caller.room.local_participant.publish_data(word, reliable=True, topic="test")


async def test_nothing_reliable_is_lost_or_doubled_over_a_resume(
    server: ServerProcess, open_tab: OpenTab, join: Join, room: str
) -> None:
    tab, bob = await pair(server, open_tab, join, room)
    await asyncio.gather(tab.page.evaluate("said => window.say(said)", words("Ada", 0)), say(bob, words("bob", 0)))
    await tab.page.evaluate("""() => {
        const room = window.__tingRoom;
        window.resumed = false;
        room.once('reconnected', () => { window.resumed = true; });
        room.simulateScenario('signal-reconnect');
    }""")
    await asyncio.gather(tab.page.evaluate("said => window.say(said)", words("Ada", 20)), say(bob, words("bob", 20)))
    await until(tab.page, "async () => window.resumed")
    await asyncio.gather(tab.page.evaluate("said => window.say(said)", words("Ada", 40)), say(bob, words("bob", 40)))
    await bob.until(lambda: words("Ada", 59, 1)[0] in heard(bob), "the last word of the tab")
    await until(tab.page, "async last => window.heard.includes(last)", words("bob", 59, 1)[0])
    assert heard(bob) == words("Ada", 0, 60)
    assert await tab.page.evaluate("window.heard") == words("bob", 0, 60)


async def test_data_tracks_both_ways(browser: Browser, server: ServerProcess, join: Join, room: str) -> None:
    """Of the SDK as it is published: the web app leaves them away."""
    ada, bob = await (await SdkPage.open(browser, server.url)).join(room, "ada"), await join(server.url, "bob")
    await ada.until("() => room.remoteParticipants.size === 1")
    await ada.page.evaluate("""() => {
        window.frames = [];
        room.on('dataTrackPublished', async track => {
            const reader = track.subscribe().getReader();
            for (;;) {
                const {done, value} = await reader.read();
                if (done) return;
                window.frames.push(new TextDecoder().decode(value.payload));
            }
        });
    }""")
    local = await bob.room.local_participant.publish_data_track(name="from bob")
    async with asyncio.timeout(10):
        while "to the tab" not in await ada.page.evaluate("window.frames"):
            local.try_push(rtc.DataTrackFrame(payload=b"to the tab"))
            await asyncio.sleep(0.05)
    await ada.page.evaluate("""async () => {
        const track = await room.localParticipant.publishDataTrack({name: 'from the tab'});
        window.pushing = setInterval(() => track.tryPush({payload: new TextEncoder().encode('to bob')}), 50);
    }""")
    (track,) = await bob.wait_for("data_track_published", lambda track: track.info.name == "from the tab")
    frame = await asyncio.wait_for(track.subscribe().read(), 10)
    assert frame is not None
    assert frame.payload == b"to bob"
    await ada.page.evaluate("clearInterval(window.pushing)")
    await ada.close()


async def test_the_tab_learns_what_it_may_have(server: ServerProcess, open_tab: OpenTab, join: Join, room: str) -> None:
    tab, bob = await pair(server, open_tab, join, room)
    await bob.publish_pattern(8)
    await tab.expect_moving("bob")
    # The track too: bob must not leave while it is still on its way.
    status = """async wanted => {
        const [bob] = window.__tingRoom.remoteParticipants.values();
        const publication = bob.getTrackPublication('camera');
        return publication && publication.permissionStatus === wanted
            && (publication.track !== undefined) === (wanted === 'allowed');
    }"""
    for everyone, wanted in ((False, "not_allowed"), (True, "allowed")):
        bob.room.local_participant.set_track_subscription_permissions(allow_all_participants=everyone)
        await until(tab.page, status, wanted)
    await tab.expect_moving("bob")


async def test_encrypted_data_is_for_who_has_the_key(
    browser: Browser, server: ServerProcess, join: Join, room: str
) -> None:
    """The SDK puts messages into `encrypted_packet`; the server passes them on and cannot read them."""
    options = "{encryption: {keyProvider: window.keys = new LivekitClient.ExternalE2EEKeyProvider(), worker}}"
    prepare = """await keys.setKey('right'); await room.setE2EEEnabled(true); window.heard = [];
        room.on('dataReceived', payload => heard.push(new TextDecoder().decode(payload)));"""
    ada, bob = pages = [await SdkPage.open(browser, server.url) for _ in range(2)]
    eve = await join(server.url, "eve")
    for page, name in ((ada, "ada"), (bob, "bob")):
        await page.use_worker(DIST / "livekit-client.e2ee.worker.js")
        await page.join(room, name, options, prepare)
    await ada.until("() => room.remoteParticipants.size === 2")
    await ada.page.evaluate("""async () => {
        await room.localParticipant.publishData(new TextEncoder().encode('secret'), {reliable: true});
        await room.localParticipant.publishDtmf(1, '1');
    }""")
    await bob.until("() => heard.length === 1")
    assert await bob.page.evaluate("() => heard") == ["secret"]
    # Tones are not encrypted, and reliable messages come in order: what was sent before has reached eve as well.
    await eve.wait_for("sip_dtmf_received")
    assert eve.count("data_received") == 0
    for page in pages:
        await page.close()

"""livekit-client itself, without the web app: both dialects, and more pictures than a client has sections for."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Page

from tests.harness.server import ROOT, ServerProcess, make_token

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SDK = ROOT / "web" / "node_modules" / "livekit-client" / "dist" / "livekit-client.umd.js"

CLIENT = """async ({url, token, single}) => {
    window.room = new LivekitClient.Room({singlePeerConnection: single});
    window.events = [];
    for (const name of ['Reconnecting', 'SignalReconnecting', 'Reconnected', 'Disconnected'])
        room.on(LivekitClient.RoomEvent[name], () => events.push(name));
    room.on('trackSubscribed', track => { if (track.kind === 'video') document.body.append(track.attach()); });
    room.on('trackUnsubscribed', track => track.detach().forEach(element => element.remove()));
    room.on('dataReceived', data => { window.heard = new TextDecoder().decode(data); });
    await room.connect(url, token);
    return room.engine.pcManager.mode;
}"""

PUBLISH = """async ({color, simulcast}) => {
    const canvas = document.createElement('canvas');
    canvas.width = 320; canvas.height = 180;
    const context = canvas.getContext('2d');
    let even = false;
    setInterval(() => { even = !even; context.fillStyle = color; context.fillRect(0, 0, 320, 180);
        context.fillStyle = 'black'; context.fillRect(even ? 0 : 8, 0, 8, 8); }, 100);
    const track = canvas.captureStream(10).getVideoTracks()[0];
    const publication = await room.localParticipant.publishTrack(track, {name: color, simulcast});
    return publication.trackSid;
}"""

PICTURES = """() => {
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('2d');
    const colors = {};
    for (const participant of room.remoteParticipants.values())
        for (const publication of participant.trackPublications.values()) {
            const video = publication.track?.attachedElements[0];
            if (!video?.videoWidth) continue;
            context.drawImage(video, 0, 0, 32, 18);
            const [r, g, b] = context.getImageData(20, 12, 1, 1).data;
            colors[publication.trackName] = [r > 128, g > 128, b > 128].map(Number).join('');
        }
    return colors;
}"""
COLORS = {"red": "100", "lime": "010", "blue": "001", "yellow": "110", "cyan": "011"}


async def enter(browser: Browser, server: ServerProcess, room: str, identity: str, *, single: bool) -> Page:
    """A page of the server's that has joined with the defaults of the SDK, but for `single`."""
    page = await (await browser.new_context(bypass_csp=True)).new_page()
    await page.goto(f"{server.url}/healthz")
    await page.add_script_tag(path=SDK)
    arguments = {"url": server.url.replace("http", "ws"), "token": make_token(room, identity), "single": single}
    mode = await page.evaluate(CLIENT, arguments)
    assert mode == ("publisher-only" if single else "subscriber-primary")
    return page


async def publish(page: Page, *colors: str, simulcast: bool = False) -> list[str]:
    return [await page.evaluate(PUBLISH, {"color": color, "simulcast": simulcast}) for color in colors]


async def expect_pictures(page: Page, colors: dict[str, str]) -> None:
    """Each track shows its own picture, whatever section it came in on."""
    await page.wait_for_function(
        f"want => {{ const have = ({PICTURES})(); "
        "return Object.keys(want).length === Object.keys(have).length"
        " && Object.entries(want).every(([name, color]) => have[name] === color); }",
        arg=colors,
    )


def chosen(*names: str) -> dict[str, str]:
    return {name: COLORS[name] for name in names}


async def test_both_dialects_see_each_other_and_resume(browser: Browser, server: ServerProcess, room: str) -> None:
    new = await enter(browser, server, room, "new", single=True)
    old = await enter(browser, server, room, "old", single=False)
    await publish(new, "red", simulcast=True)
    await publish(old, "blue", simulcast=True)
    for _ in range(2):
        await expect_pictures(new, chosen("blue"))
        await expect_pictures(old, chosen("red"))
        for page, other in ((new, old), (old, new)):
            await page.evaluate("() => room.localParticipant.publishData(new TextEncoder().encode('hello'))")
            await other.wait_for_function(
                "() => { const heard = window.heard; window.heard = ''; return heard === 'hello'; }"
            )
            await page.evaluate("() => { events.length = 0; room.simulateScenario('signal-reconnect'); }")
            await page.wait_for_function("() => events.includes('Reconnected')")
            assert "Disconnected" not in await page.evaluate("() => events")
    await publish(new, "lime")
    await expect_pictures(old, chosen("red", "lime"))
    for page in (new, old):
        await page.evaluate("() => room.disconnect()")
        await page.context.close()


async def test_sections_grow_and_are_used_again(browser: Browser, server: ServerProcess, room: str) -> None:
    """Five pictures where the client begins with three sections; unsubscribed, unpublished and back again."""
    ada = await enter(browser, server, room, "ada", single=True)
    bob = await enter(browser, server, room, "bob", single=True)
    await publish(bob, "red")
    await publish(ada, *COLORS)
    await expect_pictures(bob, COLORS)
    await expect_pictures(ada, chosen("red"))
    count: Any = await bob.evaluate("() => room.engine.pcManager.publisher.getTransceivers().length")
    assert count == 3 + 5 + 1

    subscribe = """([names, wanted]) => {
        for (const publication of [...room.remoteParticipants.values()][0].trackPublications.values())
            if (names.includes(publication.trackName)) publication.setSubscribed(wanted);
    }"""
    await bob.evaluate(subscribe, [["red", "blue", "cyan"], False])
    await expect_pictures(bob, chosen("lime", "yellow"))
    unpublish = "sid => room.localParticipant.unpublishTrack(room.localParticipant.trackPublications.get(sid).track)"
    (lime,) = await ada.evaluate("() => [...room.localParticipant.trackPublications.values()]"
                                 ".filter(one => one.trackName === 'lime').map(one => one.trackSid)")  # fmt: skip
    await ada.evaluate(unpublish, lime)
    await expect_pictures(bob, chosen("yellow"))
    await bob.evaluate(subscribe, [["red", "blue", "cyan"], True])
    await publish(ada, "lime")
    await expect_pictures(bob, COLORS)
    assert await bob.evaluate("() => room.engine.pcManager.publisher.getTransceivers().length") == count
    for page in (ada, bob):
        await page.evaluate("() => room.disconnect()")
        await page.context.close()

"""WHIP and WHEP from a page of another origin in Chromium: a peer connection, fetch and EventSource, no library."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page

from tests.harness.server import ServerProcess, make_token
from tests.harness.whip import whep_url, whip_url

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SCRIPT = """
const call = (url, token, method, type, body, more = {}) => fetch(url, {
    method, body, headers: {Authorization: `Bearer ${token}`, ...(type && {'Content-Type': type}), ...more},
});

class Session {
    constructor(token) { this.token = token; this.pc = new RTCPeerConnection(); }

    async post(url) {
        await this.pc.setLocalDescription();
        const reply = await call(url, this.token, 'POST', 'application/sdp', this.pc.localDescription.sdp);
        if (reply.status !== 201) throw new Error(`status ${reply.status}`);
        this.location = new URL(reply.headers.get('Location'), url).href;
        this.etag = reply.headers.get('ETag');
        this.link = reply.headers.get('Link');
        await this.pc.setRemoteDescription({type: 'answer', sdp: await reply.text()});
        return {location: this.location, etag: this.etag, link: this.link};
    }

    patch(fragment, etag) {
        const type = 'application/trickle-ice-sdpfrag';
        return call(this.location, this.token, 'PATCH', type, fragment, {'If-Match': etag});
    }

    fragment() {
        const lines = this.pc.localDescription.sdp.split('\\r\\n');
        const first = name => lines.find(line => line.startsWith(name));
        return [first('m='), first('a=mid:'), first('a=ice-ufrag:'), first('a=ice-pwd:'),
                ...lines.filter(line => line.startsWith('a=candidate:')), ''].join('\\r\\n');
    }

    async trickle() { return (await this.patch(this.fragment(), this.etag)).status; }

    async restart() {
        this.pc.restartIce();
        await this.pc.setLocalDescription();
        const reply = await this.patch(this.fragment(), '*');
        const text = await reply.text();
        const value = name => text.split('\\r\\n').find(line => line.startsWith(name));
        let sdp = this.pc.remoteDescription.sdp;
        for (const name of ['a=ice-ufrag:', 'a=ice-pwd:'])
            sdp = sdp.replace(new RegExp(`${name}.*`, 'g'), value(name));
        await this.pc.setRemoteDescription({type: 'answer', sdp});
        const before = this.etag;
        this.etag = reply.headers.get('ETag');
        return {status: reply.status, renewed: this.etag !== before};
    }

    async stat(type, kind) {
        for (const stat of (await this.pc.getStats()).values())
            if (stat.type === type && (!kind || stat.kind === kind)) return stat;
        return {};
    }

    async end() { return (await call(this.location, this.token, 'DELETE')).status; }
}

async function publish(url, token) {
    const session = window.session = new Session(token);
    const stream = await navigator.mediaDevices.getUserMedia({audio: true, video: {width: 320, height: 180}});
    for (const track of stream.getTracks())
        session.pc.addTransceiver(track, {direction: 'sendonly', streams: [stream]});
    return session.post(url);
}

async function play(url, token) {
    const session = window.session = new Session(token);
    const video = document.querySelector('video');
    session.pc.ontrack = ({streams}) => { video.srcObject = streams[0]; };
    for (const kind of ['audio', 'video']) session.pc.addTransceiver(kind, {direction: 'recvonly'});
    return session.post(url);
}

async function listen(names) {
    const url = /<([^>]+)>; rel="[^"]*server-sent-events"/.exec(session.link)[1];
    const body = JSON.stringify(names);
    const reply = await call(new URL(url, session.location), session.token, 'POST', 'application/json', body);
    window.events = [];
    const source = window.source = new EventSource(new URL(reply.headers.get('Location'), session.location));
    for (const name of names) source.addEventListener(name, event => events.push([name, JSON.parse(event.data)]));
    return reply.status;
}
"""
HEAD = "<!doctype html><title>elsewhere</title><link rel=icon href=data:,>"
PAGE = f"{HEAD}<video muted autoplay playsinline></video><script>{SCRIPT}</script>"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def elsewhere() -> AsyncIterator[str]:
    """Another origin."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def frames_after(page: Page, expression: str, more: int) -> None:
    """Wait until a counter has grown by `more`."""
    begin = await page.evaluate(expression)
    await page.wait_for_function(f"async begin => (await ({expression})()) >= begin + {more}", arg=begin)


DECODED = "async () => (await session.stat('inbound-rtp', 'video')).framesDecoded ?? 0"
SENT = "async () => (await session.stat('outbound-rtp', 'video')).framesSent ?? 0"
UFRAG = "async () => (await session.stat('transport')).iceLocalUsernameFragment"


async def test_publish_play_restart_and_end_across_origins(
    browser: Browser, server: ServerProcess, room: str, elsewhere: str
) -> None:
    context = await browser.new_context()
    errors: list[str] = []
    studio, viewer = await context.new_page(), await context.new_page()
    for page in (studio, viewer):
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(elsewhere)

    async def run(page: Page, call: str, *arguments: object) -> Any:
        return await page.evaluate(f"arguments => {call}(...arguments)", list(arguments))

    published = await run(studio, "publish", whip_url(server.url, room), make_token(room, "studio"))
    assert published["etag"]
    assert await studio.evaluate("() => session.trickle()") == 204
    played = await run(viewer, "play", whep_url(server.url, room, "studio"), make_token(room, "viewer"))
    assert "whep:ext:core:layer" in played["link"]
    await frames_after(viewer, DECODED, 10)
    assert await run(viewer, "listen", ["active", "inactive", "viewercount"]) == 201
    await viewer.wait_for_function("() => events.some(([name]) => name === 'active')")
    await viewer.wait_for_function("() => events.some(([name, data]) => data.viewercount === 1)")

    for page, frames in ((studio, SENT), (viewer, DECODED)):
        before = await page.evaluate(UFRAG)
        assert await page.evaluate("() => session.restart()") == {"status": 200, "renewed": True}
        await page.wait_for_function(f"async before => (await ({UFRAG})()) !== before", arg=before)
        await frames_after(page, frames, 10)
    await frames_after(viewer, DECODED, 10)
    assert await viewer.evaluate("() => session.pc.connectionState") == "connected"

    assert await studio.evaluate("() => session.end()") == 200
    await viewer.wait_for_function("() => events.at(-1)[0] === 'inactive'")
    await viewer.evaluate("() => source.close()")
    assert await viewer.evaluate("() => session.end()") == 200
    assert errors == []
    await context.close()

"""WHIP and WHEP from a page of another origin in Chromium: a peer connection, fetch and EventSource, no library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from playwright.async_api import Browser, Page, async_playwright

from tests.harness.browser import POLL_S, TIMEOUT_MS, launch, until
from tests.harness.server import ServerProcess, make_token
from tests.harness.whip import whep_url, whip_url

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SCRIPT = r"""
const call = (url, token, method, type, body, more = {}) => fetch(url, {
    method, body, headers: {Authorization: `Bearer ${token}`, ...(type && {'Content-Type': type}), ...more},
});

class Session {
    constructor(token) { this.token = token; this.pc = new RTCPeerConnection(); }

    async post(url, editOffer = sdp => sdp, editAnswer = sdp => sdp) {
        await this.pc.setLocalDescription();
        const offer = editOffer(this.pc.localDescription.sdp);
        const reply = await call(url, this.token, 'POST', 'application/sdp', offer);
        if (reply.status !== 201) throw new Error(`status ${reply.status}`);
        this.location = new URL(reply.headers.get('Location'), url).href;
        this.etag = reply.headers.get('ETag');
        this.link = reply.headers.get('Link');
        const answer = await reply.text();
        await this.pc.setRemoteDescription({type: 'answer', sdp: editAnswer(answer)});
        return {location: this.location, etag: this.etag, link: this.link, answer};
    }

    patch(fragment, etag) {
        const type = 'application/trickle-ice-sdpfrag';
        return call(this.location, this.token, 'PATCH', type, fragment, {'If-Match': etag});
    }

    fragment() {
        const lines = this.pc.localDescription.sdp.split('\r\n');
        const first = name => lines.find(line => line.startsWith(name));
        return [first('m='), first('a=mid:'), first('a=ice-ufrag:'), first('a=ice-pwd:'),
                ...lines.filter(line => line.startsWith('a=candidate:')), ''].join('\r\n');
    }

    async trickle() { return (await this.patch(this.fragment(), this.etag)).status; }

    async restart() {
        this.pc.restartIce();
        await this.pc.setLocalDescription();
        const reply = await this.patch(this.fragment(), '*');
        const text = await reply.text();
        const value = name => text.split('\r\n').find(line => line.startsWith(name));
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

// Three sizes named 0 (largest), 1 and 2, header extensions for MID and RID alone, no transport-wide feedback.
async function publishLikeObs(url, token) {
    const session = window.session = new Session(token);
    const stream = await navigator.mediaDevices.getUserMedia({video: {width: 1280, height: 720, frameRate: 10}});
    const sizes = [1, 2, 4].map((scaleResolutionDownBy, rid) => ({rid: `${rid}`, scaleResolutionDownBy}));
    session.pc.addTransceiver(stream.getTracks()[0], {direction: 'sendonly', streams: [stream], sendEncodings: sizes});
    const kept = line => !/transport-cc|^a=extmap-allow-mixed/.test(line)
        && (!line.startsWith('a=extmap:') || /:sdes:(mid|rtp-stream-id)$/.test(line));
    // Without that feedback the estimate would take half a minute to allow all three.
    const hurry = sdp => sdp.replace(/a=rtpmap:(\d+) VP8\/90000/, '$&\r\na=fmtp:$1 x-google-start-bitrate=4000');
    return session.post(url, sdp => sdp.split('\r\n').filter(kept).join('\r\n'), hurry);
}

async function chooseLayer(rid) {
    const url = /<([^>]+)>; rel="[^"]*core:layer"/.exec(session.link)[1];
    const body = JSON.stringify({rid});
    return (await call(new URL(url, session.location), session.token, 'POST', 'application/json', body)).status;
}

async function play(url, token, withTransportCc = true) {
    const session = window.session = new Session(token);
    const video = document.querySelector('video');
    session.pc.ontrack = ({streams}) => { video.srcObject = streams[0]; };
    for (const kind of ['audio', 'video']) session.pc.addTransceiver(kind, {direction: 'recvonly'});
    const kept = line => withTransportCc || !/transport-(wide-)?cc/.test(line);
    return session.post(url, sdp => sdp.split('\r\n').filter(kept).join('\r\n'));
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
CCFB_TRIAL = "--force-fieldtrials=WebRTC-RFC8888CongestionControlFeedback/Enabled,offer:true/"
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
    await until(page, f"async begin => (await ({expression})()) >= begin + {more}", begin)


DECODED = "async () => (await session.stat('inbound-rtp', 'video')).framesDecoded ?? 0"
SENT = "async () => (await session.stat('outbound-rtp', 'video')).framesSent ?? 0"
UFRAG = "async () => (await session.stat('transport')).iceLocalUsernameFragment"


@pytest_asyncio.fixture(loop_scope="session")
async def pages(browser: Browser, elsewhere: str) -> AsyncIterator[tuple[Page, Page]]:
    """Two pages of another origin; neither may log an error."""
    context = await browser.new_context()
    errors: list[str] = []
    for _ in range(2):
        page = await context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(elsewhere)
    yield context.pages[0], context.pages[1]
    await context.close()
    assert errors == []


async def run(page: Page, call: str, *arguments: object) -> Any:
    return await page.evaluate(f"arguments => {call}(...arguments)", list(arguments))


async def test_publish_play_restart_and_end_across_origins(
    pages: tuple[Page, Page], server: ServerProcess, room: str
) -> None:
    studio, viewer = pages
    published = await run(studio, "publish", whip_url(server.url, room), make_token(room, "studio"))
    assert published["etag"]
    assert await studio.evaluate("() => session.trickle()") == 204
    played = await run(viewer, "play", whep_url(server.url, room, "studio"), make_token(room, "viewer"))
    assert "whep:ext:core:layer" in played["link"]
    await frames_after(viewer, DECODED, 10)
    assert "a=ssrc-group:FEC-FR " in await viewer.evaluate("() => session.pc.remoteDescription.sdp")
    assert await run(viewer, "listen", ["active", "inactive", "viewercount"]) == 201
    await viewer.wait_for_function("() => events.some(([name]) => name === 'active')")
    await viewer.wait_for_function("() => events.some(([name, data]) => data.viewercount === 1)")

    for page, frames in ((studio, SENT), (viewer, DECODED)):
        before = await page.evaluate(UFRAG)
        assert await page.evaluate("() => session.restart()") == {"status": 200, "renewed": True}
        await until(page, f"async before => (await ({UFRAG})()) !== before", before)
        await frames_after(page, frames, 10)
    await frames_after(viewer, DECODED, 10)
    assert await viewer.evaluate("() => session.pc.connectionState") == "connected"

    assert await studio.evaluate("() => session.end()") == 200
    await viewer.wait_for_function("() => events.at(-1)[0] === 'inactive'")
    # The same sections and SSRCs go on with whoever comes next.
    ssrc = "async () => (await session.stat('inbound-rtp', 'video')).ssrc"
    before = await viewer.evaluate(ssrc)
    await run(studio, "publish", whip_url(server.url, room), make_token(room, "studio"))
    await viewer.wait_for_function("() => events.at(-1)[0] === 'active'")
    await frames_after(viewer, DECODED, 10)
    assert await viewer.evaluate(ssrc) == before
    await viewer.evaluate("() => source.close()")
    assert await viewer.evaluate("() => session.end()") == 200


async def test_simulcast_in_the_shape_of_obs(pages: tuple[Page, Page], server: ServerProcess, room: str) -> None:
    studio, viewer = pages
    published = await run(studio, "publishLikeObs", whip_url(server.url, room), make_token(room, "studio"))
    lines = published["answer"].split("\r\n")
    assert [line for line in lines if line.startswith("a=simulcast:")] == ["a=simulcast:recv 0;1;2"]
    assert len([line for line in lines if line.startswith("a=extmap:")]) == 2
    await run(viewer, "play", whep_url(server.url, room, "studio"), make_token(room, "viewer"))
    for rid, width in (("2", 320), ("1", 640), ("0", 1280)):
        await until(viewer, f"async () => await chooseLayer('{rid}') === 200")
        await until(viewer, f"async () => (await session.stat('inbound-rtp', 'video')).frameWidth === {width}")
    for page in (studio, viewer):
        assert await page.evaluate("() => session.end()") == 200


async def until_heard(server: ServerProcess) -> None:
    """Until the server knows of its one subscriber when packets arrive."""
    async with asyncio.timeout(TIMEOUT_MS / 1_000), ClientSession() as client:
        while True:
            async with client.get(f"{server.url}/metrics") as answer:
                if "\nting_lines_heard 1.0\n" in await answer.text():
                    return
            await asyncio.sleep(POLL_S)


@pytest.mark.parametrize(("with_transport_cc", "is_by_rtp_numbers"), [(False, True), (True, False)])
async def test_feedback_by_rtp_numbers(
    elsewhere: str, server: ServerProcess, room: str, with_transport_cc: bool, is_by_rtp_numbers: bool
) -> None:
    """RFC 8888 as Chromium offers it behind a field trial: taken where it is all that there is, and heard."""
    async with async_playwright() as playwright:
        browser = await launch(playwright, extra=[CCFB_TRIAL])
        studio, viewer = await browser.new_page(), await browser.new_page()
        for page in (studio, viewer):
            await page.goto(elsewhere)
        await run(studio, "publish", whip_url(server.url, room), make_token(room, "studio"))
        url = whep_url(server.url, room, "studio")
        played = await run(viewer, "play", url, make_token(room, "viewer"), with_transport_cc)
        assert " ack ccfb" in await viewer.evaluate("session.pc.localDescription.sdp")
        assert ("a=rtcp-fb:* ack ccfb" in played["answer"]) is is_by_rtp_numbers
        assert (" transport-cc" in played["answer"]) is with_transport_cc
        await frames_after(viewer, DECODED, 10)
        await until_heard(server)
        for page in (studio, viewer):
            assert await page.evaluate("() => session.end()") == 200
        await browser.close()

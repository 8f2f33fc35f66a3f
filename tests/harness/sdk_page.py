"""livekit-client in a bare Chromium page: what the web app has no button for."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page

from tests.harness.browser import TIMEOUT_MS, until
from tests.harness.server import ROOT, make_token

DIST = ROOT / "web/node_modules/livekit-client/dist"

HELPERS = """() => {
window.canvasTrack = (width, height) => {
    const canvas = Object.assign(document.createElement('canvas'), {width, height});
    const ink = canvas.getContext('2d');
    let turn = 0;
    setInterval(() => {
        ink.fillStyle = `hsl(${turn++ * 7 % 360} 90% 50%)`;
        ink.fillRect(0, 0, width, height);
        for (let i = 0; i < 60; i++) {
            ink.fillStyle = `hsl(${Math.random() * 360} 90% 50%)`;
            ink.fillRect(Math.random() * width, Math.random() * height, 40, 40);
        }
    }, 66);
    return canvas.captureStream(15).getVideoTracks()[0];
};
window.outbound = async () => {
    const out = {};
    for (const sender of room.engine.pcManager.publisher.getSenders()) {
        const report = await sender.getStats();
        for (const s of report.values())
            if (s.type === 'outbound-rtp' && s.kind === 'video') {
                const codec = report.get(s.codecId)?.mimeType ?? '';
                out[`${codec.split('/')[1]}/${s.rid ?? ''}`] = s.framesSent ?? 0;
            }
    }
    return out;
};
window.inbound = async () => {
    const transport = room.engine.pcManager.subscriber ?? room.engine.pcManager.publisher;
    const report = await transport.getStats();
    const out = [];
    for (const s of report.values())
        if (s.type === 'inbound-rtp')
            out.push({kind: s.kind, frames: s.framesDecoded ?? 0, packets: s.packetsReceived, width: s.frameWidth ?? 0,
                      energy: s.totalAudioEnergy ?? 0, codec: report.get(s.codecId)?.mimeType ?? ''});
    return out;
};
window.remote = kind => [...room.remoteParticipants.values()].flatMap(p => [...p.trackPublications.values()])
    .find(p => p.kind === kind);
}"""

WITHOUT_CODEC = """(name) => {
    const {setRemoteDescription, createOffer} = RTCPeerConnection.prototype;
    RTCPeerConnection.prototype.setRemoteDescription = function ({type, sdp}) {
        const known = type === 'offer' ? sdp.replace(new RegExp(` ${name}/(?=90000|48000)`, 'g'), ' NIL/') : sdp;
        return setRemoteDescription.call(this, {type, sdp: known});
    };
    RTCPeerConnection.prototype.createOffer = function (options) {
        for (const transceiver of this.getTransceivers()) {
            const {kind} = transceiver.receiver.track;
            const codecs = RTCRtpReceiver.getCapabilities(kind).codecs.filter(c => c.mimeType !== `${kind}/${name}`);
            if (transceiver.direction === 'recvonly') transceiver.setCodecPreferences(codecs);
        }
        return createOffer.call(this, options);
    };
}"""
"""Makes the page a browser that has never heard of a codec, as far as what it receives goes."""


class SdkPage:
    """One participant. `room` in the page is its `LivekitClient.Room`."""

    def __init__(self, context: BrowserContext, page: Page, url: str) -> None:
        self.page = page
        self._context = context
        self._url = url

    @classmethod
    async def open(cls, browser: Browser, url: str, **options: Any) -> SdkPage:
        """`options` as for a Playwright context."""
        context = await browser.new_context(bypass_csp=True, **options)
        page = await context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        await page.goto(f"{url}/healthz")
        await page.add_script_tag(path=str(DIST / "livekit-client.umd.js"))
        await page.evaluate(HELPERS)
        return cls(context, page, url)

    async def close(self) -> None:
        await self._context.close()

    async def use_worker(self, file: Path) -> None:
        """Make `window.worker` from a script of the SDK."""
        await self.page.evaluate(
            """script => {
                const bytes = Uint8Array.from(atob(script), c => c.charCodeAt(0));
                window.worker = new Worker(URL.createObjectURL(new Blob([bytes], {type: 'text/javascript'})));
            }""",
            _base64(file),
        )

    async def join(
        self, room: str, identity: str, options: str = "{}", prepare: str = "", connect: str = "{}", url: str = ""
    ) -> SdkPage:
        """`options` and `connect` are JavaScript: RoomOptions and RoomConnectOptions; `prepare` runs before the
        connection is made, to `url` if it is not where the page came from."""
        token = make_token(room, identity)
        await self.page.evaluate(
            f"""async ([url, token]) => {{
                window.room = new LivekitClient.Room({options});
                {prepare}
                await room.connect(url, token, {connect});
            }}""",
            [(url or self._url).replace("http", "ws", 1), token],
        )
        return self

    async def publish_video(self, options: str, size: tuple[int, int] = (960, 540)) -> None:
        """`options` is JavaScript: TrackPublishOptions."""
        await self.page.evaluate(
            f"""async ([width, height]) => {{
                await room.localParticipant.publishTrack(canvasTrack(width, height),
                    {{source: 'camera', name: 'canvas', ...{options}}});
            }}""",
            list(size),
        )

    async def until(self, condition: str, argument: object = None, timeout_ms: int = TIMEOUT_MS) -> None:
        """`condition` is a JavaScript function, possibly async, of the argument."""
        await until(self.page, condition, argument, timeout_ms)

    async def outbound(self) -> dict[str, int]:
        """Frames sent by "codec/rid"."""
        frames: dict[str, int] = await self.page.evaluate("() => outbound()")
        return frames

    async def inbound(self) -> list[dict[str, Any]]:
        stats: list[dict[str, Any]] = await self.page.evaluate("() => inbound()")
        return stats


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()

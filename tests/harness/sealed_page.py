"""The app's sealed media in a bare page, under the server's own policy; and the keys that stand in for MLS."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import Browser

from tests.harness.browser import TIMEOUT_MS
from tests.harness.bundle import bundle
from tests.harness.sdk_page import HELPERS, SdkPage
from tests.harness.server import ROOT, make_token

PAGE = ROOT / "tests" / "harness" / "sealed"

START = """async ({url, token, own, options}) => {
    window.problems = [];
    window.failures = 0;
    window.media = createMediaKeys({
        onProblem: ({identity, kind}) => problems.push(`${kind} ${identity}`),
        onHealed: identity => problems.push(`healed ${identity}`),
    });
    window.room = new LivekitClient.Room({
        dynacast: true, publishDefaults: SEALED_PUBLISH_DEFAULTS, ...options, ...media.roomOptions,
    });
    room.on('encryptionError', () => failures++);
    room.on('trackSubscribed', track => document.body.append(track.attach()));
    await media.attach(room);
    window.epoch = (number, secret, identities) => media.setEpoch(number, async identity => {
        const text = new TextEncoder().encode(`${secret} ${number} ${identity}`);
        return new Uint8Array(await crypto.subtle.digest('SHA-256', text));
    }, identities, own);
    window.join = () => room.connect(url, token);
}"""

TONE = """async (options) => {
    const context = window.audio = new AudioContext();
    window.gain = new GainNode(context);
    const out = context.createMediaStreamDestination();
    const tone = new OscillatorNode(context, {frequency: 1000});
    tone.connect(gain).connect(out);
    tone.start();
    await room.localParticipant.publishTrack(out.stream.getAudioTracks()[0], {source: 'microphone', ...options});
}"""


def media_key(secret: str, epoch: int, identity: str) -> bytes:
    """What a test's page and its Python callers take for the exporter of an epoch; `secret` is the group's."""
    return hashlib.sha256(f"{secret} {epoch} {identity}".encode()).digest()


def key_of(secret: str, epoch: int) -> Callable[[str], Awaitable[bytes]]:
    async def key(identity: str) -> bytes:
        return media_key(secret, epoch, identity)

    return key


async def build(directory: Path) -> None:
    """Bundle the page into `directory`, for `TING_WEB_ROOT` of a server."""
    await bundle(PAGE, directory)


def start_arguments(url: str, room: str, own: str, **options: Any) -> dict[str, Any]:
    return {"url": url.replace("http", "ws", 1), "token": make_token(room, own), "own": own, "options": options}


class SealedPage(SdkPage):
    """`problems` in the page are those that were told, in order; `failures` counts what the SDK's worker complained."""

    @classmethod
    async def enter(
        cls, browser: Browser, page_url: str, room: str, own: str, *, url: str = "", **options: Any
    ) -> SealedPage:
        """A page with everything but keys and connection, which is made to `url` if not to where the page is from (that
        is against the page's policy)."""
        context = await browser.new_context(bypass_csp=bool(url))
        page = await context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        await page.goto(page_url)
        await page.wait_for_function("() => window.createMediaKeys")
        await page.evaluate(HELPERS)
        await page.evaluate(START, start_arguments(url or page_url, room, own, **options))
        return cls(context, page, page_url)

    async def epoch(self, number: int, identities: list[str], secret: str = "right") -> None:
        await self.page.evaluate(
            "([number, secret, identities]) => epoch(number, secret, identities)", [number, secret, identities]
        )

    async def connect(self) -> SealedPage:
        await self.page.evaluate("() => join()")
        return self

    async def publish_tone(self, **options: Any) -> None:
        await self.page.evaluate(TONE, options)

    async def sees(self, identity: str, frames: int = 10, **expected: object) -> None:
        """That many new pictures of this participant; `expected` of its getStats, as `codec="video/VP8", width=960`."""
        await self.until(
            f"""async () => {{
                const track = [...room.remoteParticipants.get({json.dumps(identity)})?.trackPublications.values() ?? []]
                    .find(one => one.kind === 'video')?.track;
                if (!track) return false;
                const report = await track.receiver.getStats();
                const now = [...report.values()].find(one => one.type === 'inbound-rtp');
                if (!now) return false;
                const have = {{codec: report.get(now.codecId)?.mimeType, width: now.frameWidth}};
                const want = {json.dumps(expected)};
                const fits = Object.entries(want).every(([key, value]) => have[key] === value);
                const key = {json.dumps(json.dumps([identity, expected]))};
                window.begun ??= {{}};
                if (!fits) delete begun[key];
                else begun[key] ??= now.framesDecoded;
                const done = fits && now.framesDecoded >= begun[key] + {frames};
                if (done) delete begun[key];
                return done;
            }}"""
        )

    async def problems(self) -> list[str]:
        """As "missing_key ada", "cannot_decrypt ada", "healed ada"."""
        told: list[str] = await self.page.evaluate("() => problems")
        return told

    async def failures(self) -> int:
        count: int = await self.page.evaluate("() => failures")
        return count

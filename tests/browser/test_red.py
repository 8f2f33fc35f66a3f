"""Redundant audio (RFC 2198) from Chromium: as it is for who knows it, plain Opus for who does not."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser

from sfu.engine.api import Codec
from sfu.ids import Identity, RoomName
from tests.harness.fixtures import embedded
from tests.harness.sdk_page import WITHOUT_CODEC, SdkPage
from tests.harness.server import EmbeddedServer
from tests.harness.waiting import eventually

__all__ = ["embedded"]

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PUBLISH_TONE = """async () => {
    const context = new AudioContext();
    const tone = new OscillatorNode(context, {frequency: 1000});
    const out = context.createMediaStreamDestination();
    tone.connect(out);
    tone.start();
    await room.localParticipant.publishTrack(out.stream.getAudioTracks()[0], {source: 'microphone', red: true});
}"""

HEARS_TONE = """async () => {
    const track = remote('audio')?.track;
    if (!track) return false;
    if (!window.analyser) {
        track.attach();
        const context = new AudioContext();
        window.analyser = new AnalyserNode(context, {fftSize: 4096});
        context.createMediaStreamSource(new MediaStream([track.mediaStreamTrack])).connect(analyser);
    }
    const levels = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(levels);
    const loudest = levels.indexOf(Math.max(...levels));
    const hz = loudest * analyser.context.sampleRate / analyser.fftSize;
    return levels[loudest] > -50 && Math.abs(hz - 1000) < 30;
}"""


async def test_red_goes_to_who_knows_it_and_opus_to_the_rest(
    browser: Browser, embedded: EmbeddedServer, room: str
) -> None:
    ada, bob, cleo = pages = [await SdkPage.open(browser, embedded.url) for _ in range(3)]
    await cleo.page.evaluate(WITHOUT_CODEC, "red")
    for page, identity in zip(pages, ("ada", "bob", "cleo"), strict=True):
        await page.join(room, identity)
    await ada.page.evaluate(PUBLISH_TONE)
    for page in (bob, cleo):
        await page.until(HEARS_TONE)

    def participant(identity: str) -> Any:
        session: Any = embedded.sfu.find_participant(RoomName(room), Identity(identity))
        return session.participant

    (publication,) = participant("ada").publisher.publications
    # Of the first packet that came: what Chromium really sends.
    await eventually(lambda: publication.primary.codec is Codec.RED, "RED from the publisher")
    (red,) = (one.payload_type for one in publication.primary.received.track.payloads if one.codec is Codec.RED)
    stripped = {}
    for identity in ("bob", "cleo"):
        subscription = participant(identity).subscriber.subscriptions[publication.track_id]
        stripped[identity] = publication.primary.payloads_for(subscription._accepted)[red].strip_red
    assert stripped == {"bob": False, "cleo": True}
    for page in pages:
        await page.close()

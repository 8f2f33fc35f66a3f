"""Our descriptions in a real browser: Chromium parses our answers and offers, and we parse what it says back."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from sfu.engine.api import Extension, Kind, OutboundPayload
from sfu.ids import TrackId
from sfu.sdp.capabilities import EXTENSIONS, VARIANTS
from sfu.sdp.model import (
    Fingerprint,
    IceCredentials,
    LocalCandidate,
    LocalTransport,
    OfferSection,
    PublishHint,
    PublishNegotiation,
    Setup,
    SlotState,
    SubscribeNegotiation,
)
from sfu.sdp.negotiate import negotiate_publish, negotiate_subscribe
from sfu.sdp.parse import parse_description
from sfu.sdp.render import render_answer, render_offer

pytestmark = pytest.mark.browser

MAX_BYTES = 65_536
VIDEO = ("vp8", "vp9", "h264", "av1")
AUDIO = ("opus", "red")
LOCAL = LocalTransport(
    ice=IceCredentials("tinglocalufrag0123456789", "tinglocalpwd0123456789abcdefghij"),
    fingerprints=(Fingerprint("sha-256", ":".join(["AB"] * 32)),),
    candidates=(
        LocalCandidate("udp", ("127.0.0.1", 7882), 2130706431, "1"),
        LocalCandidate("tcp", ("127.0.0.1", 7881), 1671430143, "2"),
        LocalCandidate("udp", ("::1", 7882), 2130706175, "3"),
    ),
)

HELPERS = """() => {
window.makeTrack = kind => {
  if (kind === 'video') {
    const canvas = document.createElement('canvas');
    canvas.width = 1280; canvas.height = 720;
    canvas.getContext('2d').fillRect(0, 0, 9, 9);
    return canvas.captureStream(5).getVideoTracks()[0];
  }
  return new AudioContext().createMediaStreamDestination().stream.getAudioTracks()[0];
};
window.offer = async pc => { await pc.setLocalDescription(await pc.createOffer()); return pc.localDescription.sdp; };
window.answerTo = async (pc, sdp) => {
  await pc.setRemoteDescription({type: 'offer', sdp});
  await pc.setLocalDescription(await pc.createAnswer());
  return pc.localDescription.sdp;
};
}"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page()
        await page.evaluate(HELPERS)
        yield page
        await browser.close()


# --- publishing -------------------------------------------------------------------------------------------


async def publish(
    page: Page, hints: Mapping[str, PublishHint] | None = None, version: int = 1
) -> tuple[PublishNegotiation, str]:
    """One round of negotiation: Chromium offers, we answer, Chromium takes it."""
    text = await page.evaluate("() => offer(window.pc)")
    offer = parse_description(text, "offer", max_bytes=MAX_BYTES, max_sections=64)
    negotiation = negotiate_publish(offer, hints=hints or {}, video_codecs=VIDEO, audio_codecs=AUDIO)
    answer = render_answer(
        negotiation, LOCAL, session_id=7, version=version, setup=Setup.PASSIVE, max_message_size=65_536
    )
    await page.evaluate("sdp => window.pc.setRemoteDescription({type: 'answer', sdp})", answer)
    return negotiation, answer


async def test_publisher_grows_from_data_to_simulcast_and_shrinks_again(page: Page) -> None:
    await page.evaluate(
        """() => { window.pc = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
        pc.createDataChannel('_lossy', {ordered: false, maxRetransmits: 0}); pc.createDataChannel('_reliable'); }"""
    )
    negotiation, _ = await publish(page)
    assert negotiation.data_section
    assert negotiation.remote_max_message_size == 262_144
    assert await page.evaluate("() => pc.sctp.maxMessageSize") == 65_536

    cids = await page.evaluate(
        """() => {
          window.audio = pc.addTransceiver(makeTrack('audio'), {direction: 'sendonly'});
          window.video = pc.addTransceiver(makeTrack('video'), {direction: 'sendonly', sendEncodings: [
            {rid: 'q', scaleResolutionDownBy: 4}, {rid: 'h', scaleResolutionDownBy: 2}, {rid: 'f'}]});
          return [audio.sender.track.id, video.sender.track.id]; }"""
    )
    negotiation, answer = await publish(page, {cids[0]: PublishHint(stereo=True)}, 2)
    assert [media.cid for media in negotiation.received] == cids
    audio, video = negotiation.received
    assert audio.mime_type == "audio/red"
    assert [layer.rid for layer in video.track.layers] == ["q", "h", "f"]
    assert video.track.nack
    assert video.track.extensions[Extension.TRANSPORT_CC]
    assert "a=simulcast:recv q;h;f" in answer
    state = await page.evaluate(
        """() => ({
          directions: [audio.currentDirection, video.currentDirection],
          audioCodec: audio.sender.getParameters().codecs[0].mimeType,
          opus: audio.sender.getParameters().codecs.find(c => c.mimeType === 'audio/opus').sdpFmtpLine,
          videoCodec: video.sender.getParameters().codecs[0].mimeType,
          rids: video.sender.getParameters().encodings.map(e => [e.rid, e.active]),
          signaling: pc.signalingState})"""
    )
    assert state["directions"] == ["sendonly", "sendonly"]
    assert state["audioCodec"] == "audio/red"
    assert "stereo=1" in state["opus"]
    assert "usedtx=1" in state["opus"]
    assert state["videoCodec"] == "video/VP8"
    assert state["rids"] == [["q", True], ["h", True], ["f", True]]
    assert state["signaling"] == "stable"

    await page.evaluate("() => { pc.removeTrack(video.sender); audio.stop(); }")
    negotiation, _ = await publish(page, version=3)
    assert negotiation.received == ()
    assert [section.accepted for section in negotiation.answer] == [True, False, True]
    assert await page.evaluate("() => [video.currentDirection, pc.signalingState]") == ["inactive", "stable"]

    await page.evaluate("() => { window.again = pc.addTransceiver(makeTrack('audio'), {direction: 'sendonly'}); }")
    negotiation, _ = await publish(page, version=4)
    assert len(negotiation.answer) == 3
    assert len(negotiation.received) == 1
    assert await page.evaluate("() => again.currentDirection") == "sendonly"


@pytest.mark.parametrize("mime_type", ["video/VP8", "video/VP9", "video/AV1", "video/H264"])
async def test_publisher_sends_the_codec_that_it_announced(page: Page, mime_type: str) -> None:
    cid = await page.evaluate(
        """() => { window.pc = new RTCPeerConnection();
        window.video = pc.addTransceiver(makeTrack('video'), {direction: 'sendonly'});
        return video.sender.track.id; }"""
    )
    negotiation, _ = await publish(page, {cid: PublishHint(mime_type=mime_type)})
    (media,) = negotiation.received
    offered = await page.evaluate("() => RTCRtpSender.getCapabilities('video').codecs.map(c => c.mimeType)")
    if mime_type not in offered:
        pytest.skip(f"this Chromium has no {mime_type}")
    assert media.mime_type == mime_type
    assert media.track.layers[0].ssrc is not None
    assert media.track.layers[0].rtx_ssrc is not None
    assert await page.evaluate("() => video.sender.getParameters().codecs[0].mimeType") == mime_type


async def test_publisher_without_red(page: Page) -> None:
    cid = await page.evaluate(
        """() => { window.pc = new RTCPeerConnection();
        window.audio = pc.addTransceiver(makeTrack('audio'), {direction: 'sendonly'});
        return audio.sender.track.id; }"""
    )
    await publish(page, {cid: PublishHint(disable_red=True, disable_dtx=True)})
    codecs = await page.evaluate("() => audio.sender.getParameters().codecs")
    assert [codec["mimeType"] for codec in codecs] == ["audio/opus"]
    assert "usedtx" not in codecs[0]["sdpFmtpLine"]


async def test_ice_restart_of_a_publisher(page: Page) -> None:
    await page.evaluate("() => { window.pc = new RTCPeerConnection(); pc.createDataChannel('_reliable'); }")
    first, _ = await publish(page)
    await page.evaluate("() => pc.restartIce()")
    second, _ = await publish(page, version=2)
    assert first.transport.ice != second.transport.ice
    assert first.transport.fingerprints == second.transport.fingerprints


# --- subscribing ------------------------------------------------------------------------------------------


def audio_section(mid: int, **changes: Any) -> OfferSection:
    values: dict[str, Any] = {
        "mid": str(mid),
        "kind": Kind.AUDIO,
        "state": SlotState.ACTIVE,
        "variants": ("red", "opus"),
        "track_id": TrackId(f"TR_audio{mid}"),
        "stream_id": f"PA_one|TR_audio{mid}",
        "ssrc": 1000 + mid,
        "cname": "PA_one",
    }
    return OfferSection(**{**values, **changes})


def video_section(mid: int, **changes: Any) -> OfferSection:
    values: dict[str, Any] = {
        "mid": str(mid),
        "kind": Kind.VIDEO,
        "state": SlotState.ACTIVE,
        "variants": ("vp8",),
        "track_id": TrackId(f"TR_video{mid}"),
        "stream_id": f"PA_one|TR_video{mid}",
        "ssrc": 2000 + mid,
        "rtx_ssrc": 3000 + mid,
        "cname": "PA_one",
    }
    return OfferSection(**{**values, **changes})


def closed(section: OfferSection) -> OfferSection:
    return OfferSection(mid=section.mid, kind=section.kind, state=SlotState.CLOSED)


class SubscriberPage:
    """A subscriber connection in the page, and the offers made to it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.version = 0
        self.answer = ""

    async def open(self) -> None:
        await self.page.evaluate(
            """() => { window.tracks = []; window.pc = new RTCPeerConnection();
            pc.ontrack = e => tracks.push([e.transceiver.mid, e.track.id, e.streams[0].id]); }"""
        )

    async def offer(self, *sections: OfferSection) -> SubscribeNegotiation:
        self.version += 1
        sdp = render_offer(sections, LOCAL, session_id=9, version=self.version, max_message_size=65_536)
        self.answer = await self.page.evaluate("sdp => answerTo(pc, sdp)", sdp)
        answer = parse_description(self.answer, "answer", max_bytes=MAX_BYTES, max_sections=256)
        return negotiate_subscribe(answer, sections)

    async def tracks(self) -> list[list[str]]:
        tracks: list[list[str]] = await self.page.evaluate("() => tracks.splice(0)")
        return tracks

    async def directions(self) -> dict[str, str]:
        found: dict[str, str] = await self.page.evaluate(
            "() => Object.fromEntries(pc.getTransceivers().map(t => [t.mid, t.currentDirection]))"
        )
        return found


@pytest.fixture
async def subscriber(page: Page) -> SubscriberPage:
    subscriber = SubscriberPage(page)
    await subscriber.open()
    return subscriber


async def test_subscriber_takes_data_audio_and_video(subscriber: SubscriberPage) -> None:
    negotiation = await subscriber.offer()
    assert negotiation.data_section
    # The smaller of what Chromium takes (262144) and what we offered.
    assert negotiation.remote_max_message_size == 65_536
    assert negotiation.transport.setup is Setup.ACTIVE

    negotiation = await subscriber.offer(audio_section(1), video_section(2))
    assert await subscriber.tracks() == [
        ["1", "TR_audio1", "PA_one|TR_audio1"],
        ["2", "TR_video2", "PA_one|TR_video2"],
    ]
    audio, video = negotiation.sections["1"], negotiation.sections["2"]
    assert audio.accepted
    assert audio.payloads.keys() == {"opus", "red"}
    assert audio.extensions.keys() == EXTENSIONS[Kind.AUDIO].keys()
    assert video.accepted
    assert video.nack
    assert video.rtx
    assert video.payloads == {"vp8": OutboundPayload(96, 97)}
    assert video.extensions.keys() == EXTENSIONS[Kind.VIDEO].keys() - {Extension.DEPENDENCY_DESCRIPTOR}


async def test_subscriber_closes_a_section_and_uses_it_again(subscriber: SubscriberPage) -> None:
    first, second = audio_section(1), video_section(2)
    await subscriber.offer(first, second)
    await subscriber.tracks()

    negotiation = await subscriber.offer(closed(first), second)
    assert not negotiation.sections["1"].accepted
    assert negotiation.sections["2"].accepted
    assert (await subscriber.directions()).keys() == {"2"}

    # The section stays closed while other things change.
    third = video_section(3)
    negotiation = await subscriber.offer(closed(first), second, third)
    assert [s.accepted for s in negotiation.sections.values()] == [False, True, True]
    await subscriber.tracks()

    again = audio_section(4)
    negotiation = await subscriber.offer(again, second, third)
    assert [s.accepted for s in negotiation.sections.values()] == [True, True, True]
    assert await subscriber.tracks() == [["4", "TR_audio4", "PA_one|TR_audio4"]]
    assert await subscriber.directions() == {"2": "recvonly", "3": "recvonly", "4": "recvonly"}

    # Everything goes, the data section keeps the transport.
    negotiation = await subscriber.offer(closed(again), closed(second), closed(third))
    assert negotiation.data_section
    assert not any(s.accepted for s in negotiation.sections.values())


async def test_subscriber_takes_sixty_sections_at_once(subscriber: SubscriberPage) -> None:
    sections = [f(2 * i + n) for i in range(30) for n, f in enumerate((audio_section, video_section), start=1)]
    negotiation = await subscriber.offer(*sections)
    assert all(section.accepted for section in negotiation.sections.values())
    assert len(await subscriber.tracks()) == 60
    assert len(subscriber.answer) < MAX_BYTES


async def test_subscriber_accepts_every_variant_that_chromium_can_decode(subscriber: SubscriberPage) -> None:
    keys = tuple(key for key, variant in VARIANTS.items() if variant.kind is Kind.VIDEO)
    negotiation = await subscriber.offer(video_section(1, variants=keys))
    accepted = negotiation.sections["1"].payloads
    offered = await subscriber.page.evaluate(
        "() => RTCRtpReceiver.getCapabilities('video').codecs.map(c => c.mimeType)"
    )
    for key in keys:
        if key in ("vp8", "vp9/0", "av1/0", "h264/42e01f/1", "h264/42001f/1") and VARIANTS[key].mime_type in offered:
            variant = VARIANTS[key]
            assert accepted[key] == OutboundPayload(variant.payload_type, variant.rtx_payload_type), key
    assert Extension.DEPENDENCY_DESCRIPTOR in negotiation.sections["1"].extensions


async def test_stereo_is_told_to_the_subscriber(subscriber: SubscriberPage) -> None:
    await subscriber.offer(audio_section(1, stereo=True, variants=("opus",)))
    sdp: str = await subscriber.page.evaluate("() => pc.remoteDescription.sdp")
    assert "sprop-stereo=1" in sdp

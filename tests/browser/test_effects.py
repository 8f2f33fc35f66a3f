"""What is made of one's own sound and picture before they are sent."""

from __future__ import annotations

import struct
import zlib

import pytest
from playwright.async_api import Locator, expect

from tests.browser.conftest import OpenTab
from tests.harness.browser import Tab, until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

FAN = """
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async wanted => {
        const stream = await ask(wanted);
        if (!wanted.audio) return stream;
        const context = new AudioContext();
        const noise = new AudioBuffer({length: 5 * context.sampleRate, sampleRate: context.sampleRate});
        const samples = noise.getChannelData(0);
        for (let at = 1; at < samples.length; at++) samples[at] = 0.98 * samples[at - 1] + 0.04 * (Math.random() - 0.5);
        const source = new AudioBufferSourceNode(context, {buffer: noise, loop: true});
        const out = context.createMediaStreamDestination();
        source.connect(out);
        source.start();
        return new MediaStream([...stream.getVideoTracks(), ...out.stream.getAudioTracks()]);
    };
"""
"""A fan in place of the fake device's beeps: 25 dB below full scale."""

SILENCE = """
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async wanted => {
        const stream = await ask(wanted);
        const out = new AudioContext().createMediaStreamDestination();
        return wanted.audio ? new MediaStream([...stream.getVideoTracks(), ...out.stream.getAudioTracks()]) : stream;
    };
"""
PLAYED = """
    window.Audio = class extends Audio {
        constructor(address) {
            super(address);
            this.addEventListener("ended", () => { window.__played = this.currentTime; });
        }
    };
"""
"""`window.__played`: how many seconds of a sound were played to its end."""

MIC = "window.__tingRoom.localParticipant.getTrackPublication('microphone').track"


async def expect_noise(tab: Tab, *, audible: bool) -> None:
    """The meter stays there for a while: it starts at nothing with each change."""
    await until(
        tab.page,
        """async audible => {
            for (let look = 0; look < 10; look++) {
                const meter = document.querySelector("[data-testid=level-meter]");
                if (meter === null || +meter.dataset.level > 0.4 !== audible) return false;
                await new Promise(requestAnimationFrame);
                await new Promise(resolve => setTimeout(resolve, 50));
            }
            return true;
        }""",
        audible,
    )


async def test_noise_is_taken_away_as_one_wants(open_tab: OpenTab, room: str) -> None:
    ada, bob = await open_tab(), await open_tab()
    await ada.context.add_init_script(FAN)
    await ada.page.goto(f"{ada.origin}/r/{room}?debug=1")
    await expect_noise(ada, audible=True)
    await ada.get("choose-noise").select_option("strong")
    await expect_noise(ada, audible=False)
    # It goes along into the call, and others get it.
    await ada.pass_lobby("Ada")
    await bob.join(room, "Bob")
    sent = f"() => {MIC}.sender?.track === {MIC}.getProcessor()?.processedTrack"
    await ada.page.wait_for_function(sent)
    await ada.get("open-settings").click()
    await expect_noise(ada, audible=False)
    await ada.get("choose-noise").select_option("browser")
    await expect_noise(ada, audible=True)
    await ada.page.wait_for_function(f"() => {MIC}.sender.track === {MIC}.mediaStreamTrack && !{MIC}.getProcessor()")
    await ada.get("choose-noise").select_option("strong")
    await expect_noise(ada, audible=False)
    await expect(ada.get("noise-note")).to_be_empty()

    # It is remembered; where its program does not come, the page says so, and the browser's is in use.
    await ada.context.add_init_script("AudioWorklet.prototype.addModule = () => Promise.reject(new Error('gone'))")
    await ada.page.reload()
    await expect(ada.get("choose-noise")).to_have_value("strong")
    await expect(ada.get("noise-note")).not_to_be_empty()
    await expect_noise(ada, audible=True)

    # Off is off: the device is opened anew, and others go on hearing it.
    await bob.get("open-settings").click()
    for noise, suppressed in (("off", False), ("browser", True), ("off", False)):
        await bob.get("choose-noise").select_option(noise)
        is_so = "({noiseSuppression, echoCancellation}) => echoCancellation && noiseSuppression"
        await until(bob.page, f"async on => ({is_so})({MIC}.mediaStreamTrack.getSettings()) === on", suppressed)
    await ada.pass_lobby("Ada")
    await ada.expect_sound(1)


def clock(rate: float) -> str:
    """Work takes `rate` times as long as it does: how fast this machine draws is not what is tested."""
    return f"const now = performance.now.bind(performance); performance.now = () => now() * {rate};"


COLOUR = """([video, channel]) => {
    if (!video?.videoWidth) return false;
    const canvas = new OffscreenCanvas(1, 1);
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 1, 1);
    const pixel = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    return pixel.every((value, at) => at === channel || value < pixel[channel] - 15);
}"""
RED, GREEN, BLUE = 0, 1, 2
"""The fake camera's picture is green all over, with nobody in it."""


async def expect_colour(tab: Tab, video: Locator, channel: int) -> None:
    await expect(video).to_be_visible()
    await tab.page.wait_for_function(COLOUR, arg=[await video.element_handle(), channel])


def png(*colour: int) -> bytes:
    """A picture of one colour (W3C PNG, section 11)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    side = 64
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes(colour) * side) * side
    ending = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + ending


async def test_what_is_behind_a_person_is_what_they_want(open_tab: OpenTab, room: str) -> None:
    ada, bob, cleo = await open_tab(), await open_tab(), await open_tab()
    await ada.context.add_init_script(clock(0.001))
    fetched: list[str] = []
    ada.page.on("request", lambda request: fetched.append(request.url))
    await ada.page.goto(f"{ada.origin}/r/{room}?debug=1")
    preview = ada.get("preview-video")
    await expect_colour(ada, preview, GREEN)
    assert not [url for url in fetched if "vision" in url or "segment" in url]
    await ada.get("background-file").set_input_files(
        {"name": "blue.png", "mimeType": "image/png", "buffer": png(0, 0, 200)}
    )
    await expect(ada.get("background-own")).to_have_attribute("aria-pressed", "true")
    await expect_colour(ada, preview, BLUE)

    await ada.pass_lobby("Ada")
    await bob.join(room, "Bob")
    seen = bob.tile("Ada").locator("video")
    await expect_colour(bob, seen, BLUE)
    # A camera that is opened anew has it too, from its first picture on.
    await ada.get("toggle-camera").click()
    await expect(seen).to_have_count(0)
    await ada.get("toggle-camera").click()
    await expect_colour(bob, seen, BLUE)
    await ada.get("open-settings").click()
    await ada.get("background-none").click()
    await expect_colour(bob, seen, GREEN)
    await ada.get("background-file").set_input_files(
        {"name": "red.png", "mimeType": "image/png", "buffer": png(200, 0, 0)}
    )
    await expect_colour(bob, seen, RED)
    await expect(ada.get("background-note")).to_be_empty()
    await ada.get("background-file").set_input_files(
        {"name": "none.png", "mimeType": "image/png", "buffer": b"nothing"}
    )
    await expect(ada.get("background-note")).not_to_be_empty()

    # It is kept; where pictures get lost, it stays, and the page asks.
    await ada.page.reload()
    await expect_colour(ada, preview, RED)
    await cleo.context.add_init_script(clock(100))
    await cleo.page.goto(f"{cleo.origin}/r/{room}?debug=1")
    await cleo.get("background-blur").click()
    await expect(cleo.get("background-notice")).to_have_attribute("data-problem", "slow")
    await expect(cleo.get("background-blur")).to_have_attribute("aria-pressed", "true")
    await cleo.get("keep-cover").click()
    await expect(cleo.get("background-notice")).to_have_count(0)
    assert await cleo.page.evaluate("document.querySelector('[data-testid=background-blur]').ariaPressed") == "true"


BREAKABLE = """
    const broken = () => sessionStorage.getItem("broken") !== "no";
    window.Worker = class extends Worker {
        constructor(address, options) {
            if (broken() && String(address).includes("wasmCompiler")) throw new Error("gone");
            super(address, options);
        }
    };
"""
"""What draws backgrounds does not load, until the page is told otherwise."""


async def test_nobody_is_shown_without_their_background_unless_they_say_so(open_tab: OpenTab, room: str) -> None:
    ada, bob = await open_tab(), await (await open_tab()).join(room, "Bob")
    await ada.context.add_init_script(clock(0.001) + BREAKABLE)
    await ada.page.goto(f"{ada.origin}/r/{room}?debug=1")
    await expect_colour(ada, ada.get("preview-video"), GREEN)
    blue = {"name": "blue.png", "mimeType": "image/png", "buffer": png(0, 0, 200)}
    await ada.get("background-file").set_input_files(blue)
    notice = ada.get("background-notice")
    await expect(notice).to_have_attribute("data-problem", "failed")
    await expect(ada.get("preview-video")).to_be_hidden()

    # In the call it stays off, however often one tries, until the background is there.
    await ada.pass_lobby("Ada")
    await expect(bob.tile("Ada")).to_have_attribute("data-camera", "false")
    for switch in ("toggle-camera", "cover-again"):
        await ada.get(switch).click()
        await expect(notice).to_be_visible()
        await expect(ada.get("toggle-camera")).to_be_enabled()
        assert await ada.page.evaluate("window.__tingRoom.localParticipant.videoTrackPublications.size") == 0
    await ada.page.evaluate("sessionStorage.setItem('broken', 'no')")
    await ada.get("cover-again").click()
    await expect_colour(bob, bob.tile("Ada").locator("video"), BLUE)
    await expect(notice).to_have_count(0)

    # One that is chosen while the camera is off is there before the camera is.
    await ada.get("open-settings").click()
    await ada.get("background-none").click()
    await expect_colour(bob, bob.tile("Ada").locator("video"), GREEN)
    await ada.get("close-settings").click()
    await ada.get("toggle-camera").click()
    await expect(bob.tile("Ada")).to_have_attribute("data-camera", "false")
    await ada.get("open-settings").click()
    await ada.get("background-own").click()
    await ada.get("close-settings").click()
    await ada.page.evaluate(WATCH)
    await ada.get("toggle-camera").click()
    await expect_colour(bob, bob.tile("Ada").locator("video"), BLUE)
    assert await ada.page.evaluate("[...new Set(window.__sent)]") == ["blue"]

    # A click shows the room.
    await ada.page.evaluate("sessionStorage.setItem('broken', 'yes')")
    await ada.page.reload()
    await expect(notice).to_have_attribute("data-problem", "failed")
    await ada.get("uncover").click()
    await expect(ada.get("background-none")).to_have_attribute("aria-pressed", "true")
    await expect_colour(ada, ada.get("preview-video"), GREEN)
    await ada.pass_lobby("Ada")
    await expect_colour(bob, bob.tile("Ada").locator("video"), GREEN)


WATCH = """() => {
    window.__sent = [];
    const videos = new Map();
    const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    const look = () => {
        for (const {track} of window.__tingRoom.engine?.pcManager?.publisher.getSenders() ?? []) {
            if (track?.kind !== "video" || !track.enabled) continue;
            if (!videos.has(track)) {
                const video = Object.assign(document.createElement("video"), {muted: true});
                video.srcObject = new MediaStream([track]);
                void video.play().catch(() => undefined);
                videos.set(track, video);
            }
            const video = videos.get(track);
            if (!video.videoWidth) continue;
            context.drawImage(video, 0, 0, 1, 1);
            const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
            if (Math.max(red, green, blue) > 60) window.__sent.push(green > blue ? "green" : "blue");
        }
        requestAnimationFrame(look);
    };
    look();
}"""
"""`window.__sent`: the colours of all pictures that leave from now on. What others are shown may still be an older one:
their decoders go on with what they had before the camera was switched off."""


async def test_one_hears_oneself_before_a_call(open_tab: OpenTab, room: str) -> None:
    """The fake microphone beeps; the other one gives nothing."""
    for silent, verdict in ((False, "good"), (True, "nothing")):
        tab = await open_tab()
        await tab.context.add_init_script(PLAYED)
        if silent:
            await tab.context.add_init_script(SILENCE)
        await tab.page.goto(f"{tab.origin}/r/{room}")
        test = tab.get("echo-test")
        await tab.get("echo-button").click()
        await expect(test).to_have_attribute("data-state", "recording")
        await expect(test).to_have_attribute("data-verdict", verdict)
        await expect(test).to_have_attribute("data-state", "idle")
        assert silent or await tab.page.evaluate("window.__played >= 3")

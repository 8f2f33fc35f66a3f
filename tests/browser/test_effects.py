"""What is made of one's own sound before it is sent."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

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

"""What the page says of one's microphone: that one talks while muted, and that it gives nothing; and the key for it."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenTab

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

MIC_IS = "on => window.__tingRoom.localParticipant.isMicrophoneEnabled === on"

OWN_MICROPHONE = """
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async wanted => {
        const stream = await ask(wanted);
        if (!wanted.audio) return stream;
        const context = new AudioContext();
        const voice = new OscillatorNode(context, {frequency: 220});
        const loudness = new GainNode(context, {gain: 0});
        const out = context.createMediaStreamDestination();
        voice.connect(loudness).connect(out);
        voice.start();
        window.__loudness = loudness.gain;
        return new MediaStream([...stream.getVideoTracks(), ...out.stream.getAudioTracks()]);
    };
"""
"""Gives a voice instead of the fake device's beeps; `window.__loudness` says how loud, at first nothing at all."""


async def test_silence_and_talking_while_muted_are_said(open_tab: OpenTab, room: str) -> None:
    tab = await open_tab()
    await tab.context.add_init_script(OWN_MICROPHONE)
    ada = await tab.join(room, "Ada")
    silent, talking = ada.get("hint-silent"), ada.get("hint-talking")

    await expect(silent).to_be_visible()
    await silent.click()
    await expect(ada.get("settings")).to_be_visible()
    await ada.page.keyboard.press("Escape")
    await ada.page.evaluate("window.__loudness.value = 0.3")
    await expect(silent).to_have_count(0)
    await expect(talking).to_have_count(0)

    await ada.get("toggle-mic").click()
    await expect(talking).to_be_visible()
    await expect(talking).to_contain_text("Press M")
    await talking.click()
    await expect(talking).to_have_count(0)
    await ada.page.wait_for_function("() => window.__tingRoom.localParticipant.isMicrophoneEnabled")

    # Muted and quiet: nothing to say.
    await ada.page.evaluate("window.__loudness.value = 0")
    await ada.get("toggle-mic").click()
    await ada.page.wait_for_function("() => !window.__tingRoom.localParticipant.isMicrophoneEnabled")
    await expect(talking).to_have_count(0)
    await expect(silent).to_have_count(0)


async def test_space_opens_a_muted_microphone_while_it_is_held(open_tab: OpenTab, room: str) -> None:
    ada = await (await open_tab()).join(room, "Ada")
    mic = ada.get("toggle-mic")
    # The click leaves the focus on the button, which space would press.
    await mic.click()
    await ada.page.wait_for_function(MIC_IS, arg=False)
    await ada.page.keyboard.down("Space")
    await expect(mic).to_have_attribute("aria-pressed", "true")
    await ada.page.wait_for_function(MIC_IS, arg=True)
    await ada.page.keyboard.up("Space")
    await expect(mic).to_have_attribute("aria-pressed", "false")
    await ada.page.wait_for_function(MIC_IS, arg=False)

    # For who got to the button with the keyboard, space presses it.
    await ada.page.keyboard.press("Tab")
    await ada.page.keyboard.press("Shift+Tab")
    await expect(mic).to_be_focused()
    await ada.page.keyboard.press("Space")
    await ada.page.wait_for_function(MIC_IS, arg=True)

    await ada.page.keyboard.press("?")
    await expect(ada.get("shortcuts")).to_be_visible()
    await ada.page.keyboard.press("Escape")
    await expect(ada.get("shortcuts")).to_have_count(0)

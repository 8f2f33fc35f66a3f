"""What is said, as text over the stage."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenTab
from tests.harness.browser import Tab, until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def say(tab: Tab, text: str, segment: str, *, final: bool, track: str = "") -> None:
    attributes = {
        "lk.segment_id": segment,
        "lk.transcription_final": str(final).lower(),
        "lk.transcribed_track_id": track,
    }
    await tab.page.evaluate(
        "([text, attributes]) => window.__tingRoom.localParticipant.sendText(text,"
        " {topic: 'lk.transcription', attributes}).then(() => null)",
        [text, attributes],
    )


async def test_captions_come_as_streams_and_as_packets(open_tab: OpenTab, room: str) -> None:
    first, second = await open_tab(), await open_tab()
    # Lines go after seconds of the page's clock; however long this takes, they are looked at before that.
    await first.context.add_init_script(
        "const now = performance.now.bind(performance); performance.now = () => now() / 1000;"
    )
    ada, bob = await first.join(room, "Ada"), await second.join(room, "Bob")
    await ada.expect_moving("Bob")
    lines = ada.get("caption")
    await say(bob, "good", "s1", final=False)
    await expect(lines).to_have_text("Bob good")
    await expect(lines).to_have_attribute("data-final", "false")
    await say(bob, "good morning", "s1", final=True)
    await expect(lines).to_have_text("Bob good morning")
    await expect(ada.page.get_by_role("log").filter(has_text="Bob: good morning")).to_have_count(1)
    # Nobody but a program says what somebody else has said.
    track = await ada.page.evaluate("window.__tingRoom.localParticipant.getTrackPublication('microphone').trackSid")
    await say(bob, "I am Ada", "s2", final=True, track=track)
    await expect(lines).to_have_text(["Bob good morning", "Bob I am Ada"])
    # The older kind.
    await ada.page.evaluate(
        "() => window.__tingRoom.emit('transcriptionReceived', [{id: 'p1', text: 'as before', final: true}],"
        " [...window.__tingRoom.remoteParticipants.values()][0])"
    )
    await expect(lines.last).to_have_text("Bob as before")

    await ada.get("open-settings").click()
    await ada.get("choose-captions").select_option("large")
    await expect(ada.get("captions")).to_have_attribute("data-size", "large")
    await ada.get("choose-captions").select_option("off")
    await expect(ada.get("captions")).to_have_count(0)


RECOGNITION = """
    window.SpeechRecognition = class {
        static available = async ({langs, processLocally}) =>
            processLocally && langs[0] === "en-US" ? "available" : "unavailable";
        processLocally = false;
        start(track) {
            if (!this.processLocally || track?.kind !== "audio") throw new Error("not on this device");
            window.__say = (transcript, isFinal) =>
                this.onresult({resultIndex: 0, results: [Object.assign([{transcript}], {isFinal})]});
        }
        abort() { window.__say = null; }
    };
"""
"""In place of the browser's own: its models for recognition on the device are fetched from its maker."""


async def test_one_s_own_words_are_sent_where_the_device_itself_recognizes_them(open_tab: OpenTab, room: str) -> None:
    ada, bob = await open_tab(), await open_tab()
    await ada.context.add_init_script(RECOGNITION)
    await ada.join(room, "Ada")
    await bob.join(room, "Bob")
    await bob.expect_moving("Ada")
    await ada.get("open-settings").click()
    await ada.get("own-captions").click()
    await expect(ada.get("own-captions")).to_be_checked()
    await until(ada.page, "async () => typeof window.__say === 'function'")
    await ada.page.evaluate("window.__say('hello', false)")
    await expect(bob.get("caption")).to_have_text("Ada hello")
    await ada.page.evaluate("window.__say('hello there', true)")
    await expect(bob.get("caption")).to_have_text("Ada hello there")
    await expect(bob.get("caption")).to_have_attribute("data-final", "true")
    # Nobody is listened to while muted.
    await ada.get("close-settings").click()
    await ada.get("toggle-mic").click()
    await until(ada.page, "async () => window.__say === null")

    # Elsewhere the switch stays off, and says why.
    await bob.page.evaluate("window.SpeechRecognition = undefined")
    await bob.get("open-settings").click()
    before = await bob.get("own-captions-note").inner_text()
    await bob.get("own-captions").click()
    await expect(bob.get("own-captions-note")).not_to_have_text(before)
    await expect(bob.get("own-captions")).not_to_be_checked()

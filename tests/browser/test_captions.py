"""What is said, as text over the stage."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenTab
from tests.harness.browser import Tab

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

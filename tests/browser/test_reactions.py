"""Pictures that people react with: chosen by mouse or keys, seen over the call and at the person, said, and no more of
them than one person may send."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Locator, expect

from tests.browser.conftest import OpenTab
from tests.harness.axe import findings
from tests.harness.browser import Tab, close_clean, until
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE = {"width": 390, "height": 844}
AT_ONCE = 6
"""`RATE` of `web/src/reactions/reactions.ts`."""

FLOOD_LENGTH = 60
FLOOD = f"""async () => {{
    const room = window.__tingRoom;
    for (let n = 1; n <= {FLOOD_LENGTH}; n++) {{
        const payload = new TextEncoder().encode(JSON.stringify({{n: Date.now() + n, message: {{emoji: 'party'}}}}));
        await room.localParticipant.publishData(payload, {{reliable: true, topic: 'ting.react'}});
    }}
}}"""
"""From a page that does not bound itself."""

LISTEN = """() => {
    window.__packets = [];
    window.__tingRoom.on('dataReceived', (payload, from, kind, topic) => {
        if (topic === 'ting.react') window.__packets.push(new TextDecoder().decode(payload));
    });
}"""
"""What comes in as reactions, as it came over the line."""


def line(tab: Tab, emoji: str) -> Locator:
    return tab.page.locator(f'[data-testid="reaction-line"][data-emoji="{emoji}"]')


async def react(tab: Tab, emoji: str) -> None:
    await tab.get(f"react-{emoji}").click()


async def test_all_see_and_hear_who_reacts_with_what(open_tab: OpenTab, room: str) -> None:
    """In a call without a room behind it; one of the two has a phone in Chinese."""
    ada = await (await open_tab()).join(room, "Ada")
    bob = await (await open_tab(viewport=PHONE, locale="zh-CN", reduced_motion="reduce")).join(room, "Bob")
    await ada.expect_moving("Bob")

    # By the keyboard alone: the key opens it, arrows lead on, Escape leads back to the button.
    await ada.page.keyboard.press("e")
    await expect(ada.get("react-thumbsUp")).to_be_focused()
    await ada.page.keyboard.press("ArrowRight")
    await ada.page.keyboard.press("Enter")
    await expect(ada.get("react-clap")).to_be_focused()
    assert await findings(ada.page) == []
    await ada.page.keyboard.press("Escape")
    await expect(ada.get("reaction-picker")).to_have_count(0)
    await expect(ada.get("toggle-reactions")).to_be_focused()

    seen = line(bob, "clap")
    await expect(seen).to_contain_text("Ada")
    await expect(bob.tile("Ada").get_by_test_id("tile-reaction")).to_have_text("👏")
    await expect(bob.get("reactions-said")).to_have_text("Ada：鼓掌")
    await expect(ada.get("reactions-said")).to_have_text("Ada (you): clapping hands")
    assert await seen.evaluate("line => getComputedStyle(line).animationName") == "none"
    # It goes by itself.
    for tab in (ada, bob):
        await expect(tab.get("reaction-line")).to_have_count(0)
        await expect(tab.get("tile-reaction")).to_have_count(0)

    # With a finger; several of one person are one line, and there are bounds to them.
    await bob.get("toggle-reactions").click()
    box = await bob.get("reaction-picker").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE["width"]
    for _ in range(3):
        await react(bob, "heart")
    await expect(line(ada, "heart")).to_have_attribute("data-count", "3")
    await expect(ada.get("reaction-line")).to_have_count(1)
    assert await findings(bob.page) == []
    await bob.page.evaluate(LISTEN)
    await ada.page.evaluate(FLOOD)
    await until(bob.page, f"() => window.__packets.length === {FLOOD_LENGTH}")
    party = line(bob, "party")
    await expect(party).to_be_visible()
    assert AT_ONCE < int(await party.get_attribute("data-count") or 0) < FLOOD_LENGTH / 2
    # What is pressed elsewhere closes it.
    await bob.tile("Ada").click()
    await expect(bob.get("reaction-picker")).to_have_count(0)


async def test_in_a_sealed_room_they_come_sealed(browser: Browser, sealed_server: ServerProcess) -> None:
    ada, bob = await Tab.open(browser, sealed_server.url), await Tab.open(browser, sealed_server.url)
    await bob.come(await ada.make_room("Ada"), "Bob")
    await ada.expect_moving("Bob")
    await ada.page.evaluate(LISTEN)
    await bob.get("toggle-reactions").click()
    await react(bob, "party")
    await expect(line(ada, "party")).to_contain_text("Bob")
    (packet,) = await ada.page.evaluate("window.__packets")
    assert "party" not in packet
    await close_clean([ada, bob])

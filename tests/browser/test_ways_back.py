"""Every way back into a call (rejoin, reload, reconnect) leads into it as one was, and never louder than before."""

from __future__ import annotations

import aiohttp
import pytest
from playwright.async_api import async_playwright, expect

from tests.browser.conftest import OpenTab
from tests.harness.browser import Tab, launch
from tests.harness.server import ServerProcess, make_token

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

HAS_TWO = ("--use-fake-device-for-media-stream=device-count=2",)


async def expect_quiet(tab: Tab, watcher: Tab, name: str) -> None:
    """Switched off for oneself and for the others, who get nothing of it either."""
    await expect(watcher.tile(name)).to_have_count(1)
    for source in ("mic", "camera"):
        await expect(tab.get(f"toggle-{source}")).to_have_attribute("aria-pressed", "false")
    await expect(watcher.tile(name)).to_have_attribute("data-muted", "true")
    await expect(watcher.tile(name)).to_have_attribute("data-camera", "false")


async def go_quiet(tab: Tab, watcher: Tab, name: str) -> None:
    await watcher.expect_moving(name)
    await tab.get("toggle-mic").click()
    await tab.get("toggle-camera").click()
    await expect_quiet(tab, watcher, name)


async def test_rejoin_and_reload_keep_what_was_switched_off_and_what_was_open(open_tab: OpenTab, room: str) -> None:
    ada, bob = await (await open_tab()).join(room, "Ada"), await (await open_tab()).join(room, "Bob")
    await go_quiet(ada, bob, "Ada")
    await ada.get("toggle-layout").click()
    await ada.get("toggle-chat").click()
    await ada.get("chat-input").fill("half a sentence")

    await ada.get("leave").click()
    await expect(bob.tile("Ada")).to_have_count(0)
    await ada.get("rejoin").click()
    await expect_quiet(ada, bob, "Ada")
    await expect(ada.get("chat-input")).to_have_value("half a sentence")
    await expect(ada.get("call")).to_have_attribute("data-layout", "sidebar")

    await ada.page.reload()
    for source in ("mic", "camera"):
        await expect(ada.get(f"lobby-{source}")).to_have_attribute("aria-pressed", "false")
    await ada.pass_lobby("Ada")
    await expect_quiet(ada, bob, "Ada")
    await expect(ada.get("chat-input")).to_have_value("half a sentence")
    await expect(ada.get("call")).to_have_attribute("data-layout", "sidebar")


async def test_another_room_s_choice_does_not_unmute_a_reload(open_tab: OpenTab, room: str) -> None:
    ada = await (await open_tab()).join(room, "Ada")
    await ada.get("toggle-mic").click()
    other = Tab(ada.context, await ada.context.new_page(), ada.origin)
    await other.page.goto(f"{other.origin}/r/{room}-2")
    await other.get("lobby-mic").click()
    await expect(other.get("lobby-mic")).to_have_attribute("aria-pressed", "true")
    await ada.page.reload()
    await expect(ada.get("lobby-mic")).to_have_attribute("aria-pressed", "false")


async def test_a_full_reconnect_keeps_what_was_switched_off(open_tab: OpenTab, room: str) -> None:
    ada, bob = await (await open_tab()).join(room, "Ada"), await (await open_tab()).join(room, "Bob")
    await go_quiet(ada, bob, "Ada")
    await ada.page.evaluate(
        """() => new Promise(resolve => {
            window.__tingRoom.once('reconnected', resolve);
            void window.__tingRoom.simulateScenario('full-reconnect');
        })"""
    )
    await expect_quiet(ada, bob, "Ada")
    # The library complains that a camera which is off has no dimensions, and goes on.
    ada.errors[:] = [error for error in ada.errors if "track dimensions" not in error]


async def test_a_host_s_mute_outlasts_a_rejoin(open_tab: OpenTab, server: ServerProcess, room: str) -> None:
    ada, bob = await (await open_tab()).join(room, "Ada"), await (await open_tab()).join(room, "Bob")
    await bob.expect_moving("Ada")
    identity, sid = await ada.page.evaluate(
        """() => {
            const me = window.__tingRoom.localParticipant;
            return [me.identity, me.getTrackPublication('microphone').trackSid];
        }"""
    )
    headers = {"Authorization": f"Bearer {make_token(room, '', room_join=False, room_admin=True)}"}
    url = f"{server.url}/twirp/livekit.RoomService/MutePublishedTrack"
    body = {"room": room, "identity": identity, "track_sid": sid, "muted": True}
    async with aiohttp.ClientSession() as http, http.post(url, json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
    await expect(ada.get("toggle-mic")).to_have_attribute("aria-pressed", "false")
    await ada.get("leave").click()
    await ada.get("rejoin").click()
    await bob.expect_moving("Ada")
    await expect(bob.tile("Ada")).to_have_attribute("data-muted", "true")


async def test_what_is_switched_off_while_joining_is_not_sent(open_tab: OpenTab, room: str) -> None:
    """The answer to the join is held back until the microphone was switched off at the door."""
    bob = await (await open_tab()).join(room, "Bob")
    ada = await open_tab()
    await ada.page.goto(f"{ada.origin}/r/{room}?debug=1")
    await expect(ada.get("preview-video")).to_be_visible()

    async def hold(route: object) -> None:
        await ada.get("lobby-mic").click()
        await expect(ada.get("lobby-mic")).to_have_attribute("aria-pressed", "false")
        await route.continue_()  # type: ignore[attr-defined]

    await ada.page.route("**/tokens", hold)
    await ada.pass_lobby("Ada")
    await bob.expect_moving("Ada")
    await expect(bob.tile("Ada")).to_have_attribute("data-muted", "true")


async def test_devices_chosen_in_the_call_are_used_after_a_rejoin(server: ServerProcess, room: str) -> None:
    async with async_playwright() as playwright:
        browser = await launch(playwright, extra=HAS_TWO)
        tab = await (await Tab.open(browser, server.url)).join(room, "Ada")
        await tab.expect_moving("Ada")
        await tab.get("open-settings").click()
        # The same means as at the door: the microphone's level, and a sound to try the speaker with.
        await expect(tab.get("settings").get_by_test_id("level-meter")).not_to_have_attribute("data-level", "0.000")
        await expect(tab.get("settings").locator(".test-sound")).to_be_visible()
        selects = tab.get("settings").locator("select")
        for index in (0, 1):
            values = await selects.nth(index).locator("option").evaluate_all("all => all.map(one => one.value)")
            current = await selects.nth(index).input_value()
            await selects.nth(index).select_option(next(v for v in values if v not in (current, "", "default")))
        chosen = [await selects.nth(index).input_value() for index in (0, 1)]
        await tab.page.keyboard.press("Escape")
        await tab.get("leave").click()
        await tab.get("rejoin").click()
        await tab.expect_moving("Ada")
        used = await tab.page.evaluate(
            """() => ['camera', 'microphone'].map(source => window.__tingRoom.localParticipant
                .getTrackPublication(source)?.track.mediaStreamTrack.getSettings().deviceId)"""
        )
        assert used == chosen
        await browser.close()


async def test_a_second_tab_takes_the_call_over_instead_of_doubling_the_person(open_tab: OpenTab, room: str) -> None:
    ada, bob = await (await open_tab()).join(room, "Ada"), await (await open_tab()).join(room, "Bob")
    await bob.expect_moving("Ada")
    await ada.get("toggle-mic").click()
    await expect(bob.tile("Ada")).to_have_attribute("data-muted", "true")
    identity = await bob.tile("Ada").get_attribute("data-identity")
    second = Tab(ada.context, await ada.context.new_page(), ada.origin)
    await second.page.goto(f"{ada.origin}/r/{room}?debug=1")
    await expect(second.get("elsewhere")).to_be_visible()

    # Without sound, one may be there twice.
    await second.get("join-silent").click()
    await expect(second.get("hear-here")).to_be_visible()
    # livekit-client logs an error for the picture of one who has gone when it comes: leaving waits until all see it.
    for tab in (ada, bob):
        await expect(tab.tile("Ada").locator("video")).to_have_count(2)
        for video in await tab.tile("Ada").locator("video").all():
            await tab.expect_frames(video)
    await expect(second.get("toggle-mic")).to_have_attribute("aria-pressed", "false")
    await second.get("leave").click()
    await expect(bob.tile("Ada")).to_have_count(1)

    await second.page.reload()
    await expect(second.get("elsewhere")).to_be_visible()
    await second.get("join-call").click()
    await expect(second.get("call")).to_be_visible()
    await expect(ada.get("disconnected-page")).to_have_attribute("data-reason", "duplicate")
    await expect(bob.tile("Ada")).to_have_count(1)
    await expect(bob.tile("Ada")).to_have_attribute("data-identity", identity or "")
    await expect(bob.tile("Ada")).to_have_attribute("data-muted", "true")

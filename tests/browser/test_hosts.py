"""What hosts do with a call, in sealed rooms as the start page makes them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect

from tests.harness.browser import Tab, close_clean
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE = {"width": 390, "height": 844}


@pytest_asyncio.fixture(loop_scope="session")
async def people(browser: Browser, sealed_server: ServerProcess) -> AsyncIterator[list[Tab]]:
    """Three of them, one with a phone. None logs an error or asks another host."""
    wide = {"width": 1280, "height": 800}
    tabs = [await Tab.open(browser, sealed_server.url, viewport=size) for size in (wide, wide, PHONE)]
    yield tabs
    await close_clean(tabs)


def person(tab: Tab, name: str) -> Locator:
    return tab.page.locator(f'[data-testid="people-item"][data-name="{name}"]')


async def act(host: Tab, name: str, what: str) -> None:
    """From the list of people, which is open."""
    await person(host, name).get_by_test_id("person-menu").click()
    await host.get(f"host-{what}").click()
    await expect(host.get("host-choices").filter(has=host.get(f"host-{what}"))).to_have_count(0)


def large(tab: Tab, name: str) -> Locator:
    return tab.page.locator(f'.focus-main [data-name="{name}"]')


async def test_one_is_first_for_all_and_everybody_sees_who_talked(people: list[Tab]) -> None:
    ada, bob, cleo = people
    link = await ada.make_room("Ada")
    await bob.come(link, "Bob")
    await ada.expect_moving("Bob")
    await ada.get("toggle-people").click()
    await act(ada, "Bob", "spotlight")
    await expect(large(ada, "Bob")).to_be_visible()
    await expect(ada.get("spotlight")).to_contain_text("Spotlight by Ada: Bob")
    await expect(bob.get("spotlight")).to_contain_text("Ada put you in the spotlight")
    await expect(bob.get("end-spotlight")).to_have_count(0)

    # Who comes late has it, and may look at something else.
    await cleo.come(link, "Cleo")
    await expect(large(cleo, "Bob")).to_be_visible()
    await expect(cleo.get("spotlight")).to_contain_text("Spotlight by Ada: Bob")
    await cleo.tile("Ada").dblclick()
    await expect(large(cleo, "Ada")).to_be_visible()
    await cleo.get("show-spotlight").click()
    await expect(large(cleo, "Bob")).to_be_visible()

    # It outlives a reload of who is shown, goes over to their screen, and ends for all.
    await bob.page.reload()
    await bob.pass_lobby("Bob")
    await expect(large(cleo, "Bob")).to_be_visible()
    await expect(bob.get("spotlight")).to_be_visible()
    await bob.get("toggle-screen").click()
    await act(ada, "Bob", "spotlight-screen")
    await expect(cleo.page.locator('.focus-main [data-testid="screen-tile"]')).to_be_visible()
    await expect(cleo.get("spotlight")).to_have_attribute("data-kind", "screen")
    await cleo.get("toggle-people").click()
    await expect(person(cleo, "Ada").get_by_test_id("person-menu")).to_be_visible()
    await person(cleo, "Cleo").get_by_test_id("person-menu").click()
    choices = cleo.get("host-choices").locator("button")
    assert await choices.evaluate_all("all => all.map(one => one.dataset.testid)") == ["host-connection"]
    await bob.get("toggle-screen").click()
    await ada.get("end-spotlight").click()
    for tab in people:
        await expect(tab.get("spotlight")).to_have_count(0)

    # Chromium's fake microphone beeps once a second, which counts as talking; who left is in the list too.
    await cleo.get("talk-times").locator("summary").click()
    for name in ("Ada", "Bob", "Cleo"):
        await expect(cleo.page.locator(f'[data-testid="talk-time"][data-name="{name}"]')).to_be_visible()
    await bob.get("leave").click()
    await expect(cleo.page.locator('[data-testid="talk-time"][data-name="Bob"]')).to_contain_text("has left")


def tiles(tab: Tab, *names: str) -> Locator:
    return tab.page.locator(", ".join(f'[data-testid="tile"][data-name="{name}"]' for name in names))


async def together(*tabs_and_names: tuple[Tab, str]) -> None:
    """They see and hear each other, and nobody else."""
    for tab, name in tabs_and_names:
        for other in (other for _, other in tabs_and_names if other != name):
            await tab.expect_moving(other)
        await expect(tab.get("tile")).to_have_count(len(tabs_and_names))


async def say(tab: Tab, text: str) -> None:
    if await tab.get("toggle-chat").get_attribute("aria-pressed") != "true":
        await tab.get("toggle-chat").click()
    await tab.get("chat-input").fill(text)
    await tab.page.keyboard.press("Enter")
    await expect(said(tab, text)).to_have_count(1)


def said(tab: Tab, text: str) -> Locator:
    return tab.get("chat-message").filter(has_text=text)


async def test_breakout_rooms_from_dividing_to_coming_back(people: list[Tab]) -> None:
    ada, bob, cleo = people
    link = await ada.make_room("Ada")
    await bob.come(link, "Bob")
    await cleo.come(link, "Cleo")
    await together((ada, "Ada"), (bob, "Bob"), (cleo, "Cleo"))

    # By hand: Bob into room 1, Cleo into room 2, and the host stays.
    await ada.get("toggle-people").click()
    await ada.get("host-breakouts").click()
    await ada.get("breakout-how-hand").check()
    for name, number in (("Bob", "1"), ("Cleo", "2")):
        await ada.page.locator(f'.breakout-people [data-name="{name}"]').get_by_test_id("place").select_option(number)
    await ada.get("start-breakouts").click()
    await expect(bob.get("breakout-bar")).to_have_attribute("data-room", "1")
    await expect(cleo.get("breakout-bar")).to_have_attribute("data-room", "2")
    await expect(ada.get("breakout-bar")).to_have_attribute("data-room", "0")
    for tab in people:
        await expect(tab.get("tile")).to_have_count(1)

    # A word to all rooms at once.
    await ada.get("announce-words").fill("Ten minutes each")
    await ada.get("announce").click()
    for tab in (bob, cleo):
        await expect(tab.get("announcement")).to_contain_text("Ada to all rooms: Ten minutes each")
    await cleo.get("close-announcement").click()
    await expect(cleo.get("announcement")).to_have_count(0)

    # Who asks for help gets a host, sees and hears them; chat of the room is the room's.
    await ada.get("close-breakouts").click()
    await bob.get("ask-for-help").click()
    await expect(ada.get("help-wanted")).to_contain_text("Bob in room 1 asks for help")
    await ada.get("go-help").click()
    await expect(ada.get("help-wanted")).to_have_count(0)
    await together((ada, "Ada"), (bob, "Bob"))
    await say(bob, "only for room one")
    await expect(said(ada, "only for room one")).to_have_count(0)
    await ada.get("toggle-chat").click()
    await expect(said(ada, "only for room one")).to_have_count(1)
    await say(cleo, "only for room two")
    await expect(said(cleo, "only for room one")).to_have_count(0)
    await cleo.get("chat-input").press("Escape")

    # The host moves Cleo too; after a reload Cleo is there again.
    await ada.get("open-breakouts").click()
    cleos = ada.page.locator('[data-testid="breakout-person"][data-name="Cleo"]')
    await cleos.get_by_test_id("place").select_option("1")
    await together((ada, "Ada"), (bob, "Bob"), (cleo, "Cleo"))
    await cleo.page.reload()
    await cleo.pass_lobby("Cleo")
    await expect(cleo.get("breakout-bar")).to_have_attribute("data-room", "1")
    await together((ada, "Ada"), (bob, "Bob"), (cleo, "Cleo"))

    # Back by oneself, and for all when the host says so. Everything that was said is there now, with its place.
    await bob.get("back-to-main").click()
    await expect(bob.get("breakout-bar")).to_have_attribute("data-room", "0")
    await expect(bob.get("tile")).to_have_count(1)
    await ada.get("more-time").click()
    await expect(bob.get("breakouts-left")).to_contain_text("back in")
    await ada.get("end-breakouts").click()
    for tab in people:
        await expect(tab.get("breakout-bar")).to_have_count(0)
    await together((ada, "Ada"), (bob, "Bob"), (cleo, "Cleo"))
    await expect(said(ada, "only for room two").get_by_test_id("from-room")).to_have_text("Room 2")
    await ada.expect_sound(2)


async def test_a_poll_is_taken_along_as_a_table(people: list[Tab]) -> None:
    ada, bob, _ = people
    await bob.come(await ada.make_room("Ada"), "Bob")
    for tab in (ada, bob):
        await tab.get("toggle-chat").click()
    await ada.get("new-poll").click()
    await ada.get("poll-question").fill("Tea or coffee?")
    for place, option in enumerate(("Tea", "Coffee")):
        await ada.get("poll-new-option").nth(place).fill(option)
    await ada.get("ask-poll").click()
    await bob.get("poll-option").filter(has_text="Coffee").click()
    await expect(ada.get("poll-option").filter(has_text="Coffee")).to_contain_text("1")
    await expect(bob.get("export-poll")).to_have_count(0)
    async with ada.page.expect_download() as started:
        await ada.get("export-poll").click()
    table = (await (await started.value).path()).read_text(encoding="utf-8-sig")
    assert table.splitlines() == ["Tea or coffee?", "Option,Votes,Who", "Tea,0,", "Coffee,1,Bob"]


async def test_a_report_has_what_the_server_saw_of_ones_line(people: list[Tab]) -> None:
    """Of oneself alone, and without names."""
    ada, bob, _ = people
    link = await ada.make_room("Ada")
    await bob.come(link, "Bob")
    await bob.expect_moving("Ada")
    await bob.get("open-settings").click()
    report = bob.get("call-report")
    # The server works figures out every few seconds; a report is of the moment.
    for _ in range(10):
        await bob.get("make-report").click()
        await expect(bob.get("make-report")).to_have_attribute("aria-busy", "false", timeout=30_000)
        told = await report.inner_text()
        if "round trip" in told:
            break
    assert "server, now: to me" in told
    assert "round trip" in told
    assert told.count("server, now") == 1
    assert not any(name in told for name in ("Ada", "Bob"))

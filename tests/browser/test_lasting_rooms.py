"""Rooms that last, in the browser: made in one step, a door that knocks, a log that stays, hosts that decide."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect

from tests.browser.conftest import OpenTab
from tests.harness.browser import Tab
from tests.harness.firefox import own_address
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def own_server() -> AsyncIterator[ServerProcess]:
    """A server for one test, which may stop and start it."""
    many = {"TING_ENTRIES_PER_SECOND": "1e6", "TING_ENTRY_BURST": "1000000"}
    server = ServerProcess(
        rtc_addresses=f"127.0.0.1,{own_address()}", environment={"TING_DEFAULT_KIND": "open", **many}
    )
    await server.start()
    yield server
    await server.kill()
    server.assert_healthy()


async def make_room(tab: Tab) -> str:
    """From the start page to the device check of a new room; its name."""
    await tab.page.goto(f"{tab.origin}/?debug=1")
    await tab.get("new-room").click()
    # The first one makes the server open its database.
    await expect(tab.get("recovery")).to_be_visible(timeout=60_000)
    return urlsplit(tab.page.url).path.removeprefix("/r/")


async def api(tab: Tab, method: str, path: str, body: object = None) -> None:
    """As the person of the tab, with the tab's own room token."""
    status = await tab.page.evaluate(
        """async ([method, path, body]) => {
            const room = location.pathname.split('/')[2];
            const answer = await fetch(`/api/v1/rooms/${room}${path}`, {
                method,
                headers: {'Content-Type': 'application/json',
                          Authorization: 'Bearer ' + sessionStorage.getItem('ting.token.' + room)},
                body: body === null ? undefined : JSON.stringify(body),
            });
            return answer.status;
        }""",
        [method, path, body],
    )
    assert status < 300, f"{method} {path}: {status}"


async def test_a_room_is_made_in_one_step_and_its_recovery_link_makes_one_owner_elsewhere(open_tab: OpenTab) -> None:
    ada = await open_tab()
    room = await make_room(ada)
    link = await ada.get("copy-recovery").get_attribute("data-text")
    assert link is not None
    assert link.startswith(f"{ada.origin}/r/{room}#owner=")
    await ada.get("dismiss-recovery").click()
    await expect(ada.get("recovery")).to_have_count(0)
    await ada.page.reload()
    await expect(ada.get("name-input")).to_be_visible()
    await expect(ada.get("recovery")).to_have_count(0)
    await ada.pass_lobby("Ada")
    await expect(ada.tile("Ada")).to_have_count(1)
    await api(ada, "PATCH", "", {"policy": {"entry": "members"}})

    # Nobody comes in without the key, and the key is no longer in the address.
    other = await open_tab()
    await other.page.goto(f"{other.origin}/r/{room}")
    await other.get("name-input").fill("Ada elsewhere")
    await other.get("join-call").click()
    await expect(other.get("join-problem")).to_contain_text("members")
    other.errors.clear()
    await other.page.goto("about:blank")
    await other.page.goto(link.replace("#", "?debug=1#"))
    await other.pass_lobby("Ada elsewhere")
    assert "owner=" not in other.page.url
    await api(other, "PATCH", "", {"title": "Choir"})
    await expect(ada.get("disconnected-page")).to_have_attribute("data-reason", "duplicate")


async def test_whoever_knocks_waits_is_let_in_denied_or_goes_away(open_tab: OpenTab) -> None:
    ada, bob, eve = await open_tab(), await open_tab(), await open_tab(locale="zh-CN")
    room = await make_room(ada)
    await ada.pass_lobby("Ada")
    await api(ada, "PATCH", "", {"policy": {"entry": "knock"}})

    for tab, name in ((bob, "Bob"), (eve, "Eve")):
        await tab.page.goto(f"{tab.origin}/r/{room}?debug=1")
        await tab.get("name-input").fill(name)
        await tab.get("knock-note").fill("from the choir")
        await tab.get("join-call").click()
        await expect(tab.get("knocking")).to_be_visible()
    await expect(ada.tile("Bob")).to_have_count(0)
    knocks = await ada.page.evaluate(KNOCKS)
    assert [(one["name"], one["note"]) for one in knocks] == [("Bob", "from the choir"), ("Eve", "from the choir")]
    await api(ada, "POST", f"/knocks/{knocks[0]['knock_id']}/admit")
    await expect(bob.get("call")).to_be_visible()
    await bob.expect_moving("Ada")
    await api(ada, "POST", f"/knocks/{knocks[1]['knock_id']}/deny")
    await expect(eve.get("join-problem")).to_contain_text("没有被允许")

    # Whoever was let in need not knock again after a reload, and is the same person.
    await bob.page.reload()
    await bob.pass_lobby("Bob")
    await expect(ada.tile("Bob")).to_have_count(1)

    cem = await open_tab()
    await cem.page.goto(f"{cem.origin}/r/{room}?debug=1")
    await cem.get("name-input").fill("Cem")
    await cem.get("join-call").click()
    await cem.get("cancel-knock").click()
    await expect(cem.get("join-call")).to_be_enabled()
    assert await ada.page.evaluate(KNOCKS) == []

    # Nor when the call is over and the browser was closed, which empties what the tab knows.
    await api(ada, "POST", "/end-call")
    await bob.page.evaluate("() => sessionStorage.clear()")
    await bob.page.goto(f"{bob.origin}/r/{room}?debug=1")
    await bob.pass_lobby("Bob")
    eve.errors.clear()


KNOCKS = """async () => {
    const room = location.pathname.split('/')[2];
    const token = sessionStorage.getItem('ting.token.' + room);
    const answer = await fetch(`/api/v1/rooms/${room}/knocks`, {headers: {Authorization: 'Bearer ' + token}});
    return (await answer.json()).knocks;
}"""


async def test_a_room_with_a_password_asks_for_it_and_a_locked_one_says_so(open_tab: OpenTab) -> None:
    ada, bob = await open_tab(), await open_tab()
    room = await make_room(ada)
    await ada.pass_lobby("Ada")
    await api(ada, "PATCH", "", {"password": "sesame", "policy": {"entry": "password"}})
    await bob.page.goto(f"{bob.origin}/r/{room}?debug=1")
    await bob.get("name-input").fill("Bob")
    await bob.get("room-password").fill("simsalabim")
    await bob.get("join-call").click()
    await expect(bob.get("join-problem")).to_contain_text("not the password")
    await bob.get("room-password").fill("sesame")
    await bob.get("join-call").click()
    await expect(bob.get("call")).to_be_visible()

    await api(ada, "PATCH", "", {"policy": {"locked": True}})
    eve = await open_tab()
    await eve.page.goto(f"{eve.origin}/r/{room}")
    await expect(eve.get("door-locked")).to_be_visible()
    await eve.get("name-input").fill("Eve")
    await eve.get("join-call").click()
    await expect(eve.get("join-problem")).to_contain_text("locked")
    bob.errors.clear()
    eve.errors.clear()


async def say(tab: Tab, text: str) -> None:
    await tab.get("chat-input").fill(text)
    await tab.get("chat-input").press("Enter")


def said(tab: Tab, text: str) -> Locator:
    return tab.get("chat-message").filter(has_text=text)


async def test_what_is_said_stays_over_reload_and_restart(browser: Browser, own_server: ServerProcess) -> None:
    ada = await Tab.open(browser, own_server.url)
    room = await make_room(ada)
    await ada.pass_lobby("Ada")
    await api(ada, "PATCH", "", {"policy": {"read_markers": True}})
    await ada.get("toggle-chat").click()
    await say(ada, "Tea at **four**, [here](https://tea.example/) <b>now</b>")
    first = said(ada, "Tea at four")
    await expect(first.locator("strong")).to_have_text("four")
    await expect(first.locator("a")).to_have_attribute("rel", "noopener noreferrer nofollow")
    await expect(first).to_contain_text("<b>now</b>")

    # Bob reads and writes without being in the call.
    bob = await Tab.open(browser, own_server.url, locale="zh-CN")
    await bob.page.goto(f"{bob.origin}/r/{room}?debug=1")
    await bob.get("name-input").fill("Bob")
    await bob.get("open-chat").click()
    await expect(bob.get("chat-page")).to_be_visible()
    await expect(said(bob, "Tea at four")).to_have_count(1)
    await expect(ada.get("read-by")).to_have_text("Read by Bob")
    await expect(bob.get("read-by")).to_have_count(0)
    await bob.get("chat-input").press_sequentially("我们")
    await expect(ada.get("typing")).to_contain_text("Bob")
    await say(bob, "我们在茶馆见面 @Ada")
    await expect(said(ada, "茶馆")).to_have_count(1)
    await expect(said(ada, "茶馆").locator(".mention")).to_have_text("@Ada")
    await expect(ada.get("typing")).to_have_count(0)
    await ada.get("chat-search").fill("茶馆")
    await ada.get("chat-search").press("Enter")
    await expect(ada.get("search-results").get_by_test_id("chat-message")).to_have_count(1)
    await ada.get("show-place").click()
    await expect(ada.get("around").get_by_test_id("chat-message")).to_have_count(2)
    await expect(ada.get("around").locator(".found")).to_contain_text("茶馆")
    await ada.get("around-back").click()
    await expect(ada.get("timeline").get_by_test_id("chat-message")).to_have_count(2)

    # Reactions, an edit, a reply, a removal.
    await said(ada, "茶馆").hover()
    await said(ada, "茶馆").get_by_test_id("message-actions").click()
    await said(ada, "茶馆").get_by_test_id("react").first.click()
    await expect(said(bob, "茶馆").get_by_test_id("reaction")).to_contain_text("1")
    await said(ada, "Tea at four").hover()
    await said(ada, "Tea at four").get_by_test_id("message-actions").click()
    await ada.get("action-edit").click()
    await say(ada, "Tea at five")
    await expect(said(bob, "Tea at five")).to_have_count(1)
    await expect(said(bob, "Tea at four")).to_have_count(0)
    await say(ada, "wrong room, sorry")
    await said(ada, "wrong room").get_by_test_id("message-actions").click()
    await ada.get("action-delete").click()
    await expect(bob.page.locator('[data-testid="chat-message"][data-removed="true"]')).to_have_count(1)

    await ada.page.reload()
    await ada.pass_lobby("Ada")
    await expect(said(ada, "Tea at five")).to_have_count(1)

    # What is written while the server is away is sent when it is back, once.
    assert await own_server.stop() == 0
    await say(bob, "written while nobody heard")
    await expect(bob.get("pending-message")).to_have_count(1)
    await own_server.start()
    await expect(bob.get("pending-message")).to_have_count(0, timeout=90_000)
    await expect(ada.get("away")).to_have_count(0, timeout=90_000)
    await expect(said(ada, "written while nobody heard")).to_have_count(1)
    await expect(said(bob, "written while nobody heard")).to_have_count(1)
    await expect(said(bob, "Tea at five")).to_have_count(1)
    await expect(said(bob, "茶馆").get_by_test_id("reaction")).to_contain_text("1")
    await expect(ada.get("event").first).to_be_visible()

    # Of a long history a part is in the page, and what one reads in it stays where it is.
    await ada.page.evaluate(WRITE_MANY, 250)
    await expect(said(bob, "number 250")).to_be_in_viewport()
    await expect(said(bob, "Tea at five")).to_have_count(0)
    climbed = await bob.get("timeline").evaluate(CLIMB, "Tea at five")
    assert climbed["most"] <= MAX_SHOWN
    assert climbed["moved"] <= 2
    await say(ada, "meanwhile at the end")
    await expect(ada.get("timeline").get_by_test_id("chat-message").last).to_contain_text("meanwhile")
    await expect(said(bob, "Tea at five")).to_be_in_viewport()
    await bob.get("jump").click()
    await expect(said(bob, "meanwhile at the end")).to_be_in_viewport()
    await expect(said(bob, "Tea at five")).to_have_count(0)
    await expect(ada.get("read-by")).to_have_text("Read by Bob")
    await expect(bob.get("jump")).to_have_count(0)
    for tab in (ada, bob):
        await tab.close()


MAX_SHOWN = 200
"""Rows of the history that the page has at a time."""

WRITE_MANY = """async (count) => {
    const room = location.pathname.split('/')[2];
    const headers = {'Content-Type': 'application/json',
                     Authorization: 'Bearer ' + sessionStorage.getItem('ting.token.' + room)};
    const write = async (number) => {
        const text = number % 7 ? 'number ' + number : 'a long one: ' + 'la '.repeat(number);
        const body = JSON.stringify({verb: 'message', client_id: 'many-' + number, body: {text}});
        const answer = await fetch(`/api/v1/rooms/${room}/entries`, {method: 'POST', headers, body});
        if (!answer.ok) throw new Error(answer.status);
    };
    await Promise.all([...Array(count).keys()].map(write));
    await write(count);
}"""

CLIMB = """async (list, text) => {
    const rows = () => [...list.querySelectorAll('[data-row]')];
    const topOf = (row) => row.firstElementChild.getBoundingClientRect().top;
    let [most, moved] = [0, 0];
    while (!list.textContent.includes(text)) {
        list.scrollTop = 40;
        const [first, read] = [rows()[0], rows().find((row) => topOf(row) >= list.getBoundingClientRect().top)];
        const top = topOf(read);
        while (rows()[0] === first) await new Promise(requestAnimationFrame);
        moved = Math.max(moved, Math.abs(topOf(read) - top));
        most = Math.max(most, rows().length);
        await new Promise(requestAnimationFrame);
    }
    list.scrollTop = 0;
    await new Promise(requestAnimationFrame);
    return {most, moved};
}"""
"""Scrolls up until `text` is there: how many rows there were at most, and how far the one that was read has moved."""


def person(tab: Tab, name: str) -> Locator:
    return tab.page.locator(f'[data-testid="people-item"][data-name="{name}"]')


async def test_hosts_let_in_mute_ask_and_put_out(open_tab: OpenTab) -> None:
    ada, bob = await open_tab(), await open_tab()
    room = await make_room(ada)
    await ada.pass_lobby("Ada")
    await api(ada, "PATCH", "", {"policy": {"entry": "knock"}})
    await bob.page.goto(f"{bob.origin}/r/{room}?debug=1")
    await bob.get("name-input").fill("Bob")
    await bob.get("knock-note").fill("from the choir")
    await bob.get("join-call").click()
    await expect(ada.get("knock")).to_contain_text("from the choir")
    await expect(ada.get("toggle-people-badge")).to_have_text("1")
    await ada.get("toggle-people").click()
    await expect(ada.get("at-the-door").get_by_test_id("door-knock")).to_contain_text("from the choir")
    await ada.get("at-the-door").get_by_test_id("admit").click()
    await expect(bob.get("call")).to_be_visible()
    await expect(ada.get("knock-bar")).to_have_count(0)
    await expect(ada.get("at-the-door")).to_have_count(0)
    await expect(ada.get("toggle-people-badge")).to_have_count(0)

    await bob.get("toggle-hand").click()
    await expect(person(ada, "Ada")).to_have_attribute("data-role", "owner")
    await expect(person(ada, "Bob")).to_have_attribute("data-hand", "1")
    await ada.get("host-lower-hands").click()
    await expect(bob.get("toggle-hand")).to_have_attribute("aria-pressed", "false")

    await expect(person(ada, "Bob")).to_have_attribute("data-muted", "false")
    await person(ada, "Bob").get_by_test_id("person-menu").click()
    await ada.get("host-mute").click()
    await expect(bob.get("toggle-mic")).to_have_attribute("aria-pressed", "false")
    await person(ada, "Bob").get_by_test_id("person-menu").click()
    await ada.get("host-ask").click()
    await expect(bob.get("asked-to-unmute")).to_contain_text("Ada")
    await bob.get("asked-to-unmute").get_by_role("button").first.click()
    await expect(person(ada, "Bob")).to_have_attribute("data-muted", "false")

    # A moderator has the tools without coming anew; a guest has none.
    await bob.get("toggle-people").click()
    await expect(bob.get("host-lock")).to_have_count(0)
    await person(ada, "Bob").get_by_test_id("person-menu").click()
    await ada.get("host-moderator").click()
    await expect(bob.get("host-lock")).to_be_visible()
    await person(ada, "Bob").get_by_test_id("person-menu").click()
    await ada.get("host-guest").click()
    await ada.get("host-yes").click()
    await expect(bob.get("host-lock")).to_have_count(0)

    await person(ada, "Bob").get_by_test_id("person-menu").click()
    await ada.get("host-kick").click()
    await ada.get("host-yes").click()
    await expect(bob.get("disconnected-page")).to_have_attribute("data-reason", "kicked")
    await expect(bob.get("join-problem")).to_contain_text("You were put out of this room and cannot come back yet")
    await bob.get("rejoin").click()
    await expect(bob.get("join-problem")).to_contain_text("put out")
    await expect(bob.get("rejoin")).to_be_enabled()
    bob.errors.clear()


async def test_the_room_dialog_opens_the_door_for_one_and_tells_what_is_kept(open_tab: OpenTab) -> None:
    ada, bob = await open_tab(), await open_tab(locale="zh-CN")
    room = await make_room(ada)
    await ada.get("name-input").fill("Ada")
    await ada.get("open-chat").click()
    await ada.get("room-menu").click()
    await ada.get("title-input").fill("Choir")
    await ada.get("save-title").click()
    await expect(ada.get("chat-page").get_by_role("heading", level=1)).to_have_text("Choir")
    await ada.get("room-entry").select_option("members")
    await ada.get("room-retention").select_option("3600")
    await expect(ada.get("room-kept")).to_contain_text("1 hour")
    await ada.get("invitation-role").select_option("member")
    await ada.get("invite-once").click()
    link = await ada.get("copy-invitation").get_attribute("data-text")
    assert link is not None
    await expect(ada.get("invitation")).to_have_count(1)

    await bob.page.goto(f"{bob.origin}/r/{room}")
    await bob.get("name-input").fill("Bob")
    await bob.get("open-chat").click()
    await expect(bob.get("join-problem")).to_contain_text("只有房间成员")
    await bob.page.goto("about:blank")
    await bob.page.goto(link)
    await bob.get("open-chat").click()
    await expect(bob.get("chat-page")).to_contain_text("Choir")
    assert "invitation" not in bob.page.url
    await bob.get("room-menu").click()
    await expect(bob.get("room-kept")).to_contain_text("1 小时")
    await expect(bob.get("room-entry")).to_have_count(0)
    await bob.page.keyboard.press("Escape")

    eve = await open_tab()
    await eve.page.goto(link)
    await eve.get("name-input").fill("Eve")
    await eve.get("open-chat").click()
    await expect(eve.get("join-problem")).to_contain_text("invitation")

    await ada.get("delete-room").click()
    await ada.get("delete-room-yes").click()
    await expect(ada.get("new-room")).to_be_visible()
    await expect(bob.get("disconnected-page")).to_have_attribute("data-reason", "room_deleted")
    bob.errors.clear()
    eve.errors.clear()

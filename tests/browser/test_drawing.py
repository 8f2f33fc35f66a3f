"""Drawing on a shared screen: who may, what the others see of it and how soon, what goes and what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, FloatRect, Locator, expect

from sealed.member import SealedMember
from tests.browser.conftest import OpenTab
from tests.harness.axe import findings
from tests.harness.browser import Tab, close_clean
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

TIMEOUT_S = 60.0
WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
STROKE = [(0.25, 0.25), (0.5, 0.5), (0.75, 0.25)]
"""Places in the picture."""


@pytest_asyncio.fixture(loop_scope="session")
async def people(browser: Browser, sealed_server: ServerProcess) -> AsyncIterator[list[Tab]]:
    """Three of them, one with a phone in Arabic. None logs an error or asks another host."""
    tabs = [
        await Tab.open(browser, sealed_server.url, viewport=WIDE),
        await Tab.open(browser, sealed_server.url, viewport=WIDE),
        await Tab.open(browser, sealed_server.url, viewport=PHONE, locale="ar", has_touch=True),
    ]
    yield tabs
    await close_clean(tabs)


def screen_of(tab: Tab, name: str) -> Locator:
    return tab.page.locator(f'[data-testid="screen-tile"][data-name="{name}"]')


async def picture_box(screen: Locator) -> FloatRect:
    """Where the picture is, without the bars beside it."""
    picture = screen.locator(".draw-picture")
    await expect(picture).to_be_visible()
    box = await picture.bounding_box()
    assert box is not None
    return box


async def draw(tab: Tab, screen: Locator, places: list[tuple[float, float]]) -> None:
    """With the mouse."""
    box = await picture_box(screen)
    (x, y), *rest = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    await tab.page.mouse.move(x, y)
    await tab.page.mouse.down()
    for x, y in rest:
        await tab.page.mouse.move(x, y, steps=5)
    await tab.page.mouse.up()


async def ends_of(screen: Locator, by: str = "") -> list[tuple[float, float]]:
    """First and last point of the newest stroke as it is on the screen, in parts of the picture."""
    box = await picture_box(screen)
    selector = f'[data-testid="stroke"]{by and f"[data-by={by!r}]"} path:last-child'
    found = await screen.locator(selector).last.evaluate(
        """path => {
            const matrix = path.getScreenCTM();
            return [0, path.getTotalLength()].map(at => {
                const {x, y} = path.getPointAtLength(at).matrixTransform(matrix);
                return [x, y];
            });
        }"""
    )
    return [((x - box["x"]) / box["width"], (y - box["y"]) / box["height"]) for x, y in found]


async def share(tab: Tab) -> None:
    await tab.get("toggle-screen").click()
    await expect(tab.get("draw-everyone")).to_be_visible()


def strokes(screen: Locator) -> Locator:
    return screen.get_by_test_id("stroke")


async def test_who_may_draw_and_that_it_fades(open_tab: OpenTab, room: str) -> None:
    """In a call without a room behind it."""
    ada = await (await open_tab(viewport=WIDE)).join(room, "Ada")
    bob = await (await open_tab(viewport={"width": 900, "height": 900})).join(room, "Bob")
    await share(ada)
    screen = screen_of(bob, "Ada")
    await expect(screen).to_have_attribute("data-large", "true")
    await picture_box(screen)
    await expect(bob.get("pen")).to_have_count(0)

    # At first the presenter alone draws; the same place of the picture is the same place everywhere.
    await ada.get("draw-own").click()
    own = ada.get("own-screen")
    await draw(ada, own, STROKE)
    await expect(strokes(screen)).to_have_count(1)
    for place, expected in zip(await ends_of(screen), [STROKE[0], STROKE[-1]], strict=True):
        assert place == pytest.approx(expected, abs=0.01)
    await expect(strokes(screen)).to_have_count(0)
    await expect(strokes(own)).to_have_count(0)

    # Everybody may, from now on, and each has a colour and a name at the pen.
    await ada.get("draw-everyone").check()
    await bob.get("pen").click()
    await expect(bob.get("pen")).to_have_attribute("aria-pressed", "true")
    box = await picture_box(screen)
    await bob.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    await bob.page.mouse.down()
    await expect(own.get_by_test_id("pen-name")).to_have_text("Bob")
    await expect(ada.get("drawing-said")).to_have_text("Bob draws on your screen")
    colours = [await strokes(place).last.get_attribute("class") for place in (own, screen)]
    assert colours[0] == colours[1]
    # The presenter takes the pen away while it is down: what comes after is nobody's.
    await ada.get("draw-everyone").uncheck()
    await expect(bob.get("pen")).to_have_count(0)
    await bob.page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.9 * box["height"], steps=5)
    await bob.page.mouse.up()
    await expect(strokes(own)).to_have_attribute("data-done", "true")
    assert (await ends_of(own))[-1] == pytest.approx((0.5, 0.5), abs=0.01)

    # What stays is there for who comes later, and goes for all when the presenter wipes it off.
    await expect(strokes(own)).to_have_count(0)
    await ada.get("draw-stays").check()
    await draw(ada, own, STROKE)
    await expect(strokes(screen)).to_have_count(1)
    cleo = await (await open_tab(viewport=WIDE)).join(room, "Cleo")
    await expect(strokes(screen_of(cleo, "Ada"))).to_have_count(1)
    for tab in (ada, cleo):
        assert await findings(tab.page) == []
    await ada.get("draw-clear").click()
    for tab in (bob, cleo):
        await expect(strokes(screen_of(tab, "Ada"))).to_have_count(0)
    # With the share, its drawings end.
    await draw(ada, own, STROKE)
    await expect(strokes(screen)).to_have_count(1)
    await ada.get("toggle-screen").click()
    await expect(screen).to_have_count(0)
    await share(ada)
    await picture_box(screen)
    await expect(strokes(screen)).to_have_count(0)


async def test_strokes_that_nobody_was_allowed_are_not_shown(open_tab: OpenTab, room: str) -> None:
    """A page of another make sends what it likes."""
    ada, bob = await (await open_tab(viewport=WIDE)).join(room, "Ada"), await (await open_tab()).join(room, "Bob")
    await share(ada)
    await expect(screen_of(bob, "Ada")).to_be_visible()
    await ada.get("draw-own").click()
    send = """async ([type, more]) => {
        const room = window.__tingRoom;
        const [presenter] = room.remoteParticipants.values();
        const share = presenter.getTrackPublication('screen_share').trackSid;
        window.__n = Math.max((window.__n ?? 0) + 1, Date.now() * 2);
        const message = {type, share, presenter: presenter.identity, ...more};
        const payload = new TextEncoder().encode(JSON.stringify({n: window.__n, message}));
        await room.localParticipant.publishData(payload, {reliable: true, topic: 'ting.draw'});
    }"""
    line = {"id": "x1", "at": 0, "points": [1000, 1000, 9000, 9000], "end": True}
    await bob.page.evaluate(send, ["rules", {"everyone": True, "stays": True}])
    await bob.page.evaluate(send, ["line", line])
    await bob.page.evaluate(send, ["clear", {}])
    await ada.get("draw-everyone").check()
    await expect(bob.get("pen")).to_be_visible()
    for number, bad in enumerate(([1, 2, 3], [0, 10_001], [0, -1], [0.5, 1], "none", list(range(1002)))):
        await bob.page.evaluate(send, ["line", {**line, "id": f"bad{number}", "points": bad}])
    await bob.page.evaluate(send, ["line", {**line, "id": "later", "at": 2}])
    await bob.page.evaluate(send, ["line", {**line, "id": "good"}])
    await expect(strokes(ada.get("own-screen"))).to_have_count(1)
    assert await ada.get("draw-everyone").is_checked()
    assert not await ada.get("draw-stays").is_checked()


KEPT = """async () => {
    const room = location.pathname.slice(3);
    const headers = {Authorization: `Bearer ${sessionStorage.getItem(`ting.token.${room}`)}`};
    const answer = await fetch(`/api/v1/rooms/${room}/entries?drawn=only`, {headers});
    return (await answer.json()).entries;
}"""
"""What the server keeps of it."""

SEEN = """async () => {
    const seen = () => document.querySelector('[data-testid="stroke"]') !== null;
    window.__seen = new Promise(resolve => {
        new MutationObserver((_, observer) => {
            if (!seen()) return;
            observer.disconnect();
            resolve(performance.timeOrigin + performance.now());
        }).observe(document.body, {subtree: true, childList: true});
    });
    return null;
}"""
"""When the first stroke is there, by the clock that all pages of this machine share."""


async def test_in_a_sealed_room_it_comes_soon_to_all_and_is_kept_sealed(
    people: list[Tab], record_property: Callable[[str, object], None]
) -> None:
    ada, bob, cleo = people
    link = await ada.make_room("Ada")
    for tab, name in ((bob, "Bob"), (cleo, "Cleo")):
        await tab.come(link, name)
        await ada.expect_moving(name)
    await share(ada)
    await ada.get("draw-everyone").check()
    await ada.get("draw-stays").check()
    await expect(bob.get("pen")).to_be_visible()
    await bob.get("pen").click()
    screen, phone = screen_of(bob, "Ada"), screen_of(cleo, "Ada")
    await picture_box(phone)
    async with aiohttp.ClientSession() as http:
        # A program, which reads the log by itself.
        dan = SealedMember(http, link, "Dan")
        await dan.come()
        await asyncio.wait_for(dan.inside(), TIMEOUT_S)
        await cleo.page.evaluate(SEEN)
        await bob.page.evaluate(
            "() => window.addEventListener('pointerdown', () => "
            "{ window.__down = performance.timeOrigin + performance.now(); }, {capture: true})"
        )
        await draw(bob, screen, STROKE)
        await expect(strokes(phone)).to_have_count(1)
        took_ms = await cleo.page.evaluate("window.__seen") - await bob.page.evaluate("window.__down")
        record_property("milliseconds from pen to picture", round(took_ms))
        async with asyncio.timeout(TIMEOUT_S):
            while (entry := await dan.entries.get())["verb"] != "draw":
                pass
        (kept,) = entry["body"]["strokes"]
        assert kept["name"] == "Bob"
        assert [place / 10_000 for place in kept["points"][:2]] == pytest.approx(STROKE[0], abs=0.01)
        await dan.close()
    (stored,) = await ada.page.evaluate(KEPT)
    assert set(stored["body"]) == {"sealed"}
    # Arabic runs from right to left; the picture does not.
    for place, expected in zip(await ends_of(phone), [STROKE[0], STROKE[-1]], strict=True):
        assert place == pytest.approx(expected, abs=0.02)

    # With a finger, which does not scroll the page then.
    await cleo.get("pen").click()
    box = await picture_box(phone)
    await cleo.page.touchscreen.tap(box["x"] + 0.1 * box["width"], box["y"] + 0.9 * box["height"])
    await expect(strokes(screen)).to_have_count(2)
    assert (await ends_of(screen))[0] == pytest.approx((0.1, 0.9), abs=0.02)
    await expect(bob.get("drawing-said")).to_have_text("Cleo draws on the screen of Ada")
    # Escape puts the pen away.
    await bob.page.keyboard.press("Escape")
    await expect(bob.get("pen")).to_have_attribute("aria-pressed", "false")

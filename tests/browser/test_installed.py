"""The service worker: a page that says so where there is no network, and one version for the whole of a call."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.harness.browser import Tab, until
from tests.harness.server import ROOT, ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

BACK_MS = 90_000
READY = "async () => (await navigator.serviceWorker.ready).active?.state === 'activated'"
KEPT = """async (part) => {
    const files = await (await caches.open("files")).keys();
    return files.some(({url}) => url.includes(part));
}"""
EVERYTHING_KEPT = """async () => {
    const found = [];
    for (const name of await caches.keys())
        for (const {url} of await (await caches.open(name)).keys()) found.push(new URL(url).pathname);
    return found;
}"""
ALL_KEPT = f"""async (parts) => {{
    const kept = await ({EVERYTHING_KEPT})();
    return parts.every(part => kept.includes(part));
}}"""
GONE = f"""async (old) => (await ({EVERYTHING_KEPT})()).every(path => !old.includes(path))"""


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A copy of the built app, of which a test may make another version."""
    return Path(shutil.copytree(ROOT / "web" / "dist", tmp_path / "dist"))


@pytest_asyncio.fixture(loop_scope="session")
async def own_server(dist: Path) -> AsyncIterator[ServerProcess]:
    server = ServerProcess(environment={"TING_WEB_ROOT": str(dist), "TING_BRAND_NAME": "Hall"})
    await server.start()
    yield server
    await server.kill()
    server.assert_healthy()


def make_next_version(dist: Path) -> str:
    """The same app with other names for its parts, as a build of other sources has. Returns the call's new name."""
    for compressed in [*dist.rglob("*.gz"), *dist.rglob("*.br")]:
        compressed.unlink()
    names = {path.name: f"{path.stem}2{path.suffix}" for path in (dist / "assets").glob("*.js")}
    for path in [dist / "index.html", dist / "service-worker.js", *(dist / "assets").glob("*.js")]:
        text = path.read_text("utf-8")
        for old, new in names.items():
            text = text.replace(old, new)
        path.write_text(text, "utf-8")
    for old, new in names.items():
        (dist / "assets" / old).rename(dist / "assets" / new)
    return next(new for new in names.values() if new.startswith("call-"))


async def test_without_a_network_the_page_says_so_and_goes_on_by_itself(
    browser: Browser, own_server: ServerProcess
) -> None:
    tab = await Tab.open(browser, own_server.url, locale="de-DE")
    await tab.page.goto(tab.origin)
    await until(tab.page, READY)
    await until(tab.page, KEPT, "de-")
    for path in ("/", "/r/den", "/account"):
        await tab.context.set_offline(True)
        await tab.page.goto(tab.origin + path)
        await expect(tab.get("offline-page")).to_contain_text("offline")
        await expect(tab.page.locator("html")).to_have_attribute("lang", "de")
        assert "Ting" not in await tab.page.content()
        await tab.context.set_offline(False)
        await expect(tab.get("offline-page")).to_have_count(0)
    await tab.close()


async def test_a_new_version_waits_for_the_end_of_a_call(
    browser: Browser, own_server: ServerProcess, dist: Path, room: str
) -> None:
    tab = await Tab.open(browser, own_server.url)
    await tab.page.goto(tab.origin)
    await until(tab.page, READY)
    await tab.join(room, "Ada")
    await tab.expect_moving("Ada")
    parts = re.findall(r"/assets/[\w.-]+", (dist / "service-worker.js").read_text("utf-8"))
    assert any("SettingsDialog-" in part for part in parts)
    await until(tab.page, ALL_KEPT, parts)
    kept = await tab.page.evaluate(EVERYTHING_KEPT)
    assert [path for path in kept if path != "/" and not re.fullmatch(r"/assets/[\w.-]+-[\w-]{8}\.\w+", path)] == []
    await tab.page.evaluate("window.__sameAsBefore = true")

    assert await own_server.stop() == 0
    newer = make_next_version(dist)
    await own_server.start()
    await expect(tab.get("away")).to_have_count(0, timeout=BACK_MS)
    await tab.expect_moving("Ada")
    # The browser finds the new worker; it waits, and what the server has no more still comes.
    await tab.page.evaluate("navigator.serviceWorker.getRegistration().then(one => one.update())")
    await until(tab.page, "async () => (await navigator.serviceWorker.getRegistration()).waiting !== null")
    await tab.page.evaluate(
        "navigator.serviceWorker.getRegistration().then(one => one.waiting.postMessage({kind: 'update'}))"
    )
    await tab.get("open-settings").click()
    await expect(tab.get("settings")).to_be_visible()
    await expect(tab.get("update-note")).to_have_count(0)
    await tab.get("close-settings").click()
    assert await tab.page.evaluate("window.__sameAsBefore") is True
    assert await tab.page.evaluate("navigator.serviceWorker.getRegistration().then(one => one.waiting !== null)")

    await tab.get("leave").click()
    async with tab.page.expect_event("load"):
        await tab.get("apply-update").click()
    assert await tab.page.evaluate("window.__sameAsBefore") is None
    await until(tab.page, "async () => (await navigator.serviceWorker.getRegistration()).waiting === null")
    await tab.join(room, "Ada")
    assert newer in await tab.page.evaluate("performance.getEntriesByType('resource').map(one => one.name).join()")
    # Nothing of the old version is kept.
    await until(tab.page, GONE, [path for path in kept if path.endswith(".js")])
    await tab.close()

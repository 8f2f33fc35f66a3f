"""The window of one person, in Chromium or in Firefox, driven in the same way: by test ids and expressions in the page.

A window can be closed and opened again as people do it: the profile stays, what belongs to the tab is gone.
"""

from __future__ import annotations

import asyncio
import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, Page, Playwright

from tests.harness.browser import ACCEPT_PROMPTS, CHROMIUM, FLAGS, SMALL_CAMERA, TIMEOUT_MS, until
from tests.harness.firefox import POLL_S, TIMEOUT_S, Firefox

Size = tuple[int, int]


def element(test_id: str) -> str:
    return f"document.querySelector('[data-testid=\"{test_id}\"]')"


class Window(ABC):
    """`folder` keeps the profile, downloads and screenshots. The camera is a small one."""

    def __init__(self, folder: Path, locale: str, size: Size) -> None:
        self.folder = folder
        self.locale = locale
        self.size = size
        folder.mkdir()

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def open(self, url: str) -> None: ...

    @abstractmethod
    async def evaluate(self, expression: str) -> Any:
        """Awaited; what it gives must fit into JSON."""

    @abstractmethod
    async def until(self, condition: str, timeout_s: float = TIMEOUT_S) -> None: ...

    @abstractmethod
    async def click(self, test_id: str) -> None: ...

    @abstractmethod
    async def fill(self, test_id: str, text: str) -> None: ...

    @abstractmethod
    async def choose(self, test_id: str, value: str) -> None:
        """In a list of options."""

    @abstractmethod
    async def give(self, test_id: str, file: Path) -> None:
        """To an input for files."""

    @abstractmethod
    async def picture(self) -> bytes:
        """What is to be seen, as PNG."""

    @abstractmethod
    async def download(self, start: str) -> bytes:
        """What the browser saves when the element `start` is clicked."""

    async def shoot(self, name: str) -> None:
        data = await self.picture()
        await asyncio.to_thread((self.folder / f"{name}.png").write_bytes, data)


class ChromiumWindow(Window):
    def __init__(self, playwright: Playwright, folder: Path, locale: str, size: Size) -> None:
        super().__init__(folder, locale, size)
        self._playwright = playwright
        self._context: BrowserContext
        self._page: Page

    async def start(self) -> None:
        self._context = await self._playwright.chromium.launch_persistent_context(
            self.folder / "profile", executable_path=CHROMIUM, args=[*FLAGS, ACCEPT_PROMPTS], locale=self.locale,
            viewport={"width": self.size[0], "height": self.size[1]},
        )  # fmt: skip
        await self._context.add_init_script(SMALL_CAMERA)
        self._page = self._context.pages[0]
        self._page.set_default_timeout(TIMEOUT_MS)

    async def close(self) -> None:
        await self._context.close()

    async def open(self, url: str) -> None:
        await self._page.goto(url)

    async def evaluate(self, expression: str) -> Any:
        return await self._page.evaluate(f"async () => {expression}")

    async def until(self, condition: str, timeout_s: float = TIMEOUT_S) -> None:
        await until(self._page, f"async () => {condition}", timeout_ms=int(timeout_s * 1000))

    async def click(self, test_id: str) -> None:
        await self._page.get_by_test_id(test_id).first.click()

    async def fill(self, test_id: str, text: str) -> None:
        await self._page.get_by_test_id(test_id).fill(text)

    async def choose(self, test_id: str, value: str) -> None:
        await self._page.get_by_test_id(test_id).select_option(value)

    async def give(self, test_id: str, file: Path) -> None:
        await self._page.get_by_test_id(test_id).set_input_files(file)

    async def picture(self) -> bytes:
        return await self._page.screenshot()

    async def download(self, start: str) -> bytes:
        async with self._page.expect_download() as started:
            await self.click(start)
        return await asyncio.to_thread(Path(await (await started.value).path()).read_bytes)


class FirefoxWindow(Window):
    def __init__(self, folder: Path, locale: str, size: Size) -> None:
        super().__init__(folder, locale, size)
        self._downloads = folder / "downloads"
        self._downloads.mkdir()
        self._firefox: Firefox

    async def start(self) -> None:
        preferences = {
            "browser.download.dir": str(self._downloads), "browser.download.folderList": 2,
            "browser.download.useDownloadDir": True, "browser.download.always_ask_before_handling_new_types": False,
            "intl.accept_languages": self.locale,
        }  # fmt: skip
        self._firefox = await Firefox(self.folder / "profile", preferences).__aenter__()
        width, height = self.size
        await self._command("browsingContext.setViewport", viewport={"width": width, "height": height})
        await self._firefox.command("script.addPreloadScript", functionDeclaration=f"() => {SMALL_CAMERA}")

    async def close(self) -> None:
        await self._firefox.__aexit__()

    async def open(self, url: str) -> None:
        await self._firefox.open(url)

    async def evaluate(self, expression: str) -> Any:
        return await self._firefox.evaluate(expression)

    async def until(self, condition: str, timeout_s: float = TIMEOUT_S) -> None:
        await self._firefox.until(condition, timeout_s)

    async def click(self, test_id: str) -> None:
        await self._firefox.click(test_id)

    async def fill(self, test_id: str, text: str) -> None:
        await self._firefox.fill(test_id, text)

    async def choose(self, test_id: str, value: str) -> None:
        await self.until(f"{element(test_id)} !== null")
        await self.evaluate(
            f"(() => {{ const list = {element(test_id)}; list.value = {json.dumps(value)};"
            " list.dispatchEvent(new Event('change', {bubbles: true})); })()"
        )

    async def give(self, test_id: str, file: Path) -> None:
        await self.until(f"{element(test_id)} !== null")
        found = await self._command(
            "browsingContext.locateNodes", locator={"type": "css", "value": f'[data-testid="{test_id}"]'}
        )
        await self._command("input.setFiles", element={"sharedId": found["nodes"][0]["sharedId"]}, files=[str(file)])

    async def picture(self) -> bytes:
        return base64.b64decode((await self._command("browsingContext.captureScreenshot"))["data"])

    async def download(self, start: str) -> bytes:
        before = set(self._downloads.iterdir())
        await self.click(start)

        def whole() -> Path | None:
            fresh = [path for path in self._downloads.iterdir() if path not in before]
            is_whole = len(fresh) == 1 and fresh[0].suffix != ".part" and fresh[0].stat().st_size > 0
            return fresh[0] if is_whole else None

        path = await _eventually(whole)
        return await asyncio.to_thread(path.read_bytes)

    async def draw(self, places: Sequence[tuple[float, float]]) -> None:
        """With the mouse, from one place of the window to the next; at a single one it is a click."""
        moves = [{"type": "pointerMove", "x": round(x), "y": round(y), "duration": 40} for x, y in places]
        down, up = {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}
        pointer = {"type": "pointer", "id": "mouse", "actions": [moves[0], down, *moves[1:], up]}
        await self._command("input.performActions", actions=[pointer])

    async def type(self, text: str) -> None:
        """Key by key, to whatever has the focus."""
        keys = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        await self._command("input.performActions", actions=[{"type": "key", "id": "keys", "actions": keys}])

    async def box(self, selector: str) -> dict[str, float]:
        """Where an element is once it is there: x, y, width and height in the window."""
        await self.until(f"document.querySelector({json.dumps(selector)})?.getBoundingClientRect().width > 0")
        found: dict[str, float] = await self.evaluate(
            f"document.querySelector({json.dumps(selector)}).getBoundingClientRect().toJSON()"
        )
        return found

    async def _command(self, method: str, **parameters: Any) -> Any:
        return await self._firefox.command(method, context=self._firefox.context, **parameters)


async def _eventually(look: Callable[[], Path | None]) -> Path:
    async with asyncio.timeout(TIMEOUT_S):
        while (found := look()) is None:  # noqa: ASYNC110 - a folder has no event for it
            await asyncio.sleep(POLL_S)
    return found

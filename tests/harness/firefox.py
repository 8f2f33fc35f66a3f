"""Firefox as its distributions ship it, driven over WebDriver BiDi (W3C), which the browser speaks by itself.

Playwright needs a Firefox of its own making; this needs a `firefox-esr` or `firefox` on the path and aiohttp.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shutil
import socket
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox") or "/usr/bin/firefox-esr"
START_TIMEOUT_S = 60.0
TIMEOUT_S = 60.0
POLL_S = 0.1
_LISTENING = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")

PREFERENCES: dict[str, bool | int | str] = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "layout.frame_rate": 10,
    "media.autoplay.default": 0,
    "media.gmp-manager.url": "",
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}
"""Fake devices without a question, no request of the browser's own, and the page drawn ten times a second: all of it is
done in software."""


def own_address() -> str:
    """This machine's address on its network, for the server's media: Firefox gathers no candidate on 127.0.0.1. What is
    sent there does not leave the machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # a documentation address (RFC 5737); connecting sends nothing
        address: str = probe.getsockname()[0]
    return address


class Firefox:
    """One Firefox with one page. `async with Firefox() as firefox`. A `profile` is a folder that outlives it;
    `preferences` are on top of those above."""

    def __init__(self, profile: Path | None = None, preferences: Mapping[str, bool | int | str] | None = None) -> None:
        self._own_profile = tempfile.TemporaryDirectory(prefix="ting-firefox-", ignore_cleanup_errors=True)
        self._profile = profile or Path(self._own_profile.name)
        wanted = {**PREFERENCES, **(preferences or {})}
        lines = (f"user_pref({json.dumps(key)}, {json.dumps(value)});\n" for key, value in wanted.items())
        self._profile.mkdir(exist_ok=True)
        (self._profile / "user.js").write_text("".join(lines), encoding="ascii")
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._log: list[bytes] = []
        self.context = ""

    async def __aenter__(self) -> Firefox:
        self._process = await asyncio.create_subprocess_exec(
            FIREFOX, "--headless", "--no-remote", "--profile", str(self._profile), "--remote-debugging-port", "0",
            "about:blank",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                url = await self._address()
                self._drain = asyncio.create_task(self._read_log())
                self._http = aiohttp.ClientSession()
                self._socket = await self._http.ws_connect(f"{url}/session", max_msg_size=0)
            self._reader = asyncio.create_task(self._read())
            await self.command("session.new", capabilities={})
            tree = await self.command("browsingContext.getTree")
            self.context = tree["contexts"][0]["context"]
        except BaseException:
            self._process.kill()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(TimeoutError, AssertionError):
            await self.command("browser.close")
        self._reader.cancel()
        await self._http.close()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._drain
        self._own_profile.cleanup()

    async def command(self, method: str, **parameters: Any) -> Any:
        """Send one BiDi command and return its result; AssertionError with the browser's words when it fails."""
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(TIMEOUT_S):
            message = await answer
        assert message["type"] == "success", message
        return message["result"]

    async def open(self, url: str) -> None:
        await self.command("browsingContext.navigate", context=self.context, url=url, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited; must fit into JSON."""
        result = await self.command(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression}) ?? null))()",
            target={"context": self.context},
            awaitPromise=True,
            userActivation=True,
        )
        assert result["type"] == "success", result
        return json.loads(result["result"]["value"])

    async def until(self, condition: str, timeout_s: float = TIMEOUT_S) -> None:
        """Evaluate again and again until the expression is true."""
        try:
            async with asyncio.timeout(timeout_s):
                while not await self.evaluate(condition):  # noqa: ASYNC110 - pages have no event for it
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise AssertionError(f"not within {timeout_s} s: {condition}") from None

    async def click(self, test_id: str) -> None:
        """Wait for the element with this `data-testid` and click it."""
        element = f"document.querySelector('[data-testid=\"{test_id}\"]:not(:disabled)')"
        await self.until(f"{element} !== null")
        await self.evaluate(f"{element}.click()")

    async def fill(self, test_id: str, text: str) -> None:
        """As if typed: React hears of it."""
        element = f"document.querySelector('[data-testid=\"{test_id}\"]')"
        await self.until(f"{element} !== null")
        await self.evaluate(
            f"""(() => {{
                const input = {element};
                const {{set}} = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(input), 'value');
                set.call(input, {json.dumps(text)});
                input.dispatchEvent(new Event('input', {{bubbles: true}}));
            }})()"""
        )

    async def _address(self) -> str:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            self._log.append(line)
            if found := _LISTENING.search(line):
                return found[1].decode()
        raise AssertionError("Firefox did not start:\n" + b"".join(self._log[-20:]).decode("utf-8", "replace"))

    async def _read_log(self) -> None:
        assert self._process.stderr is not None
        while await self._process.stderr.read(65_536):
            pass

    async def _read(self) -> None:
        async for message in self._socket:
            answer = self._answers.pop(message.json().get("id") or 0, None)
            if answer is not None and not answer.done():
                answer.set_result(message.json())

"""What sealing costs those who talk, in headless Chromium with the web app, beside an open room in the same run.

    python -m benchmarks.bench_sealed_media [--only cpu gap load leave] [--parties 4] [--members 50] [--rounds 5]

- cpu: a call of so many pages with pictures of 720p; CPU time of all of Chromium for each decoded frame, open and
  sealed in turns.
- gap: the longest time between two pictures of another while somebody comes to the keys and goes (each is an epoch),
  and in as much time without.
- load: from the navigation to the first picture of the one who has a camera, in a room of many; all others are members
  without pictures, in the sealed room with leaves of their own in the group.
- leave: how long somebody who leaves the group, and stays in the call, still opens pictures and messages.

The camera is Chromium's own pattern. Prints rows for README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Browser, async_playwright, expect

from benchmarks.bench_sealed_rooms import serving
from benchmarks.load.process import CpuMeter, tree
from benchmarks.sealed_crowd import LINK, Member, Traffic
from sealed.content import to_text
from sealed.media import MediaKeys
from sealed.member import SealedMember
from sealed.mls import Library
from tests.harness.browser import Tab, launch
from tests.harness.caller import Caller

KINDS = ("open", "sealed")
_CPU_S = 10.0
_EVENTS = 4
_PAUSE_S = 4.0
"""Between two epochs: each has its old keys gone, and its gap apart from the next one's."""
_TIMEOUT_MS = 90_000

WATCH = """(name) => {
    const video = document.querySelector(`[data-testid="tile"][data-name="${name}"] video`);
    window.__gap = {longest: 0, last: performance.now()};
    const see = () => {
        const now = performance.now(), gap = window.__gap;
        gap.longest = Math.max(gap.longest, now - gap.last);
        gap.last = now;
        video.requestVideoFrameCallback(see);
    };
    video.requestVideoFrameCallback(see);
}"""
LONGEST = """() => { const {longest} = window.__gap; window.__gap.longest = 0; return longest; }"""
DECODED = """async () => {
    const pc = window.__tingRoom.engine.pcManager;
    let frames = 0;
    for (const stat of (await (pc.subscriber ?? pc.publisher).getStats()).values())
        if (stat.type === 'inbound-rtp' && stat.kind === 'video') frames += stat.framesDecoded ?? 0;
    return frames;
}"""
FIRST_PICTURE = """(name) => new Promise((resolve) => {
    const look = () => {
        const video = document.querySelector(`[data-testid="tile"][data-name="${name}"] video`);
        if (video === null) requestAnimationFrame(look);
        else video.requestVideoFrameCallback(() => resolve(performance.now()));
    };
    look();
})"""


class Room:
    """`link` is what people open; the secret of the sealed one is that of the crowd."""

    def __init__(self, http: aiohttp.ClientSession, url: str, kind: str) -> None:
        self.http, self.url, self.kind = http, url, kind
        self.name = ""

    async def make(self) -> Room:
        body = {"key": secrets.token_urlsafe(32), "policy": {"kind": self.kind}}
        async with self.http.post("/api/v1/rooms", json=body) as answer:
            self.name = (await answer.json())["name"]
        return self

    @property
    def link(self) -> str:
        return f"{self.url}/r/{self.name}?debug=1" + (f"#s={to_text(LINK)}" if self.kind == "sealed" else "")


async def come(browser: Browser, room: Room, name: str, *, small_camera: bool = True) -> Tab:
    tab = await Tab.open(browser, room.url, small_camera=small_camera)
    tab.page.set_default_timeout(_TIMEOUT_MS)
    await tab.page.goto(room.link)
    await tab.get("name-input").fill(name)
    await tab.get("join-call").click()
    await expect(tab.get("call")).to_be_visible(timeout=_TIMEOUT_MS)
    return tab


async def see(tab: Tab, name: str, frames: int = 10) -> None:
    video = tab.tile(name).locator("video")
    await expect(video).to_be_visible(timeout=_TIMEOUT_MS)
    await tab.expect_frames(video, frames)


@asynccontextmanager
async def call(browser: Browser, room: Room, parties: int, *, small_camera: bool = True) -> AsyncIterator[list[Tab]]:
    """All see all."""
    names = [f"p{number}" for number in range(parties)]
    tabs = [await come(browser, room, name, small_camera=small_camera) for name in names]
    try:
        for tab, own in zip(tabs, names, strict=True):
            for name in names:
                if name != own:
                    await see(tab, name)
        yield tabs
    finally:
        for tab in tabs:
            await tab.close()


def chromium_pids() -> list[int]:
    """The browsers of this process; their children come with them."""
    return [pid for pid in tree([os.getpid()]) if _is_browser(pid)]


def _is_browser(pid: int) -> bool:
    with contextlib.suppress(OSError):
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
        return b"chromium" in line.partition(b"\0")[0] and b"--type=" not in line
    return False


async def measure_cpu(browser: Browser, make: Callable[[str], Any], parties: int, rounds: int) -> list[str]:
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(2 * rounds):
        # Open, sealed, sealed, open, …: what drifts on the machine is in both.
        kind = KINDS[(number + number // 2) % 2]
        async with call(browser, await make(kind), parties, small_camera=False) as tabs:
            meter = CpuMeter(chromium_pids())
            cpu_s, frames, began = meter.read(), await _decoded(tabs), time.monotonic()
            await asyncio.sleep(_CPU_S)
            cpu_s, frames = meter.read() - cpu_s, await _decoded(tabs) - frames
            found[kind].append(1000 * cpu_s / frames)
            rates[kind].append(frames / (time.monotonic() - began) / (parties * (parties - 1)))
    ratio = statistics.median(found["sealed"]) / statistics.median(found["open"])
    per_frame = " / ".join(spread(found[kind], 1) for kind in KINDS)
    shown = " / ".join(f"{statistics.median(rates[kind]):.0f}" for kind in KINDS)
    return [
        f"| client CPU per decoded frame, {parties} parties, ms, open / sealed | {per_frame} | {ratio:.2f} | ≤ 1.15 |",
        f"| frames a second of each picture, open / sealed | {shown} | | |",
    ]


async def _decoded(tabs: list[Tab]) -> int:
    return sum([await tab.page.evaluate(DECODED) for tab in tabs])


async def measure_gap(browser: Browser, http: aiohttp.ClientSession, make: Callable[[str], Any]) -> list[str]:
    room, library = await make("sealed"), Library()
    async with call(browser, room, 2) as (tab, _):
        await tab.page.evaluate(WATCH, "p1")
        await asyncio.sleep(_PAUSE_S)
        gaps: dict[str, list[float]] = {"nothing": [], "somebody comes": [], "somebody goes": []}
        await tab.page.evaluate(LONGEST)
        for number in range(_EVENTS):
            await asyncio.sleep(_PAUSE_S)
            gaps["nothing"].append(await tab.page.evaluate(LONGEST))
            one = Member(http, room.name, f"m{number}", library, Traffic())
            await one.join()
            await asyncio.sleep(_PAUSE_S)
            gaps["somebody comes"].append(await tab.page.evaluate(LONGEST))
            await one.leave()
            await asyncio.sleep(_PAUSE_S)
            gaps["somebody goes"].append(await tab.page.evaluate(LONGEST))
    aim = {"nothing": ""}
    return [
        f"| longest gap between pictures, {what}, ms | {spread(found, 0)} | | {aim.get(what, '≤ 200')} |"
        for what, found in gaps.items()
    ]


async def measure_load(
    browser: Browser, http: aiohttp.ClientSession, make: Callable[[str], Any], members: int, rounds: int
) -> list[str]:
    library, rooms, cameras = Library(), {kind: await make(kind) for kind in KINDS}, []
    crowd = []
    for kind, room in rooms.items():
        cameras.append(await come(browser, room, "camera"))
        others = [Member(http, room.name, f"m{number}", library, Traffic()) for number in range(members - 2)]
        await asyncio.gather(*(one.join() if kind == "sealed" else one.enter() for one in others))
        crowd += others
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(2 * rounds):
        kind = KINDS[(number + number // 2) % 2]
        tab = await come(browser, rooms[kind], f"late {number}")
        # In the page's own time, which begins with the navigation.
        found[kind].append(await tab.page.evaluate(FIRST_PICTURE, "camera"))
        await tab.close()
    for tab in cameras:
        await tab.close()
    for one in crowd:
        await one.leave()
    ratio = statistics.median(found["sealed"]) / statistics.median(found["open"])
    times = " / ".join(spread(found[kind], 0) for kind in KINDS)
    return [
        f"| page load to the first picture in a room of {members}, ms, open / sealed | {times} | {ratio:.2f} | ≤ 1.3 |"
    ]


async def measure_leave(browser: Browser, http: aiohttp.ClientSession, make: Callable[[str], Any]) -> list[str]:
    pictures, messages = [], []
    room = await make("sealed")
    async with call(browser, room, 2) as (tab, _):
        for number in range(_EVENTS):
            caller = Caller(room.url, "", "")
            keys = MediaKeys(caller.room)

            async def give(member: SealedMember, caller: Caller = caller, keys: MediaKeys = keys) -> None:
                if caller.room.isconnected():
                    await keys.set_epoch(member.epoch, member.media_key, member.identities())

            member = SealedMember(http, room.link.replace("?debug=1", ""), f"out {number}", give)
            await member.come()
            await member.inside()
            await caller.join(token=member.token, encryption=keys.options)
            await give(member)
            eye = await caller.watch(next(iter(caller.room.remote_participants)), 60.0)
            seen = len(eye.frames)
            await eye.until(lambda eye=eye, seen=seen: len(eye.frames) > seen + 10, "pictures", 60.0)
            epoch, began = member.epoch, time.monotonic()
            await member.close()
            frames = len(eye.frames)
            last = began
            while time.monotonic() < last + 2.0:  # Two seconds without a picture: there will be none.
                await asyncio.sleep(0.02)
                if len(eye.frames) != frames:
                    frames, last = len(eye.frames), time.monotonic()
            pictures.append(last - began)
            messages.append(await _unreadable(tab, http, room, epoch))
            await caller.leave()
    return [
        f"| somebody left the group: last picture that it could open, s after | {spread(pictures, 1)} | | ≤ 3 |",
        f"| messages that were sent then and it could open | {sum(messages)} of {len(messages)} | | 0 |",
    ]


async def _unreadable(tab: Tab, http: aiohttp.ClientSession, room: Room, epoch: int) -> int:
    """1: the page still writes with keys of that epoch."""
    if await tab.get("toggle-chat").get_attribute("aria-pressed") != "true":
        await tab.get("toggle-chat").click()
    await tab.get("chat-input").fill(f"after {epoch}")
    await tab.page.keyboard.press("Enter")
    reader = Member(http, room.name, "reader", Library(), Traffic())
    body = {"name": "reader", "key": reader.key, "sealed": True}
    reader.token = (await reader.call("POST", f"/api/v1/rooms/{room.name}/tokens", body))["token"]
    async with asyncio.timeout(30):
        while True:
            page = await reader.call("GET", f"/api/v1/rooms/{room.name}/entries?limit=1")
            newest = page["entries"][-1]["body"] if page["entries"] else {}
            if newest and "sealed" in newest and newest["sealed"]["epoch"] >= epoch:
                return int(newest["sealed"]["epoch"] <= epoch)
            await asyncio.sleep(0.1)


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


async def run(options: argparse.Namespace) -> None:
    async with (
        serving("") as (url, _),
        aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as http,
        async_playwright() as playwright,
    ):
        browser = await launch(playwright)

        async def make(kind: str) -> Room:
            return await Room(http, url, kind).make()

        measures = {
            "cpu": lambda: measure_cpu(browser, make, options.parties, options.rounds),
            "gap": lambda: measure_gap(browser, http, make),
            "load": lambda: measure_load(browser, http, make, options.members, options.rounds),
            "leave": lambda: measure_leave(browser, http, make),
        }
        for name in options.only:
            before = " ".join(f"{one:.0f}" for one in os.getloadavg())
            try:
                print("\n".join(await measures[name]()))
            except (AssertionError, TimeoutError, OSError) as error:  # the others' figures are still worth having
                print(f"| {name} | failed: {type(error).__name__} | | |")
            after = " ".join(f"{one:.0f}" for one in os.getloadavg())
            print(f"# {name}: load before {before}, after {after}", file=sys.stderr, flush=True)
        await browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ["cpu", "gap", "load", "leave"]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--parties", type=int, default=4)
    parser.add_argument("--members", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print("| what | median (lowest–highest) | sealed to open | aim |\n|---|---|---|---|")
    asyncio.run(run(options))


if __name__ == "__main__":
    main()

"""What axe-core finds on a page: WCAG 2.2, levels A and AA (https://www.w3.org/TR/WCAG22/)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from playwright.async_api import Page

SOURCE = Path(__file__).resolve().parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LOOKS = (
    ("phone", 390, 844, "light"),
    ("phone on its side", 844, 390, "dark"),
    ("desktop", 1280, 800, "light"),
    ("desktop", 1280, 800, "dark"),
    ("desktop at 200 %", 640, 400, "light"),
)
"""Widths and heights are CSS pixels: at 200 % a window of 1280 × 800 has half as many."""

RUN = """async levels => {
    // What fades in has no colour of its own yet.
    const ends = one => one.effect.getComputedTiming().iterations !== Infinity;
    document.getAnimations().filter(ends).forEach(one => one.finish());
    const {violations} = await axe.run(document, {runOnly: levels, resultTypes: ['violations']});
    return violations.flatMap(({id, nodes}) => nodes.map(({html, any}) => {
        const why = any.map(({message}) => message).join(' ');
        return `${id}: ${html.slice(0, 200)} ${why}`;
    }));
}"""


@cache
def _source() -> str:
    return SOURCE.read_text(encoding="utf-8")


async def findings(page: Page) -> list[str]:
    """In each of the looks; empty when all is well."""
    found: list[str] = []
    before = page.viewport_size
    for name, width, height, scheme in LOOKS:
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        if not await page.evaluate("typeof axe === 'object'"):
            await page.evaluate(_source())
        found += [f"{name}, {scheme}: {line}" for line in await page.evaluate(RUN, LEVELS)]
    await page.emulate_media(color_scheme=None)
    if before is not None:
        await page.set_viewport_size(before)
    return found

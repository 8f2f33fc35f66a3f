"""How much a browser fetches, as it comes over the line. The limits are those of the build."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenTab
from tests.harness.page_weight import NO_WORKER, PageWeight

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

LIMITS = json.loads((Path(__file__).parents[2] / "web" / "budget.json").read_text("utf-8"))
HEADERS_BYTES = 1000
"""Up to this, of each answer: the budget counts what is in the files."""


async def test_the_start_page_and_a_call_stay_within_the_budget(open_tab: OpenTab, room: str) -> None:
    tab = await open_tab()
    await tab.context.add_init_script(NO_WORKER)
    weight = await PageWeight.follow(tab.page, tab.origin)
    await tab.page.goto(tab.origin)
    await expect(tab.get("new-room")).to_be_visible()
    await tab.page.wait_for_load_state("networkidle")
    assert 10_000 < weight.script_bytes() <= LIMITS["start page"]["bytes"] + HEADERS_BYTES * weight.requests
    await tab.get("room-input").fill(room)
    await tab.get("join-room").click()
    await tab.pass_lobby("Ada")
    await tab.expect_moving("Ada")
    await tab.page.wait_for_load_state("networkidle")
    assert 100_000 < weight.script_bytes() <= LIMITS["until in a call"]["bytes"] + HEADERS_BYTES * weight.requests
    assert weight.foreign == []

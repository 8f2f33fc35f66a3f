"""What the sync connection sends of its own accord: whole, in order, and never more than a reader takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import WSMsgType

from tests.signaling.harness import running
from tests.signaling.rooms import founder

FIRST_ROOM = 1
"""Its key in a new database."""


@pytest.mark.parametrize("size", [1, 30, 125, 126, 65_535, 65_536, 200_000])
async def test_news_of_every_size_arrive_whole_and_together(size: int) -> None:
    async with running() as server:
        sync = await (await founder(server)).sync(since=1)
        await sync.wait_for("opened")
        news = [{"type": "typing", "name": f"{number}" + "x" * size} for number in range(3)]
        for one in news:
            server.services.lasting.live.tell(FIRST_ROOM, one)
        heard = [await sync.wait_for("typing") for _ in news]
        assert heard == [{**one, "room": sync.room} for one in news]


async def test_who_reads_late_gets_all_of_it_in_order() -> None:
    async with running() as server:
        sync = await (await founder(server)).sync(since=1)
        await sync.wait_for("opened")
        for number in range(200):  # far more than sockets and buffers hold
            server.services.lasting.live.tell(FIRST_ROOM, {"type": "typing", "number": number, "name": "x" * 60_000})
            await asyncio.sleep(0)  # one send each
        assert [(await sync.wait_for("typing"))["number"] for _ in range(200)] == list(range(200))


async def test_who_reads_nothing_is_cut_off_and_waits_for_nobody() -> None:
    async with running(max_sync_queue=10) as server:
        sync = await (await founder(server)).sync(since=1)
        await sync.wait_for("opened")
        for _ in range(11):
            server.services.lasting.live.tell(FIRST_ROOM, {"type": "typing"})
        while (await sync.ws.receive(5)).type is WSMsgType.TEXT:
            pass
        assert sync.ws.close_code == 1013


async def test_a_room_that_ends_while_it_is_being_opened_is_closed_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running() as server:
        ada = await founder(server)
        reading, deleted = asyncio.Event(), asyncio.Event()
        page = server.services.lasting.reader.page

        async def page_that_takes_long(*arguments: Any, **options: Any) -> Any:
            reading.set()
            await deleted.wait()
            return await page(*arguments, **options)

        monkeypatch.setattr(server.services.lasting.reader, "page", page_that_takes_long)
        sync = await ada.sync(since=1)
        await reading.wait()
        await ada.good("DELETE", "")
        deleted.set()
        closed = await sync.wait_for("closed")
        assert (closed["room"], closed["code"]) == (ada.room, "room_not_found")

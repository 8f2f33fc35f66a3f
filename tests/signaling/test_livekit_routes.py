"""What answers LiveKit's clients is loaded with the first of them."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from signaling.livekit.routes import LiveKitHandlers, LiveKitRoutes

HANDLERS = cast("LiveKitHandlers", object())


async def test_all_who_come_meanwhile_get_the_same() -> None:
    made: list[LiveKitHandlers] = []

    def create() -> LiveKitHandlers:
        made.append(HANDLERS)
        return HANDLERS

    routes = LiveKitRoutes(create)
    assert await asyncio.gather(*(routes.load() for _ in range(20))) == [HANDLERS] * 20
    assert made == [HANDLERS]


async def test_what_could_not_be_loaded_is_loaded_by_the_next() -> None:
    answers = [OSError("too many open files"), HANDLERS]

    def create() -> LiveKitHandlers:
        if isinstance(answer := answers.pop(0), OSError):
            raise answer
        return cast("LiveKitHandlers", answer)

    routes = LiveKitRoutes(create)
    with pytest.raises(OSError, match="too many"):
        await routes.load()
    assert await routes.load() is HANDLERS


async def test_whoever_gives_up_takes_it_from_nobody() -> None:
    routes = LiveKitRoutes(lambda: HANDLERS)
    first = asyncio.create_task(routes.load())
    await asyncio.sleep(0)
    first.cancel()
    assert await routes.load() is HANDLERS

"""Waiting for what tells nobody when it becomes true, such as a counter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

DEADLINE_S = 20.0
INTERVAL_S = 0.01


async def eventually(probe: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Look again and again until `probe` is true; AssertionError names `what` did not become so."""
    try:
        async with asyncio.timeout(deadline_s):
            while not probe():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(INTERVAL_S)
    except TimeoutError:
        raise AssertionError(f"not within {deadline_s} s: {what}") from None

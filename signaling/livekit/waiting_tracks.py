"""Tracks that are announced while others wait for an offer: they may get the place of those that were given up.

SDKs tell nobody when a track is unpublished before it was offered. Whoever publishes and unpublishes quickly seems to
have too many for a moment, and would wait in vain for the answer to an announcement that was refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from livekit.protocol import rtc

RETRY_S = 0.2
PATIENCE_S = 6.0
"""Less than the ten seconds after which SDKs give up, so that they hear of the refusal first."""


class WaitingTracks:
    """Of one connection. `handle` tries again, and calls `wait` again when there still is no place."""

    def __init__(self, handle: Callable[[rtc.SignalRequest], Awaitable[None]], max_waiting: int) -> None:
        self._handle = handle
        self._max_waiting = max_waiting
        self._waiting: list[rtc.AddTrackRequest] = []
        self._deadlines_s: dict[str, float] = {}
        """By cid, on the clock of the event loop."""
        self._task: asyncio.Task[None] | None = None

    def wait(self, request: rtc.AddTrackRequest) -> bool:
        """False when it has waited for long enough, or too many wait."""
        now_s = asyncio.get_running_loop().time()
        deadline_s = self._deadlines_s.get(request.cid, now_s + PATIENCE_S)
        if now_s >= deadline_s or len(self._waiting) >= self._max_waiting:
            return False
        self._deadlines_s[request.cid] = deadline_s
        self._waiting.append(request)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return True

    def close(self) -> None:
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(RETRY_S)
            requests, self._waiting = self._waiting, []
            for request in requests:
                await self._handle(rtc.SignalRequest(add_track=request))
            still = {request.cid for request in self._waiting}
            self._deadlines_s = {cid: at_s for cid, at_s in self._deadlines_s.items() if cid in still}
        self._task = None

"""Offers of one connection that come faster than the SFU answers them: they wait for their turn and are not refused.

A refused offer would leave its client without an answer that it could see: SDKs wait for one until they give up. A
client has one offer outstanding, so that a newer one makes the waiting one void, and only the newest need be answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from livekit.protocol import rtc


class WaitingOffer:
    """`handle` answers an offer whose turn it is; `delay_s` says how long until the next one's turn, 0 for now.
    `max_replaced` is how many offers may have been replaced since the first of them began to wait."""

    def __init__(
        self,
        handle: Callable[[rtc.SignalRequest], Awaitable[None]],
        delay_s: Callable[[], float],
        max_replaced: int,
    ) -> None:
        self._handle = handle
        self._delay_s = delay_s
        self._max_replaced = max_replaced
        self._newest: rtc.SignalRequest | None = None
        self._replaced = 0
        self._timer: asyncio.Task[None] | None = None

    @property
    def must_wait(self) -> bool:
        """Whether an offer that comes now has to `wait`."""
        return self._timer is not None or self._delay_s() > 0

    def wait(self, offer: rtc.SignalRequest) -> bool:
        """Take the place of the one that waits. False when too many have done so."""
        if self._newest is not None:
            self._replaced += 1
            if self._replaced > self._max_replaced:
                return False
        self._newest = offer
        if self._timer is None:
            self._timer = asyncio.create_task(self._run())
        return True

    def close(self) -> None:
        """Nobody waits for an answer any more."""
        self._newest = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _run(self) -> None:
        while self._newest is not None:
            if (delay_s := self._delay_s()) > 0:
                await asyncio.sleep(delay_s)
                continue
            offer, self._newest, self._replaced = self._newest, None, 0
            await self._handle(offer)
        self._timer = None
